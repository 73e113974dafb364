/* Snapshots, written and read back: the state that comes back is the state that was, and behaves
 * like it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "naming/naming_op.h"
#include "naming/push_state.h"
#include "naming_harness.h"
#include "snapshot_bed.h"

#define CLIENTS 9
#define SERVICES 5
#define BATCH_MAX 6

static const char *const services[SERVICES] = {"a", "b", "c", "d", "e"};
static const char *const clients[CLIENTS] = {
    "1_10.0.0.1_1",     "1_10.0.0.2_2",     "1_10.0.0.3_3",      "1_10.0.0.4_4",     "1_10.0.0.5_5",
    "10.0.0.1:80#true", "10.0.0.2:80#true", "10.0.0.1:80#false", "10.0.0.2:80#false"};
static const char *const ips[] = {"10.0.0.1", "10.0.0.2", "::1", "host.example"};
static const char *const clusters[] = {"DEFAULT", "C1"};

static void begin(struct story *s)
{
    struct naming_options options = story_options();
    story_begin(s, &options);
}

static enum client_kind kind_of(const char *client)
{
    return strstr(client, "#false")  ? CLIENT_PERSISTENT
           : strstr(client, "#true") ? CLIENT_HTTP
                                     : CLIENT_CONNECTION;
}

static void commit(struct story *s, const struct naming_op *op)
{
    struct buf *bytes = naming_op_encode(op);
    naming_commit(s->naming, buf_span(bytes), 0, NULL, s->now, &s->out);
    assert_int_equal(atomic_load(&naming_counters(s->naming)->bad_ops), 0);
    outbox_clear(&s->out, 0);
    naming_check(s->naming);
    buf_unref(bytes);
}

static struct naming_op publish_op(const char *client, const char *service,
                                   const struct instance_data *list, size_t count)
{
    return (struct naming_op){
        .kind = NAMING_OP_PUBLISH,
        .time_ms = 1700000000000,
        .service = story_name(service),
        .client = span_str(client),
        .client_kind = kind_of(client),
        .ephemeral = kind_of(client) != CLIENT_PERSISTENT,
        .batch = count != 1,
        .instances = list,
        .instances_count = count,
    };
}

/* Load what from is into a registry that knows nothing; compare by a second snapshot. */
static void copy(struct story *to, struct story *from)
{
    struct fail fail = {0};
    size_t left = 1;
    struct buf *first = snapshot_take(from->naming);
    if (snapshot_load(to->naming, buf_span(first), to->now, &fail, &left) != 0) {
        fail_msg("%s", fail_text(&fail));
    }
    assert_int_equal(left, 0);
    naming_check(to->naming);
    push_check(to->naming);
    struct buf *second = snapshot_take(to->naming);
    assert_true(span_eq(buf_span(first), buf_span(second)));
    buf_unref(first);
    buf_unref(second);
}

static void expect_same(struct story *a, struct story *b)
{
    struct buf *x = snapshot_take(a->naming);
    struct buf *y = snapshot_take(b->naming);
    assert_true(span_eq(buf_span(x), buf_span(y)));
    buf_unref(x);
    buf_unref(y);
}

static void test_empty__comes_back_empty(void **state)
{
    (void)state;
    struct story a;
    struct story b;
    begin(&a);
    begin(&b);
    copy(&b, &a);
    assert_null(b.naming->services);
    assert_null(b.naming->clients);
    story_end(&a);
    story_end(&b);
}

static void set_overlay(struct story *s, const char *service, const char *ip, double weight)
{
    const struct instance_pair tag[] = {{SPAN("zone"), SPAN("z1")}, {SPAN("empty"), SPAN("")}};
    struct naming_overlay o = {
        .service = story_name(service),
        .ip = span_str(ip),
        .port = 80,
        .cluster = SPAN("DEFAULT"),
        .has_weight = true,
        .weight = weight,
        .metadata = tag,
        .metadata_count = 2,
    };
    assert_int_equal(story_overlay(s, &o), 0);
}

