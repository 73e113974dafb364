#include "config/config_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "http/form.h"

static const struct api_row *row_of(unsigned method, const char *path)
{
    size_t count = 0;
    const struct api_row *rows = config_http_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, path) == 0 && rows[i].methods & method) {
            return &rows[i];
        }
    }
    return NULL;
}

/* The row that answers this request in the end. */
static const struct api_row *chosen(unsigned method, const char *path, const char *query)
{
    struct api_call call = {.row = row_of(method, path)};
    assert_non_null(call.row);
    arena_init(&call.arena, 1 << 20);
    struct span text = span_str(query);
    struct form form;
    struct fail fail = {0};
    form_init(&form, &call.arena, text, (struct span){0});
    assert_int_equal(form_add(&form, arena_str(&call.arena, text), text.len, &fail), 0);
    struct api_params p = {.list = form.list, .count = form.count};
    (void)call.row->decode_http(&call, &p, &fail);
    arena_close(&call.arena);
    return call.row;
}

#define CONFIGS "/v1/cs/configs"
#define KEY "dataId=d&group=g&"

static void test_rows__paths_shapes_and_permissions(void **state)
{
    (void)state;
    size_t count = 0;
    const struct api_row *rows = config_http_rows(&count);
    assert_true(count >= 6);
    for (size_t i = 0; i < count; i++) {
        const struct api_row *row = &rows[i];
        bool v2 = strncmp(row->name, "/v2/cs/", 7) == 0;
        assert_true(v2 || strncmp(row->name, "/v1/cs/", 7) == 0);
        assert_int_equal(row->shape, v2 ? API_SHAPE_V2 : API_SHAPE_TEXT);
        assert_non_null(row->decode_http);
        assert_true(row->read || row->admit);
        for (size_t k = 0; k < i; k++) {
            assert_true(strcmp(rows[k].name, row->name) != 0 || !(rows[k].methods & row->methods));
        }
    }
    assert_int_equal(row_of(API_GET, CONFIGS)->permission, API_CONFIG_READ);
    assert_int_equal(row_of(API_POST, CONFIGS)->permission, API_CONFIG_WRITE);
    assert_int_equal(row_of(API_DELETE, CONFIGS)->permission, API_CONFIG_WRITE);
}

static void test_configs__without_a_variant__is_the_row_itself(void **state)
{
    (void)state;
    static const unsigned methods[] = {API_GET, API_POST, API_DELETE};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        const struct api_row *row = row_of(methods[i], CONFIGS);
        assert_ptr_equal(chosen(methods[i], CONFIGS, KEY "content=x"), row);
        /* A value that no variant has is none, in any case. */
        assert_ptr_equal(chosen(methods[i], CONFIGS, KEY "content=x&beta=TRUE&show=&search=x"),
                         row);
    }
}

static void test_configs__beta_of_delete__is_the_end_of_the_beta(void **state)
{
    (void)state;
    const struct api_row *row = chosen(API_DELETE, CONFIGS, KEY "beta=true");
    assert_ptr_not_equal(row, row_of(API_DELETE, CONFIGS));
    assert_ptr_equal(row->admit, config_http_admit_beta_stop);
    assert_int_equal(row->permission, API_CONFIG_WRITE);
    assert_int_equal(row->methods, API_DELETE);
    assert_string_equal(row->name, CONFIGS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows__paths_shapes_and_permissions),
        cmocka_unit_test(test_configs__without_a_variant__is_the_row_itself),
        cmocka_unit_test(test_configs__beta_of_delete__is_the_end_of_the_beta),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
