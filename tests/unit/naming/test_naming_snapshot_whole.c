/* Whole snapshots: cut and flipped anywhere, and what a registry that is served keeps when it loads
 * one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "naming/push_state.h"
#include "naming_harness.h"
#include "snapshot_bed.h"

static void begin(struct story *s)
{
    struct naming_options options = story_options();
    story_begin(s, &options);
}

/* Three services of every kind. */
static struct buf *example(void)
{
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    struct instance_data list[] = {story_instance("10.0.0.1", 80), story_instance("10.0.0.2", 80)};
    assert_int_equal(story_register_batch(&s, conn, "a", list, 2), 0);
    assert_int_equal(story_register(&s, story_connect(&s, "10.0.0.2"), "a", "10.0.0.2", 80), 0);
    assert_int_equal(story_register_http(&s, "b", &list[0]), 0);
    assert_int_equal(story_register_persistent(&s, "db", "10.0.0.3", 80), 0);
    struct naming_overlay o = {
        .service = story_name("db"),
        .ip = SPAN("10.0.0.3"),
        .port = 80,
        .cluster = SPAN("DEFAULT"),
        .has_enabled = true,
        .enabled = true,
    };
    assert_int_equal(story_overlay(&s, &o), 0);
    struct buf *bytes = snapshot_take(s.naming);
    story_end(&s);
    return bytes;
}

static void test_load__cut_anywhere(void **state)
{
    (void)state;
    struct buf *whole = example();
    struct span bytes = buf_span(whole);
    for (size_t len = 0; len < bytes.len; len++) {
        struct story s;
        struct fail fail = {0};
        begin(&s);
        assert_int_equal(snapshot_load(s.naming, span_of(bytes.data, len), s.now, &fail, NULL),
                         E_PARSE);
        story_end(&s);
    }
    buf_unref(whole);
}

/* An error, or a state with all its invariants, that is saved and loaded as any other. */
static void load_flipped(struct span bytes)
{
    struct story s;
    struct story again;
    struct fail fail = {0};
    begin(&s);
    int err = snapshot_load(s.naming, bytes, s.now, &fail, NULL);
    if (err) {
        assert_int_equal(err, E_PARSE);
        assert_true(fail_text(&fail)[0] != '\0');
        story_end(&s);
        return;
    }
    naming_check(s.naming);
    push_check(s.naming);
    begin(&again);
    struct buf *first = snapshot_take(s.naming);
    assert_int_equal(snapshot_load(again.naming, buf_span(first), s.now, &fail, NULL), 0);
    struct buf *second = snapshot_take(again.naming);
    assert_true(span_eq(buf_span(first), buf_span(second)));
    buf_unref(first);
    buf_unref(second);
    story_end(&again);
    story_end(&s);
}

static void test_load__any_bit_flipped(void **state)
{
    (void)state;
    struct buf *whole = example();
    struct span bytes = buf_span(whole);
    char *copy = malloc(bytes.len);
    assert_non_null(copy);
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        memcpy(copy, bytes.data, bytes.len);
        copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << bit % 8));
        load_flipped(span_of(copy, bytes.len));
    }
    free(copy);
    buf_unref(whole);
}

