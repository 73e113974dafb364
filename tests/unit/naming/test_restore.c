/* A node that the others gave up while it was cut off: what its living clients publish comes back,
 * and what they changed meanwhile is not undone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "naming/naming_op.h"
#include "naming/restore.h"
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

static uint64_t connected(size_t i, const char *service, const char *ip)
{
    uint64_t conn = story_connect(&c.node[i], ip);
    assert_int_equal(story_register(&c.node[i], conn, service, ip, 80), 0);
    assert_int_equal(cluster_result(&c, i), 0);
    return conn;
}

static size_t listed(size_t i, const char *service)
{
    return story_listed(&c.node[i], service);
}

static unsigned long restored(size_t i)
{
    return atomic_load(&naming_counters(c.node[i].naming)->restored);
}

/* Node 0 is cut off, and given up; it has not heard of it. */
static void give_up(void)
{
    c.is_silent[0] = c.is_behind[0] = true;
    cluster_gone(&c, 0);
}

static void heal(void)
{
    c.is_silent[0] = c.is_behind[0] = false;
    cluster_turn(&c);
}

static void test_given_up__its_clients_come_back(void **state)
{
    (void)state;
    uint64_t conn = connected(0, "a", "10.0.0.1");
    assert_int_equal(story_register(&c.node[0], conn, "b", "10.0.0.1", 80), 0);
    struct instance_data list[] = {story_instance("10.0.0.2", 80), story_instance("10.0.0.2", 81)};
    uint64_t batch = story_connect(&c.node[0], "10.0.0.2");
    assert_int_equal(story_register_batch(&c.node[0], batch, "a", list, 2), 0);
    assert_int_equal(story_register_http(&c.node[0], "h", &list[0]), 0);
    cluster_turn(&c);
    struct buf *before = snapshot_take(c.node[0].naming);
    give_up();
    assert_int_equal(listed(1, "a"), 0);
    assert_int_equal(listed(0, "a"), 3);
    heal();
    for (size_t i = 0; i < CLUSTER_NODES; i++) {
        assert_int_equal(listed(i, "a"), 3);
        assert_int_equal(listed(i, "b"), 1);
        assert_int_equal(listed(i, "h"), 1);
    }
    assert_int_equal(restored(0), 4);
    assert_int_equal(restored(1), 0);
    assert_int_equal(naming_stats(c.node[0].naming).instances, 5);
    buf_unref(before);
    /* They are its clients as before. */
    story_disconnect(&c.node[0], conn, REMOVAL_CONNECTION_CLOSED);
    cluster_turn(&c);
    assert_int_equal(listed(2, "a"), 2);
    cluster_advance(&c, 31000);
    assert_int_equal(listed(2, "h"), 0);
}

static void test_given_up__its_subscribers__see_no_short_list(void **state)
{
    (void)state;
    (void)connected(0, "a", "10.0.0.1");
    uint64_t sub = story_connect(&c.node[0], "10.0.0.9");
    assert_int_equal(story_subscribe(&c.node[0], sub, "a", ""), 0);
    cluster_advance(&c, 2000);
    while (story_pushes(&c.node[0], sub) > 0) {
        (void)story_take_and_ack(&c.node[0], sub);
    }
    give_up();
    heal();
    cluster_advance(&c, 5000);
    while (story_pushes(&c.node[0], sub) > 0) {
        assert_int_equal(story_take_and_ack(&c.node[0], sub), 1);
    }
}

/* Nobody commits what would bring it back: then they are told what is. */
static void test_given_up__without_a_quorum_again__subscribers_are_told_after_a_while(void **state)
{
    (void)state;
    (void)connected(0, "a", "10.0.0.1");
    uint64_t sub = story_connect(&c.node[0], "10.0.0.9");
    assert_int_equal(story_subscribe(&c.node[0], sub, "a", ""), 0);
    cluster_advance(&c, 2000);
    while (story_pushes(&c.node[0], sub) > 0) {
        (void)story_take_and_ack(&c.node[0], sub);
    }
    give_up();
    c.is_behind[0] = false;
    cluster_turn(&c);
    cluster_advance(&c, RESTORE_HOLD_MS - 1);
    assert_int_equal(story_pushes(&c.node[0], sub), 0);
    cluster_advance(&c, 1000);
    assert_int_equal(story_take_and_ack(&c.node[0], sub), 0);
    heal();
    cluster_advance(&c, 1000);
    assert_int_equal(story_take_and_ack(&c.node[0], sub), 1);
    assert_int_equal(listed(2, "a"), 1);
}

static void test_deregistered_while_cut_off__stays_so(void **state)
{
    (void)state;
    uint64_t conn = connected(0, "a", "10.0.0.1");
    assert_int_equal(story_register(&c.node[0], conn, "b", "10.0.0.1", 80), 0);
    cluster_turn(&c);
    give_up();
    assert_int_equal(story_deregister(&c.node[0], conn, "a"), 0);
    heal();
    assert_int_equal(listed(1, "a"), 0);
    assert_int_equal(listed(1, "b"), 1);
}

