/* The thirteen rules of grpc-core-in-c.md 0, by number, as far as a test can see them. 10 is about
 * TLS, which this port does not speak yet; 13 is tests/lint/include_direction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "grpc_client.h"
#include "raw.h"
#include "rig.h"
#include "rpc/edge.h"
#include "rpc/peers.h"
#include "rpc/registry.h"

static struct rig *rig;
static struct client *client;

static int setup(void **state)
{
    (void)state;
    rig = rig_start(NULL);
    client = client_open(rig_port(rig), NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    client_close(client);
    rig_stop(rig);
    return 0;
}

static void assert_answers(struct client *c)
{
    struct client_reply r = client_ask(c, "ServerCheckRequest", "{}");
    assert_int_equal(r.status, GRPC_STATUS_OK);
    assert_string_equal(r.message.type, "ServerCheckResponse");
    client_reply_close(&r);
}

/* More than are armed, so that the slots are armed again. */
static void test_rule_01__unknown_method__answers_unimplemented(void **state)
{
    (void)state;
    static const char *const methods[] = {"/RequestStream/requestStream", "/Request/other", "/x"};
    for (size_t i = 0; i < 60; i++) {
        struct client_reply r = client_ask_raw(client, methods[i % 3], "", 0);
        assert_int_equal(r.status, GRPC_STATUS_UNIMPLEMENTED);
        assert_non_null(strstr(r.details, methods[i % 3]));
        client_reply_close(&r);
    }
    assert_answers(client);
    /* A name of 7 kB is cut in the answer. */
    char *method = calloc(1, 7001);
    memset(method, 'm', 7000);
    method[0] = '/';
    struct client_reply r = client_ask_raw(client, method, "", 0);
    assert_int_equal(r.status, GRPC_STATUS_UNIMPLEMENTED);
    assert_true(strlen(r.details) < 200);
    client_reply_close(&r);
    free(method);
}

/* The stream has its own RECV_CLOSE; a call that waits in the core has one too, and is answered
 * into the void. */
static void test_rule_02__client_dies__stream_and_waiting_call_end(void **state)
{
    (void)state;
    struct client *doomed = client_open(rig_port(rig), NULL);
    struct client_stream *s = client_register(doomed, NULL);
    struct client_call *call = client_start(doomed, "LaterRequest", "{}");
    assert_true(rig_wait(rig, RIG_HELD, 1));
    uint64_t cut_ms = clock_mono_ms();
    client_cut(doomed);
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    assert_true(clock_mono_ms() - cut_ms < 1000); /* K9 */
    struct client_reply r = client_finish(call);
    assert_int_equal(r.status, GRPC_STATUS_UNAVAILABLE);
    client_reply_close(&r);
    client_stream_close(s);
    client_close(doomed);
    assert_int_equal(rig_release(rig), 1);
    assert_answers(client);
    rig_stop_edge(rig, 5000); /* nothing is left to hold it */
}

static void test_rule_02__cancelled_while_the_core_has_it__ends(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    for (int i = 0; i < 50; i++) {
        struct client_call *call = client_start(client, "LaterRequest", "{}");
        client_cancel(call);
        struct client_reply r = client_finish(call);
        assert_int_equal(r.status, GRPC_STATUS_CANCELLED);
        client_reply_close(&r);
    }
    assert_answers(client);
    rig_release(rig);
    client_stream_close(s);
    /* Calls that are still on their way into the core come back when the edge waits for them. */
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    rig_release(rig);
}

static void test_rule_03__half_close__is_answered_and_death_is_not(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    client_stream_half_close(s);
    assert_int_equal(client_stream_status(s, NULL), GRPC_STATUS_OK);
    client_stream_close(s);
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    struct client *doomed = client_open(rig_port(rig), NULL);
    s = client_register(doomed, NULL);
    client_cut(doomed);
    assert_int_equal(client_stream_status(s, NULL), GRPC_STATUS_UNAVAILABLE);
    assert_true(rig_wait(rig, RIG_CLOSED, 2));
    client_stream_close(s);
    client_close(doomed);
    assert_int_equal(rig_count(rig, RIG_CLOSED), 2); /* each once */
}

