/* SQL of the configuration centre: Nacos's tables (config_info, config_info_gray,
 * config_tags_relation, his_config_info), in SQLite's dialect; MySQL's comes beside it.
 *
 * Thread:  db-N, or main before the core runs.
 * Times:   milliseconds since 1970 in INTEGER columns (SQLite).
 * History: semantics.md 2.7: I keeps the new content, U and D the old one (taken from the table by
 *          the statement itself, so a cold content is not loaded to be written again).
 *          DIFF(history-first): rows of a first publish carry the config's id too.
 * Files:   config_repo.c: writes; config_repo_load.c: what the start and cold contents read;
 *          config_repo_search.c: what people ask for.
 */
#ifndef NACRE_CONFIG_CONFIG_REPO_H
#define NACRE_CONFIG_CONFIG_REPO_H

#include "base/arena.h"
#include "config/config_op.h"
#include "store/db.h"

/* What apply decided about one publish or remove; all that the tables need. Plain data. */
struct repo_write {
    uint64_t id;  /* of the config (formal), or of the gray row */
    uint64_t nid; /* of the history row */
    bool is_new;  /* the row does not exist yet */
    bool is_remove;
    int64_t modified_ms; /* of the version */
    int64_t time_ms;     /* of the operation, for the history */
    struct span src_user, src_ip;
    struct config_publish publish; /* remove: key and gray_name only */
};

/* Do it: row, tags, history row. In the caller's DB_TX_WRITE. */
MUST_USE int config_repo_write(struct db *db, const struct repo_write *w, struct fail *fail);

/* History older than before_ms goes, at most a piece at a time: *ret_more says whether to call
 * again. */
MUST_USE int config_repo_trim_history(struct db *db, int64_t before_ms, bool *ret_more,
                                      struct fail *fail);

/* One version as the start reads it. Spans until the callback returns. */
struct repo_version {
    uint64_t id;
    struct config_key key;
    struct span gray_name; /* "": formal */
    struct span gray_rule;
    struct span type;
    struct span encrypted_key;
    struct span md5; /* text */
    int64_t modified_ms;
    uint64_t length;     /* of the content, bytes */
    struct span content; /* only when asked for */
};
typedef int (*repo_version_fn)(void *arg, const struct repo_version *v, struct fail *fail);

/* Every version, formal ones first, without contents. */
MUST_USE int config_repo_each(struct db *db, repo_version_fn fn, void *arg, struct fail *fail);

/* As config_repo_each, in one walk with the contents of formal versions as long as they add up to
 * at most content_bytes; from the first that does not fit on, content.data is NULL. */
MUST_USE int config_repo_each_with(struct db *db, uint64_t content_bytes, repo_version_fn fn,
                                   void *arg, struct fail *fail);

/* Contents of formal versions, newest first, until fn says stop (returns 1). */
MUST_USE int config_repo_each_content(struct db *db, repo_version_fn fn, void *arg,
                                      struct fail *fail);

/* Formal versions with these ids, without contents, by id; unknown ids are skipped. */
MUST_USE int config_repo_by_ids(struct db *db, const uint64_t *ids, size_t count,
                                repo_version_fn fn, void *arg, struct fail *fail);

/* The highest ids ever given (they are kept: rows may be gone). */
MUST_USE int config_repo_last_ids(struct db *db, uint64_t *ret_id, uint64_t *ret_nid,
                                  struct fail *fail);

/* The versions of one config with their contents. */
MUST_USE int config_repo_contents(struct db *db, const struct config_key *key, repo_version_fn fn,
                                  void *arg, struct fail *fail);

/* A column's text; data is NULL for NULL, and only then. */
struct span config_repo_text(struct db_query *q, unsigned column);

/* Full rows, for people: search, detail, export, clone. data NULL: the column is NULL. */
struct repo_row {
    uint64_t id;
    struct config_key key;
    struct span content, md5, encrypted_key, app_name, type;
    struct span desc, use, effect, schema, tags;
    struct span src_user, src_ip;
    struct span gray_rule; /* of a gray version */
    int64_t created_ms, modified_ms;
};
typedef int (*repo_row_fn)(void *arg, const struct repo_row *row, struct fail *fail);

/* Bytes of a pattern (data_id, group, content with *) and of a list (tags, types). */
#define REPO_PATTERN_MAX 8192

/* What to look for. Empty spans: no filter. Plain data. */
struct repo_search {
    struct span tenant; /* exact, as kept */
    struct span data_id, group, app_name;
    struct span content; /* blur: a pattern as data_id; always a substring */
    struct span tags;    /* comma list: any of them */
    struct span types;   /* comma list: any of them */
    bool is_blur;        /* * stands for anything in data_id and group; % and _ are literal */
    bool is_export;      /* data_id is a substring, group exact */
    const uint64_t *ids; /* not NULL: exactly these */
    size_t ids_count;
    bool any_tenant;        /* with ids */
    uint64_t offset, limit; /* limit 0: all (at most DB_ROWS_MAX) */
};

/* How many there are. E_INVALID  a pattern or list over REPO_PATTERN_MAX */
MUST_USE int config_repo_count(struct db *db, const struct repo_search *s, uint64_t *ret_count,
                               struct fail *fail);

/* The page, by id; each row with its content and tags. */
MUST_USE int config_repo_search(struct db *db, const struct repo_search *s, repo_row_fn fn,
                                void *arg, struct fail *fail);

/* One config by key. E_NOT_FOUND. gray_name "": the formal version. fn is called once. */
MUST_USE int config_repo_find(struct db *db, const struct config_key *key, struct span gray_name,
                              repo_row_fn fn, void *arg, struct fail *fail);

#endif
