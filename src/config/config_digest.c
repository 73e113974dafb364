#include "config/config_digest.h"

#include "base/digest.h"
#include "config/state.h"

/* Numbers stand in the digest: a kind keeps its own. */
enum piece {
    PIECE_KEY = 101,
    PIECE_FORMAL = 102,
    PIECE_GRAY = 103,
    PIECE_IDS = 104,
};

static uint64_t add_version(uint64_t d, const struct config_version *v, uint64_t id)
{
    d = digest_number(d, id);
    d = digest_bytes(d, span_of((const char *)v->md5, CONFIG_MD5_BYTES));
    d = digest_number(d, v->length);
    d = digest_bytes(d, config_type_text(v->type));
    d = digest_number(d, (uint64_t)v->modified_ms);
    return digest_bytes(d, span_of(v->encrypted_key, v->encrypted_key_len));
}

uint64_t config_piece(const struct item *i)
{
    const struct config_value *v = i->value;
    if (!v) {
        return 0;
    }
    uint64_t key = digest_bytes(PIECE_KEY, span_of(i->text, i->text_len));
    uint64_t sum = v->formal ? add_version(digest_number(key, PIECE_FORMAL), v->formal, i->id) : 0;
    for (size_t g = 0; g < v->gray_count; g++) {
        const struct config_gray *gray = &v->gray[g];
        uint64_t d = digest_bytes(digest_number(key, PIECE_GRAY), gray->name);
        sum += add_version(digest_bytes(d, gray->rule), gray->version, gray->id);
    }
    return sum;
}

uint64_t config_digest(const struct config *c)
{
    return c->digest + digest_number(digest_number(PIECE_IDS, c->last_id), c->last_nid);
}

uint64_t config_digest_count(const struct config *c)
{
    uint64_t sum = 0;
    for (const struct item *i = c->items; i; i = i->hh.next) {
        sum += config_piece(i);
    }
    return sum;
}
