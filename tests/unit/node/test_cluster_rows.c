#include "node/cluster_rows.h"

#include "api/v2_codes.h"
#include "ask_rig.h"

/* Ask a row: 0 or the code; text of body or failure. */
static int ask_cluster(struct disk *d, const char *path, const char *query, struct ask *ret)
{
    size_t count = 0;
    const struct api_row *rows = cluster_http_rows(&count);
    ask(d, ask_row(rows, count, path), query, ret);
    return ret->err;
}

static void test_alone__is_a_cluster_of_one(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    struct ask got;
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    assert_int_equal(ask_cluster(&d, "/v1/core/cluster/nodes", "", &got), 0);
    assert_non_null(strstr(got.text,
                           "{\"code\":200,\"message\":null,\"data\":[{\"ip\":\"127.0.0.1\","
                           "\"port\":8848,\"state\":\"UP\","));
    assert_non_null(strstr(got.text, "\"role\":\"leader\""));
    assert_int_equal(ask_cluster(&d, "/v1/core/cluster/nodes", "keyword=10.", &got), 0);
    assert_string_equal(got.text, "{\"code\":200,\"message\":null,\"data\":[]}");
    assert_int_equal(ask_cluster(&d, "/v1/core/cluster/simple/nodes", "", &got), 0);
    assert_string_equal(got.text, "{\"code\":200,\"message\":null,\"data\":[\"127.0.0.1:8848\"]}");
    assert_int_equal(ask_cluster(&d, "/v1/core/cluster/health", "", &got), 0);
    assert_string_equal(got.text, "{\"code\":200,\"message\":null,\"data\":\"UP\"}");
    assert_int_equal(ask_cluster(&d, "/v2/core/cluster/node/self/health", "", &got), 0);
    assert_string_equal(got.text, "{\"code\":0,\"message\":\"success\",\"data\":\"UP\"}");
    assert_int_equal(ask_cluster(&d, "/v2/core/cluster/node/self", "", &got), 0);
    assert_non_null(strstr(got.text, "\"address\":\"127.0.0.1:8848\""));
    disk_close(&d);
}

static void test_list__states_filter_and_unknown_ones_are_refused(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    struct ask got;
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    assert_int_equal(ask_cluster(&d, "/v2/core/cluster/node/list", "state=DOWN", &got), 0);
    assert_string_equal(got.text, "{\"code\":0,\"message\":\"success\",\"data\":[]}");
    assert_int_equal(ask_cluster(&d, "/v2/core/cluster/node/list", "state=up", &got), 0);
    assert_non_null(strstr(got.text, "\"state\":\"UP\""));
    assert_int_equal(ask_cluster(&d, "/v2/core/cluster/node/list", "state=X", &got), E_INVALID);
    assert_int_equal(got.v2, V2_ILLEGAL_STATE);
    assert_string_equal(got.text, "Illegal state: X");
    disk_close(&d);
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone__is_a_cluster_of_one),
        cmocka_unit_test(test_list__states_filter_and_unknown_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
