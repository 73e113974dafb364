/* Three cores on loopback that find each other over real links.
 *
 * Thread:  the test's own.
 */
#ifndef NACRE_TESTS_NODE_PEERING_RIG_H
#define NACRE_TESTS_NODE_PEERING_RIG_H

#include "disk_rig.h"
#include "node/core_state.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define NODES 3
#define TRIES 200
#define PORT_FIRST                                                                                 \
    11000 /* all below those of test_node.c, and of what the system gives to clients */
#define PORT_STEP 10
#define PORT_COUNT 799

static struct disk disks[NODES];
static struct member_list list;
static struct peering_options options[NODES];

/* As a node would bind it: what connections of tests before left behind does not matter. */
static inline bool is_free(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    (void)inet_pton(AF_INET, "127.0.0.1", &at.sin_addr);
    bool ok = bind(fd, (struct sockaddr *)(void *)&at, sizeof(at)) == 0;
    (void)close(fd);
    return ok;
}

/* Main ports whose peer ports (+ 1001, + 1000) are free. */
static inline uint16_t pick(void)
{
    static unsigned step;
    for (int i = 0; i < 1000; i++) {
        uint16_t port =
            (uint16_t)(PORT_FIRST + ((unsigned)getpid() * 7u + step++) % PORT_COUNT * PORT_STEP);
        if (is_free((uint16_t)(port + 1000)) && is_free((uint16_t)(port + 1001))) {
            return port;
        }
    }
    fail_msg("no port is free");
    return 0;
}

static inline void set_up(void)
{
    char text[256] = "";
    uint16_t ports[NODES];
    struct fail fail = {0};
    for (unsigned i = 0; i < NODES; i++) {
        ports[i] = pick();
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "127.0.0.1:%u,", ports[i]);
    }
    assert_int_equal(members_parse("test", span_str(text), 8848, &list, &fail), 0);
    for (unsigned i = 0; i < NODES; i++) {
        disk_init(&disks[i]);
        options[i] = (struct peering_options){
            .dir = disks[i].dir,
            .bind = "127.0.0.1",
            .port = ports[i],
            .list = &list,
            .secret = "",
            .no_second_port = true,
        };
        disks[i].peers = &options[i];
    }
}

static inline void begin_all(void)
{
    struct fail fail = {0};
    for (unsigned i = 0; i < NODES; i++) {
        assert_int_equal(disk_begin(&disks[i], &fail), 0);
    }
    for (unsigned i = 0; i < NODES; i++) {
        disk_await(&disks[i]);
    }
}

static inline void close_all(void)
{
    for (unsigned i = 0; i < NODES; i++) {
        disk_close(&disks[i]);
    }
}

static inline void nap(void)
{
    struct timespec t = {.tv_nsec = 50 * 1000 * 1000};
    (void)nanosleep(&t, NULL);
}

/* Until this node has so many configs and instances; others hear of them within moments. */
static inline void expect(struct disk *d, size_t configs, size_t instances)
{
    struct disk_sight s = {0};
    for (int i = 0; i < TRIES; i++) {
        s = disk_look(d);
        if (s.configs == configs && s.instances == instances) {
            return;
        }
        nap();
    }
    fail_msg("wanted %zu configs and %zu instances, found %zu and %zu", configs, instances,
             s.configs, s.instances);
}

static inline unsigned leader(void)
{
    for (int i = 0; i < TRIES; i++) {
        for (unsigned n = 0; n < NODES; n++) {
            if (disks[n].core && disk_look(&disks[n]).log.role == CONSENSUS_LEADER) {
                return n;
            }
        }
        nap();
    }
    fail_msg("nobody leads");
    return 0;
}

/* A write that may meet an election: the node holds it until somebody leads. */
static inline void write_through(struct disk *d, const char *data_id)
{
    for (int i = 0; i < TRIES && disk_publish(d, data_id, "content") != 0; i++) {
        nap();
    }
}

#endif
