/* What the log does not take for now is shown to this node's clients, and only to them, until it is
 * applied. */
#include "naming/pending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "naming/push_state.h"
#include "naming_calls.h"
#include "naming_cluster.h"

static struct cluster c;

static int begin(void **state)
{
    (void)state;
    cluster_begin_below(&c);
    return 0;
}

static int end(void **state)
{
    (void)state;
    cluster_end(&c);
    return 0;
}

static struct story *below(void)
{
    return &c.node[0];
}

static void test_registration__is_answered_and_seen_here_alone(void **state)
{
    (void)state;
    uint64_t conn = story_connect(below(), "10.0.0.1");
    assert_int_equal(story_register(below(), conn, "a", "10.0.0.1", 80), 0);
    assert_int_equal(cluster_result(&c, 0), 0);
    assert_int_equal(story_listed(below(), "a"), 1);
    assert_int_equal(story_listed(&c.node[1], "a"), 0);
    assert_int_equal(naming_stats(below()->naming).shown, 1);
    assert_int_equal(naming_stats(below()->naming).instances, 0); /* nothing is applied */
    assert_int_equal(atomic_load(&naming_counters(below()->naming)->shown), 1);
    cluster_heal(&c);
    for (size_t i = 0; i < CLUSTER_NODES; i++) {
        assert_int_equal(story_listed(&c.node[i], "a"), 1);
    }
    assert_int_equal(naming_stats(below()->naming).shown, 0);
    assert_int_equal(cluster_owner(&c, 1, below()->naming->clients->id), 0);
}

static void test_service__of_pending_alone__is_listed_queried_and_subscribed_to(void **state)
{
    (void)state;
    uint64_t subscriber = story_subscriber(below(), "a", "10.0.0.9", "");
    uint64_t conn = story_connect(below(), "10.0.0.1");
    assert_int_equal(story_register(below(), conn, "a", "10.0.0.1", 80), 0);
    cluster_turn(&c);
    assert_int_equal(story_take_and_ack(below(), subscriber), 1);
    struct service *s = story_service(below(), "a");
    assert_false(s->exists);
    assert_true(service_is_visible(s));
    struct answer query = call_rpc(below(), subscriber, "ServiceQueryRequest",
                                   "{\"namespace\":\"public\",\"serviceName\":\"a\","
                                   "\"groupName\":\"DEFAULT_GROUP\",\"cluster\":\"\"}");
    assert_int_equal(query.err, 0);
    assert_non_null(strstr(query.text, "\"ip\":\"10.0.0.1\""));
    answer_free(&query);
    struct answer list = call_rpc(below(), subscriber, "ServiceListRequest",
                                  "{\"namespace\":\"public\",\"groupName\":\"DEFAULT_GROUP\","
                                  "\"pageNo\":1,\"pageSize\":10}");
    assert_int_equal(list.err, 0);
    assert_non_null(strstr(list.text, "\"a\""));
    answer_free(&list);
    struct answer catalog = call_http(below(), API_GET, "/v1/ns/catalog/services",
                                      "pageNo=1&pageSize=10&hasIpCount=true");
    assert_non_null(strstr(catalog.text, "\"ipCount\":1"));
    answer_free(&catalog);
    struct answer instances = call_http(below(), API_GET, "/v1/ns/catalog/instances",
                                        "serviceName=a&pageNo=1&pageSize=10");
    assert_non_null(strstr(instances.text, "10.0.0.1"));
    answer_free(&instances);
    cluster_heal(&c);
}

/* It still waited for an ack when the list was pushed to the others. */
static void test_change__held_for_a_slow_subscriber__reaches_it_before_the_commit(void **state)
{
    (void)state;
    uint64_t slow = story_subscriber(below(), "a", "10.0.0.8", "");
    uint64_t quick = story_subscriber(below(), "a", "10.0.0.9", "");
    uint64_t conn = story_connect(below(), "10.0.0.1");
    uint64_t other = story_connect(below(), "10.0.0.2");
    uint64_t again = story_connect(below(), "10.0.0.3");
    assert_int_equal(story_register(below(), conn, "a", "10.0.0.1", 80), 0);
    cluster_turn(&c);
    assert_int_equal(story_take_and_ack(below(), quick), 1);
    cluster_advance(&c, 1000);
    assert_int_equal(story_register(below(), other, "a", "10.0.0.2", 80), 0);
    cluster_turn(&c);
    assert_int_equal(story_take_and_ack(below(), quick), 2);
    /* The same instance of another connection: a change, and no other list. */
    assert_int_equal(story_register(below(), again, "a", "10.0.0.2", 80), 0);
    cluster_turn(&c);
    assert_int_equal(story_take_and_ack(below(), slow), 1);
    cluster_heal(&c);
    cluster_advance(&c, 1000);
    assert_int_equal(story_pushes(below(), quick), 0);
    assert_int_equal(story_take_and_ack(below(), slow), 2);
    assert_int_equal(story_pushes(below(), slow), 0);
}