static void test_service__everything_of_it_comes_back(void **state)
{
    (void)state;
    struct story a;
    struct story b;
    begin(&a);
    begin(&b);
    uint64_t conn = story_connect(&a, "10.0.0.1");
    struct instance_pair owner = {SPAN("owner"), SPAN("me")};
    struct naming_service_put put = {
        .service = story_name("s"),
        .create = true,
        .ephemeral = true,
        .protect_threshold = 0.75,
        .metadata = &owner,
        .metadata_count = 1,
        .selector = SPAN("{\"type\":\"none\"}"),
    };
    assert_int_equal(story_service_put(&a, &put), 0);
    assert_int_equal(story_register(&a, conn, "s", "10.0.0.1", 80), 0);
    assert_int_equal(story_register(&a, conn, "s", "10.0.0.2", 80), 0); /* a removal */
    set_overlay(&a, "s", "10.0.0.2", 7.5);
    set_overlay(&a, "s", "10.0.0.3", 3); /* nobody is there */
    copy(&b, &a);
    const struct service *s = story_service(&b, "s");
    assert_true(s->exists && s->ephemeral && s->has_record);
    assert_true(s->protect_threshold == 0.75);
    assert_true(span_eq(s->metadata[0].value, SPAN("me")));
    assert_string_equal(s->selector, "{\"type\":\"none\"}");
    assert_int_equal(s->revision, story_service(&a, "s")->revision);
    assert_int_equal(s->updated_ms, story_service(&a, "s")->updated_ms);
    assert_int_equal(s->removals_count, 1);
    assert_string_equal(s->removals[0].what, "10.0.0.1:80#DEFAULT");
    assert_int_equal(s->removals[0].reason, REMOVAL_REPLACED);
    assert_int_equal(s->overlay_count, 2);
    const struct instance *i = story_find(&b, "s", "10.0.0.2", 80);
    assert_true(i->weight == 7.5);
    assert_true(span_eq(instance_metadata(i, "zone"), SPAN("z1")));
    assert_true(span_eq(i->json, story_find(&a, "s", "10.0.0.2", 80)->json));
    assert_true(s->publications->entries->published->weight == 1.0);
    assert_int_equal(s->publications->client->kind, CLIENT_CONNECTION);
    struct naming_stats x = naming_stats(a.naming);
    struct naming_stats y = naming_stats(b.naming);
    assert_int_equal(memcmp(&x, &y, sizeof(x)), 0);
    story_end(&a);
    story_end(&b);
}

/* The newest entry of an address is shown; when it goes, the next newest is. */
static void test_hidden_entries__come_back_in_their_order(void **state)
{
    (void)state;
    struct story a;
    struct story b;
    begin(&a);
    begin(&b);
    for (int c = 0; c < 5; c++) {
        struct instance_data i = story_instance("10.0.0.1", 80);
        i.weight = c;
        struct naming_op op = publish_op(clients[c], "s", &i, 1);
        commit(&a, &op);
    }
    copy(&b, &a);
    for (int c = 4; c >= 0; c--) {
        assert_true(story_find(&b, "s", "10.0.0.1", 80)->weight == (double)c);
        struct naming_op gone = {
            .kind = NAMING_OP_CLIENT_GONE,
            .time_ms = 1700000000001,
            .client = span_str(clients[c]),
            .reason = REMOVAL_CONNECTION_CLOSED,
        };
        commit(&b, &gone);
    }
    assert_int_equal(story_listed(&b, "s"), 0);
    story_end(&a);
    story_end(&b);
}

/* More than a message holds, of everything. */
static void test_large__is_written_in_bounded_pieces(void **state)
{
    (void)state;
    struct story a;
    struct story b;
    begin(&a);
    begin(&b);
    char text[NAMING_OP_METADATA_BYTES_MAX - 10];
    memset(text, 'x', sizeof(text));
    struct instance_data *list = calloc(5000, sizeof(*list));
    assert_non_null(list);
    struct instance_pair meta = {SPAN("m"), span_of(text, 900)};
    for (int i = 0; i < 5000; i++) {
        list[i] = story_instance("10.0.0.1", 1 + i);
        list[i].metadata = &meta;
        list[i].metadata_count = 1;
    }
    struct naming_op op = publish_op(clients[0], "batch", list, 5000);
    commit(&a, &op);
    for (int c = 0; c < 1500; c++) {
        char id[32];
        snprintf(id, sizeof(id), "1_10.0.0.1_%d", 100 + c);
        op = publish_op(id, "many", &list[c], 1);
        struct buf *bytes = naming_op_encode(&op);
        naming_commit(a.naming, buf_span(bytes), 0, NULL, a.now, &a.out);
        outbox_clear(&a.out, 0);
        buf_unref(bytes);
    }
    struct instance_pair big = {SPAN("k"), span_of(text, sizeof(text))};
    for (int i = 0; i < 40; i++) {
        struct naming_op overlay = {
            .kind = NAMING_OP_OVERLAY,
            .time_ms = 1700000000000,
            .service = story_name("many"),
            .ip = SPAN("10.0.0.1"),
            .port = (uint16_t)(1490 + i),
            .cluster = SPAN("DEFAULT"),
            .metadata = &big,
            .metadata_count = 1,
        };
        commit(&a, &overlay);
    }
    struct snapshot_sink to = {0};
    struct byte_sink sink = snapshot_sink(&to);
    struct naming_snapshot *s = naming_snapshot_collect(a.naming);
    assert_int_equal(naming_snapshot_write(s, &sink, NULL), 0);
    naming_snapshot_free(s);
    assert_true(to.pieces > 5);
    assert_true(to.piece_max <= 1u << 20);
    mem_free(to.bytes);
    copy(&b, &a);
    assert_int_equal(story_listed(&b, "batch"), 5000);
    assert_int_equal(story_listed(&b, "many"), 1500);
    free(list);
    story_end(&a);
    story_end(&b);
}

