/* The core's inside, shared by core.c (mails, turns, life) and core_log.c (what the log says).
 *
 * Thread:  core, but for what core.h says.
 */
#ifndef NACRE_NODE_CORE_STATE_H
#define NACRE_NODE_CORE_STATE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "node/core.h"
#include "node/effects.h"
#include "node/leaving.h"
#include "node/loader.h"
#include "node/orders.h"
#include "node/peering.h"
#include "node/queries.h"
#include "node/tables.h"

struct loop;

struct core {
    struct core_options options; /* its texts are the caller's */
    struct loop *loop;
    struct view *view;
    struct naming *naming;
    struct conn_table *conns;
    struct consensus *log;
    /* NULL with a log in memory */
    struct tables *tables;
    struct namespaces *namespaces;
    struct config *config;
    struct peering *peers; /* NULL: a node alone */
    uint64_t entry_index;  /* the last entry that was applied whole */
    struct outbox out;
    struct effects_edge edge;
    struct now now; /* of the current turn */
    size_t settled; /* effects before this one hold no proposal any more */
    bool is_ready;  /* all of earlier lives is applied */
    struct leaving leaving;
    struct queries queries;
    struct orders orders;
    struct loader loader;
    bool has_left; /* clients are being sent away, or were */
    sem_t said_goodbye;
    struct core_mail db_mail; /* wakes the loop for what db threads have finished */
    atomic_bool db_mail_out;
    pthread_t thread;
    bool running;
    bool is_played;
    struct core_played played; /* zero: it is not */
};

/* What the core does with what the log says. */
extern const struct consensus_ops core_log_ops;

/* What happens when, for the loop; and the end: everybody who waits is answered, the state goes. On
 * core. */
extern const struct loop_ops core_loop_ops;
void core_end(struct core *c);

/* Answer a call whose operation is not going to be committed by it. */
void core_reject(struct core *c, struct api_call *take_call, const struct fail *why);

/* core_open.c: the tables and the features that live in them; the log, unless its members have to
 * find each other first. Main before core runs, or core outside of its loop. What they say, with
 * the file and the way out. */
MUST_USE int core_open_tables(struct core *c, struct fail *fail);
MUST_USE int core_open_log(struct core *c, struct fail *fail);

/* Put the database file fresh in the place of the tables and load it. While core does not run. */
MUST_USE int core_replace_tables(struct core *c, const char *fresh, struct fail *fail);

/* Become what a snapshot's or a backup's sections say. Before the log is handed out, or from it. */
struct byte_source;
MUST_USE int core_load_sections(struct core *c, const struct byte_source *from, struct fail *fail);

#endif
