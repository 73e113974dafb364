#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <raft/uv.h>

#include "consensus/raft_transport.h"

static unsigned closes;

static void on_close(struct raft_uv_transport *t)
{
    (void)t;
    closes++;
}

static void test_transport__every_call__does_nothing_and_close_reports(void **state)
{
    (void)state;
    struct raft_uv_transport t;
    raft_transport_init(&t);
    assert_int_equal(t.version, 1); /* raft_uv refuses 0 */
    assert_int_equal(t.init(&t, 1, "one"), 0);
    assert_int_equal(t.listen(&t, NULL), 0);
    assert_int_equal(t.connect(&t, NULL, 2, "two", NULL), RAFT_NOCONNECTION);
    t.close(&t, on_close);
    assert_int_equal(closes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transport__every_call__does_nothing_and_close_reports),
    };
    return cmocka_run_group_tests_name("consensus.raft_transport", tests, NULL, NULL);
}
