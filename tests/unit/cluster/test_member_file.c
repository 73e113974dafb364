#include "cluster/member_file.h"

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

static char dir[64];
static char path[96];
static struct member_file file;
static struct fail fail;
static uint64_t now_ms;

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/nacre-members-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/cluster.conf", dir);
    now_ms = 1000;
    member_file_init(&file, "cluster.conf", NULL, 8848, now_ms);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)rmdir(path);
    (void)rmdir(dir);
    return 0;
}

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static enum member_file_news look(void)
{
    struct member_look found;
    now_ms += MEMBER_FILE_LOOK_MS;
    fail = (struct fail){0};
    assert_true(member_file_due(&file, now_ms));
    assert_false(member_file_due(&file, now_ms)); /* one look at a time */
    member_file_look(path, &file.stamp, &found);
    return member_file_take(&file, &found, now_ms, &fail);
}

static void test_take__a_changed_file_is_a_new_list_once(void **state)
{
    (void)state;
    write_file("a:1\n");
    assert_int_equal(look(), MEMBER_FILE_CHANGED);
    assert_int_equal(file.list.count, 1);
    assert_int_equal(look(), MEMBER_FILE_SAME);
    write_file("a:1\nb\n");
    assert_int_equal(look(), MEMBER_FILE_CHANGED);
    assert_int_equal(file.list.count, 2);
    assert_int_equal(file.list.list[1].port, 8848);
    write_file("# other words, the same list\nb:8848,A:1");
    assert_int_equal(look(), MEMBER_FILE_SAME);
}

static void test_take__a_wrong_file_keeps_the_last_list_and_is_told_once(void **state)
{
    (void)state;
    write_file("a:1\n");
    assert_int_equal(look(), MEMBER_FILE_CHANGED);
    write_file("a:1\nb:x\n");
    assert_int_equal(look(), MEMBER_FILE_BAD);
    assert_int_equal(fail.code, E_PARSE);
    assert_non_null(strstr(fail.text, "cluster.conf line 2"));
    assert_int_equal(file.list.count, 1);
    write_file("a:1\nb:x\n"); /* touched, the same content */
    assert_int_equal(look(), MEMBER_FILE_SAME);
    write_file("a:1\nb:y\n");
    assert_int_equal(look(), MEMBER_FILE_BAD);
    write_file("a:1\n");
    assert_int_equal(look(), MEMBER_FILE_SAME);
    write_file("a:1\nb:x\n"); /* it was right in between: told again */
    assert_int_equal(look(), MEMBER_FILE_BAD);
}

static void test_take__a_file_that_goes_or_is_emptied_keeps_the_list(void **state)
{
    (void)state;
    write_file("a:1\n");
    assert_int_equal(look(), MEMBER_FILE_CHANGED);
    write_file("# nothing\n");
    assert_int_equal(look(), MEMBER_FILE_BAD);
    assert_int_equal(fail.code, E_NOT_FOUND);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(look(), MEMBER_FILE_BAD);
    assert_int_equal(look(), MEMBER_FILE_SAME);
    assert_int_equal(file.list.count, 1);
}

static void test_take__no_file_and_no_list_is_nothing_to_tell(void **state)
{
    (void)state;
    assert_int_equal(look(), MEMBER_FILE_SAME);
    write_file("");
    assert_int_equal(look(), MEMBER_FILE_SAME);
    assert_false(file.has_list);
    write_file("a:1");
    assert_int_equal(look(), MEMBER_FILE_CHANGED);
}

static void test_look__what_is_no_file_or_too_large_is_told(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(look(), MEMBER_FILE_BAD);
    assert_non_null(strstr(fail.text, "no regular file"));
    assert_int_equal(look(), MEMBER_FILE_SAME);
    assert_int_equal(rmdir(path), 0);
    char *large = calloc(1, MEMBERS_TEXT_MAX + 2);
    assert_non_null(large);
    memset(large, '#', MEMBERS_TEXT_MAX + 1);
    write_file(large);
    free(large);
    assert_int_equal(look(), MEMBER_FILE_BAD);
    assert_int_equal(fail.code, E_LIMIT);
}

static void test_look__a_file_that_did_not_change_is_not_read(void **state)
{
    (void)state;
    struct member_look found;
    write_file("a:1\n");
    member_file_look(path, &file.stamp, &found);
    assert_true(found.is_read);
    assert_false(found.stamp.is_known); /* another write may have the same time */
    buf_unref(found.text);
    const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    member_file_look(path, &file.stamp, &found);
    assert_true(found.is_read);
    struct member_stamp stamp = found.stamp;
    buf_unref(found.text);
    member_file_look(path, &stamp, &found);
    assert_false(found.is_read);
    assert_null(found.text);
}

static void test_due__a_look_that_never_comes_back_is_repeated(void **state)
{
    (void)state;
    assert_false(member_file_due(&file, now_ms));
    now_ms = member_file_deadline(&file);
    assert_true(member_file_due(&file, now_ms));
    assert_false(member_file_due(&file, now_ms + MEMBER_FILE_WAIT_MS - 1));
    assert_true(member_file_due(&file, now_ms + MEMBER_FILE_WAIT_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_take__a_changed_file_is_a_new_list_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_take__a_wrong_file_keeps_the_last_list_and_is_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_take__a_file_that_goes_or_is_emptied_keeps_the_list,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_take__no_file_and_no_list_is_nothing_to_tell, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_look__what_is_no_file_or_too_large_is_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_look__a_file_that_did_not_change_is_not_read, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_due__a_look_that_never_comes_back_is_repeated, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
