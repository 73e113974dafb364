#include "config/config_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/v2_codes.h"
#include "base/err.h"

#define CONVERT(type)                                                                              \
    "Failed to convert value of type 'java.lang.String' to required type '" type                   \
    "'; nested exception is java.lang.NumberFormatException: For input string: \"x\""

struct world {
    struct api_call call;
    struct api_param list[8];
    struct api_params params;
    struct fail fail;
};

static void add(struct world *w, const char *name, const char *value)
{
    w->list[w->params.count++] = (struct api_param){span_str(name), span_str(value)};
    w->params.list = w->list;
}

static int setup(void **state)
{
    static struct world w;
    w = (struct world){0};
    arena_init(&w.call.arena, 1u << 16);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    body_close(&w->call.reply.body);
    arena_close(&w->call.arena);
    return 0;
}

static void test_page__as_sent(void **state)
{
    struct world *w = *state;
    struct config_page page;
    add(w, "pageNo", "3");
    add(w, "pageSize", " 20 ");
    assert_int_equal(
        config_page_decode(&w->call, &w->params, CONFIG_FORM_V1, true, &page, &w->fail), 0);
    assert_int_equal(page.no, 3);
    assert_int_equal(page.size, 20);
    assert_int_equal(config_page_offset(&page), 40);
    assert_int_equal(config_page_check(&page, &w->fail), 0);
}

static void test_page__absent__is_the_default_or_missing(void **state)
{
    struct world *w = *state;
    struct config_page page;
    assert_int_equal(
        config_page_decode(&w->call, &w->params, CONFIG_FORM_V1, false, &page, &w->fail), 0);
    assert_int_equal(page.no, 1);
    assert_int_equal(page.size, 100);
    assert_int_equal(
        config_page_decode(&w->call, &w->params, CONFIG_FORM_V1, true, &page, &w->fail), E_MISSING);
    assert_string_equal(fail_text(&w->fail), "Required request parameter 'pageNo' for method "
                                             "parameter type int is not present");
    assert_int_equal(w->fail.nacos, 500);
}

static void test_page__zero_or_less__is_refused(void **state)
{
    struct world *w = *state;
    const struct config_page pages[] = {{0, 10}, {1, 0}, {-1, 10}, {1, -5}};
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        assert_int_equal(config_page_check(&pages[i], &w->fail), E_INVALID);
        assert_string_equal(fail_text(&w->fail), "pageNo and pageSize must be greater than zero");
        assert_int_equal(w->fail.v2, V2_PARAMETER_VALIDATE_ERROR);
    }
}

static void test_page__largest__has_an_offset(void **state)
{
    (void)state;
    const struct config_page page = {INT32_MAX, INT32_MAX};
    assert_true(config_page_offset(&page) == (uint64_t)(INT32_MAX - 1) * INT32_MAX);
}

static void test_number__text__v1_is_a_400_with_springs_words(void **state)
{
    struct world *w = *state;
    const struct config_number n = {"nid", "Long", true, CONFIG_NUMBER_LONG};
    int64_t value = 7;
    add(w, "nid", "x");
    assert_int_equal(config_number(&w->call, &w->params, CONFIG_FORM_V1, &n, &value, &w->fail),
                     E_INVALID);
    assert_string_equal(fail_text(&w->fail),
                        CONVERT("java.lang.Long") ";caused: For input string: \"x\"");
    assert_int_equal(value, 7);
    assert_false(config_number_refused(&w->call));
}

static void test_number__text__v2_answers_500_with_the_text_as_message(void **state)
{
    struct world *w = *state;
    const struct config_number n = {"pageNo", "Integer", false, CONFIG_NUMBER_INT};
    const struct api_row row = {.name = "/v2/x", .shape = API_SHAPE_V2};
    int64_t value = 7;
    w->call.row = &row;
    add(w, "pageNo", "x");
    assert_int_equal(
        config_number(&w->call, &w->params, CONFIG_FORM_V2_DECLARED, &n, &value, &w->fail), 0);
    assert_true(config_number_refused(&w->call));
    assert_string_equal(w->call.row->name, "/v2/x");
    assert_int_equal(w->call.row->read(NULL, &w->call, (struct now){0}, &w->fail), API_ANSWERED);
    assert_int_equal(w->call.reply.http_status, 500);
    char text[512] = "";
    body_copy(&w->call.reply.body, text);
    assert_string_equal(
        text, "{\"code\":30000,\"message\":\"Failed to convert value of type "
              "'java.lang.String' to required type 'java.lang.Integer'; nested exception is "
              "java.lang.NumberFormatException: For input string: \\\"x\\\"\",\"data\":null}");
}

