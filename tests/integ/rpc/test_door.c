/* The front door with servers behind it: every row of its table, strangers of every kind, peers by
 * their name, and clients who do not notice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "grpc_client.h"
#include "raw.h"
#include "rig.h"
#include "rpc/door.h"
#include "tls_server.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define DECIDE_MS 1000
#define PEER "peer.nacre.internal"

static struct rig *rig;
static struct client *client;
static struct door *door;
static const struct door_counters *figures;

static void wait_for(const atomic_ulong *figure, unsigned long wanted)
{
    uint64_t until_ms = clock_mono_ms() + 5000;
    while (atomic_load(figure) != wanted) {
        if (clock_mono_ms() > until_ms) {
            fail_msg("waited for %lu, is %lu", wanted, atomic_load(figure));
        }
        (void)poll(NULL, 0, 1);
    }
}

static int setup(void **state)
{
    (void)state;
    rig = rig_start(&(struct rig_options){.handshake_timeout_ms = DECIDE_MS});
    client = client_open(rig_port(rig), NULL);
    door = rpc_door(rig_rpc(rig));
    figures = door ? door_counters(door) : NULL;
    if (door) {
        wait_for(&figures->plain, 1);
    }
    return 0;
}

/* Every test ends with a client that came before it and never noticed. */
static int teardown(void **state)
{
    (void)state;
    struct client_reply r = client_ask(client, "EchoRequest", "{\"text\":\"x\"}");
    int bad = r.status != GRPC_STATUS_OK;
    client_reply_close(&r);
    client_close(client);
    rig_stop(rig);
    return bad;
}

static void needs_door(void)
{
    if (!door) {
        skip(); /* compiled out */
    }
}

static int come(void)
{
    int fd = raw_open(rig_port(rig));
    assert_true(fd >= 0);
    return fd;
}

/* In packets of their own, as far as the kernel goes along with it. */
static void send_slowly(int fd, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        assert_true(raw_send(fd, (const char *)bytes + i, 1));
        (void)poll(NULL, 0, i % 8 == 0);
    }
}

static void assert_refused(const void *bytes, size_t len, const atomic_ulong *figure)
{
    unsigned long before = atomic_load(figure);
    int fd = come();
    assert_true(raw_send(fd, bytes, len));
    assert_true(raw_closed(fd, DECIDE_MS / 2)); /* not by the deadline */
    wait_for(figure, before + 1);
    (void)close(fd);
}

static void test_plain__a_byte_at_a_time__is_served(void **state)
{
    (void)state;
    needs_door();
    int fd = come();
    send_slowly(fd, PREFACE "\0\0\0\4\0\0\0\0\0", 33);
    assert_true(raw_count(fd, RAW_SETTINGS, 300) > 0);
    wait_for(&figures->plain, 2);
    (void)close(fd);
}

static void test_http1__is_told_why_and_closed(void **state)
{
    static const char *const methods[] = {"GET",    "POST",    "PUT",   "HEAD",
                                          "DELETE", "OPTIONS", "PATCH", "CONNECT"};
    (void)state;
    needs_door();
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        char text[512];
        (void)snprintf(text, sizeof(text), "%s /nacos/v1/ns/instance HTTP/1.1\r\nHost: x\r\n\r\n",
                       methods[i]);
        int fd = come();
        assert_true(raw_send(fd, text, strlen(text)));
        size_t len = 0;
        ssize_t got = 0;
        while ((got = recv(fd, text + len, sizeof(text) - 1 - len, 0)) > 0) {
            len += (size_t)got;
        }
        text[len] = '\0';
        assert_int_equal(got, 0); /* an end, no reset */
        assert_non_null(strstr(text, "HTTP/1.1 400 Bad Request\r\n"));
        assert_non_null(
            strstr(text, "This port speaks gRPC only; HTTP is served on the main port"));
        const char *said = strstr(text, "Content-Length: ");
        const char *body = strstr(text, "\r\n\r\n");
        assert_int_equal(strtoul(said + 16, NULL, 10), strlen(body + 4));
        (void)close(fd);
    }
    wait_for(&figures->http1, ARRAY_LEN(methods));
    wait_for(&figures->guests, 0);
}

/* Closing behind what nobody read would reset the connection, and the answer would be lost. */
static void test_http1__with_three_megabytes__still_hears_why(void **state)
{
    (void)state;
    needs_door();
    size_t len = 3u << 20;
    char *text = malloc(len);
    memset(text, 'x', len);
    memcpy(text, "POST / HTTP/1.1\r\n\r\n", 19);
    int fd = come();
    for (size_t at = 0; at < len;) {
        ssize_t sent = send(fd, text + at, len - at, MSG_NOSIGNAL);
        assert_true(sent > 0);
        at += (size_t)sent;
    }
    char answer[16] = "";
    assert_true(recv(fd, answer, sizeof(answer), MSG_WAITALL) == (ssize_t)sizeof(answer));
    assert_memory_equal(answer, "HTTP/1.1 400 Bad", 16);
    free(text);
    (void)close(fd);
}

