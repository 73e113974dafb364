/* What shows in the digest of a registry, and that a snapshot brings the same. naming_check, which
 * the bed calls after every operation, compares it with the sum from the beginning. */
#include "naming/naming_digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "naming_bed.h"
#include "snapshot_bed.h"

#define CLIENT "1_10.0.0.1_1"
#define OTHER "1_10.0.0.2_2"

static uint64_t digest(const struct bed *b)
{
    return naming_digest(b->naming);
}

/* Two registries that applied the same so far. */
struct two {
    struct bed a, b;
};

static void begin(struct two *t)
{
    bed_begin(&t->a);
    bed_begin(&t->b);
}

static void end(struct two *t)
{
    bed_end(&t->a);
    bed_end(&t->b);
}

static void same(const struct two *t)
{
    assert_true(digest(&t->a) == digest(&t->b));
}

static void differ(const struct two *t)
{
    assert_true(digest(&t->a) != digest(&t->b));
}

static struct naming_op overlay_of(const char *ip, int port, double weight)
{
    return (struct naming_op){
        .kind = NAMING_OP_OVERLAY,
        .service = bed_name("s"),
        .ip = span_str(ip),
        .port = (uint16_t)port,
        .cluster = SPAN("DEFAULT"),
        .has_weight = true,
        .weight = weight,
    };
}

static void test_nothing__is_0__also_after_everything_went(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_true(digest(&b) == 0);
    struct naming_op o = overlay_of("10.0.0.1", 80, 5);
    for (int i = 0; i < 3 * SERVICE_REMOVALS_KEPT; i++) {
        assert_int_equal(bed_register(&b, CLIENT, "s", "10.0.0.1", 80), 0);
        assert_int_equal(bed_register(&b, OTHER, "s", "10.0.0.1", 80), 0);
        assert_int_equal(bed_apply(&b, &o), 0);
        assert_int_equal(bed_health(&b, CLIENT, "s", i % 2 == 0), 0);
        assert_int_equal(bed_gone(&b, CLIENT), 0);
        assert_int_equal(bed_unpublish(&b, OTHER, "s"), 0);
    }
    assert_true(digest(&b) != 0);
    assert_int_equal(bed_service_remove(&b, "s", true), 0);
    assert_true(digest(&b) == 0);
    bed_end(&b);
}

static void test_instance__every_field_counts(void **state)
{
    (void)state;
    const struct instance_pair one[] = {{SPAN("k"), SPAN("v")}};
    const struct instance_pair two[] = {{SPAN("k"), SPAN("w")}};
    for (int field = 0; field < 9; field++) {
        struct two t;
        begin(&t);
        struct instance_data d = bed_instance("10.0.0.1", 80);
        struct instance_data e = d;
        d.metadata = one;
        d.metadata_count = 1;
        e.metadata = field == 0 ? two : one;
        e.metadata_count = field == 1 ? 0 : 1;
        e.ip = field == 2 ? SPAN("10.0.0.2") : e.ip;
        e.port = field == 3 ? 81 : e.port;
        e.cluster = field == 4 ? SPAN("C1") : e.cluster;
        e.instance_id = field == 5 ? SPAN("id") : e.instance_id;
        e.weight = field == 6 ? 2.0 : e.weight;
        e.healthy = field != 7;
        e.enabled = field != 8;
        assert_int_equal(bed_publish(&t.a, CLIENT, "s", &d, 1), 0);
        assert_int_equal(bed_publish(&t.b, CLIENT, "s", &e, 1), 0);
        differ(&t);
        end(&t);
    }
}

static void test_client__owner_and_time_count(void **state)
{
    (void)state;
    struct two t;
    begin(&t);
    struct instance_data d = bed_instance("10.0.0.1", 80);
    struct naming_op op = {
        .kind = NAMING_OP_PUBLISH,
        .time_ms = BED_TIME_MS,
        .service = bed_name("s"),
        .client = SPAN(CLIENT),
        .client_kind = CLIENT_CONNECTION,
        .ephemeral = true,
        .instances = &d,
        .instances_count = 1,
        .owner = 1,
    };
    assert_int_equal(bed_apply(&t.a, &op), 0);
    assert_int_equal(bed_apply(&t.b, &op), 0);
    same(&t);
    op.owner = 2;
    assert_int_equal(bed_apply(&t.a, &op), 0);
    op.owner = 1;
    assert_int_equal(bed_apply(&t.b, &op), 0);
    differ(&t);
    assert_int_equal(bed_apply(&t.a, &op), 0);
    assert_int_equal(bed_apply(&t.b, &op), 0);
    same(&t);
    op.time_ms++;
    assert_int_equal(bed_apply(&t.a, &op), 0);
    op.time_ms++;
    assert_int_equal(bed_apply(&t.b, &op), 0);
    differ(&t);
    end(&t);
}

