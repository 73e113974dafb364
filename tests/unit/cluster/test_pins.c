#include "cluster/pins.h"

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

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/nacre-pins-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/%s", dir, PINS_NAME);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)rmdir(dir);
    return 0;
}

static struct pins some(void)
{
    struct pins p = {.stage = PINS_FORMING, .generation = 77, .count = 3};
    memset(p.cluster_id, 0xab, sizeof(p.cluster_id));
    memset(p.agreed, 0xcd, sizeof(p.agreed));
    p.list[0] = (struct pin){.slot = 1, .host = "a", .port = 1, .generation = 5, .is_self = true};
    p.list[1] = (struct pin){.slot = 1, .host = "fd00::1", .port = 8848, .generation = 6};
    p.list[2] = (struct pin){.slot = 31, .host = "nacos-3.example", .port = 64534};
    for (size_t i = 0; i < p.count; i++) {
        memset(p.list[i].id.bytes, (int)i + 1, NODE_ID_BYTES);
    }
    return p;
}

static void assert_same(const struct pins *a, const struct pins *b)
{
    assert_int_equal(a->stage, b->stage);
    assert_true(a->generation == b->generation);
    assert_memory_equal(a->cluster_id, b->cluster_id, sizeof(a->cluster_id));
    assert_memory_equal(a->agreed, b->agreed, sizeof(a->agreed));
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_int_equal(a->list[i].slot, b->list[i].slot);
        assert_true(node_id_eq(&a->list[i].id, &b->list[i].id));
        assert_true(a->list[i].generation == b->list[i].generation);
        assert_string_equal(a->list[i].host, b->list[i].host);
        assert_int_equal(a->list[i].port, b->list[i].port);
        assert_int_equal(a->list[i].is_self, b->list[i].is_self);
    }
}

static void test_decode__reads_what_was_encoded(void **state)
{
    (void)state;
    struct pins p = some();
    struct pins back;
    struct fail fail = {0};
    struct buf *text = pins_encode(&p);
    assert_int_equal(pins_decode("peers", buf_span(text), &back, &fail), 0);
    assert_same(&p, &back);
    buf_unref(text);
}

static void test_decode__every_damaged_byte_is_found(void **state)
{
    (void)state;
    struct pins p = some();
    struct pins back;
    struct buf *text = pins_encode(&p);
    char copy[4096];
    for (size_t i = 0; i < text->len; i++) {
        struct fail fail = {0};
        memcpy(copy, text->data, text->len);
        copy[i] ^= 1;
        assert_int_equal(pins_decode("DIR/peers", span_of(copy, text->len), &back, &fail),
                         E_CORRUPT);
        assert_non_null(strstr(fail.text, "DIR/peers"));
        assert_non_null(strstr(fail.text, "remove it"));
        assert_int_equal(pins_decode("DIR/peers", span_of(text->data, i), &back, &fail), E_CORRUPT);
    }
    buf_unref(text);
}

/* The file of a hand that knows the sum: what it says is still checked. */
static void test_decode__a_whole_file_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    struct pins back;
    struct fail fail = {0};
    struct pins p = some();
    p.list[2].id = p.list[1].id;
    struct buf *text = pins_encode(&p);
    assert_int_equal(pins_decode("peers", buf_span(text), &back, &fail), E_CORRUPT);
    buf_unref(text);
    p = some();
    p.list[2].slot = p.list[1].slot;
    text = pins_encode(&p);
    assert_int_equal(pins_decode("peers", buf_span(text), &back, &fail), E_CORRUPT);
    buf_unref(text);
    p = some();
    p.list[2].slot = 32;
    text = pins_encode(&p);
    assert_int_equal(pins_decode("peers", buf_span(text), &back, &fail), E_CORRUPT);
    assert_non_null(strstr(fail.text, "line 8"));
    buf_unref(text);
}

static void test_write__file_is_closed_to_others_and_replaces(void **state)
{
    (void)state;
    struct pins p = some();
    struct pins back;
    struct fail fail = {0};
    bool is_there = true;
    assert_int_equal(pins_read(dir, &back, &is_there, &fail), 0);
    assert_false(is_there);
    assert_int_equal(back.count, 0);
    for (int i = 0; i < 2; i++) {
        p.generation++;
        struct buf *text = pins_encode(&p);
        assert_int_equal(pins_write(dir, buf_span(text), &fail), 0);
        buf_unref(text);
        assert_int_equal(pins_read(dir, &back, &is_there, &fail), 0);
        assert_true(is_there);
        assert_same(&p, &back);
    }
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_read__damage_is_one_sentence(void **state)
{
    (void)state;
    struct pins back;
    struct fail fail = {0};
    bool is_there = false;
    assert_false(pins_are_there(dir));
    assert_int_equal(pins_write(dir, SPAN("nacre-peers 1\nstage new\n"), &fail), 0);
    assert_true(pins_are_there(dir));
    assert_false(pins_are_there("/nonexistent"));
    assert_int_equal(pins_read(dir, &back, &is_there, &fail), E_CORRUPT);
    assert_non_null(strstr(fail.text, path));
    assert_int_equal(pins_write("/nonexistent", SPAN("x"), &fail), E_IO);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(pins_read(dir, &back, &is_there, &fail), E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode__reads_what_was_encoded),
        cmocka_unit_test(test_decode__every_damaged_byte_is_found),
        cmocka_unit_test(test_decode__a_whole_file_that_makes_no_sense_is_refused),
        cmocka_unit_test_setup_teardown(test_write__file_is_closed_to_others_and_replaces, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_read__damage_is_one_sentence, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
