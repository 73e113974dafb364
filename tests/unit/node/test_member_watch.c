/* Where the list comes from, and an edited cluster.conf. */
#include "node/member_watch.h"

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

#include "base/log.h"

static char dir[64];
static char path[96];
static char other[96];
static struct options options;
static struct member_watch watch;
static uint64_t now_ms;

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/nacre-watch-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/cluster.conf", dir);
    (void)snprintf(other, sizeof(other), "%s/other", dir);
    log_set_level(LOG_LEVEL_ERROR);
    now_ms = 1000;
    options = (struct options){
        .members = "", .member_servers = "", .member_list = "", .cluster_conf = path};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(other);
    (void)rmdir(dir);
    return 0;
}

static void write_to(const char *name, const char *text)
{
    FILE *f = fopen(name, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void begin(void)
{
    struct fail fail = {0};
    assert_int_equal(member_watch_open(&watch, &options, now_ms, &fail), 0);
}

/* The list after an edit, within the promised time; NULL: none. */
static const struct member_list *look(void)
{
    now_ms += MEMBER_FILE_LOOK_MS;
    return member_watch_look(&watch, now_ms);
}

static void test_open__the_first_source_that_names_any__counts(void **state)
{
    (void)state;
    begin();
    assert_int_equal(watch.list.count, 0);
    options.member_list = "p:1";
    begin();
    assert_string_equal(watch.list.list[0].host, "p");
    write_to(path, "f:1\n");
    begin();
    assert_string_equal(watch.list.list[0].host, "f");
    options.members = "o:1";
    begin();
    assert_string_equal(watch.list.list[0].host, "o");
}

static void test_open__a_wrong_file__is_refused_with_its_line(void **state)
{
    (void)state;
    struct fail fail = {0};
    write_to(path, "f:1\nf:x\n");
    assert_int_equal(member_watch_open(&watch, &options, now_ms, &fail), E_PARSE);
    assert_non_null(strstr(fail.text, "line 2"));
}

static void test_look__edits_in_place_and_by_rename__are_seen(void **state)
{
    (void)state;
    write_to(path, "a:1\nb:1\n");
    begin();
    assert_null(look());
    write_to(path, "a:1\nb:1\nc:1\n");
    const struct member_list *list = look();
    assert_non_null(list);
    assert_int_equal(list->count, 3);
    assert_null(look());
    write_to(other, "a:1\nb:1\n");
    assert_int_equal(rename(other, path), 0);
    list = look();
    assert_non_null(list);
    assert_int_equal(list->count, 2);
    assert_null(member_watch_look(&watch, now_ms)); /* not due */
}

static void test_look__wrong_empty_and_gone__keep_the_list(void **state)
{
    (void)state;
    write_to(path, "a:1\nb:1\n");
    begin();
    write_to(path, "a:1\nb:\n");
    assert_null(look());
    write_to(path, "");
    assert_null(look());
    assert_int_equal(unlink(path), 0);
    assert_null(look());
    write_to(path, "b:1\na:1\n");
    assert_null(look()); /* what it was */
    write_to(path, "a:1\n");
    assert_non_null(look());
}

static void test_look__a_list_of_the_command_line__is_not_edited_by_a_file(void **state)
{
    (void)state;
    options.members = "a:1,b:1";
    begin();
    write_to(path, "c:1\n");
    assert_null(look());
    options.members = "";
    options.member_servers = "a:1,b:1";
    begin();
    assert_null(look());
}

static void test_look__a_file_that_appears__counts_before_the_property(void **state)
{
    (void)state;
    assert_int_equal(access(path, F_OK), -1);
    options.member_list = "a:1,b:1";
    begin();
    assert_null(look());
    write_to(path, "a:1\nb:1\nc:1\n");
    const struct member_list *list = look();
    assert_non_null(list);
    assert_int_equal(list->count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open__the_first_source_that_names_any__counts, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_open__a_wrong_file__is_refused_with_its_line, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_look__edits_in_place_and_by_rename__are_seen, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_look__wrong_empty_and_gone__keep_the_list, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_look__a_list_of_the_command_line__is_not_edited_by_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_look__a_file_that_appears__counts_before_the_property,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
