/* Stories of the whole registry: connections, operations, turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "naming/naming_op.h"
#include "naming_harness.h"

static void begin(struct story *s)
{
    struct naming_options options = story_options();
    story_begin(s, &options);
}

static void test_connection__closes__takes_its_instances_with_it_at_once(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t sub = story_subscriber(&s, "a", "10.0.0.2", "");
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "a", "10.0.0.1", 80), 0);
    assert_int_equal(story_register(&s, conn, "b", "10.0.0.1", 81), 0);
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    story_advance(&s, 1000);
    story_disconnect(&s, conn, REMOVAL_CONNECTION_SILENT);
    assert_int_equal(story_listed(&s, "a"), 0);
    assert_int_equal(story_listed(&s, "b"), 0);
    assert_int_equal(story_take_and_ack(&s, sub), 0);
    assert_true(
        story_traced(&s, "reason=\"its connection was silent and did not answer the probe\""));
    assert_int_equal(naming_stats(s.naming).connection_clients, 1);
    story_end(&s);
}

static void test_connection__published_nothing__proposes_nothing(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_subscribe(&s, conn, "a", ""), 0);
    story_disconnect(&s, conn, REMOVAL_CONNECTION_CLOSED);
    assert_int_equal(s.proposed, 0);
    assert_int_equal(naming_stats(s.naming).clients, 0);
    assert_null(s.naming->services);
    story_end(&s);
}

static void test_connection__unknown_or_closed_twice__is_ignored(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    story_disconnect(&s, 4711, REMOVAL_CONNECTION_CLOSED);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "a", "10.0.0.1", 80), 0);
    s.log_stuck = true;
    story_disconnect(&s, conn, REMOVAL_CONNECTION_CLOSED);
    story_disconnect(&s, conn, REMOVAL_CONNECTION_SILENT);
    assert_int_equal(s.proposed, 2);
    s.log_stuck = false;
    story_turn(&s);
    assert_int_equal(naming_stats(s.naming).clients, 0);
    story_end(&s);
}

static void test_connection__of_an_id_that_is_attached__stays_out(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    struct naming_conn open = {.conn = 1, .id = SPAN("1_10.0.0.1_2")};
    naming_conn_open(s.naming, &open, s.now);
    open.conn = 2;
    naming_conn_open(s.naming, &open, s.now);
    story_turn(&s);
    assert_int_equal(story_register(&s, 1, "a", "10.0.0.1", 80), 0);
    assert_int_equal(story_register(&s, 2, "a", "10.0.0.1", 81), E_CLIENT_GONE);
    story_disconnect(&s, 2, REMOVAL_CONNECTION_CLOSED);
    assert_int_equal(story_listed(&s, "a"), 1);
    story_end(&s);
}

static void test_kind__nobody_publishes__is_free_again(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "a", "10.0.0.1", 80), 0);
    assert_int_equal(story_deregister(&s, conn, "a"), 0);
    assert_int_equal(story_register_persistent(&s, "a", "10.0.0.1", 80), 0);
    assert_int_equal(story_register(&s, conn, "a", "10.0.0.1", 80), E_INVALID);
    story_end(&s);
}

static void test_connection__closes_before_its_registration_is_applied__leaves_nothing(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    s.log_stuck = true;
    assert_int_equal(story_register(&s, conn, "a", "10.0.0.1", 80), 0);
    story_disconnect(&s, conn, REMOVAL_CONNECTION_CLOSED);
    s.log_stuck = false;
    story_turn(&s);
    assert_int_equal(story_listed(&s, "a"), 0);
    assert_int_equal(naming_stats(s.naming).clients, 0);
    assert_int_equal(naming_stats(s.naming).instances, 0);
    story_end(&s);
}

static void test_connection__its_end_is_lost_by_the_log__is_proposed_again(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "a", "10.0.0.1", 80), 0);
    s.log_lost = true;
    story_disconnect(&s, conn, REMOVAL_CONNECTION_CLOSED);
    s.log_lost = false;
    story_advance(&s, 4999);
    assert_int_equal(story_listed(&s, "a"), 1);
    story_advance(&s, 1);
    assert_int_equal(story_listed(&s, "a"), 0);
    assert_true(story_traced(&s, "reason=\"its connection closed\""));
    size_t proposed = s.proposed;
    story_advance(&s, 50000);
    assert_int_equal(s.proposed, proposed);
    story_end(&s);
}

static void test_connection__all_deregistered_before__its_end_frees_the_client(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "a", "10.0.0.1", 80), 0);
    s.log_stuck = true;
    assert_int_equal(story_deregister(&s, conn, "a"), 0);
    story_disconnect(&s, conn, REMOVAL_CONNECTION_CLOSED);
    s.log_stuck = false;
    story_turn(&s);
    assert_int_equal(naming_stats(s.naming).clients, 0);
    story_end(&s);
}

static void test_persistent__over_a_connection__survives_it(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register_persistent(&s, "db", "10.0.0.1", 3306), 0);
    assert_int_equal(story_register(&s, conn, "a", "10.0.0.1", 80), 0);
    story_disconnect(&s, conn, REMOVAL_CONNECTION_CLOSED);
    story_advance(&s, 600000);
    assert_int_equal(story_listed(&s, "db"), 1);
    assert_int_equal(naming_stats(s.naming).persistent_clients, 1);
    assert_int_equal(story_deregister_persistent(&s, "db", "10.0.0.1", 3306), 0);
    assert_int_equal(story_listed(&s, "db"), 0);
    assert_int_equal(naming_stats(s.naming).persistent_clients, 0);
    story_end(&s);
}

static void test_same_address__two_clients__newest_is_listed(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t older = story_connect(&s, "10.0.0.1");
    story_advance(&s, 10);
    uint64_t newer = story_connect(&s, "10.0.0.1");
    struct instance_data i = story_instance("10.0.0.1", 80);
    assert_int_equal(story_register_batch(&s, older, "a", &i, 1), 0);
    i.weight = 2.0;
    assert_int_equal(story_register_batch(&s, newer, "a", &i, 1), 0);
    assert_int_equal(story_listed(&s, "a"), 1);
    assert_true(story_find(&s, "a", "10.0.0.1", 80)->weight == 2.0);
    /* The older connection of a client that reconnected goes: nothing changes for readers. */
    story_disconnect(&s, older, REMOVAL_CONNECTION_CLOSED);
    assert_int_equal(story_listed(&s, "a"), 1);
    assert_true(story_find(&s, "a", "10.0.0.1", 80)->weight == 2.0);
    story_end(&s);
}

