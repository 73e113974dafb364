/* Snapshots that contradict themselves: one that is put together by hand is spoiled in one place at
 * a time. test_naming_snapshot_whole.c has whole ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/thread.h"
#include "naming_harness.h"
#include "naming_snapshot.pb-c.h"
#include "snapshot_bed.h"

#define TIME_MS 1700000000000
#define BYTES_MAX 65536

static ProtobufCBinaryData bytes_of(const char *s)
{
    union {
        const char *from;
        uint8_t *to;
    } cast = {.from = s};
    return (ProtobufCBinaryData){strlen(s), cast.to};
}

/* A stream that a test puts together. */
struct stream {
    char bytes[BYTES_MAX];
    size_t len;
};

static void put_u32(struct stream *s, uint32_t n)
{
    for (int i = 0; i < 4; i++) {
        s->bytes[s->len++] = (char)(n >> (8 * i));
    }
}

static void put_bytes(struct stream *s, uint32_t kind, struct span bytes)
{
    put_u32(s, kind);
    put_u32(s, (uint32_t)bytes.len);
    assert_true(s->len + bytes.len < BYTES_MAX);
    memcpy(s->bytes + s->len, bytes.data, bytes.len);
    s->len += bytes.len;
}

static void put(struct stream *s, uint32_t kind, const ProtobufCMessage *m)
{
    char packed[BYTES_MAX / 2];
    assert_true(protobuf_c_message_get_packed_size(m) <= sizeof(packed));
    size_t len = protobuf_c_message_pack(m, (uint8_t *)packed);
    put_bytes(s, kind, span_of(packed, len));
}

static void put_begin(struct stream *s)
{
    s->len = 0;
    put_u32(s, NAMING_SNAPSHOT_MAGIC);
    put_u32(s, NAMING_SNAPSHOT_VERSION);
}

/* One service, two clients of which one publishes two addresses, and one of these is hidden; an
 * overlay in use and one that is not. Tests spoil one thing of it. */
struct parts {
    Nacre__SnapshotClient client[2];
    Nacre__SnapshotClient *client_list[2];
    Nacre__SnapshotClients clients;
    Nacre__ServiceName name;
    Nacre__SnapshotRemoval removal;
    Nacre__SnapshotRemoval *removal_list[1];
    Nacre__SnapshotOverlay overlay[2];
    Nacre__SnapshotOverlay *overlay_list[2];
    Nacre__SnapshotPublication publication[2];
    Nacre__SnapshotPublication *publication_list[2];
    Nacre__Instance instance[3];
    Nacre__SnapshotEntry entry[3];
    Nacre__SnapshotEntry *entry_list[3];
    Nacre__SnapshotService service;
    Nacre__SnapshotEnd end;
};

static void fill_entries(struct parts *p)
{
    static const char *const entry_ips[] = {"10.0.0.1", "10.0.0.2", "10.0.0.2"};
    static const uint32_t publications[] = {0, 1, 0};
    static const uint32_t orders[] = {0, 0, 1};
    for (int i = 0; i < 3; i++) {
        nacre__instance__init(&p->instance[i]);
        p->instance[i].ip = bytes_of(entry_ips[i]);
        p->instance[i].port = 80;
        p->instance[i].cluster = bytes_of("DEFAULT");
        p->instance[i].weight = 1;
        p->instance[i].enabled = true;
        nacre__snapshot_entry__init(&p->entry[i]);
        p->entry[i].publication = publications[i];
        p->entry[i].order = orders[i];
        p->entry[i].hidden = i == 2;
        p->entry[i].instance = &p->instance[i];
        p->entry_list[i] = &p->entry[i];
    }
}