static void test_sink__that_fails__ends_it_with_its_reason(void **state)
{
    (void)state;
    struct story a;
    begin(&a);
    struct instance_data *list = calloc(9000, sizeof(*list));
    assert_non_null(list);
    char text[1000];
    memset(text, 'x', sizeof(text));
    struct instance_pair meta = {SPAN("m"), span_of(text, sizeof(text))};
    for (int i = 0; i < 9000; i++) {
        list[i] = story_instance("10.0.0.1", 1 + i);
        list[i].metadata = &meta;
        list[i].metadata_count = 1;
    }
    struct naming_op op = publish_op(clients[0], "s", list, 9000);
    commit(&a, &op);
    struct naming_snapshot *s = naming_snapshot_collect(a.naming);
    for (size_t at = 1; at <= 9; at += 4) { /* the last piece too */
        struct snapshot_sink to = {.fail_at = at};
        struct byte_sink sink = snapshot_sink(&to);
        struct fail fail = {0};
        assert_int_equal(naming_snapshot_write(s, &sink, &fail), E_IO);
        assert_string_equal(fail.text, "the disk is gone");
        assert_int_equal(to.pieces, at);
        mem_free(to.bytes);
    }
    naming_snapshot_free(s);
    naming_snapshot_free(NULL);
    free(list);
    story_end(&a);
}

/* Two nodes that learnt of services in another order, by subscribers of their own. */
static void test_equal_states__have_equal_snapshots(void **state)
{
    (void)state;
    struct story a;
    struct story b;
    begin(&a);
    begin(&b);
    uint64_t sub = story_connect(&b, "10.0.0.9");
    for (int v = SERVICES - 1; v >= 0; v--) {
        assert_int_equal(story_subscribe(&b, sub, services[v], ""), 0);
    }
    for (int v = 0; v < SERVICES; v++) {
        struct instance_data i = story_instance("10.0.0.1", 80);
        struct naming_op op = publish_op(clients[v], services[v], &i, 1);
        commit(&a, &op);
        commit(&b, &op);
    }
    expect_same(&a, &b);
    story_end(&a);
    story_end(&b);
}

static void *write_and_free(void *arg)
{
    struct naming_snapshot *s = arg;
    struct snapshot_sink to = {0};
    struct byte_sink sink = snapshot_sink(&to);
    if (naming_snapshot_write(s, &sink, NULL) != 0) {
        abort();
    }
    naming_snapshot_free(s);
    return buf_take(to.bytes, to.len);
}

static void test_collected__is_as_it_was__while_core_goes_on(void **state)
{
    (void)state;
    struct story a;
    begin(&a);
    for (int i = 0; i < 2000; i++) {
        char service[16];
        snprintf(service, sizeof(service), "s%d", i);
        struct instance_data one = story_instance("10.0.0.1", 80);
        struct naming_op op = publish_op(clients[i % 5], service, &one, 1);
        struct buf *bytes = naming_op_encode(&op);
        naming_commit(a.naming, buf_span(bytes), 0, NULL, a.now, &a.out);
        outbox_clear(&a.out, 0);
        buf_unref(bytes);
    }
    struct buf *before = snapshot_take(a.naming);
    struct naming_snapshot *s = naming_snapshot_collect(a.naming);
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_and_free, s), 0);
    for (int c = 0; c < 5; c++) {
        struct naming_op gone = {
            .kind = NAMING_OP_CLIENT_GONE,
            .time_ms = 1700000000001,
            .client = span_str(clients[c]),
            .reason = REMOVAL_CONNECTION_CLOSED,
        };
        commit(&a, &gone);
    }
    void *written = NULL;
    assert_int_equal(pthread_join(writer, &written), 0);
    assert_true(span_eq(buf_span(before), buf_span(written)));
    buf_unref(before);
    buf_unref(written);
    story_end(&a);
}

/* The rest of the log, after a snapshot, brings the same as all of the log. */
struct random {
    uint64_t seed;
    int64_t time_ms;
};

/* xorshift64* */
static unsigned draw(struct random *r, unsigned below)
{
    r->seed ^= r->seed >> 12;
    r->seed ^= r->seed << 25;
    r->seed ^= r->seed >> 27;
    return (unsigned)((r->seed * UINT64_C(2685821657736338717)) >> 33) % below;
}

