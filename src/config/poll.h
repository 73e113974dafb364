/* Long polls of 1.x clients: calls that are held until one of their configs changes or the time is
 * over.
 *
 * Thread:  core only.
 * Owns:    each held call until it is answered.
 * Short:   DIFF(short-poll-body): the result for clients from 2.0.4 on is the body.
 * Limits:  DIFF(bounded-polls): polls_max are held (E_LIMIT, 503), LISTEN_CONTEXTS_MAX keys each,
 *          POLL_KEYS_MAX of all.
 * Source:  http-api.md 2.4; semantics.md 2.10; Nacos 2.5.1
 *          config/.../service/LongPollingService.java.
 */
#ifndef NACRE_CONFIG_POLL_H
#define NACRE_CONFIG_POLL_H

#include "config/listen.h"

#define POLL_KEYS_MAX 2000000
#define POLL_HOLD_MAX_MS 300000 /* longer ones are held this long */

/* Decoded POST /v1/cs/configs/listener; in the call's arena. */
struct poll_request {
    struct listen_context *list;
    size_t count;
    struct config_reader reader;
    bool is_long;     /* Long-Pulling-Timeout was sent */
    uint64_t hold_ms; /* sent - 500; held poll_hold_least_ms at least */
    bool no_hangup;   /* answer at once */
    bool in_headers;  /* a short poll of a client before 2.0.4: the result is in headers */
};

/* Compare, answer or hold. Returns API_ANSWERED, API_LATER or a negative code. */
int poll_admit(struct config *c, struct api_call *call, const struct poll_request *r,
               struct now now, struct outbox *out, struct fail *fail);

/* Answer every held call that names the item, if what its reader gets differs from what it holds.
 */
void poll_on_change(struct config *c, struct item *i, struct now now, struct outbox *out);

/* Answer those whose time is over. */
void poll_turn(struct config *c, struct now now, struct outbox *out);
uint64_t poll_deadline(const struct config *c);

/* Answer all, empty: the node stops. */
void poll_stop(struct config *c, struct outbox *out);

/* As listen_each_*, for held polls. */
void poll_each_of_item(const struct item *i, listen_visit_fn fn, void *arg);
void poll_each_of_ip(const struct config *c, struct span ip, listen_visit_fn fn, void *arg);

#endif
