#include "conn/conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/thread.h"

/* A story: a table, an outbox, a clock that the test turns. */
struct world {
    struct conn_table *table;
    struct outbox out;
    struct now now;
    uint64_t lost[8];
    char lost_id[8][96];
    size_t lost_count;
};

static struct world w;

static void start(struct conn_options options)
{
    w = (struct world){.now = {.mono_ms = 1000000, .wall_ms = 1712000000000}};
    w.table = conn_table_create(&options);
}

static int setup(void **state)
{
    (void)state;
    start((struct conn_options){.max_total = 100, .max_per_ip = 50, .persistent_by_grpc = true});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    conn_table_destroy(w.table);
    outbox_close(&w.out);
    return 0;
}

static struct peer *arrive(const char *ip, uint16_t port)
{
    return peer_create(span_str(ip), port, w.now.wall_ms, w.now.mono_ms);
}

static const struct conn_label LABELS[] = {
    {{"source", 6}, {"sdk", 3}}, {{"module", 6}, {"naming", 6}}, {{"AppName", 7}, {"shop", 4}}};

static int enter(struct peer *peer, bool wants_ack)
{
    struct conn_open open = {
        .peer = peer,
        .setup = {.client_version = SPAN("Nacos-Java-Client:v2.5.1"),
                  .client_ip = SPAN("10.9.9.9"),
                  .tenant = SPAN("dev"),
                  .labels = LABELS,
                  .labels_count = ARRAY_LEN(LABELS),
                  .has_ability_table = wants_ack},
    };
    struct fail fail = {0};
    return conn_register(w.table, &open, w.now, &w.out, &fail);
}

/* Arrives and registers; the test keeps no reference. */
static uint64_t join(const char *ip, uint16_t port)
{
    struct peer *peer = arrive(ip, port);
    uint64_t key = peer->key;
    assert_int_equal(enter(peer, false), 0);
    peer_unref(peer);
    outbox_clear(&w.out, 0);
    return key;
}

static void on_lost(void *self, uint64_t key, struct span id)
{
    assert_ptr_equal(self, &w);
    assert_non_null(conn_find(w.table, key)); /* before it is forgotten */
    memcpy(w.lost_id[w.lost_count], id.data, id.len);
    w.lost[w.lost_count++] = key;
}

static void pass(uint64_t ms)
{
    w.now.mono_ms += ms;
    w.now.wall_ms += (int64_t)ms;
    conn_tick(w.table, w.now, &w.out, on_lost, &w);
}

static const struct effect *only(enum effect_kind kind)
{
    assert_int_equal(w.out.count, 1);
    assert_int_equal(w.out.list[0].kind, kind);
    return &w.out.list[0];
}

static char *text_of(const struct body *body)
{
    static char text[1024];
    assert_true(body_len(body) < sizeof(text));
    body_copy(body, text);
    text[body_len(body)] = '\0';
    return text;
}

static void assert_span(struct span s, const char *text)
{
    assert_int_equal(s.len, strlen(text));
    assert_memory_equal(s.data, text, s.len);
}

/* The requestId of the one push in the outbox. */
static uint64_t pushed_id(const char *type)
{
    const struct effect *e = only(EFFECT_PUSH);
    assert_string_equal(e->u.push.type, type);
    const char *at = strstr(text_of(&e->u.push.body), "\"requestId\":\"");
    assert_non_null(at);
    return strtoull(at + 13, NULL, 10);
}

/* R4 and vector C09. */
static void test_register__with_ability_table__is_acked(void **state)
{
    (void)state;
    struct peer *peer = arrive("10.0.0.1", 1000);
    assert_int_equal(enter(peer, true), 0);
    const struct effect *e = only(EFFECT_CONN_ACCEPT);
    assert_true(e->u.accept.conn == peer->key);
    assert_string_equal(text_of(&e->u.accept.setup_ack),
                        "{\"headers\":{},\"abilityTable\":{\"supportPersistentInstanceByGrpc\":"
                        "true},\"module\":\"internal\"}");
    peer_unref(peer);
}