/* An operation whose texts live in memory that the next one overwrites. */
static struct naming_op random_op(struct random *r)
{
    static struct instance_data list[BATCH_MAX];
    static struct instance_pair pairs[BATCH_MAX];
    static const struct span gone[] = {{"tag", 3}};
    const char *client = clients[draw(r, CLIENTS)];
    size_t count = kind_of(client) == CLIENT_CONNECTION ? draw(r, BATCH_MAX + 1) : 1;
    for (size_t i = 0; i < BATCH_MAX; i++) {
        pairs[i] = (struct instance_pair){SPAN("tag"), span_str(ips[draw(r, 4)])};
        list[i] = story_instance(ips[draw(r, 4)], (int)(80 + draw(r, 2)));
        list[i].cluster = span_str(clusters[draw(r, 2)]);
        list[i].weight = draw(r, 100);
        list[i].healthy = draw(r, 3) != 0;
        list[i].instance_id = draw(r, 4) == 0 ? SPAN("an id") : (struct span){0};
        list[i].metadata = &pairs[i];
        list[i].metadata_count = draw(r, 2);
    }
    struct naming_op op = publish_op(client, services[draw(r, SERVICES)], list, count);
    static const enum naming_op_kind kinds[] = {
        NAMING_OP_UNPUBLISH, NAMING_OP_CLIENT_GONE, NAMING_OP_HEALTH,        NAMING_OP_OVERLAY,
        NAMING_OP_OVERLAY,   NAMING_OP_SERVICE_PUT, NAMING_OP_SERVICE_REMOVE};
    unsigned kind = draw(r, 16);
    op.kind = kind < ARRAY_LEN(kinds) ? kinds[kind] : NAMING_OP_PUBLISH;
    op.time_ms = ++r->time_ms;
    op.reason = (enum removal_reason)(1 + draw(r, REMOVAL_NUMBERS - 1));
    op.healthy = draw(r, 2) == 0;
    op.create = draw(r, 2) == 0;
    op.is_explicit = draw(r, 2) == 0;
    op.protect_threshold = 0.5;
    op.selector = draw(r, 2) == 0 ? SPAN("{}") : (struct span){0};
    op.ip = list[0].ip;
    op.port = (uint16_t)list[0].port;
    op.cluster = list[0].cluster;
    op.remove = draw(r, 3) == 0;
    op.has_weight = draw(r, 2) == 0;
    op.weight = list[0].weight;
    op.has_enabled = draw(r, 2) == 0;
    op.enabled = draw(r, 2) == 0;
    op.merge_metadata = draw(r, 2) == 0;
    op.metadata = pairs;
    op.metadata_count = draw(r, 2);
    op.metadata_remove = gone;
    op.metadata_remove_count = draw(r, 4) == 0;
    return op;
}

/* Go on with both. */
static void follow(struct story *a, struct story *b, struct random *r)
{
    for (int i = 0; i < 200; i++) {
        struct naming_op op = random_op(r);
        commit(a, &op);
        commit(b, &op);
    }
    push_check(b->naming);
    expect_same(a, b);
}

static void run(unsigned seed)
{
    struct random r = {.seed = UINT64_C(0x9E3779B97F4A7C15) * (seed + 1), .time_ms = 1700000000000};
    struct story a;
    begin(&a);
    uint64_t sub = story_connect(&a, "10.0.0.9");
    assert_int_equal(story_subscribe(&a, sub, services[draw(&r, SERVICES)], ""), 0);
    for (int round = 0; round < 15; round++) {
        for (unsigned i = draw(&r, 200); i > 0; i--) {
            struct naming_op op = random_op(&r);
            commit(&a, &op);
        }
        struct story b;
        begin(&b);
        copy(&b, &a);
        follow(&a, &b, &r);
        /* And over what is there already. */
        struct naming_op op = random_op(&r);
        commit(&a, &op);
        copy(&b, &a);
        follow(&a, &b, &r);
        story_end(&b);
    }
    story_end(&a);
}

static void test_random__the_rest_of_the_log_brings_the_same(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 3; seed++) {
        print_message("seed %u\n", seed);
        run(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty__comes_back_empty),
        cmocka_unit_test(test_service__everything_of_it_comes_back),
        cmocka_unit_test(test_hidden_entries__come_back_in_their_order),
        cmocka_unit_test(test_large__is_written_in_bounded_pieces),
        cmocka_unit_test(test_sink__that_fails__ends_it_with_its_reason),
        cmocka_unit_test(test_equal_states__have_equal_snapshots),
        cmocka_unit_test(test_collected__is_as_it_was__while_core_goes_on),
        cmocka_unit_test(test_random__the_rest_of_the_log_brings_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
