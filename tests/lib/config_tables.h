/* The configuration centre's tables in a database of their own, and short ways to write to them. */
#ifndef NACRE_TESTS_CONFIG_TABLES_H
#define NACRE_TESTS_CONFIG_TABLES_H

#include <stdint.h>

#include "config/config_repo.h"

struct config_tables {
    char dir[64];
    char path[128];
    struct db *db;
    uint64_t last_id, last_nid;
    int64_t now_ms; /* one more for each write */
};

/* Make the folder (in /tmp) and the tables. */
void tables_init(struct config_tables *t);

/* Close, and remove the folder. */
void tables_close(struct config_tables *t);

/* A publish of group "g", tenant "" with content and its md5, type text, nothing else sent. */
struct config_publish tables_publish(const char *data_id, const char *content);

/* Write p in a transaction: id 0 makes a new row (its id is returned), else the row id is changed.
 * Fails the test with the reason. user, ip of the writer: "user", "10.0.0.1". */
uint64_t tables_put(struct config_tables *t, uint64_t id, const struct config_publish *p);

/* Remove the row in a transaction. p: its key and gray name. */
void tables_remove(struct config_tables *t, uint64_t id, const struct config_publish *p);

/* The first column of the first row as a number; fails the test when there is none. */
int64_t tables_number(struct config_tables *t, const struct db_stmt *stmt);

#endif
