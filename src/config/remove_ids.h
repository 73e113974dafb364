/* Removal of configs by their ids: what the page's check boxes mean.
 *
 * ids -> a db job finds their keys -> core proposes a removal for each that is there (a normal one,
 * with its history) -> the call is answered after the last of them. Ids that are unknown are
 * skipped. When the log refuses one, the call fails with that reason; what came before it stays.
 *
 * Thread:  core; the job on db-N.
 * Owns:    nothing: a removal lives in its call's arena.
 * Limits:  REMOVE_IDS_MAX ids a call (E_INVALID).
 */
#ifndef NACRE_CONFIG_REMOVE_IDS_H
#define NACRE_CONFIG_REMOVE_IDS_H

#include "config/admit.h"

#define REMOVE_IDS_MAX 1000

/* What is to be done; in the call's arena. Plain data. */
struct remove_ids {
    const uint64_t *ids;
    size_t count;
    struct config_actor who;
};

/* Begin. The reply's body is set by the row before. Returns API_LATER or a negative code. */
int remove_ids_start(struct config *c, const struct remove_ids *what, struct api_call *call,
                     struct fail *fail);

/* Propose what db jobs have found. */
void remove_ids_turn(struct config *c, struct now now, struct outbox *out);

/* Answer those whose job is over: the node stops. Those whose job is out come to the next stop,
 * after the db threads' end. */
void remove_ids_stop(struct config *c, struct outbox *out);

#endif
