/* A registry in a box: virtual time, a log that commits when told, and an outbox that is read back,
 * so that a test reads like a story: connect, subscribe, register, expect a push.
 *
 * Thread:  the test's; it becomes THREAD_CORE.
 * Checks:  naming_check and push_check run after every turn.
 * Errors:  a story function that the test cannot do without fails the test; those that a test looks
 * at return the error code.
 */
#ifndef NACRE_TESTS_NAMING_HARNESS_H
#define NACRE_TESTS_NAMING_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/call.h"
#include "naming/admit.h"
#include "naming/beat.h"
#include "naming/naming.h"
#include "naming/state.h"

/* A push as one connection received it. Owned by the story until story_take gave it away or the
 * story ends. */
struct story_push {
    struct story_push *next;
    uint64_t conn;
    uint64_t request_id;
    int64_t stamp; /* lastRefTime */
    uint64_t at_ms;
    size_t hosts;
    unsigned message; /* number of the effect: receivers of one message share it */
    char *json;
};

/* A call that waits for its answer. */
struct story_call {
    struct api_call call;
    bool answered;
    struct story_call *next;
};

/* An operation between propose and commit. */
struct story_op {
    struct buf *op;
    struct api_call *waiting;
    uint64_t shown; /* its number when it is (naming_show); 0 */
    bool is_passed; /* it was offered, and waits */
    struct story_op *next;
};

struct story {
    struct naming *naming;
    struct view *view;
    struct now now;
    struct outbox out;
    struct story_op *log;
    struct buf **committed; /* all that the log handed out, for story_restart */
    size_t committed_count, committed_cap;
    bool log_stuck;  /* nothing is committed until it is false again */
    bool log_lost;   /* what is proposed vanishes */
    size_t proposed; /* operations so far */
    uint64_t last_conn;
    unsigned messages; /* EFFECT_PUSHes so far */
    struct story_push *pushes;
    struct story_call *calls;
    struct story_frame *frames; /* oldest first */
    char *traces;               /* lines */
    struct fail fail;           /* of the last call that failed */
};

/* The options that stories run with; a test changes what it is about. */
struct naming_options story_options(void);

/* Begin with options. Time starts at 1,000,000 ms mono and 1,700,000,000,000 ms wall. */
void story_begin(struct story *s, const struct naming_options *options);

/* Free everything; asserts that the registry lets everything go. */
void story_end(struct story *s);

/* A naming connection from ip; its key. */
uint64_t story_connect(struct story *s, const char *ip);

/* A connection that subscribes to the service, has had and acked its extra push, and a quiet while
 * after it. */
uint64_t story_subscriber(struct story *s, const char *service, const char *ip,
                          const char *clusters);

/* The connection ends; the turn is run. */
void story_disconnect(struct story *s, uint64_t conn, enum removal_reason reason);

/* The server dies with everything that it had in memory, connections and pushes too, and begins
 * anew away_ms later over the same log. What is recovered is served when it returns; no turn was
 * run. */
struct naming_recovery story_restart(struct story *s, uint64_t away_ms);

/* Name in public, DEFAULT_GROUP. */
struct service_name story_name(const char *service);

/* A healthy, enabled instance of weight 1 in DEFAULT. */
struct instance_data story_instance(const char *ip, int port);

/* Run admit functions as a row would, with a call that waits, and the turn. Returns 0 or the code;
 * the text is in s->fail. */
int story_publish(struct story *s, const struct naming_publish *p);
int story_unpublish(struct story *s, const struct naming_unpublish *u);
int story_overlay(struct story *s, const struct naming_overlay *o);
int story_service_put(struct story *s, const struct naming_service_put *p);
int story_service_remove(struct story *s, const char *service);

/* The usual registrations. Persistent and HTTP: the client is ip:port. */
int story_register(struct story *s, uint64_t conn, const char *service, const char *ip, int port);
int story_register_batch(struct story *s, uint64_t conn, const char *service,
                         const struct instance_data *list, size_t count);
int story_register_http(struct story *s, const char *service, const struct instance_data *i);
int story_register_persistent(struct story *s, const char *service, const char *ip, int port);
int story_deregister(struct story *s, uint64_t conn, const char *service);
int story_deregister_persistent(struct story *s, const char *service, const char *ip, int port);

int story_subscribe(struct story *s, uint64_t conn, const char *service, const char *clusters);
int story_unsubscribe(struct story *s, uint64_t conn, const char *service);

/* A beat; *ret_interval_ms may be NULL. Returns the beat code, or a negative error. The turn is
 * run. */
int story_beat(struct story *s, const char *service, const struct instance_data *i, bool full,
               int64_t *ret_interval_ms);

/* Commit what is proposed, end the turn as core does, read the outbox. */
void story_turn(struct story *s);

/* Let ms pass: every deadline in between is a turn of its own. */
void story_advance(struct story *s, uint64_t ms);

/* The oldest push of conn that was not taken yet, or NULL; freed by story_push_free. */
struct story_push *story_take(struct story *s, uint64_t conn);
void story_push_free(struct story_push *take_push);

/* How many pushes of conn were not taken yet. */
size_t story_pushes(const struct story *s, uint64_t conn);

/* Take the oldest push of conn, which must be there, ack it, and run the turn. Returns the number
 * of its hosts. */
size_t story_take_and_ack(struct story *s, uint64_t conn);

/* Ack by number; the turn is run. */
void story_ack(struct story *s, uint64_t conn, uint64_t request_id, bool ok);

/* True when a trace line contains text. */
bool story_traced(const struct story *s, const char *text);

/* The service, or NULL. */
struct service *story_service(struct story *s, const char *service);

/* How many instances of the service are listed, pending ones too. 0 for a service that is not
 * visible. */
size_t story_listed(struct story *s, const char *service);

/* The listed instance of ip:port in DEFAULT, or NULL. */
const struct instance *story_find(struct story *s, const char *service, const char *ip, int port);

#endif
