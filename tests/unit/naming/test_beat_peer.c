/* Beats that come in on a node that does not own the instance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "naming/beat_peer.h"
#include "naming/naming_op.h"
#include "naming/naming_pack.h"
#include "naming_cluster.h"

static struct cluster c;

static int begin(void **state)
{
    (void)state;
    struct naming_options options = story_options();
    cluster_begin(&c, &options);
    return 0;
}

static int end(void **state)
{
    (void)state;
    cluster_end(&c);
    return 0;
}

static void http(size_t i, const char *service, const char *ip)
{
    struct instance_data data = story_instance(ip, 80);
    assert_int_equal(story_register_http(&c.node[i], service, &data), 0);
    assert_int_equal(cluster_result(&c, i), 0);
}

/* The beat's code; frames are delivered. */
static int beat(size_t i, const char *service, const char *ip, bool full)
{
    struct instance_data data = story_instance(ip, 80);
    int code = story_beat(&c.node[i], service, &data, full, NULL);
    cluster_turn(&c);
    return code;
}

static const struct naming_counters *counters(size_t i)
{
    return naming_counters(c.node[i].naming);
}

static size_t listed(size_t i, const char *service)
{
    return story_listed(&c.node[i], service);
}

static bool healthy(size_t i, const char *service, const char *ip)
{
    const struct instance *in = story_find(&c.node[i], service, ip, 80);
    return in && in->healthy;
}

static void test_beats_to_another_node__keep_the_instance(void **state)
{
    (void)state;
    http(0, "a", "10.0.0.2");
    for (int i = 0; i < 20; i++) {
        cluster_advance(&c, 5000);
        assert_int_equal(beat(1 + (size_t)i % 2, "a", "10.0.0.2", i % 3 == 0), BEAT_OK);
        assert_true(healthy(1, "a", "10.0.0.2"));
    }
    assert_int_equal(c.frames, 20);
    assert_int_equal(atomic_load(&counters(0)->beats_heard), 20);
    assert_int_equal(atomic_load(&counters(1)->beats_told), 10);
    assert_int_equal(cluster_owner(&c, 2, "10.0.0.2:80#true"), 0);
    assert_int_equal(c.log_count, 1); /* nothing but the registration entered the log */
    cluster_advance(&c, 30001);
    assert_int_equal(listed(1, "a"), 0);
}

static void test_beat__of_the_interval_that_the_instance_wants(void **state)
{
    (void)state;
    struct instance_pair pair = {SPAN("preserved.heart.beat.interval"), SPAN("1234")};
    struct instance_data data = story_instance("10.0.0.2", 80);
    data.metadata = &pair;
    data.metadata_count = 1;
    assert_int_equal(story_register_http(&c.node[0], "a", &data), 0);
    cluster_turn(&c);
    int64_t interval_ms = 0;
    assert_int_equal(story_beat(&c.node[1], "a", &data, false, &interval_ms), BEAT_OK);
    assert_int_equal(interval_ms, 1234);
}

static void test_beat__of_an_unknown_instance__is_told_so__or_registers_here(void **state)
{
    (void)state;
    assert_int_equal(beat(1, "a", "10.0.0.2", false), BEAT_UNKNOWN);
    assert_int_equal(beat(1, "a", "10.0.0.2", true), BEAT_OK);
    assert_int_equal(listed(0, "a"), 1);
    assert_int_equal(cluster_owner(&c, 0, "10.0.0.2:80#true"), 1);
    assert_int_equal(c.frames, 0);
}

static void test_beat_to_another_node__makes_it_healthy_again(void **state)
{
    (void)state;
    http(0, "a", "10.0.0.2");
    cluster_advance(&c, 15001);
    assert_false(healthy(1, "a", "10.0.0.2"));
    assert_int_equal(beat(1, "a", "10.0.0.2", false), BEAT_OK);
    assert_true(healthy(2, "a", "10.0.0.2"));
    assert_int_equal(cluster_owner(&c, 0, "10.0.0.2:80#true"), 0);
}

