#include "node/cluster_rows.h"

#include "api/params.h"
#include "api/v2_codes.h"
#include "disk_rig.h"
#include "node/core_state.h"

#define TEXT_MAX 8192

/* Ask a row: 0 or the code; text of body or failure. */
static int ask(struct disk *d, const char *path, const char *name, const char *value,
               char text[TEXT_MAX])
{
    size_t count = 0;
    const struct api_row *rows = cluster_http_rows(&count);
    const struct api_row *row = NULL;
    for (size_t i = 0; i < count; i++) {
        row = strcmp(rows[i].name, path) == 0 ? &rows[i] : row;
    }
    assert_non_null(row);
    struct options options = {.server_address = "0.0.0.0", .server_port = 8848};
    struct cluster_rows self = {d->core, &options};
    struct api_param param = {span_str(name), span_str(value)};
    struct api_params params = {.list = &param, .count = name ? 1 : 0};
    struct rig_call c;
    struct fail fail = {0};
    rig_call_open(&c, row, &self);
    int err = row->decode_http(&c.call, &params, &fail);
    if (err) {
        snprintf(text, TEXT_MAX, "%s", fail_text(&fail));
        assert_int_equal(fail.v2, V2_ILLEGAL_STATE);
    } else {
        rig_post(d->core, &c);
        assert_int_equal(rig_wait(&c), 1);
        err = c.call.reply.fail.code;
        memset(text, 0, TEXT_MAX);
        assert_true(body_len(&c.call.reply.body) < TEXT_MAX);
        body_copy(&c.call.reply.body, text);
    }
    rig_call_close(&c);
    return err;
}

static void test_alone__is_a_cluster_of_one(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    char text[TEXT_MAX];
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    assert_int_equal(ask(&d, "/v1/core/cluster/nodes", NULL, NULL, text), 0);
    assert_non_null(strstr(text, "{\"code\":200,\"message\":null,\"data\":[{\"ip\":\"127.0.0.1\","
                                 "\"port\":8848,\"state\":\"UP\","));
    assert_non_null(strstr(text, "\"role\":\"leader\""));
    assert_int_equal(ask(&d, "/v1/core/cluster/nodes", "keyword", "10.", text), 0);
    assert_string_equal(text, "{\"code\":200,\"message\":null,\"data\":[]}");
    assert_int_equal(ask(&d, "/v1/core/cluster/simple/nodes", NULL, NULL, text), 0);
    assert_string_equal(text, "{\"code\":200,\"message\":null,\"data\":[\"127.0.0.1:8848\"]}");
    assert_int_equal(ask(&d, "/v1/core/cluster/health", NULL, NULL, text), 0);
    assert_string_equal(text, "{\"code\":200,\"message\":null,\"data\":\"UP\"}");
    assert_int_equal(ask(&d, "/v2/core/cluster/node/self/health", NULL, NULL, text), 0);
    assert_string_equal(text, "{\"code\":0,\"message\":\"success\",\"data\":\"UP\"}");
    assert_int_equal(ask(&d, "/v2/core/cluster/node/self", NULL, NULL, text), 0);
    assert_non_null(strstr(text, "\"address\":\"127.0.0.1:8848\""));
    disk_close(&d);
}

static void test_list__states_filter_and_unknown_ones_are_refused(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    char text[TEXT_MAX];
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    assert_int_equal(ask(&d, "/v2/core/cluster/node/list", "state", "DOWN", text), 0);
    assert_string_equal(text, "{\"code\":0,\"message\":\"success\",\"data\":[]}");
    assert_int_equal(ask(&d, "/v2/core/cluster/node/list", "state", "up", text), 0);
    assert_non_null(strstr(text, "\"state\":\"UP\""));
    assert_int_equal(ask(&d, "/v2/core/cluster/node/list", "state", "X", text), E_INVALID);
    assert_string_equal(text, "Illegal state: X");
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
