/* What waits is looked at once, in order; what is shown is never rejected. */
#include "cluster/proposals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NAMING 1
#define CONFIG 2
#define OPS 8

/* A node that leads, or does not, and its log. */
struct world {
    struct proposals *p;
    struct owners owners;
    struct buf *log[64];
    size_t log_len, applied;
    int refuses; /* a code: its log takes nothing */
    char told[OPS];
    struct now now;
};

static int propose(void *self, unsigned kind, struct span envelope, struct fail *fail)
{
    struct world *w = self;
    (void)kind;
    if (w->refuses) {
        return fail_set(fail, w->refuses, "not now");
    }
    w->log[w->log_len++] = buf_create(envelope);
    return 0;
}

static bool send_frame(void *self, uint64_t leader, struct buf *take_frame)
{
    (void)self;
    (void)leader;
    buf_unref(take_frame);
    return false;
}

static void reject(void *self, void *cookie, const struct fail *why)
{
    (void)self;
    (void)why;
    char *told = cookie;
    if (told) {
        assert_int_equal(*told, 0);
        *told = 'n';
    }
}

static const struct proposals_ops ops = {propose, send_frame, reject};

static void begin(struct world *w)
{
    *w = (struct world){.now = {.mono_ms = 1000}};
    w->p = proposals_create(1, 1, &ops, w);
    assert_true(owners_up(&w->owners, 1, 1));
    proposals_on_up(w->p, w->now);
}

static void end(struct world *w)
{
    proposals_destroy(w->p);
    for (size_t i = 0; i < w->log_len; i++) {
        buf_unref(w->log[i]);
    }
}

static void give(struct world *w, unsigned kind, unsigned at)
{
    struct fail fail = {0};
    assert_int_equal(proposals_add(w->p, kind, SPAN("x"), &w->told[at], w->now, &fail), 0);
}

/* Apply all that the log has; numbers of shown ones are summed up. */
static uint64_t apply(struct world *w)
{
    uint64_t shown = 0;
    for (; w->applied < w->log_len; w->applied++) {
        struct proposal got = {0};
        struct fail fail = {0};
        assert_int_equal(
            proposals_open(w->p, &w->owners, buf_span(w->log[w->applied]), &got, &fail), 0);
        assert_true(got.shown == 0 || got.cookie == NULL);
        shown += got.shown;
        if (got.cookie) {
            *(char *)got.cookie = 'y';
        }
    }
    return shown;
}

static void test_look__oldest_first__each_once(void **state)
{
    (void)state;
    struct world w;
    struct proposals_waiting one = {0};
    begin(&w);
    assert_false(proposals_look(w.p, &one));
    give(&w, NAMING, 0);
    w.now.mono_ms += 5;
    give(&w, CONFIG, 1);
    assert_true(proposals_look(w.p, &one));
    assert_true(one.seq == 1 && one.since_ms == 1000 && one.kind == NAMING);
    assert_true(span_eq(one.op, SPAN("x")));
    assert_ptr_equal(one.cookie, &w.told[0]);
    proposals_shown(w.p, 1);
    assert_true(proposals_look(w.p, &one));
    assert_true(one.seq == 2 && one.since_ms == 1005 && one.kind == CONFIG);
    proposals_pass(w.p, 2);
    assert_false(proposals_look(w.p, &one));
    give(&w, NAMING, 2);
    assert_true(proposals_look(w.p, &one));
    assert_true(one.seq == 3);
    struct fail why = {.code = E_LIMIT, .text = "too many"};
    proposals_refuse(w.p, 3, &why);
    assert_int_equal(w.told[2], 'n');
    assert_false(proposals_look(w.p, &one));
    assert_int_equal(proposals_count(w.p), 2);
    end(&w);
}

static void test_shown__applied__its_number_comes_back_and_no_cookie(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    give(&w, NAMING, 0);
    give(&w, NAMING, 1);
    proposals_shown(w.p, 1);
    proposals_on_leader(w.p, 1, w.now);
    proposals_turn(w.p, w.now);
    assert_true(apply(&w) == 1);
    assert_int_equal(w.told[0], 0); /* its client was told when it was shown */
    assert_int_equal(w.told[1], 'y');
    struct proposals_waiting one = {0};
    assert_false(proposals_look(w.p, &one)); /* the other one was applied before it was looked at */
    end(&w);
}

