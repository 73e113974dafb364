/* Owners: which node watches a client, what moves it, and what goes when a node is lost. Three
 * registries over one log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "naming/naming_op.h"
#include "naming_cluster.h"
#include "snapshot_bed.h"

static struct cluster c;

static int begin(void **state)
{
    (void)state;
    struct naming_options options = story_options();
    cluster_begin(&c, &options);
    return 0;
}

static int end(void **state)
{
    (void)state;
    cluster_end(&c);
    return 0;
}

static const char *id_of(size_t i, uint64_t conn)
{
    return client_of_conn(c.node[i].naming, conn)->id;
}

static uint64_t connected(size_t i, const char *service, const char *ip)
{
    uint64_t conn = story_connect(&c.node[i], ip);
    assert_int_equal(story_register(&c.node[i], conn, service, ip, 80), 0);
    assert_int_equal(cluster_result(&c, i), 0);
    return conn;
}

static void http(size_t i, const char *service, const char *ip)
{
    struct instance_data data = story_instance(ip, 80);
    assert_int_equal(story_register_http(&c.node[i], service, &data), 0);
    assert_int_equal(cluster_result(&c, i), 0);
}

static size_t listed(size_t i, const char *service)
{
    return story_listed(&c.node[i], service);
}

/* An operation of node i as the log would bring it, whatever the node's own state. */
static void propose(size_t i, struct naming_op op)
{
    op.time_ms = c.node[i].now.wall_ms;
    outbox_propose(&c.node[i].out, CONSENSUS_NAMING, naming_op_encode(&op), NULL);
    cluster_turn(&c);
}

static void test_publish__its_node_owns_the_client__everywhere(void **state)
{
    (void)state;
    uint64_t conn = connected(1, "a", "10.0.0.1");
    const char *id = id_of(1, conn);
    http(2, "a", "10.0.0.2");
    assert_int_equal(story_register_persistent(&c.node[0], "db", "10.0.0.3", 80), 0);
    assert_int_equal(cluster_result(&c, 0), 0);
    for (size_t i = 0; i < CLUSTER_NODES; i++) {
        assert_int_equal(cluster_owner(&c, i, id), 1);
        assert_int_equal(cluster_owner(&c, i, "10.0.0.2:80#true"), 2);
        assert_int_equal(cluster_owner(&c, i, "10.0.0.3:80#false"), -1);
        assert_int_equal(listed(i, "a"), 2);
    }
    assert_int_equal(story_deregister(&c.node[1], conn, "a"), 0);
    cluster_turn(&c);
    assert_int_equal(cluster_owner(&c, 1, id), -1); /* attached, but it publishes nothing */
    assert_int_equal(listed(0, "a"), 1);
}

static void test_publish__through_another_node__moves_the_client(void **state)
{
    (void)state;
    http(0, "a", "10.0.0.2");
    http(0, "b", "10.0.0.2");
    http(1, "b", "10.0.0.2");
    for (size_t i = 0; i < CLUSTER_NODES; i++) {
        assert_int_equal(cluster_owner(&c, i, "10.0.0.2:80#true"), 1);
    }
    /* With all that it publishes: the former owner expects no beat, the new one does. */
    c.is_silent[1] = true;
    cluster_advance(&c, 31000);
    assert_int_equal(listed(0, "a"), 1);
    assert_true(story_find(&c.node[0], "a", "10.0.0.2", 80)->healthy);
    c.is_silent[1] = false;
    cluster_turn(&c);
    assert_int_equal(listed(0, "a"), 0);
    assert_int_equal(listed(2, "b"), 0);
}

static void test_publish__that_is_refused__moves_nobody(void **state)
{
    (void)state;
    http(0, "a", "10.0.0.2");
    assert_int_equal(story_register_persistent(&c.node[0], "db", "10.0.0.3", 80), 0);
    assert_int_equal(cluster_result(&c, 0), 0);
    struct instance_data data = story_instance("10.0.0.2", 80);
    assert_int_equal(story_register_http(&c.node[1], "db", &data), 0);
    assert_int_equal(cluster_result(&c, 1), E_INVALID);
    assert_int_equal(cluster_owner(&c, 2, "10.0.0.2:80#true"), 0);
}

