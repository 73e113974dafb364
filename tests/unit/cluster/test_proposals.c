/* Proposals against a played log: leaders change, frames are lost and come twice, the log refuses;
 * what counts is that each operation is applied once, in its owner's order, and each client told
 * once. */
#include "cluster/proposals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

#define NODES 3
#define LOG_MAX 200000
#define OPS_MAX 4000

struct world;

struct node {
    struct world *world;
    struct proposals *p;
    uint64_t id;
    struct owners owners;
    size_t applied;     /* entries of the log */
    unsigned given;     /* operations so far */
    char told[OPS_MAX]; /* per operation: 0 waits, 'y' applied, 'n' refused */
    unsigned order;     /* the last one applied of those this node gave */
};

struct world {
    struct node nodes[NODES];
    struct buf *log[LOG_MAX];
    size_t log_len;
    size_t committed; /* entries below it stay */
    uint64_t leader;
    unsigned lose, refuse; /* of 100 */
    struct now now;
};

static bool chance(unsigned percent)
{
    return (unsigned)(rand() % 100) < percent;
}

static int propose(void *self, unsigned kind, struct span envelope, struct fail *fail)
{
    const struct node *n = self;
    struct world *w = n->world;
    assert_int_equal(kind, 9);
    if (w->leader != n->id) {
        return fail_set(fail, E_NOT_LEADER, "another one leads");
    }
    if (chance(w->refuse)) {
        return fail_set(fail, E_FULL, "no room");
    }
    assert_true(w->log_len < LOG_MAX);
    w->log[w->log_len++] = buf_create(envelope);
    return 0;
}

static bool send_frame(void *self, uint64_t leader, struct buf *take_frame)
{
    const struct node *n = self;
    struct world *w = n->world;
    bool arrives = !chance(w->lose);
    unsigned times = arrives ? 1 + chance(10) : 0;
    for (unsigned i = 0; i < times; i++) {
        bool bad = false;
        (void)proposals_receive(w->nodes[leader - 1].p, buf_span(take_frame), &bad);
        assert_false(bad);
    }
    buf_unref(take_frame);
    return true;
}

static void reject(void *self, void *cookie, const struct fail *why)
{
    struct node *n = self;
    (void)why;
    char *told = cookie;
    assert_int_equal(*told, 0);
    *told = 'n';
    (void)n;
}

static const struct proposals_ops ops = {propose, send_frame, reject};

static void begin(struct world *w, unsigned seed)
{
    srand(seed);
    memset(w, 0, sizeof(*w));
    w->now.mono_ms = 1000;
    for (size_t i = 0; i < NODES; i++) {
        struct node *n = &w->nodes[i];
        n->world = w;
        n->id = i + 1;
        n->p = proposals_create(n->id, 1, &ops, n);
    }
    for (size_t i = 0; i < NODES; i++) {
        for (size_t j = 0; j < NODES; j++) {
            assert_true(owners_up(&w->nodes[i].owners, w->nodes[j].id, 1));
        }
        proposals_on_up(w->nodes[i].p, w->now);
    }
}

static void end(struct world *w)
{
    for (size_t i = 0; i < NODES; i++) {
        proposals_destroy(w->nodes[i].p);
    }
    for (size_t i = 0; i < w->log_len; i++) {
        buf_unref(w->log[i]);
    }
}

static void give(struct node *n)
{
    struct fail fail = {0};
    unsigned number = n->given++;
    assert_true(number < OPS_MAX);
    assert_int_equal(proposals_add(n->p, 9, span_of((const char *)&number, sizeof(number)),
                                   &n->told[number], n->world->now, &fail),
                     0);
}

