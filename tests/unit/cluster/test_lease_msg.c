#include "cluster/lease_msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void there_and_back(const struct lease_msg *m)
{
    struct lease_msg back = {0};
    struct fail fail = {0};
    struct buf *bytes = lease_msg_encode(m);
    assert_int_equal(lease_msg_decode(buf_span(bytes), &back, &fail), 0);
    assert_memory_equal(m, &back, sizeof(back));
    buf_unref(bytes);
}

static void test_frames__come_back_as_they_were(void **state)
{
    (void)state;
    struct lease_msg leader = {.parts = LEASE_ROUND | LEASE_GRANT | LEASE_SAFE,
                               .term = 7,
                               .round = UINT64_MAX,
                               .life = 3,
                               .asked_at = 4,
                               .commit = 5,
                               .safe = 6};
    struct lease_msg follower = {.parts = LEASE_ACK | LEASE_APPLIED,
                                 .term = 7,
                                 .round = 1,
                                 .asked_at = 2,
                                 .quiet_ms = 3,
                                 .life = 4,
                                 .applied = 5};
    struct lease_msg urge = {.parts = LEASE_ACK | LEASE_WANT | LEASE_NOW, .term = 1, .round = 2};
    struct lease_msg safe = {.parts = LEASE_SAFE, .term = 1, .safe = 2};
    there_and_back(&leader);
    there_and_back(&follower);
    there_and_back(&safe);
    there_and_back(&urge);
}

static int decode(const char *data, size_t len)
{
    struct lease_msg m = {0};
    struct fail fail = {0};
    int err = lease_msg_decode(span_of(data, len), &m, &fail);
    assert_int_equal(m.parts, 0);
    return err;
}

static void test_frames__damaged__are_refused(void **state)
{
    (void)state;
    char bytes[64] = {LEASE_MSG_VERSION, LEASE_SAFE};
    const size_t whole = 2 + 2 * 8;
    for (size_t len = 0; len < sizeof(bytes); len++) {
        if (len != whole) {
            assert_int_equal(decode(bytes, len), E_PARSE);
        }
    }
    bytes[0] = LEASE_MSG_VERSION + 1;
    assert_int_equal(decode(bytes, whole), E_PARSE);
    bytes[0] = LEASE_MSG_VERSION;
    bytes[1] = 0;
    assert_int_equal(decode(bytes, 2 + 8), E_PARSE);
    bytes[1] = (char)128;
    assert_int_equal(decode(bytes, 2 + 8), E_PARSE);
    bytes[1] = LEASE_APPLIED | LEASE_WANT; /* without an ask */
    assert_int_equal(decode(bytes, 2 + 3 * 8), E_PARSE);
    bytes[1] = LEASE_ACK | LEASE_NOW;
    assert_int_equal(decode(bytes, 2 + 4 * 8), E_PARSE);
    bytes[1] = LEASE_SAFE | LEASE_APPLIED; /* nobody says both */
    assert_int_equal(decode(bytes, 2 + 4 * 8), E_PARSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames__come_back_as_they_were),
        cmocka_unit_test(test_frames__damaged__are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
