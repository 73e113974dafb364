/* Who must not come in, who must be cut off, and who comes back. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/socket.h>

#include "base/rand.h"
#include "links_rig.h"

#define CONNECTS 1000
#define HALF_OPEN 10000

static struct node *a;
static struct node *b;

static int setup(void **state)
{
    (void)state;
    nodes_meet(&a, &b);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    node_close(a);
    node_close(b);
    return 0;
}

/* What was there before still works, and nothing came of the rest. */
static void expect_undisturbed(void)
{
    unsigned long before = a->frames;
    assert_int_equal(node_send(b, 0, 1, "still here"), 0);
    SOON(2000, a->frames == before + 1);
    assert_int_equal(a->slots[0].downs, 0);
    assert_int_equal(b->slots[0].downs, 0);
}

static void test_stranger__another_key__is_refused_before_http2(void **state)
{
    (void)state;
    struct node *stranger = node_open();
    node_start(stranger, 0);
    node_list(stranger, 0, a->port, 0, &a->identity.id);
    node_apply(stranger);
    SOON(2000, links_counters(a->links)->refused_keys >= 2);
    assert_int_equal(stranger->slots[0].ups, 0);
    assert_int_equal(node_send(stranger, 0, 1, "x"), E_CLOSED);
    /* Before HTTP/2: no call of it was ever seen, so no frame could be refused. */
    assert_int_equal(links_counters(a->links)->refused_frames, 0);
    assert_int_equal(a->frames, 0);
    expect_undisturbed();
    node_close(stranger);
}

static void test_stranger__no_certificate__is_refused(void **state)
{
    (void)state;
    struct identity nobody = {.cert_pem = b->identity.cert_pem};
    struct raw_call *call = raw_open(a->port, &nobody, NULL);
    assert_int_equal(raw_status(call, NULL), GRPC_STATUS_UNAVAILABLE);
    assert_false(raw_is_accepted(call));
    assert_true(raw_saw_server(call));
    assert_int_equal(links_counters(a->links)->refused_frames, 0);
    expect_undisturbed();
    raw_close(call);
}

static void test_stranger__garbage_bytes__change_nothing(void **state)
{
    (void)state;
    static const char *const first[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\xff\xff",
        "",
    };
    for (size_t i = 0; i < 100; i++) {
        char bytes[512];
        rand_bytes(bytes, sizeof(bytes));
        const char *head = first[i % ARRAY_LEN(first)];
        memcpy(bytes, head, strlen(head));
        int fd = rig_connect(a->port);
        (void)send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
        close(fd);
    }
    expect_undisturbed();
}

static void test_stranger__1000_connects__change_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < CONNECTS; i++) {
        int fd = rig_connect(a->port);
        if (i % 3 == 1) {
            (void)send(fd, "\x16\x03\x01", 3, MSG_NOSIGNAL);
        }
        if (i % 3 == 2) {
            struct linger reset = {.l_onoff = 1, .l_linger = 0};
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        }
        close(fd);
    }
    expect_undisturbed();
}

/* Descriptors that this process may have; both ends of each connection are in it. */
static size_t room(void)
{
    struct rlimit limit = {0};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    size_t half = limit.rlim_cur / 2;
    return half > 1000 ? half - 500 : 100;
}

/* As many as there is room for at a time, ten thousand in all, that connect and say nothing, or
 * half a hello. They cost a socket each until the handshake's time is over; members talk on, and a
 * member that comes meanwhile is let in. */