static void test_commit__of_what_is_shown__is_not_pushed_again(void **state)
{
    (void)state;
    uint64_t subscriber = story_subscriber(below(), "a", "10.0.0.9", "");
    uint64_t conn = story_connect(below(), "10.0.0.1");
    uint64_t other = story_connect(below(), "10.0.0.2");
    assert_int_equal(story_register(below(), conn, "a", "10.0.0.1", 80), 0);
    cluster_turn(&c);
    assert_int_equal(story_take_and_ack(below(), subscriber), 1);
    assert_int_equal(story_register(below(), other, "a", "10.0.0.2", 80), 0);
    cluster_advance(&c, 1000);
    assert_int_equal(story_take_and_ack(below(), subscriber), 2);
    cluster_advance(&c, 5000);
    cluster_heal(&c);
    cluster_advance(&c, 5000);
    assert_int_equal(story_pushes(below(), subscriber), 0);
    /* What comes then is pushed as ever. */
    assert_int_equal(story_deregister(below(), other, "a"), 0);
    cluster_advance(&c, 1000);
    assert_int_equal(story_take_and_ack(below(), subscriber), 1);
}

static void test_connection_end__hides_what_is_applied_and_what_is_pending(void **state)
{
    (void)state;
    c.is_silent[0] = false;
    uint64_t conn = story_connect(below(), "10.0.0.1");
    assert_int_equal(story_register(below(), conn, "a", "10.0.0.1", 80), 0);
    cluster_turn(&c);
    c.is_silent[0] = true;
    assert_int_equal(story_register(below(), conn, "b", "10.0.0.1", 80), 0);
    cluster_turn(&c);
    assert_int_equal(story_listed(below(), "a") + story_listed(below(), "b"), 2);
    story_disconnect(below(), conn, REMOVAL_CONNECTION_CLOSED);
    cluster_turn(&c);
    assert_int_equal(story_listed(below(), "a") + story_listed(below(), "b"), 0);
    assert_int_equal(story_listed(&c.node[1], "a"), 1); /* others have not heard of it */
    /* It is proposed once, however long it takes. */
    size_t proposed = below()->proposed;
    cluster_advance(&c, 10ull * NAMING_RETRY_MS);
    assert_int_equal(below()->proposed - proposed, 0);
    cluster_heal(&c);
    for (size_t i = 0; i < CLUSTER_NODES; i++) {
        assert_int_equal(story_listed(&c.node[i], "a") + story_listed(&c.node[i], "b"), 0);
    }
}

static void test_deregistration__of_a_pending_one__is_seen_at_once(void **state)
{
    (void)state;
    uint64_t conn = story_connect(below(), "10.0.0.1");
    assert_int_equal(story_register(below(), conn, "a", "10.0.0.1", 80), 0);
    cluster_turn(&c);
    assert_int_equal(story_deregister(below(), conn, "a"), 0);
    assert_int_equal(cluster_result(&c, 0), 0);
    assert_int_equal(story_listed(below(), "a"), 0);
    assert_true(service_is_visible(story_service(below(), "a"))); /* as if it had been applied */
    cluster_heal(&c);
    assert_int_equal(story_listed(&c.node[1], "a"), 0);
}

static void test_registration__again__replaces_what_is_shown(void **state)
{
    (void)state;
    uint64_t conn = story_connect(below(), "10.0.0.1");
    struct instance_data list[] = {story_instance("10.0.0.1", 80), story_instance("10.0.0.1", 81)};
    assert_int_equal(story_register_batch(below(), conn, "a", list, 2), 0);
    cluster_turn(&c);
    assert_int_equal(story_listed(below(), "a"), 2);
    list[0].weight = 7;
    assert_int_equal(story_register_batch(below(), conn, "a", list, 1), 0);
    cluster_turn(&c);
    assert_int_equal(story_listed(below(), "a"), 1);
    assert_true(story_find(below(), "a", "10.0.0.1", 80)->weight == 7);
    cluster_heal(&c);
    assert_int_equal(story_listed(&c.node[2], "a"), 1);
    assert_true(story_find(&c.node[2], "a", "10.0.0.1", 80)->weight == 7);
}

