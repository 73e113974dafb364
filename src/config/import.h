/* Import and clone: many publishes behind one call, in pieces that fit the log.
 *
 * Each piece is one entry (atomic), and the next one is proposed when it is applied. Policy ABORT
 * stops at the first config that exists: it is in failData, what follows in skipData, what came
 * before stays (http-api.md 2.8). When the log refuses a later piece, the call fails with that
 * reason and says how many configs came before.
 *
 * A clone is an import of what a db thread reads from the tables: import_clone -> job on db-N ->
 * clones_ended -> import_turn.
 *
 * Thread:  core, but what says otherwise.
 * Owns:    nothing: jobs live in their call's arena, and are listed while the log has a piece.
 * Limits:  CONFIG_IMPORT_MAX items a call; IMPORT_PIECE_BYTES of texts in an entry (one config may
 *          be larger); IMPORT_BYTES_MAX of all that go on at once (E_LIMIT).
 */
#ifndef NACRE_CONFIG_IMPORT_H
#define NACRE_CONFIG_IMPORT_H

#include "config/admit.h"
#include "config/react.h"

#define IMPORT_PIECE_BYTES (4u << 20)
#define IMPORT_PIECE_ITEMS 1000

#define IMPORT_BYTES_MAX (256u << 20)
#define IMPORT_CLONES_MAX 16 /* whose job is out */

#define IMPORT_DONE "import success"
#define IMPORT_CLONED "Clone Completed Successfully"

/* What the console shows of an import that does nothing (http-api.md 1.5). */
enum import_code {
    IMPORT_NO_NAMESPACE = 100001,
    IMPORT_BAD_METADATA = 100002,
    IMPORT_NO_VALID_DATA = 100003,
    IMPORT_UNREADABLE = 100004,
    IMPORT_EMPTY = 100005,
    IMPORT_NOTHING_CHOSEN = 100006,
};

/* What is to be done; lives in the call's arena, with the list. */
struct import_job {
    const struct config_publish *list;
    size_t count;
    enum config_policy policy;
    struct config_actor who;
    const char *done_message;        /* IMPORT_DONE */
    const struct span *unrecognized; /* item names */
    size_t unrecognized_count;
    /* From here on import.c's. */
    enum config_outcome *outcomes; /* in the call's arena, one per publish */
    size_t applied;                /* first that was not applied yet */
    size_t next;                   /* first that was not proposed yet */
    uint64_t bytes;                /* counted in config->import_bytes */
    struct api_call *call;
    struct import_job *next_job; /* config->imports */
};

/* Propose the first piece; there is one (count > 0). Returns API_LATER or a negative code.
 * E_TOO_LARGE  CONFIG_IMPORT_MAX   E_LIMIT  IMPORT_BYTES_MAX, and what config_admit_import says */
int import_start(struct config *c, struct import_job *job, struct api_call *call, struct now now,
                 struct outbox *out, struct fail *fail);

/* One config of a clone. Plain data. */
struct import_pick {
    uint64_t id;
    struct span data_id, group; /* blank: as the source */
};

/* A clone, in the call's arena; picks sorted by id, each id once. */
struct import_clone {
    const struct import_pick *picks;
    size_t count;
    struct span tenant; /* where to */
    enum config_policy policy;
    struct config_actor who;
};

/* Read the sources on a db thread, check their new names, then import them. Returns API_LATER or a
 * negative code (E_LIMIT IMPORT_CLONES_MAX, and what table_writer_read says). Answered with
 * IMPORT_EMPTY when none of the ids exists. */
int import_clone(struct config *c, const struct import_clone *clone, struct api_call *call,
                 struct fail *fail);

/* Answer with one of the codes, HTTP 200. why: data.reason, for people; NULL: none.
 * DIFF(import-reason): Nacos gives the code alone. with_count: data has a succCount of 0. Any
 * thread. */
void import_answer_code(struct api_call *call, enum import_code code, bool with_count,
                        const char *why);

/* A piece was applied (react calls it for CONFIG_OP_IMPORT with a waiting call): propose the next
 * one, or answer. */
void import_on_applied(struct config *c, const struct config_applied *a, struct now now,
                       struct outbox *out);

/* The log refused a piece, or it came back damaged (config_rejected asks for every call): true when
 * the call is an import's; then it is in out, answered with what was done before, or failed. */
bool import_on_rejected(struct config *c, struct api_call *call, const struct fail *why,
                        struct outbox *out);

/* Propose for what db jobs have brought (clones). */
void import_turn(struct config *c, struct now now, struct outbox *out);

/* The node stops: nothing more is proposed. Answers what waits in clones_ended; a clone whose job
 * is still out is answered when that ends. */
void import_stop(struct config *c, struct outbox *out);

#endif
