/* A table writer over a real database in a folder that is removed again, with writes and reads that
 * a test can hold, break and count. Time is the test's.
 *
 * Thread:  the test's (THREAD_CORE), but where the lock is named.
 */
#ifndef NACRE_TESTS_WRITER_BED_H
#define NACRE_TESTS_WRITER_BED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/thread.h"
#include "scratch.h"
#include "store/table_writer.h"

#define WAIT_S 20 /* for what needs no time; then the test fails */

/* What the test's threads share. Time is the test's. */
struct writer_bed {
    struct scratch scratch;
    struct db_worker *worker;
    struct table_writer *writer;
    struct now now;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    unsigned wakes;
    unsigned at_gate;
    bool is_open;
    unsigned fatal;
    struct fail why;   /* of fatal */
    int64_t next_done; /* value of the put that must be done next; 0: not asked */
};

extern struct writer_bed bed;

/* A write of one row. */
struct put {
    struct table_write w;
    int64_t value;
    unsigned fails; /* how many runs end with fail_with */
    int fail_with;
    bool is_gate;         /* waits for bed_open_gate in run */
    bool is_out_of_sight; /* fails after its insert */
    unsigned runs;
    unsigned done;
    enum thread_kind ran_on;
};

/* A read that counts the rows. */
struct look {
    struct db_job job;
    int64_t seen;
    unsigned done;
};

/* Of a test with the bed. */
int bed_setup(void **state);
int bed_teardown(void **state);

/* Worker and writer end; start again with what the tables hold. */
void bed_stop(void);
void bed_start_at(uint64_t index);

/* Wait until *number, which threads change by bed_add, is at least least. */
void bed_wait(const unsigned *number, unsigned least);
void bed_add(unsigned *number);

/* Let writes with is_gate go on. */
void bed_open_gate(void);

/* The rows, and the index, as another connection sees them. */
uint64_t bed_applied_index(void);
int64_t bed_rows(void);

/* A write of the entry that is being applied. */
void bed_put(struct put *p);

/* One turn of core. */
void bed_turn(void);

/* Turns until *number is least, each after db threads had news. */
void bed_turn_until(const unsigned *number, unsigned least);

/* One entry with one write, all the way. */
void bed_write_one(struct put *p, uint64_t index);

/* Turn until the transaction that is out has come back; nothing else may wake. */
void bed_turn_until_back(void);

/* A read through table_writer_read; and the parts of one. */
int bed_look(struct look *l, struct fail *fail);
int bed_run_look(struct db_job *job, struct db *db, struct fail *fail);
void bed_look_done(struct db_job *take_job);

#endif
