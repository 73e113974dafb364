/* Proposals on their way: one entry's worth each, first waiting, then in the log at its index.
 *
 * Thread:  one at a time.
 * Owns:    a flight its batch; a list its flights. Cookies stay their proposers'.
 */
#ifndef NACRE_CONSENSUS_FLIGHT_H
#define NACRE_CONSENSUS_FLIGHT_H

#include <stddef.h>
#include <stdint.h>

#include "consensus/batch.h"

struct flight {
    struct flight *next;
    struct batch batch;
    uint64_t index; /* 0: not in the log yet */
    uint64_t term;
};

/* Embedded by its owner; zero-initialised is empty. */
struct flights {
    struct flight *head;
    struct flight **tail;
};

/* Put one at the end; it moves in. */
void flights_add(struct flights *f, struct flight *take_flight);

/* Take the first one out; there is one. */
struct flight *flights_take(struct flights *f);

/* The last one, when op_len bytes more keep it within max, else a new one at the end. Borrowed. */
struct flight *flights_room(struct flights *f, size_t op_len, size_t max);

/* Free one that was taken out. */
void flight_destroy(struct flight *flight);

#endif