static void test_number__out_of_its_type__is_refused(void **state)
{
    struct world *w = *state;
    const struct config_number n = {"pageNo", "int", true, CONFIG_NUMBER_INT};
    int64_t value = 0;
    add(w, "pageNo", "2147483648");
    assert_int_equal(config_number(&w->call, &w->params, CONFIG_FORM_V1, &n, &value, &w->fail),
                     E_INVALID);
    assert_non_null(strstr(fail_text(&w->fail), "required type 'int'"));
}

static void test_names__blank_is_fine_illegal_and_missing_are_not(void **state)
{
    struct world *w = *state;
    struct config_key key;
    add(w, "dataId", "");
    assert_int_equal(config_page_names(&w->params, CONFIG_FORM_V1, &key, &w->fail), E_MISSING);
    add(w, "group", "g");
    add(w, "tenant", "public");
    assert_int_equal(config_page_names(&w->params, CONFIG_FORM_V1, &key, &w->fail), 0);
    assert_true(span_eq(key.group, SPAN("g")));
    assert_true(span_empty(key.tenant));
    w->list[1].value = SPAN("a b");
    assert_int_equal(config_page_names(&w->params, CONFIG_FORM_V1, &key, &w->fail), E_PARAM);
}

static void expect_frame(uint64_t total, struct config_page page, const char *expected)
{
    struct json_out j;
    json_init(&j, 0);
    config_page_begin(&j, &page, total);
    config_page_end(&j);
    struct span text = json_text(&j);
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.data, expected, text.len);
    json_close(&j);
}

static void test_frame__says_how_many_pages_there_are(void **state)
{
    (void)state;
    expect_frame(0, (struct config_page){1, 10},
                 "{\"totalCount\":0,\"pageNumber\":1,\"pagesAvailable\":0,\"pageItems\":[]}");
    expect_frame(5, (struct config_page){9, 2},
                 "{\"totalCount\":5,\"pageNumber\":9,\"pagesAvailable\":3,\"pageItems\":[]}");
    expect_frame(4, (struct config_page){1, 2},
                 "{\"totalCount\":4,\"pageNumber\":1,\"pagesAvailable\":2,\"pageItems\":[]}");
}

static void test_json__null_ids_and_times(void **state)
{
    (void)state;
    struct json_out j;
    json_init(&j, 0);
    json_object(&j);
    config_json_text(&j, "none", (struct span){0});
    config_json_text(&j, "empty", SPAN(""));
    config_json_id(&j, "id", UINT64_MAX);
    config_json_time(&j, "at", 1795503846201);
    json_object_end(&j);
    const char *expected = "{\"none\":null,\"empty\":\"\",\"id\":\"18446744073709551615\","
                           "\"at\":\"2026-11-24T07:04:06.201+00:00\"}";
    assert_int_equal(json_text(&j).len, strlen(expected));
    assert_memory_equal(json_text(&j).data, expected, strlen(expected));
    json_close(&j);
}

static void test_bytes__over_the_limit__is_too_large(void **state)
{
    struct world *w = *state;
    struct json_out j;
    json_init(&j, 0);
    char piece[1 << 16];
    memset(piece, ' ', sizeof piece);
    while (json_text(&j).len < CONFIG_PAGE_BYTES_MAX) {
        json_bytes(&j, span_of(piece, sizeof piece));
    }
    assert_int_equal(config_page_bytes(&j, &w->fail), 0);
    json_bytes(&j, SPAN(" "));
    assert_int_equal(config_page_bytes(&j, &w->fail), E_TOO_LARGE);
    assert_int_equal(w->fail.nacos, 400);
    assert_non_null(strstr(fail_text(&w->fail), "smaller pageSize"));
    json_close(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_page__as_sent),
        T(test_page__absent__is_the_default_or_missing),
        T(test_page__zero_or_less__is_refused),
        T(test_page__largest__has_an_offset),
        T(test_number__text__v1_is_a_400_with_springs_words),
        T(test_number__text__v2_answers_500_with_the_text_as_message),
        T(test_number__out_of_its_type__is_refused),
        T(test_names__blank_is_fine_illegal_and_missing_are_not),
        T(test_frame__says_how_many_pages_there_are),
        T(test_json__null_ids_and_times),
        T(test_bytes__over_the_limit__is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