static void test_beats_of_a_turn__are_one_frame__each_instance_once(void **state)
{
    (void)state;
    char ip[32];
    for (int i = 0; i < 50; i++) {
        snprintf(ip, sizeof(ip), "10.0.1.%d", i);
        http(i % 2 ? 0 : 1, "a", ip);
    }
    struct story *s = &c.node[2];
    for (int i = 0; i < 150; i++) {
        snprintf(ip, sizeof(ip), "10.0.1.%d", i % 50);
        struct naming_beat b = {.service = story_name("a"), .instance = story_instance(ip, 80)};
        struct fail fail = {0};
        assert_int_equal(beat_take(s->naming, &b, NULL, s->now, &s->out, &fail), API_ANSWERED);
        assert_int_equal(b.answer.code, BEAT_OK);
    }
    cluster_turn(&c);
    assert_int_equal(c.frames, 2);
    assert_int_equal(atomic_load(&counters(2)->beats_told), 50);
    assert_int_equal(atomic_load(&counters(0)->beats_heard), 25);
    assert_int_equal(atomic_load(&counters(1)->beats_heard), 25);
    cluster_turn(&c);
    assert_int_equal(c.frames, 2);
}

static void test_frame__full__the_rest_is_counted(void **state)
{
    (void)state;
    http(0, "a", "10.0.0.2");
    http(0, "a", "10.0.0.3");
    struct naming *n = c.node[1].naming;
    struct publication *p = story_service(&c.node[1], "a")->publications;
    for (int i = 0; i < NAMING_BEATS_MAX + 7; i++) {
        p->told_turn = 0;
        assert_true(beat_peer_tell(n, p));
    }
    cluster_turn(&c);
    assert_int_equal(c.frames, 1);
    assert_int_equal(atomic_load(&counters(1)->beats_told), NAMING_BEATS_MAX);
    assert_int_equal(atomic_load(&counters(1)->beats_untold), 7);
    assert_int_equal(atomic_load(&counters(0)->beats_heard), NAMING_BEATS_MAX);
}

static void test_peers__too_many__the_instance_is_taken_over(void **state)
{
    (void)state;
    http(0, "a", "10.0.0.2");
    struct naming *n = c.node[1].naming;
    struct publication *p = story_service(&c.node[1], "a")->publications;
    for (uint64_t owner = 1000; owner < 1000 + NAMING_PEERS_MAX; owner++) {
        p->client->owner = owner;
        p->told_turn = 0;
        assert_true(beat_peer_tell(n, p));
    }
    p->client->owner = cluster_number(0);
    p->told_turn = 0;
    assert_false(beat_peer_tell(n, p));
    beat_peer_close(n); /* and nothing of it leaks */
}

static void test_owner_lost__the_node_that_hears_takes_over(void **state)
{
    (void)state;
    http(0, "a", "10.0.0.2");
    http(0, "b", "10.0.0.2");
    naming_owner_lost(c.node[1].naming, cluster_number(0), true);
    c.is_silent[0] = c.is_behind[0] = true;
    assert_int_equal(beat(1, "a", "10.0.0.2", false), BEAT_OK);
    assert_int_equal(c.frames, 0);
    assert_int_equal(atomic_load(&counters(1)->taken_over), 1);
    assert_int_equal(cluster_owner(&c, 2, "10.0.0.2:80#true"), 1);
    /* It is its own now, so it does not go with the lost one; what it publishes is as it was. */
    cluster_gone(&c, 0);
    assert_int_equal(listed(2, "a"), 1);
    assert_int_equal(listed(2, "b"), 1);
    assert_int_equal(beat(1, "a", "10.0.0.2", false), BEAT_OK);
    assert_int_equal(atomic_load(&counters(1)->taken_over), 1);
    c.is_silent[0] = c.is_behind[0] = false;
    cluster_turn(&c);
    assert_int_equal(listed(0, "a"), 1);
    cluster_advance(&c, 30001);
    assert_int_equal(listed(0, "a"), 0);
}

static void test_owner_lost__unhealthy__is_healthy_when_it_is_taken_over(void **state)
{
    (void)state;
    http(0, "a", "10.0.0.2");
    cluster_advance(&c, 15001);
    naming_owner_lost(c.node[1].naming, cluster_number(0), true);
    assert_int_equal(beat(1, "a", "10.0.0.2", false), BEAT_OK);
    assert_true(healthy(2, "a", "10.0.0.2"));
}