static void test_register__without_ability_table__is_accepted_silently(void **state)
{
    (void)state;
    struct peer *peer = arrive("10.0.0.1", 1000);
    assert_int_equal(enter(peer, false), 0);
    assert_int_equal(body_len(&only(EFFECT_CONN_ACCEPT)->u.accept.setup_ack), 0);
    peer_unref(peer);
}

static void test_register__ability_not_offered__is_not_advertised(void **state)
{
    (void)state;
    conn_table_destroy(w.table);
    start((struct conn_options){0});
    struct peer *peer = arrive("10.0.0.1", 1000);
    assert_int_equal(enter(peer, true), 0);
    assert_string_equal(text_of(&only(EFFECT_CONN_ACCEPT)->u.accept.setup_ack),
                        "{\"headers\":{},\"abilityTable\":{},\"module\":\"internal\"}");
    peer_unref(peer);
}

/* K32. */
static void test_register__twice__keeps_one_and_acks_again(void **state)
{
    (void)state;
    struct peer *peer = arrive("10.0.0.1", 1000);
    assert_int_equal(enter(peer, true), 0);
    outbox_clear(&w.out, 0);
    assert_int_equal(enter(peer, true), 0);
    assert_true(body_len(&only(EFFECT_CONN_ACCEPT)->u.accept.setup_ack) > 0);
    assert_int_equal(conn_count(w.table), 1);
    peer_unref(peer);
}

static void test_find__by_key_and_id__knows_what_the_setup_said(void **state)
{
    (void)state;
    struct peer *peer = arrive("10.0.0.1", 1000);
    assert_int_equal(enter(peer, false), 0);
    const struct conn_info *info = conn_find(w.table, peer->key);
    assert_non_null(info);
    assert_ptr_equal(info, conn_find_id(w.table, SPAN("1712000000000_10.0.0.1_1000")));
    assert_ptr_equal(info->peer, peer);
    assert_span(info->client_version, "Nacos-Java-Client:v2.5.1");
    assert_span(info->client_ip, "10.9.9.9");
    assert_span(info->tenant, "dev");
    assert_span(info->app, "shop");
    assert_span(info->module, "naming");
    assert_span(info->source, "sdk");
    assert_true(info->since_wall_ms == 1712000000000);
    assert_null(conn_find(w.table, peer->key + 1));
    assert_null(conn_find_id(w.table, SPAN("1712000000000_10.0.0.1_1001")));
    assert_null(conn_find_id(w.table, (struct span){0}));
    peer_unref(peer);
}

static void test_find__setup_without_labels__has_defaults(void **state)
{
    (void)state;
    struct conn_open open = {.peer = arrive("10.0.0.1", 1000)};
    struct fail fail = {0};
    assert_int_equal(conn_register(w.table, &open, w.now, &w.out, &fail), 0);
    const struct conn_info *info = conn_find(w.table, open.peer->key);
    assert_span(info->app, "-");
    assert_int_equal(info->module.len, 0);
    assert_int_equal(info->source.len, 0);
    peer_unref(open.peer);
}

static void test_unregister__forgets_once(void **state)
{
    (void)state;
    uint64_t key = join("10.0.0.1", 1000);
    assert_true(conn_unregister(w.table, key));
    assert_false(conn_unregister(w.table, key));
    assert_null(conn_find(w.table, key));
    assert_int_equal(conn_count(w.table), 0);
    assert_true(conn_deadline(w.table) == UINT64_MAX);
}

static void assert_refused(struct peer *peer, const char *option)
{
    const struct effect *e = only(EFFECT_CONN_CLOSE);
    assert_true(e->u.close.conn == peer->key);
    assert_int_equal(e->u.close.how, CONN_END_EXHAUSTED);
    assert_non_null(memmem(e->u.close.why->data, e->u.close.why->len, option, strlen(option)));
    assert_null(conn_find(w.table, peer->key));
    peer_unref(peer);
}

