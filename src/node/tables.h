/* The node's database: DIR/config.db, opened, brought up to date, its threads and its writer.
 *
 * Thread:  tables_create, tables_loaded: main, before core runs. tables_destroy: core's thread when
 *          it has ended, or main. The rest: core.
 * Owns:    the db threads, the table writer, and the connection that the features load from.
 */
#ifndef NACRE_NODE_TABLES_H
#define NACRE_NODE_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "store/table_writer.h"

#define TABLES_FILE "config.db"
#define TABLES_INCOMING "incoming.tables" /* of another node, with its snapshot */
#define TABLES_OUTGOING "outgoing.tables" /* for one */
#define TABLES_READERS 2

struct tables_options {
    const char *dir;       /* the data directory */
    uint64_t memory_bytes; /* budget of config contents: caches are a part of it */
    /* As db_worker_options.wake and table_writer_options.on_fatal. */
    void (*wake)(void *self);
    void (*on_fatal)(void *self, const struct fail *why);
    void *self;
    bool is_played; /* simulation: no threads (db_worker.h, stepped), and no waiting for the disk */
};

struct tables;

/* Open or make the file, migrate it, start the threads.
 * E_CORRUPT, E_UNSUPPORTED, E_IO, E_FULL  with the file and the way out */
MUST_USE int tables_create(const struct tables_options *options, struct tables **ret,
                           struct fail *fail);

/* NULL is fine. Jobs that wait end with E_CLOSED; writes that wait are forgotten (the log has
 * them). */
void tables_destroy(struct tables *t);

/* For the features' loading, until tables_loaded. */
struct db *tables_db(struct tables *t);
void tables_loaded(struct tables *t);

/* The entry up to which the tables were when they were opened: older ones are not applied to them
 * again. */
uint64_t tables_index(const struct tables *t);

/* Borrowed until tables_destroy. */
struct table_writer *tables_writer(struct tables *t);

/* For db_worker_collect, once a turn. */
struct db_worker *tables_worker(struct tables *t);

/* The file's path. */
const char *tables_path(const struct tables *t);

#endif
