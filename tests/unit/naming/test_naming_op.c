/* Operations of the log: what goes in comes out, and no damaged bytes get through to apply. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "naming/naming_op.h"

#define TIME_MS 1700000000000

/* SPAN() for static data. */
#define TEXT(lit)                                                                                  \
    {                                                                                              \
        lit, sizeof(lit) - 1                                                                       \
    }

static const struct service_name service = {TEXT("public"), TEXT("DEFAULT_GROUP"), TEXT("demo")};
static const struct instance_pair pairs[] = {
    {TEXT("zone"), TEXT("a")}, {TEXT("with\0nul"), TEXT("\0")}, {TEXT("empty"), {NULL, 0}}};

static struct instance_data usual(void)
{
    return (struct instance_data){
        .ip = SPAN("10.0.0.1"),
        .cluster = SPAN("DEFAULT"),
        .instance_id = SPAN("id"),
        .metadata = pairs,
        .metadata_count = ARRAY_LEN(pairs),
        .weight = 2.5,
        .port = 65535,
        .healthy = true,
        .enabled = true,
        .ephemeral = true,
    };
}

static struct naming_op publish(const struct instance_data *list, size_t count)
{
    return (struct naming_op){
        .kind = NAMING_OP_PUBLISH,
        .time_ms = TIME_MS,
        .service = service,
        .client = SPAN("1700000000000_10.0.0.1_40000"),
        .client_kind = CLIENT_CONNECTION,
        .ephemeral = true,
        .batch = count != 1,
        .instances = list,
        .instances_count = count,
    };
}

static struct naming_op overlay(void)
{
    static const struct span gone[] = {TEXT("x"), TEXT("y")};
    return (struct naming_op){
        .kind = NAMING_OP_OVERLAY,
        .time_ms = TIME_MS,
        .service = service,
        .ip = SPAN("10.0.0.1"),
        .port = 80,
        .cluster = SPAN("C1"),
        .has_weight = true,
        .weight = 0.5,
        .has_enabled = true,
        .enabled = true,
        .merge_metadata = true,
        .metadata = pairs,
        .metadata_count = ARRAY_LEN(pairs),
        .metadata_remove = gone,
        .metadata_remove_count = ARRAY_LEN(gone),
    };
}

static struct naming_op service_put(void)
{
    return (struct naming_op){
        .kind = NAMING_OP_SERVICE_PUT,
        .time_ms = TIME_MS,
        .service = service,
        .create = true,
        .ephemeral = true,
        .protect_threshold = 0.75,
        .metadata = pairs,
        .metadata_count = ARRAY_LEN(pairs),
        .selector = SPAN("{\"type\":\"none\"}"),
    };
}

static struct naming_op of_client(enum naming_op_kind kind)
{
    return (struct naming_op){
        .kind = kind,
        .time_ms = TIME_MS,
        .service = service,
        .client = SPAN("10.0.0.1:80#true"),
        .reason = REMOVAL_BEAT_EXPIRED,
        .healthy = true,
    };
}

/* op, encoded and decoded; everything lives in arena. */
static struct naming_op round_trip(const struct naming_op *op, struct arena *arena)
{
    struct naming_op back = {0};
    struct fail fail = {0};
    arena_init(arena, NAMING_OP_ARENA_MAX);
    struct buf *packed = naming_op_encode(op);
    assert_int_equal(naming_op_decode(buf_span(packed), arena, &back, &fail), 0);
    buf_unref(packed);
    assert_int_equal(back.kind, op->kind);
    assert_int_equal(back.time_ms, op->time_ms);
    return back;
}

static void expect_pairs(const struct instance_pair *list, size_t count)
{
    assert_int_equal(count, ARRAY_LEN(pairs));
    for (size_t i = 0; i < count; i++) {
        assert_true(span_eq(list[i].key, pairs[i].key));
        assert_true(span_eq(list[i].value, pairs[i].value));
    }
}