static void test_gone__its_clients_go__with_the_reason__others_stay(void **state)
{
    (void)state;
    (void)connected(0, "a", "10.0.0.1");
    http(0, "a", "10.0.0.2");
    (void)connected(1, "a", "10.0.0.3");
    http(2, "a", "10.0.0.4");
    assert_int_equal(story_register_persistent(&c.node[0], "db", "10.0.0.5", 80), 0);
    uint64_t sub = story_connect(&c.node[2], "10.0.0.9");
    assert_int_equal(story_subscribe(&c.node[2], sub, "a", ""), 0);
    cluster_advance(&c, 2000);
    while (story_pushes(&c.node[2], sub) > 0) {
        (void)story_take_and_ack(&c.node[2], sub);
    }
    c.is_silent[0] = true; /* else it would put them back (test_restore.c) */
    cluster_gone(&c, 0);
    cluster_advance(&c, 1000);
    for (size_t i = 1; i < CLUSTER_NODES; i++) {
        assert_int_equal(listed(i, "a"), 2);
        assert_int_equal(listed(i, "db"), 1);
        assert_null(story_find(&c.node[i], "a", "10.0.0.1", 80));
        assert_null(story_find(&c.node[i], "a", "10.0.0.2", 80));
        assert_true(story_traced(&c.node[i], "reason=\"its server was lost\""));
        const struct naming_counters *counters = naming_counters(c.node[i].naming);
        assert_int_equal(atomic_load(&counters->removals[REMOVAL_OWNER_LOST]), 2);
    }
    const struct service *s = story_service(&c.node[1], "a");
    assert_int_equal(s->removals[s->removals_count - 1].reason, REMOVAL_OWNER_LOST);
    assert_int_equal(story_pushes(&c.node[2], sub), 1);
    assert_int_equal(story_take_and_ack(&c.node[2], sub), 2);
}

static void test_gone__who_moved_before__stays(void **state)
{
    (void)state;
    http(0, "a", "10.0.0.2");
    http(1, "a", "10.0.0.2");
    cluster_gone(&c, 0);
    assert_int_equal(listed(2, "a"), 1);
    c.is_silent[1] = true;
    cluster_gone(&c, 1);
    assert_int_equal(listed(2, "a"), 0);
}

static void test_gone__of_nobody__changes_nothing(void **state)
{
    (void)state;
    (void)connected(0, "a", "10.0.0.1");
    cluster_gone(&c, 2);
    assert_int_equal(listed(1, "a"), 1);
    naming_owner_gone(c.node[0].naming, 4711, 0, c.node[0].now, &c.node[0].out);
    assert_int_equal(listed(0, "a"), 1);
}

/* An overlay that was used says since when it is not: a time of 0 would say that it is. */
static void test_gone__without_a_time__leaves_a_valid_state(void **state)
{
    (void)state;
    (void)connected(0, "a", "10.0.0.1");
    struct naming_overlay o = {
        .service = story_name("a"),
        .ip = SPAN("10.0.0.1"),
        .port = 80,
        .cluster = SPAN("DEFAULT"),
        .has_enabled = true,
    };
    assert_int_equal(story_overlay(&c.node[1], &o), 0);
    assert_int_equal(cluster_result(&c, 1), 0);
    for (size_t i = 0; i < CLUSTER_NODES; i++) {
        naming_owner_gone(c.node[i].naming, cluster_number(0), 0, c.node[i].now, &c.node[i].out);
        naming_check(c.node[i].naming);
    }
}

static void test_gone__ten_thousand_clients__in_one_pass(void **state)
{
    (void)state;
    char ip[32];
    struct story *s = &c.node[0];
    for (int i = 0; i < 30000; i++) {
        snprintf(ip, sizeof(ip), "10.%d.%d.%d", i / 10000, i / 100 % 100, i % 100);
        char id[64];
        snprintf(id, sizeof(id), "%s:80#true", ip);
        struct instance_data data = story_instance(ip, 80);
        struct naming_op op = {
            .kind = NAMING_OP_PUBLISH,
            .time_ms = s->now.wall_ms,
            .service = story_name(i % 2 ? "a" : "b"),
            .client = span_str(id),
            .client_kind = CLIENT_HTTP,
            .ephemeral = true,
            .instances = &data,
            .instances_count = 1,
        };
        struct buf *bytes = naming_op_encode(&op);
        naming_commit(s->naming, buf_span(bytes), cluster_number((size_t)i % 3), NULL, s->now,
                      &s->out);
        buf_unref(bytes);
    }
    struct timespec from;
    struct timespec to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    naming_owner_gone(s->naming, cluster_number(2), s->now.wall_ms, s->now, &s->out);
    clock_gettime(CLOCK_MONOTONIC, &to);
    print_message("10000 clients of 30000: %.1f ms\n",
                  (double)(to.tv_sec - from.tv_sec) * 1e3 +
                      (double)(to.tv_nsec - from.tv_nsec) / 1e6);
    assert_int_equal(naming_stats(s->naming).instances, 20000);
    naming_check(s->naming);
}