static void fill_lists(struct parts *p)
{
    static const char *const ids[] = {"1_10.0.0.1_1", "1_10.0.0.2_2"};
    static const char *const overlay_ips[] = {"10.0.0.2", "10.0.0.9"};
    for (int i = 0; i < 2; i++) {
        nacre__snapshot_client__init(&p->client[i]);
        p->client[i].id = bytes_of(ids[i]);
        p->client[i].kind = CLIENT_CONNECTION;
        p->client[i].updated_ms = TIME_MS;
        p->client_list[i] = &p->client[i];
        nacre__snapshot_overlay__init(&p->overlay[i]);
        p->overlay[i].ip = bytes_of(overlay_ips[i]);
        p->overlay[i].port = 80;
        p->overlay[i].cluster = bytes_of("DEFAULT");
        p->overlay[i].has_weight = true;
        p->overlay[i].weight = 5;
        p->overlay[i].unused_since_ms = i == 0 ? 0 : TIME_MS;
        p->overlay_list[i] = &p->overlay[i];
        nacre__snapshot_publication__init(&p->publication[i]);
        p->publication[i].client = (uint32_t)i;
        p->publication[i].time_ms = TIME_MS;
        p->publication_list[i] = &p->publication[i];
    }
}

static void fill(struct parts *p)
{
    fill_lists(p);
    fill_entries(p);
    nacre__snapshot_clients__init(&p->clients);
    p->clients.clients = p->client_list;
    p->clients.n_clients = 2;
    nacre__service_name__init(&p->name);
    p->name.namespace_ = bytes_of("public");
    p->name.group = bytes_of("DEFAULT_GROUP");
    p->name.name = bytes_of("s");
    nacre__snapshot_removal__init(&p->removal);
    p->removal.what = bytes_of("10.0.0.7:80#DEFAULT");
    p->removal.reason = REMOVAL_BEAT_EXPIRED;
    p->removal_list[0] = &p->removal;
    Nacre__SnapshotService *s = &p->service;
    nacre__snapshot_service__init(s);
    s->name = &p->name;
    s->ephemeral = true;
    s->revision = 7;
    s->updated_ms = TIME_MS;
    s->removals_count = 1;
    s->n_removals = 1;
    s->removals = p->removal_list;
    s->n_overlays = 2;
    s->overlays = p->overlay_list;
    s->n_publications = 2;
    s->publications = p->publication_list;
    s->n_entries = 3;
    s->entries = p->entry_list;
    nacre__snapshot_end__init(&p->end);
    p->end.clients = 2;
    p->end.services = 1;
    p->end.entries = 3;
}

static void put_parts(struct stream *s, const struct parts *p)
{
    put_begin(s);
    put(s, NACRE__SNAPSHOT_KIND__CLIENTS, &p->clients.base);
    put(s, NACRE__SNAPSHOT_KIND__SERVICE, &p->service.base);
    put(s, NACRE__SNAPSHOT_KIND__END, &p->end.base);
}

static void begin(struct story *s)
{
    struct naming_options options = story_options();
    story_begin(s, &options);
}

/* Into a registry that is replaying, on its main thread, as at start. NULL: it is taken. */
static void expect_bytes(struct span bytes, const char *why)
{
    struct story s;
    struct fail fail = {0};
    begin(&s);
    naming_replay(s.naming);
    thread_become(THREAD_MAIN, "main");
    int err = snapshot_load(s.naming, bytes, s.now, &fail, NULL);
    if (why) {
        assert_int_equal(err, E_PARSE);
        if (!strstr(fail_text(&fail), why)) {
            fail_msg("expected [%s] in [%s]", why, fail_text(&fail));
        }
    } else if (err) {
        fail_msg("%s", fail_text(&fail));
    } else {
        naming_check(s.naming);
    }
    naming_destroy(s.naming);
    s.naming = NULL;
    thread_become(THREAD_CORE, "story");
    story_end(&s);
}

static void expect_stream(const struct stream *s, const char *why)
{
    expect_bytes(span_of(s->bytes, s->len), why);
}

static void expect(const struct parts *p, const char *why)
{
    static struct stream s;
    put_parts(&s, p);
    expect_stream(&s, why);
}

