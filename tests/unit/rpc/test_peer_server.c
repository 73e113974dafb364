#include "rpc/peer_server.h"

#include "base/mem.h"
#include "links_rig.h"

/* One node, and a member that speaks by hand. */

static struct node *a;
static struct node *liar;

static int setup(void **state)
{
    (void)state;
    a = node_open();
    liar = node_open();
    node_start(a, 0);
    node_list(a, 0, rig_free_port(), 0, &liar->identity.id);
    node_apply(a);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    node_close(liar);
    node_close(a);
    return 0;
}

static struct raw_call *open_call(void)
{
    return raw_open(a->port, &liar->identity, NULL);
}

/* The stream ends with this status and a text that contains why; no frame came in. */
static void expect_end(struct raw_call *call, grpc_status_code status, const char *why)
{
    const char *text = NULL;
    assert_int_equal(raw_status(call, &text), status);
    if (!strstr(text, why)) {
        fail_msg("expected \"%s\", got: %s", why, text);
    }
    raw_close(call);
}

static void test_hello__good__is_taken_and_frames_follow(void **state)
{
    (void)state;
    struct raw_call *call = open_call();
    assert_true(raw_hello(call, LINK_VERSION, &liar->identity.id, 1));
    assert_true(raw_is_accepted(call));
    assert_true(raw_send(call, "\x12\x02\x08\x01\x12\x05\x08\x02\x12\x01x", 11));
    SOON(1000, a->frames == 2);
    assert_true(a->bytes == 1);
    raw_finish(call);
    expect_end(call, GRPC_STATUS_OK, "");
    assert_int_equal(links_counters(a->links)->refused_frames, 0);
}

static void test_hello__another_version__is_told(void **state)
{
    (void)state;
    struct raw_call *call = open_call();
    assert_true(raw_hello(call, LINK_VERSION + 1, &liar->identity.id, 1));
    assert_false(raw_is_accepted(call));
    expect_end(call, GRPC_STATUS_FAILED_PRECONDITION,
               "expected version 1 of the peer protocol, got 2");
    assert_int_equal(links_counters(a->links)->refused_frames, 1);
}

static void test_hello__id_of_somebody_else__is_refused(void **state)
{
    (void)state;
    struct raw_call *call = open_call();
    assert_true(raw_hello(call, LINK_VERSION, &a->identity.id, 1));
    assert_false(raw_is_accepted(call));
    expect_end(call, GRPC_STATUS_UNAUTHENTICATED, "not that of the TLS key");
}

static void test_hello__missing_twice_or_garbage__is_refused(void **state)
{
    (void)state;
    struct raw_call *call = open_call();
    (void)raw_send(call, "\x12\x02\x08\x01", 4);
    expect_end(call, GRPC_STATUS_INVALID_ARGUMENT, "expected a hello alone");
    call = open_call();
    (void)raw_send(call, "\xff\xff", 2);
    expect_end(call, GRPC_STATUS_INVALID_ARGUMENT, "no hello");
    call = open_call();
    assert_true(raw_hello(call, LINK_VERSION, &liar->identity.id, 2));
    assert_true(raw_is_accepted(call));
    (void)raw_hello(call, LINK_VERSION, &liar->identity.id, 3);
    expect_end(call, GRPC_STATUS_INVALID_ARGUMENT, "no row of whole frames");
    assert_int_equal(links_counters(a->links)->refused_frames, 3);
    assert_int_equal(a->frames, 0);
}

static void test_hello__half_closed_before_it__ends_politely(void **state)
{
    (void)state;
    struct raw_call *call = open_call();
    assert_true(raw_hello(call, LINK_VERSION, &liar->identity.id, 1));
    raw_finish(call);
    expect_end(call, GRPC_STATUS_OK, "");
    assert_int_equal(a->frames, 0);
}