static void test_same_address__newest_goes__older_is_listed_again(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t older = story_connect(&s, "10.0.0.1");
    uint64_t newer = story_connect(&s, "10.0.0.2");
    assert_int_equal(story_register(&s, older, "a", "10.0.0.1", 80), 0);
    assert_int_equal(story_register(&s, newer, "a", "10.0.0.1", 80), 0);
    story_disconnect(&s, newer, REMOVAL_CONNECTION_CLOSED);
    assert_int_equal(story_listed(&s, "a"), 1);
    story_disconnect(&s, older, REMOVAL_CONNECTION_CLOSED);
    assert_int_equal(story_listed(&s, "a"), 0);
    story_end(&s);
}

static void test_register__second_address_of_a_connection__replaces_the_first(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "a", "10.0.0.1", 80), 0);
    assert_int_equal(story_register(&s, conn, "a", "10.0.0.1", 81), 0);
    assert_int_equal(story_listed(&s, "a"), 1);
    assert_non_null(story_find(&s, "a", "10.0.0.1", 81));
    struct instance_data list[2] = {story_instance("10.0.0.1", 90), story_instance("10.0.0.1", 91)};
    assert_int_equal(story_register_batch(&s, conn, "a", list, 2), 0);
    assert_int_equal(story_listed(&s, "a"), 2);
    assert_int_equal(story_register(&s, conn, "a", "10.0.0.1", 80), 0);
    assert_int_equal(story_listed(&s, "a"), 1);
    story_end(&s);
}