static void test_owner_lost__without_a_quorum__is_proposed_once_a_minute(void **state)
{
    (void)state;
    http(0, "a", "10.0.0.2");
    naming_owner_lost(c.node[1].naming, cluster_number(0), true);
    c.is_silent[0] = c.is_silent[1] = true;
    size_t proposed = c.node[1].proposed;
    for (int i = 0; i < 12; i++) {
        assert_int_equal(beat(1, "a", "10.0.0.2", false), BEAT_OK);
        cluster_advance(&c, 5000);
    }
    assert_int_equal(c.node[1].proposed, proposed + 1);
    assert_int_equal(beat(1, "a", "10.0.0.2", false), BEAT_OK);
    assert_int_equal(c.node[1].proposed, proposed + 2);
    c.is_silent[0] = c.is_silent[1] = false;
    cluster_turn(&c);
    assert_int_equal(listed(2, "a"), 1);
}

static void test_owner_back__is_told_again(void **state)
{
    (void)state;
    http(0, "a", "10.0.0.2");
    naming_owner_lost(c.node[1].naming, cluster_number(0), true);
    naming_owner_lost(c.node[1].naming, cluster_number(0), false);
    assert_int_equal(beat(1, "a", "10.0.0.2", false), BEAT_OK);
    assert_int_equal(c.frames, 1);
    assert_int_equal(cluster_owner(&c, 1, "10.0.0.2:80#true"), 0);
}

/* The owner does not hear of the beats and ends it: the client is told, and registers again. */
static void test_frames_lost__the_client_registers_again(void **state)
{
    (void)state;
    http(0, "a", "10.0.0.2");
    c.is_cut[0] = true;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(beat(1, "a", "10.0.0.2", false), BEAT_OK);
        cluster_advance(&c, 5000);
    }
    cluster_advance(&c, 1);
    assert_int_equal(listed(1, "a"), 0);
    assert_int_equal(beat(1, "a", "10.0.0.2", false), BEAT_UNKNOWN);
    assert_int_equal(beat(1, "a", "10.0.0.2", true), BEAT_OK);
    assert_int_equal(listed(0, "a"), 1);
    assert_int_equal(cluster_owner(&c, 0, "10.0.0.2:80#true"), 1);
}

/* Of a server that was alone: every node watches it, the first that hears of it takes it. */
static void test_no_owner__a_beat_gives_it_one(void **state)
{
    (void)state;
    struct instance_data data = story_instance("10.0.0.2", 80);
    struct naming_op op = {
        .kind = NAMING_OP_PUBLISH,
        .time_ms = c.node[0].now.wall_ms,
        .service = story_name("a"),
        .client = SPAN("10.0.0.2:80#true"),
        .client_kind = CLIENT_HTTP,
        .ephemeral = true,
        .instances = &data,
        .instances_count = 1,
    };
    struct buf *bytes = naming_op_encode(&op);
    for (size_t i = 0; i < CLUSTER_NODES; i++) {
        struct story *s = &c.node[i];
        naming_commit(s->naming, buf_span(bytes), 0, NULL, s->now, &s->out);
    }
    buf_unref(bytes);
    cluster_advance(&c, 14000);
    assert_int_equal(beat(2, "a", "10.0.0.2", false), BEAT_OK);
    assert_int_equal(cluster_owner(&c, 0, "10.0.0.2:80#true"), 2);
    cluster_advance(&c, 14000);
    assert_true(healthy(0, "a", "10.0.0.2"));
    cluster_advance(&c, 16001);
    assert_int_equal(listed(0, "a"), 0);
}

static struct span packed(Nacre__BeatFrame *m, char *dst, size_t size)
{
    assert_true(nacre__beat_frame__get_packed_size(m) <= size);
    return span_of(dst, nacre__beat_frame__pack(m, (uint8_t *)dst));
}

static int receive(struct span frame, struct fail *fail)
{
    struct story *s = &c.node[0];
    *fail = (struct fail){0};
    int err = naming_receive(s->naming, frame, s->now, &s->out, fail);
    assert_int_equal(fail->code, err);
    return err;
}

