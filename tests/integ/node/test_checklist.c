/* The lines of grpc-sdk.md 9 that concern the registry, over the wire, with the vectors of its
 * section 8. The number of the line stands in each name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bad.h"
#include "rig.h"

#define ACK_TIMEOUT_MS 200
#define SERVICE "\"namespace\":\"public\",\"serviceName\":\"demo\",\"groupName\":\"DEFAULT_GROUP\","
#define INSTANCE_GO(port, healthy, metadata)                                                       \
    "\"instance\":{\"instanceId\":\"\",\"ip\":\"10.0.0.1\",\"port\":" port ",\"weight\":10,"       \
    "\"healthy\":" healthy ",\"enabled\":" healthy ",\"ephemeral\":true,\"clusterName\":\"\","     \
    "\"serviceName\":\"\",\"metadata\":" metadata ",\"instanceHeartBeatInterval\":0,"              \
    "\"ipDeleteTimeout\":0,\"instanceHeartBeatTimeOut\":0}}"
/* N01, with a port of its own. */
#define N01(port)                                                                                  \
    "{\"headers\":{}," SERVICE "\"type\":\"registerInstance\",\"instance\":{\"ip\":\"10.0.0.1\","  \
    "\"port\":" port ",\"weight\":1.0,\"healthy\":true,\"enabled\":true,\"ephemeral\":true,"       \
    "\"clusterName\":\"DEFAULT\",\"metadata\":{\"k\":\"v\"},\"instanceHeartBeatInterval\":5000,"   \
    "\"instanceHeartBeatTimeOut\":15000,\"ipDeleteTimeout\":30000},\"module\":\"naming\"}"
#define N02                                                                                        \
    "{\"requestId\":\"\"," SERVICE                                                                 \
    "\"module\":\"naming\",\"type\":\"registerInstance\"," INSTANCE_GO("8080", "true", "{}")
#define N03                                                                                        \
    "{\"requestId\":\"\"," SERVICE                                                                 \
    "\"module\":\"naming\",\"type\":\"deregisterInstance\"," INSTANCE_GO("8080", "false", "null")
#define N05                                                                                        \
    "{\"headers\":{}," SERVICE "\"type\":\"batchRegisterInstance\",\"instances\":[{\"ip\":"        \
    "\"10.0.0.1\",\"port\":8080,\"clusterName\":\"DEFAULT\"},{\"ip\":\"10.0.0.1\",\"port\":8081}"  \
    "],\"module\":\"naming\"}"
#define N06                                                                                        \
    "{\"headers\":{}," SERVICE "\"type\":\"batchRegisterInstance\",\"instances\":[],\"module\":"   \
    "\"naming\"}"
#define N12                                                                                        \
    "{\"headers\":{}," SERVICE "\"cluster\":\"\",\"healthyOnly\":false,\"udpPort\":0,"             \
    "\"module\":\"naming\"}"
#define N14 "{\"headers\":{}," SERVICE "\"subscribe\":true,\"clusters\":\"\",\"module\":\"naming\"}"
#define SETUP_CONFIG                                                                               \
    "{\"clientVersion\":\"Nacos-Java-Client:v2.5.1\",\"labels\":{\"source\":\"sdk\",\"module\":"   \
    "\"config\"},\"abilityTable\":{}}"

static struct rig *rig;
static struct guest guest;
static struct guest watcher;

static int start(void **state)
{
    static const char *const settings[] = {"nacos.naming.push.pushTaskTimeout=200",
                                           "nacos.naming.push.pushTaskRetryDelay=10", NULL};
    (void)state;
    rig = rig_start(settings);
    guest = guest_open(rig_grpc(rig), rig_http(rig));
    watcher = guest_open(rig_grpc(rig), rig_http(rig));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    guest_close(&guest);
    guest_close(&watcher);
    rig_stop(rig);
    return 0;
}

static void expect_from(const struct guest *g, const char *type, const char *body, const char *part)
{
    struct client_reply r = client_ask(g->client, type, body);
    assert_int_equal(r.status, GRPC_STATUS_OK);
    assert_int_equal(r.message.headers_count, 0); /* K30 */
    if (!strstr(r.message.json, part)) {
        fail_msg("%s: wanted %s, came %s %s", type, part, r.message.type, r.message.json);
    }
    client_reply_close(&r);
}

#define FINE "{\"resultCode\":200,\"errorCode\":0,"

/* Take pushes, answering each, until one has this in it. What it said stays until the next. */
static const struct client_message *wait_push(const struct guest *g, const char *part, int ms)
{
    uint64_t until = now_ms() + (uint64_t)ms;
    for (;;) {
        uint64_t now = now_ms();
        const struct client_message *m =
            now < until ? client_stream_next(g->stream, (int)(until - now)) : NULL;
        if (!m) {
            fail_msg("no push with %s within %d ms", part, ms);
            return NULL;
        }
        assert_string_equal(m->type, "NotifySubscriberRequest");
        assert_int_equal(m->headers_count, 0);                          /* K30, R6 */
        assert_int_equal(strncmp(m->json, "{\"headers\":{},", 14), 0);  /* R5 */
        assert_true(client_json_text(m->json, "requestId")[0] != '\0'); /* R5 */
        assert_true(client_stream_ack(g->stream, client_json_text(m->json, "requestId")));
        if (strstr(m->json, part)) {
            return m;
        }
    }
}

