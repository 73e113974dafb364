/* Restarts: what comes back, who is waited for and how long, and what subscribers see of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/thread.h"
#include "naming/naming_op.h"
#include "naming/push.h"
#include "naming_harness.h"
#include "snapshot_bed.h"

#define GRACE_MS UINT64_C(30000)
#define AWAY_MS 3600000 /* longer than everything that expires */

static void begin(struct story *s)
{
    struct naming_options options = story_options();
    options.restart_grace_ms = GRACE_MS;
    story_begin(s, &options);
}

static void register_at(struct story *s, uint64_t conn, const char *service, int port)
{
    assert_int_equal(story_register(s, conn, service, "10.0.0.1", port), 0);
}

static void test_restart__nothing_was_there__nothing_comes_back(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    struct naming_recovery r = story_restart(&s, AWAY_MS);
    assert_int_equal(r.operations, 0);
    assert_int_equal(r.services, 0);
    assert_int_equal(r.instances, 0);
    assert_int_equal(r.awaited_clients, 0);
    assert_int_equal(r.http_clients, 0);
    story_end(&s);
}

static void test_restart__figures__say_what_came_back(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    register_at(&s, conn, "a", 80);
    register_at(&s, conn, "b", 80);
    struct instance_data http = story_instance("10.0.0.2", 80);
    assert_int_equal(story_register_http(&s, "a", &http), 0);
    assert_int_equal(story_register_persistent(&s, "db", "10.0.0.3", 80), 0);
    struct naming_recovery r = story_restart(&s, AWAY_MS);
    assert_int_equal(r.operations, 4);
    assert_int_equal(r.services, 3);
    assert_int_equal(r.instances, 4);
    assert_int_equal(r.awaited_clients, 1);
    assert_int_equal(r.http_clients, 1);
    story_end(&s);
}

static void test_replay__is_quiet(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    for (int i = 0; i < 100; i++) {
        register_at(&s, conn, "a", 80 + i);
    }
    free(s.traces);
    s.traces = NULL;
    (void)story_restart(&s, AWAY_MS);
    story_turn(&s);
    assert_null(s.traces);
    const struct naming_counters *c = naming_counters(s.naming);
    assert_int_equal(atomic_load(&c->registrations), 0);
    assert_int_equal(atomic_load(&c->removals[REMOVAL_REPLACED]), 0);
    story_end(&s);
}

static void test_replay__damaged_operation__is_counted_and_passed_over(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    naming_destroy(s.naming);
    struct naming_options options = story_options();
    s.naming = naming_create(&options, s.view);
    naming_replay(s.naming);
    naming_commit(s.naming, SPAN("no operation"), 0, NULL, s.now, &s.out);
    struct naming_recovery r = naming_recovered(s.naming, s.now);
    assert_int_equal(r.operations, 1);
    assert_int_equal(atomic_load(&naming_counters(s.naming)->bad_ops), 1);
    story_end(&s);
}

static void test_connection_client__not_back__goes_after_the_grace_with_its_reason(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    register_at(&s, story_connect(&s, "10.0.0.1"), "a", 80);
    (void)story_restart(&s, AWAY_MS);
    size_t proposed = s.proposed;
    story_advance(&s, GRACE_MS - 1);
    assert_int_equal(story_listed(&s, "a"), 1);
    assert_int_equal(s.proposed, proposed);
    story_advance(&s, 1);
    assert_int_equal(story_listed(&s, "a"), 0);
    assert_int_equal(s.proposed, proposed + 1);
    assert_true(
        story_traced(&s, "reason=\"its client did not come back after the server restarted\""));
    const struct naming_counters *c = naming_counters(s.naming);
    assert_int_equal(atomic_load(&c->removals[REMOVAL_NOT_BACK]), 1);
    assert_int_equal(naming_stats(s.naming).clients, 0);
    story_end(&s);
}

static void test_connection_client__with_many_services__ends_once(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    for (int i = 0; i < 20; i++) {
        char service[16];
        snprintf(service, sizeof(service), "s%d", i);
        register_at(&s, conn, service, 80);
    }
    (void)story_restart(&s, AWAY_MS);
    size_t proposed = s.proposed;
    story_advance(&s, GRACE_MS);
    assert_int_equal(s.proposed, proposed + 1);
    assert_int_equal(naming_stats(s.naming).instances, 0);
    story_end(&s);
}