static void test_load__what_the_parts_say(void **state)
{
    (void)state;
    struct parts p;
    fill(&p);
    expect(&p, NULL);
}

static void test_load__no_snapshot_or_a_newer_one(void **state)
{
    (void)state;
    static struct stream s;
    expect_bytes((struct span){0}, "expected 4 more bytes");
    expect_bytes(SPAN("NACRESEC12345678"), "this is no snapshot of the registry");
    s.len = 0;
    put_u32(&s, NAMING_SNAPSHOT_MAGIC);
    put_u32(&s, NAMING_SNAPSHOT_VERSION + 1);
    expect_stream(&s, "version 2, this node knows 1");
}

static void test_load__kinds_that_it_does_not_know__are_passed_over(void **state)
{
    (void)state;
    static struct stream s;
    struct parts p;
    fill(&p);
    put_begin(&s);
    put_bytes(&s, 77, SPAN("something newer"));
    put_bytes(&s, UINT32_MAX, (struct span){"", 0});
    put(&s, NACRE__SNAPSHOT_KIND__CLIENTS, &p.clients.base);
    put(&s, NACRE__SNAPSHOT_KIND__SERVICE, &p.service.base);
    put_bytes(&s, 4, SPAN("newer"));
    put(&s, NACRE__SNAPSHOT_KIND__END, &p.end.base);
    expect_stream(&s, NULL);
}

static void test_load__a_message_that_is_none(void **state)
{
    (void)state;
    static struct stream s;
    for (uint32_t kind = 0; kind <= 3; kind++) {
        put_begin(&s);
        put_bytes(&s, kind, SPAN("\xFF\xFF\xFF"));
        expect_stream(&s, "message 1: no ");
    }
    put_begin(&s);
    put_u32(&s, NACRE__SNAPSHOT_KIND__CLIENTS);
    put_u32(&s, NAMING_SNAPSHOT_MESSAGE_MAX + 1);
    expect_stream(&s, "expected at most 16777216 bytes, got 16777217");
}

static void test_load__clients(void **state)
{
    (void)state;
    struct parts p;
    fill(&p);
    p.client[1].id = p.client[0].id;
    expect(&p, "client 1_10.0.0.1_1 stands there twice");
    fill(&p);
    p.client[0].id.len = 0;
    expect(&p, "client id: expected 1 to 640 bytes, got 0");
    for (uint32_t kind = 0; kind <= 4; kind += 4) {
        fill(&p);
        p.client[1].kind = kind;
        expect(&p, "kind of client");
    }
    fill(&p);
    p.service.n_publications = 1;
    p.service.n_entries = 1;
    p.service.n_overlays = 0;
    p.end.entries = 1;
    expect(&p, "client 1_10.0.0.2_2 publishes nothing");
}

static void test_load__service(void **state)
{
    (void)state;
    static struct stream s;
    struct parts p;
    fill(&p);
    p.service.name = NULL;
    expect(&p, "namespaceId/tenant");
    fill(&p);
    p.name.name = bytes_of("a b");
    expect(&p, "serviceName");
    fill(&p);
    p.service.updated_ms = 0;
    expect(&p, "time: expected milliseconds");
    fill(&p);
    p.service.protect_threshold = 1.0 / 0.0;
    expect(&p, "protectThreshold");
    fill(&p);
    put_begin(&s);
    put(&s, NACRE__SNAPSHOT_KIND__CLIENTS, &p.clients.base);
    put(&s, NACRE__SNAPSHOT_KIND__SERVICE, &p.service.base);
    put(&s, NACRE__SNAPSHOT_KIND__SERVICE, &p.service.base);
    expect_stream(&s, "service DEFAULT_GROUP@@s stands there twice");
    put_begin(&s);
    put(&s, NACRE__SNAPSHOT_KIND__MORE, &p.service.base);
    expect_stream(&s, "more of a service that did not begin");
}

