/* A configuration centre in a box: virtual time, a log that commits when told, real tables in a
 * temporary folder, and an outbox that is read back: publish this, get the answer, restart.
 *
 * Thread:  the test's; it becomes THREAD_CORE.
 * Checks:  config_check runs after every turn.
 * Errors:  a function that the test cannot do without fails the test; those that a test looks at
 *          return the error code, with the text in s->fail.
 */
#ifndef NACRE_TESTS_CONFIG_HARNESS_H
#define NACRE_TESTS_CONFIG_HARNESS_H

#include <pthread.h>

#include "config/admit.h"
#include "config/apply.h"
#include "config/state.h"

/* A call that waits, or has its answer. Freed by cstory_end. */
struct cstory_call {
    struct api_call call;
    bool answered;
    struct cstory *story;
    bool delivered; /* by a db thread; guarded by story->lock */
    struct cstory_call *next;
};

/* An operation between propose and commit. */
struct cstory_op {
    struct buf *op;
    struct api_call *waiting;
    struct cstory_op *next;
};

/* An operation that was committed: it is given again after a restart when the tables lack it. */
struct cstory_entry {
    uint64_t index;
    struct buf *op;
};

/* A notice as one connection received it. */
struct cstory_push {
    struct cstory_push *next;
    uint64_t conn;
    char *json;
};

struct cstory {
    struct config *config;
    struct view *view;
    struct db_worker *worker;
    struct table_writer *tables;
    struct now now;
    struct outbox out;
    uint64_t index; /* of the last entry */
    struct cstory_op *log;
    struct cstory_entry *entries;
    size_t entries_count, entries_cap;
    bool log_stuck;     /* nothing is committed until it is false again */
    bool tables_behind; /* what is applied does not reach the tables meanwhile */
    struct cstory_push *pushes;
    struct cstory_call *calls;
    struct fail fail; /* of the last call that failed */
    unsigned fatal;   /* the tables cannot go on */
    /* the db threads wake us */
    pthread_mutex_t lock; /* guards wakes */
    pthread_cond_t woken;
    unsigned wakes;
    unsigned wakes_seen;
    char dir[64];
    char path[128];
};

/* Nacos's limits, 64 MiB of contents in memory, history for ever. */
struct config_options cstory_options(void);

/* Begin with options (NULL: cstory_options). Time starts at 1,000,000 ms mono and
 * 1,700,000,000,000 ms wall. */
void cstory_begin(struct cstory *s, const struct config_options *options);

/* Free everything and remove the folder. */
void cstory_end(struct cstory *s);

/* The node ends and starts again with options (NULL: those that it had): what the tables hold is
 * loaded, what they lack comes from the log. */
void cstory_restart(struct cstory *s, const struct config_options *options);

/* Commit what is proposed as one entry, end the turn as core does, read the outbox. */
void cstory_turn(struct cstory *s);

/* Turns until the tables hold all that is applied and no call waits for them. */
void cstory_settle(struct cstory *s);

/* Let ms pass: every deadline in between is a turn of its own. */
void cstory_advance(struct cstory *s, uint64_t ms);

/* A call with an arena, from 10.0.0.9, row and admit_self unset. For admit functions of rows. */
struct cstory_call *cstory_call(struct cstory *s);

/* What became of an admit function's word next (see api/row.h), after a turn: 0 when the call was
 * answered well or still waits, else the code. */
int cstory_conclude(struct cstory *s, struct cstory_call *call, int next, const struct fail *fail);

/* Turns until the call has its answer; its code. */
int cstory_wait(struct cstory *s, struct cstory_call *call);

/* A form of DEFAULT_GROUP, tenant "". */
struct config_form cstory_form(const char *data_id, const char *content);
struct config_key cstory_key(const char *data_id);

/* As a row does: check, admit, turn. Returns 0 or the code. */
int cstory_publish_form(struct cstory *s, const struct config_form *form);
int cstory_publish(struct cstory *s, const char *data_id, const char *content);
int cstory_publish_tag(struct cstory *s, const char *data_id, const char *tag, const char *content);
int cstory_publish_beta(struct cstory *s, const char *data_id, const char *ips,
                        const char *content);
/* gray: as the client sends it; "" for the formal version. */
int cstory_remove(struct cstory *s, const char *data_id, const char *gray);

/* Put an operation into the log past admit; committed in a turn. */
void cstory_commit(struct cstory *s, const struct config_op *op);

/* The item; NULL: there is none. */
struct item *cstory_item(struct cstory *s, const char *data_id);

/* The chosen version's content as text, in static memory; NULL: not found, "(cold)" when it is not
 * in memory. From the view, as a reader sees it. */
const char *cstory_read(struct cstory *s, const char *data_id, const struct config_reader *reader);

/* The first column of the first row of a query over the tables, which are settled first. */
int64_t cstory_number(struct cstory *s, const struct db_stmt *stmt);

#endif
