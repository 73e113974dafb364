/* The part of links_rig.h that stands between two nodes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "links_rig.h"

#define RELAY_PAIRS 16
#define RELAY_POLL_MS 20

struct relay {
    int listener;
    uint16_t port;
    uint16_t to;
    int fds[2 * RELAY_PAIRS]; /* neighbours belong together */
    unsigned count;
    atomic_bool is_frozen;
    atomic_bool is_cut;
    atomic_bool is_over;
    pthread_t thread;
};

static void take_connection(struct relay *r)
{
    int from = accept(r->listener, NULL, NULL);
    if (from < 0 || r->count == 2 * RELAY_PAIRS) {
        close(from);
        return;
    }
    r->fds[r->count++] = from;
    r->fds[r->count++] = rig_connect(r->to);
}

/* Carry what is there; an end is carried by closing both. */
static void carry(struct relay *r, unsigned at)
{
    char bytes[65536];
    ssize_t len = recv(r->fds[at], bytes, sizeof(bytes), 0);
    if (len > 0 && send(r->fds[at ^ 1], bytes, (size_t)len, MSG_NOSIGNAL) == len) {
        return;
    }
    close(r->fds[at]);
    close(r->fds[at ^ 1]);
    r->fds[at] = -1;
    r->fds[at ^ 1] = -1;
}

static void cut_all(struct relay *r)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    for (unsigned i = 0; i < r->count; i++) {
        if (r->fds[i] >= 0) {
            (void)setsockopt(r->fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
            close(r->fds[i]);
        }
    }
    r->count = 0;
}

static void *relay_main(void *arg)
{
    struct relay *r = arg;
    while (!atomic_load(&r->is_over)) {
        if (atomic_exchange(&r->is_cut, false)) {
            cut_all(r);
        }
        struct pollfd polls[2 * RELAY_PAIRS + 1];
        bool is_frozen = atomic_load(&r->is_frozen);
        for (unsigned i = 0; i < r->count; i++) {
            polls[i] = (struct pollfd){.fd = is_frozen ? -1 : r->fds[i], .events = POLLIN};
        }
        polls[r->count] = (struct pollfd){.fd = is_frozen ? -1 : r->listener, .events = POLLIN};
        unsigned count = r->count;
        (void)poll(polls, count + 1, RELAY_POLL_MS);
        for (unsigned i = 0; i < count; i++) {
            if (polls[i].revents && r->fds[i] >= 0) {
                carry(r, i);
            }
        }
        if (polls[count].revents) {
            take_connection(r);
        }
    }
    return NULL;
}

struct relay *relay_open(uint16_t to)
{
    struct relay *r = mem_zalloc(1, sizeof(*r));
    r->to = to;
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof(address);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(r->listener, (struct sockaddr *)(void *)&address, len), 0);
    assert_int_equal(listen(r->listener, RELAY_PAIRS), 0);
    assert_int_equal(getsockname(r->listener, (struct sockaddr *)(void *)&address, &len), 0);
    r->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&r->thread, NULL, relay_main, r), 0);
    return r;
}

uint16_t relay_port(const struct relay *r)
{
    return r->port;
}

void relay_freeze(struct relay *r)
{
    atomic_store(&r->is_frozen, true);
}

void relay_cut(struct relay *r)
{
    atomic_store(&r->is_cut, true);
}

void relay_close(struct relay *r)
{
    atomic_store(&r->is_over, true);
    assert_int_equal(pthread_join(r->thread, NULL), 0);
    cut_all(r);
    close(r->listener);
    mem_free(r);
}
