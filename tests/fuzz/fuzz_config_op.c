/* Operations of the log: a damaged one is refused, a whole one is applied, whatever it says; and
 * what was decoded is encoded to the same bytes again.
 *
 * Input: operations one after the other, each behind its length in two bytes, big-endian. */
#include "fuzz.h"

#include "base/mem.h"
#include "base/thread.h"
#include "config/config.h"
#include "config/config_op.h"
#include "config/state.h"

#define OPS_MAX 64

/* Instead of the tables: writes are done after their operation. */
static struct table_write *writes;

void table_writer_add(struct table_writer *t, struct table_write *take_w)
{
    (void)t;
    REQUIRE(take_w->bytes > 0);
    take_w->next = writes;
    writes = take_w;
}

int table_writer_trouble(const struct table_writer *t, struct fail *fail)
{
    (void)t;
    (void)fail;
    return 0;
}

int table_writer_read(struct table_writer *t, struct db_job *take_job, struct fail *fail)
{
    (void)t;
    (void)take_job;
    return fail_set(fail, E_CLOSED, "no tables");
}

int table_writer_read_now(struct table_writer *t, struct db_job *take_job, struct fail *fail)
{
    return table_writer_read(t, take_job, fail);
}

static void end_writes(void)
{
    while (writes) {
        struct table_write *w = writes;
        writes = w->next;
        w->done(w);
    }
}

static void check_codec(struct span bytes)
{
    struct arena arena;
    arena_init(&arena, CONFIG_OP_ARENA_MAX);
    struct config_op op = {0};
    struct fail fail = {0};
    int err = config_op_decode(bytes, &arena, &op, &fail);
    if (err) {
        REQUIRE(err == E_PARSE);
        fuzz_check_fail(err, &fail);
        arena_close(&arena);
        return;
    }
    REQUIRE(config_op_check(&op, NULL) == 0);
    struct buf *first = config_op_encode(&op);
    struct config_op again = {0};
    REQUIRE(config_op_decode(buf_span(first), &arena, &again, &fail) == 0);
    struct buf *second = config_op_encode(&again);
    REQUIRE(again.kind == op.kind && again.time_ms == op.time_ms);
    REQUIRE(again.publish_count == op.publish_count);
    REQUIRE(span_eq(buf_span(first), buf_span(second)));
    for (size_t i = 0; i < op.publish_count; i++) {
        fuzz_touch(op.publish[i].content);
        fuzz_touch(op.publish[i].tags);
    }
    buf_unref(second);
    buf_unref(first);
    arena_close(&arena);
}

static void play(struct config *c, struct span rest)
{
    struct outbox out = {0};
    struct now now = {1000000, 1700000000000};
    for (unsigned i = 0; i < OPS_MAX && rest.len >= 2; i++) {
        size_t len = (size_t)(unsigned char)rest.data[0] << 8 | (unsigned char)rest.data[1];
        rest = span_of(rest.data + 2, rest.len - 2);
        len = len < rest.len ? len : rest.len;
        struct span op = span_of(rest.data, len);
        rest = span_of(rest.data + len, rest.len - len);
        check_codec(op);
        config_commit(c, i + 1, op, NULL, now, &out);
        config_check(c);
        if (i % 3 == 0) {
            end_writes();
        }
        config_turn(c, now, &out);
        config_check(c);
    }
    end_writes();
    config_check(c);
    outbox_close(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_core;
    if (!is_core) {
        thread_become(THREAD_CORE, "fuzz");
        is_core = true;
    }
    struct config_options options = {
        .memory_bytes_max = 64, .content_chars_max = 1000, .gray_max = 2};
    struct view *view = view_create();
    struct config *c = config_create(&options, view, NULL);
    play(c, span_of((const char *)data, size));
    struct outbox out = {0};
    config_stop(c, (struct now){0}, &out);
    outbox_close(&out);
    config_destroy(c);
    view_destroy(view);
    return 0;
}
