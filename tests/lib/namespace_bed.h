/* Namespaces over real tables in a folder that is removed again, and whole HTTP calls to them, as
 * an edge, the core and the log do it, without any of them.
 *
 * Thread:  the test's (THREAD_CORE).
 */
#ifndef NACRE_TESTS_NAMESPACE_BED_H
#define NACRE_TESTS_NAMESPACE_BED_H

#include <stdatomic.h>
#include <stdint.h>

#include "api/row.h"
#include "namespace/namespace.h"
#include "namespace/namespace_op.h"

struct namespace_bed {
    char dir[64];
    char path[128];
    struct db_worker *worker;
    struct table_writer *tables;
    struct namespaces *namespaces;
    struct outbox out;
    struct now now;
    struct read_gate *gate; /* of the next start */
    uint64_t index;         /* of the last entry */
    size_t configs; /* what count_configs says of every namespace that is not the default one */
    atomic_uint wakes;
    /* Of the last call. */
    int err;
    struct fail fail;
    const char *content_type;
    char text[4096]; /* body, or text of fail */
};

void bed_begin(struct namespace_bed *b);
void bed_end(struct namespace_bed *b);

/* Stop, and start with what the tables hold. */
void bed_reopen(struct namespace_bed *b);

/* An entry of the log with these bytes. waiting may be NULL. */
void bed_commit(struct namespace_bed *b, struct span op, struct api_call *waiting);

/* An entry with this operation; its failure is in b->fail. */
void bed_apply(struct namespace_bed *b, const struct namespace_op *op);

/* Until the tables hold everything; fails the test after 20 s. */
void bed_flush(struct namespace_bed *b);

/* A call; params as in a query string. The log commits at once; before, between (may be NULL) runs:
 * what another node proposed first. */
void bed_call(struct namespace_bed *b, unsigned method, const char *path, const char *params);
void bed_call_after(struct namespace_bed *b, unsigned method, const char *path, const char *params,
                    void (*between)(struct namespace_bed *b));

/* The call is answered with exactly this body, or fails with this code and text. */
void bed_expect(struct namespace_bed *b, unsigned method, const char *path, const char *params,
                const char *body);
void bed_refuse(struct namespace_bed *b, unsigned method, const char *path, const char *params,
                int err, const char *text);

#endif