/* Its answer is on its way when the node hears that it was given up; so is a later one. */
static void test_changed_while_cut_off__the_change_stays(void **state)
{
    (void)state;
    uint64_t conn = connected(0, "a", "10.0.0.1");
    assert_int_equal(story_register(&c.node[0], conn, "b", "10.0.0.1", 80), 0);
    cluster_turn(&c);
    give_up();
    assert_int_equal(story_register(&c.node[0], conn, "a", "10.0.0.1", 81), 0);
    c.is_behind[0] = false;
    cluster_turn(&c);
    assert_int_equal(story_register(&c.node[0], conn, "b", "10.0.0.1", 82), 0);
    heal();
    for (size_t i = 0; i < CLUSTER_NODES; i++) {
        assert_int_equal(listed(i, "a"), 1);
        assert_int_equal(listed(i, "b"), 1);
        assert_non_null(story_find(&c.node[i], "a", "10.0.0.1", 81));
        assert_non_null(story_find(&c.node[i], "b", "10.0.0.1", 82));
    }
    assert_int_equal(restored(0), 0);
}

static void test_deregistered_after_it_heard__stays_so(void **state)
{
    (void)state;
    uint64_t conn = connected(0, "a", "10.0.0.1");
    give_up();
    c.is_behind[0] = false;
    cluster_turn(&c);
    assert_int_equal(story_deregister(&c.node[0], conn, "a"), 0);
    heal();
    assert_int_equal(listed(1, "a"), 0);
}

static void test_closed_meanwhile__does_not_come_back(void **state)
{
    (void)state;
    uint64_t before = connected(0, "a", "10.0.0.1");
    uint64_t after = connected(0, "a", "10.0.0.2");
    uint64_t http_after = connected(0, "a", "10.0.0.3");
    give_up();
    story_disconnect(&c.node[0], before, REMOVAL_CONNECTION_CLOSED);
    c.is_behind[0] = false;
    cluster_turn(&c);
    story_disconnect(&c.node[0], after, REMOVAL_CONNECTION_CLOSED);
    heal();
    assert_int_equal(listed(1, "a"), 1);
    story_disconnect(&c.node[0], http_after, REMOVAL_CONNECTION_CLOSED);
    cluster_turn(&c);
    assert_int_equal(listed(1, "a"), 0);
    assert_int_equal(naming_stats(c.node[0].naming).clients, 0);
}

static void test_http_client__that_moved_meanwhile__is_left_there(void **state)
{
    (void)state;
    struct instance_data data = story_instance("10.0.0.2", 80);
    assert_int_equal(story_register_http(&c.node[0], "h", &data), 0);
    cluster_turn(&c);
    give_up();
    data.weight = 7.0;
    assert_int_equal(story_register_http(&c.node[1], "h", &data), 0);
    cluster_turn(&c);
    heal();
    assert_int_equal(cluster_owner(&c, 2, "10.0.0.2:80#true"), 1);
    assert_true(story_find(&c.node[2], "h", "10.0.0.2", 80)->weight == 7.0);
    assert_int_equal(restored(0), 0);
}

static void test_http_client__silent_for_too_long__is_not_put_back(void **state)
{
    (void)state;
    struct instance_data data = story_instance("10.0.0.2", 80);
    assert_int_equal(story_register_http(&c.node[0], "h", &data), 0);
    cluster_turn(&c);
    give_up();
    cluster_advance(&c, 15001);
    heal();
    assert_int_equal(listed(1, "h"), 0);
}

static void test_lost_on_the_way__is_proposed_again(void **state)
{
    (void)state;
    (void)connected(0, "a", "10.0.0.1");
    c.node[0].log_lost = true;
    cluster_gone(&c, 0);
    assert_int_equal(listed(1, "a"), 0);
    c.node[0].log_lost = false;
    cluster_advance(&c, NAMING_RETRY_MS);
    assert_int_equal(listed(1, "a"), 1);
    assert_true(naming_deadline(c.node[0].naming) > c.node[0].now.mono_ms);
    assert_true(restore_deadline(c.node[0].naming) == UINT64_MAX);
}

static void test_given_up_twice__comes_back_once(void **state)
{
    (void)state;
    (void)connected(0, "a", "10.0.0.1");
    give_up();
    cluster_gone(&c, 0);
    c.is_behind[0] = false;
    cluster_turn(&c);
    cluster_gone(&c, 0);
    heal();
    assert_int_equal(listed(1, "a"), 1);
    assert_int_equal(restored(0), 1);
}

