#include <endian.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "consensus/raft_segment.h"

#define BATCH_BYTES (16 + 2 * 16 + 40)

static char dir[] = "/tmp/nacre-segment-XXXXXX";
static char path[64];
static char content[8192];

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir)) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/open-1", dir);
    content[0] = 1;
    for (unsigned i = 0; i < 3; i++) {
        char *at = content + 8 + (size_t)i * BATCH_BYTES;
        at[8] = 2;        /* entries */
        at[16 + 12] = 24; /* lengths */
        at[32 + 12] = 16;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

static long trimmed(size_t len)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), len);
    (void)close(fd);
    assert_int_equal(raft_segment_trim_all(dir, NULL), 0);
    struct stat st = {0};
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void test_trim__cut_inside_a_batch__ends_before_it(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 8 + 3 * BATCH_BYTES; len++) {
        size_t whole = len < 8 ? 0 : (len - 8) / BATCH_BYTES;
        long expected = whole == 0 ? 0 : (long)(8 + whole * BATCH_BYTES);
        assert_int_equal(trimmed(len), expected);
    }
}

static void test_trim__zeros_or_a_torn_batch_after_the_last__stay(void **state)
{
    (void)state;
    assert_int_equal(trimmed(sizeof content), sizeof content);
    content[8 + 3 * BATCH_BYTES + 8] = 5; /* a count whose lengths never came */
    assert_int_equal(trimmed(sizeof content), sizeof content);
    content[8 + 3 * BATCH_BYTES + 15] = 5; /* an absurd one: libraft refuses it */
    assert_int_equal(trimmed(sizeof content), sizeof content);
}

static void test_trim__no_directory__says_which(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(raft_segment_trim_all("/nonexistent", &fail), E_IO);
    assert_non_null(strstr(fail_text(&fail), "/nonexistent"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trim__cut_inside_a_batch__ends_before_it),
        cmocka_unit_test(test_trim__zeros_or_a_torn_batch_after_the_last__stay),
        cmocka_unit_test(test_trim__no_directory__says_which),
    };
    return cmocka_run_group_tests_name("consensus.raft_segment", tests, setup, teardown);
}
