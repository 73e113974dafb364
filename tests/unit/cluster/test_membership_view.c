#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/membership_state.h"
#include "membership_bed.h"

static struct bed b;

static int setup(void **state)
{
    (void)state;
    bed_init(&b, 1);
    bed_cluster(&b, 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bed_check(&b);
    bed_close(&b);
    return 0;
}

static void assert_words(unsigned i, const char *host, const char *words)
{
    struct membership_status st = bed_status(&b, i, host);
    if (!strstr(st.words, words)) {
        fail_msg("%s: expected \"%s\", found \"%s\"", host, words, st.words);
    }
}

static void test_status__says_in_words_what_a_member_is(void **state)
{
    (void)state;
    bed_start(&b, 0);
    bed_start(&b, 1);
    bed_run(&b, 7000);
    assert_words(0, "n0", "this node");
    assert_words(0, "n1", "up, empty");
    assert_words(0, "n2", "has not answered for 6 s (no answer)");
    bed_start(&b, 2);
    bed_until_whole(&b, 3, 5000);
    bed_run(&b, 1000);
    assert_words(0, "n2", "up");
    struct membership_status st = bed_status(&b, 0, "n2");
    assert_true(st.is_up && st.is_listed && st.is_server && st.is_voter && !st.is_self);
    assert_string_equal(st.release, "0.1.0");
    assert_true(node_id_eq(&st.id, &b.node[2].id));
    st = bed_status(&b, 0, "n0");
    assert_true(st.is_self && st.is_up && st.is_voter);
    bed_kill(&b, 2);
    bed_run(&b, 1000);
    assert_words(0, "n2", "down for 0 s (no answer)");
}

/* A server that was set aside is still told, with the time since when it is down. */
static void test_status__a_server_that_is_gone_is_still_shown(void **state)
{
    (void)state;
    bed_start_all(&b);
    bed_until_whole(&b, 3, 5000);
    bed_kill(&b, 2);
    bed_run(&b, 20000);
    struct membership_status list[MEMBERS_MAX];
    size_t count = membership_status(b.node[0].m, list, MEMBERS_MAX, b.now);
    bool is_shown = false;
    for (size_t i = 0; i < count; i++) {
        is_shown = is_shown || (node_id_eq(&list[i].id, &b.node[2].id) && list[i].is_voter &&
                                strstr(list[i].words, "down for"));
    }
    assert_true(is_shown);
    assert_int_equal(membership_status(b.node[0].m, list, 1, b.now), 1);
}

static void test_status__a_voter_without_its_log_is_told_by_the_others(void **state)
{
    (void)state;
    bed_start_all(&b);
    bed_until_whole(&b, 3, 5000);
    bed_run(&b, 1000);
    bed_kill(&b, 2);
    b.node[2].has_log = false;
    b.node[2].pins = (struct pins){0};
    bed_start(&b, 2);
    bed_run(&b, 1500);
    assert_words(0, "n2", "has lost its log");
}

static void test_words__say_what_this_node_waits_for(void **state)
{
    (void)state;
    char words[MEMBERSHIP_WORDS_MAX];
    bed_start(&b, 0);
    bed_run(&b, 2000);
    membership_words(b.node[0].m, words, b.now);
    assert_string_equal(words, "waits for all members of the list to answer, empty and with the "
                               "same list: n1:8848 has not answered yet, no answer; n2:8848 has "
                               "not answered yet, no answer");
    assert_int_equal(membership_phase(b.node[0].m), MEMBERSHIP_LOOKING);
    bed_start(&b, 1);
    bed_start(&b, 2);
    bed_until_whole(&b, 3, 5000);
    membership_words(b.node[0].m, words, b.now);
    assert_string_equal(words, "member of a cluster of 3");
}

static void test_peer__only_who_the_log_has(void **state)
{
    (void)state;
    bed_start_all(&b);
    assert_false(membership_is_peer(b.node[0].m, &b.node[1].id));
    bed_until_whole(&b, 3, 5000);
    assert_true(membership_is_peer(b.node[0].m, &b.node[1].id));
    assert_true(membership_slot_of(b.node[0].m, node_id_number(&b.node[1].id)) >= 0);
    struct node_id nobody = {{9}};
    assert_false(membership_is_peer(b.node[0].m, &nobody));
    assert_int_equal(membership_slot_of(b.node[0].m, node_id_number(&nobody)), -1);
}

/* A node that was away while all others were exchanged hears from one it knows who they are. */
static void test_peer__one_that_a_known_member_vouches_for(void **state)
{
    (void)state;
    bed_start_all(&b);
    bed_until_whole(&b, 3, 5000);
    bed_run(&b, 2000);
    bed_kill(&b, 2);
    struct bed_config old = b.node[2].config;
    for (unsigned i = 0; i < 3; i++) {
        bed_set_list(&b, i, "n0 n1 n2 n3");
    }
    bed_start(&b, bed_add(&b, "n3", "n0 n1 n2 n3"));
    for (unsigned i = 0; i < 40 && b.node[3].joins == 0; i++) {
        bed_run(&b, 1000);
    }
    assert_int_equal(b.node[3].joins, 1);
    bed_run(&b, 2000);
    b.node[2].config = old;
    bed_start(&b, 2);
    bed_until_whole(&b, 4, 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_status__says_in_words_what_a_member_is, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_status__a_server_that_is_gone_is_still_shown, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_status__a_voter_without_its_log_is_told_by_the_others,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_words__say_what_this_node_waits_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer__only_who_the_log_has, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer__one_that_a_known_member_vouches_for, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
