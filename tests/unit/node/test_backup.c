#include "node/backup.h"

#include "disk_rig.h"

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
    (void)arg;
    assert_true(done <= total);
}

/* A core with two configs and an instance, and a backup of it. */
static void make(struct disk *d, char file[128])
{
    struct fail fail = {0};
    uint64_t bytes = 0;
    disk_init(d);
    assert_int_equal(disk_start(d, &fail), 0);
    assert_int_equal(disk_publish(d, "a", "one"), 0);
    assert_int_equal(disk_publish(d, "b", "two"), 0);
    disk_register(d, 1);
    assert_int_equal(
        backup_write(d->core, disk_path(d, "backup", file), on_progress, NULL, &bytes, &fail), 0);
    struct stat st = {0};
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_size, bytes);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_restore__a_node_from_it__has_what_was_there(void **state)
{
    (void)state;
    struct disk d;
    struct disk other;
    struct fail fail = {0};
    char file[128];
    make(&d, file);
    assert_int_equal(disk_publish(&d, "c", "after the backup"), 0);
    disk_init(&other);
    FILE *say = fopen("/dev/null", "we");
    assert_int_equal(backup_restore(file, other.dir, say, &fail), 0);
    assert_int_equal(disk_start(&other, &fail), 0);
    struct disk_sight s = disk_look(&other);
    assert_int_equal(s.configs, 2);
    assert_int_equal(s.instances, 1);
    /* It lives on: what is written now is there after a restart, above the base. */
    assert_int_equal(disk_publish(&other, "d", "new"), 0);
    disk_stop(&other);
    assert_int_equal(disk_start(&other, &fail), 0);
    s = disk_look(&other);
    assert_int_equal(s.configs, 3);
    assert_int_equal(s.instances, 1);
    /* Never over something. */
    disk_stop(&other);
    assert_int_equal(backup_restore(file, other.dir, say, &fail), E_CONFLICT);
    assert_non_null(strstr(fail.text, "holds data already"));
    assert_int_equal(fclose(say), 0);
    disk_close(&other);
    disk_close(&d);
}

static void test_write__an_existing_file__stays(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    char file[128];
    uint64_t bytes = 0;
    make(&d, file);
    assert_int_equal(backup_write(d.core, file, NULL, NULL, &bytes, &fail), E_CONFLICT);
    assert_int_equal(backup_check(file, NULL, &fail), 0);
    assert_int_not_equal(backup_write(d.core, "/nowhere/b", NULL, NULL, &bytes, &fail), 0);
    disk_close(&d);
}

static void flip(const char *file, long at)
{
    FILE *f = fopen(file, "r+e");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    int c = fgetc(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_int_not_equal(fputc(c ^ 0x10, f), EOF);
    assert_int_equal(fclose(f), 0);
}

static void test_check__damage_anywhere__is_found_and_nothing_restored(void **state)
{
    (void)state;
    struct disk d;
    struct disk other;
    struct fail fail = {0};
    char file[128];
    char path[128];
    char about[BACKUP_ABOUT_MAX];
    make(&d, file);
    assert_int_equal(backup_check(file, about, &fail), 0);
    assert_non_null(strstr(about, "version="));
    struct stat st = {0};
    assert_int_equal(stat(file, &st), 0);
    disk_init(&other);
    for (long at = 0; at < st.st_size; at += 1 + st.st_size / 200) {
        flip(file, at);
        assert_int_not_equal(backup_check(file, NULL, &fail), 0);
        assert_int_not_equal(backup_restore(file, other.dir, stderr, &fail), 0);
        flip(file, at);
    }
    assert_int_not_equal(access(disk_path(&other, "config.db", path), F_OK), 0);
    assert_int_equal(truncate(file, st.st_size - 1), 0);
    assert_int_not_equal(backup_check(file, NULL, &fail), 0);
    assert_int_equal(backup_check("/nowhere/b", NULL, &fail), E_NOT_FOUND);
    disk_close(&other);
    disk_close(&d);
}

static void test_base__of_a_node_with_a_snapshot__goes(void **state)
{
    (void)state;
    struct disk d;
    struct disk other;
    struct fail fail = {0};
    char file[128];
    char path[128];
    make(&d, file);
    disk_init(&other);
    FILE *say = fopen("/dev/null", "we");
    assert_int_equal(backup_restore(file, other.dir, say, &fail), 0);
    assert_int_equal(fclose(say), 0);
    other.snapshot_entries = 64;
    assert_int_equal(disk_start(&other, &fail), 0);
    struct disk_sight s = {0};
    for (unsigned i = 0; i < 5000 && s.log.snapshot_index == 0; i++) {
        assert_int_equal(disk_publish(&other, "a", i % 2 ? "x" : "y"), 0);
        s = disk_look(&other);
    }
    assert_int_equal(access(disk_path(&other, BACKUP_BASE_FILE, path), F_OK), 0);
    disk_stop(&other);
    assert_int_equal(disk_start(&other, &fail), 0);
    assert_int_not_equal(access(path, F_OK), 0);
    s = disk_look(&other);
    assert_int_equal(s.configs, 2);
    assert_int_equal(s.instances, 1);
    disk_close(&other);
    disk_close(&d);
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restore__a_node_from_it__has_what_was_there),
        cmocka_unit_test(test_write__an_existing_file__stays),
        cmocka_unit_test(test_check__damage_anywhere__is_found_and_nothing_restored),
        cmocka_unit_test(test_base__of_a_node_with_a_snapshot__goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
