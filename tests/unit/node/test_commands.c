#include "node/commands.h"

#include "disk_rig.h"
#include "node/backup.h"

static struct options options_for(struct disk *d)
{
    return (struct options){.data_dir = d->dir,
                            .server_address = "127.0.0.1",
                            .server_port = 1, /* nobody listens there */
                            .context_path = "/nacos"};
}

static void test_backup_and_restore__without_node_or_file__say_so(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    disk_init(&d);
    struct options options = options_for(&d);
    struct cli backup = {.command = CLI_BACKUP, .operand = "b"};
    assert_int_equal(commands_run(&backup, &options, &fail), E_NOT_FOUND);
    assert_non_null(strstr(fail.text, "no node runs"));
    struct cli cluster = {.command = CLI_CLUSTER};
    assert_int_equal(commands_run(&cluster, &options, &fail), E_NOT_FOUND);
    cluster = (struct cli){.command = CLI_CLUSTER, .operand = "add", .address = "n1:99999"};
    assert_int_equal(commands_run(&cluster, &options, &fail), E_PARSE);
    cluster.address = "n1:1,n2:2";
    assert_int_equal(commands_run(&cluster, &options, &fail), E_INVALID);
    assert_non_null(strstr(fail.text, "one address"));
    struct cli restore = {.command = CLI_RESTORE, .operand = "/nowhere/b"};
    assert_int_equal(commands_run(&restore, &options, &fail), E_NOT_FOUND);
    restore.check_only = true;
    assert_int_equal(commands_run(&restore, &options, &fail), E_NOT_FOUND);
    disk_close(&d);
}

static void test_restore__check__reads_and_changes_nothing(void **state)
{
    (void)state;
    struct disk d;
    struct disk other;
    struct fail fail = {0};
    char file[128];
    char path[128];
    uint64_t bytes = 0;
    disk_init(&d);
    disk_init(&other);
    assert_int_equal(disk_start(&d, &fail), 0);
    assert_int_equal(backup_write(d.core, disk_path(&d, "b", file), NULL, NULL, &bytes, &fail), 0);
    struct options options = options_for(&other);
    struct cli restore = {.command = CLI_RESTORE, .operand = file, .check_only = true};
    assert_int_equal(commands_run(&restore, &options, &fail), 0);
    assert_int_not_equal(access(disk_path(&other, "config.db", path), F_OK), 0);
    restore.check_only = false;
    assert_int_equal(commands_run(&restore, &options, &fail), 0);
    assert_int_equal(access(path, F_OK), 0);
    disk_close(&other);
    disk_close(&d);
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backup_and_restore__without_node_or_file__say_so),
        cmocka_unit_test(test_restore__check__reads_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