static void test_http1__that_never_closes__is_cut(void **state)
{
    (void)state;
    needs_door();
    int fd = come();
    assert_true(raw_send(fd, "GET / HTTP/1.1\r\n\r\n", 18));
    assert_true(raw_closed(fd, 500)); /* its half of the connection */
    wait_for(&figures->http1, 1);
    wait_for(&figures->guests, 0); /* DOOR_LEAVE_MS, and ours is still open */
    assert_int_equal(atomic_load(&figures->late), 0);
    (void)close(fd);
}

static void test_bytes_that_are_nothing__are_closed_at_once(void **state)
{
    (void)state;
    needs_door();
    assert_refused("\xff\xff\xff\xff", 4, &figures->alien);
    assert_refused("\0", 1, &figures->alien);
    assert_refused("SSH-2.0-OpenSSH\r\n", 17, &figures->alien);
    assert_refused("PRI * HTTP/1.1\r\n", 16, &figures->alien);
    assert_refused("\x16\x03\x01\x00\x04\x01\x00\x00\x40", 9, &figures->alien);
    struct tls_hello hello = tls_hello("somebody.else");
    assert_refused(hello.bytes, hello.len, &figures->tls);
    hello = tls_hello(NULL);
    assert_refused(hello.bytes, hello.len, &figures->tls);
    hello = tls_hello(PEER); /* no peers' server here */
    assert_refused(hello.bytes, hello.len, &figures->tls);
}

static void test_undecided__is_cut_at_the_deadline(void **state)
{
    (void)state;
    needs_door();
    struct tls_hello hello = tls_hello(PEER);
    int fds[4];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = come();
    }
    assert_true(raw_send(fds[1], "PRI * HTTP", 10));
    assert_true(raw_send(fds[2], hello.bytes, hello.len / 2));
    assert_true(raw_send(fds[3], "DELET", 5));
    uint64_t began_ms = clock_mono_ms();
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        assert_true(raw_closed(fds[i], 4 * DECIDE_MS));
        (void)close(fds[i]);
    }
    assert_true(clock_mono_ms() - began_ms >= DECIDE_MS / 2);
    wait_for(&figures->late, 4);
    wait_for(&figures->guests, 0);
}

/* The end behind bytes that nobody reads: seen at once all the same. */
static void test_undecided__that_ends__is_forgotten_at_once(void **state)
{
    (void)state;
    needs_door();
    int fd = come();
    assert_true(raw_send(fd, "PRI", 3));
    wait_for(&figures->guests, 1);
    (void)shutdown(fd, SHUT_WR);
    wait_for(&figures->guests, 0);
    wait_for(&figures->gone, 1);
    assert_int_equal(atomic_load(&figures->late), 0);
    (void)close(fd);
}

static void reset(int fd)
{
    struct linger now = {.l_onoff = 1};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    (void)close(fd);
}

static void test_reset__before_it_is_given_away__is_no_trouble(void **state)
{
    (void)state;
    needs_door();
    unsigned long before = atomic_load(&figures->accepted);
    for (int i = 0; i < 500; i++) {
        int fd = come();
        assert_true(raw_send(fd, PREFACE, (size_t)(i % 25)));
        if (i % 3 == 0) {
            (void)raw_send(fd, PREFACE + i % 25, 24 - (size_t)(i % 25));
        }
        reset(fd);
    }
    wait_for(&figures->accepted, before + 500);
    wait_for(&figures->guests, 0);
}

static size_t count_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    size_t count = 0;
    while (readdir(dir)) {
        count++;
    }
    (void)closedir(dir);
    return count;
}

static void test_ten_thousand__come_and_go__and_leave_nothing(void **state)
{
    (void)state;
    needs_door();
    size_t before = count_files();
    for (int i = 0; i < 10000; i++) {
        int fd = come();
        switch (i % 5) {
        case 1:
            (void)raw_send(fd, "P", 1);
            break;
        case 2:
            (void)raw_hello(fd);
            break;
        case 3:
            (void)raw_send(fd, "junk", 4);
            break;
        default:
            break;
        }
        if (i % 10 == 7) {
            reset(fd);
        } else {
            (void)close(fd);
        }
    }
    wait_for(&figures->accepted, 10001);
    wait_for(&figures->guests, 0);
    uint64_t until_ms = clock_mono_ms() + 5000;
    while (count_files() > before) {
        if (clock_mono_ms() > until_ms) {
            fail_msg("%zu descriptors more than before", count_files() - before);
        }
        (void)poll(NULL, 0, 5);
    }
    unsigned long known = atomic_load(&figures->plain) + atomic_load(&figures->gone) +
                          atomic_load(&figures->alien) + atomic_load(&figures->late) +
                          atomic_load(&figures->crowded);
    assert_int_equal(known, 10001); /* nobody is counted twice, nobody is forgotten */
}