/* Node n applies what is committed. */
static void apply(struct node *n)
{
    struct world *w = n->world;
    for (; n->applied < w->committed; n->applied++) {
        struct proposal got = {0};
        struct fail fail = {0};
        assert_int_equal(
            proposals_open(n->p, &n->owners, buf_span(w->log[n->applied]), &got, &fail), 0);
        if (got.verdict != OWNERS_TAKE) {
            assert_null(got.cookie);
            continue;
        }
        if (got.owner == n->id) {
            unsigned number = 0;
            memcpy(&number, got.op.data, sizeof(number));
            assert_true(number >= n->order); /* in order, each once; refused ones may be left out */
            n->order = number + 1;
            char *told = got.cookie;
            if (told) {
                assert_ptr_equal(told, &n->told[number]);
                assert_int_equal(*told, 0);
                *told = 'y';
            } else {
                assert_int_equal(n->told[number], 'n'); /* refused, and in a log all the same */
            }
        }
    }
}

static void lead(struct world *w, uint64_t leader)
{
    /* What was not committed may be lost. */
    size_t keep = w->committed + (size_t)rand() % (w->log_len - w->committed + 1);
    while (w->log_len > keep) {
        buf_unref(w->log[--w->log_len]);
    }
    w->leader = leader;
    for (size_t i = 0; i < NODES; i++) {
        proposals_on_leader(w->nodes[i].p, leader, w->now);
    }
}

static void step(struct world *w)
{
    w->now.mono_ms += (uint64_t)rand() % 50;
    struct node *n = &w->nodes[rand() % NODES];
    switch (rand() % 8) {
    case 0:
    case 1:
    case 2:
        if (n->given < OPS_MAX) {
            give(n);
        }
        break;
    case 3:
        w->committed += (size_t)rand() % (w->log_len - w->committed + 1);
        break;
    case 4:
        apply(n);
        break;
    case 5:
        if (chance(5)) {
            lead(w, (uint64_t)rand() % (NODES + 1));
        } else if (chance(5)) {
            proposals_on_link(n->p, w->leader, w->now);
        }
        break;
    default:
        proposals_turn(n->p, w->now);
        break;
    }
}

/* Nothing goes wrong any more: everything comes to its end. */
static void settle(struct world *w)
{
    w->lose = 0;
    w->refuse = 0;
    lead(w, 1);
    for (int i = 0; i < 50; i++) {
        w->now.mono_ms += PROPOSALS_RETRY_MS;
        for (size_t k = 0; k < NODES; k++) {
            proposals_turn(w->nodes[k].p, w->now);
        }
        w->committed = w->log_len;
        for (size_t k = 0; k < NODES; k++) {
            apply(&w->nodes[k]);
        }
    }
}

static void test_random__each_is_applied_once_and_told_once(void **state)
{
    (void)state;
    struct world *w = mem_alloc(sizeof(*w));
    for (unsigned seed = 1; seed <= 150; seed++) {
        begin(w, seed);
        w->lose = seed % 3 * 20;
        w->refuse = seed % 2 * 3;
        for (int i = 0; i < 2000; i++) {
            step(w);
        }
        settle(w);
        for (size_t k = 0; k < NODES; k++) {
            assert_int_equal(proposals_count(w->nodes[k].p), 0);
            for (unsigned i = 0; i < w->nodes[k].given; i++) {
                assert_int_not_equal(w->nodes[k].told[i], 0);
                assert_true(w->refuse || seed % 2 || w->nodes[k].told[i] == 'y');
            }
            for (size_t o = 0; o < NODES; o++) {
                assert_true(w->nodes[k].owners.list[o].last_seq ==
                            w->nodes[0].owners.list[o].last_seq);
            }
        }
        end(w);
    }
    mem_free(w);
}

static void test_add__beyond_the_limits__is_refused(void **state)
{
    (void)state;
    struct world *w = mem_alloc(sizeof(*w));
    struct fail fail = {0};
    begin(w, 1);
    char *large = mem_zalloc(1, PROPOSALS_BYTES_MAX);
    assert_int_equal(proposals_add(w->nodes[0].p, 9, span_of(large, PROPOSALS_BYTES_MAX - 100),
                                   &w->nodes[0].told[0], w->now, &fail),
                     0);
    assert_int_equal(proposals_add(w->nodes[0].p, 9, span_of(large, 100), NULL, w->now, &fail),
                     E_LIMIT);
    assert_non_null(strstr(fail.text, "wait for the log already"));
    mem_free(large);
    end(w);
    assert_int_equal(w->nodes[0].told[0], 'n');
    mem_free(w);
}

