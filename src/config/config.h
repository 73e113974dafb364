/* The configuration centre: what node/ and the rows see.
 *
 * The way of a write: admit.h (rules, limits; the request becomes an operation) -> log -> apply.h
 * (every node: state in memory, and a write for the tables behind it) -> view -> react.h (this
 * node: answer, notify listeners). Reads come from the view; contents that are not in memory
 * (cache.h) are loaded by a db thread; what people ask for (search, history, export) is SQL on a db
 * thread after the tables have caught up (config_query.h).
 *
 * Thread:  core only, but config_counters (any; atomics) and config_load_tables (main, before core
 *          runs).
 * Source:  semantics.md 2; grpc-sdk.md 5.3; http-api.md 2, 3.
 */
#ifndef NACRE_CONFIG_CONFIG_H
#define NACRE_CONFIG_CONFIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/call.h"
#include "api/gate.h"
#include "api/outbox.h"
#include "base/clock.h"
#include "base/span.h"
#include "store/db.h"
#include "store/migrate.h"
#include "store/table_writer.h"
#include "view/view.h"
#include "wire/ack.h"

/* Plain data. */
struct config_options {
    uint64_t memory_bytes_max;   /* nacre.config.memory.max: contents kept in memory */
    uint32_t content_chars_max;  /* maxContent */
    uint32_t gray_max;           /* nacos.config.gray.version.max.count */
    uint32_t history_days;       /* nacos.config.retention.days; 0: for ever */
    uint32_t notify_retry_ms;    /* first repetition of a change notice: 1000 */
    uint32_t notify_tries_max;   /* nacos.config.push.maxRetryTime: 50, then the connection ends */
    uint32_t poll_hold_least_ms; /* 10000 */
    uint32_t polls_max;          /* held long polls */
    uint32_t listens_max;        /* listened keys of all connections */
    /* For imports: is there such a namespace? On core. NULL: all exist. */
    bool (*namespace_exists)(void *self, struct span id);
    void *namespaces;
    struct read_gate *gate; /* NULL: this node alone writes, or reads need not be fresh */
    uint64_t tables_index;  /* the entry at which the tables stand when they are loaded */
};

/* Read by metrics on any thread. */
struct config_counters {
    atomic_ulong publishes; /* applied, formal and gray */
    atomic_ulong removes;
    atomic_ulong cas_failures;
    atomic_ulong notifies; /* change notices sent */
    atomic_ulong notify_repeats;
    atomic_ulong notify_given_up;
    atomic_ulong loads; /* cold contents read */
    atomic_ulong load_failures;
    atomic_ulong evictions;
    atomic_ulong bad_ops; /* unknown or damaged operations that became no-ops */
    atomic_ulong refused; /* by table_writer_trouble */
};

struct config;

extern const struct migration_set migrate_config;

/* What the rows' read functions are given (api_rows.read_self); their admit functions get the
 * struct config. Constant while the edges run, but for removed_index. */
struct config_edge {
    struct view *view;
    uint32_t content_chars_max;
    struct read_gate *gate;
    /* The last entry that took a config away: what an absence is as new as. Core writes. */
    atomic_uint_fast64_t removed_index;
};

/* view, tables are borrowed and outlive it. */
struct config *config_create(const struct config_options *options, struct view *view,
                             struct table_writer *tables);

/* Frees the state and takes its values out of the view, which may go on with another state (tables
 * that came from another node). config_stop was called, and no job of ours is out. NULL is fine. */
void config_destroy(struct config *c);

/* For the edges; borrowed until config_destroy. */
struct config_edge *config_edge(struct config *c);

/* Read what the tables hold: every config's facts, and contents as long as the budget lasts (the
 * newest first). Before anything is applied. */
MUST_USE int config_load_tables(struct config *c, struct db *db, struct now now, struct fail *fail);

/* A registered connection that may listen. Spans are copied. */
struct config_conn {
    uint64_t conn;
    struct span id;
    struct span client_ip;
    struct span app;
    struct span tag; /* as api_caller.tag */
};

/* It is there from now on; twice is once. */
void config_conn_open(struct config *c, const struct config_conn *conn, struct now now);

/* Its listens go. Unknown: nothing. */
void config_conn_closed(struct config *c, uint64_t conn);

/* An ack for one of our notices (others are ignored). */
void config_ack(struct config *c, uint64_t conn, const struct ack *ack, struct now now);

/* A committed operation. waiting: the call of this node that proposed it, or NULL; answered here
 * (into out). */
void config_commit(struct config *c, uint64_t index, struct span op, struct api_call *waiting,
                   struct now now, struct outbox *out);

/* The log refused the operation that this call waits for: ends whatever the feature kept for it;
 * the call is answered with why (into out). For calls whose row is config's. */
void config_rejected(struct config *c, struct api_call *take_call, const struct fail *why,
                     struct outbox *out);

/* End of a core turn: notices, held polls and loads that are due. */
void config_turn(struct config *c, struct now now, struct outbox *out);

/* When config_turn wants to be called next (monotonic ms), UINT64_MAX for never. */
uint64_t config_deadline(const struct config *c);

/* The node stops: every call that is held (long polls, loads, imports) is answered now. */
void config_stop(struct config *c, struct now now, struct outbox *out);

/* Borrowed until config_destroy; the counters only grow. */
const struct config_counters *config_counters(const struct config *c);

/* Figures. Plain data. */
struct config_stats {
    size_t configs;         /* formal versions */
    size_t gray;            /* gray versions */
    size_t listens;         /* (connection, config) pairs */
    size_t polls;           /* held */
    uint64_t content_bytes; /* in memory */
};

/* As they are now. */
struct config_stats config_stats(const struct config *c);

/* Formal configs of a tenant ("" is public). O(1). */
size_t config_count_of(const struct config *c, struct span tenant);

#endif