static void test_commit__damaged__is_counted_and_answered(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    s.log_stuck = true;
    assert_int_equal(story_register(&s, conn, "a", "10.0.0.1", 80), 0);
    buf_unref(s.log->op);
    s.log->op = buf_create(SPAN("\xff\xff\xff garbage"));
    s.log_stuck = false;
    story_turn(&s);
    assert_true(s.calls->answered);
    assert_int_equal(s.calls->call.reply.fail.code, E_INTERNAL);
    assert_int_equal(atomic_load(&naming_counters(s.naming)->bad_ops), 1);
    naming_commit(s.naming, SPAN(""), 0, NULL, s.now, &s.out);
    naming_commit(s.naming, SPAN("x"), 0, NULL, s.now, &s.out);
    assert_int_equal(atomic_load(&naming_counters(s.naming)->bad_ops), 3);
    assert_int_equal(s.out.count, 0);
    assert_int_equal(naming_stats(s.naming).services, 0);
    story_end(&s);
}

static void test_deadline__nothing_to_do__is_the_next_sweep(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    story_turn(&s);
    assert_int_equal(naming_deadline(s.naming), s.now.mono_ms + 10000);
    struct instance_data i = story_instance("10.0.0.1", 80);
    const struct instance_pair pair = {SPAN("preserved.heart.beat.timeout"), SPAN("7000")};
    i.metadata = &pair;
    i.metadata_count = 1;
    assert_int_equal(story_register_http(&s, "a", &i), 0);
    assert_int_equal(naming_deadline(s.naming), s.now.mono_ms + 7001);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_subscribe(&s, conn, "a", ""), 0);
    assert_int_equal(naming_deadline(s.naming), s.now.mono_ms + 500);
    story_end(&s);
}

static void test_stats__count_what_there_is(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    struct instance_data i = story_instance("10.0.0.3", 80);
    assert_int_equal(story_register(&s, conn, "a", "10.0.0.1", 80), 0);
    assert_int_equal(story_register_http(&s, "a", &i), 0);
    assert_int_equal(story_register_persistent(&s, "db", "10.0.0.1", 80), 0);
    assert_int_equal(story_subscribe(&s, conn, "a", ""), 0);
    struct naming_stats stats = naming_stats(s.naming);
    assert_int_equal(stats.services, 2);
    assert_int_equal(stats.instances, 3);
    assert_int_equal(stats.subscriptions, 1);
    assert_int_equal(stats.clients, 3);
    assert_int_equal(stats.connection_clients, 1);
    assert_int_equal(stats.http_clients, 1);
    assert_int_equal(stats.persistent_clients, 1);
    assert_int_equal(stats.pushes_pending, 1);
    story_end(&s);
}

static void test_removal_text__every_reason_has_its_own(void **state)
{
    (void)state;
    const enum removal_reason all[] = {
#define X(name, number, text) name,
        REMOVAL_MAP(X)
#undef X
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_string_not_equal(removal_text(all[i]), "unknown");
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(removal_text(all[i]), removal_text(all[k]));
        }
    }
    assert_string_equal(removal_text((enum removal_reason)0), "unknown");
    assert_string_equal(removal_text((enum removal_reason)99), "unknown");
}

static void test_create_destroy__empty(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    story_end(&s);
    naming_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connection__closes__takes_its_instances_with_it_at_once),
        cmocka_unit_test(test_connection__published_nothing__proposes_nothing),
        cmocka_unit_test(test_connection__unknown_or_closed_twice__is_ignored),
        cmocka_unit_test(
            test_connection__closes_before_its_registration_is_applied__leaves_nothing),
        cmocka_unit_test(test_connection__its_end_is_lost_by_the_log__is_proposed_again),
        cmocka_unit_test(test_connection__all_deregistered_before__its_end_frees_the_client),
        cmocka_unit_test(test_connection__of_an_id_that_is_attached__stays_out),
        cmocka_unit_test(test_kind__nobody_publishes__is_free_again),
        cmocka_unit_test(test_persistent__over_a_connection__survives_it),
        cmocka_unit_test(test_same_address__two_clients__newest_is_listed),
        cmocka_unit_test(test_same_address__newest_goes__older_is_listed_again),
        cmocka_unit_test(test_register__second_address_of_a_connection__replaces_the_first),
        cmocka_unit_test(test_commit__damaged__is_counted_and_answered),
        cmocka_unit_test(test_deadline__nothing_to_do__is_the_next_sweep),
        cmocka_unit_test(test_stats__count_what_there_is),
        cmocka_unit_test(test_removal_text__every_reason_has_its_own),
        cmocka_unit_test(test_create_destroy__empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