/* Node 0 decided it before it heard of the move. */
static void test_verdict_of_a_former_owner__does_not_count(void **state)
{
    (void)state;
    http(1, "a", "10.0.0.2");
    struct naming_op op = {
        .kind = NAMING_OP_UNPUBLISH,
        .service = story_name("a"),
        .client = SPAN("10.0.0.2:80#true"),
        .reason = REMOVAL_BEAT_EXPIRED,
    };
    propose(0, op);
    assert_int_equal(listed(2, "a"), 1);
    op.kind = NAMING_OP_HEALTH;
    propose(0, op);
    assert_true(story_find(&c.node[2], "a", "10.0.0.2", 80)->healthy);
    op.kind = NAMING_OP_CLIENT_GONE;
    op.reason = REMOVAL_NOT_BACK;
    propose(0, op);
    assert_int_equal(listed(2, "a"), 1);
    op.kind = NAMING_OP_HEALTH;
    propose(1, op);
    assert_false(story_find(&c.node[2], "a", "10.0.0.2", 80)->healthy);
    op.kind = NAMING_OP_UNPUBLISH;
    op.reason = REMOVAL_BEAT_EXPIRED;
    propose(1, op);
    assert_int_equal(listed(2, "a"), 0);
}

static void test_deregister__through_any_node__counts(void **state)
{
    (void)state;
    http(1, "a", "10.0.0.2");
    struct naming_unpublish u = {
        .service = story_name("a"),
        .kind = CLIENT_HTTP,
        .client = SPAN("10.0.0.2:80#true"),
        .reason = REMOVAL_HTTP_DEREGISTERED,
    };
    assert_int_equal(story_unpublish(&c.node[2], &u), 0);
    assert_int_equal(cluster_result(&c, 2), 0);
    assert_int_equal(listed(0, "a"), 0);
}

static void test_connection_client__whose_id_another_node_publishes__is_its_own_there(void **state)
{
    (void)state;
    uint64_t conn = connected(0, "a", "10.0.0.1");
    struct instance_data data = story_instance("10.0.0.7", 80);
    struct naming_op op = {
        .kind = NAMING_OP_PUBLISH,
        .service = story_name("a"),
        .client = span_str(id_of(0, conn)),
        .client_kind = CLIENT_CONNECTION,
        .ephemeral = true,
        .instances = &data,
        .instances_count = 1,
    };
    propose(1, op);
    /* It has no connection there: node 1 waits for it; here its end goes by without effect. */
    story_disconnect(&c.node[0], conn, REMOVAL_CONNECTION_CLOSED);
    cluster_turn(&c);
    assert_int_equal(listed(2, "a"), 1);
    assert_null(client_of_conn(c.node[0].naming, conn));
    cluster_advance(&c, 30000);
    assert_int_equal(listed(2, "a"), 0);
}

static void test_lost__is_what_was_said_last__up_to_the_limit(void **state)
{
    (void)state;
    struct naming *n = c.node[0].naming;
    naming_owner_lost(n, 7, true);
    naming_owner_lost(n, 8, true);
    naming_owner_lost(n, 7, true);
    assert_true(naming_owner_is_lost(n, 7));
    naming_owner_lost(n, 7, false);
    naming_owner_lost(n, 7, false);
    assert_false(naming_owner_is_lost(n, 7));
    assert_true(naming_owner_is_lost(n, 8));
    for (uint64_t owner = 100; owner < 100 + NAMING_LOST_MAX; owner++) {
        naming_owner_lost(n, owner, true);
    }
    assert_true(naming_owner_is_lost(n, 100 + NAMING_LOST_MAX - 2));
    assert_false(naming_owner_is_lost(n, 100 + NAMING_LOST_MAX - 1));
}

static void test_restart__only_its_own_clients_are_awaited(void **state)
{
    (void)state;
    (void)connected(0, "a", "10.0.0.1");
    (void)connected(1, "a", "10.0.0.2");
    http(0, "a", "10.0.0.3");
    http(1, "a", "10.0.0.4");
    struct naming_recovery r = cluster_restart(&c, 0);
    assert_int_equal(r.awaited_clients, 1);
    assert_int_equal(r.http_clients, 1);
    assert_int_equal(r.instances, 4);
    c.is_silent[1] = true; /* what it watches itself is another matter */
    cluster_advance(&c, 29999);
    assert_int_equal(listed(2, "a"), 4);
    cluster_advance(&c, 2);
    assert_int_equal(listed(2, "a"), 2);
    assert_null(story_find(&c.node[2], "a", "10.0.0.1", 80));
    assert_null(story_find(&c.node[2], "a", "10.0.0.3", 80));
    cluster_advance(&c, 120000);
    assert_int_equal(listed(2, "a"), 2);
}