static void test_stranger__10000_half_open__members_go_in_and_out(void **state)
{
    (void)state;
    size_t wave = room() < HALF_OPEN ? room() : HALF_OPEN;
    int *fds = calloc(wave, sizeof(*fds));
    assert_non_null(fds);
    struct node *c = node_open();
    uint64_t begun_ms = clock_mono_ms();
    for (size_t done = 0; done < HALF_OPEN; done += wave) {
        for (size_t i = 0; i < wave; i++) {
            fds[i] = rig_connect(a->port);
            if (i % 2) {
                (void)send(fds[i], "\x16\x03\x01", 3, MSG_NOSIGNAL);
            }
        }
        expect_undisturbed();
        if (done == 0) { /* in the middle of them all */
            node_start(c, 0);
            node_list(a, 1, c->port, 0, &c->identity.id);
            node_apply(a);
            node_list(c, 0, a->port, 0, &a->identity.id);
            node_apply(c);
            SOON(5000, a->slots[1].number > 0 && c->slots[0].number > 0);
        }
        for (size_t i = 0; i < wave; i++) {
            close(fds[i]);
        }
    }
    print_message("%d half-open ones, %zu at a time, in %lu ms\n", HALF_OPEN, wave,
                  (unsigned long)(clock_mono_ms() - begun_ms));
    expect_undisturbed();
    assert_int_equal(a->slots[1].downs, 0);
    free(fds);
    node_close(c);
}

/* What a member said once, said again by whoever: a stream is newer than the last, or it is
 * refused.
 */
static void test_replayed__hello_of_a_member__is_refused(void **state)
{
    (void)state;
    const char *why = NULL;
    struct node *c = node_open();
    struct node *other = node_open();
    node_list(a, 1, rig_free_port(), 0, &c->identity.id);
    node_list(a, 2, rig_free_port(), 0, &other->identity.id);
    node_apply(a);
    struct raw_call *first = raw_open(a->port, &c->identity, NULL);
    assert_true(raw_hello(first, 1, &c->identity.id, 5));
    assert_true(raw_is_accepted(first));
    unsigned long before = links_counters(a->links)->refused_frames;
    struct raw_call *again = raw_open(a->port, &c->identity, NULL);
    assert_true(raw_hello(again, 1, &c->identity.id, 5));
    assert_int_equal(raw_status(again, &why), GRPC_STATUS_ABORTED);
    /* By another member, who has a key of its own: the hello is not its. */
    struct raw_call *thief = raw_open(a->port, &other->identity, NULL);
    assert_true(raw_hello(thief, 1, &c->identity.id, 9));
    assert_int_not_equal(raw_status(thief, &why), GRPC_STATUS_OK);
    assert_true(links_counters(a->links)->refused_frames > before);
    /* The first one is still who may speak. */
    assert_true(raw_send(first, "\x12\x02\x08\x01", 4));
    SOON(1000, a->frames == 1);
    raw_close(thief);
    raw_close(again);
    raw_close(first);
    node_close(other);
    node_close(c);
}

static void test_replaced__wiped_directory__is_refused_and_told_apart(void **state)
{
    (void)state;
    uint16_t port = b->port;
    struct node_id old = b->identity.id;
    node_close(b);
    SOON(5000, a->slots[0].downs == 1);
    b = node_open();
    b->pins_learned = true;
    node_start(b, port);
    node_list(b, 0, a->port, 0, NULL);
    node_apply(b);
    unsigned long before = links_counters(a->links)->refused_keys;
    SOON(5000, b->slots[0].learned == 1 && links_counters(a->links)->refused_keys > before);
    uint64_t until_ms = clock_mono_ms() + 500;
    while (rig_tick(until_ms)) {
    }
    assert_int_equal(a->slots[0].ups, 1);
    assert_int_equal(a->slots[0].learned, 0);
    assert_int_equal(b->slots[0].ups, 0);
    /* The operator, or the quorum, gives the slot to the new key. */
    assert_false(node_id_eq(&old, &b->identity.id));
    node_list(a, 0, port, 0, &b->identity.id);
    node_apply(a);
    SOON(5000, a->slots[0].number > 0 && b->slots[0].number > 0);
}

static void test_removed__is_cut_off_at_once(void **state)
{
    (void)state;
    node_unlist(a, 0);
    uint64_t begun_ms = clock_mono_ms();
    node_apply(a);
    assert_int_equal(node_send(a, 0, 1, "x"), E_CLOSED);
    SOON(1000, a->slots[0].downs == 1 && b->slots[0].downs == 1);
    uint64_t took_ms = clock_mono_ms() - begun_ms;
    print_message("cut off after %lu ms\n", (unsigned long)took_ms);
    assert_true(took_ms < 500);
    assert_non_null(strstr(node_why(a, 0), "the list does not name it any more"));
    assert_non_null(strstr(node_why(b, 0), "not a member any more"));
    unsigned long frames = a->frames;
    (void)node_send(b, 0, 1, "x");
    SOON(3000, links_counters(a->links)->refused_keys > 0);
    assert_int_equal(a->frames, frames);
    assert_int_equal(b->slots[0].ups, 1);
}