static void test_persistent_and_operators__wait_unseen(void **state)
{
    (void)state;
    assert_int_equal(story_register_persistent(below(), "p", "10.0.0.1", 80), 0);
    assert_int_equal(cluster_result(&c, 0), 1);
    assert_int_equal(story_deregister_persistent(below(), "p", "10.0.0.1", 80), 0);
    assert_int_equal(cluster_result(&c, 0), 1);
    struct naming_service_put put = {
        .service = story_name("r"), .create = true, .ephemeral = true, .metadata_count = 0};
    assert_int_equal(story_service_put(below(), &put), 0);
    assert_int_equal(cluster_result(&c, 0), 1);
    assert_null(story_service(below(), "p"));
    assert_null(story_service(below(), "r"));
    assert_int_equal(naming_stats(below()->naming).shown, 0);
    cluster_heal(&c);
    assert_int_equal(cluster_result(&c, 0), 0);
    assert_true(story_service(below(), "r")->exists);
}

static void test_cleaner__is_refused_and_comes_again(void **state)
{
    (void)state;
    c.is_silent[0] = false;
    uint64_t conn = story_connect(below(), "10.0.0.1");
    assert_int_equal(story_register(below(), conn, "a", "10.0.0.1", 80), 0);
    assert_int_equal(story_deregister(below(), conn, "a"), 0);
    cluster_turn(&c);
    for (size_t i = 0; i < CLUSTER_NODES; i++) {
        c.is_silent[i] = c.shows[i] = true;
    }
    cluster_advance(&c, 200000);
    assert_true(c.refused[0] > 0);
    assert_null(below()->log); /* none of it waits */
    assert_true(story_service(below(), "a")->exists);
    for (size_t i = 0; i < CLUSTER_NODES; i++) {
        c.is_silent[i] = c.shows[i] = false;
    }
    cluster_advance(&c, 60000);
    assert_null(story_service(below(), "a"));
}

static void test_other_kind__is_refused_when_it_is_known__else_counted(void **state)
{
    (void)state;
    c.is_silent[0] = false;
    assert_int_equal(story_register_persistent(below(), "p", "10.0.0.1", 80), 0);
    cluster_turn(&c);
    c.is_silent[0] = true;
    uint64_t conn = story_connect(below(), "10.0.0.2");
    assert_int_equal(story_register(below(), conn, "p", "10.0.0.2", 80), 0);
    assert_int_equal(cluster_result(&c, 0), E_INVALID);
    assert_non_null(strstr(below()->fail.text, "is persistent service"));
    /* Another node makes one persistent that is shown here as ephemeral. */
    assert_int_equal(story_register(below(), conn, "q", "10.0.0.2", 80), 0);
    assert_int_equal(cluster_result(&c, 0), 0);
    assert_int_equal(story_register_persistent(&c.node[1], "q", "10.0.0.3", 80), 0);
    cluster_turn(&c);
    cluster_heal(&c);
    assert_int_equal(atomic_load(&naming_counters(below()->naming)->shown_vain), 1);
    assert_true(story_traced(below(), "event=shown_in_vain"));
    assert_int_equal(story_listed(below(), "q"), 1);
}

static void test_limit__is_refused_with_the_reason__what_hides_is_not(void **state)
{
    (void)state;
    uint64_t conn = story_connect(below(), "10.0.0.1");
    assert_int_equal(story_register(below(), conn, "a", "10.0.0.1", 80), 0);
    cluster_turn(&c);
    below()->naming->pending->weight += PENDING_MAX; /* as if so much were pending */
    struct naming_op op = {
        .kind = NAMING_OP_PUBLISH,
        .time_ms = 1,
        .service = story_name("b"),
        .client = SPAN("x"),
        .client_kind = CLIENT_CONNECTION,
        .ephemeral = true,
        .instances = (struct instance_data[]){story_instance("10.0.0.1", 80)},
        .instances_count = 1,
    };
    struct fail fail = {0};
    struct buf *bytes = naming_op_encode(&op);
    struct naming_waiting w = {1000, buf_span(bytes), NULL};
    assert_int_equal(naming_show(below()->naming, &w, below()->now, &below()->out, &fail),
                     NAMING_REFUSED);
    assert_int_equal(fail.code, E_LIMIT);
    assert_non_null(strstr(fail.text, "wait on this node for the log"));
    buf_unref(bytes);
    op.kind = NAMING_OP_UNPUBLISH;
    op.service = story_name("a");
    op.reason = REMOVAL_DEREGISTERED;
    bytes = naming_op_encode(&op);
    w.op = buf_span(bytes);
    assert_int_equal(naming_show(below()->naming, &w, below()->now, &below()->out, &fail),
                     NAMING_SHOWN);
    naming_commit_shown(below()->naming, 1000, (struct span){0}, 0, below()->now, &below()->out);
    buf_unref(bytes);
    below()->naming->pending->weight -= PENDING_MAX;
    cluster_heal(&c);
}