static void test_wait__nobody_leads__is_told(void **state)
{
    (void)state;
    struct world *w = mem_alloc(sizeof(*w));
    begin(w, 1);
    give(&w->nodes[0]);
    w->now.mono_ms += 900;
    proposals_turn(w->nodes[0].p, w->now);
    assert_true(proposals_wait_ms(w->nodes[0].p, w->now) == 900);
    assert_int_equal(w->log_len, 0);
    assert_true(proposals_deadline(w->nodes[0].p) == UINT64_MAX);
    lead(w, 1);
    proposals_turn(w->nodes[0].p, w->now);
    assert_int_equal(w->log_len, 1);
    w->committed = 1;
    apply(&w->nodes[0]);
    assert_int_equal(w->nodes[0].told[0], 'y');
    assert_true(proposals_wait_ms(w->nodes[0].p, w->now) == 0);
    end(w);
    mem_free(w);
}

static void test_reject__by_the_log_later__the_rest_goes_on(void **state)
{
    (void)state;
    struct world *w = mem_alloc(sizeof(*w));
    struct fail full = {.code = E_FULL, .text = "no room"};
    struct fail lost = {.code = E_NOT_LEADER, .text = "lost the lead"};
    begin(w, 1);
    for (int i = 0; i < 3; i++) {
        give(&w->nodes[0]);
    }
    lead(w, 1);
    proposals_turn(w->nodes[0].p, w->now);
    assert_int_equal(w->log_len, 3);
    proposals_on_reject(w->nodes[0].p, 2, &full); /* 3 was sent behind it */
    assert_int_equal(w->nodes[0].told[1], 'n');
    buf_unref(w->log[1]);
    w->log[1] = w->log[2];
    w->log_len = 2;
    w->committed = 2;
    apply(&w->nodes[0]);
    assert_int_equal(w->nodes[0].told[2], 0); /* a gap to this node: it goes again */
    proposals_turn(w->nodes[0].p, w->now);
    w->committed = w->log_len;
    apply(&w->nodes[0]);
    assert_int_equal(w->nodes[0].told[2], 'y');
    give(&w->nodes[0]);
    proposals_turn(w->nodes[0].p, w->now);
    size_t before = w->log_len;
    proposals_on_reject(w->nodes[0].p, 4, &lost);
    proposals_on_reject(w->nodes[0].p, 99, &lost); /* nothing of ours */
    proposals_turn(w->nodes[0].p, w->now);
    assert_int_equal(w->log_len, before + 1); /* not told: it went again */
    end(w);
    mem_free(w);
}

/* An operation that nobody waits for. */
static void give_silent(struct node *n)
{
    struct fail fail = {0};
    unsigned number = n->given++;
    n->told[number] = 'n'; /* apply finds no cookie with it */
    assert_int_equal(proposals_add(n->p, 9, span_of((const char *)&number, sizeof(number)), NULL,
                                   n->world->now, &fail),
                     0);
}

static void test_refused__nobody_waits__goes_again_before_the_rest(void **state)
{
    (void)state;
    struct world *w = mem_alloc(sizeof(*w));
    begin(w, 1);
    struct node *n = &w->nodes[0];
    lead(w, 1);
    give_silent(n);
    give(n);
    w->refuse = 100;
    proposals_turn(n->p, w->now);
    assert_int_equal(n->told[1], 'n'); /* at once */
    assert_int_equal(proposals_count(n->p), 1);
    assert_int_equal(proposals_deadline(n->p), w->now.mono_ms + PROPOSALS_HOLD_MS);
    w->refuse = 0;
    give(n);
    proposals_turn(n->p, w->now);
    assert_int_equal(w->log_len, 2);
    w->committed = 2;
    apply(n);
    assert_int_equal(n->order, 3);
    assert_int_equal(n->told[2], 'y');
    assert_int_equal(proposals_count(n->p), 0);
    assert_int_equal(proposals_deadline(n->p), UINT64_MAX);
    end(w);
    mem_free(w);
}

