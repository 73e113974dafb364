#include "http/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int decode(struct api_call *call, const struct api_params *params, struct fail *fail)
{
    (void)call;
    (void)params;
    (void)fail;
    return 0;
}

static int read_row(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    (void)self;
    (void)call;
    (void)now;
    (void)fail;
    return 0;
}

#define ROW(path, m)                                                                               \
    {                                                                                              \
        .name = (path), .methods = (m), .decode_http = decode, .read = read_row                    \
    }
static const struct api_row first[] = {ROW("/v1/ns/instance", API_POST),
                                       ROW("/v1/ns/instance/list", API_GET),
                                       ROW("/v1/ns/instance", API_GET | API_PATCH)};
static const struct api_row second[] = {ROW("/a", API_GET), ROW("/v1/ns/instance", API_DELETE)};
static const struct api_rows features[] = {{.http = first, .http_count = 3},
                                           {.http = second, .http_count = 2}};

static struct route find(unsigned method, const char *path)
{
    struct routes *r = routes_create(features, 2);
    struct route found = routes_find(r, method, span_str(path));
    routes_destroy(r);
    return found;
}

static void test_find__by_method_across_features(void **state)
{
    (void)state;
    assert_ptr_equal(find(API_POST, "/v1/ns/instance").row, &first[0]);
    assert_ptr_equal(find(API_PATCH, "/v1/ns/instance").row, &first[2]);
    struct route deletion = find(API_DELETE, "/v1/ns/instance");
    assert_ptr_equal(deletion.row, &second[1]);
    assert_ptr_equal(deletion.feature, &features[1]);
}

static void test_find__head_is_get(void **state)
{
    (void)state;
    assert_ptr_equal(find(ROUTE_HEAD, "/a").row, &second[0]);
}

static void test_find__one_trailing_slash_is_ignored(void **state)
{
    (void)state;
    assert_ptr_equal(find(API_GET, "/v1/ns/instance/list/").row, &first[1]);
    assert_null(find(API_GET, "/v1/ns/instance/list//").other_row);
    assert_null(find(API_GET, "/").other_row);
    assert_null(find(API_GET, "").other_row);
}

static void test_find__wrong_method__knows_the_path(void **state)
{
    (void)state;
    struct route found = find(API_PUT, "/v1/ns/instance");
    assert_null(found.row);
    assert_non_null(found.other_row);
    assert_int_equal(found.methods, API_POST | API_GET | API_PATCH | API_DELETE);
    assert_null(find(ROUTE_OTHER, "/a").row);
    assert_null(find(ROUTE_OPTIONS, "/a").row);
}

static void test_find__unknown_path(void **state)
{
    (void)state;
    assert_null(find(API_GET, "/v1/ns/instanc").other_row);
    assert_null(find(API_GET, "/v1/ns/instance/x").other_row);
    assert_null(find(API_GET, "/V1/ns/instance").other_row);
    assert_null(find(API_GET, "zzz").other_row);
}

static void test_no_features__nothing_is_found(void **state)
{
    (void)state;
    struct routes *r = routes_create(NULL, 0);
    assert_null(routes_find(r, API_GET, SPAN("/a")).other_row);
    routes_destroy(r);
    routes_destroy(NULL);
}

static void test_method__names_are_exact(void **state)
{
    (void)state;
    assert_int_equal(route_method("GET"), API_GET);
    assert_int_equal(route_method("PATCH"), API_PATCH);
    assert_int_equal(route_method("HEAD"), ROUTE_HEAD);
    assert_int_equal(route_method("OPTIONS"), ROUTE_OPTIONS);
    assert_int_equal(route_method("get"), ROUTE_OTHER);
    assert_int_equal(route_method(""), ROUTE_OTHER);
}

static void test_below__whole_segments_only(void **state)
{
    (void)state;
    assert_true(route_below(SPAN("/v1/ns"), SPAN("/v1/ns")));
    assert_true(route_below(SPAN("/v1/ns"), SPAN("/v1/ns/x")));
    assert_false(route_below(SPAN("/v1/ns"), SPAN("/v1/nsx")));
    assert_false(route_below(SPAN("/v1/ns"), SPAN("/v1/n")));
    assert_true(route_below(SPAN(""), SPAN("/x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find__by_method_across_features),
        cmocka_unit_test(test_find__head_is_get),
        cmocka_unit_test(test_find__one_trailing_slash_is_ignored),
        cmocka_unit_test(test_find__wrong_method__knows_the_path),
        cmocka_unit_test(test_find__unknown_path),
        cmocka_unit_test(test_no_features__nothing_is_found),
        cmocka_unit_test(test_method__names_are_exact),
        cmocka_unit_test(test_below__whole_segments_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