/* After a cut the peer text reads "unknown": the entry could not be removed if it were asked then.
 */
static void test_rule_04__peer_text__is_the_one_of_the_arrival(void **state)
{
    (void)state;
    const struct rpc *r = rig_rpc(rig);
    for (size_t i = 1; i <= 10; i++) {
        struct client *doomed = client_open(rig_port(rig), NULL);
        struct client_stream *s = client_register(doomed, NULL);
        client_cut(doomed);
        client_stream_close(s);
        client_close(doomed);
        assert_true(rig_key(rig, RIG_OPENED, i) == rig_key(rig, RIG_CLOSED, i));
    }
    assert_int_equal(peers_count(r->peers), 0);
    assert_int_equal(registry_count(r->registry), 0);
}

static void test_rule_05__bound_port__is_refused_to_a_second(void **state)
{
    (void)state;
    struct rpc_options options = rig_rpc(rig)->options;
    options.port = rig_port(rig);
    struct rpc *second = NULL;
    struct fail fail = {0};
    assert_int_equal(rpc_create(&options, &second, &fail), E_IO);
    assert_null(second);
    char wanted[32];
    snprintf(wanted, sizeof(wanted), "127.0.0.1:%d", rig_port(rig));
    assert_non_null(strstr(fail_text(&fail), wanted));
    assert_non_null(strstr(fail_text(&fail), "Address already in use"));
    options.bind = "no address";
    assert_int_equal(rpc_create(&options, &second, &fail), E_IO);
    assert_answers(client);
}

/* Who comes when descriptors run out is turned away; who is connected does not notice; and when
 * there is room again, clients come in as before (C-core alone would never accept again). */
static void test_rule_06__file_limit_reached__only_newcomers_are_refused(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    struct rlimit before = {0};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int highest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct rlimit low = {.rlim_cur = (rlim_t)highest + 30, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    int fds[15]; /* two descriptors each: one here, one in the server */
    size_t count = 0;
    bool refused = false;
    while (!refused) {
        assert_true(count < ARRAY_LEN(fds));
        fds[count] = raw_open(rig_port(rig));
        refused = !raw_hello(fds[count]) || raw_count(fds[count], RAW_SETTINGS, 100) < 0;
        count++;
    }
    assert_true(count > 1);
    for (int i = 0; i < 20; i++) {
        struct client_reply r = client_ask(client, "EchoRequest", "{\"text\":\"still here\"}");
        assert_int_equal(r.status, GRPC_STATUS_OK);
        assert_string_equal(r.message.type, "EchoResponse");
        client_reply_close(&r);
    }
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    rig_push(rig, &key, 1, 1, 0);
    assert_non_null(client_stream_next(s, CLIENT_WAIT_MS));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    while (count > 0) {
        (void)close(fds[--count]);
    }
    (void)close(highest);
    struct client *late = client_open(rig_port(rig), NULL);
    client_stream_close(client_register(late, NULL));
    client_close(late);
    client_stream_close(s);
}

/* Lets nobody have another descriptor, in the whole process, until unlock. */
struct locked {
    struct rlimit before;
    int highest;
    int holes[64];
    size_t count;
};

static struct locked lock_descriptors(void)
{
    struct locked l = {.highest = open("/dev/null", O_RDONLY | O_CLOEXEC)};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &l.before), 0);
    struct rlimit low = {.rlim_cur = (rlim_t)l.highest + 1, .rlim_max = l.before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (l.count < ARRAY_LEN(l.holes) && (l.holes[l.count] = dup(l.highest)) >= 0) {
        l.count++;
    }
    return l;
}

