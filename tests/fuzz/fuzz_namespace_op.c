/* Operations on namespaces: a damaged entry is refused, a whole one is applied, whatever it says;
 * what was decoded is encoded to the same bytes again; and the list stays sorted and without
 * doubles.
 *
 * Input: operations one after the other, each behind its length in two bytes, big-endian. */
#include "fuzz.h"

#include "base/thread.h"
#include "namespace/namespace.h"
#include "namespace/namespace_op.h"

#define OPS_MAX 64

static void check_codec(struct span bytes)
{
    struct arena arena;
    arena_init(&arena, NAMESPACE_OP_ARENA_MAX);
    struct namespace_op op = {0};
    struct fail fail = {0};
    int err = namespace_op_decode(bytes, &arena, &op, &fail);
    if (err) {
        REQUIRE(err == E_PARSE);
        fuzz_check_fail(err, &fail);
        arena_close(&arena);
        return;
    }
    REQUIRE(namespace_op_check(&op, NULL) == 0);
    struct buf *first = namespace_op_encode(&op);
    struct namespace_op again = {0};
    REQUIRE(namespace_op_decode(buf_span(first), &arena, &again, &fail) == 0);
    struct buf *second = namespace_op_encode(&again);
    REQUIRE(again.kind == op.kind && again.time_ms == op.time_ms);
    REQUIRE(span_eq(buf_span(first), buf_span(second)));
    buf_unref(second);
    buf_unref(first);
    arena_close(&arena);
}

static void check_list(const struct namespaces *n)
{
    for (size_t i = 0; i < namespace_count(n); i++) {
        const struct namespace_info *info = namespace_at(n, i);
        fuzz_touch(info->id);
        fuzz_touch(info->name);
        fuzz_touch(info->desc);
        REQUIRE(i == 0 || span_cmp(namespace_at(n, i - 1)->id, info->id) < 0);
        REQUIRE(!namespace_is_default(info->id));
        REQUIRE(namespace_find(n, info->id) == info);
    }
}

static size_t count_configs(void *self, struct span id)
{
    (void)self;
    fuzz_touch(id);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (thread_kind() != THREAD_CORE) {
        thread_become(THREAD_CORE, "core");
    }
    struct span rest = span_of((const char *)data, size);
    struct table_writer *tables = table_writer_create(
        &(struct table_writer_options){.path = "nowhere"}); /* what waits there is never written */
    struct namespaces *n =
        namespace_create(&(struct namespace_options){.count_configs = count_configs}, tables);
    struct outbox out = {0};
    for (uint64_t i = 1; i <= OPS_MAX && rest.len >= 2; i++) {
        size_t len = fuzz_byte(&rest) << 8;
        len |= fuzz_byte(&rest);
        len = len < rest.len ? len : rest.len;
        struct span op = span_of(rest.data, len);
        rest = span_of(rest.data + len, rest.len - len);
        check_codec(op);
        namespace_commit(n, i, op, NULL, (struct now){0}, &out);
        table_writer_entry_end(tables, i);
        check_list(n);
    }
    outbox_close(&out);
    namespace_destroy(n);
    table_writer_destroy(tables);
    return 0;
}