static void test_more_than_a_batch__all_come_back(void **state)
{
    (void)state;
    uint64_t conn = story_connect(&c.node[0], "10.0.0.1");
    for (int i = 0; i < RESTORE_BATCH + 200; i++) {
        char service[16];
        snprintf(service, sizeof(service), "s%d", i);
        struct instance_data data = story_instance("10.0.0.1", 80);
        struct naming_op op = {
            .kind = NAMING_OP_PUBLISH,
            .time_ms = c.node[0].now.wall_ms,
            .service = story_name(service),
            .client = span_str(client_of_conn(c.node[0].naming, conn)->id),
            .client_kind = CLIENT_CONNECTION,
            .ephemeral = true,
            .instances = &data,
            .instances_count = 1,
        };
        outbox_propose(&c.node[0].out, CONSENSUS_NAMING, naming_op_encode(&op), NULL);
    }
    cluster_turn(&c);
    give_up();
    assert_int_equal(naming_stats(c.node[1].naming).instances, 0);
    heal();
    assert_int_equal(naming_stats(c.node[1].naming).instances, RESTORE_BATCH + 200);
}

/* It was away for so long that it gets a snapshot; its subscribers are told of what is back. */
static void test_snapshot_without_them__they_come_back(void **state)
{
    (void)state;
    uint64_t conn = connected(0, "a", "10.0.0.1");
    assert_int_equal(story_register(&c.node[0], conn, "b", "10.0.0.1", 80), 0);
    cluster_turn(&c);
    uint64_t sub = story_connect(&c.node[0], "10.0.0.9");
    assert_int_equal(story_subscribe(&c.node[0], sub, "a", ""), 0);
    cluster_advance(&c, 2000);
    while (story_pushes(&c.node[0], sub) > 0) {
        (void)story_take_and_ack(&c.node[0], sub);
    }
    give_up();
    assert_int_equal(story_deregister(&c.node[0], conn, "b"), 0);
    (void)connected(1, "c", "10.0.0.5");
    cluster_install(&c, 0, 1);
    heal();
    cluster_advance(&c, 1000);
    assert_int_equal(listed(1, "a"), 1);
    assert_int_equal(listed(1, "b"), 0);
    assert_int_equal(listed(0, "c"), 1);
    while (story_pushes(&c.node[0], sub) > 0) {
        assert_int_equal(story_take_and_ack(&c.node[0], sub), 1);
    }
}

static void test_snapshot_with_them__nothing_is_proposed_for_them(void **state)
{
    (void)state;
    (void)connected(0, "a", "10.0.0.1");
    (void)connected(1, "a", "10.0.0.2");
    cluster_install(&c, 0, 1);
    size_t proposed = c.node[0].proposed;
    cluster_turn(&c);
    assert_int_equal(c.node[0].proposed, proposed);
    assert_int_equal(listed(0, "a"), 2);
}

static void test_earlier_life__is_not_put_back(void **state)
{
    (void)state;
    (void)connected(0, "a", "10.0.0.1");
    assert_int_equal(cluster_restart(&c, 0).awaited_clients, 1);
    cluster_gone(&c, 0);
    cluster_turn(&c);
    assert_int_equal(listed(0, "a"), 0);
    assert_int_equal(naming_stats(c.node[0].naming).clients, 0);
    /* And when it hears of it while the log is replayed. */
    uint64_t conn = connected(0, "a", "10.0.0.1");
    (void)conn;
    c.is_silent[0] = true;
    cluster_gone(&c, 0);
    c.is_silent[0] = false;
    assert_int_equal(cluster_restart(&c, 0).awaited_clients, 0);
    cluster_turn(&c);
    assert_int_equal(listed(0, "a"), 0);
}

static void test_order_of_a_batch__is_kept(void **state)
{
    (void)state;
    struct instance_data list[] = {story_instance("10.0.0.2", 80), story_instance("10.0.0.2", 81),
                                   story_instance("10.0.0.2", 82)};
    uint64_t conn = story_connect(&c.node[0], "10.0.0.2");
    assert_int_equal(story_register_batch(&c.node[0], conn, "a", list, 3), 0);
    cluster_turn(&c);
    const struct client *client = client_of_conn(c.node[0].naming, conn);
    const struct publication *p = publication_find(client, story_service(&c.node[0], "a"));
    struct arena arena;
    struct naming_op op = {0};
    arena_init(&arena, 1u << 20);
    publication_as_op(p, &arena, c.node[0].now, &op);
    assert_int_equal(op.instances_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(op.instances[i].port, list[i].port);
    }
    assert_true(op.batch);
    arena_close(&arena);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_given_up__its_clients_come_back),
        TEST(test_given_up__its_subscribers__see_no_short_list),
        TEST(test_given_up__without_a_quorum_again__subscribers_are_told_after_a_while),
        TEST(test_deregistered_while_cut_off__stays_so),
        TEST(test_changed_while_cut_off__the_change_stays),
        TEST(test_deregistered_after_it_heard__stays_so),
        TEST(test_closed_meanwhile__does_not_come_back),
        TEST(test_http_client__that_moved_meanwhile__is_left_there),
        TEST(test_http_client__silent_for_too_long__is_not_put_back),
        TEST(test_lost_on_the_way__is_proposed_again),
        TEST(test_given_up_twice__comes_back_once),
        TEST(test_more_than_a_batch__all_come_back),
        TEST(test_snapshot_without_them__they_come_back),
        TEST(test_snapshot_with_them__nothing_is_proposed_for_them),
        TEST(test_earlier_life__is_not_put_back),
        TEST(test_order_of_a_batch__is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
