/* One registration, seen through every way to look at it, as it comes and as it goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bad.h"
#include "base/macros.h"
#include "rig.h"

#define NAME "\"namespace\":\"n\",\"groupName\":\"G\",\"serviceName\":\"shop\""
#define WHERE "serviceName=shop&groupName=G&namespaceId=n"
#define HOST                                                                                       \
    "{\"instanceId\":\"10.1.2.3#8080#C1#G@@shop\",\"ip\":\"10.1.2.3\",\"port\":8080,"              \
    "\"weight\":2.5,\"healthy\":true,\"enabled\":true,\"ephemeral\":%s,\"clusterName\":\"C1\","    \
    "\"serviceName\":\"G@@shop\",\"metadata\":{\"zone\":\"\xc3\xa4\"},"                            \
    "\"instanceHeartBeatInterval\":5000,\"instanceHeartBeatTimeOut\":15000,"                       \
    "\"ipDeleteTimeout\":30000}"
#define DETAIL                                                                                     \
    "\"G@@shop\",\"ip\":\"10.1.2.3\",\"port\":8080,\"clusterName\":\"C1\",\"weight\":2.5,"         \
    "\"healthy\":true,\"instanceId\":\"10.1.2.3#8080#C1#G@@shop\",\"metadata\":{\"zone\":"         \
    "\"\xc3\xa4\"}}"
#define REGISTER                                                                                   \
    "{" NAME ",\"type\":\"registerInstance\",\"instance\":{\"ip\":\"10.1.2.3\",\"port\":8080,"     \
    "\"weight\":2.5,\"clusterName\":\"C1\",\"metadata\":{\"zone\":\"\xc3\xa4\"}}}"

static struct rig *rig;
static struct guest guest;
static struct guest watcher;

static int start(void **state)
{
    (void)state;
    rig = rig_start(NULL);
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

static void expect_rpc(const struct guest *g, const char *type, const char *body, const char *part)
{
    struct client_reply r = client_ask(g->client, type, body);
    assert_int_equal(r.status, GRPC_STATUS_OK);
    if (!strstr(r.message.json, part)) {
        fail_msg("%s: wanted %s, came %s", type, part, r.message.json);
    }
    client_reply_close(&r);
}

static bool web_has(const char *path, const char *part, bool loud)
{
    char line[400];
    (void)snprintf(line, sizeof(line), "GET /nacos%s", path);
    struct web_reply r = web_ask(rig_http(rig), line, "", NULL);
    bool has = r.status == 200 && strstr(r.body, part);
    if (!has && loud) {
        fail_msg("%s: wanted %s, came %d %s", path, part, r.status, r.body);
    }
    web_reply_close(&r);
    return has;
}

static void expect_web(const char *path, const char *part)
{
    (void)web_has(path, part, true);
}

static void wait_web(const char *path, const char *part)
{
    uint64_t until = now_ms() + CLIENT_WAIT_MS;
    while (!web_has(path, part, now_ms() >= until)) {
        (void)wait_a_little(until);
    }
}

/* Everything that shows instances and services. */
static void expect_seen(bool ephemeral)
{
    char host[600];
    char part[700];
    (void)snprintf(host, sizeof(host), HOST, ephemeral ? "true" : "false");
    expect_rpc(&watcher, "ServiceQueryRequest", "{" NAME "}", host);
    expect_rpc(&watcher, "ServiceQueryRequest", "{" NAME ",\"cluster\":\"C0,C1\"}", host);
    expect_rpc(&watcher, "ServiceQueryRequest", "{" NAME ",\"cluster\":\"C0\"}", "\"hosts\":[]");
    expect_rpc(&watcher, "ServiceListRequest",
               "{\"namespace\":\"n\",\"groupName\":\"G\",\"pageNo\":1,\"pageSize\":10}",
               "\"count\":1,\"serviceNames\":[\"shop\"]");
    (void)snprintf(part, sizeof(part), "\"hosts\":[%s]", host);
    expect_web("/v1/ns/instance/list?" WHERE, part);
    expect_web("/v1/ns/instance/list?serviceName=G@@shop&namespaceId=n&healthyOnly=true", part);
    expect_web("/v2/ns/instance/list?" WHERE, part);
    expect_web("/v1/ns/instance?" WHERE "&ip=10.1.2.3&port=8080&clusterName=C1",
               "{\"service\":" DETAIL);
    expect_web("/v2/ns/instance?" WHERE "&ip=10.1.2.3&port=8080&clusterName=C1",
               "\"data\":{\"serviceName\":" DETAIL);
    expect_web("/v1/ns/service/list?pageNo=1&pageSize=10&groupName=G&namespaceId=n",
               "{\"count\":1,\"doms\":[\"shop\"]}");
    expect_web("/v2/ns/service/list?groupName=G&namespaceId=n",
               "\"data\":{\"count\":1,\"services\":[\"shop\"]}");
    expect_web("/v1/ns/service?" WHERE, "\"clusters\":[{\"name\":\"C1\",");
    expect_web("/v2/ns/service?" WHERE, ephemeral ? "\"ephemeral\":true" : "\"ephemeral\":false");
    expect_web("/v1/ns/catalog/services?namespaceId=n&pageNo=1&pageSize=10",
               "{\"count\":1,\"serviceList\":[{\"name\":\"shop\",\"groupName\":\"G\","
               "\"clusterCount\":1,\"ipCount\":1,\"healthyInstanceCount\":1,");
    (void)snprintf(part, sizeof(part), "{\"list\":[%s],\"count\":1}", host);
    expect_web("/v1/ns/catalog/instances?" WHERE "&clusterName=C1&pageNo=1&pageSize=10", part);
    expect_web("/actuator/prometheus", "name=\"ipCount\"} 1\n");
    assert_int_equal(figures_read(rig_http(rig)).instances, 1);
}

