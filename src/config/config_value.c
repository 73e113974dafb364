#include "config/config_value.h"

#include <openssl/evp.h>

#include "base/assert.h"
#include "base/mem.h"

static const struct {
    enum config_type type;
    struct span text;
} types[] = {
#define X(name, text) {name, {text, sizeof(text) - 1}},
    CONFIG_TYPE_MAP(X)
#undef X
};
#define TYPES (sizeof(types) / sizeof(types[0]))

struct span config_type_text(enum config_type type)
{
    ASSERT((size_t)type < TYPES);
    return types[type].text;
}

enum config_type config_type_of(struct span text)
{
    for (size_t i = 0; i < TYPES; i++) {
        if (span_eq(types[i].text, text)) {
            return types[i].type;
        }
    }
    return CONFIG_TEXT;
}

struct config_version *config_version_create(const struct config_version_parts *parts)
{
    /* Without the struct's padding: there are very many of them. */
    size_t size = offsetof(struct config_version, encrypted_key) + parts->encrypted_key.len;
    struct config_version *v = mem_alloc(size);
    atomic_init(&v->refs, 1);
    v->type = parts->type;
    v->length = parts->length;
    memcpy(v->md5, parts->md5, CONFIG_MD5_BYTES);
    v->modified_ms = parts->modified_ms;
    v->content = parts->content ? buf_ref(parts->content) : NULL;
    v->encrypted_key_len = (uint32_t)parts->encrypted_key.len;
    if (parts->encrypted_key.len) {
        memcpy(v->encrypted_key, parts->encrypted_key.data, parts->encrypted_key.len);
    }
    return v;
}

struct config_version *config_version_with(const struct config_version *v, struct buf *content)
{
    struct config_version_parts parts = {
        .type = v->type,
        .length = v->length,
        .md5 = v->md5,
        .modified_ms = v->modified_ms,
        .content = content,
        .encrypted_key = span_of(v->encrypted_key, v->encrypted_key_len),
    };
    return config_version_create(&parts);
}

struct config_version *config_version_ref(struct config_version *v)
{
    (void)atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void config_version_unref(struct config_version *v)
{
    if (v && atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) == 1) {
        buf_unref(v->content);
        mem_free(v);
    }
}

void config_md5_text(const uint8_t md5[CONFIG_MD5_BYTES], char dst[CONFIG_MD5_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < CONFIG_MD5_BYTES; i++) {
        dst[2 * i] = digits[md5[i] >> 4];
        dst[2 * i + 1] = digits[md5[i] & 15];
    }
}

void config_md5(struct span content, uint8_t dst[CONFIG_MD5_BYTES])
{
    unsigned len = 0;
    int ok = EVP_Digest(content.data ? content.data : "", content.len, dst, &len, EVP_md5(), NULL);
    ASSERT(ok == 1);
    ASSERT(len == CONFIG_MD5_BYTES);
}

bool config_md5_is(const uint8_t md5[CONFIG_MD5_BYTES], struct span text)
{
    char hex[CONFIG_MD5_TEXT];
    config_md5_text(md5, hex);
    return span_eq(text, span_of(hex, sizeof(hex)));
}

static void value_destroy(struct view_value *base)
{
    struct config_value *v = CONTAINER_OF(base, struct config_value, base);
    config_version_unref(v->formal);
    for (size_t i = 0; i < v->gray_count; i++) {
        config_version_unref(v->gray[i].version);
    }
    mem_free(v);
}

static struct span copy_text(char **at, struct span s)
{
    char *text = *at;
    if (s.len) {
        memcpy(text, s.data, s.len);
    }
    *at += s.len;
    return span_of(text, s.len);
}

struct config_value *config_value_create(struct config_version *formal,
                                         const struct config_gray *gray, size_t gray_count)
{
    ASSERT(gray_count <= CONFIG_GRAY_LIMIT);
    size_t texts = 0;
    for (size_t i = 0; i < gray_count; i++) {
        texts += gray[i].name.len + gray[i].rule.len;
    }
    size_t fixed = sizeof(struct config_value) + gray_count * sizeof(struct config_gray);
    struct config_value *v = mem_alloc(fixed + texts);
    atomic_init(&v->base.refs, 1);
    v->base.destroy = value_destroy;
    atomic_init(&v->used, false);
    v->formal = formal ? config_version_ref(formal) : NULL;
    v->gray_count = gray_count;
    char *at = (char *)v + fixed;
    for (size_t i = 0; i < gray_count; i++) {
        v->gray[i] = (struct config_gray){
            .version = config_version_ref(gray[i].version),
            .id = gray[i].id,
            .is_beta = gray[i].is_beta,
            .name = copy_text(&at, gray[i].name),
            .rule = copy_text(&at, gray[i].rule),
        };
    }
    return v;
}

static struct config_value *make_value(struct config_version *formal,
                                       const struct config_gray *gray, size_t gray_count)
{
    return formal || gray_count > 0 ? config_value_create(formal, gray, gray_count) : NULL;
}

struct config_value *config_value_with_formal(const struct config_value *old,
                                              struct config_version *formal)
{
    static const struct config_gray none[1];
    return old ? make_value(formal, old->gray, old->gray_count) : make_value(formal, none, 0);
}

/* Highest priority first: beta, then by name. */
static bool is_before(const struct config_gray *a, const struct config_gray *b)
{
    if (a->is_beta != b->is_beta) {
        return a->is_beta;
    }
    return span_cmp(a->name, b->name) < 0;
}

struct config_value *config_value_with_gray(const struct config_value *old,
                                            const struct config_gray *gray)
{
    struct config_gray list[CONFIG_GRAY_LIMIT + 1];
    size_t count = 0;
    bool is_placed = gray->version == NULL;
    for (size_t i = 0; old && i < old->gray_count; i++) {
        if (span_eq(old->gray[i].name, gray->name)) {
            continue;
        }
        if (!is_placed && is_before(gray, &old->gray[i])) {
            list[count++] = *gray;
            is_placed = true;
        }
        list[count++] = old->gray[i];
    }
    if (!is_placed) {
        list[count++] = *gray;
    }
    return make_value(old ? old->formal : NULL, list, count);
}

/* Addresses are compared as they stand between the commas, blanks included (semantics.md 2.6). */
static bool lists(struct span addresses, struct span ip)
{
    while (!span_empty(addresses)) {
        if (span_eq(span_cut(&addresses, ','), ip)) {
            return true;
        }
    }
    return false;
}

static bool matches(const struct config_gray *gray, const struct config_reader *r)
{
    if (gray->is_beta) {
        return lists(gray->rule, r->client_ip);
    }
    struct span tag = span_empty(r->tag) ? r->auto_tag : r->tag;
    return !span_empty(tag) && span_eq(gray->rule, tag);
}

struct config_choice config_choose(const struct config_value *value, const struct config_reader *r)
{
    struct config_choice none = {0};
    if (!value) {
        return none;
    }
    for (size_t i = 0; i < value->gray_count; i++) {
        if (matches(&value->gray[i], r)) {
            return (struct config_choice){value->gray[i].version, &value->gray[i]};
        }
    }
    if (!span_empty(r->tag)) {
        return none; /* a named tag has no fall-back */
    }
    return (struct config_choice){value->formal, NULL};
}

bool config_differs(const struct config_value *value, const struct config_reader *r,
                    struct span md5)
{
    struct config_choice choice = config_choose(value, r);
    if (!choice.version) {
        return !span_empty(md5);
    }
    return !config_md5_is(choice.version->md5, md5);
}
