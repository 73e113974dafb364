/* Import and clone: many publishes behind one call, in pieces that fit the log.
 *
 * Each piece is one entry (atomic). Policy ABORT stops at the first config that exists: it is in
 * failData, what follows in skipData, what came before stays (http-api.md 2.8).
 *
 * Thread:  core.
 * Limits:  CONFIG_IMPORT_MAX items a call; IMPORT_PIECE_BYTES of content in an entry.
 */
#ifndef NACRE_CONFIG_IMPORT_H
#define NACRE_CONFIG_IMPORT_H

#include "config/admit.h"
#include "config/react.h"

#define IMPORT_PIECE_BYTES (4u << 20)
#define IMPORT_PIECE_ITEMS 1000

/* What is to be done; lives in the call's arena, with the list. */
struct import_job {
    const struct config_publish *list;
    size_t count;
    enum config_policy policy;
    struct config_actor who;
    const char *done_message;        /* "import success" */
    const struct span *unrecognized; /* item names */
    size_t unrecognized_count;
    enum config_outcome *outcomes; /* room for count */
    size_t next;                   /* first that was not proposed yet */
};

/* Propose the first piece. Returns API_LATER or a negative code. */
int import_start(struct config *c, struct import_job *job, struct api_call *call, struct now now,
                 struct outbox *out, struct fail *fail);

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

/* The node stops: answer what waits in clones_ended. */
void import_stop(struct config *c, struct outbox *out);

#endif