static void test_damaged__is_refused(void **state)
{
    (void)state;
    struct fail fail = {0};
    struct naming_waiting w = {1, SPAN("not an operation"), NULL};
    assert_int_equal(naming_show(below()->naming, &w, below()->now, &below()->out, &fail),
                     NAMING_REFUSED);
    assert_int_equal(fail.code, E_PARSE);
    assert_null(below()->naming->pending);
}

static void test_snapshot__that_holds_it__ends_it(void **state)
{
    (void)state;
    uint64_t conn = story_connect(below(), "10.0.0.1");
    assert_int_equal(story_register(below(), conn, "a", "10.0.0.1", 80), 0);
    cluster_turn(&c);
    c.is_silent[0] = false;
    c.is_behind[0] = true; /* the log takes it, but node 0 hears nothing of that */
    cluster_turn(&c);
    assert_int_equal(story_listed(&c.node[1], "a"), 1);
    assert_int_equal(naming_stats(below()->naming).shown, 1);
    cluster_install(&c, 0, 1);
    assert_null(below()->naming->pending);
    assert_int_equal(story_listed(below(), "a"), 1);
    c.is_behind[0] = false;
    cluster_turn(&c);
}

static void test_snapshot__of_before__leaves_it_shown(void **state)
{
    (void)state;
    uint64_t conn = story_connect(below(), "10.0.0.1");
    assert_int_equal(story_register(below(), conn, "a", "10.0.0.1", 80), 0);
    cluster_turn(&c);
    c.is_behind[0] = true;
    uint64_t far = story_connect(&c.node[1], "10.0.0.2");
    assert_int_equal(story_register(&c.node[1], far, "b", "10.0.0.2", 80), 0);
    cluster_turn(&c);
    cluster_install(&c, 0, 1);
    c.is_behind[0] = false;
    cluster_turn(&c);
    assert_int_equal(story_listed(below(), "a"), 1);
    assert_int_equal(story_listed(below(), "b"), 1);
    cluster_heal(&c);
}

static void test_end_of_the_registry__with_things_pending__frees_them(void **state)
{
    (void)state;
    uint64_t conn = story_connect(below(), "10.0.0.1");
    assert_int_equal(story_register(below(), conn, "a", "10.0.0.1", 80), 0);
    cluster_turn(&c);
    story_disconnect(below(), conn, REMOVAL_CONNECTION_CLOSED);
    cluster_turn(&c);
    assert_non_null(below()->naming->pending);
    /* end() destroys it */
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_registration__is_answered_and_seen_here_alone),
        TEST(test_service__of_pending_alone__is_listed_queried_and_subscribed_to),
        TEST(test_change__held_for_a_slow_subscriber__reaches_it_before_the_commit),
        TEST(test_commit__of_what_is_shown__is_not_pushed_again),
        TEST(test_connection_end__hides_what_is_applied_and_what_is_pending),
        TEST(test_deregistration__of_a_pending_one__is_seen_at_once),
        TEST(test_registration__again__replaces_what_is_shown),
        TEST(test_persistent_and_operators__wait_unseen),
        TEST(test_cleaner__is_refused_and_comes_again),
        TEST(test_other_kind__is_refused_when_it_is_known__else_counted),
        TEST(test_limit__is_refused_with_the_reason__what_hides_is_not),
        TEST(test_damaged__is_refused),
        TEST(test_snapshot__that_holds_it__ends_it),
        TEST(test_snapshot__of_before__leaves_it_shown),
        TEST(test_end_of_the_registry__with_things_pending__frees_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
