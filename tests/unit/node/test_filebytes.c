#include "node/filebytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/nacre-filebytes-XXXXXX";
static char path[128];
static char part[128];

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir)) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/file", dir);
    snprintf(part, sizeof(part), "%s/file.part", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(part);
    return rmdir(dir);
}

static void write_hello(void)
{
    struct filebytes f;
    struct fail fail = {0};
    assert_int_equal(filebytes_create(&f, path, &fail), 0);
    struct byte_sink sink = filebytes_sink(&f);
    assert_int_equal(sink.write(sink.self, SPAN("hello"), &fail), 0);
    assert_int_equal(access(part, F_OK), 0);
    assert_int_equal(filebytes_finish(&f, true, &fail), 0);
}

/* 0, or why the file is not what was written. */
static int read_hello(struct fail *fail)
{
    struct filebytes f;
    char text[6] = "";
    int err = filebytes_open(&f, path, fail);
    if (err) {
        return err;
    }
    struct byte_source from = filebytes_source(&f);
    err = from.read(from.self, text, 5, fail);
    if (!err) {
        err = filebytes_verify(&f, fail);
    }
    filebytes_close(&f);
    return err;
}

static void test_finish__names_a_private_whole_file(void **state)
{
    (void)state;
    struct fail fail = {0};
    struct stat st = {0};
    write_hello();
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 5 + FILEBYTES_DIGEST);
    assert_int_not_equal(access(part, F_OK), 0);
    assert_int_equal(read_hello(&fail), 0);
}

static void test_verify__every_flipped_bit_and_cut__is_found(void **state)
{
    (void)state;
    struct fail fail = {0};
    for (long at = 0; at < 5 + FILEBYTES_DIGEST; at++) {
        write_hello();
        FILE *f = fopen(path, "r+e");
        assert_non_null(f);
        assert_int_equal(fseek(f, at, SEEK_SET), 0);
        int c = fgetc(f);
        assert_int_equal(fseek(f, at, SEEK_SET), 0);
        assert_int_not_equal(fputc(c ^ 1, f), EOF);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(read_hello(&fail), E_CORRUPT);
        write_hello();
        assert_int_equal(truncate(path, at), 0);
        assert_int_not_equal(read_hello(&fail), 0);
    }
}

static void test_verify__more_bytes__is_found(void **state)
{
    (void)state;
    struct fail fail = {0};
    write_hello();
    FILE *f = fopen(path, "ae");
    assert_non_null(f);
    assert_int_equal(fputc('x', f), 'x');
    assert_int_equal(fclose(f), 0);
    assert_int_equal(read_hello(&fail), E_CORRUPT);
    assert_non_null(strstr(fail.text, "follows"));
}

static void test_drop__leaves_nothing(void **state)
{
    (void)state;
    struct filebytes f;
    struct fail fail = {0};
    (void)unlink(path);
    assert_int_equal(filebytes_create(&f, path, &fail), 0);
    filebytes_drop(&f);
    filebytes_drop(&f);
    assert_int_not_equal(access(part, F_OK), 0);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void test_open__missing_or_unwritable__says_so(void **state)
{
    (void)state;
    struct filebytes f;
    struct fail fail = {0};
    assert_int_equal(filebytes_open(&f, "/nowhere/x", &fail), E_NOT_FOUND);
    assert_int_equal(filebytes_create(&f, "/nowhere/x", &fail), E_IO);
    assert_non_null(strstr(fail.text, "/nowhere/x"));
}

static void test_write__full_device__is_full(void **state)
{
    (void)state;
    struct filebytes f;
    struct fail fail = {0};
    assert_int_equal(filebytes_create(&f, path, &fail), 0);
    FILE *real = f.file;
    f.file = fopen("/dev/full", "we");
    assert_non_null(f.file);
    setvbuf(f.file, NULL, _IONBF, 0);
    struct byte_sink sink = filebytes_sink(&f);
    assert_int_equal(sink.write(sink.self, SPAN("hello"), &fail), E_FULL);
    assert_int_equal(fclose(real), 0);
    filebytes_drop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finish__names_a_private_whole_file),
        cmocka_unit_test(test_verify__every_flipped_bit_and_cut__is_found),
        cmocka_unit_test(test_verify__more_bytes__is_found),
        cmocka_unit_test(test_drop__leaves_nothing),
        cmocka_unit_test(test_open__missing_or_unwritable__says_so),
        cmocka_unit_test(test_write__full_device__is_full),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