static void test_peer__by_its_name__reaches_the_peers_server(void **state)
{
    (void)state;
    needs_door();
    struct tls_server *peers = tls_server_start();
    door_set_peer(door, tls_server_way(peers));
    int fd = come();
    assert_true(tls_says_hello(fd, PEER, false));
    (void)close(fd);
    fd = come();
    assert_true(tls_says_hello(fd, PEER, true)); /* a byte at a time */
    (void)close(fd);
    wait_for(&figures->peers, 2);
    fd = come();
    assert_false(tls_says_hello(fd, "somebody.else", false));
    (void)close(fd);
    wait_for(&figures->tls, 1);
    /* Plain clients still go where they went. */
    fd = come();
    assert_true(raw_hello(fd));
    assert_true(raw_count(fd, RAW_SETTINGS, 300) > 0);
    (void)close(fd);
    door_set_peer(door, NULL);
    tls_server_stop(peers);
    struct tls_hello hello = tls_hello(PEER);
    assert_refused(hello.bytes, hello.len, &figures->tls);
}

/* As a certificate is renewed: the next server is set, and then the one before is shut down, while
 * peers keep coming. */
static void test_peer__servers_replaced_under_load__none_is_given_to_a_dead_one(void **state)
{
    (void)state;
    needs_door();
    static const char *const self[] = {"127.0.0.1"};
    assert_int_equal(door_set_members(door, self, 1), 1);
    struct tls_server *peers = tls_server_start();
    door_set_peer(door, tls_server_way(peers));
    struct tls_hello hello = tls_hello(PEER);
    int fds[20];
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
            fds[i] = come();
            (void)raw_send(fds[i], hello.bytes, hello.len);
        }
        struct tls_server *next = tls_server_start();
        door_set_peer(door, tls_server_way(next));
        tls_server_stop(peers);
        peers = next;
        for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
            (void)close(fds[i]);
        }
    }
    wait_for(&figures->peers, 20 * ARRAY_LEN(fds));
    door_set_peer(door, NULL);
    tls_server_stop(peers);
}

static void test_peer__too_many_hellos__wait_unless_a_member_sends_them(void **state)
{
    (void)state;
    needs_door();
    static const char *const self[] = {"127.0.0.1"};
    struct tls_server *peers = tls_server_start();
    door_set_peer(door, tls_server_way(peers));
    struct tls_hello hello = tls_hello(PEER);
    unsigned long sent = 0;
    while (atomic_load(&figures->refused_rate) == 0) {
        int fd = come();
        (void)raw_send(fd, hello.bytes, hello.len);
        wait_for(&figures->accepted, ++sent + 1);
        (void)close(fd);
        assert_true(sent < 5000);
    }
    assert_true(sent > DOOR_HELLO_BURST);
    wait_for(&figures->guests, 0);
    assert_int_equal(door_set_members(door, self, 1), 1);
    unsigned long before = atomic_load(&figures->peers);
    for (int i = 0; i < DOOR_HELLO_BURST; i++) {
        int fd = come();
        (void)raw_send(fd, hello.bytes, hello.len);
        wait_for(&figures->peers, before + 1 + (unsigned long)i);
        (void)close(fd);
    }
    door_set_peer(door, NULL);
    tls_server_stop(peers);
}

/* After the goodbye nothing is given to a server that shuts down, however they press. */
static void test_stop__while_clients_come__is_orderly(void **state)
{
    (void)state;
    needs_door();
    for (int round = 0; round < 3; round++) {
        struct rig *other = rig_start(NULL);
        uint16_t port = rig_port(other);
        int fds[50];
        for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
            fds[i] = raw_open(port);
            (void)raw_hello(fds[i]);
        }
        rig_stop(other);
        assert_int_equal(raw_open(port), -1);
        for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
            assert_true(raw_closed(fds[i], 5000));
            (void)close(fds[i]);
        }
    }
}

static void test_without_the_door__clients_are_served_the_same(void **state)
{
    (void)state;
    struct rig *other = rig_start(&(struct rig_options){.no_door = true});
    assert_null(rpc_door(rig_rpc(other)));
    struct client *c = client_open(rig_port(other), NULL);
    client_stream_close(client_register(c, NULL));
    struct client_reply r = client_ask(c, "ServerCheckRequest", "{}");
    assert_int_equal(r.status, GRPC_STATUS_OK);
    client_reply_close(&r);
    client_close(c);
    rig_stop(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_plain__a_byte_at_a_time__is_served),
        TEST(test_http1__is_told_why_and_closed),
        TEST(test_http1__with_three_megabytes__still_hears_why),
        TEST(test_http1__that_never_closes__is_cut),
        TEST(test_bytes_that_are_nothing__are_closed_at_once),
        TEST(test_undecided__is_cut_at_the_deadline),
        TEST(test_undecided__that_ends__is_forgotten_at_once),
        TEST(test_reset__before_it_is_given_away__is_no_trouble),
        TEST(test_ten_thousand__come_and_go__and_leave_nothing),
        TEST(test_peer__by_its_name__reaches_the_peers_server),
        TEST(test_peer__servers_replaced_under_load__none_is_given_to_a_dead_one),
        TEST(test_peer__too_many_hellos__wait_unless_a_member_sends_them),
        TEST(test_stop__while_clients_come__is_orderly),
        TEST(test_without_the_door__clients_are_served_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
