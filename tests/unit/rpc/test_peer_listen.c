/* The peers' own port: what its door lets in and what it closes, and the same port without it. */
#include "rpc/peer_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <grpc/grpc_security.h>
#include <grpc/support/time.h>

#include "door_hellos.h"
#include "links_rig.h"
#include "rpc/door.h"
#include "rpc/door_first.h"

#define STRANGER "127.0.0.9"

static struct node *a;
static struct node *b;

static int setup(void **state)
{
    (void)state;
    nodes_meet(&a, &b);
    return 0;
}

/* Whoever came meanwhile, the members did not notice. */
static int teardown(void **state)
{
    (void)state;
    int bad =
        a->slots[0].downs != 0 || b->slots[0].downs != 0 || node_send(b, 0, 1, "still here") != 0;
    node_close(b);
    node_close(a);
    return bad;
}

/* The figures of a's door; the test is over when there is none, being compiled out. */
static const struct door_counters *figures(void)
{
    const struct door *door = links_door(a->links);
    if (!door) {
        skip();
    }
    return door_counters(door);
}

static void wait_for(const atomic_ulong *figure, unsigned long wanted)
{
    uint64_t until_ms = clock_mono_ms() + 5000;
    while (atomic_load(figure) < wanted) {
        if (clock_mono_ms() > until_ms) {
            fail_msg("waited for %lu, is %lu", wanted, atomic_load(figure));
        }
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(atomic_load(figure), wanted);
}

/* A connection from another address than the members'. */
static int come(void)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(a->port)};
    struct timeval patience = {.tv_sec = 5};
    assert_int_equal(inet_pton(AF_INET, STRANGER, &from.sin_addr), 1);
    assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &to.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&from, sizeof(from)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&to, sizeof(to)), 0);
    return fd;
}

/* Say this and read to the end: what was heard, as text. The end must come by itself. */
static size_t hear(const void *bytes, size_t len, char *ret_text, size_t size)
{
    int fd = come();
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
    size_t heard = 0;
    ssize_t got = 0;
    while ((got = recv(fd, ret_text + heard, size - 1 - heard, 0)) > 0) {
        heard += (size_t)got;
    }
    ret_text[heard] = '\0';
    if (got < 0 && errno != ECONNRESET) {
        fail_msg("not closed: %s", strerror(errno));
    }
    (void)close(fd);
    return heard;
}

static void assert_closed(const void *bytes, size_t len, const atomic_ulong *figure)
{
    char text[64];
    unsigned long before = atomic_load(figure);
    assert_int_equal(hear(bytes, len, text, sizeof(text)), 0);
    wait_for(figure, before + 1);
}

static void test_members__come_through_the_door__and_are_counted(void **state)
{
    (void)state;
    wait_for(&figures()->peers, 1);
    assert_true(links_way(a->links) != NULL); /* and the clients' port still has its way */
}

static void test_clients__and_what_is_no_peer__are_closed_at_once(void **state)
{
    (void)state;
    const struct door_counters *f = figures();
    assert_closed("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24, &f->alien);
    assert_closed("SSH-2.0-OpenSSH\r\n", 17, &f->alien);
    struct hello hello = hello_of_openssl("somebody.else", 0, "h2");
    assert_closed(hello.bytes, hello.len, &f->tls);
    hello = hello_of_openssl(NULL, 0, NULL);
    assert_closed(hello.bytes, hello.len, &f->tls);
    assert_int_equal(atomic_load(&f->plain), 0);
    assert_int_equal(atomic_load(&f->late), 0);
}

static void test_http1__is_told_where_http_is(void **state)
{
    (void)state;
    const struct door_counters *f = figures();
    char text[512];
    (void)hear("GET /nacos/ HTTP/1.1\r\n\r\n", 24, text, sizeof(text));
    assert_non_null(strstr(text, "HTTP/1.1 400 Bad Request\r\n"));
    assert_non_null(strstr(text, "This port is for the other nodes only; HTTP is served on the "
                                 "main port, which is 1001 less."));
    const char *said = strstr(text, "Content-Length: ");
    const char *body = strstr(text, "\r\n\r\n");
    assert_int_equal(strtoul(said + 16, NULL, 10), strlen(body + 4));
    wait_for(&f->http1, 1);
}

/* A hello for peers, whole, from whoever it is: so many of an address are answered, no more. */
static void test_handshakes__of_a_stranger__have_a_rate(void **state)
{
    (void)state;
    const struct door_counters *f = figures();
    struct hello hello = hello_of_openssl(DOOR_PEER_NAME, 0, "h2");
    int fds[4 * DOOR_HELLO_BURST];
    uint64_t begun_ms = clock_mono_ms();
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = come();
        assert_int_equal(send(fds[i], hello.bytes, hello.len, MSG_NOSIGNAL), hello.len);
    }
    uint64_t until_ms = clock_mono_ms() + 5000;
    while (atomic_load(&f->accepted) < ARRAY_LEN(fds) || atomic_load(&f->guests) > 0) {
        assert_true(clock_mono_ms() < until_ms);
        (void)poll(NULL, 0, 1);
    }
    uint64_t paid = DOOR_HELLO_BURST + (clock_mono_ms() - begun_ms) / DOOR_HELLO_MS + 1;
    assert_true(atomic_load(&f->refused_rate) >= ARRAY_LEN(fds) - paid);
    assert_true(atomic_load(&f->refused_rate) <= ARRAY_LEN(fds) - DOOR_HELLO_BURST);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        (void)close(fds[i]);
    }
}

