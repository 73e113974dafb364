/* Beats of 1.x HTTP clients: instances that live by being heard of.
 *
 * The node that an HTTP client published through last watches it: silent for the timeout it turns
 * unhealthy, for the delete timeout it goes. Both are operations for the log; the watching is that
 * node's own. Other nodes that receive a beat tell it (beat_peer.h).
 *
 * Thread:  core only.
 * Source:  semantics.md 1.11; http-api.md 4.1 (beat), 6.1. Checks happen when due, not every 5 s.
 */
#ifndef NACRE_NAMING_BEAT_H
#define NACRE_NAMING_BEAT_H

#include "naming/admit.h"
#include "naming/state.h"

enum beat_code { BEAT_OK = 10200, BEAT_UNKNOWN = 20404 };

/* What the client is told. */
struct beat_answer {
    enum beat_code code;
    int64_t interval_ms;
};

/* A decoded beat. Plain data, borrowed; answer is beat_take's. */
struct naming_beat {
    struct service_name service;
    struct instance_data instance; /* ip, port, cluster; the rest only with full */
    bool full;                     /* has a body: may register */
    struct beat_answer answer;
};

#define BEAT_IP_BYTES_MAX ((size_t)NAME_IP_MAX * 4) /* NAME_IP_MAX counts characters */
#define BEAT_CLIENT_ID_MAX (BEAT_IP_BYTES_MAX + 32)

/* The id of the HTTP client of an address, "ip:port#true", written to dst. ip: at most
 * BEAT_IP_BYTES_MAX (asserted). Any thread. */
struct span beat_client_id(struct span ip, int64_t port, char dst[BEAT_CLIENT_ID_MAX]);

/* Take a beat: API_ANSWERED, or API_LATER for a full beat of an unknown instance, which is
 * registered. b->answer is set in both cases. */
int beat_take(struct naming *n, struct naming_beat *b, struct api_call *waiting, struct now now,
              struct outbox *out, struct fail *fail);

/* It is heard of, by this node, which watches it. */
void beat_heard(struct naming *n, struct publication *p, struct now now, struct outbox *out);

/* A publication of an HTTP client was applied, or its client moved: watch it (or watch it anew), or
 * leave it alone from now on when another node does. */
void beat_watch(struct naming *n, struct publication *p, struct now now);

/* Its metadata changed (an overlay): its times may be others now. */
void beat_changed(struct naming *n, struct publication *p);

/* A health operation was applied to it: the one that we proposed is not on its way any more. */
void beat_health_applied(struct naming *n, struct publication *p, bool healthy);

/* It goes: watch it no more. */
void beat_forget(struct naming *n, struct publication *p);

/* What is on its way through the log for a publication: it is not proposed twice. */
enum beat_proposed {
    BEAT_PROPOSED_NONE,
    BEAT_PROPOSED_UNHEALTHY,
    BEAT_PROPOSED_HEALTHY,
    BEAT_PROPOSED_REMOVE,
    BEAT_PROPOSED_PUBLISH, /* taken over from another node */
};

/* When something happens to an instance that is not heard of again; DEADLINE_NONE: never. */
struct beat_times {
    uint64_t unhealthy_ms;
    uint64_t remove_ms;
};
/* Of one that was heard of at beat_ms; i: as it is published or shown, for its metadata. */
struct beat_times beat_times(const struct naming *n, const struct instance *i, bool healthy,
                             uint64_t beat_ms);

/* Propose what becomes of a client's publication; not PUBLISH. */
void beat_propose(const struct service *s, struct span client, enum beat_proposed what,
                  struct now now, struct outbox *out);

/* Whatever is due: unhealthy, remove. */
void beat_turn(struct naming *n, struct now now, struct outbox *out);

/* When beat_turn wants to be called next (monotonic ms), UINT64_MAX for never. */
uint64_t beat_deadline(const struct naming *n);

#endif
