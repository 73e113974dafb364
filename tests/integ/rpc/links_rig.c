#include "links_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#define TICK_MS 20

static pthread_mutex_t rig_lock = PTHREAD_MUTEX_INITIALIZER; /* guards ids and whys of all nodes */
static pthread_cond_t rig_news = PTHREAD_COND_INITIALIZER;
static struct node *rig_nodes;

static void tell(void)
{
    pthread_mutex_lock(&rig_lock);
    pthread_cond_broadcast(&rig_news);
    pthread_mutex_unlock(&rig_lock);
}

/* Callbacks */

static void on_frame(void *self, const struct node_id *from, unsigned kind, struct buf *take_bytes)
{
    struct node *n = self;
    (void)from;
    uint64_t number = 0;
    if (kind == KIND_NUMBERED && take_bytes->len >= sizeof(number)) {
        memcpy(&number, take_bytes->data, sizeof(number));
        uint64_t expected = atomic_load(&n->expected);
        bool is_good = number == expected &&
                       take_bytes->data[take_bytes->len - 1] ==
                           (take_bytes->len > sizeof(number) ? (char)number : take_bytes->data[7]);
        atomic_fetch_add(&n->disorder, is_good ? 0 : 1);
        atomic_fetch_add(&n->backwards, number < expected ? 1 : 0);
        atomic_store(&n->expected, number + 1);
    }
    atomic_store(&n->last_ns, clock_mono_ns());
    atomic_fetch_add(&n->bytes, take_bytes->len);
    buf_unref(take_bytes);
    atomic_fetch_add(&n->frames, 1);
    if (atomic_load(&n->echoes)) {
        tell();
    }
}

static void on_up(void *self, unsigned slot, const struct node_id *id, uint64_t number)
{
    struct node *n = self;
    pthread_mutex_lock(&rig_lock);
    n->slots[slot].id = *id;
    pthread_mutex_unlock(&rig_lock);
    assert_true(number > atomic_load(&n->slots[slot].number));
    atomic_store(&n->slots[slot].number, number);
    atomic_fetch_add(&n->slots[slot].ups, 1);
    tell();
}

static void on_down(void *self, unsigned slot, const char *why)
{
    struct node *n = self;
    pthread_mutex_lock(&rig_lock);
    snprintf(n->slots[slot].why, sizeof(n->slots[slot].why), "%s", why);
    pthread_mutex_unlock(&rig_lock);
    atomic_store(&n->slots[slot].number, 0);
    atomic_fetch_add(&n->slots[slot].downs, 1);
    tell();
}

static void on_learned(void *self, unsigned slot, const struct node_id *id)
{
    struct node *n = self;
    pthread_mutex_lock(&rig_lock);
    n->slots[slot].id = *id;
    pthread_mutex_unlock(&rig_lock);
    atomic_fetch_add(&n->slots[slot].learned, 1);
    tell();
}

static void on_self(void *self, unsigned slot)
{
    struct node *n = self;
    atomic_fetch_add(&n->slots[slot].selves, 1);
    tell();
}

static const struct links_ops rig_ops = {on_frame, on_up, on_down, on_learned, on_self};

/* Nodes */

static void create_links(struct node *n)
{
    struct links_options options = {.identity = &n->identity,
                                    .bind = "127.0.0.1",
                                    .port = n->port,
                                    .no_door = n->no_door,
                                    .ops = &rig_ops,
                                    .self = n};
    struct fail fail = {0};
    assert_int_equal(links_create(&options, &n->links, &fail), 0);
}

struct node *node_open(void)
{
    struct node *n = mem_zalloc(1, sizeof(*n));
    snprintf(n->dir, sizeof(n->dir), "/tmp/nacre-links-XXXXXX");
    assert_non_null(mkdtemp(n->dir));
    struct fail fail = {0};
    bool is_new = false;
    assert_int_equal(identity_open(n->dir, &n->identity, &is_new, &fail), 0);
    n->next = rig_nodes;
    rig_nodes = n;
    return n;
}

void node_start(struct node *n, uint16_t port)
{
    n->port = port;
    create_links(n);
    struct fail fail = {0};
    if (links_start(n->links, &fail) != 0) {
        fail_msg("%s", fail.text);
    }
    n->port = links_port(n->links);
    for (unsigned slot = 0; slot < PEER_SLOTS; slot++) {
        atomic_store(&n->slots[slot].number, 0);
    }
}

