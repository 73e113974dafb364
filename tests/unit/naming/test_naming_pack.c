/* Pieces of messages: what goes in comes out, and too much for the arena is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "naming/naming_pack.h"

#define SMALL 256

static void test_name__comes_back(void **state)
{
    (void)state;
    struct service_name n = {SPAN("ns"), SPAN("g"), SPAN("s\0with nul")};
    Nacre__ServiceName m = naming_pack_name(&n);
    struct service_name back = naming_unpack_name(&m);
    assert_true(service_name_eq(&n, &back));
}

static void test_name__missing__is_empty(void **state)
{
    (void)state;
    struct service_name back = naming_unpack_name(NULL);
    assert_true(span_empty(back.namespace_id) && span_empty(back.group) && span_empty(back.name));
}

static void test_instance__comes_back(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1u << 20);
    const struct instance_pair pairs[] = {{SPAN("k"), SPAN("v")}, {SPAN("empty"), {NULL, 0}}};
    struct instance_data d = {
        .ip = SPAN("10.0.0.1"),
        .cluster = SPAN("C1"),
        .instance_id = SPAN("id"),
        .metadata = pairs,
        .metadata_count = 2,
        .weight = 2.5,
        .port = 65535,
        .healthy = true,
    };
    Nacre__Instance m;
    naming_pack_instance(&m, &d, &arena);
    struct instance_data back = {0};
    assert_int_equal(naming_unpack_instance(&m, true, &arena, &back), 0);
    assert_true(span_eq(back.ip, d.ip));
    assert_true(span_eq(back.cluster, d.cluster));
    assert_true(span_eq(back.instance_id, d.instance_id));
    assert_int_equal(back.port, 65535);
    assert_true(back.weight == 2.5);
    assert_true(back.healthy && !back.enabled && back.ephemeral);
    assert_int_equal(back.metadata_count, 2);
    assert_true(span_eq(back.metadata[0].value, SPAN("v")));
    assert_true(span_empty(back.metadata[1].value));
    arena_close(&arena);
}

static void test_instance__too_much_for_the_arena__is_said(void **state)
{
    (void)state;
    struct arena arena;
    struct arena small;
    arena_init(&arena, 1u << 20);
    arena_init(&small, SMALL);
    static struct instance_pair pairs[SMALL];
    struct instance_data d = {.metadata = pairs, .metadata_count = SMALL};
    struct instance_data back = {0};
    Nacre__Instance m;
    naming_pack_instance(&m, &d, &arena);
    assert_int_equal(naming_unpack_instance(&m, true, &small, &back), E_LIMIT);
    assert_null(naming_unpack_pairs(m.metadata, m.n_metadata, &small));
    arena_close(&small);
    arena_close(&arena);
}

static void test_allocator__full__fails_the_unpacking(void **state)
{
    (void)state;
    struct arena arena;
    char bytes[SMALL];
    struct service_name n = {SPAN("ns"), SPAN("g"), SPAN("s")};
    Nacre__ServiceName m = naming_pack_name(&n);
    size_t len = nacre__service_name__pack(&m, (uint8_t *)bytes);
    for (size_t max = 0; max <= 1024; max += 1024) {
        arena_init(&arena, max);
        ProtobufCAllocator allocator = naming_pack_allocator(&arena);
        const Nacre__ServiceName *back =
            nacre__service_name__unpack(&allocator, len, (const uint8_t *)bytes);
        assert_int_equal(back != NULL, max > 0);
        arena_close(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name__comes_back),
        cmocka_unit_test(test_name__missing__is_empty),
        cmocka_unit_test(test_instance__comes_back),
        cmocka_unit_test(test_instance__too_much_for_the_arena__is_said),
        cmocka_unit_test(test_allocator__full__fails_the_unpacking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