/* The same instances, in another order: a list that clients see. */
static void test_order_of_the_list__counts(void **state)
{
    (void)state;
    struct two t;
    begin(&t);
    struct instance_data d[] = {bed_instance("10.0.0.1", 80), bed_instance("10.0.0.2", 80)};
    struct instance_data e[] = {d[1], d[0]};
    assert_int_equal(bed_publish(&t.a, CLIENT, "s", d, 2), 0);
    assert_int_equal(bed_publish(&t.b, CLIENT, "s", e, 2), 0);
    differ(&t);
    end(&t);
}

/* op on both, at the same time. */
static void both(struct two *t, struct naming_op *op)
{
    op->time_ms = 0;
    t->b.time_ms = t->a.time_ms;
    assert_int_equal(bed_apply(&t->a, op), 0);
    assert_int_equal(bed_apply(&t->b, op), 0);
}

static void test_service__record_overlays_and_reasons_count(void **state)
{
    (void)state;
    struct two t;
    begin(&t);
    assert_int_equal(bed_service_put(&t.a, "s", true, true, 0.5), 0);
    assert_int_equal(bed_service_put(&t.b, "s", true, true, 0.25), 0);
    differ(&t);
    assert_int_equal(bed_service_put(&t.a, "s", false, true, 0.75), 0);
    assert_int_equal(bed_service_put(&t.b, "s", false, true, 0.75), 0);
    same(&t);
    assert_int_equal(bed_register(&t.a, CLIENT, "s", "10.0.0.1", 80), 0);
    assert_int_equal(bed_register(&t.b, CLIENT, "s", "10.0.0.1", 80), 0);
    struct naming_op o = overlay_of("10.0.0.1", 80, 5);
    struct naming_op p = overlay_of("10.0.0.1", 80, 6);
    assert_int_equal(bed_apply(&t.a, &o), 0);
    assert_int_equal(bed_apply(&t.b, &p), 0);
    differ(&t);
    both(&t, &o);
    same(&t);
    assert_int_equal(bed_unpublish(&t.a, CLIENT, "s"), 0);
    assert_int_equal(bed_gone(&t.b, CLIENT), 0);
    differ(&t); /* why it went */
    end(&t);
}

static void test_refused__changes_nothing(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_register(&b, CLIENT, "s", "10.0.0.1", 80), 0);
    uint64_t before = digest(&b);
    assert_int_not_equal(bed_service_put(&b, "s", true, true, 0.5), 0);
    assert_int_not_equal(bed_service_remove(&b, "s", true), 0);
    assert_int_not_equal(bed_register(&b, "10.0.0.1:80#false", "s", "10.0.0.1", 80), 0);
    assert_int_equal(bed_unpublish(&b, OTHER, "s"), 0);
    assert_true(digest(&b) == before);
    bed_end(&b);
}

static void test_snapshot__brings_the_same(void **state)
{
    (void)state;
    struct bed b;
    struct bed loaded;
    struct fail fail = {0};
    bed_begin(&b);
    bed_begin(&loaded);
    struct naming_op used = overlay_of("10.0.0.1", 80, 5);
    struct naming_op unused = overlay_of("10.0.0.9", 80, 5);
    for (int i = 0; i < SERVICE_REMOVALS_KEPT + 5; i++) {
        assert_int_equal(bed_register(&b, CLIENT, "s", "10.0.0.1", i), 0);
    }
    assert_int_equal(bed_register(&b, CLIENT, "s", "10.0.0.1", 80), 0);
    assert_int_equal(bed_register(&b, OTHER, "s", "10.0.0.1", 80), 0);
    assert_int_equal(bed_register(&b, "10.0.0.1:80#false", "db", "10.0.0.1", 80), 0);
    assert_int_equal(bed_apply(&b, &used), 0);
    assert_int_equal(bed_apply(&b, &unused), 0);
    assert_int_equal(bed_service_put(&b, "empty", true, false, 0.75), 0);
    assert_int_equal(bed_register(&loaded, OTHER, "goes", "10.0.0.1", 80), 0);
    struct buf *bytes = snapshot_take(b.naming);
    struct now now = {.mono_ms = 1, .wall_ms = BED_TIME_MS};
    assert_int_equal(snapshot_load(loaded.naming, buf_span(bytes), now, &fail, NULL), 0);
    naming_check(loaded.naming);
    assert_true(digest(&loaded) == digest(&b));
    loaded.time_ms = b.time_ms;
    assert_int_equal(bed_gone(&b, OTHER), 0);
    assert_int_equal(bed_gone(&loaded, OTHER), 0);
    assert_true(digest(&loaded) == digest(&b));
    buf_unref(bytes);
    bed_end(&b);
    bed_end(&loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing__is_0__also_after_everything_went),
        cmocka_unit_test(test_instance__every_field_counts),
        cmocka_unit_test(test_client__owner_and_time_count),
        cmocka_unit_test(test_order_of_the_list__counts),
        cmocka_unit_test(test_service__record_overlays_and_reasons_count),
        cmocka_unit_test(test_refused__changes_nothing),
        cmocka_unit_test(test_snapshot__brings_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
