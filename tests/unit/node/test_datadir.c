#include "node/datadir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/nacre-datadir-XXXXXX";

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    char path[128];
    const char *const leaves[] = {"a/b/lock", "a/b", "a", "wide/lock", "wide", "file"};
    for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
        snprintf(path, sizeof(path), "%s/%s", root, leaves[i]);
        remove(path);
    }
    return rmdir(root);
}

static const char *in_root(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    return path;
}

static void test_open__missing_parents__are_made_private(void **state)
{
    (void)state;
    struct datadir d;
    struct fail fail = {0};
    assert_int_equal(datadir_open(&d, in_root("a/b"), &fail), 0);
    struct stat st;
    assert_int_equal(stat(in_root("a/b"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(in_root("a/b/lock"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    datadir_close(&d);
}

static void test_open__wide_mode__is_closed_to_others(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_root("wide"), 0755), 0);
    struct datadir d;
    struct fail fail = {0};
    assert_int_equal(datadir_open(&d, in_root("wide"), &fail), 0);
    struct stat st;
    assert_int_equal(stat(in_root("wide"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    datadir_close(&d);
}

static void test_open__second_node__is_refused_with_the_pid(void **state)
{
    (void)state;
    struct datadir first;
    struct datadir second;
    struct fail fail = {0};
    assert_int_equal(datadir_open(&first, in_root("a/b"), &fail), 0);
    assert_int_equal(datadir_open(&second, in_root("a/b"), &fail), E_CONFLICT);
    char pid[32];
    snprintf(pid, sizeof(pid), "pid %ld", (long)getpid());
    assert_non_null(strstr(fail.text, pid));
    datadir_close(&first);
    assert_int_equal(datadir_open(&second, in_root("a/b"), &fail), 0);
    datadir_close(&second);
}

static void test_open__a_file_in_the_way__is_named(void **state)
{
    (void)state;
    FILE *f = fopen(in_root("file"), "we");
    assert_non_null(f);
    fclose(f);
    struct datadir d;
    struct fail fail = {0};
    assert_int_equal(datadir_open(&d, in_root("file"), &fail), E_IO);
    assert_non_null(strstr(fail.text, "/file"));
    assert_int_equal(datadir_open(&d, "", &fail), E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open__missing_parents__are_made_private),
        cmocka_unit_test(test_open__wide_mode__is_closed_to_others),
        cmocka_unit_test(test_open__second_node__is_refused_with_the_pid),
        cmocka_unit_test(test_open__a_file_in_the_way__is_named),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