static void test_served__keeps_connections_and_subscribers__and_tells_them(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    struct buf *bytes = example();
    uint64_t old = story_connect(&s, "10.0.0.5");
    assert_int_equal(story_register(&s, old, "gone", "10.0.0.5", 80), 0);
    assert_int_equal(story_register(&s, old, "a", "10.0.0.5", 80), 0);
    uint64_t sub = story_connect(&s, "10.0.0.9");
    assert_int_equal(story_subscribe(&s, sub, "a", ""), 0);
    assert_int_equal(story_subscribe(&s, sub, "gone", ""), 0);
    story_advance(&s, 2000);
    while (story_pushes(&s, sub) > 0) {
        (void)story_take_and_ack(&s, sub);
    }
    story_advance(&s, 2000);
    assert_int_equal(snapshot_load(s.naming, buf_span(bytes), s.now, NULL, NULL), 0);
    naming_check(s.naming);
    push_check(s.naming);
    assert_non_null(client_of_conn(s.naming, old));
    assert_int_equal(story_listed(&s, "a"), 2);
    assert_false(story_service(&s, "gone")->exists);
    story_turn(&s);
    assert_int_equal(story_pushes(&s, sub), 2);
    assert_int_equal(story_take_and_ack(&s, sub) + story_take_and_ack(&s, sub), 2);
    /* Readers see the new state and not nothing. */
    struct view_value *value = NULL;
    int64_t stamp = 0;
    assert_int_equal(
        view_take(s.view, SPAN("public@@DEFAULT_GROUP@@b"), s.now.wall_ms, &value, &stamp),
        VIEW_STALE);
    assert_int_equal(
        view_take(s.view, SPAN("public@@DEFAULT_GROUP@@gone"), s.now.wall_ms, &value, &stamp),
        VIEW_NONE);
    /* The connection of before publishes as any other. */
    assert_int_equal(story_register(&s, old, "a", "10.0.0.5", 80), 0);
    assert_int_equal(story_listed(&s, "a"), 3);
    buf_unref(bytes);
    story_end(&s);
}

static void test_served__a_client_that_is_connected_keeps_its_publications(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "a", "10.0.0.1", 80), 0);
    struct buf *bytes = snapshot_take(s.naming);
    assert_int_equal(story_deregister(&s, conn, "a"), 0);
    assert_int_equal(snapshot_load(s.naming, buf_span(bytes), s.now, NULL, NULL), 0);
    naming_check(s.naming);
    story_advance(&s, 100000); /* it is here: nobody waits for it */
    assert_int_equal(story_listed(&s, "a"), 1);
    story_disconnect(&s, conn, REMOVAL_CONNECTION_CLOSED);
    assert_int_equal(story_listed(&s, "a"), 0);
    buf_unref(bytes);
    story_end(&s);
}

static void test_served__clients_of_the_snapshot_are_watched(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    struct buf *bytes = example();
    assert_int_equal(snapshot_load(s.naming, buf_span(bytes), s.now, NULL, NULL), 0);
    story_advance(&s, 15001);
    assert_false(story_find(&s, "b", "10.0.0.1", 80)->healthy);
    story_advance(&s, 14998);
    assert_int_equal(story_listed(&s, "a"), 2);
    story_advance(&s, 2);
    assert_int_equal(story_listed(&s, "a"), 0);
    assert_int_equal(story_listed(&s, "b"), 0);
    assert_int_equal(story_listed(&s, "db"), 1);
    buf_unref(bytes);
    story_end(&s);
}

static void test_replay__after_a_snapshot__is_served_as_a_whole(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    struct buf *bytes = example();
    naming_replay(s.naming);
    assert_int_equal(snapshot_load(s.naming, buf_span(bytes), s.now, NULL, NULL), 0);
    assert_int_equal(view_count(s.view), 0);
    assert_int_equal(naming_deadline(s.naming), UINT64_MAX);
    struct naming_recovery r = naming_recovered(s.naming, s.now);
    assert_int_equal(r.operations, 0);
    assert_int_equal(r.services, 3);
    assert_int_equal(r.instances, 5);
    assert_int_equal(r.awaited_clients, 2);
    assert_int_equal(r.http_clients, 1);
    assert_int_equal(view_count(s.view), 3);
    story_turn(&s);
    story_advance(&s, 30000);
    assert_int_equal(story_listed(&s, "a"), 0);
    buf_unref(bytes);
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load__cut_anywhere),
        cmocka_unit_test(test_load__any_bit_flipped),
        cmocka_unit_test(test_served__keeps_connections_and_subscribers__and_tells_them),
        cmocka_unit_test(test_served__a_client_that_is_connected_keeps_its_publications),
        cmocka_unit_test(test_served__clients_of_the_snapshot_are_watched),
        cmocka_unit_test(test_replay__after_a_snapshot__is_served_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
