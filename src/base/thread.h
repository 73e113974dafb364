/* Threads are few and named, and each knows its kind, so that ownership can be asserted.
 *
 * Thread:  thread_become is called once, first, by each thread of ours.
 */
#ifndef NACRE_BASE_THREAD_H
#define NACRE_BASE_THREAD_H

#include <pthread.h>

#include "base/assert.h"
#include "base/macros.h"

enum thread_kind { THREAD_NONE, THREAD_MAIN, THREAD_CORE, THREAD_RPC, THREAD_HTTP, THREAD_DB };

/* Name the calling thread (15 characters show in tools) and set its kind. */
void thread_become(enum thread_kind kind, const char *name);

/* The calling thread's kind; THREAD_NONE when it never said. */
enum thread_kind thread_kind(void);

/* Start a joinable thread with all signals blocked. E_LIMIT when the system refuses. */
MUST_USE int thread_start(pthread_t *ret_thread, void *(*fn)(void *), void *arg);

/* The first line of functions that belong to one thread. Unit tests become the kind they test. */
#define ASSERT_ON(kind) ASSERT(thread_kind() == (kind))

#endif