static void test_round_trip__publish(void **state)
{
    (void)state;
    struct instance_data list[] = {usual(), usual()};
    list[1].ip = SPAN("10.0.0.2");
    list[1].port = 0;
    list[1].weight = 0;
    list[1].healthy = false;
    list[1].enabled = false;
    list[1].instance_id = (struct span){0};
    list[1].metadata_count = 0;
    struct naming_op op = publish(list, 2);
    struct arena arena;
    struct naming_op back = round_trip(&op, &arena);
    assert_true(service_name_eq(&back.service, &service));
    assert_true(span_eq(back.client, op.client));
    assert_int_equal(back.client_kind, CLIENT_CONNECTION);
    assert_true(back.ephemeral);
    assert_true(back.batch);
    assert_int_equal(back.instances_count, 2);
    const struct instance_data *i = &back.instances[0];
    assert_true(span_eq(i->ip, SPAN("10.0.0.1")));
    assert_true(span_eq(i->cluster, SPAN("DEFAULT")));
    assert_true(span_eq(i->instance_id, SPAN("id")));
    assert_int_equal(i->port, 65535);
    assert_true(i->weight == 2.5);
    assert_true(i->healthy && i->enabled && i->ephemeral);
    expect_pairs(i->metadata, i->metadata_count);
    i = &back.instances[1];
    assert_true(span_eq(i->ip, SPAN("10.0.0.2")));
    assert_int_equal(i->port, 0);
    assert_true(i->weight == 0.0);
    assert_false(i->healthy || i->enabled);
    assert_int_equal(i->instance_id.len, 0);
    assert_int_equal(i->metadata_count, 0);
    arena_close(&arena);
}

static void test_round_trip__publish_of_nothing_and_of_persistent(void **state)
{
    (void)state;
    struct arena arena;
    struct naming_op op = publish(NULL, 0);
    assert_int_equal(round_trip(&op, &arena).instances_count, 0);
    arena_close(&arena);
    struct instance_data one = usual();
    op = publish(&one, 1);
    op.client = SPAN("10.0.0.1:65535#false");
    op.client_kind = CLIENT_PERSISTENT;
    op.ephemeral = false;
    struct naming_op back = round_trip(&op, &arena);
    assert_false(back.ephemeral);
    assert_false(back.batch);
    assert_false(back.instances[0].ephemeral);
    arena_close(&arena);
}

static void test_round_trip__largest_batch(void **state)
{
    (void)state;
    struct instance_data *list = calloc(INSTANCE_BATCH_MAX, sizeof(*list));
    assert_non_null(list);
    for (size_t i = 0; i < INSTANCE_BATCH_MAX; i++) {
        list[i] = usual();
        list[i].port = (int64_t)i;
    }
    struct naming_op op = publish(list, INSTANCE_BATCH_MAX);
    struct arena arena;
    struct naming_op back = round_trip(&op, &arena);
    assert_int_equal(back.instances_count, INSTANCE_BATCH_MAX);
    assert_int_equal(back.instances[9999].port, 9999);
    arena_close(&arena);
    free(list);
}

static void test_round_trip__operations_of_clients(void **state)
{
    (void)state;
    struct arena arena;
    struct naming_op op = of_client(NAMING_OP_UNPUBLISH);
    struct naming_op back = round_trip(&op, &arena);
    assert_true(service_name_eq(&back.service, &service));
    assert_true(span_eq(back.client, op.client));
    assert_int_equal(back.reason, REMOVAL_BEAT_EXPIRED);
    arena_close(&arena);

    op = of_client(NAMING_OP_CLIENT_GONE);
    back = round_trip(&op, &arena);
    assert_true(span_eq(back.client, op.client));
    assert_int_equal(back.reason, REMOVAL_BEAT_EXPIRED);
    arena_close(&arena);

    op = of_client(NAMING_OP_HEALTH);
    back = round_trip(&op, &arena);
    assert_true(service_name_eq(&back.service, &service));
    assert_true(span_eq(back.client, op.client));
    assert_true(back.healthy);
    arena_close(&arena);
}

static void test_round_trip__overlay(void **state)
{
    (void)state;
    struct arena arena;
    struct naming_op op = overlay();
    struct naming_op back = round_trip(&op, &arena);
    assert_true(service_name_eq(&back.service, &service));
    assert_true(span_eq(back.ip, SPAN("10.0.0.1")));
    assert_int_equal(back.port, 80);
    assert_true(span_eq(back.cluster, SPAN("C1")));
    assert_true(back.has_weight && back.has_enabled && back.enabled && back.merge_metadata);
    assert_false(back.remove);
    assert_true(back.weight == 0.5);
    expect_pairs(back.metadata, back.metadata_count);
    assert_int_equal(back.metadata_remove_count, 2);
    assert_true(span_eq(back.metadata_remove[1], SPAN("y")));
    arena_close(&arena);
    op.remove = op.must_exist = true;
    op.seen_ms = TIME_MS;
    back = round_trip(&op, &arena);
    assert_true(back.remove && back.must_exist);
    assert_int_equal(back.seen_ms, TIME_MS);
    arena_close(&arena);
}

