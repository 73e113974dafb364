/* What nodes ask each other for people, and the answers: refused with a reason, or whole, within
 * limits, and the same again when encoded. */
#include "fuzz.h"

#include "cluster/query.h"

static void check_query(struct span bytes)
{
    struct query q = {0};
    struct query again = {0};
    struct fail fail = {0};
    int err = query_decode(bytes, &q, &fail);
    if (err) {
        REQUIRE(err == E_PARSE);
        fuzz_check_fail(err, &fail);
        return;
    }
    struct buf *b = query_encode(&q);
    REQUIRE(query_decode(buf_span(b), &again, &fail) == 0);
    REQUIRE(q.kind == again.kind && q.id == again.id && q.count == again.count &&
            q.is_json == again.is_json && strcmp(q.address, again.address) == 0);
    buf_unref(b);
}

static void check_answer(struct span bytes)
{
    struct answer a = {0};
    struct answer again = {0};
    struct buf *text = NULL;
    struct buf *text_again = NULL;
    struct fail fail = {0};
    int err = answer_decode(bytes, &a, &text, &fail);
    if (err) {
        REQUIRE(err == E_PARSE);
        fuzz_check_fail(err, &fail);
        return;
    }
    struct buf *b = answer_encode(&a);
    REQUIRE(answer_decode(buf_span(b), &again, &text_again, &fail) == 0);
    REQUIRE(a.state == again.state && a.id == again.id && span_eq(a.text, again.text) &&
            a.figures_count == again.figures_count);
    fuzz_touch(a.text);
    buf_unref(text_again);
    buf_unref(text);
    buf_unref(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_of((const char *)data, size);
    check_query(bytes);
    check_answer(bytes);
    return 0;
}
