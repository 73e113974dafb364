/* Digests of replicated state: pieces are hashed with a key that every node has, and summed up.
 *
 * A piece begins with a number of its kind, so that equal bytes of different kinds differ. The sum
 * (addition, modulo 2^64) does not depend on an order and is kept as pieces come and go: take the
 * old piece off, put the new one on. It finds mistakes, not forgers: who may write into the log may
 * write anything.
 *
 * Thread:  any; no state.
 */
#ifndef NACRE_BASE_DIGEST_H
#define NACRE_BASE_DIGEST_H

#include <stdint.h>

#include "base/span.h"

/* so_far with bytes behind it; borders count: ("a","bc") differs from ("ab","c"). An absent text
 * (no data) equals an empty one. */
uint64_t digest_bytes(uint64_t so_far, struct span bytes);

/* so_far with a number behind it. */
uint64_t digest_number(uint64_t so_far, uint64_t number);

/* so_far with a number behind it that is not whole, by its bits. */
uint64_t digest_double(uint64_t so_far, double number);

#endif
