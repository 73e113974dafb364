#include "cluster/membership.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "membership_bed.h"

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

static void test_restart__members_find_each_other_in_any_order(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_start_all(&b);
    bed_until_whole(&b, 3, 10000);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 3; i++) {
            bed_kill(&b, i);
        }
        bed_run(&b, 1000);
        bed_start(&b, (round + 1) % 3);
        bed_run(&b, 20000);
        bed_start(&b, (round + 2) % 3);
        bed_run(&b, 2000);
        assert_true(bed_leader(&b) < BED_NODES); /* two of three are enough */
        bed_start(&b, round);
        bed_until_whole(&b, 3, 5000);
    }
    assert_int_equal(b.form_count, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(b.node[i].forms, 1);
        assert_int_equal(b.node[i].changes, 0);
    }
}

static void test_move__nodes_with_new_addresses_elect_at_once(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_start_all(&b);
    bed_until_whole(&b, 3, 10000);
    for (unsigned i = 0; i < 3; i++) { /* all of them, as a new container network does */
        bed_kill(&b, i);
        (void)snprintf(b.node[i].host, sizeof(b.node[i].host), "new%u", i);
        bed_set_list(&b, i, "new0 new1 new2");
    }
    bed_start_all(&b);
    bed_until_whole(&b, 3, 3000);
    bed_run(&b, 60000);
    assert_true(bed_is_whole(&b, 3));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(b.node[i].changes, 0); /* addresses are not membership */
    }
}

static void test_move__one_node_swaps_addresses_with_another(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_start_all(&b);
    bed_until_whole(&b, 3, 10000);
    bed_kill(&b, 0);
    bed_kill(&b, 1);
    (void)snprintf(b.node[0].host, sizeof(b.node[0].host), "n1");
    (void)snprintf(b.node[1].host, sizeof(b.node[1].host), "n0");
    bed_start(&b, 0);
    bed_start(&b, 1);
    bed_until_whole(&b, 3, 30000);
    bed_run(&b, 30000);
    assert_true(bed_is_whole(&b, 3));
    assert_true(bed_status(&b, 2, "n0").is_up);
    struct membership_status n0 = bed_status(&b, 2, "n0");
    assert_true(node_id_eq(&n0.id, &b.node[1].id));
}

static void test_upgrade__a_node_alone_with_a_log_takes_the_others_in(void **state)
{
    (void)state;
    unsigned one = bed_add(&b, "n0", "");
    bed_start(&b, one);
    bed_until_whole(&b, 1, 2000);
    bed_set_list(&b, one, "n0 n1 n2");
    (void)bed_add(&b, "n1", "n0 n1 n2");
    (void)bed_add(&b, "n2", "n0 n1 n2");
    bed_start(&b, 1);
    bed_start(&b, 2);
    bed_until_whole(&b, 3, 20000);
    assert_int_equal(b.form_count, 1);
    assert_int_equal(b.node[1].joins, 1);
    assert_int_equal(b.node[1].forms, 0);
}

static void test_lost_log__a_member_without_its_log_does_not_come_back(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_start_all(&b);
    bed_until_whole(&b, 3, 10000);
    bed_run(&b, 1000);
    bed_kill(&b, 1);
    b.node[1].has_log = false;
    bed_start(&b, 1);
    bed_run(&b, 20000);
    assert_int_equal(membership_phase(b.node[1].m), MEMBERSHIP_REFUSED);
    assert_int_equal(b.node[1].refusals, 1);
    assert_non_null(strstr(b.node[1].refusal.text, "DIR/peers"));
    assert_int_equal(b.node[1].forms + b.node[1].joins, 1);
}

/* The file that would tell is gone as well: the others tell. */
static void test_lost_log__also_when_the_file_is_gone(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_start_all(&b);
    bed_until_whole(&b, 3, 10000);
    bed_run(&b, 1000);
    bed_kill(&b, 1);
    b.node[1].has_log = false;
    b.node[1].pins = (struct pins){0};
    bed_start(&b, 1);
    bed_run(&b, 20000);
    assert_int_equal(membership_phase(b.node[1].m), MEMBERSHIP_REFUSED);
    assert_non_null(strstr(b.node[1].refusal.text, "its log is not in the data directory"));
    assert_int_equal(b.node[1].forms + b.node[1].joins, 1);
}

static void test_lost_file__keys_are_learned_anew(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_start_all(&b);
    bed_until_whole(&b, 3, 10000);
    for (unsigned i = 0; i < 3; i++) {
        bed_kill(&b, i);
    }
    b.node[2].pins = (struct pins){0};
    bed_start_all(&b);
    bed_until_whole(&b, 3, 10000);
}

static void test_twins__a_copied_directory_is_found(void **state)
{
    (void)state;
    bed_cluster(&b, 4);
    for (unsigned i = 0; i < 3; i++) {
        bed_set_list(&b, i, "n0 n1 n2");
        bed_start(&b, i);
    }
    bed_until_whole(&b, 3, 10000);
    bed_run(&b, 2000);
    bed_set_list(&b, 3, "n0 n1 n2");
    bed_copy(&b, 1, 3); /* the copy is not listed: it only dials */
    bed_start(&b, 3);
    bed_run(&b, 20000);
    assert_true(bed_has_said(&b, 0, "two processes use the key of n1") ||
                bed_has_said(&b, 2, "two processes use the key of n1"));
    assert_true(b.node[1].refusals + b.node[3].refusals > 0);
    assert_true(bed_leader(&b) == 0 || bed_leader(&b) == 2 || bed_leader(&b) == BED_NODES);
}

