#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/membership_state.h"
#include "membership_bed.h"

#define SEEDS 400 /* of each kind; NACRE_SEEDS for more */

static struct bed b;

static int setup(void **state)
{
    (void)state;
    bed_init(&b, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bed_check(&b);
    bed_close(&b);
    return 0;
}

static uint64_t seeds(void)
{
    long long n = 0;
    const char *text = getenv("NACRE_SEEDS");
    return text && span_int(span_str(text), &n) && n > 0 ? (uint64_t)n : SEEDS;
}

static void test_start__three_nodes_begin_one_cluster_at_once(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_start_all(&b);
    bed_until_whole(&b, 3, 3000);
    assert_int_equal(b.form_count, 1);
    assert_int_equal(b.form[0].count, 3);
    assert_int_equal(b.form[0].made, 3);
}

static void test_start__waits_for_the_last_one_and_says_for_whom(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_start(&b, 0);
    bed_start(&b, 2);
    bed_run(&b, 60000);
    assert_int_equal(b.form_count, 0);
    assert_true(bed_has_said(&b, 0, "n1:8848 has not answered yet"));
    bed_start(&b, 1);
    bed_until_whole(&b, 3, 5000);
}

static void test_start__a_list_of_one_or_none_begins_at_once(void **state)
{
    (void)state;
    (void)bed_add(&b, "n0", "");
    (void)bed_add(&b, "n1", "n1");
    bed_start_all(&b);
    bed_run(&b, 200);
    assert_int_equal(b.form_count, 2);
    assert_int_equal(membership_phase(b.node[0].m), MEMBERSHIP_MEMBER);
    assert_int_equal(membership_phase(b.node[1].m), MEMBERSHIP_MEMBER);
    b.form_count = 0; /* two clusters, as ordered */
}

static void test_start__different_lists_wait_and_say_what_differs(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_set_list(&b, 2, "n0 n1 n2 n3");
    bed_start_all(&b);
    bed_run(&b, 20000);
    assert_int_equal(b.form_count, 0);
    assert_true(bed_has_said(&b, 0,
                             "n2:8848 its list of members has one that ours has not: "
                             "n3:8848"));
    assert_true(bed_has_said(&b, 2, "lacks one that ours has: n3:8848"));
    bed_set_list(&b, 2, "n0 n1 n2");
    bed_until_whole(&b, 3, 5000);
}

static void test_start__a_node_that_is_not_in_its_list_waits(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_set_list(&b, 2, "n0 n1");
    bed_start_all(&b);
    bed_run(&b, 20000);
    assert_int_equal(b.form_count, 0);
}

static void test_start__own_address_may_be_out_of_reach(void **state)
{
    (void)state;
    b.no_hairpin = true;
    bed_cluster(&b, 3);
    bed_start_all(&b);
    bed_until_whole(&b, 3, 10000);
}

static void test_start__one_machine_under_two_names_is_said(void **state)
{
    (void)state;
    bed_cluster(&b, 2);
    bed_set_list(&b, 0, "n0 n1 n2");
    bed_set_list(&b, 1, "n0 n1 n2");
    (void)snprintf(b.node[1].also, sizeof(b.node[1].also), "n2");
    bed_start_all(&b);
    bed_run(&b, 40000);
    assert_int_equal(b.form_count, 0);
    assert_true(bed_has_said(&b, 1, "this node answers at two addresses of the list"));
    assert_true(bed_has_said(&b, 0, "the same node as at another address"));
    bed_set_list(&b, 0, "n0 n1");
    bed_set_list(&b, 1, "n0 n1");
    bed_until_whole(&b, 2, 5000);
}

static void test_start__a_copied_directory_begins_nothing(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_copy(&b, 1, 2);
    bed_start_all(&b);
    bed_run(&b, 40000);
    assert_int_equal(b.form_count, 0);
    assert_true(bed_has_said(&b, 0, "two processes use the key of"));
    assert_true(b.node[1].refusals + b.node[2].refusals > 0);
    bed_kill(&b, 2);
    bed_wipe(&b, 2);
    bed_kill(&b, 1);
    bed_start(&b, 1);
    bed_start(&b, 2);
    bed_until_whole(&b, 3, 90000);
}

static void test_start__a_stranger_at_an_address_is_never_counted(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    b.node[2].is_stranger = true;
    bed_start_all(&b);
    bed_run(&b, 60000);
    assert_int_equal(b.form_count, 0);
    bed_kill(&b, 2);
    b.node[2].is_stranger = false;
    bed_wipe(&b, 2); /* the real one, with its own key */
    bed_start(&b, 2);
    bed_until_whole(&b, 3, 20000);
}

static void test_start__a_wiped_node_before_the_first_start_is_learned_anew(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_start(&b, 0);
    bed_start(&b, 1);
    bed_run(&b, 5000);
    bed_kill(&b, 1);
    bed_wipe(&b, 1);
    bed_start(&b, 1);
    bed_start(&b, 2);
    bed_until_whole(&b, 3, 20000);
}

static void test_force__one_node_begins_and_the_others_join(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    b.node[0].options.is_forced = true;
    bed_start_all(&b);
    bed_until_whole(&b, 3, 20000);
    assert_int_equal(b.form_count, 1);
    assert_int_equal(b.form[0].count, 1);
    assert_int_equal(b.node[1].joins + b.node[2].joins, 2);
    assert_true(bed_has_said(&b, 0, "by order of the operator"));
}

static void test_secret__who_does_not_know_it_is_not_counted(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    b.node[0].options.secret = SPAN("one");
    b.node[1].options.secret = SPAN("one");
    b.node[2].options.secret = SPAN("two");
    bed_start_all(&b);
    bed_run(&b, 20000);
    assert_int_equal(b.form_count, 0);
    assert_true(bed_has_said(&b, 0, "does not know the shared secret: its secret is another one"));
    bed_kill(&b, 2);
    b.node[2].options.secret = SPAN("one");
    bed_start(&b, 2);
    bed_until_whole(&b, 3, 20000);
}

/* A node that has promised, and is told nothing of what became of it. */
static void test_follow__a_node_that_stopped_after_its_promise_makes_the_same(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_start_all(&b);
    while (!form_digest_is_set(b.node[2].pins.agreed)) {
        bed_run(&b, BED_STEP_MS);
        assert_true(b.now.mono_ms < 1010000);
    }
    bed_run(&b, 20); /* its promise is out, their begin may be */
    bed_kill(&b, 2);
    bed_run(&b, 5000);
    bool has_made = b.node[2].pins.stage >= PINS_FORMING;
    bed_start(&b, 2);
    bed_until_whole(&b, 3, 20000);
    assert_int_equal(b.form_count, 1);
    assert_true(has_made || b.node[2].forms == 1);
}

/* Random schedules. kinds: what may happen besides delays, broken streams, cuts and crashes. */
enum kind { KIND_PLAIN, KIND_WIPES, KIND_LISTS };

static void mischief(enum kind kind)
{
    unsigned i = (unsigned)bed_random(&b, b.count);
    unsigned j = (unsigned)bed_random(&b, b.count);
    uint64_t what = bed_random(&b, 12);
    if (what < 3) {
        bed_cut(&b, i, j, true);
    } else if (what < 5) {
        bed_cut(&b, i, j, false);
    } else if (what < 6) {
        b.is_cut[i][j] = true;
    } else if (what < 8) {
        bed_kill(&b, i);
    } else if (kind == KIND_WIPES && what == 8 && !b.node[i].is_alive) {
        bed_wipe(&b, i);
    } else if (kind == KIND_LISTS && what == 8) {
        bed_set_list(&b, i, bed_random(&b, 2) ? "n0 n1 n2" : "n0 n1 n2 n3");
    } else if (!b.node[i].is_alive) {
        bed_start(&b, i);
    }
}

static void play(uint64_t seed, enum kind kind)
{
    bed_close(&b);
    bed_init(&b, seed);
    unsigned count = kind == KIND_LISTS ? 4 : (unsigned)(2 + bed_random(&b, 4));
    bed_cluster(&b, count);
    b.break_per_mille = (unsigned)bed_random(&b, 2) * 200;
    b.no_hairpin = bed_random(&b, 4) == 0;
    for (uint64_t steps = bed_random(&b, 60); steps > 0; steps--) {
        mischief(kind);
        bed_run(&b, bed_random(&b, bed_random(&b, 3) ? 60 : 600));
        bed_check(&b);
    }
    char list[sizeof(b.node[0].list)];
    memcpy(list, b.node[0].list, sizeof(list));
    for (unsigned i = 0; i < count; i++) {
        bed_cut_off(&b, i, false);
        bed_set_list(&b, i, list);
        if (!b.node[i].is_alive) {
            bed_start(&b, i);
        }
    }
    b.break_per_mille = 0;
}

static void test_random__one_cluster_and_always_one(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        play(seed, KIND_PLAIN);
        for (unsigned wait = 0; wait < 100 && !bed_is_whole(&b, (unsigned)b.count); wait++) {
            bed_run(&b, 500);
        }
        if (!bed_is_whole(&b, (unsigned)b.count) || b.form_count != 1) {
            bed_until_whole(&b, (unsigned)b.count, 1);
            fail_msg("seed %llu: %zu configurations", (unsigned long long)seed, b.form_count);
        }
    }
}