static void test_shown__log_has_no_room__is_asked_again(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    give(&w, NAMING, 0);
    give(&w, NAMING, 1);
    proposals_shown(w.p, 1);
    proposals_on_leader(w.p, 1, w.now);
    w.refuses = E_FULL;
    proposals_turn(w.p, w.now);
    assert_int_equal(proposals_count(w.p), 2); /* the one behind it does not overtake it */
    assert_true(proposals_deadline(w.p) == w.now.mono_ms + PROPOSALS_HOLD_MS);
    w.refuses = 0;
    proposals_turn(w.p, w.now);
    assert_true(proposals_deadline(w.p) == UINT64_MAX);
    struct fail full = {.code = E_FULL, .text = "no room"};
    proposals_on_reject(w.p, 1, &full); /* after it took it */
    assert_int_equal(proposals_count(w.p), 2);
    w.log_len = 0;
    buf_unref(w.log[0]);
    buf_unref(w.log[1]);
    proposals_turn(w.p, w.now);
    assert_true(apply(&w) == 1);
    assert_int_equal(w.told[1], 'y');
    end(&w);
}

static void test_shown__node_ends__nobody_is_told_twice(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    give(&w, NAMING, 0);
    give(&w, NAMING, 1);
    proposals_shown(w.p, 1);
    end(&w);
    assert_int_equal(w.told[0], 0);
    assert_int_equal(w.told[1], 'n');
}

static void test_give_up__shown_and_new_ones_stay__passed_ones_are_told(void **state)
{
    (void)state;
    struct world w;
    struct fail why = {.code = E_NOT_LEADER, .text = "nobody leads"};
    struct fail fail = {0};
    begin(&w);
    give(&w, NAMING, 0);
    give(&w, NAMING, 1);
    assert_int_equal(proposals_add(w.p, NAMING, SPAN("x"), NULL, w.now, &fail), 0);
    give(&w, CONFIG, 2);
    give(&w, NAMING, 3);
    proposals_shown(w.p, 1);
    proposals_pass(w.p, 2);
    proposals_pass(w.p, 3); /* nobody waits for it */
    proposals_give_up(w.p, NAMING, &why);
    assert_int_equal(w.told[0], 0);
    assert_int_equal(w.told[1], 'n');
    assert_int_equal(w.told[2], 'n');
    assert_int_equal(w.told[3], 0);
    assert_int_equal(proposals_count(w.p), 3);
    struct proposals_waiting one = {0};
    assert_true(proposals_look(w.p, &one));
    assert_true(one.seq == 5);
    end(&w);
}

static void test_reborn__shown_ones__keep_their_numbers(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    give(&w, NAMING, 0);
    give(&w, NAMING, 1);
    proposals_shown(w.p, 1);
    proposals_reborn(w.p, 2, w.now);
    assert_true(owners_up(&w.owners, 1, 2));
    proposals_on_up(w.p, w.now);
    proposals_on_leader(w.p, 1, w.now);
    proposals_turn(w.p, w.now);
    assert_true(apply(&w) == 1);
    assert_int_equal(w.told[1], 'y');
    end(&w);
}

static void test_covered__by_a_snapshot__oldest_first_until_its_end(void **state)
{
    (void)state;
    struct world w;
    struct proposals_waiting one = {0};
    bool is_shown = false;
    begin(&w);
    for (unsigned i = 0; i < 3; i++) {
        give(&w, NAMING, i);
    }
    proposals_shown(w.p, 1);
    assert_true(proposals_covered(w.p, 2, &one, &is_shown));
    assert_true(one.seq == 1 && is_shown && one.cookie == NULL);
    assert_true(proposals_covered(w.p, 2, &one, &is_shown));
    assert_true(one.seq == 2 && !is_shown);
    assert_ptr_equal(one.cookie, &w.told[1]);
    assert_false(proposals_covered(w.p, 2, &one, &is_shown));
    assert_true(proposals_look(w.p, &one));
    assert_true(one.seq == 3);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_look__oldest_first__each_once),
        cmocka_unit_test(test_shown__applied__its_number_comes_back_and_no_cookie),
        cmocka_unit_test(test_shown__log_has_no_room__is_asked_again),
        cmocka_unit_test(test_shown__node_ends__nobody_is_told_twice),
        cmocka_unit_test(test_give_up__shown_and_new_ones_stay__passed_ones_are_told),
        cmocka_unit_test(test_reborn__shown_ones__keep_their_numbers),
        cmocka_unit_test(test_covered__by_a_snapshot__oldest_first_until_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