static void expect_gone(void)
{
    expect_rpc(&watcher, "ServiceQueryRequest", "{" NAME "}", "\"hosts\":[]");
    expect_web("/v1/ns/instance/list?" WHERE, "\"hosts\":[]");
    expect_web("/v2/ns/instance/list?" WHERE, "\"hosts\":[]");
    struct web_reply r = web_ask(
        rig_http(rig), "GET /nacos/v1/ns/instance?" WHERE "&ip=10.1.2.3&port=8080&clusterName=C1",
        "", NULL);
    assert_int_equal(r.status, 404);
    assert_string_equal(r.body, "no ips found for cluster C1 in service G@@shop");
    web_reply_close(&r);
    assert_int_equal(figures_read(rig_http(rig)).instances, 0);
    expect_web("/actuator/prometheus", "name=\"ipCount\"} 0\n");
}

/* The id of a guest's connection, as a path's parameter would have it. */
static const char *id_of(const struct guest *g)
{
    static char id[128];
    struct client_reply r = client_ask(g->client, "ServerCheckRequest", "{}");
    (void)snprintf(id, sizeof(id), "%s", client_json_text(r.message.json, "connectionId"));
    client_reply_close(&r);
    assert_true(id[0] != '\0');
    return id;
}

static void expect_client(const char *id)
{
    char path[300];
    char part[300];
    (void)snprintf(part, sizeof(part), "\"%s\"", id);
    expect_web("/v2/ns/client/list", part);
    (void)snprintf(path, sizeof(path), "/v2/ns/client?clientId=%s", id);
    expect_web(path, "\"clientType\":\"connection\",\"connectType\":\"GRPC\",\"appName\":\"unknown"
                     "\",\"version\":\"Nacos-Java-Client:v2.5.1\"");
    (void)snprintf(path, sizeof(path), "/v2/ns/client/publish/list?clientId=%s", id);
    expect_web(path, "[{\"namespace\":\"n\",\"group\":\"G\",\"serviceName\":\"shop\","
                     "\"registeredInstance\":{\"ip\":\"10.1.2.3\",\"port\":8080,\"cluster\":"
                     "\"C1\"}}]");
    (void)snprintf(path, sizeof(path), "/v2/ns/client/subscribe/list?clientId=%s", id);
    expect_web(path, "\"data\":[]");
}

static void expect_subscriber(void)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "/v2/ns/client/subscribe/list?clientId=%s", id_of(&watcher));
    expect_web(path, "[{\"namespace\":\"n\",\"group\":\"G\",\"serviceName\":\"shop\","
                     "\"subscriberInfo\":{\"app\":\"unknown\",\"agent\":\"Nacos-Java-Client:v2.5.1"
                     "\",\"addr\":\"10.0.0.9\"}}]");
    expect_web("/v1/ns/service/subscribers?" WHERE,
               "\"agent\":\"Nacos-Java-Client:v2.5.1\",\"app\":\"unknown\",\"ip\":\"10.0.0.9\"");
}