void node_stop(struct node *n, uint32_t grace_ms)
{
    if (n->links) {
        links_stop(n->links, grace_ms);
        links_destroy(n->links);
        n->links = NULL;
    }
}

void node_close(struct node *n)
{
    node_stop(n, 0);
    struct node **at = &rig_nodes;
    while (*at != n) {
        at = &(*at)->next;
    }
    *at = n->next;
    char path[128];
    snprintf(path, sizeof(path), "%s/node.key", n->dir);
    (void)unlink(path);
    snprintf(path, sizeof(path), "%s/node.crt", n->dir);
    (void)unlink(path);
    (void)rmdir(n->dir);
    identity_close(&n->identity);
    mem_free(n);
}

void node_list(struct node *n, unsigned slot, uint16_t port, uint16_t port_second,
               const struct node_id *pin)
{
    static const struct node_id none;
    n->members[slot] = (struct link_member){.slot = slot,
                                            .host = "127.0.0.1",
                                            .port = port,
                                            .port_second = port_second,
                                            .pin = pin ? *pin : none};
}

void node_unlist(struct node *n, unsigned slot)
{
    n->members[slot] = (struct link_member){0};
}

void node_apply(struct node *n)
{
    struct link_member list[PEER_SLOTS];
    size_t count = 0;
    for (unsigned slot = 0; slot < PEER_SLOTS; slot++) {
        if (n->members[slot].host) {
            list[count++] = n->members[slot];
        }
    }
    links_set_members(n->links, list, count);
}

void node_pair(struct node *a, struct node *b)
{
    node_list(a, 0, b->port, 0, &b->identity.id);
    node_list(b, 0, a->port, 0, &a->identity.id);
    node_apply(a);
    node_apply(b);
}

void nodes_meet(struct node **ret_a, struct node **ret_b)
{
    struct node *a = node_open();
    struct node *b = node_open();
    node_start(a, 0);
    node_start(b, 0);
    node_pair(a, b);
    SOON(2000, a->slots[0].number > 0 && b->slots[0].number > 0);
    *ret_a = a;
    *ret_b = b;
}

int node_send(struct node *n, unsigned slot, unsigned kind, const char *text)
{
    struct body body = {0};
    if (text[0]) {
        body_add_buf(&body, buf_create(span_str(text)));
    }
    return links_send(n->links, slot, kind, &body);
}

int node_send_numbered(struct node *n, unsigned slot, uint64_t number, size_t len)
{
    char *bytes = mem_alloc(len);
    memset(bytes, (int)(number & 0xff), len);
    memcpy(bytes, &number, sizeof(number));
    struct body body = {0};
    body_add_buf(&body, buf_take(bytes, len));
    return links_send(n->links, slot, KIND_NUMBERED, &body);
}

const char *node_why(struct node *n, unsigned slot)
{
    static char why[512];
    pthread_mutex_lock(&rig_lock);
    memcpy(why, n->slots[slot].why, sizeof(why));
    pthread_mutex_unlock(&rig_lock);
    return why;
}

/* What a core does with what it has learned. */
static void pin_learned(struct node *n)
{
    bool changed = false;
    for (unsigned slot = 0; slot < PEER_SLOTS; slot++) {
        struct link_member *m = &n->members[slot];
        if (m->host && !node_id_is_set(&m->pin) && atomic_load(&n->slots[slot].learned) > 0) {
            pthread_mutex_lock(&rig_lock);
            m->pin = n->slots[slot].id;
            pthread_mutex_unlock(&rig_lock);
            changed = true;
        }
    }
    if (changed) {
        node_apply(n);
    }
}

bool rig_tick(uint64_t until_ms)
{
    for (struct node *n = rig_nodes; n; n = n->next) {
        if (n->links && n->pins_learned) {
            pin_learned(n);
        }
    }
    struct timespec at = {0};
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_nsec += TICK_MS / 10 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    pthread_mutex_lock(&rig_lock);
    (void)pthread_cond_timedwait(&rig_news, &rig_lock, &at);
    pthread_mutex_unlock(&rig_lock);
    return clock_mono_ms() < until_ms;
}

/* Sockets */

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

uint16_t rig_free_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

int rig_connect(uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)), 0);
    return fd;
}
