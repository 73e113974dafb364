#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/utf8.h"

static char dir[] = "/tmp/nacre-log-XXXXXX";
static char path[sizeof dir + 16];
static char old_path[sizeof dir + 16];
static char text[1 << 20];

static const char *read_all(const char *name)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t len = read(fd, text, sizeof text - 1);
    assert_true(len >= 0);
    text[len] = '\0';
    assert_int_equal(close(fd), 0);
    return text;
}

static unsigned count_lines(const char *s)
{
    unsigned lines = 0;
    for (; *s; s++) {
        lines += *s == '\n';
    }
    return lines;
}

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir)) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/log", dir);
    (void)snprintf(old_path, sizeof old_path, "%s/log.1", dir);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(old_path);
    log_set_level(LOG_LEVEL_INFO);
    return log_open(path, 1 << 20);
}

static int end(void **state)
{
    (void)state;
    return log_open(NULL, 0);
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(old_path);
    return rmdir(dir);
}

static void test_log__line__has_time_level_subsystem_text(void **state)
{
    (void)state;
    LOG_INFO("conn", "opened id=%d", 7);
    LOG_ERROR("rpc", "bad");
    const char *s = read_all(path);
    int year = 0;
    int ms = 0;
    int after = 0;
    assert_int_equal(
        sscanf(s, "%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%3dZ INFO conn opened id=7%n", &year, &ms, &after),
        2);
    assert_int_equal(after, 24 + 1 + 4 + 1 + 4 + 1 + 11);
    assert_int_equal(s[after], '\n');
    assert_true(year >= 2024);
    assert_non_null(strstr(s, " ERROR rpc bad\n"));
    assert_int_equal(count_lines(s), 2);
}

static void test_log__above_the_level__is_not_written(void **state)
{
    (void)state;
    LOG_DEBUG("a", "hidden");
    log_set_level(LOG_LEVEL_DEBUG);
    assert_int_equal(log_get_level(), LOG_LEVEL_DEBUG);
    LOG_DEBUG("a", "shown");
    log_set_level(LOG_LEVEL_ERROR);
    LOG_WARN("a", "hidden");
    const char *s = read_all(path);
    assert_non_null(strstr(s, "shown"));
    assert_null(strstr(s, "hidden"));
}

static void test_log__controls_in_the_text__stay_on_one_line(void **state)
{
    (void)state;
    LOG_INFO("a", "x=%s",
             "1\r\n2\x1B[31m\xC2\x9B"
             "31m\x7F\xC2\xA9.");
    const char *s = read_all(path);
    assert_int_equal(count_lines(s), 1);
    assert_non_null(strstr(s, "x=1  2 [31m  31m \xC2\xA9.\n"));
}

static void test_log__long_line__is_cut_between_characters(void **state)
{
    (void)state;
    char long_text[2 * LOG_LINE_MAX];
    for (size_t at = 0; at + 4 < sizeof long_text; at += 3) {
        memcpy(long_text + at, "\xE4\xB8\xAD", 4);
    }
    LOG_INFO("a", "%s", long_text);
    const char *s = read_all(path);
    assert_int_equal(count_lines(s), 1);
    assert_true(strlen(s) <= LOG_LINE_MAX);
    assert_true(strlen(s) > LOG_LINE_MAX - 8);
    assert_true(utf8_valid(s, strlen(s)));
}

static void test_log__site_over_its_rate__says_how_many_were_dropped(void **state)
{
    (void)state;
    static struct log_site site;
    enum { LINES = 50 * LOG_SITE_PER_SECOND };
    for (int i = 0; i < LINES; i++) {
        log_write(&site, LOG_LEVEL_INFO, "a", "i=%d", i);
    }
    unsigned dropped = atomic_load(&site.dropped);
    assert_true(dropped > 0);
    /* A new second, without waiting for one. */
    atomic_store(&site.second, 0);
    log_write(&site, LOG_LEVEL_INFO, "a", "last");
    char expected[64];
    (void)snprintf(expected, sizeof expected, " last dropped=%u\n", dropped);
    const char *s = read_all(path);
    assert_non_null(strstr(s, expected));
    assert_int_equal(atomic_load(&site.dropped), 0);
}

static void test_log_open__file_is_private_and_appended(void **state)
{
    (void)state;
    LOG_INFO("a", "first");
    assert_int_equal(log_open(path, 1 << 20), 0);
    LOG_INFO("a", "second");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(count_lines(read_all(path)), 2);
}

static void test_log_open__file_at_its_cap__is_turned_over(void **state)
{
    (void)state;
    assert_int_equal(log_open(path, 500), 0);
    for (int i = 0; i < 12; i++) {
        LOG_INFO("a", "%050d", i);
    }
    struct stat now;
    struct stat old;
    assert_int_equal(stat(path, &now), 0);
    assert_int_equal(stat(old_path, &old), 0);
    assert_true(now.st_size <= 500);
    assert_true(old.st_size <= 500);
    assert_non_null(strstr(read_all(path), "000011\n"));
    assert_true(count_lines(read_all(old_path)) > 1);
}

static void test_log_open__cannot__keeps_the_old_sink(void **state)
{
    (void)state;
    errno = 0;
    assert_int_equal(log_open("/nonexistent/nacre/log", 1), E_IO);
    assert_int_equal(errno, ENOENT);
    LOG_INFO("a", "still here");
    assert_non_null(strstr(read_all(path), "still here"));
}

static void test_log__standard_output__is_the_default(void **state)
{
    (void)state;
    assert_int_equal(log_open(NULL, 0), 0);
    (void)fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
    LOG_INFO("a", "to stdout");
    assert_int_equal(dup2(kept, STDOUT_FILENO), STDOUT_FILENO);
    (void)close(kept);
    (void)close(fd);
    assert_non_null(strstr(read_all(path), " INFO a to stdout\n"));
}

static void *write_many(void *arg)
{
    for (int i = 0; i < 300; i++) {
        struct log_site own = {0};
        log_write(&own, LOG_LEVEL_INFO, arg, "%060d", i);
    }
    return NULL;
}

static void test_log__many_threads__lines_stay_whole(void **state)
{
    (void)state;
    static char names[3][2] = {"a", "b", "c"};
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, names[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    const char *s = read_all(path);
    assert_int_equal(count_lines(s), 900);
    size_t line = 24 + 1 + 4 + 1 + 1 + 1 + 60 + 1;
    assert_int_equal(strlen(s), 900 * line);
    for (size_t i = 1; i <= 900; i++) {
        assert_int_equal(s[i * line - 1], '\n');
    }
}

#define IN_FILE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FILE(test_log__line__has_time_level_subsystem_text),
        IN_FILE(test_log__above_the_level__is_not_written),
        IN_FILE(test_log__controls_in_the_text__stay_on_one_line),
        IN_FILE(test_log__long_line__is_cut_between_characters),
        IN_FILE(test_log__site_over_its_rate__says_how_many_were_dropped),
        IN_FILE(test_log_open__file_is_private_and_appended),
        IN_FILE(test_log_open__file_at_its_cap__is_turned_over),
        IN_FILE(test_log_open__cannot__keeps_the_old_sink),
        IN_FILE(test_log__standard_output__is_the_default),
        IN_FILE(test_log__many_threads__lines_stay_whole),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