static void test_registration_over_grpc__is_seen_everywhere_and_so_is_its_kill(void **state)
{
    (void)state;
    expect_rpc(&watcher, "SubscribeServiceRequest", "{" NAME ",\"subscribe\":true}",
               "\"hosts\":[]");
    expect_rpc(&guest, "InstanceRequest", REGISTER, "\"errorCode\":0");
    expect_seen(true);
    expect_client(id_of(&guest));
    expect_subscriber();
    char removal[300];
    (void)snprintf(removal, sizeof(removal),
                   "\"instance\":\"10.1.2.3:8080#C1\",\"client\":\"%s\",\"reason\":\"its "
                   "connection closed\"}",
                   id_of(&guest));
    client_cut(guest.client);
    wait_web("/v1/nacre/removals?" WHERE, removal);
    expect_gone();
    expect_web("/actuator/prometheus",
               "nacre_removals_total{reason=\"its connection closed\"} 1\n");
}

static void test_deregistration_over_grpc__is_seen_everywhere_with_its_reason(void **state)
{
    (void)state;
    expect_rpc(&guest, "InstanceRequest", REGISTER, "\"errorCode\":0");
    expect_seen(true);
    expect_rpc(&guest, "InstanceRequest", "{" NAME ",\"type\":\"deregisterInstance\"}",
               "\"errorCode\":0");
    expect_gone();
    expect_web("/v1/nacre/removals?" WHERE, "\"reason\":\"deregistered by its client\"}");
}

#define FORM                                                                                       \
    WHERE "&ip=10.1.2.3&port=8080&clusterName=C1&weight=2.5&metadata=%7B%22zone%22:%22%C3%A4%22%"  \
          "7D"

static void expect_write(const char *line, const char *body, const char *answer)
{
    struct web_reply r = web_ask(rig_http(rig), line, "", body);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, answer);
    web_reply_close(&r);
}

static void test_registration_over_http__is_seen_everywhere(void **state)
{
    (void)state;
    expect_write("POST /nacos/v1/ns/instance", FORM, "ok");
    expect_seen(true);
    expect_web("/v2/ns/client/list", "\"10.1.2.3:8080#true\"");
    expect_write("DELETE /nacos/v1/ns/instance?" FORM, NULL, "ok");
    expect_gone();
    expect_web("/v1/nacre/removals?" WHERE, "\"reason\":\"deregistered over HTTP\"}");
}

static void
test_persistent_registration__is_seen_everywhere_and_outlives_its_connection(void **state)
{
    (void)state;
    expect_rpc(&guest, "PersistentInstanceRequest", REGISTER, "\"errorCode\":0");
    expect_seen(false);
    client_cut(guest.client);
    uint64_t until = now_ms() + CLIENT_WAIT_MS;
    while (figures_read(rig_http(rig)).clients > 2) {
        assert_true(wait_a_little(until));
    }
    expect_seen(false);
    expect_write("DELETE /nacos/v1/ns/instance?ephemeral=false&" FORM, NULL, "ok");
    expect_gone();
}

/* What an operator sets is what everybody sees. */
static void test_operators_change__is_seen_everywhere(void **state)
{
    (void)state;
    expect_rpc(&guest, "InstanceRequest", REGISTER, "\"errorCode\":0");
    expect_write("PUT /nacos/v1/ns/instance",
                 WHERE "&ip=10.1.2.3&port=8080&clusterName=C1&weight=7&enabled=false&metadata=a=b",
                 "ok");
    expect_rpc(&watcher, "ServiceQueryRequest", "{" NAME "}", "\"hosts\":[]");
    expect_web("/v1/ns/instance/list?" WHERE, "\"hosts\":[]");
    expect_web("/v1/ns/catalog/instances?" WHERE "&clusterName=C1&pageNo=1&pageSize=10",
               "\"weight\":7.0,\"healthy\":true,\"enabled\":false,");
    expect_write("PUT /nacos/v2/ns/instance",
                 WHERE "&ip=10.1.2.3&port=8080&clusterName=C1&weight=7&enabled=true&metadata=a=b",
                 "{\"code\":0,\"message\":\"success\",\"data\":\"ok\"}");
    const char *effective = "\"weight\":7.0,\"healthy\":true,\"enabled\":true,\"ephemeral\":true,"
                            "\"clusterName\":\"C1\",\"serviceName\":\"G@@shop\",\"metadata\":{"
                            "\"zone\":\"\xc3\xa4\",\"a\":\"b\"}";
    expect_rpc(&watcher, "ServiceQueryRequest", "{" NAME "}", effective);
    expect_web("/v1/ns/instance/list?" WHERE, effective);
    expect_web("/v2/ns/instance/list?" WHERE, effective);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_registration_over_grpc__is_seen_everywhere_and_so_is_its_kill),
        TEST(test_deregistration_over_grpc__is_seen_everywhere_with_its_reason),
        TEST(test_registration_over_http__is_seen_everywhere),
        TEST(test_persistent_registration__is_seen_everywhere_and_outlives_its_connection),
        TEST(test_operators_change__is_seen_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
