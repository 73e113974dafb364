/* Many sessions: opened a bounded number at a time, kept alive, counted when they are lost.
 *
 * Thread:  the poller's; fleet_open turns the poller itself until all are ready.
 * Owns:    its sessions. Borrows the poller and the address.
 * Limits:  FLEET_OPENING_MAX sessions are being set up at any time, so that a server's accept queue
 * does not overflow.
 */
#ifndef NACRE_BENCH_FLEET_H
#define NACRE_BENCH_FLEET_H

#include <netdb.h>

#include "base/fail.h"
#include "base/macros.h"
#include "bench/poller.h"
#include "bench/session.h"

#define FLEET_OPENING_MAX 128

/* Embedded by its owner, who reads session, count and lost. */
struct fleet {
    struct poller *poller;
    const struct addrinfo *address;
    struct session_frames frames;
    struct session_ops ops;
    struct session *session; /* count of them; the first begun are initialised */
    unsigned count;
    unsigned begun;
    unsigned ready;
    unsigned lost;
    bool raw;
    struct fail why; /* the first loss */
    struct poll_timer tick;
    void *self;
    void (*on_push)(void *self, unsigned index, struct span body, uint64_t now_ns);
};

/* An empty fleet. raw: connections without setup. on_push (may be NULL) runs for each
 * push of a changed service or config. */
void fleet_init(struct fleet *f, struct poller *poller, const struct addrinfo *address, bool raw);

/* The sessions are configuration clients, not naming clients. Before fleet_open. */
void fleet_for_configs(struct fleet *f);

/* Open count sessions and wait until all are ready. The first failure ends it: its code and text;
 * what was opened stays until fleet_close. Once. */
MUST_USE int fleet_open(struct fleet *f, unsigned count, struct fail *fail);

/* Make one request on session index and wait for its answer, which must hold "resultCode":200.
 * The errors of h2call_reply, E_INTERNAL for a refusal, E_TIMEOUT after 10 s. ret_reply (may be
 * NULL) gets a copy of the message. */
MUST_USE int fleet_ask(struct fleet *f, unsigned index, const struct frame *request,
                       struct bytes *ret_reply, struct fail *fail);

/* The same request on every session at once; the first failure is reported after all have answered.
 */
MUST_USE int fleet_ask_all(struct fleet *f, const struct frame *request, struct fail *fail);

/* Close all sessions. */
void fleet_close(struct fleet *f);

#endif
