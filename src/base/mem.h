/* Allocation that cannot fail: out of memory aborts, as gRPC core does anyway.
 *
 * Thread:  any.
 * Rule:    a size that a client influences is checked against a named limit before it comes here.
 */
#ifndef NACRE_BASE_MEM_H
#define NACRE_BASE_MEM_H

#include <stddef.h>

#include "base/macros.h"

/* size bytes, not initialised; size 0 gives a valid unique pointer. Free with mem_free. */
MUST_USE void *mem_alloc(size_t size);

/* count * size zeroed bytes; aborts on overflow. */
MUST_USE void *mem_zalloc(size_t count, size_t size);

/* Grow or shrink to count * size bytes; aborts on overflow. ptr may be NULL. */
MUST_USE void *mem_realloc(void *ptr, size_t count, size_t size);

/* A NUL-terminated copy of len bytes. */
MUST_USE char *mem_strndup(const char *s, size_t len);

/* Free what the functions above gave; NULL is fine. */
void mem_free(void *ptr);

#endif
