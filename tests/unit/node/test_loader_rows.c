#include "node/loader_rows.h"

#include "ask_rig.h"

/* Ask a row: 0 or the code; text of body or failure. */
static int ask_loader(struct disk *d, const char *name, const char *query, struct ask *ret)
{
    size_t count = 0;
    const struct api_row *rows = loader_http_rows(&count);
    char path[64];
    snprintf(path, sizeof(path), "/v2/core/loader/%s", name);
    ask(d, ask_row(rows, count, path), query, ret);
    return ret->err;
}

static void test_alone__answers_as_nacos_recorded(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    struct ask got;
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    assert_int_equal(ask_loader(&d, "current", "", &got), 0);
    assert_string_equal(got.text, "{}");
    assert_int_equal(ask_loader(&d, "cluster", "", &got), 0);
    assert_non_null(strstr(got.text,
                           "{\"total\":0,\"min\":0,\"avg\":0,\"max\":0,\"memberCount\":1,"
                           "\"metricsCount\":1,\"threshold\":0.0,\"detail\":[{\"address\":"
                           "\"127.0.0.1:8848\",\"metric\":{\"load\":\""));
    assert_non_null(strstr(got.text, "\"conCount\":\"0\"}}],\"completed\":true}"));
    assert_int_equal(ask_loader(&d, "smartReloadCluster", "", &got), 0);
    assert_string_equal(got.text, "Ok");
    assert_int_equal(ask_loader(&d, "reloadCurrent", "count=100", &got), 0);
    assert_string_equal(got.text, "success");
    assert_int_equal(ask_loader(&d, "reloadClient", "connectionId=x", &got), 0);
    assert_string_equal(got.text, "success");
    disk_close(&d);
}

static void test_connections__are_listed_and_sent_away(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    struct ask got;
    char query[160];
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    struct peer *p = peer_create(SPAN("192.0.2.7"), 1234, 1700000000123, clock_mono_ms());
    rig_open_conn(d.core, p, RIG_SETUP);
    assert_int_equal(ask_loader(&d, "current", "", &got), 0);
    assert_non_null(strstr(got.text,
                           "{\"1700000000123_192.0.2.7_1234\":{\"traced\":false,\"metaInfo\":{"
                           "\"connectType\":\"GRPC\",\"clientIp\":\"192.0.2.7\","));
    assert_non_null(strstr(got.text, "\"labels\":{\"source\":\"sdk\",\"module\":\"naming\","
                                     "\"AppName\":\"app\"},\"sdkSource\":true,"));
    assert_int_equal(ask_loader(&d, "cluster", "", &got), 0);
    assert_non_null(strstr(got.text, "{\"total\":1,\"min\":1,\"avg\":1,\"max\":1,"));
    assert_non_null(strstr(got.text, "\"sdkConCount\":\"1\""));
    snprintf(query, sizeof(query), "connectionId=%s&redirectAddress=n2:8848", p->id);
    assert_int_equal(ask_loader(&d, "reloadClient", query, &got), 0);
    assert_string_equal(got.text, "success");
    assert_int_equal(ask_loader(&d, "reloadCurrent", "count=0&redirectAddress=[::1]:8848", &got),
                     0);
    assert_string_equal(got.text, "success");
    peer_unref(p);
    disk_close(&d);
}

static void test_parameters__missing_or_wrong__are_named(void **state)
{
    (void)state;
    struct disk d;
    struct ask got;
    disk_init(&d);
    assert_int_equal(ask_loader(&d, "reloadCurrent", "", &got), E_MISSING);
    assert_string_equal(got.text,
                        "Required request parameter 'count' for method parameter type Integer "
                        "is not present");
    assert_int_equal(ask_loader(&d, "reloadClient", "", &got), E_MISSING);
    assert_string_equal(got.text,
                        "Required request parameter 'connectionId' for method parameter type "
                        "String is not present");
    assert_int_equal(ask_loader(&d, "reloadCurrent", "count=x", &got), E_INVALID);
    assert_int_equal(ask_loader(&d, "reloadCurrent", "count=-1", &got), E_INVALID);
    assert_int_equal(ask_loader(&d, "reloadCurrent", "count=1&redirectAddress=n2", &got),
                     E_INVALID);
    assert_string_equal(got.text, "redirectAddress: expected HOST:PORT, found 'n2'");
    assert_int_equal(ask_loader(&d, "reloadClient", "connectionId=x&redirectAddress=a:1,b:2", &got),
                     E_INVALID);
    assert_int_equal(ask_loader(&d, "smartReloadCluster", "loaderFactor=-1", &got), E_INVALID);
    assert_int_equal(ask_loader(&d, "smartReloadCluster", "loaderFactor=much", &got), E_INVALID);
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