static void test_register__over_the_total__is_closed_with_the_reason(void **state)
{
    (void)state;
    conn_table_destroy(w.table);
    start((struct conn_options){.max_total = 2});
    join("10.0.0.1", 1);
    uint64_t second = join("10.0.0.2", 1);
    struct peer *peer = arrive("10.0.0.3", 1);
    assert_int_equal(enter(peer, true), E_LIMIT);
    assert_refused(peer, "nacre.connections.max");
    conn_unregister(w.table, second);
    join("10.0.0.3", 2);
    assert_int_equal(conn_count(w.table), 2);
}

static void test_register__over_the_address_limit__leaves_other_addresses_alone(void **state)
{
    (void)state;
    conn_table_destroy(w.table);
    start((struct conn_options){.max_per_ip = 1});
    uint64_t first = join("10.0.0.1", 1);
    struct peer *peer = arrive("10.0.0.1", 2);
    assert_int_equal(enter(peer, false), E_LIMIT);
    assert_refused(peer, "nacre.connections.max-per-ip");
    outbox_clear(&w.out, 0);
    join("10.0.0.11", 2);
    conn_unregister(w.table, first);
    join("10.0.0.1", 3);
}

/* K10, first half; vector C12. */
static void test_tick__silent_for_20_s__is_probed(void **state)
{
    (void)state;
    uint64_t key = join("10.0.0.1", 1);
    assert_true(conn_deadline(w.table) == w.now.mono_ms + CONN_SCAN_FIRST_MS);
    pass(19000);
    assert_int_equal(w.out.count, 0);
    pass(3000);
    assert_true(pushed_id("ClientDetectionRequest") >= CONN_REQUEST_ID_FIRST);
    const struct effect *e = only(EFFECT_PUSH);
    assert_int_equal(e->u.push.count, 1);
    assert_true(e->u.push.conns[0] == key);
    const char *text = text_of(&e->u.push.body);
    assert_true(span_starts(span_str(text), SPAN("{\"headers\":{},\"requestId\":\"")));
    assert_non_null(strstr(text, "\",\"module\":\"internal\"}"));
    pass(1000);
    assert_int_equal(w.out.count, 1); /* probed once */
}

/* K10, second half. */
static void test_tick__probe_unanswered_for_5_s__ends_the_connection(void **state)
{
    (void)state;
    uint64_t key = join("10.0.0.1", 1);
    pass(20000);
    outbox_clear(&w.out, 0);
    pass(CONN_PROBE_TIMEOUT_MS - 1);
    assert_int_equal(w.lost_count, 0);
    assert_int_equal(w.out.count, 0);
    pass(1);
    assert_int_equal(w.lost_count, 1);
    assert_true(w.lost[0] == key);
    assert_string_equal(w.lost_id[0], "1712000000000_10.0.0.1_1");
    const struct effect *e = only(EFFECT_CONN_CLOSE);
    assert_true(e->u.close.conn == key);
    assert_int_equal(e->u.close.how, CONN_END_UNAVAILABLE);
    assert_null(conn_find(w.table, key));
}

static void test_tick__wakes_when_the_probe_is_due(void **state)
{
    (void)state;
    join("10.0.0.1", 1);
    pass(20000);
    join("10.0.0.2", 1);
    assert_true(conn_deadline(w.table) == w.now.mono_ms + CONN_SCAN_MS);
    pass(CONN_SCAN_MS);
    assert_true(conn_deadline(w.table) == w.now.mono_ms + CONN_PROBE_TIMEOUT_MS - CONN_SCAN_MS);
}

/* K11: an ack is one by its resultCode, whatever its success member says (wire/ack decides). */
static void test_ack__of_a_probe__proves_life(void **state)
{
    (void)state;
    uint64_t key = join("10.0.0.1", 1);
    pass(20000);
    struct ack ack = {.request_id = pushed_id("ClientDetectionRequest"), .ok = true};
    assert_true(conn_on_ack(w.table, key, &ack, w.now));
    outbox_clear(&w.out, 0);
    pass(CONN_PROBE_TIMEOUT_MS + 1);
    assert_int_equal(w.lost_count, 0);
    assert_non_null(conn_find(w.table, key));
    pass(20000); /* silent again: probed again */
    assert_true(pushed_id("ClientDetectionRequest") == ack.request_id + 1);
}