/* A wiped or removed member may have made a configuration that nobody else ever makes. */
static void test_random__wiped_nodes_never_make_two_clusters(void **state)
{
    (void)state;
    unsigned whole = 0;
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        play(seed, KIND_WIPES);
        bed_run(&b, 25000);
        bed_check(&b);
        whole += bed_is_whole(&b, (unsigned)b.count);
    }
    print_message("%u of %llu whole\n", whole, (unsigned long long)seeds());
    assert_true(whole * 10 > seeds() * 6); /* the others lost a quorum by their wipes */
}

static void test_random__edited_lists_never_make_two_clusters(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= seeds() / 2; seed++) {
        play(seed, KIND_LISTS);
        bed_run(&b, 20000);
        bed_check(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_start__three_nodes_begin_one_cluster_at_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_start__waits_for_the_last_one_and_says_for_whom, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_start__a_list_of_one_or_none_begins_at_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_start__different_lists_wait_and_say_what_differs,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_start__a_node_that_is_not_in_its_list_waits, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_start__own_address_may_be_out_of_reach, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_start__one_machine_under_two_names_is_said, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_start__a_copied_directory_begins_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_start__a_stranger_at_an_address_is_never_counted,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_start__a_wiped_node_before_the_first_start_is_learned_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_force__one_node_begins_and_the_others_join, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_secret__who_does_not_know_it_is_not_counted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_follow__a_node_that_stopped_after_its_promise_makes_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random__one_cluster_and_always_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random__wiped_nodes_never_make_two_clusters, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_random__edited_lists_never_make_two_clusters, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
