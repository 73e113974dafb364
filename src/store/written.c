#include "store/written.h"

#include <time.h>

#include "base/assert.h"
#include "base/err.h"

static void lock(struct written *w)
{
    ASSERT(pthread_mutex_lock(&w->lock) == 0);
}

static void unlock(struct written *w)
{
    ASSERT(pthread_mutex_unlock(&w->lock) == 0);
}

static void tell(struct written *w)
{
    ASSERT(pthread_cond_broadcast(&w->changed) == 0);
}

void written_init(struct written *w, uint64_t index)
{
    pthread_condattr_t attr;
    *w = (struct written){.index = index};
    ASSERT(pthread_condattr_init(&attr) == 0);
    ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    ASSERT(pthread_mutex_init(&w->lock, NULL) == 0);
    ASSERT(pthread_cond_init(&w->changed, &attr) == 0);
    ASSERT(pthread_condattr_destroy(&attr) == 0);
}

void written_close(struct written *w)
{
    lock(w);
    w->is_over = true;
    tell(w);
    while (w->waiters > 0) {
        ASSERT(pthread_cond_wait(&w->changed, &w->lock) == 0);
    }
    unlock(w);
    ASSERT(pthread_cond_destroy(&w->changed) == 0);
    ASSERT(pthread_mutex_destroy(&w->lock) == 0);
}

void written_set(struct written *w, uint64_t index)
{
    lock(w);
    ASSERT(index >= w->index);
    w->index = index;
    if (w->waiters > 0) {
        tell(w);
    }
    unlock(w);
}

void written_end(struct written *w)
{
    lock(w);
    w->is_over = true;
    tell(w);
    unlock(w);
}

uint64_t written_wanted(struct written *w)
{
    lock(w);
    uint64_t wanted = w->wanted;
    unlock(w);
    return wanted;
}

/* Monotonic, as the condition. */
static struct timespec after_ms(uint64_t ms)
{
    struct timespec at;
    ASSERT(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
    at.tv_sec += (time_t)(ms / 1000);
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

int written_wait(struct written *w, uint64_t index, uint64_t wait_ms, struct fail *fail)
{
    struct timespec end = after_ms(wait_ms);
    int rc = 0;
    int err = 0;
    lock(w);
    w->waiters++;
    w->wanted = index > w->wanted ? index : w->wanted;
    while (w->index < index && !w->is_over && rc == 0) {
        rc = pthread_cond_timedwait(&w->changed, &w->lock, &end);
    }
    if (w->index < index && w->is_over) {
        err = fail_set(fail, E_CLOSED, "the tables are being closed");
    } else if (w->index < index) {
        err = fail_set(
            fail, E_TIMEOUT, "the tables are at log entry %llu after %llu ms, and not at %llu",
            (unsigned long long)w->index, (unsigned long long)wait_ms, (unsigned long long)index);
    }
    w->waiters--;
    tell(w); /* written_close may wait for it */
    unlock(w);
    return err;
}
