#include "node/import_command.h"

#include <dlfcn.h>

#include "disk_rig.h"

static struct options options_for(struct disk *d)
{
    return (struct options){.data_dir = d->dir,
                            .server_address = "127.0.0.1",
                            .server_port = 1, /* nobody listens there */
                            .context_path = "/nacos"};
}

static void test_import__no_file_or_no_node__says_so(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    char file[128];
    disk_init(&d);
    struct options options = options_for(&d);
    struct cli import = {.command = CLI_IMPORT, .operand = "/nowhere/z.zip"};
    assert_int_equal(import_command(&import, &options, &fail), E_NOT_FOUND);
    FILE *f = fopen(disk_path(&d, "z", file), "we");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    import.operand = file;
    assert_int_equal(import_command(&import, &options, &fail), E_IO);
    assert_non_null(strstr(fail.text, "does the node run there"));
    disk_close(&d);
}

/* What is loaded for an import is no part of a server. */
static void test_libcurl__before_an_import__is_not_loaded(void **state)
{
    (void)state;
    assert_null(dlopen("libcurl.so.4", RTLD_NOW | RTLD_NOLOAD));
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_libcurl__before_an_import__is_not_loaded),
        cmocka_unit_test(test_import__no_file_or_no_node__says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
