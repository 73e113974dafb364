#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/thread.h"
#include "consensus/consensus_impl.h"

static unsigned calls;

static void fake_destroy(struct consensus *c)
{
    (void)c;
    calls++;
}

static int fake_propose(struct consensus *c, enum consensus_kind kind, struct span op, void *cookie,
                        struct fail *fail)
{
    (void)c;
    (void)kind;
    (void)op;
    (void)cookie;
    calls++;
    return fail_set(fail, E_LIMIT, "full");
}

static bool fake_turn(struct consensus *c, struct now now)
{
    (void)c;
    return now.mono_ms == 7;
}

static uint64_t fake_deadline(const struct consensus *c)
{
    (void)c;
    return 9;
}

static struct consensus_state fake_state(const struct consensus *c)
{
    (void)c;
    return (struct consensus_state){.term = 11};
}

static const struct consensus_impl impl = {
    .destroy = fake_destroy,
    .propose = fake_propose,
    .turn = fake_turn,
    .deadline = fake_deadline,
    .state = fake_state,
};

static void test_calls__go_to_the_log_behind(void **state)
{
    (void)state;
    struct consensus c = {&impl};
    assert_int_equal(consensus_propose(&c, CONSENSUS_NAMING, SPAN("x"), NULL, NULL), E_LIMIT);
    assert_true(consensus_turn(&c, (struct now){.mono_ms = 7}));
    assert_int_equal(consensus_deadline(&c), 9);
    assert_int_equal(consensus_state(&c).term, 11);
    calls = 0;
    consensus_destroy(&c);
    consensus_destroy(NULL);
    assert_int_equal(calls, 1);
}

static void test_propose__too_large__never_reaches_a_log(void **state)
{
    (void)state;
    struct consensus c = {&impl};
    struct fail fail = {0};
    char *big = mem_zalloc(1, CONSENSUS_OP_BYTES_MAX + 1);
    calls = 0;
    assert_int_equal(consensus_propose(&c, CONSENSUS_NAMING,
                                       span_of(big, CONSENSUS_OP_BYTES_MAX + 1), NULL, &fail),
                     E_TOO_LARGE);
    assert_int_equal(calls, 0);
    mem_free(big);
}

static void test_members__log_without_a_wire__has_none_and_refuses_changes(void **state)
{
    (void)state;
    struct fail fail = {0};
    struct consensus_member member = {0};
    struct consensus log = {&impl};
    consensus_receive(&log, 2, SPAN("whatever"));
    assert_int_equal(consensus_members(&log, &member, 1), 0);
    assert_int_equal(consensus_change(&log, CONSENSUS_ADD, 2, "two:9849", &fail), E_CONFLICT);
    assert_int_equal(consensus_transfer(&log, 2, &fail), E_INVALID);
}

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members__log_without_a_wire__has_none_and_refuses_changes),
        cmocka_unit_test(test_calls__go_to_the_log_behind),
        cmocka_unit_test(test_propose__too_large__never_reaches_a_log),
    };
    return cmocka_run_group_tests_name("consensus.consensus", tests, NULL, NULL);
}