/* A client of no owner is of a server that was alone: whoever is there waits for it. */
static void test_restart__clients_of_nobody__are_awaited_by_all(void **state)
{
    (void)state;
    struct instance_data data = story_instance("10.0.0.1", 80);
    struct naming_op op = {
        .kind = NAMING_OP_PUBLISH,
        .time_ms = c.node[0].now.wall_ms,
        .service = story_name("a"),
        .client = SPAN("1_10.0.0.1_1"),
        .client_kind = CLIENT_CONNECTION,
        .ephemeral = true,
        .instances = &data,
        .instances_count = 1,
    };
    struct buf *bytes = naming_op_encode(&op);
    for (size_t i = 0; i < CLUSTER_NODES; i++) {
        struct story *s = &c.node[i];
        naming_commit(s->naming, buf_span(bytes), 0, NULL, s->now, &s->out);
    }
    buf_unref(bytes);
    cluster_advance(&c, 29999);
    assert_int_equal(listed(0, "a"), 1);
    cluster_advance(&c, 2);
    assert_int_equal(listed(0, "a"), 0);
}

static void test_awaited__then_published_by_another_node__is_left_alone(void **state)
{
    (void)state;
    uint64_t conn = connected(0, "a", "10.0.0.1");
    char id[96];
    snprintf(id, sizeof(id), "%s", id_of(0, conn));
    assert_int_equal(cluster_restart(&c, 0).awaited_clients, 1);
    struct instance_data data = story_instance("10.0.0.1", 80);
    struct naming_op op = {
        .kind = NAMING_OP_PUBLISH,
        .service = story_name("a"),
        .client = span_str(id),
        .client_kind = CLIENT_CONNECTION,
        .ephemeral = true,
        .instances = &data,
        .instances_count = 1,
    };
    propose(1, op);
    c.is_silent[1] = true;
    cluster_advance(&c, 60000);
    assert_int_equal(listed(2, "a"), 1);
    assert_int_equal(cluster_owner(&c, 2, id), 1);
}

static void test_snapshot__that_moves_an_awaited_client__it_is_left_alone(void **state)
{
    (void)state;
    uint64_t conn = connected(0, "a", "10.0.0.1");
    const char *id = id_of(0, conn);
    struct instance_data data = story_instance("10.0.0.1", 80);
    struct naming_op op = {
        .kind = NAMING_OP_PUBLISH,
        .service = story_name("a"),
        .client = span_str(id),
        .client_kind = CLIENT_CONNECTION,
        .ephemeral = true,
        .instances = &data,
        .instances_count = 1,
    };
    c.is_behind[0] = true;
    propose(1, op);
    assert_int_equal(cluster_restart(&c, 0).awaited_clients, 1);
    cluster_install(&c, 0, 1);
    c.is_behind[0] = false;
    c.is_silent[1] = true;
    cluster_advance(&c, 60000);
    assert_int_equal(listed(2, "a"), 1);
}

static void test_snapshot__keeps_owners(void **state)
{
    (void)state;
    uint64_t conn = connected(1, "a", "10.0.0.1");
    http(2, "a", "10.0.0.2");
    c.is_behind[0] = true;
    http(1, "b", "10.0.0.3");
    cluster_install(&c, 0, 1);
    c.is_behind[0] = false;
    cluster_turn(&c);
    assert_int_equal(cluster_owner(&c, 0, id_of(1, conn)), 1);
    assert_int_equal(cluster_owner(&c, 0, "10.0.0.2:80#true"), 2);
    assert_int_equal(cluster_owner(&c, 0, "10.0.0.3:80#true"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_publish__its_node_owns_the_client__everywhere),
        TEST(test_publish__through_another_node__moves_the_client),
        TEST(test_publish__that_is_refused__moves_nobody),
        TEST(test_gone__its_clients_go__with_the_reason__others_stay),
        TEST(test_gone__who_moved_before__stays),
        TEST(test_gone__of_nobody__changes_nothing),
        TEST(test_gone__without_a_time__leaves_a_valid_state),
        TEST(test_gone__ten_thousand_clients__in_one_pass),
        TEST(test_verdict_of_a_former_owner__does_not_count),
        TEST(test_deregister__through_any_node__counts),
        TEST(test_connection_client__whose_id_another_node_publishes__is_its_own_there),
        TEST(test_lost__is_what_was_said_last__up_to_the_limit),
        TEST(test_restart__only_its_own_clients_are_awaited),
        TEST(test_restart__clients_of_nobody__are_awaited_by_all),
        TEST(test_awaited__then_published_by_another_node__is_left_alone),
        TEST(test_snapshot__that_moves_an_awaited_client__it_is_left_alone),
        TEST(test_snapshot__keeps_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