static void test_receive__damaged__says_what_and_counts_nothing(void **state)
{
    (void)state;
    http(0, "a", "10.0.0.2");
    struct fail fail = {0};
    static char bytes[NAMING_FRAME_BYTES_MAX + 1];
    assert_int_equal(receive((struct span){0}, &fail), E_PARSE);
    assert_string_equal(fail.text, "frame of beats: version 0, this node knows 1");
    assert_int_equal(receive(SPAN("\x12\xFF"), &fail), E_PARSE);
    assert_string_equal(fail.text, "frame of beats: damaged");
    assert_int_equal(receive(span_of(bytes, sizeof(bytes)), &fail), E_PARSE);
    assert_non_null(strstr(fail.text, "at most 1048576 bytes, got 1048577"));
    Nacre__ServiceName name = NACRE__SERVICE_NAME__INIT;
    Nacre__Beat good = NACRE__BEAT__INIT;
    Nacre__Beat bad = NACRE__BEAT__INIT;
    Nacre__Beat *beats[] = {&good, &bad};
    Nacre__BeatFrame m = NACRE__BEAT_FRAME__INIT;
    struct service_name a = story_name("a");
    name = naming_pack_name(&a);
    good.service = &name;
    good.client = naming_pack_span(SPAN("10.0.0.2:80#true"));
    bad = good;
    m.version = 1;
    m.n_beats = 2;
    m.beats = beats;
    assert_int_equal(receive(packed(&m, bytes, sizeof(bytes)), &fail), 0);
    bad.service = NULL;
    assert_int_equal(receive(packed(&m, bytes, sizeof(bytes)), &fail), E_PARSE);
    assert_non_null(strstr(fail.text, "frame of beats: beat 1: "));
    bad = good;
    bad.client = naming_pack_span((struct span){0});
    assert_int_equal(receive(packed(&m, bytes, sizeof(bytes)), &fail), E_PARSE);
    m.version = 2;
    assert_int_equal(receive(packed(&m, bytes, sizeof(bytes)), &fail), E_PARSE);
    assert_int_equal(atomic_load(&counters(0)->beats_heard), 2);
}

static void test_receive__too_many__refused(void **state)
{
    (void)state;
    struct fail fail = {0};
    static char bytes[4 * (NAMING_BEATS_MAX + 1)];
    size_t len = 0;
    bytes[len++] = '\x08';
    bytes[len++] = '\x01';
    for (int i = 0; i <= NAMING_BEATS_MAX; i++) {
        bytes[len++] = '\x12'; /* an empty beat */
        bytes[len++] = '\x00';
    }
    assert_int_equal(receive(span_of(bytes, len), &fail), E_PARSE);
    assert_string_equal(fail.text, "frame of beats: at most 8192, got 8193");
    static char flood[NAMING_FRAME_BYTES_MAX];
    for (size_t at = 0; at + 1 < sizeof(flood); at += 2) {
        flood[at] = '\x12';
    }
    assert_int_equal(receive(span_of(flood, sizeof(flood)), &fail), E_PARSE);
}

/* Frames may be older than the move of a client. */
static void test_receive__of_another_nodes_client__is_passed_over(void **state)
{
    (void)state;
    http(0, "a", "10.0.0.2");
    assert_int_equal(beat(1, "a", "10.0.0.2", false), BEAT_OK);
    struct instance_data data = story_instance("10.0.0.2", 80);
    (void)story_beat(&c.node[1], "a", &data, false, NULL); /* its frame waits */
    struct story_frame *late = c.node[1].frames;
    assert_non_null(late);
    c.node[1].frames = NULL;
    http(2, "a", "10.0.0.2");
    cluster_advance(&c, 15000);
    c.node[1].frames = late;
    cluster_turn(&c);
    cluster_advance(&c, 1);
    assert_false(healthy(0, "a", "10.0.0.2"));
    /* Unknown ones too, and while the log is replayed. */
    cluster_advance(&c, 15000);
    assert_int_equal(listed(0, "a"), 0);
    struct fail fail = {0};
    assert_int_equal(receive(SPAN("\x08\x01"), &fail), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_beats_to_another_node__keep_the_instance),
        TEST(test_beat__of_the_interval_that_the_instance_wants),
        TEST(test_beat__of_an_unknown_instance__is_told_so__or_registers_here),
        TEST(test_beat_to_another_node__makes_it_healthy_again),
        TEST(test_beats_of_a_turn__are_one_frame__each_instance_once),
        TEST(test_frame__full__the_rest_is_counted),
        TEST(test_peers__too_many__the_instance_is_taken_over),
        TEST(test_owner_lost__the_node_that_hears_takes_over),
        TEST(test_owner_lost__unhealthy__is_healthy_when_it_is_taken_over),
        TEST(test_owner_lost__without_a_quorum__is_proposed_once_a_minute),
        TEST(test_owner_back__is_told_again),
        TEST(test_frames_lost__the_client_registers_again),
        TEST(test_no_owner__a_beat_gives_it_one),
        TEST(test_receive__damaged__says_what_and_counts_nothing),
        TEST(test_receive__too_many__refused),
        TEST(test_receive__of_another_nodes_client__is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