static void test_connection_client__whose_end_is_lost__is_ended_again(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    register_at(&s, story_connect(&s, "10.0.0.1"), "a", 80);
    (void)story_restart(&s, AWAY_MS);
    s.log_lost = true;
    size_t proposed = s.proposed;
    story_advance(&s, GRACE_MS);
    assert_int_equal(s.proposed, proposed + 1);
    assert_int_equal(story_listed(&s, "a"), 1);
    s.log_lost = false;
    story_advance(&s, 4999);
    assert_int_equal(s.proposed, proposed + 1);
    story_advance(&s, 1);
    assert_int_equal(s.proposed, proposed + 2);
    assert_int_equal(story_listed(&s, "a"), 0);
    story_end(&s);
}

static void test_connection_clients__very_many__end_in_batches(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    for (int i = 0; i < 1100; i++) {
        uint64_t conn = story_connect(&s, "10.0.0.1");
        struct instance_data one = story_instance("10.0.0.1", 1 + i);
        struct naming_op op = {
            .kind = NAMING_OP_PUBLISH,
            .time_ms = s.now.wall_ms,
            .service = story_name("a"),
            .client = span_str(client_of_conn(s.naming, conn)->id),
            .client_kind = CLIENT_CONNECTION,
            .ephemeral = true,
            .instances = &one,
            .instances_count = 1,
        };
        outbox_propose(&s.out, CONSENSUS_NAMING, naming_op_encode(&op), NULL);
    }
    story_turn(&s);
    assert_int_equal(story_restart(&s, AWAY_MS).awaited_clients, 1100);
    s.now.mono_ms += GRACE_MS;
    naming_turn(s.naming, s.now, &s.out);
    assert_int_equal(s.out.count, 1000);
    assert_true(naming_deadline(s.naming) <= s.now.mono_ms);
    story_turn(&s);
    assert_int_equal(story_listed(&s, "a"), 0);
    story_end(&s);
}

/* Connections that come, register, leave and are silent, and a kill at any time: nothing that was
 * committed is lost, and nothing else is there. */
static void test_restart__at_any_time__the_state_is_the_same(void **state)
{
    (void)state;
    struct story s;
    uint64_t conns[6] = {0};
    uint64_t random = UINT64_C(0x9E3779B97F4A7C15);
    begin(&s);
    for (int step = 0; step < 600; step++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        unsigned draw = (unsigned)(random >> 33);
        uint64_t *conn = &conns[draw % 6];
        const char *service = (const char *[]){"a", "b", "c"}[draw / 6 % 3];
        if (!*conn) {
            *conn = story_connect(&s, "10.0.0.1");
        } else if (draw / 18 % 4 == 0) {
            story_disconnect(&s, *conn, REMOVAL_CONNECTION_CLOSED);
            *conn = 0;
        } else {
            register_at(&s, *conn, service, 80 + (int)(draw / 72 % 8));
        }
        story_advance(&s, draw / 576 % 2000);
        if (draw % 37 == 0) {
            struct buf *before = snapshot_take(s.naming);
            (void)story_restart(&s, draw / 576 % 100000);
            struct buf *after = snapshot_take(s.naming);
            assert_true(span_eq(buf_span(before), buf_span(after)));
            buf_unref(before);
            buf_unref(after);
            memset(conns, 0, sizeof(conns));
        }
    }
    story_end(&s);
}

/* A restart within the grace of the one before: the new life counts anew. */
static void test_restart__twice__counts_the_grace_anew(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    register_at(&s, story_connect(&s, "10.0.0.1"), "a", 80);
    (void)story_restart(&s, AWAY_MS);
    story_advance(&s, GRACE_MS - 1000);
    assert_int_equal(story_restart(&s, 1000).awaited_clients, 1);
    story_advance(&s, GRACE_MS - 1);
    assert_int_equal(story_listed(&s, "a"), 1);
    story_advance(&s, 1);
    assert_int_equal(story_listed(&s, "a"), 0);
    /* Its end is in the log: no later life brings it back. */
    assert_int_equal(story_restart(&s, 1000).awaited_clients, 0);
    assert_int_equal(story_listed(&s, "a"), 0);
    story_end(&s);
}

static void test_restart__without_grace__ends_clients_at_once(void **state)
{
    (void)state;
    struct story s;
    struct naming_options options = story_options();
    options.restart_grace_ms = 0;
    story_begin(&s, &options);
    register_at(&s, story_connect(&s, "10.0.0.1"), "a", 80);
    (void)story_restart(&s, 1000);
    assert_int_equal(story_listed(&s, "a"), 1);
    story_turn(&s);
    assert_int_equal(story_listed(&s, "a"), 0);
    story_end(&s);
}