static void test_reject__nobody_waits__goes_again(void **state)
{
    (void)state;
    struct world *w = mem_alloc(sizeof(*w));
    struct fail full = {.code = E_FULL, .text = "no room"};
    begin(w, 1);
    struct node *n = &w->nodes[0];
    lead(w, 1);
    give_silent(n);
    give(n);
    proposals_turn(n->p, w->now);
    assert_int_equal(w->log_len, 2);
    proposals_on_reject(n->p, 1, &full); /* after the log took it */
    assert_int_equal(n->told[1], 'n');
    buf_unref(w->log[0]);
    buf_unref(w->log[1]);
    w->log_len = 0;
    w->now.mono_ms += PROPOSALS_HOLD_MS;
    proposals_turn(n->p, w->now);
    assert_int_equal(w->log_len, 1);
    w->committed = 1;
    apply(n);
    assert_int_equal(n->order, 1);
    end(w);
    mem_free(w);
}

static void test_give_up__other_kinds__are_told_and_the_rest_goes_on(void **state)
{
    (void)state;
    struct world *w = mem_alloc(sizeof(*w));
    struct fail why = {.code = E_NOT_LEADER, .text = "nobody leads"};
    struct fail fail = {0};
    char told = 0;
    begin(w, 1);
    give(&w->nodes[0]);
    assert_int_equal(proposals_add(w->nodes[0].p, 7, SPAN("x"), &told, w->now, &fail), 0);
    w->nodes[0].given++;
    give(&w->nodes[0]);
    proposals_give_up(w->nodes[0].p, 9, &why);
    assert_int_equal(told, 'n');
    assert_int_equal(proposals_count(w->nodes[0].p), 2);
    lead(w, 1);
    proposals_turn(w->nodes[0].p, w->now);
    w->committed = w->log_len;
    apply(&w->nodes[0]);
    assert_int_equal(w->nodes[0].told[0], 'y');
    assert_int_equal(w->nodes[0].told[2], 'y');
    end(w);
    mem_free(w);
}

static void test_receive__malformed__is_bad_and_changes_nothing(void **state)
{
    (void)state;
    static const struct span frames[] = {
        {"", 0},
        {"\x02", 1},
        {"\x01\x09", 2},
        {"\x01\x09\xff\xff\xff\xff", 6},
        {"\x01\x00\x21\x00\x00\x00.................................", 39},
        {"\x01\x09\x05\x00\x00\x00.....", 11},
    };
    struct world *w = mem_alloc(sizeof(*w));
    struct fail fail = {0};
    begin(w, 1);
    bool bad = false;
    assert_false(proposals_receive(w->nodes[0].p, SPAN("\x01"), &bad)); /* it does not lead */
    lead(w, 1);
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        bad = false;
        assert_true(proposals_receive(w->nodes[0].p, frames[i], &bad));
        assert_true(bad);
    }
    assert_int_equal(w->log_len, 0);
    struct proposal got = {0};
    assert_int_equal(proposals_open(w->nodes[0].p, &w->nodes[0].owners, SPAN("short"), &got, &fail),
                     E_PARSE);
    end(w);
    mem_free(w);
}

