#include "node/rebuild.h"

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

#include <ftw.h>

#include "base/err.h"
#include "node/filebytes.h"

#define TIME_MS INT64_C(1700000000000)

static char dir[64];

static const char *at(const char *name)
{
    static char path[2][256];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
    return path[turn];
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static bool is_there(const char *name)
{
    return access(at(name), F_OK) == 0;
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/nacre-rebuild-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_state(void)
{
    static const char *const files[] = {"log.mark",      "config.db", "config.db-wal",
                                        "peers",         "node.key",  "node.crt",
                                        "base.snapshot", "lock",      "cluster.conf"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        write_file(files[i], files[i]);
    }
    assert_int_equal(mkdir(at("log"), 0700), 0);
    write_file("log/open-1", "entries");
}

static void order(int64_t ms)
{
    struct fail fail = {0};
    assert_int_equal(rebuild_order(dir, ms, SPAN("because"), &fail), 0);
}

static bool carry_out(void)
{
    struct fail fail = {0};
    bool done = false;
    assert_int_equal(rebuild_carry_out(dir, &done, &fail), 0);
    return done;
}

static void expect_aside(void)
{
    assert_false(is_there("log"));
    assert_false(is_there("config.db"));
    assert_false(is_there("config.db-wal"));
    assert_false(is_there("node.key"));
    assert_false(is_there("peers"));
    assert_false(is_there(REBUILD_ORDER_FILE));
    assert_true(is_there("lock"));
    assert_true(is_there("cluster.conf"));
    assert_true(is_there("diverged-1700000000000/log/open-1"));
    assert_true(is_there("diverged-1700000000000/config.db"));
    assert_true(is_there("diverged-1700000000000/node.key"));
    assert_true(is_there("diverged-1700000000000/about"));
}

static void test_no_order__nothing_moves(void **state)
{
    (void)state;
    make_state();
    assert_false(carry_out());
    assert_true(is_there("config.db"));
}

static void test_order__state_is_set_aside_and_the_rest_stays(void **state)
{
    (void)state;
    make_state();
    order(TIME_MS);
    assert_true(is_there("config.db")); /* not under the running node's feet */
    assert_true(carry_out());
    expect_aside();
    assert_false(carry_out());
}

static void test_cut_off_between__is_done_again(void **state)
{
    (void)state;
    make_state();
    order(TIME_MS);
    assert_int_equal(mkdir(at("diverged-1700000000000"), 0700), 0);
    assert_int_equal(rename(at("config.db"), at("diverged-1700000000000/config.db")), 0);
    assert_true(carry_out());
    expect_aside();
}

static void test_second_time__within_an_hour_is_refused(void **state)
{
    (void)state;
    struct fail fail = {0};
    make_state();
    order(TIME_MS);
    assert_true(carry_out());
    assert_int_equal(rebuild_order(dir, TIME_MS + REBUILD_AGAIN_MS - 1, SPAN("again"), &fail),
                     E_CONFLICT);
    assert_non_null(strstr(fail_text(&fail), "second time"));
    assert_false(is_there(REBUILD_ORDER_FILE));
    assert_false(carry_out());
}

static void test_second_time__later__only_the_last_one_is_kept(void **state)
{
    (void)state;
    make_state();
    order(TIME_MS);
    assert_true(carry_out());
    write_file("config.db", "second");
    order(TIME_MS + REBUILD_AGAIN_MS);
    assert_true(carry_out());
    assert_false(is_there("diverged-1700000000000"));
    assert_true(is_there("diverged-1700003600000/config.db"));
}

/* A name that merely looks like it is nobody's. */
static void test_foreign_names__stay(void **state)
{
    (void)state;
    make_state();
    assert_int_equal(mkdir(at("diverged-of-mine"), 0700), 0);
    order(TIME_MS);
    assert_true(carry_out());
    assert_true(is_there("diverged-of-mine"));
}

static void test_damaged_order__stops_the_start_with_a_sentence(void **state)
{
    (void)state;
    struct fail fail = {0};
    bool done = false;
    make_state();
    write_file(REBUILD_ORDER_FILE, "soon\n");
    assert_int_equal(rebuild_carry_out(dir, &done, &fail), E_CORRUPT);
    assert_true(is_there("config.db"));
    write_file(REBUILD_ORDER_FILE, "");
    assert_int_equal(rebuild_carry_out(dir, &done, &fail), E_CORRUPT);
}

static void test_order__folder_is_gone__is_an_error(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(rebuild_order(at("none"), TIME_MS, SPAN("because"), &fail), E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_order__nothing_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order__state_is_set_aside_and_the_rest_stays, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_cut_off_between__is_done_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_second_time__within_an_hour_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_second_time__later__only_the_last_one_is_kept, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_foreign_names__stay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_order__stops_the_start_with_a_sentence, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_order__folder_is_gone__is_an_error, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
