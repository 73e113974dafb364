/* A folder that is removed again, and short ways to a database in it. */
#ifndef NACRE_TESTS_SCRATCH_H
#define NACRE_TESTS_SCRATCH_H

#include <stdint.h>

#include "store/db_sqlite.h"

struct scratch {
    char dir[64];
    char db[128]; /* dir/data.db; nothing is there yet */
};

/* Make the folder (in /tmp). */
void scratch_init(struct scratch *s);

/* Remove it with all that is in it. */
void scratch_close(struct scratch *s);

/* dir/name in dst of 160 bytes; returns dst. */
char *scratch_path(const struct scratch *s, const char *name, char *dst);

/* Open; fails the test with the reason. options may be NULL. */
struct db *scratch_open(const char *path, const struct db_sqlite_options *options);

/* A script in a transaction of its own; fails the test with the reason. */
void scratch_script(struct db *db, const char *sql);

/* The first column of the first row; fails the test when there is none. */
int64_t scratch_number(struct db *db, const struct db_stmt *stmt);

/* Bytes of a file; -1 when it is not there. */
int64_t scratch_size(const char *path);

/* Copy a file byte by byte. */
void scratch_copy(const char *from, const char *to);

#endif