static void test_round_trip__service_record(void **state)
{
    (void)state;
    struct arena arena;
    struct naming_op op = service_put();
    struct naming_op back = round_trip(&op, &arena);
    assert_true(service_name_eq(&back.service, &service));
    assert_true(back.create && back.ephemeral);
    assert_true(back.protect_threshold == 0.75);
    assert_true(span_eq(back.selector, op.selector));
    expect_pairs(back.metadata, back.metadata_count);
    arena_close(&arena);

    op = of_client(NAMING_OP_SERVICE_REMOVE);
    assert_false(round_trip(&op, &arena).is_explicit);
    arena_close(&arena);
    op.is_explicit = true;
    op.seen_revision = UINT64_MAX;
    back = round_trip(&op, &arena);
    assert_true(back.is_explicit);
    assert_true(back.seen_revision == UINT64_MAX);
    arena_close(&arena);
}

static void test_round_trip__fence(void **state)
{
    (void)state;
    struct arena arena;
    struct naming_op op = {.kind = NAMING_OP_FENCE, .time_ms = TIME_MS, .fence = 7};
    assert_int_equal(round_trip(&op, &arena).fence, 7);
    arena_close(&arena);
}

/* It is the envelope's, so nobody can claim an operation for another node by its bytes. */
static void test_round_trip__the_owner_is_not_in_it(void **state)
{
    (void)state;
    struct arena arena;
    struct naming_op op = of_client(NAMING_OP_CLIENT_GONE);
    op.owner = 7;
    assert_int_equal(round_trip(&op, &arena).owner, 0);
    arena_close(&arena);
}

/* An operation with one wrong value is refused by the check, and by decode when it is in the log.
 */
static void refuse(const struct naming_op *op)
{
    struct fail fail = {0};
    assert_true(naming_op_check(op, &fail) < 0);
    assert_true(fail.text[0] != '\0');
    struct buf *packed = naming_op_encode(op);
    struct arena arena;
    arena_init(&arena, NAMING_OP_ARENA_MAX);
    struct naming_op back = {0};
    fail = (struct fail){0};
    assert_int_equal(naming_op_decode(buf_span(packed), &arena, &back, &fail), E_PARSE);
    assert_int_equal(fail.code, E_PARSE);
    assert_int_equal(back.kind, 0); /* nothing was written */
    arena_close(&arena);
    buf_unref(packed);
}

static void test_check__what_all_operations_have(void **state)
{
    (void)state;
    struct naming_op op = of_client(NAMING_OP_UNPUBLISH);
    op.time_ms = 0;
    refuse(&op);
    op.time_ms = -1;
    refuse(&op);
    op = of_client(NAMING_OP_SERVICE_REMOVE);
    op.service.name = SPAN("a@@b");
    refuse(&op);
    op.service = (struct service_name){SPAN("public"), SPAN(""), SPAN("demo")};
    refuse(&op);
    op.service = (struct service_name){SPAN(""), SPAN("g"), SPAN("demo")};
    refuse(&op);
}

static void test_check__client_and_reason(void **state)
{
    (void)state;
    char id[NAMING_OP_CLIENT_MAX + 1];
    memset(id, 'c', sizeof(id));
    const enum naming_op_kind kinds[] = {NAMING_OP_UNPUBLISH, NAMING_OP_CLIENT_GONE,
                                         NAMING_OP_HEALTH};
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct naming_op op = of_client(kinds[k]);
        op.client = (struct span){0};
        refuse(&op);
        op.client = span_of(id, sizeof(id));
        refuse(&op);
        op.client.len--;
        assert_int_equal(naming_op_check(&op, NULL), 0);
        op.reason = (enum removal_reason)0;
        if (kinds[k] != NAMING_OP_HEALTH) {
            refuse(&op);
            op.reason = (enum removal_reason)REMOVAL_NUMBERS;
            refuse(&op);
        }
    }
}