static void unlock_descriptors(struct locked *l)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &l->before), 0);
    while (l->count > 0) {
        (void)close(l->holes[--l->count]);
    }
    (void)close(l->highest);
}

static void assert_lets_in(void)
{
    struct client *late = client_open(rig_port(rig), NULL);
    client_stream_close(client_register(late, NULL));
    client_close(late);
}

/* Not even the reserve is left: the door gives up its own spare descriptor to say so, time and
 * again, and the listener lives. */
static void test_rule_06__no_descriptor_at_all__newcomers_are_told(void **state)
{
    (void)state;
    if (!rpc_door(rig_rpc(rig))) {
        skip(); /* C-core listens: the next test */
    }
    int fds[5];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = raw_socket();
    }
    struct locked l = lock_descriptors();
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        char words[64] = "";
        assert_true(raw_connect(fds[i], rig_port(rig)));
        assert_int_equal(recv(fds[i], words, sizeof(words), 0), 46);
        assert_memory_equal(words + 26, "too many connections", 20); /* behind two frames' heads */
        assert_true(raw_closed(fds[i], 1000));
    }
    unlock_descriptors(&l);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        (void)close(fds[i]); /* not before: it would have helped the server */
    }
    assert_lets_in();
}

/* Where C-core listens itself the newcomer waits in the backlog, and the listener lives too. */
static void test_rule_06__no_descriptor_at_all__without_the_door__they_wait(void **state)
{
    (void)state;
    client_close(client);
    rig_stop(rig);
    rig = rig_start(&(struct rig_options){.no_door = true});
    client = client_open(rig_port(rig), NULL);
    assert_null(rpc_door(rig_rpc(rig)));
    int waiting = raw_socket();
    struct locked l = lock_descriptors();
    assert_true(raw_connect(waiting, rig_port(rig)));
    assert_true(raw_hello(waiting));
    assert_false(raw_closed(waiting, 200));
    unlock_descriptors(&l);
    assert_lets_in();
    assert_true(raw_count(waiting, RAW_SETTINGS, 500) > 0); /* it was let in with the next */
    (void)close(waiting);
}

/* Nothing waits on a queue's thread: calls that the core keeps, of all clients, hold up nobody. */
static void test_rule_07__calls_that_wait__hold_nobody_up(void **state)
{
    (void)state;
    struct client *clients[8];
    struct client_stream *streams[8];
    struct client_call *calls[8][20];
    for (size_t i = 0; i < 8; i++) {
        clients[i] = client_open(rig_port(rig), NULL);
        streams[i] = client_register(clients[i], NULL);
        for (size_t k = 0; k < 20; k++) {
            calls[i][k] = client_start(clients[i], "LaterRequest", "{}");
        }
    }
    assert_true(rig_wait(rig, RIG_HELD, 160));
    for (size_t i = 0; i < 8; i++) {
        assert_answers(clients[i]);
    }
    assert_int_equal(rig_release(rig), 160);
    for (size_t i = 0; i < 8; i++) {
        for (size_t k = 0; k < 20; k++) {
            struct client_reply r = client_finish(calls[i][k]);
            assert_int_equal(r.status, GRPC_STATUS_OK);
            client_reply_close(&r);
        }
        client_stream_close(streams[i]);
        client_close(clients[i]);
    }
}

static void test_rule_08__pushes_faster_than_the_wire__wait_in_order(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    for (uint64_t id = 1; id <= 400; id++) {
        rig_push(rig, &key, 1, id, 20000);
    }
    for (unsigned id = 1; id <= 400; id++) {
        const struct client_message *m = client_stream_next(s, CLIENT_WAIT_MS);
        assert_non_null(m);
        assert_int_equal(strtoul(client_json_text(m->json, "requestId"), NULL, 10), id);
    }
    client_stream_close(s);
}

/* The client never reads: past the bound its stream ends, and what waited is freed. Others do not
 * notice. */
