#include "bench/poller.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"

#define EVENTS_MAX 1024
#define NS_PER_S UINT64_C(1000000000)

struct poller {
    int fd;
    int event_count; /* of this turn */
    int event_next;
    uint64_t now_ns;
    struct poll_timer *timers;
    struct poll_job *jobs;
    struct poll_job **jobs_end;
    struct epoll_event events[EVENTS_MAX];
    char scratch[POLLER_SCRATCH_SIZE];
};

int poller_create(struct poller **ret, struct fail *fail)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) {
        return fail_set(fail, E_LIMIT, "epoll_create1: %s", strerror(errno));
    }
    struct poller *p = mem_zalloc(1, sizeof(*p));
    p->fd = fd;
    p->now_ns = clock_mono_ns();
    p->jobs_end = &p->jobs;
    *ret = p;
    return 0;
}

void poller_destroy(struct poller *p)
{
    if (!p) {
        return;
    }
    (void)close(p->fd);
    mem_free(p);
}

int poller_add(struct poller *p, struct poll_watch *w, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = w};
    return epoll_ctl(p->fd, EPOLL_CTL_ADD, w->fd, &ev) == 0 ? 0 : E_LIMIT;
}

void poller_change(struct poller *p, struct poll_watch *w, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = w};
    int err = epoll_ctl(p->fd, EPOLL_CTL_MOD, w->fd, &ev);
    ASSERT(err == 0);
}

void poller_remove(struct poller *p, struct poll_watch *w)
{
    (void)epoll_ctl(p->fd, EPOLL_CTL_DEL, w->fd, NULL);
    for (int i = p->event_next; i < p->event_count; i++) {
        if (p->events[i].data.ptr == w) {
            p->events[i].data.ptr = NULL;
        }
    }
}

void poller_know(struct poller *p, struct poll_timer *t)
{
    t->next = p->timers;
    p->timers = t;
}

void poller_forget(struct poller *p, struct poll_timer *t)
{
    for (struct poll_timer **at = &p->timers; *at; at = &(*at)->next) {
        if (*at == t) {
            *at = t->next;
            return;
        }
    }
}

void poller_queue(struct poller *p, struct poll_job *job)
{
    if (job->queued) {
        return;
    }
    job->queued = true;
    job->next = NULL;
    *p->jobs_end = job;
    p->jobs_end = &job->next;
}

void poller_dequeue(struct poller *p, struct poll_job *job)
{
    if (!job->queued) {
        return;
    }
    struct poll_job **at = &p->jobs;
    while (*at != job) {
        at = &(*at)->next;
    }
    *at = job->next;
    if (p->jobs_end == &job->next) {
        p->jobs_end = at;
    }
    job->queued = false;
}

/* There are a handful of timers (phases, pacing, one sweep over all connections), so a list is
 * enough. */
static uint64_t timers_next(const struct poller *p)
{
    uint64_t next = POLLER_NEVER;
    for (const struct poll_timer *t = p->timers; t; t = t->next) {
        if (t->at_ns < next) {
            next = t->at_ns;
        }
    }
    return next;
}

static void timers_run(struct poller *p)
{
    struct poll_timer *next = NULL;
    for (struct poll_timer *t = p->timers; t; t = next) {
        next = t->next;
        if (t->at_ns <= p->now_ns) {
            t->at_ns = POLLER_NEVER;
            t->fn(t, p->now_ns);
        }
    }
}

static void jobs_run(struct poller *p)
{
    while (p->jobs) {
        struct poll_job *job = p->jobs;
        p->jobs = job->next;
        if (!p->jobs) {
            p->jobs_end = &p->jobs;
        }
        job->queued = false;
        job->fn(job);
    }
}

static int wait_events(struct poller *p, uint64_t until_ns)
{
    if (until_ns == POLLER_NEVER) {
        return epoll_wait(p->fd, p->events, EVENTS_MAX, -1);
    }
    uint64_t now_ns = clock_mono_ns();
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
                            .tv_nsec = (long)(wait_ns % NS_PER_S)};
    int n = epoll_pwait2(p->fd, p->events, EVENTS_MAX, &wait, NULL);
    if (n < 0 && errno == ENOSYS) { /* Linux before 5.11: to the millisecond */
        uint64_t wait_ms = wait_ns / 1000000U;
        n = epoll_wait(p->fd, p->events, EVENTS_MAX, wait_ms < 60000 ? (int)wait_ms : 60000);
    }
    return n;
}

void poller_turn(struct poller *p, uint64_t until_ns)
{
    uint64_t timer_ns = timers_next(p);
    /* Jobs queued outside a turn (the first requests) go out before waiting. */
    jobs_run(p);
    int n = wait_events(p, timer_ns < until_ns ? timer_ns : until_ns);
    ASSERT(n >= 0 || errno == EINTR);
    p->now_ns = clock_mono_ns();
    p->event_count = n > 0 ? n : 0;
    for (p->event_next = 0; p->event_next < p->event_count;) {
        struct epoll_event *ev = &p->events[p->event_next++];
        struct poll_watch *w = ev->data.ptr;
        if (w) {
            w->fn(w, ev->events);
        }
    }
    p->event_count = 0;
    timers_run(p);
    jobs_run(p);
}

uint64_t poller_now(const struct poller *p)
{
    return p->now_ns;
}

char *poller_scratch(struct poller *p)
{
    return p->scratch;
}