static void test_client__back_through_a_new_connection__subscribers_see_no_gap(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    register_at(&s, story_connect(&s, "10.0.0.1"), "a", 80);
    (void)story_restart(&s, AWAY_MS);
    uint64_t sub = story_subscriber(&s, "a", "10.0.0.9", "");
    assert_int_equal(story_pushes(&s, sub), 0);
    register_at(&s, story_connect(&s, "10.0.0.1"), "a", 80);
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    uint64_t revision = story_service(&s, "a")->revision;
    size_t proposed = s.proposed;
    story_advance(&s, GRACE_MS);
    assert_int_equal(s.proposed, proposed + 1); /* the old one has gone */
    assert_int_equal(story_service(&s, "a")->publication_count, 1);
    assert_int_equal(story_listed(&s, "a"), 1);
    assert_int_equal(story_pushes(&s, sub), 0);
    assert_int_equal(story_service(&s, "a")->revision, revision);
    assert_false(story_traced(&s, "event=instance_removed"));
    story_end(&s);
}

/* What subscribers get while clients come back one after the other is never less than what there
 * is. */
static void test_subscriber__before_the_clients_are_back__never_gets_an_empty_list(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    for (int i = 0; i < 3; i++) {
        register_at(&s, story_connect(&s, "10.0.0.1"), "a", 80 + i);
    }
    (void)story_restart(&s, AWAY_MS);
    uint64_t sub = story_connect(&s, "10.0.0.9");
    assert_int_equal(story_subscribe(&s, sub, "a", ""), 0);
    for (int i = 0; i < 3; i++) {
        story_advance(&s, 1000);
        register_at(&s, story_connect(&s, "10.0.0.1"), "a", 80 + i);
    }
    story_advance(&s, 2 * GRACE_MS);
    size_t pushes = story_pushes(&s, sub);
    assert_true(pushes > 0);
    for (size_t i = 0; i < pushes; i++) {
        assert_int_equal(story_take_and_ack(&s, sub), 3);
    }
    assert_int_equal(atomic_load(&naming_counters(s.naming)->empty_pushes), 0);
    story_end(&s);
}

/* A connection that is open before the log is handed out is served when it is. */
static void test_subscriber__during_the_replay__is_told_when_it_is_over(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    register_at(&s, story_connect(&s, "10.0.0.1"), "a", 80);
    struct buf *op = buf_ref(s.committed[0]);
    naming_destroy(s.naming);
    struct naming_options options = story_options();
    s.naming = naming_create(&options, s.view);
    naming_replay(s.naming);
    uint64_t sub = story_connect(&s, "10.0.0.9");
    struct naming_subscribe want = {.service = story_name("a"), .conn = sub};
    assert_int_equal(push_subscribe(s.naming, &want, s.now, NULL), 0);
    s.now.mono_ms += 5000;
    naming_turn(s.naming, s.now, &s.out);
    naming_commit(s.naming, buf_span(op), 0, NULL, s.now, &s.out);
    naming_turn(s.naming, s.now, &s.out);
    assert_int_equal(s.out.count, 0);
    (void)naming_recovered(s.naming, s.now);
    story_turn(&s);
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    buf_unref(op);
    story_end(&s);
}

static void test_connection__attached_during_the_replay__is_not_awaited(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    register_at(&s, conn, "a", 80);
    struct naming_conn open = {.conn = 77, .id = SPAN("1700000000000_10.0.0.1_40001")};
    struct buf *op = buf_ref(s.committed[0]);
    naming_destroy(s.naming);
    struct naming_options options = story_options();
    s.naming = naming_create(&options, s.view);
    naming_replay(s.naming);
    naming_commit(s.naming, buf_span(op), 0, NULL, s.now, &s.out);
    naming_conn_open(s.naming, &open, s.now);
    assert_int_equal(naming_recovered(s.naming, s.now).awaited_clients, 0);
    story_advance(&s, 2 * GRACE_MS);
    assert_int_equal(story_listed(&s, "a"), 1); /* it is here */
    story_disconnect(&s, 77, REMOVAL_CONNECTION_CLOSED);
    assert_int_equal(story_listed(&s, "a"), 0);
    buf_unref(op);
    story_end(&s);
}