static void test_handshakes__of_a_member__have_none(void **state)
{
    (void)state;
    static const char *const members[] = {STRANGER};
    const struct door_counters *f = figures();
    struct hello hello = hello_of_openssl(DOOR_PEER_NAME, 0, "h2");
    int fds[2 * DOOR_HELLO_BURST];
    unsigned long before = atomic_load(&f->peers);
    assert_int_equal(door_set_members(links_door(a->links), members, 1), 1);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = come();
        assert_int_equal(send(fds[i], hello.bytes, hello.len, MSG_NOSIGNAL), hello.len);
    }
    wait_for(&f->peers, before + ARRAY_LEN(fds));
    assert_int_equal(atomic_load(&f->refused_rate), 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        (void)close(fds[i]);
    }
}

/* As with a C-core that the door was not made for. */
static void test_no_door__core_listens_itself__and_members_come_in(void **state)
{
    (void)state;
    struct node *c = node_open();
    struct node *d = node_open();
    c->no_door = true;
    node_start(c, 0);
    node_start(d, 0);
    assert_null(links_door(c->links));
    assert_null(links_way(c->links));
    node_pair(c, d);
    SOON(2000, c->slots[0].number > 0 && d->slots[0].number > 0);
    assert_int_equal(node_send(d, 0, 1, "x"), 0);
    SOON(2000, c->frames == 1);
    node_close(d);
    node_close(c);
}

/* What is given to a server that has begun to end would kill the process. */
static void test_stop__under_peers_that_come_all_the_time__is_clean(void **state)
{
    (void)state;
    struct hello hello = hello_of_openssl(DOOR_PEER_NAME, 0, "h2");
    int fds[DOOR_HELLO_BURST];
    (void)figures();
    struct node *c = node_open();
    for (unsigned round = 0; round < 5; round++) {
        node_start(c, 0);
        for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
            fds[i] = rig_connect(c->port);
            assert_int_equal(send(fds[i], hello.bytes, hello.len, MSG_NOSIGNAL), hello.len);
        }
        node_stop(c, 0);
        for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
            (void)close(fds[i]);
        }
    }
    node_close(c);
}

static void test_bind__what_is_no_address__says_so(void **state)
{
    (void)state;
    struct peer_listen p = {0};
    struct fail fail = {0};
    grpc_init();
    grpc_server *server = peer_listen_create_server(&p, true);
    grpc_completion_queue *cq = grpc_completion_queue_create_for_next(NULL);
    grpc_server_register_completion_queue(server, cq, NULL);
    grpc_server_credentials *open = grpc_insecure_server_credentials_create();
    assert_int_equal(peer_listen_bind(&p, server, open, "192.0.2.1", 0, &fail), E_IO);
    assert_non_null(strstr(fail_text(&fail), "cannot listen for peers on 192.0.2.1:0: Cannot"));
    grpc_server_credentials_release(open);
    peer_listen_stop(&p);
    grpc_server_shutdown_and_notify(server, cq, NULL);
    (void)grpc_completion_queue_next(cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_server_destroy(server);
    peer_listen_close(&p);
    grpc_completion_queue_shutdown(cq);
    (void)grpc_completion_queue_next(cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_completion_queue_destroy(cq);
    grpc_shutdown_blocking();
}

#define PAIR(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR(test_members__come_through_the_door__and_are_counted),
        PAIR(test_clients__and_what_is_no_peer__are_closed_at_once),
        PAIR(test_http1__is_told_where_http_is),
        PAIR(test_handshakes__of_a_stranger__have_a_rate),
        PAIR(test_handshakes__of_a_member__have_none),
        PAIR(test_no_door__core_listens_itself__and_members_come_in),
        PAIR(test_stop__under_peers_that_come_all_the_time__is_clean),
        PAIR(test_bind__what_is_no_address__says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
