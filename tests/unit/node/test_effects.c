/* Performing effects: each once, and nothing left over. */
#include "node/effects.h"

#include "../base/expect_abort.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/call.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

/* A call that counts how often it was given back. */
struct counted {
    struct api_call call;
    unsigned delivered;
};

static const struct effects_edge nobody = {0};

static void deliver(struct api_call *call)
{
    CONTAINER_OF(call, struct counted, call)->delivered++;
}

static void test_reply__is_delivered_once(void **state)
{
    (void)state;
    struct outbox out = {0};
    struct counted calls[3] = {0};
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        calls[i].call.deliver = deliver;
        outbox_reply(&out, &calls[i].call);
    }
    effects_perform(&out, &nobody, NULL);
    effects_perform(&out, &nobody, NULL);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        assert_int_equal(calls[i].delivered, 1);
    }
    assert_int_equal(out.count, 0);
    outbox_close(&out);
}

/* What a reply's receiver does with the call is its own business: it may free it at once. */
static void deliver_and_free(struct api_call *call)
{
    mem_free(CONTAINER_OF(call, struct counted, call));
}

static void test_reply__may_free_its_call(void **state)
{
    (void)state;
    struct outbox out = {0};
    struct counted *c = mem_zalloc(1, sizeof(*c));
    c->call.deliver = deliver_and_free;
    outbox_reply(&out, &c->call);
    effects_perform(&out, &nobody, NULL);
    outbox_close(&out);
}

struct performed {
    enum effect_kind kinds[8];
    size_t count;
};

static void note(void *self, struct effect *e)
{
    struct performed *p = self;
    p->kinds[p->count++] = e->kind;
}

/* What the edge leaves in an effect is let go. */
static void test_edge__gets_pushes_and_connection_effects_and_nothing_else(void **state)
{
    (void)state;
    struct outbox out = {0};
    struct performed p = {0};
    const struct effects_edge edge = {&p, note};
    struct counted call = {.call = {.deliver = deliver}};
    struct body push = {0};
    struct body ack = {0};
    body_add_buf(&push, buf_create(SPAN("push")));
    outbox_reply(&out, &call.call);
    outbox_push_one(&out, "Type", &push, 7);
    outbox_accept(&out, 7, &ack);
    outbox_close_conn(&out, 7, CONN_END_UNAVAILABLE, SPAN("bye"));
    effects_perform(&out, &edge, NULL);
    assert_int_equal(p.count, 3);
    assert_int_equal(p.kinds[0], EFFECT_PUSH);
    assert_int_equal(p.kinds[1], EFFECT_CONN_ACCEPT);
    assert_int_equal(p.kinds[2], EFFECT_CONN_CLOSE);
    assert_int_equal(call.delivered, 1);
    assert_null(effects_edge_rpc(NULL).perform);
    outbox_close(&out);
}

/* Without an edge nobody is there to push to; what the effects carry is let go all the same. */
static void test_effects__without_an_edge__let_go_what_they_carry(void **state)
{
    (void)state;
    struct outbox out = {0};
    struct buf *bytes = buf_create(SPAN("shared by all"));
    struct body body = {0};
    body_add_buf(&body, buf_ref(bytes));
    uint64_t *conns = mem_zalloc(2, sizeof(*conns));
    outbox_push(&out, "NotifySubscriberRequest", &body, conns, 2);
    body_add_buf(&body, buf_ref(bytes));
    outbox_push_one(&out, "ClientDetectionRequest", &body, 7);
    body_add_buf(&body, buf_ref(bytes));
    outbox_accept(&out, 7, &body);
    outbox_close_conn(&out, 7, CONN_END_UNAVAILABLE, SPAN("why"));
    assert_int_equal(out.count, 4);
    effects_perform(&out, &nobody, NULL);
    assert_int_equal(out.count, 0);
    assert_int_equal(atomic_load(&bytes->refs), 1);
    buf_unref(bytes);
    outbox_close(&out);
}

static void test_trace__is_a_line_of_the_log(void **state)
{
    (void)state;
    char path[] = "/tmp/nacre-effects-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(log_open(path, 1 << 20), 0);
    struct outbox out = {0};
    outbox_trace(&out, "naming", "event=instance_removed instance=%s percent=%%s", "10.0.0.1:80");
    effects_perform(&out, &nobody, NULL);
    assert_int_equal(log_open(NULL, 0), 0);
    char text[512] = "";
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    assert_non_null(
        strstr(text, "INFO naming event=instance_removed instance=10.0.0.1:80 percent=%s\n"));
    close(fd);
    unlink(path);
    outbox_close(&out);
}

static void test_propose__taken_before__is_nothing_more(void **state)
{
    (void)state;
    struct outbox out = {0};
    outbox_propose(&out, CONSENSUS_NAMING, buf_create(SPAN("op")), NULL);
    buf_unref(out.list[0].u.propose.op);
    out.list[0].u.propose.op = NULL;
    effects_perform(&out, &nobody, NULL);
    assert_int_equal(out.count, 0);
    outbox_close(&out);
}

static void propose_left_over(void)
{
    struct outbox out = {0};
    outbox_propose(&out, CONSENSUS_NAMING, buf_create(SPAN("op")), NULL);
    effects_perform(&out, &nobody, NULL);
}

/* An operation that nobody took would be lost without a word. */
static void test_propose__left_over__is_a_bug(void **state)
{
    (void)state;
    assert_true(aborts(propose_left_over));
}

int main(void)
{
    thread_become(THREAD_CORE, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reply__is_delivered_once),
        cmocka_unit_test(test_reply__may_free_its_call),
        cmocka_unit_test(test_edge__gets_pushes_and_connection_effects_and_nothing_else),
        cmocka_unit_test(test_effects__without_an_edge__let_go_what_they_carry),
        cmocka_unit_test(test_trace__is_a_line_of_the_log),
        cmocka_unit_test(test_propose__taken_before__is_nothing_more),
        cmocka_unit_test(test_propose__left_over__is_a_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