static void test_client__awaited__its_id_attached_again_is_not_ended(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    register_at(&s, conn, "a", 80);
    (void)story_restart(&s, AWAY_MS);
    struct naming_conn open = {.conn = 77, .id = SPAN("1700000000000_10.0.0.1_40001")};
    naming_conn_open(s.naming, &open, s.now);
    story_advance(&s, 2 * GRACE_MS);
    assert_int_equal(story_listed(&s, "a"), 1);
    story_end(&s);
}

static void test_client__whose_end_is_on_its_way__takes_no_connection(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    register_at(&s, story_connect(&s, "10.0.0.1"), "a", 80);
    (void)story_restart(&s, AWAY_MS);
    s.log_stuck = true;
    story_advance(&s, GRACE_MS);
    struct naming_conn open = {.conn = 77, .id = SPAN("1700000000000_10.0.0.1_40001")};
    naming_conn_open(s.naming, &open, s.now);
    assert_int_equal(story_register(&s, 77, "a", "10.0.0.1", 80), E_CLIENT_GONE);
    s.log_stuck = false;
    story_turn(&s);
    assert_int_equal(naming_stats(s.naming).clients, 0);
    story_end(&s);
}

/* The log may commit an entry of an earlier life after this one is served. */
static void test_registration__of_an_earlier_life_that_comes_late__is_awaited_too(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    register_at(&s, story_connect(&s, "10.0.0.1"), "a", 80);
    struct buf *op = buf_ref(s.committed[0]);
    naming_destroy(s.naming);
    struct naming_options options = story_options();
    s.naming = naming_create(&options, s.view);
    naming_replay(s.naming);
    (void)naming_recovered(s.naming, s.now);
    naming_commit(s.naming, buf_span(op), 0, NULL, s.now, &s.out);
    story_turn(&s);
    story_advance(&s, GRACE_MS - 1);
    assert_int_equal(story_listed(&s, "a"), 1);
    story_advance(&s, 1);
    assert_int_equal(story_listed(&s, "a"), 0);
    buf_unref(op);
    story_end(&s);
}

static void test_http_client__gets_its_full_times_anew(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    struct instance_data i = story_instance("10.0.0.1", 80);
    assert_int_equal(story_register_http(&s, "a", &i), 0);
    (void)story_restart(&s, AWAY_MS);
    story_advance(&s, 15000);
    assert_true(story_find(&s, "a", "10.0.0.1", 80)->healthy);
    story_advance(&s, 1);
    assert_false(story_find(&s, "a", "10.0.0.1", 80)->healthy);
    story_advance(&s, 14999);
    assert_int_equal(story_listed(&s, "a"), 1);
    story_advance(&s, 1);
    assert_int_equal(story_listed(&s, "a"), 0);
    assert_true(story_traced(&s, "reason=\"no beat in time\""));
    story_end(&s);
}

static void test_http_client__that_beats_again__stays(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    struct instance_data i = story_instance("10.0.0.1", 80);
    assert_int_equal(story_register_http(&s, "a", &i), 0);
    story_advance(&s, 20000); /* unhealthy, and restarts so */
    (void)story_restart(&s, AWAY_MS);
    assert_false(story_find(&s, "a", "10.0.0.1", 80)->healthy);
    story_advance(&s, 14000);
    assert_int_equal(story_beat(&s, "a", &i, false, NULL), BEAT_OK);
    assert_true(story_find(&s, "a", "10.0.0.1", 80)->healthy);
    story_advance(&s, 14000);
    assert_true(story_find(&s, "a", "10.0.0.1", 80)->healthy);
    story_end(&s);
}

static void test_persistent__and_what_operators_set__survives(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    assert_int_equal(story_register_persistent(&s, "db", "10.0.0.1", 80), 0);
    struct instance_pair zone = {SPAN("zone"), SPAN("z1")};
    struct naming_service_put put = {
        .service = story_name("made"),
        .create = true,
        .ephemeral = true,
        .protect_threshold = 0.25,
        .metadata = &zone,
        .metadata_count = 1,
    };
    assert_int_equal(story_service_put(&s, &put), 0);
    struct naming_overlay o = {
        .service = story_name("db"),
        .ip = SPAN("10.0.0.1"),
        .port = 80,
        .cluster = SPAN("DEFAULT"),
        .has_enabled = true,
        .enabled = false,
    };
    assert_int_equal(story_overlay(&s, &o), 0);
    (void)story_restart(&s, AWAY_MS);
    story_advance(&s, 10 * GRACE_MS);
    assert_false(story_find(&s, "db", "10.0.0.1", 80)->enabled);
    const struct service *made = story_service(&s, "made");
    assert_non_null(made);
    assert_true(made->has_record);
    assert_true(span_eq(made->metadata[0].value, SPAN("z1")));
    story_end(&s);
}

