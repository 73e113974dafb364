#include "wire/ack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void check_ack(struct span body, uint64_t id, bool ok)
{
    struct ack ack = {.request_id = 12345, .ok = !ok};
    assert_int_equal(ack_decode(body, &ack, NULL), 0);
    assert_true(ack.request_id == id);
    assert_int_equal(ack.ok, ok);
}

static void test_ack_decode__what_clients_send(void **state)
{
    (void)state;
    /* Java, C13; Go, C14, whose success says nothing; Python, without success. */
    check_ack(SPAN("{\"resultCode\":200,\"errorCode\":0,\"requestId\":\"41\",\"success\":true}"),
              41, true);
    check_ack(SPAN("{\"resultCode\":200,\"errorCode\":0,\"success\":false,\"message\":\"\","
                   "\"requestId\":\"41\"}"),
              41, true);
    check_ack(SPAN("{\"resultCode\":200,\"errorCode\":0,\"message\":\"\",\"requestId\":\"9\"}"), 9,
              true);
    /* Java's handler threw. */
    check_ack(SPAN("{\"resultCode\":500,\"errorCode\":-500,\"message\":\"Handle server request "
                   "error\",\"requestId\":\"7\",\"success\":false}"),
              7, false);
}

static void test_ack_decode__id_as_number__is_taken(void **state)
{
    (void)state;
    check_ack(SPAN("{\"resultCode\":200,\"requestId\":41}"), 41, true);
    check_ack(SPAN("{\"resultCode\":\"200\",\"requestId\":9007199254740992}"), 9007199254740992u,
              true);
    check_ack(SPAN("{\"resultCode\":200,\"requestId\":\"9223372036854775807\"}"), INT64_MAX, true);
}

static void test_ack_decode__no_usable_id__never_matches(void **state)
{
    (void)state;
    check_ack(SPAN("{\"resultCode\":200}"), 0, true);
    check_ack(SPAN("{\"resultCode\":200,\"requestId\":null}"), 0, true);
    check_ack(SPAN("{\"resultCode\":200,\"requestId\":\"\"}"), 0, true);
    check_ack(SPAN("{\"resultCode\":200,\"requestId\":\"abc\"}"), 0, true);
    check_ack(SPAN("{\"resultCode\":200,\"requestId\":\"-1\"}"), 0, true);
    check_ack(SPAN("{\"resultCode\":200,\"requestId\":-1}"), 0, true);
    check_ack(SPAN("{\"resultCode\":200,\"requestId\":1.5}"), 0, true);
    check_ack(SPAN("{\"resultCode\":200,\"requestId\":1e300}"), 0, true);
    check_ack(SPAN("{\"resultCode\":200,\"requestId\":{}}"), 0, true);
    check_ack(SPAN("{\"resultCode\":200,\"requestId\":\"99999999999999999999\"}"), 0, true);
}

static void test_ack_decode__no_usable_code__is_no_success(void **state)
{
    (void)state;
    check_ack(SPAN("{}"), 0, false);
    check_ack(SPAN("{\"requestId\":\"3\"}"), 3, false);
    check_ack(SPAN("{\"requestId\":\"3\",\"resultCode\":{}}"), 3, false);
    check_ack(SPAN("{\"requestId\":\"3\",\"resultCode\":1e300}"), 3, false);
    check_ack(SPAN("{\"requestId\":\"3\",\"resultCode\":201}"), 3, false);
}

static void test_ack_decode__no_object__is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "  ", "[]", "1", "{", "{\"a\"}", "null"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ack ack = {.request_id = 5};
        struct fail fail = {0};
        assert_int_equal(ack_decode(span_str(bad[i]), &ack, &fail), E_PARSE);
        assert_int_equal(ack.request_id, 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ack_decode__what_clients_send),
        cmocka_unit_test(test_ack_decode__id_as_number__is_taken),
        cmocka_unit_test(test_ack_decode__no_usable_id__never_matches),
        cmocka_unit_test(test_ack_decode__no_usable_code__is_no_success),
        cmocka_unit_test(test_ack_decode__no_object__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