static void test_ack__failed_or_of_another_connection__does_not_save(void **state)
{
    (void)state;
    uint64_t key = join("10.0.0.1", 1);
    struct peer *other = arrive("10.0.0.2", 1);
    pass(20000);
    struct ack ack = {.request_id = pushed_id("ClientDetectionRequest"), .ok = false};
    assert_true(conn_on_ack(w.table, key, &ack, w.now));
    ack.ok = true;
    assert_true(conn_on_ack(w.table, other->key, &ack, w.now));
    outbox_clear(&w.out, 0);
    pass(CONN_PROBE_TIMEOUT_MS);
    assert_int_equal(w.lost_count, 1);
    peer_unref(other);
}

static void test_ack__of_a_feature__is_not_ours(void **state)
{
    (void)state;
    uint64_t key = join("10.0.0.1", 1);
    struct ack ack = {.request_id = 1, .ok = true};
    assert_false(conn_on_ack(w.table, key, &ack, w.now));
    ack.request_id = 0;
    assert_false(conn_on_ack(w.table, key, &ack, w.now));
    ack.request_id = CONN_REQUEST_ID_FIRST; /* not given out yet */
    assert_false(conn_on_ack(w.table, key, &ack, w.now));
}

static void test_tick__any_request_after_the_probe__proves_life(void **state)
{
    (void)state;
    struct peer *peer = arrive("10.0.0.1", 1);
    assert_int_equal(enter(peer, false), 0);
    pass(20000);
    peer->active_ms = w.now.mono_ms; /* in the very millisecond of the probe */
    pass(CONN_PROBE_TIMEOUT_MS);
    assert_int_equal(w.lost_count, 0);
    assert_non_null(conn_find(w.table, peer->key));
    peer_unref(peer);
}

static void test_tick__active_connections__are_left_alone(void **state)
{
    (void)state;
    struct peer *peer = arrive("10.0.0.1", 1);
    assert_int_equal(enter(peer, false), 0);
    outbox_clear(&w.out, 0);
    for (int i = 0; i < 20; i++) {
        pass(5000);
        peer->active_ms = w.now.mono_ms;
    }
    assert_int_equal(w.out.count, 0);
    peer_unref(peer);
}

static void test_tick__many_silent__share_one_probe(void **state)
{
    (void)state;
    uint64_t keys[3] = {join("10.0.0.1", 1), join("10.0.0.1", 2), join("10.0.0.2", 1)};
    pass(20000);
    assert_int_equal(only(EFFECT_PUSH)->u.push.count, 3);
    struct ack ack = {.request_id = pushed_id("ClientDetectionRequest"), .ok = true};
    assert_true(conn_on_ack(w.table, keys[1], &ack, w.now));
    pass(CONN_PROBE_TIMEOUT_MS);
    assert_int_equal(w.lost_count, 2);
    assert_non_null(conn_find(w.table, keys[1]));
}

static void test_unregister__while_probed__leaves_no_trace(void **state)
{
    (void)state;
    uint64_t key = join("10.0.0.1", 1);
    pass(20000);
    assert_true(conn_unregister(w.table, key));
    pass(CONN_PROBE_TIMEOUT_MS);
    assert_int_equal(w.lost_count, 0);
}

/* Vector C16: a reset without a target. */
static void test_reset_all__reaches_clients_and_not_servers(void **state)
{
    (void)state;
    uint64_t key = join("10.0.0.1", 1);
    const struct conn_label cluster[] = {{{"source", 6}, {"cluster", 7}}};
    struct conn_open open = {.peer = arrive("10.0.0.2", 1),
                             .setup = {.labels = cluster, .labels_count = 1}};
    struct fail fail = {0};
    assert_int_equal(conn_register(w.table, &open, w.now, &w.out, &fail), 0);
    peer_unref(open.peer);
    outbox_clear(&w.out, 0);
    conn_reset_all(w.table, &w.out);
    pushed_id("ConnectResetRequest");
    const struct effect *e = only(EFFECT_PUSH);
    assert_int_equal(e->u.push.count, 1);
    assert_true(e->u.push.conns[0] == key);
    assert_null(strstr(text_of(&e->u.push.body), "server"));
}