/* All of a message is looked at before the first frame of it is delivered. */
static void test_frames__last_one_malformed__none_is_delivered(void **state)
{
    (void)state;
    struct raw_call *call = open_call();
    assert_true(raw_hello(call, LINK_VERSION, &liar->identity.id, 1));
    assert_true(raw_is_accepted(call));
    (void)raw_send(call, "\x12\x02\x08\x01\x12\x02\x08\x00", 8);
    expect_end(call, GRPC_STATUS_INVALID_ARGUMENT, "frame.kind: expected 1 to 255, got 0");
    assert_int_equal(a->frames, 0);
}

static void test_frames__empty_message__is_nothing(void **state)
{
    (void)state;
    struct raw_call *call = open_call();
    assert_true(raw_hello(call, LINK_VERSION, &liar->identity.id, 1));
    assert_true(raw_is_accepted(call));
    assert_true(raw_send(call, "", 0));
    assert_true(raw_send(call, "\x12\x02\x08\x01", 4));
    SOON(1000, a->frames == 1);
    raw_close(call);
}

static void test_frames__message_over_the_limit__ends_the_stream(void **state)
{
    (void)state;
    struct raw_call *call = open_call();
    assert_true(raw_hello(call, LINK_VERSION, &liar->identity.id, 1));
    assert_true(raw_is_accepted(call));
    size_t len = LINKS_MESSAGE_MAX + 1;
    char *bytes = mem_zalloc(1, len);
    (void)raw_send(call, bytes, len);
    mem_free(bytes);
    assert_int_not_equal(raw_status(call, NULL), GRPC_STATUS_OK);
    raw_close(call);
    SOON(1000, links_counters(a->links)->refused_frames == 1);
    assert_int_equal(a->frames, 0);
}

static void test_method__unknown__is_unimplemented(void **state)
{
    (void)state;
    struct raw_call *call = raw_open(a->port, &liar->identity, "/Request/request");
    expect_end(call, GRPC_STATUS_UNIMPLEMENTED, "peers know one method");
    SOON(1000, links_counters(a->links)->refused_frames == 1);
}

/* The connection is older than the pins. */
static void test_pin_taken_away__open_stream_and_new_calls__are_refused(void **state)
{
    (void)state;
    struct raw_call *call = open_call();
    assert_true(raw_hello(call, LINK_VERSION, &liar->identity.id, 1));
    assert_true(raw_is_accepted(call));
    node_unlist(a, 0);
    node_apply(a);
    expect_end(call, GRPC_STATUS_PERMISSION_DENIED, "not a member any more");
    call = open_call();
    assert_int_equal(raw_status(call, NULL), GRPC_STATUS_UNAVAILABLE);
    raw_close(call);
    assert_int_equal(a->frames, 0);
}

static void test_stop__streams_without_a_hello__do_not_hold_it(void **state)
{
    (void)state;
    struct raw_call *call = open_call();
    assert_true(raw_hello(call, LINK_VERSION, &liar->identity.id, 1));
    assert_true(raw_is_accepted(call));
    uint64_t begun_ms = clock_mono_ms();
    node_stop(a, 2000);
    assert_true(clock_mono_ms() - begun_ms < 4000);
    assert_int_equal(raw_status(call, NULL), GRPC_STATUS_UNAVAILABLE);
    raw_close(call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        WITH(test_hello__good__is_taken_and_frames_follow),
        WITH(test_hello__another_version__is_told),
        WITH(test_hello__id_of_somebody_else__is_refused),
        WITH(test_hello__missing_twice_or_garbage__is_refused),
        WITH(test_hello__half_closed_before_it__ends_politely),
        WITH(test_frames__last_one_malformed__none_is_delivered),
        WITH(test_frames__empty_message__is_nothing),
        WITH(test_frames__message_over_the_limit__ends_the_stream),
        WITH(test_method__unknown__is_unimplemented),
        WITH(test_pin_taken_away__open_stream_and_new_calls__are_refused),
        WITH(test_stop__streams_without_a_hello__do_not_hold_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