static void test_check__publish(void **state)
{
    (void)state;
    struct instance_data good = usual();
    struct instance_data bad[] = {good, good, good, good, good, good, good, good};
    bad[0].ip = (struct span){0};
    bad[1].cluster = (struct span){0};
    bad[2].port = 65536;
    bad[3].weight = NAN;
    bad[4].weight = 10000.5;
    bad[5].weight = -1;
    bad[6].ip = SPAN("a b");
    bad[7].cluster = SPAN("a b");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct naming_op op = publish(&bad[i], 1);
        refuse(&op);
    }
    struct naming_op op = publish(&good, 1);
    op.client_kind = (enum client_kind)4;
    refuse(&op);
    op.client_kind = (enum client_kind)0;
    refuse(&op);
    op.client_kind = CLIENT_PERSISTENT; /* but ephemeral */
    refuse(&op);
    op.client_kind = CLIENT_HTTP;
    op.ephemeral = false;
    refuse(&op);
}

static void test_check__too_many(void **state)
{
    (void)state;
    struct instance_data *list = calloc(INSTANCE_BATCH_MAX + 1, sizeof(*list));
    assert_non_null(list);
    for (size_t i = 0; i <= INSTANCE_BATCH_MAX; i++) {
        list[i] = usual();
    }
    struct naming_op op = publish(list, INSTANCE_BATCH_MAX + 1);
    refuse(&op);
    free(list);
    struct instance_pair *many = calloc(INSTANCE_METADATA_MAX + 1, sizeof(*many));
    assert_non_null(many);
    struct instance_data one = usual();
    one.metadata = many;
    one.metadata_count = INSTANCE_METADATA_MAX + 1;
    op = publish(&one, 1);
    refuse(&op);
    op = overlay();
    op.metadata = many;
    op.metadata_count = INSTANCE_METADATA_MAX + 1;
    refuse(&op);
    free(many);
    struct span *gone = calloc(INSTANCE_METADATA_MAX + 1, sizeof(*gone));
    assert_non_null(gone);
    op = overlay();
    op.metadata_remove = gone;
    op.metadata_remove_count = INSTANCE_METADATA_MAX + 1;
    refuse(&op);
    free(gone);
}

static void test_check__overlay_and_record(void **state)
{
    (void)state;
    struct naming_op op = overlay();
    op.weight = INFINITY;
    refuse(&op);
    op.has_weight = false; /* then it does not count */
    assert_int_equal(naming_op_check(&op, NULL), 0);
    op.ip = (struct span){0};
    refuse(&op);

    size_t large_len = NAMING_OP_METADATA_BYTES_MAX + 1;
    char *large = calloc(1, large_len);
    assert_non_null(large);
    const struct instance_pair heavy[] = {{SPAN(""), span_of(large, large_len)}};
    op = overlay();
    op.metadata = heavy;
    op.metadata_count = 1;
    refuse(&op);
    op = service_put();
    op.metadata = heavy;
    op.metadata_count = 1;
    refuse(&op);
    op = service_put();
    op.selector = span_of(large, NAMING_OP_SELECTOR_MAX + 1);
    refuse(&op);
    op.selector.len--;
    assert_int_equal(naming_op_check(&op, NULL), 0);
    op.protect_threshold = NAN;
    refuse(&op);
    free(large);
}

static int decode(struct span bytes)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct naming_op op = {0};
    struct fail fail = {0};
    int err = naming_op_decode(bytes, &arena, &op, &fail);
    assert_true(err == 0 || err == E_PARSE);
    if (err == 0) {
        assert_int_equal(naming_op_check(&op, NULL), 0);
    }
    arena_close(&arena);
    return err;
}