static unsigned changes(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < b.count; i++) {
        n += b.node[i].changes;
    }
    return n;
}

/* Crashes, cuts, broken streams and new addresses, of as many nodes as fate wants. */
static void rattle(void)
{
    unsigned i = (unsigned)bed_random(&b, b.count);
    unsigned j = (unsigned)bed_random(&b, b.count);
    switch (bed_random(&b, 8)) {
    case 0:
    case 1:
        bed_kill(&b, i);
        break;
    case 2:
        bed_cut(&b, i, j, true);
        break;
    case 3:
        b.is_cut[i][j] = true;
        break;
    case 4:
        bed_cut(&b, i, j, false);
        break;
    case 5: { /* two nodes change places, running or not */
        char host[sizeof(b.node[i].host)];
        memcpy(host, b.node[i].host, sizeof(host));
        memcpy(b.node[i].host, b.node[j].host, sizeof(host));
        memcpy(b.node[j].host, host, sizeof(host));
        break;
    }
    default:
        if (!b.node[i].is_alive) {
            bed_start(&b, i);
        }
    }
}

static void heal(void)
{
    for (unsigned i = 0; i < b.count; i++) {
        bed_cut_off(&b, i, false);
        if (!b.node[i].is_alive) {
            bed_start(&b, i);
        }
    }
    b.break_per_mille = 0;
}

static void test_random__members_find_each_other_after_anything(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        bed_close(&b);
        bed_init(&b, seed);
        bed_cluster(&b, seed % 2 ? 5 : 3);
        bed_start_all(&b);
        bed_until_whole(&b, (unsigned)b.count, 20000);
        b.break_per_mille = 100;
        for (unsigned step = 0; step < 40; step++) {
            rattle();
            bed_run(&b, bed_random(&b, 1500));
        }
        heal();
        uint64_t healed_ms = b.now.mono_ms;
        while (!bed_is_whole(&b, (unsigned)b.count) && b.now.mono_ms < healed_ms + 15000) {
            bed_run(&b, 100);
        }
        if (!bed_is_whole(&b, (unsigned)b.count) || changes() != 0 || b.form_count != 1) {
            bed_until_whole(&b, (unsigned)b.count, 1);
            fail_msg("seed %llu: %u changes", (unsigned long long)seed, changes());
        }
    }
}

/* One after another is emptied, at any moment: each comes back under a new key. */
static void test_random__wiped_members_are_replaced_one_by_one(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        bed_close(&b);
        bed_init(&b, seed);
        bed_cluster(&b, 3);
        bed_start_all(&b);
        bed_until_whole(&b, 3, 20000);
        b.break_per_mille = seed % 2 ? 100 : 0;
        for (unsigned round = 0; round < 4; round++) {
            unsigned i = (unsigned)bed_random(&b, 3);
            bed_run(&b, 1000 + bed_random(&b, 3000));
            bed_kill(&b, i);
            bed_wipe(&b, i);
            bed_run(&b, bed_random(&b, 15000));
            bed_start(&b, i);
            bed_until_whole(&b, 3, 60000);
            assert_int_equal(b.node[i].joins, 1);
        }
    }
}

static void test_create__a_secret_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char secret[MEMBERSHIP_SECRET_MAX + 1] = {0};
    struct pins pins = {0};
    struct membership *m = NULL;
    struct fail fail = {0};
    struct node_id id = {{1}};
    struct membership_options options = {
        .id = &id, .pins = &pins, .secret = span_of(secret, sizeof(secret))};
    assert_int_equal(membership_create(&options, NULL, NULL, b.now, &m, &fail), E_INVALID);
    assert_null(m);
    membership_destroy(NULL);
}

static void test_address_text__carries_the_id_when_it_fits(void **state)
{
    (void)state;
    struct node_id id = {{0xab}};
    char text[MEMBERSHIP_ADDRESS_MAX + 1];
    char host[MEMBER_HOST_MAX + 1];
    membership_address_text("fd00::1", 8848, &id, text);
    assert_memory_equal(text, "[fd00::1]:8848#ab00", 19);
    assert_int_equal(strlen(text), 15 + NODE_ID_TEXT);
    memset(host, 'a', sizeof(host));
    host[MEMBER_HOST_MAX] = '\0';
    membership_address_text(host, 64534, &id, text);
    assert_int_equal(strlen(text), MEMBER_HOST_MAX + 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_restart__members_find_each_other_in_any_order, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_move__nodes_with_new_addresses_elect_at_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_move__one_node_swaps_addresses_with_another, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_upgrade__a_node_alone_with_a_log_takes_the_others_in,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_log__a_member_without_its_log_does_not_come_back,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_log__also_when_the_file_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_file__keys_are_learned_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_twins__a_copied_directory_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random__members_find_each_other_after_anything, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_random__wiped_members_are_replaced_one_by_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_create__a_secret_that_is_too_long_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_address_text__carries_the_id_when_it_fits, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
