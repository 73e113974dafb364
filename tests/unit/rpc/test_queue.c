#include "rpc/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grpc_client.h"
#include "raw.h"
#include "rig.h"
#include "rpc/edge.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "conn/conn.h"

static struct rig *rig;
static struct client *client;

static int setup(void **state)
{
    (void)state;
    rig = rig_start(NULL);
    client = client_open(rig_port(rig), NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    client_close(client);
    rig_stop(rig);
    return 0;
}

/* What ran on the queue, seen from the test. */
struct seen {
    pthread_mutex_t lock;
    pthread_cond_t more;
    unsigned ran;
    unsigned last;
    bool in_order;
    enum thread_kind kind;
};

static struct seen seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

struct note {
    struct queue_mail mail;
    unsigned number;
};

static void saw(unsigned number)
{
    pthread_mutex_lock(&seen.lock);
    seen.in_order = seen.ran == 0 || number > seen.last;
    seen.last = number;
    seen.ran++;
    seen.kind = thread_kind();
    pthread_cond_broadcast(&seen.more);
    pthread_mutex_unlock(&seen.lock);
}

static void run_note(struct queue *q, struct queue_mail *take_mail)
{
    struct note *n = CONTAINER_OF(take_mail, struct note, mail);
    struct life *life = &q->rpc->life;
    saw(n->number);
    mem_free(n);
    life_leave(life);
}

static void post_note(struct queue *q, unsigned number, unsigned cost)
{
    struct note *n = mem_zalloc(1, sizeof(*n));
    n->mail.run = run_note;
    n->mail.cost = cost;
    n->number = number;
    life_enter(&q->rpc->life);
    queue_post(q, &n->mail);
}

static bool wait_ran(unsigned count)
{
    struct timespec until = {0};
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    int err = 0;
    pthread_mutex_lock(&seen.lock);
    while (err == 0 && seen.ran < count) {
        err = pthread_cond_timedwait(&seen.more, &seen.lock, &until);
    }
    pthread_mutex_unlock(&seen.lock);
    return err == 0;
}

static void forget(void)
{
    seen.ran = 0;
    seen.last = 0;
}

static void test_post__runs_on_the_queue_s_thread_in_order(void **state)
{
    (void)state;
    forget();
    for (unsigned i = 1; i <= 1000; i++) {
        post_note(&rig_rpc(rig)->queues[1], i, 0);
    }
    assert_true(wait_ran(1000));
    assert_true(seen.in_order);
    assert_int_equal(seen.kind, THREAD_RPC);
}

/* Each fills a round: the rest is not forgotten. */
static void test_post__costly_mail__takes_several_rounds(void **state)
{
    (void)state;
    forget();
    for (unsigned i = 1; i <= 50; i++) {
        post_note(&rig_rpc(rig)->queues[2], i, QUEUE_ROUND);
    }
    assert_true(wait_ran(50));
    assert_true(seen.in_order);
}

/* A timer, set from the queue's thread by mail. */
struct alarm {
    struct queue_mail mail;
    struct queue_timer timer;
    uint32_t ms;
    uint64_t set_ms;
    uint64_t rang_ms;
};

static void ring(struct queue *q, struct queue_timer *timer)
{
    (void)q;
    struct alarm *a = CONTAINER_OF(timer, struct alarm, timer);
    a->rang_ms = clock_mono_ms();
    saw(1);
}

static void run_alarm(struct queue *q, struct queue_mail *take_mail)
{
    struct alarm *a = CONTAINER_OF(take_mail, struct alarm, mail);
    a->set_ms = clock_mono_ms();
    queue_timer_set(q, &a->timer, a->ms);
    life_leave(&q->rpc->life);
}

static void test_timer__wakes_an_idle_queue(void **state)
{
    (void)state;
    forget();
    struct alarm a = {.mail.run = run_alarm, .timer.fn = ring, .ms = 30};
    struct queue *q = &rig_rpc(rig)->queues[3];
    life_enter(&q->rpc->life);
    queue_post(q, &a.mail);
    assert_true(wait_ran(1));
    assert_true(a.rang_ms >= a.set_ms + 30);
    assert_true(a.rang_ms < a.set_ms + 2000);
}

static void run_cleared(struct queue *q, struct queue_mail *take_mail)
{
    struct alarm *a = CONTAINER_OF(take_mail, struct alarm, mail);
    queue_timer_set(q, &a->timer, a->ms);
    queue_timer_clear(q, &a->timer);
    queue_timer_clear(q, &a->timer);
    life_leave(&q->rpc->life);
}

static void test_timer__cleared__does_not_ring(void **state)
{
    (void)state;
    forget();
    struct alarm quiet = {.mail.run = run_cleared, .timer.fn = ring, .ms = 5};
    struct alarm loud = {.mail.run = run_alarm, .timer.fn = ring, .ms = 30};
    struct queue *q = &rig_rpc(rig)->queues[0];
    life_enter(&q->rpc->life);
    queue_post(q, &quiet.mail);
    life_enter(&q->rpc->life);
    queue_post(q, &loud.mail);
    assert_true(wait_ran(1));
    assert_int_equal(quiet.rang_ms, 0);
    assert_int_equal(seen.ran, 1);
}

struct telling {
    struct queue_mail mail;
    size_t count;
};

static void run_telling(struct queue *q, struct queue_mail *take_mail)
{
    struct telling *t = CONTAINER_OF(take_mail, struct telling, mail);
    for (size_t i = 0; i < t->count; i++) {
        struct conn_closed *closed = mem_zalloc(1, sizeof(*closed));
        closed->mail.kind = CORE_CONN_CLOSED;
        closed->peer = peer_create(SPAN("10.0.0.1"), (uint16_t)i, 1, 1);
        queue_tell_core(q, &closed->mail);
    }
    saw(1);
    life_leave(&q->rpc->life);
}

static void tell(size_t count)
{
    static struct telling t;
    forget();
    t = (struct telling){.mail.run = run_telling, .count = count};
    struct queue *q = &rig_rpc(rig)->queues[0];
    life_enter(&q->rpc->life);
    queue_post(q, &t.mail);
    assert_true(wait_ran(1));
}

static void test_tell_core__full__is_told_again_in_order(void **state)
{
    (void)state;
    rig_refuse_mail(rig, E_LIMIT);
    tell(100);
    assert_int_equal(rig_count(rig, RIG_CLOSED), 0);
    assert_true(atomic_load(&rig_rpc(rig)->life.held) >= 100); /* the stop would wait for them */
    rig_refuse_mail(rig, 0);
    assert_true(rig_wait(rig, RIG_CLOSED, 100));
    for (size_t i = 2; i <= 100; i++) {
        assert_true(rig_key(rig, RIG_CLOSED, i) == rig_key(rig, RIG_CLOSED, i - 1) + 1);
    }
}

static void test_tell_core__over__drops_the_mail(void **state)
{
    (void)state;
    rig_refuse_mail(rig, E_CLOSED);
    tell(3);
    assert_int_equal(rig_count(rig, RIG_CLOSED), 0);
    rig_refuse_mail(rig, E_LIMIT);
    tell(3);
    rig_refuse_mail(rig, E_CLOSED); /* the core ends while they wait */
    assert_true(life_wait(&rig_rpc(rig)->life, 5000));
    rig_refuse_mail(rig, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_post__runs_on_the_queue_s_thread_in_order),
        TEST(test_post__costly_mail__takes_several_rounds),
        TEST(test_timer__wakes_an_idle_queue),
        TEST(test_timer__cleared__does_not_ring),
        TEST(test_tell_core__full__is_told_again_in_order),
        TEST(test_tell_core__over__drops_the_mail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
