#include "bench/procstat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

static void test_ticks__name_with_spaces_and_brackets(void **state)
{
    (void)state;
    uint64_t ticks = 0;
    const char *text =
        "42 (a) b (c)) S 1 42 42 0 -1 4194304 10 0 0 0 123 45 0 0 20 0 9 0 100 200 300";
    assert_int_equal(procstat_parse_ticks(text, &ticks), 0);
    assert_int_equal(ticks, 168);
}

static void test_ticks__short_or_foreign_text_is_refused(void **state)
{
    (void)state;
    uint64_t ticks = 7;
    assert_int_equal(procstat_parse_ticks("", &ticks), E_PARSE);
    assert_int_equal(procstat_parse_ticks("42 (x) S 1 42 42", &ticks), E_PARSE);
    assert_int_equal(procstat_parse_ticks("42 (x) S 1 2 3 4 5 6 7 8 9 10 a b", &ticks), E_PARSE);
    assert_int_equal(ticks, 7);
}

static void test_rss__is_found_between_other_lines(void **state)
{
    (void)state;
    uint64_t kb = 0;
    assert_int_equal(
        procstat_parse_rss("Name:\tx\nVmHWM:\t  99 kB\nVmRSS:\t    1234 kB\nThreads:\t1\n", &kb),
        0);
    assert_int_equal(kb, 1234);
}

static void test_rss__of_a_dead_process_is_refused(void **state)
{
    (void)state;
    uint64_t kb = 7;
    assert_int_equal(procstat_parse_rss("Name:\tx\nState:\tZ (zombie)\n", &kb), E_PARSE);
    assert_int_equal(procstat_parse_rss("VmRSS:\t lots kB\n", &kb), E_PARSE);
    assert_int_equal(kb, 7);
}

static void test_read__own_process(void **state)
{
    (void)state;
    struct procstat stat = {0};
    struct fail fail = {0};
    assert_int_equal(procstat_read(getpid(), &stat, &fail), 0);
    assert_true(stat.rss_kb > 100);
}

static void test_read__no_such_process_names_the_option(void **state)
{
    (void)state;
    struct procstat stat = {0};
    struct fail fail = {0};
    assert_int_equal(procstat_read(INT32_MAX, &stat, &fail), E_NOT_FOUND);
    assert_non_null(strstr(fail_text(&fail), "--pid"));
}

static void test_meter__counts_own_work(void **state)
{
    (void)state;
    struct meter meter;
    struct usage usage;
    struct fail fail = {0};
    assert_int_equal(meter_begin(&meter, getpid(), &fail), 0);
    volatile uint64_t sum = 0;
    for (uint64_t i = 0; i < 20000000; i++) {
        sum = sum + i;
    }
    assert_int_equal(meter_end(&meter, &usage, &fail), 0);
    assert_true(usage.has_server);
    assert_true(usage.self_cpu_ns > 0);
    assert_true(usage.elapsed_ns > 0);
    assert_true(usage.server_rss_kb > 100);
}

static void test_meter__without_pid_has_no_server(void **state)
{
    (void)state;
    struct meter meter;
    struct usage usage;
    struct fail fail = {0};
    assert_int_equal(meter_begin(&meter, 0, &fail), 0);
    assert_int_equal(meter_end(&meter, &usage, &fail), 0);
    assert_false(usage.has_server);
    assert_int_equal(meter_begin(&meter, INT32_MAX, &fail), E_NOT_FOUND);
    assert_int_equal(meter_end(&meter, &usage, &fail), E_NOT_FOUND);
    assert_true(usage.elapsed_ns > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ticks__name_with_spaces_and_brackets),
        cmocka_unit_test(test_ticks__short_or_foreign_text_is_refused),
        cmocka_unit_test(test_rss__is_found_between_other_lines),
        cmocka_unit_test(test_rss__of_a_dead_process_is_refused),
        cmocka_unit_test(test_read__own_process),
        cmocka_unit_test(test_read__no_such_process_names_the_option),
        cmocka_unit_test(test_meter__counts_own_work),
        cmocka_unit_test(test_meter__without_pid_has_no_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
