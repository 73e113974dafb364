#include "rpc/life.h"

#include <errno.h>
#include <time.h>

#include "base/assert.h"

void life_init(struct life *l)
{
    atomic_init(&l->held, 0);
    pthread_condattr_t attr;
    ASSERT(pthread_condattr_init(&attr) == 0);
    ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    ASSERT(pthread_mutex_init(&l->lock, NULL) == 0);
    ASSERT(pthread_cond_init(&l->nobody, &attr) == 0);
    ASSERT(pthread_condattr_destroy(&attr) == 0);
}

void life_close(struct life *l)
{
    ASSERT(atomic_load(&l->held) == 0);
    ASSERT(pthread_cond_destroy(&l->nobody) == 0);
    ASSERT(pthread_mutex_destroy(&l->lock) == 0);
}

void life_enter(struct life *l)
{
    atomic_fetch_add_explicit(&l->held, 1, memory_order_relaxed);
}

void life_leave(struct life *l)
{
    unsigned long held = atomic_load(&l->held);
    while (held > 1) {
        if (atomic_compare_exchange_weak(&l->held, &held, held - 1)) {
            return; /* others hold it: nothing of l is touched any more */
        }
    }
    /* Perhaps the last: under the lock, so that the waiter, who may free l, runs after this. */
    ASSERT(pthread_mutex_lock(&l->lock) == 0);
    unsigned long before = atomic_fetch_sub(&l->held, 1);
    ASSERT(before > 0);
    if (before == 1) {
        ASSERT(pthread_cond_broadcast(&l->nobody) == 0);
    }
    ASSERT(pthread_mutex_unlock(&l->lock) == 0);
}

bool life_wait(struct life *l, uint32_t ms)
{
    struct timespec until = {0};
    ASSERT(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int err = 0;
    ASSERT(pthread_mutex_lock(&l->lock) == 0);
    while (err == 0 && atomic_load(&l->held) > 0) {
        err = pthread_cond_timedwait(&l->nobody, &l->lock, &until);
    }
    ASSERT(err == 0 || err == ETIMEDOUT);
    bool nobody = atomic_load(&l->held) == 0;
    ASSERT(pthread_mutex_unlock(&l->lock) == 0);
    return nobody;
}