static void test_load__removals(void **state)
{
    (void)state;
    struct parts p;
    fill(&p);
    p.service.n_removals = 0;
    expect(&p, "removals: expected 1, got 0");
    fill(&p);
    p.service.removals_count = UINT32_MAX;
    expect(&p, "removals: expected 16, got 1");
    fill(&p);
    p.removal.what = (ProtobufCBinaryData){3, (uint8_t[]){'a', 0, 'b'}};
    expect(&p, "a text of a removal");
    fill(&p);
    char text[97];
    memset(text, 'x', sizeof(text));
    text[96] = '\0';
    p.removal.client = bytes_of(text);
    expect(&p, "a text of a removal");
    text[95] = '\0';
    p.removal.client = bytes_of(text);
    expect(&p, NULL);
}

static void test_load__overlays(void **state)
{
    (void)state;
    static struct stream s;
    struct parts p;
    fill(&p);
    p.overlay[0].ip.len = 0;
    expect(&p, "ip or cluster is missing");
    fill(&p);
    p.overlay[0].port = 65536;
    expect(&p, "port is out of range");
    fill(&p);
    p.overlay[0].weight = -1;
    expect(&p, "weight");
    fill(&p);
    p.overlay[1].ip = p.overlay[0].ip;
    expect(&p, "stands there twice or behind its instance");
    fill(&p);
    p.overlay[0].unused_since_ms = TIME_MS; /* in use */
    expect(&p, "in use or not");
    fill(&p);
    p.overlay[1].unused_since_ms = 0;
    expect(&p, "in use or not");
    fill(&p);
    p.overlay[1].unused_since_ms = -1;
    expect(&p, "in use or not");
    fill(&p);
    Nacre__SnapshotService later = p.service;
    later.n_publications = later.n_entries = 0;
    p.service.n_overlays = 0;
    put_begin(&s);
    put(&s, NACRE__SNAPSHOT_KIND__CLIENTS, &p.clients.base);
    put(&s, NACRE__SNAPSHOT_KIND__SERVICE, &p.service.base);
    put(&s, NACRE__SNAPSHOT_KIND__MORE, &later.base);
    expect_stream(&s, "stands there twice or behind its instance");
}

static void test_load__publications(void **state)
{
    (void)state;
    struct parts p;
    fill(&p);
    p.publication[1].client = 2;
    expect(&p, "publication of client 2, which is unknown or has one");
    fill(&p);
    p.publication[1].client = 0;
    expect(&p, "publication of client 0, which is unknown or has one");
    fill(&p);
    p.publication[0].time_ms = -5;
    expect(&p, "publication: time -5");
    fill(&p);
    p.service.n_entries = 1;
    p.service.n_overlays = 0;
    expect(&p, "client 1_10.0.0.2_2 publishes nothing for DEFAULT_GROUP@@s");
}

static void test_load__entries(void **state)
{
    (void)state;
    struct parts p;
    fill(&p);
    p.entry[0].publication = 2;
    expect(&p, "an instance without publication");
    fill(&p);
    p.entry[0].instance = NULL;
    expect(&p, "an instance without publication");
    fill(&p);
    p.instance[0].port = 65536;
    expect(&p, "Param 'port' is illegal");
    fill(&p);
    p.instance[0].weight = 10001;
    expect(&p, "weight");
    fill(&p);
    p.entry[0].hidden = true; /* by none */
    expect(&p, "does not belong where it stands");
    fill(&p);
    p.entry[2].hidden = false; /* and yet the same address */
    expect(&p, "does not belong where it stands");
    fill(&p);
    p.entry[1].hidden = true; /* of another address */
    expect(&p, "does not belong where it stands");
    fill(&p);
    p.entry[2].publication = 1;
    expect(&p, "client 1_10.0.0.2_2 publishes an address twice");
    fill(&p);
    p.entry[2].order = 0;
    expect(&p, "instances of DEFAULT_GROUP@@s have no order");
    fill(&p);
    p.entry[0].order = 7;
    expect(&p, "instances of DEFAULT_GROUP@@s have no order");
}

