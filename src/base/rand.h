/* Random bytes from the operating system; for ids and jitter at the edges, never in apply.
 *
 * Thread:  any.
 */
#ifndef NACRE_BASE_RAND_H
#define NACRE_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

/* Fill dst with len random bytes; aborts when the system has none. */
void rand_bytes(void *dst, size_t len);

/* A random 64-bit number. */
uint64_t rand_u64(void);

#endif
