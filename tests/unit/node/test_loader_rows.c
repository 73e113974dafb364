#include "node/loader_rows.h"

#include "api/params.h"
#include "disk_rig.h"
#include "node/core_state.h"

#define TEXT_MAX 8192

static const struct api_row *find_row(const char *name)
{
    size_t count = 0;
    const struct api_row *rows = loader_http_rows(&count);
    char path[64];
    snprintf(path, sizeof(path), "/v2/core/loader/%s", name);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, path) == 0) {
            return &rows[i];
        }
    }
    fail_msg("no row %s", path);
    return NULL;
}

/* Ask a row with a query: 0 or the code; text of body or failure. */
static int ask(struct disk *d, const char *name, const char *query, char text[TEXT_MAX])
{
    const struct api_row *row = find_row(name);
    struct options options = {.server_address = "0.0.0.0", .server_port = 8848};
    struct cluster_rows self = {d->core, &options};
    struct api_param list[4];
    struct api_params params = {.list = list};
    struct span rest = span_str(query);
    while (!span_empty(rest)) {
        struct span value = span_cut(&rest, '&');
        struct span key = span_cut(&value, '=');
        list[params.count++] = (struct api_param){key, value};
    }
    struct rig_call c;
    struct fail fail = {0};
    rig_call_open(&c, row, &self);
    int err = row->decode_http(&c.call, &params, &fail);
    memset(text, 0, TEXT_MAX);
    if (err) {
        snprintf(text, TEXT_MAX, "%s", fail_text(&fail));
    } else {
        rig_post(d->core, &c);
        assert_int_equal(rig_wait(&c), 1);
        err = c.call.reply.fail.code;
        assert_true(body_len(&c.call.reply.body) < TEXT_MAX);
        body_copy(&c.call.reply.body, text);
    }
    rig_call_close(&c);
    return err;
}

static void test_alone__answers_as_nacos_recorded(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    char text[TEXT_MAX];
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    assert_int_equal(ask(&d, "current", "", text), 0);
    assert_string_equal(text, "{}");
    assert_int_equal(ask(&d, "cluster", "", text), 0);
    assert_non_null(strstr(text, "{\"total\":0,\"min\":0,\"avg\":0,\"max\":0,\"memberCount\":1,"
                                 "\"metricsCount\":1,\"threshold\":0.0,\"detail\":[{\"address\":"
                                 "\"127.0.0.1:8848\",\"metric\":{\"load\":\""));
    assert_non_null(strstr(text, "\"conCount\":\"0\"}}],\"completed\":true}"));
    assert_int_equal(ask(&d, "smartReloadCluster", "", text), 0);
    assert_string_equal(text, "Ok");
    assert_int_equal(ask(&d, "reloadCurrent", "count=100", text), 0);
    assert_string_equal(text, "success");
    assert_int_equal(ask(&d, "reloadClient", "connectionId=x", text), 0);
    assert_string_equal(text, "success");
    disk_close(&d);
}

static void test_connections__are_listed_and_sent_away(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    char text[TEXT_MAX];
    char query[160];
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    struct peer *p = peer_create(SPAN("192.0.2.7"), 1234, 1700000000123, clock_mono_ms());
    rig_open_conn(d.core, p, RIG_SETUP);
    assert_int_equal(ask(&d, "current", "", text), 0);
    assert_non_null(strstr(text,
                           "{\"1700000000123_192.0.2.7_1234\":{\"traced\":false,\"metaInfo\":{"
                           "\"connectType\":\"GRPC\",\"clientIp\":\"192.0.2.7\","));
    assert_non_null(strstr(text, "\"labels\":{\"source\":\"sdk\",\"module\":\"naming\","
                                 "\"AppName\":\"app\"},\"sdkSource\":true,"));
    assert_int_equal(ask(&d, "cluster", "", text), 0);
    assert_non_null(strstr(text, "{\"total\":1,\"min\":1,\"avg\":1,\"max\":1,"));
    assert_non_null(strstr(text, "\"sdkConCount\":\"1\""));
    snprintf(query, sizeof(query), "connectionId=%s&redirectAddress=n2:8848", p->id);
    assert_int_equal(ask(&d, "reloadClient", query, text), 0);
    assert_string_equal(text, "success");
    assert_int_equal(ask(&d, "reloadCurrent", "count=0&redirectAddress=[::1]:8848", text), 0);
    assert_string_equal(text, "success");
    peer_unref(p);
    disk_close(&d);
}

static void test_parameters__missing_or_wrong__are_named(void **state)
{
    (void)state;
    struct disk d;
    char text[TEXT_MAX];
    disk_init(&d);
    assert_int_equal(ask(&d, "reloadCurrent", "", text), E_MISSING);
    assert_string_equal(text,
                        "Required request parameter 'count' for method parameter type Integer "
                        "is not present");
    assert_int_equal(ask(&d, "reloadClient", "", text), E_MISSING);
    assert_string_equal(text, "Required request parameter 'connectionId' for method parameter type "
                              "String is not present");
    assert_int_equal(ask(&d, "reloadCurrent", "count=x", text), E_INVALID);
    assert_int_equal(ask(&d, "reloadCurrent", "count=-1", text), E_INVALID);
    assert_int_equal(ask(&d, "reloadCurrent", "count=1&redirectAddress=n2", text), E_INVALID);
    assert_string_equal(text, "redirectAddress: expected HOST:PORT, found 'n2'");
    assert_int_equal(ask(&d, "reloadClient", "connectionId=x&redirectAddress=a:1,b:2", text),
                     E_INVALID);
    assert_int_equal(ask(&d, "smartReloadCluster", "loaderFactor=-1", text), E_INVALID);
    assert_int_equal(ask(&d, "smartReloadCluster", "loaderFactor=much", text), E_INVALID);
    disk_close(&d);
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone__answers_as_nacos_recorded),
        cmocka_unit_test(test_connections__are_listed_and_sent_away),
        cmocka_unit_test(test_parameters__missing_or_wrong__are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
