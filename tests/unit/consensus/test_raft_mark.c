#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "consensus/raft_mark.h"

static char path[] = "/tmp/nacre-mark-XXXXXX";

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static uint64_t reopened(void)
{
    struct raft_mark m = {0};
    assert_int_equal(raft_mark_open(&m, path, NULL), 0);
    uint64_t index = m.index;
    raft_mark_close(&m);
    return index;
}

static void test_mark__set__is_found_again_and_never_goes_back(void **state)
{
    (void)state;
    struct raft_mark m = {0};
    assert_int_equal(raft_mark_open(&m, path, NULL), 0);
    assert_int_equal(m.index, 0);
    for (uint64_t i = 1; i < 10; i++) {
        raft_mark_set(&m, i * 1000);
        assert_int_equal(reopened(), i * 1000); /* as after a kill: not closed */
    }
    raft_mark_set(&m, 5);
    raft_mark_close(&m);
    assert_int_equal(reopened(), 9000);
}

static void test_mark__one_slot_damaged__the_other_counts(void **state)
{
    (void)state;
    assert_int_equal(reopened(), 9000);
    struct raft_mark m = {0};
    assert_int_equal(raft_mark_open(&m, path, NULL), 0);
    raft_mark_set(&m, 9001);
    m.page[(m.turn ^ 1) * 16 + 3] ^= 4;
    raft_mark_close(&m);
    assert_int_equal(reopened(), 9000);
}

static void test_mark__after_damage__the_good_slot_is_not_the_next_written(void **state)
{
    (void)state;
    struct raft_mark m = {0};
    assert_int_equal(raft_mark_open(&m, path, NULL), 0);
    raft_mark_set(&m, 9500);
    m.page[(m.turn ^ 1) * 16 + 3] ^= 4; /* torn while it was written */
    raft_mark_close(&m);
    assert_int_equal(reopened(), 9000);
}

static void test_open__no_such_directory__says_which(void **state)
{
    (void)state;
    struct raft_mark m = {0};
    struct fail fail = {0};
    assert_int_equal(raft_mark_open(&m, "/nonexistent/mark", &fail), E_IO);
    assert_non_null(strstr(fail_text(&fail), "/nonexistent/mark"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mark__set__is_found_again_and_never_goes_back),
        cmocka_unit_test(test_mark__one_slot_damaged__the_other_counts),
        cmocka_unit_test(test_mark__after_damage__the_good_slot_is_not_the_next_written),
        cmocka_unit_test(test_open__no_such_directory__says_which),
    };
    return cmocka_run_group_tests_name("consensus.raft_mark", tests, setup, teardown);
}
