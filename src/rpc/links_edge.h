/* The links' own struct, seen by the files of the peer part only.
 *
 * Thread:  one queue (queue.h, index LINKS_QUEUE) has a thread that owns all streams, timers and
 *          callbacks of the peer part, so these need no lock. What others hand to it stands under
 *          links->lock: the list of members and the frames to send.
 */
#ifndef NACRE_RPC_LINKS_EDGE_H
#define NACRE_RPC_LINKS_EDGE_H

#include <pthread.h>

#include <grpc/grpc.h>

#include "base/assert.h"
#include "rpc/life.h"
#include "rpc/links.h"
#include "rpc/links_frame.h"
#include "rpc/peer_places.h"
#include "rpc/peer_tls.h"
#include "rpc/queue.h"

#define LINKS_QUEUE RPC_QUEUES /* the number of our queue, behind the data plane's */
#define LINKS_METHOD "/nacre.Peer/Frames"
#define LINKS_ACCEPT_KEY "nacre-link" /* initial metadata that a good hello is answered with */
#define LINKS_MESSAGE_MAX (LINK_FRAME_MAX + (64u << 10))
#define LINKS_STOP_LATE_MS 30000

struct peer_server;
struct peer_channel;

/* A member as it was listed last. */
struct listed {
    char *host; /* NULL: nobody has this slot */
    uint16_t port;
    uint16_t port_second;
    struct node_id pin;
};

/* Frames for a slot, from links_send to its stream. */
struct link_out {
    bool is_open;      /* its stream is up, and to the member that is listed now */
    struct node_id id; /* who is at its other end */
    struct link_frame *first;
    struct link_frame *last;
    size_t bytes; /* of the list and of what C-core has not taken yet */
};

struct links {
    const struct identity *identity;
    char *bind;
    uint16_t port; /* wanted, then bound */
    bool no_door;
    const struct links_ops *ops;
    void *self;
    struct peer_pins *pins;
    grpc_channel *lame; /* carries the call that wakes the queue */
    struct queue queue;
    struct life life;
    bool is_started;      /* main's */
    pthread_mutex_t lock; /* guards what follows up to places */
    bool is_stopping;
    bool is_woken;   /* the mail below is under way */
    bool is_changed; /* listed is newer than what the queue's thread made of it */
    struct queue_mail wake;
    struct listed listed[LINKS_MEMBERS_MAX];
    struct link_out out[LINKS_MEMBERS_MAX];
    struct peer_places places;
    /* The queue's thread. */
    bool is_running;            /* the first list was taken */
    struct peer_server *server; /* made and ended by main */
    struct peer_channel *channels[LINKS_MEMBERS_MAX];
    struct queue_timer watch; /* logs strangers */
    unsigned long strangers_told;
    uint64_t life_number; /* random: this process */
    uint64_t streams;     /* outgoing ones that were begun */
};

/* A member proved its key at this address (C-core's peer text). */
void links_proved(struct links *l, const struct node_id *id, const char *peer);

static inline void links_lock(struct links *l)
{
    ASSERT(pthread_mutex_lock(&l->lock) == 0);
}

static inline void links_unlock(struct links *l)
{
    ASSERT(pthread_mutex_unlock(&l->lock) == 0);
}

/* Write "host:port" (IPv6 in brackets) with a scheme's prefix before it. Returns memory of the
 * caller's. */
MUST_USE char *links_target(const char *prefix, const char *host, uint16_t port);

/* One figure up. */
static inline void links_count(atomic_ulong *figure, unsigned long n)
{
    atomic_fetch_add_explicit(figure, n, memory_order_relaxed);
}

#endif
