#include "bench/poller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

struct seen {
    struct poll_watch watch;
    struct poll_timer timer;
    struct poll_job job;
    struct poller *poller;
    struct poll_watch *remove; /* taken out by the first event */
    unsigned events;
    unsigned timers;
    unsigned jobs;
};

static void on_event(struct poll_watch *watch, uint32_t events)
{
    struct seen *s = CONTAINER_OF(watch, struct seen, watch);
    assert_true(events & EPOLLIN);
    s->events++;
    if (s->remove) {
        poller_remove(s->poller, s->remove);
    }
    poller_queue(s->poller, &s->job);
    poller_queue(s->poller, &s->job);
}

static void on_timer(struct poll_timer *timer, uint64_t now_ns)
{
    struct seen *s = CONTAINER_OF(timer, struct seen, timer);
    assert_int_equal(now_ns, poller_now(s->poller));
    s->timers++;
}

static void on_job(struct poll_job *job)
{
    CONTAINER_OF(job, struct seen, job)->jobs++;
}

static void seen_open(struct seen *s, struct poller *p, int fd)
{
    *s = (struct seen){.poller = p, .watch = {.fd = fd, .fn = on_event}};
    s->timer = (struct poll_timer){.at_ns = POLLER_NEVER, .fn = on_timer};
    s->job.fn = on_job;
}

static int setup(void **state)
{
    struct fail fail = {0};
    struct poller *p = NULL;
    int err = poller_create(&p, &fail);
    *state = p;
    return err;
}

static int teardown(void **state)
{
    poller_destroy(*state);
    poller_destroy(NULL);
    return 0;
}

static void test_turn__event_then_one_job_however_often_queued(void **state)
{
    struct poller *p = *state;
    int pair[2];
    struct seen s;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    seen_open(&s, p, pair[0]);
    assert_int_equal(poller_add(p, &s.watch, EPOLLIN), 0);
    assert_int_equal(poller_add(p, &s.watch, EPOLLIN), E_LIMIT);
    poller_turn(p, 0);
    assert_int_equal(s.events, 0);
    assert_int_equal(write(pair[1], "x", 1), 1);
    poller_turn(p, POLLER_NEVER);
    assert_int_equal(s.events, 1);
    assert_int_equal(s.jobs, 1);
    poller_change(p, &s.watch, 0);
    poller_turn(p, 0);
    assert_int_equal(s.events, 1);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

/* Two descriptors are ready; the first callback closes the other: it must not be called any more.
 */
static void test_remove__forgets_events_of_the_same_turn(void **state)
{
    struct poller *p = *state;
    int pair[2];
    struct seen a;
    struct seen b;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    seen_open(&a, p, pair[0]);
    seen_open(&b, p, pair[1]);
    a.remove = &b.watch;
    b.remove = &a.watch;
    assert_int_equal(poller_add(p, &a.watch, EPOLLIN), 0);
    assert_int_equal(poller_add(p, &b.watch, EPOLLIN), 0);
    assert_int_equal(write(pair[0], "x", 1), 1);
    assert_int_equal(write(pair[1], "x", 1), 1);
    poller_turn(p, POLLER_NEVER);
    assert_int_equal(a.events + b.events, 1);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void test_timer__runs_once_when_due(void **state)
{
    struct poller *p = *state;
    struct seen s;
    seen_open(&s, p, -1);
    poller_know(p, &s.timer);
    uint64_t begin_ns = clock_mono_ns();
    s.timer.at_ns = begin_ns + 2000000;
    while (s.timers == 0) {
        poller_turn(p, POLLER_NEVER);
    }
    assert_true(poller_now(p) >= begin_ns + 2000000);
    assert_int_equal(s.timer.at_ns, POLLER_NEVER);
    poller_turn(p, 0);
    assert_int_equal(s.timers, 1);
    s.timer.at_ns = 0;
    poller_forget(p, &s.timer);
    poller_forget(p, &s.timer);
    poller_turn(p, 0);
    assert_int_equal(s.timers, 1);
}

static void test_dequeue__first_and_last_of_the_queue(void **state)
{
    struct poller *p = *state;
    struct seen s[3];
    for (unsigned i = 0; i < 3; i++) {
        seen_open(&s[i], p, -1);
        poller_queue(p, &s[i].job);
    }
    poller_dequeue(p, &s[2].job);
    poller_dequeue(p, &s[0].job);
    poller_dequeue(p, &s[0].job);
    poller_turn(p, 0);
    assert_int_equal(s[0].jobs, 0);
    assert_int_equal(s[1].jobs, 1);
    assert_int_equal(s[2].jobs, 0);
    poller_queue(p, &s[0].job);
    poller_dequeue(p, &s[0].job);
    poller_queue(p, &s[2].job);
    poller_turn(p, 0);
    assert_int_equal(s[0].jobs, 0);
    assert_int_equal(s[2].jobs, 1);
    assert_non_null(poller_scratch(p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_turn__event_then_one_job_however_often_queued, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_remove__forgets_events_of_the_same_turn, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_timer__runs_once_when_due, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dequeue__first_and_last_of_the_queue, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
