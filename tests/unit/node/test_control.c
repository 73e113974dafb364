#include "node/control.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "disk_rig.h"
#include "node/backup.h"

static void ask(const struct disk *d, const char *command, int expected, const char *text)
{
    char *said = NULL;
    size_t size = 0;
    struct fail fail = {0};
    FILE *say = open_memstream(&said, &size);
    assert_non_null(say);
    assert_int_equal(control_ask(d->dir, command, say, &fail), expected);
    assert_int_equal(fclose(say), 0);
    assert_non_null(strstr(expected ? fail.text : said, text));
    free(said);
}

static void test_backup__over_the_socket__is_written_and_told(void **state)
{
    (void)state;
    struct disk d;
    struct control *c = NULL;
    struct fail fail = {0};
    char command[160];
    char file[128];
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    assert_int_equal(disk_publish(&d, "a", "one"), 0);
    assert_int_equal(control_start(d.dir, d.core, &c, &fail), 0);
    struct stat st = {0};
    assert_int_equal(stat(disk_path(&d, CONTROL_FILE, file), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(command, sizeof(command), "backup %s", disk_path(&d, "b", file));
    ask(&d, command, 0, "bytes");
    assert_int_equal(backup_check(file, NULL, &fail), 0);
    ask(&d, command, E_INVALID, "exists already");
    ask(&d, "backup relative", E_INVALID, "absolute");
    ask(&d, "dance", E_INVALID, "unknown command");
    ask(&d, "cluster members", 0, "This node is alone");
    ask(&d, "cluster members-json", 0, "\"alone\":true");
    ask(&d, "cluster dance", E_INVALID, "expected members");
    ask(&d, "cluster add", E_INVALID, "an address");
    ask(&d, "cluster add n1:8848", E_INVALID, "this node is alone");
    control_stop(c);
    ask(&d, command, E_NOT_FOUND, "no node runs");
    control_stop(NULL);
    disk_close(&d);
}

static void test_start__a_socket_of_a_killed_node__is_replaced(void **state)
{
    (void)state;
    struct disk d;
    struct control *c = NULL;
    struct fail fail = {0};
    char path[128];
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    FILE *f = fopen(disk_path(&d, CONTROL_FILE, path), "we");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(control_start(d.dir, d.core, &c, &fail), 0);
    ask(&d, "dance", E_INVALID, "unknown command");
    control_stop(c);
    assert_int_equal(control_start("/nowhere", d.core, &c, &fail), E_IO);
    disk_close(&d);
}

static int connect_silently(const struct disk *d)
{
    char path[128];
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof(at.sun_path), "%.100s", disk_path(d, CONTROL_FILE, path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&at, sizeof(at)), 0);
    return fd;
}

static void test_sessions__silent_ones__keep_nobody_out_until_there_are_too_many(void **state)
{
    (void)state;
    struct disk d;
    struct control *c = NULL;
    struct fail fail = {0};
    int fds[CONTROL_SESSIONS_MAX];
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    assert_int_equal(control_start(d.dir, d.core, &c, &fail), 0);
    for (unsigned i = 0; i < CONTROL_SESSIONS_MAX; i++) {
        fds[i] = connect_silently(&d);
    }
    ask(&d, "cluster members", E_INVALID, "too many commands");
    (void)close(fds[0]);
    int err = E_INVALID;
    FILE *nowhere = fopen("/dev/null", "we");
    assert_non_null(nowhere);
    for (int tries = 0; err && tries < 1000; tries++) { /* until its end was seen */
        err = control_ask(d.dir, "cluster members", nowhere, &fail);
    }
    assert_int_equal(err, 0);
    assert_int_equal(fclose(nowhere), 0);
    for (unsigned i = 1; i < CONTROL_SESSIONS_MAX; i++) {
        (void)close(fds[i]);
    }
    control_stop(c);
    disk_close(&d);
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backup__over_the_socket__is_written_and_told),
        cmocka_unit_test(test_sessions__silent_ones__keep_nobody_out_until_there_are_too_many),
        cmocka_unit_test(test_start__a_socket_of_a_killed_node__is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
