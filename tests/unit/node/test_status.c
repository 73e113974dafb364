/* What the node says of itself, against recordings of Nacos 2.5.1 (golden http/health, console,
 * naming-operator, naming-v2). */
#include "node/status.h"

#include "core_rig.h"

#include "base/thread.h"
#include "node/core_state.h"
#include "wire/json_in.h"

/* A core that does not run: the test's thread is its. */
struct bed {
    struct core *core;
    struct options options;
    struct status status;
    atomic_bool ready;
};

static void open_bed(struct bed *b)
{
    *b = (struct bed){
        .options = {.server_port = 8848, .prometheus = true, .datasource_platform = ""}};
    atomic_store(&b->ready, true);
    struct core_options options = rig_options();
    struct fail fail = {0};
    assert_int_equal(core_create(&options, &b->core, &fail), 0);
    status_init(&b->status, b->core, &b->options, &b->ready);
}

static void close_bed(struct bed *b)
{
    core_destroy(b->core);
}

static const struct api_row *row_of(const char *path)
{
    size_t count = 0;
    const struct api_row *rows = status_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, path) == 0) {
            return &rows[i];
        }
    }
    fail_msg("no row answers %s", path);
    return NULL;
}

/* What GET path?name=value came to. */
struct reply {
    int err;
    struct fail fail;
    int http_status; /* 0: 200 */
    const char *content_type;
    bool asked_core;
    char *text; /* mem_free */
};

static struct reply get(struct bed *b, const char *path, const char *name, const char *value)
{
    struct api_param param = {span_str(name), span_str(value)};
    struct api_params params = {.list = &param, .count = name ? 1 : 0};
    struct api_call call = {.row = row_of(path)};
    struct outbox out = {0};
    struct reply r = {0};
    arena_init(&call.arena, API_ARENA_MAX);
    assert_int_equal(call.row->decode_http(&call, &params, &r.fail), 0);
    int next = API_TO_CORE;
    if (call.row->read) {
        next = call.row->read(&b->status, &call, clock_now(), &r.fail);
    }
    if (next == API_TO_CORE) {
        r.asked_core = true;
        next = call.row->admit(&b->status, &call, clock_now(), &out, &r.fail);
    }
    assert_true(next <= 0);
    assert_int_equal(out.count, 0);
    r.err = next;
    r.http_status = call.reply.http_status;
    r.content_type = call.reply.content_type;
    r.text = mem_zalloc(body_len(&call.reply.body) + 1, 1);
    body_copy(&call.reply.body, r.text);
    body_close(&call.reply.body);
    arena_close(&call.arena);
    outbox_close(&out);
    return r;
}

static void expect(struct bed *b, const char *path, int http_status, const char *text)
{
    struct reply r = get(b, path, NULL, NULL);
    if (r.err || r.http_status != http_status || strcmp(r.text, text) != 0) {
        fail_msg("%s: expected %d %s\ngot %s %d %s", path, http_status, text, err_name(r.err),
                 r.http_status, r.text);
    }
    mem_free(r.text);
}

#define V2_OK "{\"code\":0,\"message\":\"success\",\"data\":\"ok\"}"
#define V2_NOT_READY "{\"code\":30000,\"message\":\"naming not in readiness\",\"data\":null}"

static void test_liveness__ready_or_not__is_ok(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    for (int round = 0; round < 2; round++) {
        expect(&b, "/v1/console/health/liveness", 0, "OK");
        expect(&b, "/v2/console/health/liveness", 0, V2_OK);
        expect(&b, "/actuator/health", 0, "{\"status\":\"UP\"}");
        atomic_store(&b.ready, false);
    }
    close_bed(&b);
}

static void test_readiness__tells_the_truth(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    expect(&b, "/v1/console/health/readiness", 0, "OK");
    expect(&b, "/v2/console/health/readiness", 0, V2_OK);
    atomic_store(&b.ready, false);
    expect(&b, "/v1/console/health/readiness", 500, "naming not in readiness");
    /* v2 answers HTTP 200 (http-api.md 8.4). */
    expect(&b, "/v2/console/health/readiness", 0, V2_NOT_READY);
    close_bed(&b);
}

