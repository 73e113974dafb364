/* Asserts for our own bugs; always on. Never on a byte from network, disk, database, configuration
 * or environment.
 *
 * Thread:  any. A failed assert writes one line to standard error and aborts.
 */
#ifndef NACRE_BASE_ASSERT_H
#define NACRE_BASE_ASSERT_H

#include "base/macros.h"

/* Print where and what failed, and abort. */
NORETURN void assert_fail(const char *file, int line, const char *what);

#define ASSERT(cond) ((cond) ? (void)0 : assert_fail(__FILE__, __LINE__, #cond))

/* Costly checks: debug builds only. */
#ifdef NDEBUG
#define DASSERT(cond) ((void)sizeof(cond))
#else
#define DASSERT(cond) ASSERT(cond)
#endif

#endif
