#include "bench/h2conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/clock.h"
#include "fake_grpc.h"

struct fixture {
    struct poller *poller;
    struct fake_grpc fake;
    struct h2conn *conn;
    struct frame frame;
    struct h2call call;
    unsigned open;
    unsigned done;
    unsigned messages;
    unsigned closed;
    char message[64];
    char why[256];
};

static void on_open(void *self)
{
    struct fixture *f = self;
    f->open++;
}

static void on_message(void *self, struct span message)
{
    struct fixture *f = self;
    struct frame_view view = {0};
    struct fail fail;
    assert_int_equal(frame_view_open(message, &view, &fail), 0);
    f->messages++;
    (void)snprintf(f->message, sizeof(f->message), "%.*s", SPAN_ARG(view.body));
    frame_view_close(&view);
}

static void on_closed(void *self, const struct fail *why)
{
    struct fixture *f = self;
    f->closed++;
    (void)snprintf(f->why, sizeof(f->why), "%s", fail_text(why));
}

static const struct h2conn_ops ops = {on_open, on_message, on_closed};

static void on_done(struct h2call *call)
{
    CONTAINER_OF(call, struct fixture, call)->done++;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct fail fail;
    if (poller_create(&f->poller, &fail)) {
        return -1;
    }
    fake_grpc_open(&f->fake, f->poller);
    if (h2conn_create(f->poller, f->fake.address, &ops, f, &f->conn, &fail)) {
        return -1;
    }
    frame_build(&f->frame, "AnyRequest", SPAN("{}"), NULL);
    f->call.request = frame_span(&f->frame);
    f->call.done = on_done;
    *state = f;
    return turn_until(f->poller, &f->open, 1) ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    h2conn_destroy(f->conn);
    h2conn_destroy(NULL);
    h2call_close(&f->call);
    fake_grpc_close(&f->fake);
    poller_destroy(f->poller);
    frame_close(&f->frame);
    free(f);
    return 0;
}

/* Make one call; its verdict. */
static int ask(struct fixture *f, struct fail *fail)
{
    struct span message = {0};
    *fail = (struct fail){0};
    f->done = 0;
    assert_int_equal(h2conn_call(f->conn, &f->call), 0);
    assert_true(turn_until(f->poller, &f->done, 1));
    int err = h2call_reply(&f->call, &message, fail);
    return err ? err : frame_expect(message, SPAN("\"resultCode\":200"), fail);
}

static void test_call__reply_is_the_message(void **state)
{
    struct fixture *f = *state;
    struct fail fail;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(ask(f, &fail), 0);
    }
    assert_int_equal(f->fake.requests, 5);
    assert_int_equal(f->fake.opened, 1);
}

static void test_call__long_request_and_reply(void **state)
{
    struct fixture *f = *state;
    struct fail fail;
    size_t len = 3000000;
    char *body = calloc(1, len + 1);
    memset(body, 'x', len);
    memcpy(body, "\"resultCode\":200", 16);
    f->fake.reply_body = body;
    frame_build(&f->frame, "AnyRequest", span_of(body, len), NULL);
    f->call.request = frame_span(&f->frame);
    assert_int_equal(ask(f, &fail), 0);
    assert_true(f->call.reply.len > len);
    assert_int_equal(ask(f, &fail), 0);
    free(body);
}

static void test_call__every_bad_end_has_its_text(void **state)
{
    struct fixture *f = *state;
    struct fail fail;
    f->fake.grpc_status = 12;
    assert_int_equal(ask(f, &fail), E_IO);
    assert_string_equal(fail_text(&fail), "gRPC status 12: because");
    f->fake.grpc_status = 0;
    f->fake.http_status = 502;
    assert_int_equal(ask(f, &fail), E_IO);
    assert_string_equal(fail_text(&fail), "HTTP status 502");
    f->fake.http_status = 0;
    f->fake.no_status = true;
    assert_int_equal(ask(f, &fail), E_IO);
    assert_string_equal(fail_text(&fail), "no grpc-status");
    f->fake.no_status = false;
    f->fake.cuts = true;
    assert_int_equal(ask(f, &fail), E_PARSE);
    f->fake.cuts = false;
    f->fake.resets = true;
    assert_int_equal(ask(f, &fail), E_IO);
    assert_string_equal(fail_text(&fail), "stream reset, HTTP/2 error code 11");
    f->fake.resets = false;
    assert_int_equal(ask(f, &fail), 0);
}