static void test_k9__connection_torn__instance_goes_and_is_pushed_at_once(void **state)
{
    (void)state;
    expect_from(&watcher, "SubscribeServiceRequest", N14, FINE);
    expect_from(&guest, "InstanceRequest", N01("8080"), FINE);
    (void)wait_push(&watcher, "\"port\":8080", CLIENT_WAIT_MS);
    uint64_t cut_ms = now_ms();
    client_cut(guest.client);
    (void)wait_push(&watcher, "\"hosts\":[]", CLIENT_WAIT_MS);
    uint64_t took_ms = now_ms() - cut_ms;
    assert_in_range(took_ms, 0, 1000);
    expect_from(&watcher, "ServiceQueryRequest", N12, "\"hosts\":[]");
}

/* The n-th next push without an answer; NULL when none came in time. */
static const struct client_message *next_push(const struct guest *g)
{
    return client_stream_next(g->stream, 5 * ACK_TIMEOUT_MS);
}

static void test_k11__ack_of_go_without_success__counts(void **state)
{
    (void)state;
    expect_from(&watcher, "SubscribeServiceRequest", N14, FINE);
    (void)wait_push(&watcher, "\"hosts\":[]", CLIENT_WAIT_MS); /* the one after a subscription */
    expect_from(&guest, "InstanceRequest", N01("8080"), FINE);
    const struct client_message *m = next_push(&watcher);
    assert_non_null(m);
    m = next_push(&watcher); /* unanswered: again */
    assert_non_null(m);
    assert_non_null(strstr(m->json, "\"port\":8080"));
    char ack[256];
    (void)snprintf(ack, sizeof(ack),
                   "{\"resultCode\":200,\"errorCode\":0,\"success\":false,\"message\":\"\","
                   "\"requestId\":\"%s\"}",
                   client_json_text(m->json, "requestId"));
    assert_true(client_stream_send(watcher.stream, "NotifySubscriberResponse", ack));
    m = next_push(&watcher);
    if (m) { /* it was on its way before the ack */
        (void)snprintf(ack, sizeof(ack),
                       "{\"resultCode\":200,\"success\":false,\"requestId\":\"%s\"}",
                       client_json_text(m->json, "requestId"));
        assert_true(client_stream_send(watcher.stream, "NotifySubscriberResponse", ack));
        m = next_push(&watcher);
    }
    assert_null(m);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

/* R15. */
static void test_k12__second_registration__replaces_the_first(void **state)
{
    (void)state;
    expect_from(&guest, "InstanceRequest", N01("8080"), FINE);
    expect_from(&guest, "InstanceRequest", N01("8081"), FINE);
    struct client_reply r = client_ask(watcher.client, "ServiceQueryRequest", N12);
    assert_non_null(strstr(r.message.json, "\"ip\":\"10.0.0.1\",\"port\":8081,"));
    assert_int_equal(count_of(r.message.json, "\"ip\":"), 1);
    client_reply_close(&r);
}

static void test_k13__deregistration_of_go__removes_whatever_it_says(void **state)
{
    (void)state;
    expect_from(&guest, "InstanceRequest", N02, FINE "\"type\":\"registerInstance\"");
    expect_from(&watcher, "ServiceQueryRequest", N12, "\"weight\":10.0,\"healthy\":true");
    expect_from(&guest, "InstanceRequest", N03, FINE "\"type\":\"deregisterInstance\"");
    expect_from(&watcher, "ServiceQueryRequest", N12, "\"hosts\":[]");
    expect_from(&guest, "InstanceRequest", N03, FINE); /* nothing published: a success too */
}

static void test_k14__empty_batch__empties_and_is_pushed(void **state)
{
    (void)state;
    expect_from(&watcher, "SubscribeServiceRequest", N14, FINE);
    expect_from(&guest, "BatchInstanceRequest", N05, FINE "\"type\":\"batchRegisterInstance\"");
    const struct client_message *m = wait_push(&watcher, "\"port\":8081", CLIENT_WAIT_MS);
    assert_int_equal(count_of(m->json, "\"ip\":"), 2);
    expect_from(&guest, "BatchInstanceRequest", N06, FINE "\"type\":\"batchRegisterInstance\"");
    (void)wait_push(&watcher, "\"hosts\":[]", CLIENT_WAIT_MS);
}

/* N17, but for its time. */
static void test_k15__subscription_to_nothing__answers_and_waits(void **state)
{
    (void)state;
    expect_from(&watcher, "SubscribeServiceRequest", N14,
                "{\"resultCode\":200,\"errorCode\":0,\"message\":\"success\",\"serviceInfo\":"
                "{\"name\":\"demo\",\"groupName\":\"DEFAULT_GROUP\",\"clusters\":\"\","
                "\"cacheMillis\":10000,\"hosts\":[],\"lastRefTime\":1");
    expect_from(&watcher, "SubscribeServiceRequest", N14,
                ",\"checksum\":\"\",\"allIPs\":false,\"reachProtectionThreshold\":false,"
                "\"valid\":true},\"success\":true}");
    expect_from(&guest, "InstanceRequest", N01("8080"), FINE);
    /* N18, but for its id and its time. */
    const struct client_message *m = wait_push(&watcher, "\"port\":8080", CLIENT_WAIT_MS);
    assert_non_null(strstr(
        m->json,
        "\"serviceInfo\":{\"name\":\"demo\",\"groupName\":\"DEFAULT_GROUP\",\"clusters\":\"\","
        "\"cacheMillis\":10000,\"hosts\":[{\"instanceId\":"
        "\"10.0.0.1#8080#DEFAULT#DEFAULT_GROUP@@demo\",\"ip\":\"10.0.0.1\",\"port\":8080,"
        "\"weight\":1.0,\"healthy\":true,\"enabled\":true,\"ephemeral\":true,\"clusterName\":"
        "\"DEFAULT\",\"serviceName\":\"DEFAULT_GROUP@@demo\",\"metadata\":{\"k\":\"v\"},"
        "\"instanceHeartBeatInterval\":5000,\"instanceHeartBeatTimeOut\":15000,"
        "\"ipDeleteTimeout\":30000}],\"lastRefTime\":1"));
    assert_non_null(strstr(m->json, ",\"checksum\":\"\",\"allIPs\":false,"
                                    "\"reachProtectionThreshold\":false,\"valid\":true},"
                                    "\"module\":\"naming\"}"));
}

static long long time_of(const char *json)
{
    const char *at = strstr(json, "\"lastRefTime\":");
    assert_non_null(at);
    return strtoll(at + strlen("\"lastRefTime\":"), NULL, 10);
}

/* R10: whoever asks, and by whatever way. */
static void test_k16__every_read__is_later_than_the_one_before(void **state)
{
    (void)state;
    expect_from(&guest, "InstanceRequest", N01("8080"), FINE);
    long long last = 0;
    for (int i = 0; i < 300; i++) {
        struct client_reply r = i % 3 == 0
                                    ? client_ask(guest.client, "SubscribeServiceRequest", N14)
                                    : client_ask(watcher.client, "ServiceQueryRequest", N12);
        long long now = time_of(r.message.json);
        assert_true(now > last);
        last = now;
        client_reply_close(&r);
        if (i % 10 == 0) {
            struct web_reply w =
                web_ask(rig_http(rig), "GET /nacos/v1/ns/instance/list?serviceName=demo", "", NULL);
            now = time_of(w.body);
            assert_true(now > last);
            last = now;
            web_reply_close(&w);
        }
    }
}

static void test_k26__connection_of_the_configuration__is_no_naming_client(void **state)
{
    (void)state;
    struct client *c = client_open(rig_grpc(rig), NULL);
    struct guest config = {.client = c, .stream = client_register(c, SETUP_CONFIG)};
    struct client_reply check = client_ask(c, "ServerCheckRequest", "{}");
    char id[128];
    char wanted[400];
    (void)snprintf(id, sizeof(id), "%s", client_json_text(check.message.json, "connectionId"));
    client_reply_close(&check);
    assert_true(id[0] != '\0');
    (void)snprintf(wanted, sizeof(wanted),
                   "{\"resultCode\":500,\"errorCode\":-401,\"message\":\"errCode: -401, errMsg: "
                   "Client [%s] connection already disconnect, can't register ephemeral instance. "
                   "\",\"success\":false}",
                   id);
    expect_from(&config, "InstanceRequest", N01("8080"), wanted);
    expect_from(&config, "BatchInstanceRequest", N05, "\"errorCode\":-401");
    expect_from(&config, "SubscribeServiceRequest", N14, "\"errorCode\":-401");
    expect_from(&config, "ServiceQueryRequest", N12, "\"hosts\":[]"); /* reading needs no client */
    expect_from(&config, "InstanceRequest", N03, FINE); /* nothing published: a success */
    assert_int_equal(figures_read(rig_http(rig)).instances, 0);
    guest_close(&config);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_k9__connection_torn__instance_goes_and_is_pushed_at_once),
        TEST(test_k11__ack_of_go_without_success__counts),
        TEST(test_k12__second_registration__replaces_the_first),
        TEST(test_k13__deregistration_of_go__removes_whatever_it_says),
        TEST(test_k14__empty_batch__empties_and_is_pushed),
        TEST(test_k15__subscription_to_nothing__answers_and_waits),
        TEST(test_k16__every_read__is_later_than_the_one_before),
        TEST(test_k26__connection_of_the_configuration__is_no_naming_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