static void test_removed_and_listed_again__in_one_breath__has_a_new_stream(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 20; i++) {
        unsigned ups = a->slots[0].ups;
        node_unlist(a, 0);
        node_apply(a);
        node_list(a, 0, b->port, 0, &b->identity.id);
        node_apply(a);
        SOON(5000, a->slots[0].ups > ups && a->slots[0].number > 0);
        SOON(1000, node_send(a, 0, 1, "x") == 0);
    }
    SOON(5000, b->slots[0].number > 0);
}

static void test_killed_and_back__is_found_in_under_a_second(void **state)
{
    (void)state;
    for (unsigned round = 1; round <= 3; round++) {
        uint16_t port = b->port;
        node_stop(b, 0);
        SOON(5000, a->slots[0].downs == round);
        assert_int_equal(node_send(a, 0, 1, "x"), E_CLOSED);
        uint64_t until_ms = clock_mono_ms() + 1000;
        while (rig_tick(until_ms)) {
        }
        node_start(b, port);
        node_apply(b);
        uint64_t begun_ms = clock_mono_ms();
        SOON(1000, a->slots[0].number > 0 && b->slots[0].number > 0);
        print_message("back after %lu ms\n", (unsigned long)(clock_mono_ms() - begun_ms));
        unsigned long before = b->frames;
        assert_int_equal(node_send(a, 0, 1, "welcome"), 0);
        SOON(1000, b->frames == before + 1);
    }
}

/* A stream of the same peer that is newer ends the older; an older one that comes late is refused.
 */
static void test_superseded__older_stream__ends_and_its_frames_are_dropped(void **state)
{
    (void)state;
    struct node *c = node_open();
    node_list(a, 1, rig_free_port(), 0, &c->identity.id);
    node_apply(a);
    struct raw_call *first = raw_open(a->port, &c->identity, NULL);
    assert_true(raw_hello(first, 1, &c->identity.id, 5));
    assert_true(raw_is_accepted(first));
    assert_true(raw_send(first, "\x12\x02\x08\x01", 4));
    SOON(1000, a->frames == 1);
    struct raw_call *second = raw_open(a->port, &c->identity, NULL);
    assert_true(raw_hello(second, 1, &c->identity.id, 6));
    assert_true(raw_is_accepted(second));
    const char *why = NULL;
    assert_int_equal(raw_status(first, &why), GRPC_STATUS_ABORTED);
    assert_non_null(strstr(why, "a newer stream"));
    struct raw_call *late = raw_open(a->port, &c->identity, NULL);
    assert_true(raw_hello(late, 1, &c->identity.id, 4));
    assert_int_equal(raw_status(late, &why), GRPC_STATUS_ABORTED);
    assert_true(raw_send(second, "\x12\x02\x08\x01", 4));
    SOON(1000, a->frames == 2);
    raw_close(first);
    raw_close(second);
    raw_close(late);
    node_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define PAIR(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        PAIR(test_stranger__another_key__is_refused_before_http2),
        PAIR(test_stranger__no_certificate__is_refused),
        PAIR(test_stranger__garbage_bytes__change_nothing),
        PAIR(test_stranger__1000_connects__change_nothing),
        PAIR(test_stranger__10000_half_open__members_go_in_and_out),
        PAIR(test_replayed__hello_of_a_member__is_refused),
        PAIR(test_replaced__wiped_directory__is_refused_and_told_apart),
        PAIR(test_removed__is_cut_off_at_once),
        PAIR(test_removed_and_listed_again__in_one_breath__has_a_new_stream),
        PAIR(test_killed_and_back__is_found_in_under_a_second),
        PAIR(test_superseded__older_stream__ends_and_its_frames_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