static void test_close__tells_the_call_and_the_owner_once(void **state)
{
    struct fixture *f = *state;
    struct span message = {0};
    struct fail fail = {0};
    f->fake.silent = true;
    assert_int_equal(h2conn_call(f->conn, &f->call), 0);
    assert_true(turn_until(f->poller, &f->fake.requests, 1));
    fake_grpc_drop(&f->fake);
    assert_true(turn_until(f->poller, &f->closed, 1));
    assert_int_equal(f->done, 1);
    assert_int_equal(h2call_reply(&f->call, &message, &fail), E_CLOSED);
    assert_non_null(strstr(fail_text(&fail), "connection lost"));
    assert_int_equal(h2conn_call(f->conn, &f->call), E_CLOSED);
    assert_int_equal(h2conn_open_stream(f->conn), E_CLOSED);
    h2conn_send(f->conn, frame_span(&f->frame));
    poller_turn(f->poller, 0);
    assert_int_equal(f->closed, 1);
}

static void test_stream__messages_both_ways(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(h2conn_open_stream(f->conn), 0);
    h2conn_send(f->conn, frame_span(&f->frame));
    h2conn_send(f->conn, frame_span(&f->frame));
    assert_true(turn_until(f->poller, &f->fake.acks, 2));
    fake_grpc_push(&f->fake, "A", "one");
    fake_grpc_push(&f->fake, "A", "two");
    assert_true(turn_until(f->poller, &f->messages, 2));
    assert_string_equal(f->message, "two");
    h2conn_send(f->conn, frame_span(&f->frame));
    assert_true(turn_until(f->poller, &f->fake.acks, 3));
}

static void test_stream__a_message_in_two_pieces(void **state)
{
    struct fixture *f = *state;
    struct frame frame = {0};
    frame_build(&frame, "A", SPAN("pieces"), NULL);
    assert_int_equal(h2conn_open_stream(f->conn), 0);
    h2conn_send(f->conn, frame_span(&f->frame));
    assert_true(turn_until(f->poller, &f->fake.acks, 1));
    fake_grpc_raw(&f->fake, span_of(frame.data, 7));
    for (unsigned i = 0; i < 3; i++) {
        poller_turn(f->poller, clock_mono_ns() + 2000000);
    }
    assert_int_equal(f->messages, 0);
    fake_grpc_raw(&f->fake, span_of(frame.data + 7, frame.len - 7));
    assert_true(turn_until(f->poller, &f->messages, 1));
    assert_string_equal(f->message, "pieces");
    frame_close(&frame);
}

static void test_stream__its_end_closes_the_connection(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(h2conn_open_stream(f->conn), 0);
    h2conn_send(f->conn, frame_span(&f->frame));
    assert_true(turn_until(f->poller, &f->fake.acks, 1));
    fake_grpc_end_streams(&f->fake, 14);
    assert_true(turn_until(f->poller, &f->closed, 1));
    assert_non_null(strstr(f->why, "grpc-status 14"));
}

static void test_stream__unbelievable_length_closes_the_connection(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(h2conn_open_stream(f->conn), 0);
    h2conn_send(f->conn, frame_span(&f->frame));
    assert_true(turn_until(f->poller, &f->fake.acks, 1));
    fake_grpc_raw(&f->fake, span_of("\0\xFF\xFF\xFF\xFFx", 6));
    assert_true(turn_until(f->poller, &f->closed, 1));
    assert_non_null(strstr(f->why, "over the limit"));
}

static void test_stream__compressed_message_closes_the_connection(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(h2conn_open_stream(f->conn), 0);
    h2conn_send(f->conn, frame_span(&f->frame));
    assert_true(turn_until(f->poller, &f->fake.acks, 1));
    fake_grpc_raw(&f->fake, span_of("\1\0\0\0\0", 5));
    assert_true(turn_until(f->poller, &f->closed, 1));
    assert_non_null(strstr(f->why, "compressed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_call__reply_is_the_message, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call__long_request_and_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call__every_bad_end_has_its_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close__tells_the_call_and_the_owner_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_stream__messages_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream__a_message_in_two_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream__its_end_closes_the_connection, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_stream__unbelievable_length_closes_the_connection,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream__compressed_message_closes_the_connection,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