static void test_reset_all__nobody_there__emits_nothing(void **state)
{
    (void)state;
    conn_reset_all(w.table, &w.out);
    assert_int_equal(w.out.count, 0);
}

/* Vector C15: serverPort is text. */
static void test_reset__names_the_recommended_server(void **state)
{
    (void)state;
    uint64_t key = join("10.0.0.1", 1);
    struct fail fail = {0};
    struct span id = SPAN("1712000000000_10.0.0.1_1");
    assert_int_equal(conn_reset(w.table, id, SPAN("10.0.0.2"), SPAN("8848"), &w.out, &fail), 0);
    struct ack ack = {.request_id = pushed_id("ConnectResetRequest"), .ok = true};
    const char *text = text_of(&only(EFFECT_PUSH)->u.push.body);
    assert_non_null(strstr(text, "\"serverIp\":\"10.0.0.2\",\"serverPort\":\"8848\","
                                 "\"connectionId\":\"1712000000000_10.0.0.1_1\","
                                 "\"module\":\"internal\"}"));
    assert_true(conn_on_ack(w.table, key, &ack, w.now));
    outbox_clear(&w.out, 0);
    assert_int_equal(conn_reset(w.table, id, (struct span){0}, (struct span){0}, &w.out, &fail), 0);
    assert_null(strstr(text_of(&only(EFFECT_PUSH)->u.push.body), "serverIp"));
}

/* A connection of an SDK that is not Java's. */
static void join_go(const char *ip)
{
    struct conn_open open = {
        .peer = arrive(ip, 1),
        .setup = {.client_version = SPAN("Nacos-Go-Client:v2.3.2"),
                  .labels = LABELS,
                  .labels_count = ARRAY_LEN(LABELS)},
    };
    struct fail fail = {0};
    assert_int_equal(conn_register(w.table, &open, w.now, &w.out, &fail), 0);
    peer_unref(open.peer);
    outbox_clear(&w.out, 0);
}

/* How many pushes of the outbox name this port. */
static size_t with_port(const char *port)
{
    size_t count = 0;
    for (size_t i = 0; i < w.out.count; i++) {
        count += strstr(text_of(&w.out.list[i].u.push.body), port) != NULL;
    }
    return count;
}

static void test_reset_some__asks_in_portions__with_targets_in_turn(void **state)
{
    (void)state;
    const struct conn_target targets[] = {{SPAN("n2"), 8848}, {SPAN("n3"), 9000}};
    struct conn_reset_plan plan = {
        .targets = targets, .targets_count = 2, .max = 4, .again_ms = 1000};
    for (uint16_t i = 1; i <= 6; i++) {
        (void)join("10.0.0.1", i);
    }
    assert_int_equal(conn_count_sdk(w.table), 6);
    assert_int_equal(conn_reset_some(w.table, &plan, w.now, &w.out), 4);
    assert_int_equal(with_port("\"serverIp\":\"n2\",\"serverPort\":\"8848\""), 2);
    assert_int_equal(with_port("\"serverIp\":\"n3\",\"serverPort\":\"9000\""), 2);
    outbox_clear(&w.out, 0);
    assert_int_equal(conn_reset_some(w.table, &plan, w.now, &w.out), 2);
    assert_int_equal(conn_reset_some(w.table, &plan, w.now, &w.out), 0);
    w.now.mono_ms += 1000;
    assert_int_equal(conn_reset_some(w.table, &plan, w.now, &w.out), 4);
}

