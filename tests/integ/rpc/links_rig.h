/* Nodes of links in one process, for tests: real gRPC, real TLS, real sockets of the loopback.
 *
 * Thread:  the test's is every node's core: what callbacks have seen is acted upon in rig_tick,
 * which SOON calls until its condition holds or its time is over.
 */
#ifndef NACRE_TESTS_LINKS_RIG_H
#define NACRE_TESTS_LINKS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include <grpc/grpc.h>

#include "base/clock.h"
#include "cluster/identity.h"
#include "rpc/links.h"

#define PEER_SLOTS 4
#define KIND_NUMBERED 7 /* a frame that begins with its number: rig_send_numbered */

/* Wait for a condition that some node's callbacks make true. */
#define SOON(ms, cond)                                                                             \
    do {                                                                                           \
        uint64_t until_ = clock_mono_ms() + (ms);                                                  \
        while (!(cond) && rig_tick(until_)) {                                                      \
        }                                                                                          \
        if (!(cond)) {                                                                             \
            fail_msg("not within %d ms: %s", (int)(ms), #cond);                                    \
        }                                                                                          \
    } while (0)

struct peer_slot {
    atomic_uint ups;
    atomic_uint downs;
    atomic_uint learned;
    atomic_uint selves;
    _Atomic uint64_t number; /* of the stream that is up; 0: none */
    struct node_id id;       /* learned or up; under the rig's lock */
    char why[512];           /* of the last down */
};

struct node {
    char dir[64];
    struct identity identity;
    struct links *links;
    uint16_t port;
    bool no_door;      /* links_options.no_door */
    bool pins_learned; /* what is learned becomes the pin at once */
    struct link_member members[PEER_SLOTS];
    struct peer_slot slots[PEER_SLOTS];
    atomic_ulong frames;
    atomic_ulong bytes;
    atomic_ulong disorder;  /* numbered frames that came out of order, or damaged */
    atomic_ulong backwards; /* numbered frames that are no newer than one before */
    _Atomic uint64_t expected;
    _Atomic uint64_t last_ns; /* of the last frame's arrival */
    atomic_bool echoes;       /* numbered frames are counted in rig_tick and sent back to slot 0 */
    struct node *next;
};

/* A fresh directory and identity; links created, not started. */
struct node *node_open(void);

/* Listen on 127.0.0.1; port 0: any. */
void node_start(struct node *n, uint16_t port);

/* Stop and destroy its links, keep the directory. */
void node_stop(struct node *n, uint32_t grace_ms);

/* node_stop, and everything is gone. */
void node_close(struct node *n);

/* List port at slot, with its pin or NULL; told to links by node_apply. port_second 0: none. */
void node_list(struct node *n, unsigned slot, uint16_t port, uint16_t port_second,
               const struct node_id *pin);
void node_unlist(struct node *n, unsigned slot);
void node_apply(struct node *n);

/* List each at the other's slot 0, with pins. */
void node_pair(struct node *a, struct node *b);

/* Two nodes, opened, started and paired, with a link each way. */
void nodes_meet(struct node **ret_a, struct node **ret_b);

/* Send a text. */
int node_send(struct node *n, unsigned slot, unsigned kind, const char *text);

/* Send a frame of len bytes (at least 8) that begins with number. */
int node_send_numbered(struct node *n, unsigned slot, uint64_t number, size_t len);

/* The last reason of slot, copied to static memory. */
const char *node_why(struct node *n, unsigned slot);

/* Do what cores would do, then wait for a callback, at most until; false when that is over. */
bool rig_tick(uint64_t until_ms);

/* A port nobody listens on: bound and closed. */
uint16_t rig_free_port(void);

/* A TCP connection of the test's own. */
int rig_connect(uint16_t port);

/* A relay to another port, which can fall silent while its connections stay: a pulled cable. */
struct relay;

struct relay *relay_open(uint16_t to);
uint16_t relay_port(const struct relay *r);
void relay_freeze(struct relay *r);

/* Close all connections, as a dying process does; new ones are taken. */
void relay_cut(struct relay *r);
void relay_close(struct relay *r);

/* A call by hand to a peer server: any bytes, under any identity. */
struct raw_call;

/* identity without a key: a client that shows no certificate. method NULL: the peers'. */
struct raw_call *raw_open(uint16_t port, const struct identity *identity, const char *method);

/* Whether the client's side of the handshake went through. */
bool raw_saw_server(struct raw_call *c);

/* Send a message and wait until it is on its way. False: the stream has ended. */
bool raw_send(struct raw_call *c, const void *bytes, size_t len);

/* A good hello of its identity, with a number. */
bool raw_hello(struct raw_call *c, uint32_t version, const struct node_id *id, uint64_t number);

/* Wait for the server's initial metadata: whether the hello was taken. */
bool raw_is_accepted(struct raw_call *c);

/* Half-close. */
void raw_finish(struct raw_call *c);

/* Wait for the end; *ret_why until raw_close, may be NULL. */
grpc_status_code raw_status(struct raw_call *c, const char **ret_why);

/* Cancel if need be and free. */
void raw_close(struct raw_call *c);

#endif
