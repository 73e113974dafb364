/* Leases of whole nodes, played against each other. */
#include "cluster/lease.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lease_sim.h"

#define SEEDS 1000 /* two seconds; a long run: LEASE_SIM_FIRST, LEASE_SIM_SEEDS */

static void test_reads__under_drift_loss_stops_cuts_and_elections__never_go_back(void **state)
{
    (void)state;
    const char *first = getenv("LEASE_SIM_FIRST");
    const char *count = getenv("LEASE_SIM_SEEDS");
    uint64_t from = first ? strtoull(first, NULL, 10) : 0;
    uint64_t seeds = count ? strtoull(count, NULL, 10) : SEEDS;
    struct lease_sim_result sum = {0};
    for (uint64_t seed = from; seed < from + seeds; seed++) {
        struct lease_sim_result r = lease_sim_run(seed);
        if (r.is_broken) {
            fail_msg("seed %llu: %s", (unsigned long long)seed, r.why);
        }
        sum.reads += r.reads;
        sum.refused += r.refused;
        sum.answered += r.answered;
        sum.answered_late += r.answered_late;
        sum.elections += r.elections;
    }
    print_message("%llu seeds: %llu reads, %llu refused, %llu writes answered, %llu of them late, "
                  "%llu elections\n",
                  (unsigned long long)seeds, (unsigned long long)sum.reads,
                  (unsigned long long)sum.refused, (unsigned long long)sum.answered,
                  (unsigned long long)sum.answered_late, (unsigned long long)sum.elections);
    /* A cluster that refuses everything keeps its promise, too. */
    assert_true(sum.reads > sum.refused / 2);
    assert_true(sum.elections > seeds);
    assert_true(sum.answered > sum.answered_late * 2);
}

/* Node 1 leads 2 and 3; what one sends is there at once. */
struct trio {
    struct lease l[3];
    struct lease_log log;
    unsigned frames;
    uint64_t ms;
};

struct sender {
    struct trio *t;
    unsigned self;
};

static struct now now_of(const struct trio *t)
{
    return (struct now){.mono_ms = t->ms};
}

static struct lease_log log_of(const struct trio *t, unsigned self)
{
    struct lease_log log = t->log;
    log.leads = self == 0;
    log.is_settled = self == 0;
    return log;
}

static void carry(void *self, uint64_t to, struct buf *take_frame)
{
    struct sender *s = self;
    struct fail fail = {0};
    struct lease_log log = log_of(s->t, (unsigned)to - 1);
    s->t->frames++;
    assert_int_equal(lease_receive(&s->t->l[to - 1], s->self + 1, buf_span(take_frame), &log,
                                   now_of(s->t), &fail),
                     0);
    buf_unref(take_frame);
}

static void turn(struct trio *t, unsigned self, bool waits)
{
    static const struct lease_ops ops = {carry};
    struct sender sender = {t, self};
    struct lease_log log = log_of(t, self);
    lease_on_reads(&t->l[self], waits, waits, now_of(t));
    lease_turn(&t->l[self], &log, now_of(t), &ops, &sender);
}

static void settle(struct trio *t)
{
    for (unsigned i = 0; i < 12; i++) {
        turn(t, i % 3, false);
    }
}

/* As long as anybody wants a turn, and not longer than ms. */
static void run(struct trio *t, uint64_t until_ms)
{
    while (t->ms < until_ms) {
        uint64_t next_ms = UINT64_MAX;
        for (unsigned i = 0; i < 3; i++) {
            uint64_t at_ms = lease_deadline(&t->l[i]);
            next_ms = at_ms < next_ms ? at_ms : next_ms;
        }
        if (next_ms > until_ms) {
            return;
        }
        assert_true(next_ms > t->ms); /* or it would spin */
        t->ms = next_ms;
        settle(t);
    }
}

static struct trio begin_trio(void)
{
    static const struct lease_server servers[] = {{1, true}, {2, true}, {3, true}};
    struct trio t = {
        .ms = 100000,
        .log = {.term = 5, .commit = 10, .applied = 10, .last = 10, .leader = 1},
    };
    for (unsigned i = 0; i < 3; i++) {
        struct lease_log log = log_of(&t, i);
        lease_init(&t.l[i], i + 1, i + 77, now_of(&t));
        lease_on_servers(&t.l[i], servers, 3, &log);
    }
    settle(&t);
    run(&t, t.ms + 2 * LEASE_MS);
    return t;
}

static void test_cluster__nobody_reads_from__is_silent(void **state)
{
    (void)state;
    struct trio t = begin_trio();
    assert_int_equal(lease_until(&t.l[1]), 0);
    t.frames = 0;
    run(&t, t.ms + 100000);
    settle(&t);
    assert_int_equal(t.frames, 0);
}

static void test_read__the_first__gets_its_lease_at_once_and_keeps_it_for_a_while(void **state)
{
    (void)state;
    struct trio t = begin_trio();
    t.ms += 10000;
    uint64_t read_ms = t.ms;
    turn(&t, 1, true); /* at a follower */
    settle(&t);
    assert_int_equal(lease_until(&t.l[1]), read_ms + LEASE_HOLDER_MS);
    assert_int_equal(lease_until(&t.l[2]), 0); /* nobody reads there */
    run(&t, read_ms + LEASE_IDLE_MS);
    assert_true(lease_until(&t.l[1]) > read_ms + LEASE_IDLE_MS);
    t.frames = 0;
    run(&t, t.ms + 100000);
    assert_true(t.frames > 0 && t.frames <= 6 * (LEASE_MS / LEASE_ROUND_MS + 1));
    assert_true(lease_until(&t.l[1]) < read_ms + LEASE_IDLE_MS + 2 * LEASE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cluster__nobody_reads_from__is_silent),
        cmocka_unit_test(test_read__the_first__gets_its_lease_at_once_and_keeps_it_for_a_while),
        cmocka_unit_test(test_reads__under_drift_loss_stops_cuts_and_elections__never_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