static void test_readiness__of_a_node_that_sends_its_clients_away__is_over(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    b.core->has_left = true;
    expect(&b, "/v1/console/health/readiness", 500, "this node is stopping");
    expect(&b, "/v2/console/health/readiness", 0,
           "{\"code\":30000,\"message\":\"this node is stopping\",\"data\":null}");
    expect(&b, "/v1/console/health/liveness", 0, "OK");
    close_bed(&b);
}

/* A core that hangs must not be called ready by an edge that does not. */
static void test_readiness__asks_the_core__and_liveness_does_not(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    static const struct {
        const char *path;
        bool asks;
    } cases[] = {
        {"/v1/console/health/readiness", true}, {"/v2/console/health/readiness", true},
        {"/v1/console/health/liveness", false}, {"/v2/console/health/liveness", false},
        {"/v1/console/server/state", false},    {"/actuator/health", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = get(&b, cases[i].path, NULL, NULL);
        assert_int_equal(r.asked_core, cases[i].asks);
        mem_free(r.text);
    }
    close_bed(&b);
}

static void test_state__has_the_keys_of_nacos_as_texts(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    struct reply r = get(&b, "/v1/console/server/state", NULL, NULL);
    static const struct {
        const char *key;
        const char *value;
    } want[] = {
        {"version", "2.5.1"},
        {"startup_mode", "standalone"},
        {"server_port", "8848"},
        {"auth_enabled", "false"},
        {"login_page_enabled", "false"},
        {"auth_system_type", "nacos"},
        {"auth_admin_request", "false"},
        {"console_ui_enabled", "true"},
        {"datasource_platform", ""},
        {"nacre_version", NACRE_VERSION},
        {"nacre_uptime_seconds", "0"},
    };
    struct cJSON *doc = NULL;
    struct arena arena;
    arena_init(&arena, API_ARENA_MAX);
    assert_int_equal(json_in_object(span_str(r.text), &doc, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct span value = SPAN("missing");
        assert_int_equal(json_in_str(doc, want[i].key, &arena, &value, NULL), 0);
        if (!span_eq(value, span_str(want[i].value))) {
            fail_msg("%s is %.*s", want[i].key, SPAN_ARG(value));
        }
    }
    assert_non_null(strstr(r.text, "\"function_mode\":null"));
    json_in_free(doc);
    arena_close(&arena);
    mem_free(r.text);
    close_bed(&b);
}

static void test_operator__only_status_unless_asked_for_all(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    static const char *const v1[] = {"/v1/ns/operator/metrics", "/v1/ns/ops/metrics"};
    static const char *const v2[] = {"/v2/ns/operator/metrics", "/v2/ns/ops/metrics"};
    for (size_t i = 0; i < 2; i++) {
        expect(&b, v1[i], 0, "{\"status\":\"UP\"}");
        expect(&b, v2[i], 0, "{\"code\":0,\"message\":\"success\",\"data\":{\"status\":\"UP\"}}");
        struct reply r = get(&b, v1[i], "onlyStatus", "TRUE");
        assert_string_equal(r.text, "{\"status\":\"UP\"}");
        mem_free(r.text);
        r = get(&b, v1[i], "onlyStatus", "false");
        const char *figures =
            "{\"status\":\"UP\",\"serviceCount\":0,\"instanceCount\":0,\"subscribeCount\":0,"
            "\"responsibleInstanceCount\":0,\"clientCount\":0,\"connectionBasedClientCount\":0,"
            "\"ephemeralIpPortClientCount\":0,\"persistentIpPortClientCount\":0,"
            "\"responsibleClientCount\":0,\"cpu\":";
        assert_true(strncmp(r.text, figures, strlen(figures)) == 0);
        mem_free(r.text);
        /* v2 leaves out responsibleInstanceCount. */
        r = get(&b, v2[i], "onlyStatus", "false");
        assert_null(strstr(r.text, "responsibleInstanceCount"));
        assert_non_null(strstr(r.text, "\"responsibleClientCount\":0,\"cpu\":"));
        mem_free(r.text);
    }
    close_bed(&b);
}

static void test_operator__machine_figures__are_shares(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    struct reply r = get(&b, "/v1/ns/operator/metrics", "onlyStatus", "false");
    struct cJSON *doc = NULL;
    assert_int_equal(json_in_object(span_str(r.text), &doc, NULL), 0);
    double cpu = -1;
    double load = -1;
    double mem = -1;
    assert_int_equal(json_in_double(doc, "cpu", &cpu, NULL), 0);
    assert_int_equal(json_in_double(doc, "load", &load, NULL), 0);
    assert_int_equal(json_in_double(doc, "mem", &mem, NULL), 0);
    assert_true(cpu >= 0 && cpu < 1000);
    assert_true(load >= 0);
    assert_true(mem > 0 && mem <= 1);
    json_in_free(doc);
    mem_free(r.text);
    close_bed(&b);
}

static void test_health_server__counts_services_and_names_the_port(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    expect(&b, "/v1/ns/health/server", 0,
           "{\"msg\":\"Hello! I am Nacos-Naming and healthy! total services: 0, local "
           "port:8848\"}");
    close_bed(&b);
}

static void test_prometheus__on_or_off(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    struct reply r = get(&b, "/actuator/prometheus", NULL, NULL);
    assert_int_equal(r.err, 0);
    assert_string_equal(r.content_type, "text/plain;version=0.0.4;charset=utf-8");
    assert_true(strncmp(r.text, "# HELP ", 7) == 0);
    mem_free(r.text);
    b.options.prometheus = false;
    r = get(&b, "/actuator/prometheus", NULL, NULL);
    assert_int_equal(r.err, E_NOT_FOUND);
    assert_string_equal(r.fail.text,
                        "metrics are switched off; set nacre.prometheus=true to serve them");
    mem_free(r.text);
    close_bed(&b);
}

static void test_content_type__of_the_actuator__is_its_own(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    struct reply r = get(&b, "/actuator/health", NULL, NULL);
    assert_string_equal(r.content_type, "application/vnd.spring-boot.actuator.v3+json");
    mem_free(r.text);
    close_bed(&b);
}

/* Health checks carry no credentials: none of these rows may ever want some. */
static void test_rows__are_open_and_read_only(void **state)
{
    (void)state;
    size_t count = 0;
    const struct api_row *rows = status_rows(&count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rows[i].permission, API_OPEN);
        assert_int_equal(rows[i].methods, API_GET);
        assert_true(rows[i].read || rows[i].admit);
        bool v2 = strncmp(rows[i].name, "/v2/", 4) == 0;
        bool v1_ns = strncmp(rows[i].name, "/v1/ns/", 7) == 0;
        assert_int_equal(rows[i].shape, v2      ? API_SHAPE_V2
                                        : v1_ns ? API_SHAPE_NAMING1
                                                : API_SHAPE_TEXT);
    }
}

int main(void)
{
    thread_become(THREAD_CORE, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_liveness__ready_or_not__is_ok),
        cmocka_unit_test(test_readiness__tells_the_truth),
        cmocka_unit_test(test_readiness__of_a_node_that_sends_its_clients_away__is_over),
        cmocka_unit_test(test_readiness__asks_the_core__and_liveness_does_not),
        cmocka_unit_test(test_state__has_the_keys_of_nacos_as_texts),
        cmocka_unit_test(test_operator__only_status_unless_asked_for_all),
        cmocka_unit_test(test_operator__machine_figures__are_shares),
        cmocka_unit_test(test_health_server__counts_services_and_names_the_port),
        cmocka_unit_test(test_prometheus__on_or_off),
        cmocka_unit_test(test_content_type__of_the_actuator__is_its_own),
        cmocka_unit_test(test_rows__are_open_and_read_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
