#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../base/expect_abort.h"
#include "base/mem.h"
#include "base/thread.h"
#include "consensus/consensus.h"

/* What the owner was told, as a story: "1:N(abc)cookie" per operation, "1." per entry end. */
struct owner {
    struct consensus *c;
    char story[512];
    size_t len;
    unsigned commits;
    unsigned propose_more; /* this many from inside on_commit */
    struct consensus_state state_inside;
};

static void tell(struct owner *o, const char *text)
{
    int len = snprintf(o->story + o->len, sizeof o->story - o->len, "%s", text);
    assert_true(len >= 0 && (size_t)len < sizeof o->story - o->len);
    o->len += (size_t)len;
}

static void on_commit(void *self, uint64_t index, enum consensus_kind kind, struct span op,
                      void *cookie)
{
    struct owner *o = self;
    char text[64];
    const char *name = kind == CONSENSUS_NAMING ? "N" : kind == CONSENSUS_CONFIG ? "C" : "?";
    o->commits++;
    o->state_inside = consensus_state(o->c);
    if (op.len < 16) {
        (void)snprintf(text, sizeof text, "%d:%s(%.*s)%s ", (int)index, name, SPAN_ARG(op),
                       cookie ? (const char *)cookie : "");
        tell(o, text);
    }
    if (o->propose_more > 0) {
        o->propose_more--;
        assert_int_equal(consensus_propose(o->c, CONSENSUS_CONFIG, SPAN("more"), NULL, NULL), 0);
    }
}

static void on_entry_end(void *self, uint64_t index)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d. ", (int)index);
    tell(self, text);
}

static void on_reject(void *self, void *cookie, const struct fail *why)
{
    char text[64];
    (void)snprintf(text, sizeof text, "no:%s:%s ", cookie ? (const char *)cookie : "",
                   err_name(why->code));
    tell(self, text);
}

static const struct consensus_ops ops = {
    .on_commit = on_commit, .on_entry_end = on_entry_end, .on_reject = on_reject};

static void begin(struct owner *o)
{
    *o = (struct owner){0};
    o->c = consensus_create_memory(&ops, o);
}

static char cookie_a[] = "a";
static char cookie_b[] = "b";

static void propose(struct owner *o, enum consensus_kind kind, const char *op, char *cookie)
{
    assert_int_equal(consensus_propose(o->c, kind, span_str(op), cookie, NULL), 0);
}

static void test_turn__what_was_proposed__is_one_entry_in_order(void **state)
{
    (void)state;
    struct owner o;
    begin(&o);
    propose(&o, CONSENSUS_NAMING, "x", cookie_a);
    propose(&o, CONSENSUS_CONFIG, "", cookie_b);
    propose(&o, CONSENSUS_NAMING, "z", NULL);
    /* Nothing comes back from inside the proposal. */
    assert_string_equal(o.story, "");
    assert_false(consensus_turn(o.c, clock_now()));
    assert_string_equal(o.story, "1:N(x)a 1:C()b 1:N(z) 1. ");
    propose(&o, CONSENSUS_NAMING, "y", cookie_a);
    assert_false(consensus_turn(o.c, clock_now()));
    assert_string_equal(o.story, "1:N(x)a 1:C()b 1:N(z) 1. 2:N(y)a 2. ");
    consensus_destroy(o.c);
}

static void test_turn__nothing_proposed__makes_no_entry(void **state)
{
    (void)state;
    struct owner o;
    begin(&o);
    assert_false(consensus_turn(o.c, clock_now()));
    assert_string_equal(o.story, "");
    assert_int_equal(consensus_state(o.c).last_index, 0);
    consensus_destroy(o.c);
}

static void test_turn__proposed_during_hand_out__goes_into_the_next_entry(void **state)
{
    (void)state;
    struct owner o;
    begin(&o);
    o.propose_more = 3;
    propose(&o, CONSENSUS_NAMING, "x", NULL);
    propose(&o, CONSENSUS_NAMING, "y", NULL);
    assert_true(consensus_turn(o.c, clock_now()));
    assert_string_equal(o.story, "1:N(x) 1:N(y) 1. ");
    assert_true(consensus_turn(o.c, clock_now()));
    assert_false(consensus_turn(o.c, clock_now()));
    assert_string_equal(o.story, "1:N(x) 1:N(y) 1. 2:C(more) 2:C(more) 2. 3:C(more) 3. ");
    assert_false(consensus_turn(o.c, clock_now()));
    consensus_destroy(o.c);
}

static void test_propose__copies_the_bytes(void **state)
{
    (void)state;
    struct owner o;
    begin(&o);
    char op[] = "abc";
    propose(&o, CONSENSUS_NAMING, op, NULL);
    op[0] = 'x';
    assert_false(consensus_turn(o.c, clock_now()));
    assert_string_equal(o.story, "1:N(abc) 1. ");
    consensus_destroy(o.c);
}

static void test_state__leader_from_the_start_and_indexes_follow(void **state)
{
    (void)state;
    struct owner o;
    begin(&o);
    struct consensus_state s = consensus_state(o.c);
    assert_int_equal(s.role, CONSENSUS_LEADER);
    assert_int_equal(s.term, 1);
    propose(&o, CONSENSUS_NAMING, "x", NULL);
    assert_false(consensus_turn(o.c, clock_now()));
    assert_int_equal(o.state_inside.commit_index, 1);
    assert_int_equal(o.state_inside.applied_index, 0);
    s = consensus_state(o.c);
    assert_int_equal(s.last_index, 1);
    assert_int_equal(s.commit_index, 1);
    assert_int_equal(s.applied_index, 1);
    consensus_destroy(o.c);
}

