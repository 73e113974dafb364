#include "cluster/query.h"

#include <string.h>

#include "base/mem.h"
#include "query.pb-c.h"

struct buf *query_encode(const struct query *q)
{
    Nacre__PeerQuery m = NACRE__PEER_QUERY__INIT;
    char address[QUERY_ADDRESS_MAX + 1];
    memcpy(address, q->address, sizeof(address));
    m.version = QUERY_VERSION;
    m.id = q->id;
    m.kind = (uint32_t)q->kind;
    m.address = address;
    m.json = q->is_json;
    m.count = q->count;
    size_t len = nacre__peer_query__get_packed_size(&m);
    char *bytes = mem_alloc(len);
    nacre__peer_query__pack(&m, (uint8_t *)bytes);
    return buf_take(bytes, len);
}

struct buf *answer_encode(const struct answer *a)
{
    Nacre__PeerAnswer m = NACRE__PEER_ANSWER__INIT;
    uint64_t figures[ANSWER_FIGURES_MAX];
    size_t text_len = a->text.len < QUERY_TEXT_MAX ? a->text.len : QUERY_TEXT_MAX;
    char *text = mem_strndup(a->text.len > 0 ? a->text.data : "", text_len);
    memcpy(figures, a->figures, sizeof(figures));
    m.version = QUERY_VERSION;
    m.id = a->id;
    m.state = (uint32_t)a->state;
    m.text = text;
    m.n_figures = a->figures_count;
    m.figures = figures;
    size_t len = nacre__peer_answer__get_packed_size(&m);
    char *bytes = mem_alloc(len);
    nacre__peer_answer__pack(&m, (uint8_t *)bytes);
    mem_free(text);
    return buf_take(bytes, len);
}

/* One line without control bytes: it goes into logs and is compared with addresses. */
static bool is_address(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] <= ' ') {
            return false;
        }
    }
    return len <= QUERY_ADDRESS_MAX;
}

int query_decode(struct span bytes, struct query *ret, struct fail *fail)
{
    if (bytes.len > QUERY_BYTES_MAX) {
        return fail_set(fail, E_PARSE, "a query of %zu bytes", bytes.len);
    }
    Nacre__PeerQuery *m =
        nacre__peer_query__unpack(NULL, bytes.len, (const uint8_t *)(bytes.len ? bytes.data : ""));
    if (!m || m->version != QUERY_VERSION || !is_address(m->address)) {
        if (m) {
            nacre__peer_query__free_unpacked(m, NULL);
        }
        return fail_set(fail, E_PARSE, "a query is damaged, or of another version");
    }
    *ret = (struct query){
        .kind = (enum query_kind)m->kind, .id = m->id, .is_json = m->json, .count = m->count};
    memcpy(ret->address, m->address, strlen(m->address) + 1);
    nacre__peer_query__free_unpacked(m, NULL);
    return 0;
}

static bool is_answer(const Nacre__PeerAnswer *m)
{
    return m->version == QUERY_VERSION && m->state >= ANSWER_PROGRESS &&
           m->state <= ANSWER_FAILED && strlen(m->text) <= QUERY_TEXT_MAX &&
           m->n_figures <= ANSWER_FIGURES_MAX;
}

int answer_decode(struct span bytes, struct answer *ret, struct buf **ret_text, struct fail *fail)
{
    if (bytes.len > ANSWER_BYTES_MAX) {
        return fail_set(fail, E_PARSE, "an answer of %zu bytes", bytes.len);
    }
    Nacre__PeerAnswer *m =
        nacre__peer_answer__unpack(NULL, bytes.len, (const uint8_t *)(bytes.len ? bytes.data : ""));
    if (!m || !is_answer(m)) {
        if (m) {
            nacre__peer_answer__free_unpacked(m, NULL);
        }
        return fail_set(fail, E_PARSE, "an answer is damaged, or of another version");
    }
    *ret_text = buf_create(span_str(m->text));
    *ret = (struct answer){
        .state = (enum answer_state)m->state,
        .id = m->id,
        .text = buf_span(*ret_text),
        .figures_count = m->n_figures,
    };
    for (size_t i = 0; i < m->n_figures; i++) {
        ret->figures[i] = m->figures[i];
    }
    nacre__peer_answer__free_unpacked(m, NULL);
    return 0;
}