/* A chain does not go on where another service begins. */
static void test_load__hidden_entry_first_of_a_service(void **state)
{
    (void)state;
    static struct stream s;
    struct parts p;
    fill(&p);
    put_begin(&s);
    put(&s, NACRE__SNAPSHOT_KIND__CLIENTS, &p.clients.base);
    put(&s, NACRE__SNAPSHOT_KIND__SERVICE, &p.service.base);
    p.name.name = bytes_of("t");
    p.service.n_overlays = 0;
    p.service.entries = &p.entry_list[2];
    p.service.n_entries = 1;
    put(&s, NACRE__SNAPSHOT_KIND__SERVICE, &p.service.base);
    expect_stream(&s, "does not belong where it stands");
}

static void test_load__end(void **state)
{
    (void)state;
    struct parts p;
    fill(&p);
    p.end.clients = 3;
    expect(&p, "expected 3 clients, 1 services, 3 instances, got 2, 1, 3");
    fill(&p);
    p.end.services = 0;
    expect(&p, "expected 2 clients, 0 services, 3 instances, got 2, 1, 3");
    fill(&p);
    p.end.entries = 4;
    expect(&p, "expected 2 clients, 1 services, 4 instances, got 2, 1, 3");
}

static int read_broken(void *self, void *dst, size_t len, struct fail *fail)
{
    (void)self;
    (void)dst;
    (void)len;
    return fail_set(fail, E_IO, "the disk is gone");
}

static void test_load__source_that_fails__its_reason_goes_through(void **state)
{
    (void)state;
    struct byte_source broken = {NULL, read_broken};
    struct story s;
    struct fail fail = {0};
    begin(&s);
    assert_int_equal(naming_snapshot_load(s.naming, &broken, s.now, &fail), E_IO);
    assert_string_equal(fail.text, "the disk is gone");
    story_end(&s);
}

static void test_load__persistent_client_with_an_owner__is_refused(void **state)
{
    (void)state;
    struct parts p;
    fill(&p);
    p.client[0].kind = CLIENT_PERSISTENT;
    p.client[0].owner = 7;
    expect(&p, "is persistent and has an owner");
}

static void test_served__other_kind_of_a_connected_client__is_refused(void **state)
{
    (void)state;
    static struct stream bytes;
    struct parts p;
    struct story s;
    struct fail fail = {0};
    begin(&s);
    struct naming_conn open = {.conn = 1, .id = SPAN("1_10.0.0.1_1")};
    naming_conn_open(s.naming, &open, s.now);
    fill(&p);
    p.client[0].kind = CLIENT_HTTP;
    put_parts(&bytes, &p);
    assert_int_equal(snapshot_load(s.naming, span_of(bytes.bytes, bytes.len), s.now, &fail, NULL),
                     E_PARSE);
    assert_non_null(strstr(fail.text, "client 1_10.0.0.1_1 is of kind 1 here, not 2"));
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load__what_the_parts_say),
        cmocka_unit_test(test_load__no_snapshot_or_a_newer_one),
        cmocka_unit_test(test_load__kinds_that_it_does_not_know__are_passed_over),
        cmocka_unit_test(test_load__a_message_that_is_none),
        cmocka_unit_test(test_load__clients),
        cmocka_unit_test(test_load__service),
        cmocka_unit_test(test_load__removals),
        cmocka_unit_test(test_load__overlays),
        cmocka_unit_test(test_load__publications),
        cmocka_unit_test(test_load__entries),
        cmocka_unit_test(test_load__hidden_entry_first_of_a_service),
        cmocka_unit_test(test_load__end),
        cmocka_unit_test(test_load__source_that_fails__its_reason_goes_through),
        cmocka_unit_test(test_load__persistent_client_with_an_owner__is_refused),
        cmocka_unit_test(test_served__other_kind_of_a_connected_client__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