/* Registered, with an overlay, and deregistered just before the server went: as in an update of
 * everything. */
static void test_unused__is_not_cleaned_for_the_time_that_the_server_was_away(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    register_at(&s, conn, "a", 80);
    struct naming_overlay o = {
        .service = story_name("a"),
        .ip = SPAN("10.0.0.1"),
        .port = 80,
        .cluster = SPAN("DEFAULT"),
        .has_weight = true,
        .weight = 5,
    };
    assert_int_equal(story_overlay(&s, &o), 0);
    assert_int_equal(story_deregister(&s, conn, "a"), 0);
    (void)story_restart(&s, AWAY_MS);
    story_advance(&s, GRACE_MS + 50000);
    register_at(&s, story_connect(&s, "10.0.0.1"), "a", 80);
    assert_true(story_find(&s, "a", "10.0.0.1", 80)->weight == 5.0);
    story_end(&s);
}

static void test_unused__is_cleaned_when_its_time_has_passed_once_more(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    register_at(&s, conn, "a", 80);
    assert_int_equal(story_deregister(&s, conn, "a"), 0);
    (void)story_restart(&s, AWAY_MS);
    story_advance(&s, GRACE_MS + 59000);
    assert_non_null(story_service(&s, "a"));
    story_advance(&s, 12000);
    assert_null(story_service(&s, "a"));
    story_end(&s);
}

/* The port was taken: a server that loaded its state and never ran lets it go on its main thread.
 */
static void test_replay__ends_before_the_core_runs(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    register_at(&s, story_connect(&s, "10.0.0.1"), "a", 80);
    naming_destroy(s.naming);
    struct naming_options options = story_options();
    s.naming = naming_create(&options, s.view);
    naming_replay(s.naming);
    naming_commit(s.naming, buf_span(s.committed[0]), 0, NULL, s.now, &s.out);
    thread_become(THREAD_MAIN, "main");
    naming_destroy(s.naming);
    s.naming = NULL;
    thread_become(THREAD_CORE, "story");
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart__nothing_was_there__nothing_comes_back),
        cmocka_unit_test(test_restart__figures__say_what_came_back),
        cmocka_unit_test(test_replay__is_quiet),
        cmocka_unit_test(test_replay__damaged_operation__is_counted_and_passed_over),
        cmocka_unit_test(test_connection_client__not_back__goes_after_the_grace_with_its_reason),
        cmocka_unit_test(test_connection_client__with_many_services__ends_once),
        cmocka_unit_test(test_connection_client__whose_end_is_lost__is_ended_again),
        cmocka_unit_test(test_connection_clients__very_many__end_in_batches),
        cmocka_unit_test(test_restart__at_any_time__the_state_is_the_same),
        cmocka_unit_test(test_restart__twice__counts_the_grace_anew),
        cmocka_unit_test(test_restart__without_grace__ends_clients_at_once),
        cmocka_unit_test(test_client__back_through_a_new_connection__subscribers_see_no_gap),
        cmocka_unit_test(test_subscriber__before_the_clients_are_back__never_gets_an_empty_list),
        cmocka_unit_test(test_subscriber__during_the_replay__is_told_when_it_is_over),
        cmocka_unit_test(test_connection__attached_during_the_replay__is_not_awaited),
        cmocka_unit_test(test_client__awaited__its_id_attached_again_is_not_ended),
        cmocka_unit_test(test_client__whose_end_is_on_its_way__takes_no_connection),
        cmocka_unit_test(test_registration__of_an_earlier_life_that_comes_late__is_awaited_too),
        cmocka_unit_test(test_http_client__gets_its_full_times_anew),
        cmocka_unit_test(test_http_client__that_beats_again__stays),
        cmocka_unit_test(test_persistent__and_what_operators_set__survives),
        cmocka_unit_test(test_unused__is_not_cleaned_for_the_time_that_the_server_was_away),
        cmocka_unit_test(test_unused__is_cleaned_when_its_time_has_passed_once_more),
        cmocka_unit_test(test_replay__ends_before_the_core_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
