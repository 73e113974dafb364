/* The history of configs as people ask for it: SQL over his_config_info.
 *
 * Thread:  db-N.
 * Rows:    semantics.md 2.7: I keeps the new content, U and D what was there before.
 *          DIFF(history-first): those of a first publish carry the config's id, too.
 * Whose:   a config's history is that of all ids that its key has had (config_lives), gray versions
 *          and former lives included.
 */
#ifndef NACRE_CONFIG_HISTORY_REPO_H
#define NACRE_CONFIG_HISTORY_REPO_H

#include "config/config_key.h"
#include "store/db.h"

/* Configs that one answer lists (a drop-down on a page). */
#define HISTORY_CONFIGS_MAX 60000

#define HISTORY_ROWS_MAX 500 /* of one page */

/* One row; spans until the callback returns; data NULL: the column is NULL, or (content, md5,
 * encrypted_key of history_list) not asked for. Plain data. */
struct history_row {
    uint64_t nid;
    uint64_t id; /* of the config or gray version */
    struct config_key key;
    struct span app_name, content, md5, encrypted_key;
    struct span src_user, src_ip;
    struct span op_type;      /* "I", "U", "D" */
    struct span publish_type; /* "formal", "gray" */
    struct span gray_name;
    struct span ext_info;
    int64_t created_ms, modified_ms;
};
typedef int (*history_row_fn)(void *arg, const struct history_row *row, struct fail *fail);

/* How many rows a config's history has. */
MUST_USE int history_count(struct db *db, const struct config_key *key, uint64_t *ret_count,
                           struct fail *fail);

/* Rows [offset, offset + limit) of a history. Plain data. */
struct history_slice {
    uint64_t offset;
    uint64_t limit; /* up to HISTORY_ROWS_MAX */
};

/* These rows of a config's history, newest first, without content. */
MUST_USE int history_list(struct db *db, const struct config_key *key, struct history_slice slice,
                          history_row_fn fn, void *arg, struct fail *fail);

/* The row nid, whole. E_NOT_FOUND; fn is called once. */
MUST_USE int history_find(struct db *db, uint64_t nid, history_row_fn fn, void *arg,
                          struct fail *fail);

/* What the config (its id) was before its last change: the newest U or D row. E_NOT_FOUND: there is
 * none, as right after a first publish. fn is called once. */
MUST_USE int history_previous(struct db *db, uint64_t id, history_row_fn fn, void *arg,
                              struct fail *fail);

/* What the version (row->id) was after the U row: what its next row kept, else what it is now.
 * E_NOT_FOUND  neither is there. fn is called once; of its row, content, md5, encrypted_key and
 * ext_info are meaningful. */
MUST_USE int history_after(struct db *db, const struct history_row *row, history_row_fn fn,
                           void *arg, struct fail *fail);

/* A config that has a history, as lists show it. */
struct history_config {
    struct config_key key;
    struct span app_name, type;
    int64_t modified_ms;
};
typedef void (*history_config_fn)(void *arg, const struct history_config *config);

/* The tenant's configs by id, at most HISTORY_CONFIGS_MAX. */
MUST_USE int history_configs(struct db *db, struct span tenant, history_config_fn fn, void *arg,
                             struct fail *fail);

#endif