static void never_reads(size_t pad, size_t pushes)
{
    struct client_options options = {.small_window = true, .receive_max = 4 << 20};
    struct client *deaf = client_open(rig_port(rig), &options);
    struct client_stream *s = client_stream_open(deaf, false);
    assert_true(client_stream_send(s, "ConnectionSetupRequest", "{}"));
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    for (uint64_t id = 1; id <= pushes; id++) {
        rig_push(rig, &key, 1, id, pad);
    }
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    assert_true(rig_wait_registered(rig, 0));
    assert_true(rpc_counters(rig_rpc(rig))->push_drops > 0);
    assert_answers(client);
    client_stream_close(s);
    client_close(deaf);
}

static void test_rule_08__never_read__over_the_bytes__is_ended(void **state)
{
    (void)state;
    never_reads(1u << 20, 64);
}

static void test_rule_08__never_read__over_the_messages__is_ended(void **state)
{
    (void)state;
    never_reads(8000, RPC_STREAM_QUEUE_MAX + 2000);
}

/* K24 in short: far more often than any client, without a stream. */
static void test_rule_09__pings_without_a_call__are_forgiven(void **state)
{
    (void)state;
    int fd = raw_open(rig_port(rig));
    assert_true(raw_hello(fd));
    for (uint64_t i = 0; i < 20; i++) {
        assert_true(raw_ping(fd, i));
        assert_true(raw_count(fd, RAW_GOAWAY, 50) == 0);
    }
    assert_true(raw_ping(fd, 99));
    assert_true(raw_count(fd, RAW_PING, 200) > 0); /* answered, so still alive */
    (void)close(fd);
}

static void test_rule_11__stop__ends_the_streams(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    uint64_t begun_ms = clock_mono_ms();
    rig_stop_edge(rig, 30000);
    assert_true(clock_mono_ms() - begun_ms < 20000);
    const char *why = NULL;
    assert_int_equal(client_stream_status(s, &why), GRPC_STATUS_UNAVAILABLE);
    assert_non_null(strstr(why, "stopping"));
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    client_stream_close(s);
}

/* A bomb of 9 MB that gzip makes tiny is refused before it is inflated. */
static void test_rule_12__compressed_message__is_refused(void **state)
{
    (void)state;
    struct client *gzip = client_open(rig_port(rig), &(struct client_options){.gzip = true});
    char *zeros = calloc(1, 9u << 20);
    struct client_reply r = client_ask_raw(gzip, "/Request/request", zeros, 9u << 20);
    assert_int_equal(r.status, GRPC_STATUS_UNIMPLEMENTED);
    client_reply_close(&r);
    free(zeros);
    client_close(gzip);
    assert_answers(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rule_01__unknown_method__answers_unimplemented),
        TEST(test_rule_02__client_dies__stream_and_waiting_call_end),
        TEST(test_rule_02__cancelled_while_the_core_has_it__ends),
        TEST(test_rule_03__half_close__is_answered_and_death_is_not),
        TEST(test_rule_04__peer_text__is_the_one_of_the_arrival),
        TEST(test_rule_05__bound_port__is_refused_to_a_second),
        TEST(test_rule_06__file_limit_reached__only_newcomers_are_refused),
        TEST(test_rule_06__no_descriptor_at_all__newcomers_are_told),
        TEST(test_rule_06__no_descriptor_at_all__without_the_door__they_wait),
        TEST(test_rule_07__calls_that_wait__hold_nobody_up),
        TEST(test_rule_08__pushes_faster_than_the_wire__wait_in_order),
        TEST(test_rule_08__never_read__over_the_bytes__is_ended),
        TEST(test_rule_08__never_read__over_the_messages__is_ended),
        TEST(test_rule_09__pings_without_a_call__are_forgiven),
        TEST(test_rule_11__stop__ends_the_streams),
        TEST(test_rule_12__compressed_message__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