static void test_decode__nothing_unknown_version_unknown_kind__refused(void **state)
{
    (void)state;
    assert_int_equal(decode((struct span){0}), E_PARSE);
    /* version 1, time 1, no operation */
    assert_int_equal(decode(SPAN("\x08\x01\x10\x01")), E_PARSE);
    /* field 18 as an operation of a later version */
    assert_int_equal(decode(SPAN("\x08\x01\x10\x01\x92\x01\x00")), E_PARSE);
    /* version 2 of ServiceRemove */
    struct naming_op op = of_client(NAMING_OP_SERVICE_REMOVE);
    struct buf *packed = naming_op_encode(&op);
    assert_int_equal(decode(buf_span(packed)), 0);
    char copy[128];
    assert_true(packed->len < sizeof(copy));
    memcpy(copy, packed->data, packed->len);
    assert_int_equal(copy[1], 1);
    copy[1] = 2;
    assert_int_equal(decode(span_of(copy, packed->len)), E_PARSE);
    buf_unref(packed);
}

static void test_decode__fields_of_a_later_version__are_passed_over(void **state)
{
    (void)state;
    struct naming_op op = of_client(NAMING_OP_SERVICE_REMOVE);
    struct buf *packed = naming_op_encode(&op);
    char copy[128];
    assert_true(packed->len + 3 < sizeof(copy));
    memcpy(copy, packed->data, packed->len);
    memcpy(copy + packed->len, "\xF8\x07\x01", 3); /* field 127, varint 1 */
    assert_int_equal(decode(span_of(copy, packed->len + 3)), 0);
    buf_unref(packed);
}

static void test_decode__more_than_the_arena_holds__refused(void **state)
{
    (void)state;
    /* 100,000 empty pairs: 200 KB on the wire, 64 bytes each in memory. */
    struct instance_data one = usual();
    one.metadata_count = 100000;
    struct instance_pair *many = calloc(one.metadata_count, sizeof(*many));
    assert_non_null(many);
    one.metadata = many;
    struct naming_op op = publish(&one, 1);
    struct buf *packed = naming_op_encode(&op);
    assert_int_equal(decode(buf_span(packed)), E_PARSE);
    buf_unref(packed);
    free(many);
}

/* Every cut and every single-byte change of every kind: refused, or a valid operation. */
static void test_decode__damaged__refused_or_valid(void **state)
{
    (void)state;
    struct instance_data list[] = {usual(), usual()};
    const struct naming_op ops[] = {
        publish(list, 2),
        overlay(),
        service_put(),
        of_client(NAMING_OP_UNPUBLISH),
        of_client(NAMING_OP_CLIENT_GONE),
        of_client(NAMING_OP_HEALTH),
        of_client(NAMING_OP_SERVICE_REMOVE),
        {.kind = NAMING_OP_FENCE, .time_ms = TIME_MS, .fence = 7},
    };
    const unsigned char changes[] = {0x01, 0x80, 0xFF, 0x10};
    for (size_t o = 0; o < ARRAY_LEN(ops); o++) {
        struct buf *packed = naming_op_encode(&ops[o]);
        for (size_t at = 0; at < packed->len; at++) {
            (void)decode(span_of(packed->data, at));
            for (size_t c = 0; c < ARRAY_LEN(changes); c++) {
                packed->data[at] = (char)(packed->data[at] ^ changes[c]);
                (void)decode(buf_span(packed));
                packed->data[at] = (char)(packed->data[at] ^ changes[c]);
            }
        }
        assert_int_equal(decode(buf_span(packed)), 0);
        buf_unref(packed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip__publish),
        cmocka_unit_test(test_round_trip__publish_of_nothing_and_of_persistent),
        cmocka_unit_test(test_round_trip__largest_batch),
        cmocka_unit_test(test_round_trip__operations_of_clients),
        cmocka_unit_test(test_round_trip__overlay),
        cmocka_unit_test(test_round_trip__service_record),
        cmocka_unit_test(test_round_trip__fence),
        cmocka_unit_test(test_round_trip__the_owner_is_not_in_it),
        cmocka_unit_test(test_check__what_all_operations_have),
        cmocka_unit_test(test_check__client_and_reason),
        cmocka_unit_test(test_check__publish),
        cmocka_unit_test(test_check__too_many),
        cmocka_unit_test(test_check__overlay_and_record),
        cmocka_unit_test(test_decode__nothing_unknown_version_unknown_kind__refused),
        cmocka_unit_test(test_decode__fields_of_a_later_version__are_passed_over),
        cmocka_unit_test(test_decode__more_than_the_arena_holds__refused),
        cmocka_unit_test(test_decode__damaged__refused_or_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
