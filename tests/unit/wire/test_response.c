#include "wire/response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

/* Frees the writer. */
static void check_text(struct json_out *j, const char *expected)
{
    char *copy = mem_strndup(json_text(j).data, json_text(j).len);
    assert_string_equal(copy, expected);
    mem_free(copy);
    json_close(j);
}

static void test_response__success__is_as_jackson_writes_it(void **state)
{
    (void)state;
    struct json_out j;
    json_init(&j, 0);
    response_begin(&j, NULL);
    response_end(&j);
    check_text(&j, "{\"resultCode\":200,\"errorCode\":0,\"success\":true}"); /* C11 */
    json_init(&j, 0);
    response_begin(&j, "success");
    json_kstr(&j, "connectionId", SPAN("1_2"));
    response_end(&j);
    check_text(
        &j, "{\"resultCode\":200,\"errorCode\":0,\"message\":\"success\",\"connectionId\":\"1_2\","
            "\"success\":true}");
}

static void test_response_fail__carries_nacos_code_and_text(void **state)
{
    (void)state;
    struct json_out j;
    json_init(&j, 0);
    struct fail fail = {.code = E_UNREGISTERED};
    response_fail(&j, &fail, (struct span){0});
    /* C18 */
    check_text(&j,
               "{\"resultCode\":500,\"errorCode\":301,\"message\":\"Connection is unregistered.\","
               "\"success\":false}");
}

static void test_response_fail__text_from_outside__is_escaped(void **state)
{
    (void)state;
    struct json_out j;
    json_init(&j, 0);
    struct fail fail = {0};
    (void)fail_set_codes(&fail, E_CONFLICT, 410, 0, "no \"%s\"", "x\n");
    response_fail(&j, &fail, (struct span){0});
    check_text(
        &j,
        "{\"resultCode\":500,\"errorCode\":410,\"message\":\"no \\\"x\\n\\\"\",\"success\":false}");
}

static void test_response_fail__extra_members__stand_before_success(void **state)
{
    (void)state;
    struct json_out j;
    json_init(&j, 0);
    struct fail fail = {.code = E_FORBIDDEN};
    response_fail(&j, &fail, SPAN("\"count\":0,\"serviceNames\":[]"));
    check_text(&j, "{\"resultCode\":500,\"errorCode\":403,\"message\":\"no right\",\"count\":0,"
                   "\"serviceNames\":[],\"success\":false}");
}

static void test_push__has_headers_and_id_as_text(void **state)
{
    (void)state;
    struct json_out j;
    json_init(&j, 0);
    push_begin(&j, 41);
    push_end(&j, "internal");
    check_text(&j, "{\"headers\":{},\"requestId\":\"41\",\"module\":\"internal\"}"); /* C12 */
    json_init(&j, 0);
    push_begin(&j, UINT64_MAX);
    json_kstr(&j, "dataId", SPAN("a"));
    push_end(&j, "config");
    check_text(&j, "{\"headers\":{},\"requestId\":\"18446744073709551615\",\"dataId\":\"a\","
                   "\"module\":\"config\"}");
}

static void test_push__without_id__leaves_it_out(void **state)
{
    (void)state;
    struct json_out j;
    json_init(&j, 0);
    push_begin(&j, 0);
    json_key(&j, "abilityTable");
    json_object(&j);
    json_kbool(&j, "supportPersistentInstanceByGrpc", true);
    json_object_end(&j);
    push_end(&j, "internal");
    /* C09 */
    check_text(&j, "{\"headers\":{},\"abilityTable\":{\"supportPersistentInstanceByGrpc\":true},"
                   "\"module\":\"internal\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_response__success__is_as_jackson_writes_it),
        cmocka_unit_test(test_response_fail__carries_nacos_code_and_text),
        cmocka_unit_test(test_response_fail__text_from_outside__is_escaped),
        cmocka_unit_test(test_response_fail__extra_members__stand_before_success),
        cmocka_unit_test(test_push__has_headers_and_id_as_text),
        cmocka_unit_test(test_push__without_id__leaves_it_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