static void test_up__is_proposed_until_the_log_has_it(void **state)
{
    (void)state;
    struct world *w = mem_alloc(sizeof(*w));
    struct fail fail = {0};
    memset(w, 0, sizeof(*w));
    w->now.mono_ms = 1000;
    for (size_t i = 0; i < NODES; i++) {
        struct node *n = &w->nodes[i];
        n->world = w;
        n->id = i + 1;
        n->p = proposals_create(n->id, 5, &ops, n);
        proposals_set_up(n->p, 9, SPAN("up"));
    }
    give(&w->nodes[1]);
    lead(w, 1);
    proposals_turn(w->nodes[1].p, w->now);
    proposals_turn(w->nodes[1].p, w->now); /* not again at once */
    assert_int_equal(w->log_len, 1);
    assert_true(proposals_deadline(w->nodes[1].p) == 1000 + PROPOSALS_RETRY_MS);
    w->now.mono_ms += PROPOSALS_RETRY_MS;
    proposals_turn(w->nodes[1].p, w->now);
    assert_int_equal(w->log_len, 2);
    struct proposal got = {0};
    struct owners *owners = &w->nodes[1].owners;
    assert_int_equal(proposals_open(w->nodes[1].p, owners, buf_span(w->log[0]), &got, &fail), 0);
    assert_int_equal(got.verdict, OWNERS_TAKE);
    assert_true(got.owner == 2 && got.epoch == 5);
    assert_true(span_eq(got.op, SPAN("up")));
    assert_true(owners_up(owners, 2, 5));
    proposals_on_up(w->nodes[1].p, w->now);
    proposals_turn(w->nodes[1].p, w->now);
    assert_int_equal(w->log_len, 3);
    assert_true(proposals_seq(w->nodes[1].p, buf_span(w->log[2])) == 1);
    assert_true(proposals_seq(w->nodes[0].p, buf_span(w->log[2])) == 0);
    struct buf *other = proposals_unnumbered(SPAN("x"));
    assert_int_equal(proposals_open(w->nodes[1].p, owners, buf_span(other), &got, &fail), 0);
    assert_int_equal(got.verdict, OWNERS_TAKE);
    buf_unref(other);
    end(w);
    mem_free(w);
}

static void test_reborn__what_waits_goes_with_the_new_epoch_in_its_order(void **state)
{
    (void)state;
    struct world *w = mem_alloc(sizeof(*w));
    begin(w, 1);
    struct node *n = &w->nodes[0];
    for (int i = 0; i < 5; i++) {
        give(n);
    }
    lead(w, 1);
    proposals_turn(n->p, w->now);
    w->committed = 2;
    apply(n);
    /* The leader gave this life up after two of five. */
    for (size_t k = 0; k < NODES; k++) {
        assert_true(owners_expire(&w->nodes[k].owners, 1, 1));
        assert_true(owners_up(&w->nodes[k].owners, 1, 2));
    }
    proposals_reborn(n->p, 2, w->now);
    proposals_on_up(n->p, w->now);
    w->committed = w->log_len;
    for (; n->applied < w->committed; n->applied++) {
        struct proposal got = {0};
        struct fail fail = {0};
        assert_int_equal(
            proposals_open(n->p, &n->owners, buf_span(w->log[n->applied]), &got, &fail), 0);
        assert_int_equal(got.verdict, OWNERS_STALE); /* the rest, under the old epoch */
    }
    proposals_turn(n->p, w->now);
    w->committed = w->log_len;
    apply(n);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(n->told[i], 'y');
    }
    end(w);
    mem_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random__each_is_applied_once_and_told_once),
        cmocka_unit_test(test_add__beyond_the_limits__is_refused),
        cmocka_unit_test(test_wait__nobody_leads__is_told),
        cmocka_unit_test(test_refused__nobody_waits__goes_again_before_the_rest),
        cmocka_unit_test(test_reject__nobody_waits__goes_again),
        cmocka_unit_test(test_reject__by_the_log_later__the_rest_goes_on),
        cmocka_unit_test(test_give_up__other_kinds__are_told_and_the_rest_goes_on),
        cmocka_unit_test(test_receive__malformed__is_bad_and_changes_nothing),
        cmocka_unit_test(test_up__is_proposed_until_the_log_has_it),
        cmocka_unit_test(test_reborn__what_waits_goes_with_the_new_epoch_in_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