static void test_propose__too_large__is_refused(void **state)
{
    (void)state;
    struct owner o;
    begin(&o);
    char *op = mem_zalloc(CONSENSUS_OP_BYTES_MAX + 1u, 1);
    struct span too_large = span_of(op, CONSENSUS_OP_BYTES_MAX + 1u);
    struct span largest = span_of(op, CONSENSUS_OP_BYTES_MAX);
    struct fail fail = {0};
    assert_int_equal(consensus_propose(o.c, CONSENSUS_CONFIG, too_large, NULL, &fail), E_TOO_LARGE);
    assert_non_null(strstr(fail_text(&fail), "12582913"));
    assert_int_equal(consensus_propose(o.c, CONSENSUS_CONFIG, largest, NULL, &fail), 0);
    assert_false(consensus_turn(o.c, clock_now()));
    assert_int_equal(o.commits, 1);
    consensus_destroy(o.c);
    mem_free(op);
}

static void test_propose__too_many_bytes_wait__is_refused_until_the_next_turn(void **state)
{
    (void)state;
    struct owner o;
    begin(&o);
    char *op = mem_zalloc(CONSENSUS_OP_BYTES_MAX, 1);
    struct span large = span_of(op, CONSENSUS_OP_BYTES_MAX);
    unsigned accepted = 0;
    while (consensus_propose(o.c, CONSENSUS_CONFIG, large, NULL, NULL) == 0) {
        accepted++;
    }
    assert_int_equal(accepted, CONSENSUS_PENDING_BYTES_MAX / CONSENSUS_OP_BYTES_MAX);
    assert_int_equal(consensus_propose(o.c, CONSENSUS_CONFIG, large, NULL, NULL), E_LIMIT);
    assert_false(consensus_turn(o.c, clock_now()));
    assert_int_equal(o.commits, accepted);
    assert_int_equal(consensus_propose(o.c, CONSENSUS_CONFIG, large, NULL, NULL), 0);
    consensus_destroy(o.c);
    mem_free(op);
}

static void test_propose__too_many_wait__is_refused_until_the_next_turn(void **state)
{
    (void)state;
    struct owner o;
    begin(&o);
    struct span op = SPAN("0123456789abcdef"); /* long enough to be left out of the story */
    for (unsigned i = 0; i < CONSENSUS_PENDING_MAX; i++) {
        assert_int_equal(consensus_propose(o.c, CONSENSUS_NAMING, op, NULL, NULL), 0);
    }
    struct fail fail = {0};
    assert_int_equal(consensus_propose(o.c, CONSENSUS_NAMING, op, NULL, &fail), E_LIMIT);
    assert_non_null(strstr(fail_text(&fail), "65536"));
    assert_false(consensus_turn(o.c, clock_now()));
    assert_int_equal(o.commits, CONSENSUS_PENDING_MAX);
    assert_int_equal(consensus_propose(o.c, CONSENSUS_NAMING, op, NULL, NULL), 0);
    consensus_destroy(o.c);
}

static void test_destroy__what_waits__is_rejected_once(void **state)
{
    (void)state;
    struct owner o;
    begin(&o);
    propose(&o, CONSENSUS_NAMING, "x", cookie_a);
    consensus_destroy(o.c);
    char told[64];
    (void)snprintf(told, sizeof told, "no:%s:E_CLOSED ", (const char *)cookie_a);
    assert_string_equal(o.story, told);
    consensus_destroy(NULL);
}

static void propose_off_core(void)
{
    struct owner o;
    begin(&o);
    thread_become(THREAD_RPC, "rpc-0");
    propose(&o, CONSENSUS_NAMING, "x", NULL);
}

static void on_commit_turn(void *self, uint64_t index, enum consensus_kind kind, struct span op,
                           void *cookie)
{
    (void)index;
    (void)kind;
    (void)op;
    (void)cookie;
    struct owner *o = self;
    (void)consensus_turn(o->c, clock_now());
}

static void turn_inside_turn(void)
{
    const struct consensus_ops inside = {
        .on_commit = on_commit_turn, .on_entry_end = on_entry_end, .on_reject = on_reject};
    struct owner o = {0};
    o.c = consensus_create_memory(&inside, &o);
    propose(&o, CONSENSUS_NAMING, "x", NULL);
    (void)consensus_turn(o.c, clock_now());
}

static void test_consensus__our_own_mistakes__abort(void **state)
{
    (void)state;
    assert_true(aborts(propose_off_core));
    assert_true(aborts(turn_inside_turn));
}

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turn__what_was_proposed__is_one_entry_in_order),
        cmocka_unit_test(test_turn__nothing_proposed__makes_no_entry),
        cmocka_unit_test(test_turn__proposed_during_hand_out__goes_into_the_next_entry),
        cmocka_unit_test(test_propose__copies_the_bytes),
        cmocka_unit_test(test_state__leader_from_the_start_and_indexes_follow),
        cmocka_unit_test(test_propose__too_large__is_refused),
        cmocka_unit_test(test_propose__too_many_bytes_wait__is_refused_until_the_next_turn),
        cmocka_unit_test(test_propose__too_many_wait__is_refused_until_the_next_turn),
        cmocka_unit_test(test_destroy__what_waits__is_rejected_once),
        cmocka_unit_test(test_consensus__our_own_mistakes__abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
