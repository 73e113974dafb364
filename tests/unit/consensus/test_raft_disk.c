/* What the disk does when it is damaged, full or gone; the log above it is test_log_raft.c. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/thread.h"
#include "log_bed.h"

static struct log_bed bed;

static int setup(void **state)
{
    (void)state;
    bed = (struct log_bed){0};
    log_bed_init(&bed);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_bed_close(&bed);
    return 0;
}

static bool is_ready(const struct log_bed *b)
{
    return consensus_state(b->log).is_ready;
}

static void fill(unsigned n)
{
    assert_int_equal(log_bed_open(&bed, NULL), 0);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(log_bed_propose(&bed, i, 500, NULL), 0);
        assert_true(log_bed_answered(&bed, bed.acked + 1));
    }
    log_bed_shut(&bed);
}

static void path_of(char *ret, const char *name)
{
    (void)snprintf(ret, 256, "%s/%s", bed.dir, name);
}

static void expect_refusal(const char *words)
{
    struct fail fail = {0};
    assert_int_equal(log_bed_open(&bed, &fail), E_IO);
    if (!strstr(fail_text(&fail), words)) {
        print_error("%s\n", fail_text(&fail));
        fail();
    }
}

static void test_open__log_directory_gone__is_refused_because_of_the_mark(void **state)
{
    (void)state;
    char from[256];
    char to[256];
    fill(3);
    path_of(from, "log");
    path_of(to, "log.old");
    assert_int_equal(rename(from, to), 0);
    expect_refusal("had reached entry 4");
    assert_int_equal(rename(to, from), 0);
    assert_int_equal(log_bed_open(&bed, NULL), 0);
    assert_true(log_bed_until(&bed, is_ready));
    assert_int_equal(bed.count, 3);
}

static void test_open__older_copy_of_the_log__is_refused_because_of_the_mark(void **state)
{
    (void)state;
    char command[600];
    fill(3);
    (void)snprintf(command, sizeof command, "cp -a '%s/log' '%s/old'", bed.dir, bed.dir);
    assert_int_equal(system(command), 0);
    fill(3);
    (void)snprintf(command, sizeof command, "rm -r '%s/log' && mv '%s/old' '%s/log'", bed.dir,
                   bed.dir, bed.dir);
    assert_int_equal(system(command), 0);
    expect_refusal("ends at entry 4, but the node had reached 7");
}

static void test_open__both_metadata_files_gone__is_refused(void **state)
{
    (void)state;
    char path[256];
    fill(1);
    path_of(path, "log/metadata1");
    (void)unlink(path);
    path_of(path, "log/metadata2");
    (void)unlink(path);
    expect_refusal("metadata1 and metadata2");
}

static void test_open__half_made_first_log__is_made_anew(void **state)
{
    (void)state;
    char path[256];
    path_of(path, "log.new");
    assert_int_equal(mkdir(path, 0700), 0);
    path_of(path, "log.new/metadata1");
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "half", 4), 4);
    (void)close(fd);
    assert_int_equal(log_bed_open(&bed, NULL), 0);
    assert_true(log_bed_until(&bed, is_ready));
}

static void test_open__bit_flipped_in_a_closed_segment__names_the_file(void **state)
{
    (void)state;
    char path[256];
    fill(3);
    path_of(path, "log/0000000000000001-0000000000000001");
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    char byte = 0;
    assert_int_equal(pread(fd, &byte, 1, 40), 1);
    byte ^= 2;
    assert_int_equal(pwrite(fd, &byte, 1, 40), 1);
    (void)close(fd);
    expect_refusal("0000000000000001-0000000000000001");
}

static bool is_full(const struct log_bed *b)
{
    return consensus_state(b->log).is_full;
}

static bool is_not_full(const struct log_bed *b)
{
    return !consensus_state(b->log).is_full;
}

static bool is_settled(const struct log_bed *b)
{
    struct consensus_state s = consensus_state(b->log);
    return s.applied_index == s.last_index;
}

/* Needs the right to mount; elsewhere there is nothing to see. */
static void test_full__small_file_system__refuses_and_goes_on_by_itself(void **state)
{
    (void)state;
    char ballast[256];
    if (mount("none", bed.dir, "tmpfs", 0, "size=12m") != 0) {
        skip();
    }
    bed.options.segment_bytes = 1u << 20;
    assert_int_equal(log_bed_open(&bed, NULL), 0);
    path_of(ballast, "ballast");
    int fd = open(ballast, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(posix_fallocate(fd, 0, 8 << 20), 0);
    struct fail fail = {0};
    for (unsigned i = 0; i < 60; i++) { /* 6 MB: more than there is */
        (void)!log_bed_propose(&bed, i, 100000, &fail);
        (void)consensus_turn(bed.log, clock_now());
    }
    assert_true(log_bed_until(&bed, is_full));
    assert_int_equal(log_bed_propose(&bed, 1, 8, &fail), E_LIMIT);
    assert_non_null(strstr(fail_text(&fail), "full"));
    assert_int_equal(bed.fatals, 0);
    assert_int_equal(ftruncate(fd, 0), 0);
    (void)close(fd);
    assert_true(log_bed_until(&bed, is_not_full));
    assert_true(log_bed_until(&bed, is_settled));
    unsigned before = bed.acked + bed.rejected;
    assert_int_equal(log_bed_propose(&bed, 77, 8, &fail), 0);
    assert_true(log_bed_answered(&bed, before + 1));
    log_bed_shut(&bed);
    assert_int_equal(umount2(bed.dir, MNT_DETACH), 0);
}

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_open__log_directory_gone__is_refused_because_of_the_mark, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_open__older_copy_of_the_log__is_refused_because_of_the_mark, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open__both_metadata_files_gone__is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_open__half_made_first_log__is_made_anew, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_open__bit_flipped_in_a_closed_segment__names_the_file,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_full__small_file_system__refuses_and_goes_on_by_itself,
                                        setup, teardown),
    };
    return cmocka_run_group_tests_name("consensus.raft_disk", tests, NULL, NULL);
}