static void test_reset_some__a_target_that_may_not_be_reached__is_not_named(void **state)
{
    (void)state;
    const struct conn_target target = {SPAN("n2"), 8848};
    struct conn_reset_plan plan = {.targets = &target, .targets_count = 1, .max = 9};
    join_go("10.0.0.1");
    assert_int_equal(conn_reset_some(w.table, &plan, w.now, &w.out), 1);
    assert_int_equal(with_port("serverIp"), 0);
    outbox_clear(&w.out, 0);
    plan.is_order = true;
    assert_int_equal(conn_reset_some(w.table, &plan, w.now, &w.out), 1);
    assert_int_equal(with_port("serverIp"), 1);
    outbox_clear(&w.out, 0);
    plan.targets_count = 0;
    assert_int_equal(conn_reset_some(w.table, &plan, w.now, &w.out), 1);
    assert_int_equal(with_port("serverIp"), 0);
}

static void test_end_some__each_once(void **state)
{
    (void)state;
    join_go("10.0.0.1");
    join_go("10.0.0.1");
    assert_int_equal(conn_end_some(w.table, 1, SPAN("why"), &w.out), 1);
    assert_int_equal(conn_end_some(w.table, 2, SPAN("why"), &w.out), 1);
}

static void test_reset__unknown_id__is_not_found(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(conn_reset(w.table, SPAN("1_x_1"), SPAN("h"), SPAN("1"), &w.out, &fail),
                     E_NOT_FOUND);
    assert_non_null(strstr(fail_text(&fail), "1_x_1"));
    assert_int_equal(w.out.count, 0);
}

static void count_one(void *arg, const struct conn_info *info)
{
    assert_non_null(info->peer);
    ++*(int *)arg;
}

static void test_each__visits_every_connection(void **state)
{
    (void)state;
    join("10.0.0.1", 1);
    join("10.0.0.1", 2);
    int count = 0;
    conn_each(w.table, count_one, &count);
    assert_int_equal(count, 2);
}

static void test_destroy__drops_the_peer_references(void **state)
{
    (void)state;
    struct peer *peer = arrive("10.0.0.1", 1);
    assert_int_equal(enter(peer, false), 0);
    assert_int_equal(peer->refs, 2);
    conn_table_destroy(w.table);
    assert_int_equal(peer->refs, 1);
    peer_unref(peer);
    w.table = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    thread_become(THREAD_CORE, "test");
    const struct CMUnitTest tests[] = {
        TEST(test_register__with_ability_table__is_acked),
        TEST(test_register__without_ability_table__is_accepted_silently),
        TEST(test_register__ability_not_offered__is_not_advertised),
        TEST(test_register__twice__keeps_one_and_acks_again),
        TEST(test_find__by_key_and_id__knows_what_the_setup_said),
        TEST(test_find__setup_without_labels__has_defaults),
        TEST(test_unregister__forgets_once),
        TEST(test_register__over_the_total__is_closed_with_the_reason),
        TEST(test_register__over_the_address_limit__leaves_other_addresses_alone),
        TEST(test_tick__silent_for_20_s__is_probed),
        TEST(test_tick__probe_unanswered_for_5_s__ends_the_connection),
        TEST(test_tick__wakes_when_the_probe_is_due),
        TEST(test_ack__of_a_probe__proves_life),
        TEST(test_ack__failed_or_of_another_connection__does_not_save),
        TEST(test_ack__of_a_feature__is_not_ours),
        TEST(test_tick__any_request_after_the_probe__proves_life),
        TEST(test_tick__active_connections__are_left_alone),
        TEST(test_tick__many_silent__share_one_probe),
        TEST(test_unregister__while_probed__leaves_no_trace),
        TEST(test_reset_all__reaches_clients_and_not_servers),
        TEST(test_reset_all__nobody_there__emits_nothing),
        TEST(test_reset__names_the_recommended_server),
        TEST(test_reset_some__asks_in_portions__with_targets_in_turn),
        TEST(test_reset_some__a_target_that_may_not_be_reached__is_not_named),
        TEST(test_end_some__each_once),
        TEST(test_reset__unknown_id__is_not_found),
        TEST(test_each__visits_every_connection),
        TEST(test_destroy__drops_the_peer_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
