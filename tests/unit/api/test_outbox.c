#include "api/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/call.h"
#include "base/log.h"
#include "base/mem.h"

static struct body body_of(struct buf *b)
{
    struct body body = {0};
    body_add_buf(&body, buf_ref(b));
    return body;
}

static void test_outbox__keeps_effects_in_their_order(void **state)
{
    (void)state;
    struct outbox o = {0};
    struct api_call call = {0};
    struct buf *b = buf_create(SPAN("x"));
    struct body ack = body_of(b);
    outbox_accept(&o, 5, &ack);
    struct body push = body_of(b);
    outbox_push_one(&o, "NotifySubscriberRequest", &push, 6);
    outbox_close_conn(&o, 7, CONN_END_EXHAUSTED, SPAN("over the limit"));
    outbox_propose(&o, CONSENSUS_NAMING, buf_ref(b), &call);
    outbox_trace(&o, "naming", "event=%s n=%d", "x", 3);
    outbox_reply(&o, &call);
    struct body frame = body_of(b);
    outbox_peer(&o, 9, PEER_RAFT, &frame);
    assert_int_equal(o.list[6].u.peer.node, 9);
    assert_int_equal(o.list[6].u.peer.kind, PEER_RAFT);
    assert_int_equal(frame.parts, 0);
    assert_int_equal(o.count, 7);
    assert_int_equal(ack.parts, 0);
    assert_int_equal(o.list[0].kind, EFFECT_CONN_ACCEPT);
    assert_int_equal(o.list[0].u.accept.conn, 5);
    assert_int_equal(o.list[1].kind, EFFECT_PUSH);
    assert_int_equal(o.list[1].u.push.count, 1);
    assert_int_equal(o.list[1].u.push.conns[0], 6);
    assert_int_equal(o.list[2].u.close.how, CONN_END_EXHAUSTED);
    assert_true(span_eq(buf_span(o.list[2].u.close.why), SPAN("over the limit")));
    assert_ptr_equal(o.list[3].u.propose.waiting, &call);
    assert_true(span_eq(buf_span(o.list[4].u.trace.text), SPAN("event=x n=3")));
    assert_ptr_equal(o.list[5].u.reply.call, &call);
    outbox_close(&o);
    assert_int_equal(o.count, 0);
    assert_int_equal(b->refs, 1);
    buf_unref(b);
}

static void test_outbox_clear__releases_the_tail_only(void **state)
{
    (void)state;
    struct outbox o = {0};
    struct buf *b = buf_create(SPAN("x"));
    for (int i = 0; i < 3; i++) {
        struct body body = body_of(b);
        outbox_push_one(&o, "T", &body, 1);
    }
    assert_int_equal(b->refs, 4);
    outbox_clear(&o, 1);
    assert_int_equal(o.count, 1);
    assert_int_equal(b->refs, 2);
    outbox_clear(&o, 1);
    assert_int_equal(b->refs, 2);
    outbox_close(&o);
    assert_int_equal(b->refs, 1);
    buf_unref(b);
}

static void test_outbox__grows_and_keeps_its_memory(void **state)
{
    (void)state;
    struct outbox o = {0};
    struct api_call call = {0};
    for (int i = 0; i < 1000; i++) {
        outbox_reply(&o, &call);
    }
    assert_int_equal(o.count, 1000);
    size_t cap = o.cap;
    outbox_clear(&o, 0);
    assert_int_equal(o.cap, cap);
    outbox_close(&o);
    assert_null(o.list);
}

static void test_outbox_trace__longer_than_a_line__is_cut(void **state)
{
    (void)state;
    struct outbox o = {0};
    char *text = mem_zalloc(1, 3 * LOG_LINE_MAX);
    memset(text, 'a', 3 * LOG_LINE_MAX - 1);
    outbox_trace(&o, "s", "%s", text);
    assert_int_equal(buf_span(o.list[0].u.trace.text).len, LOG_LINE_MAX - 1);
    mem_free(text);
    outbox_close(&o);
}

static bool is_first(void *self, struct api_call *call)
{
    return call == self;
}

static void test_outbox_take_replies__takes_those_that_are_wanted(void **state)
{
    (void)state;
    struct outbox o = {0};
    struct api_call a = {0};
    struct api_call b = {0};
    outbox_reply(&o, &b);
    outbox_trace(&o, "s", "between");
    outbox_reply(&o, &a);
    outbox_reply(&o, &b);
    outbox_take_replies(&o, is_first, &a);
    assert_int_equal(o.count, 3);
    assert_ptr_equal(o.list[0].u.reply.call, &b);
    assert_int_equal(o.list[1].kind, EFFECT_TRACE);
    assert_ptr_equal(o.list[2].u.reply.call, &b);
    outbox_close(&o);
}

static void test_outbox_accept__without_an_ack__has_an_empty_body(void **state)
{
    (void)state;
    struct outbox o = {0};
    struct body none = {0};
    outbox_accept(&o, 9, &none);
    assert_int_equal(o.list[0].u.accept.setup_ack.parts, 0);
    outbox_close(&o);
}

static void test_outbox_take_reply__takes_that_one_and_keeps_the_others(void **state)
{
    (void)state;
    struct outbox o = {0};
    struct api_call a = {0};
    struct api_call b = {0};
    outbox_reply(&o, &a);
    outbox_trace(&o, "s", "between");
    outbox_reply(&o, &b);
    outbox_trace(&o, "s", "after");
    assert_false(outbox_take_reply(&o, 1, &a)); /* emitted before */
    assert_true(outbox_take_reply(&o, 1, &b));
    assert_false(outbox_take_reply(&o, 1, &b));
    assert_int_equal(o.count, 3);
    assert_ptr_equal(o.list[0].u.reply.call, &a);
    assert_int_equal(o.list[1].kind, EFFECT_TRACE);
    assert_true(span_eq(buf_span(o.list[2].u.trace.text), SPAN("after")));
    outbox_close(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outbox__keeps_effects_in_their_order),
        cmocka_unit_test(test_outbox_clear__releases_the_tail_only),
        cmocka_unit_test(test_outbox__grows_and_keeps_its_memory),
        cmocka_unit_test(test_outbox_trace__longer_than_a_line__is_cut),
        cmocka_unit_test(test_outbox_take_reply__takes_that_one_and_keeps_the_others),
        cmocka_unit_test(test_outbox_take_replies__takes_those_that_are_wanted),
        cmocka_unit_test(test_outbox_accept__without_an_ack__has_an_empty_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
