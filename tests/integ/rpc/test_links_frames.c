/* Frames on links: order, sizes, limits, the stop; and the figures. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "links_rig.h"

#define MANY 100000
#define LARGE ((size_t)12 << 20)
#define ROUNDS 2000

static struct node *a;
static struct node *b;

static int setup(void **state)
{
    (void)state;
    nodes_meet(&a, &b);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    node_close(a);
    node_close(b);
    return 0;
}

/* The queue is shorter than all of them: whoever sends waits when it is full. */
static void send_until_taken(uint64_t number, size_t len)
{
    int err = node_send_numbered(a, 0, number, len);
    uint64_t until_ms = clock_mono_ms() + 10000;
    while (err == E_LIMIT && rig_tick(until_ms)) {
        err = node_send_numbered(a, 0, number, len);
    }
    assert_int_equal(err, 0);
}

static void test_send__many__arrive_whole_and_in_order(void **state)
{
    (void)state;
    static const size_t sizes[] = {8, 23, 300, 4096, 4097, 9000, 100, 30000};
    size_t bytes = 0;
    for (uint64_t i = 0; i < MANY; i++) {
        size_t len = sizes[i % ARRAY_LEN(sizes)];
        bytes += len;
        send_until_taken(i, len);
    }
    SOON(30000, b->frames == MANY);
    assert_int_equal(b->disorder, 0);
    assert_true(b->expected == MANY);
    assert_true(b->bytes == bytes);
    const struct links_counters *sent = links_counters(a->links);
    const struct links_counters *got = links_counters(b->links);
    assert_true(sent->frames_sent == MANY && got->frames_received == MANY);
    assert_true(sent->bytes_sent == bytes && got->bytes_received == bytes);
    assert_int_equal(got->refused_frames, 0);
    assert_int_equal(a->slots[0].downs, 0);
}

static void test_send__both_ways_at_once__do_not_hinder_each_other(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 5000; i++) {
        assert_int_equal(node_send_numbered(a, 0, i, 300), 0);
        assert_int_equal(node_send_numbered(b, 0, i, 300), 0);
    }
    SOON(10000, a->frames == 5000 && b->frames == 5000);
    assert_int_equal(a->disorder + b->disorder, 0);
}

static void test_send__12_mib__arrives_whole(void **state)
{
    (void)state;
    uint64_t begun_ms = clock_mono_ms();
    assert_int_equal(node_send_numbered(a, 0, 0, LARGE), 0);
    assert_int_equal(node_send_numbered(a, 0, 1, 100), 0);
    assert_int_equal(node_send_numbered(a, 0, 2, LINK_FRAME_MAX), 0);
    SOON(10000, b->frames == 3);
    assert_int_equal(b->disorder, 0);
    assert_true(b->bytes == LARGE + 100 + LINK_FRAME_MAX);
    print_message("28 MiB in three frames: %lu ms\n", (unsigned long)(clock_mono_ms() - begun_ms));
}

static void test_send__empty_and_shared_bodies__arrive(void **state)
{
    (void)state;
    assert_int_equal(node_send(a, 0, 255, ""), 0);
    struct buf *part = buf_create(SPAN("0123456789"));
    struct body body = {0};
    body_add(&body, buf_ref(part), 2, 3);
    body_add(&body, part, 0, 10);
    struct body again = body_share(&body);
    assert_int_equal(links_send(a->links, 0, 1, &body), 0);
    assert_int_equal(links_send(a->links, 0, 1, &again), 0);
    assert_int_equal(body.parts, 0);
    SOON(1000, b->frames == 3);
    assert_true(b->bytes == 26);
}

static void test_send__too_large_or_no_stream__is_refused_at_once(void **state)
{
    (void)state;
    assert_int_equal(node_send_numbered(a, 0, 0, (size_t)LINK_FRAME_MAX + 1), E_TOO_LARGE);
    assert_int_equal(node_send(a, 1, 1, "nobody has this slot"), E_CLOSED);
    assert_int_equal(node_send(a, 31, 1, "nor this"), E_CLOSED);
    assert_int_equal(links_counters(a->links)->dropped, 0);
}

/* b takes nothing while its thread is kept busy: a's queue fills up, and only then. */
static void test_send__queue_full__is_e_limit_and_the_stream_goes_on(void **state)
{
    (void)state;
    size_t len = (size_t)1 << 20;
    uint64_t sent = 0;
    int err = 0;
    for (unsigned i = 0; i < 1000 && err == 0; i++) {
        err = node_send_numbered(a, 0, sent, len);
        sent += err == 0;
    }
    assert_int_equal(err, E_LIMIT);
    assert_true(sent >= (LINK_QUEUE_BYTES - len) / len - 1);
    assert_true(links_counters(a->links)->dropped == 1);
    SOON(10000, b->frames == sent);
    assert_int_equal(b->disorder, 0);
    assert_int_equal(node_send_numbered(a, 0, sent, 8), 0);
    SOON(1000, b->frames == sent + 1);
    assert_int_equal(a->slots[0].downs, 0);
}

static void test_send__tiny_frames__are_bounded_as_well(void **state)
{
    (void)state;
    unsigned long sent = 0;
    int err = 0;
    for (unsigned i = 0; i < 3000000 && err == 0; i++) {
        err = node_send(a, 0, 1, "");
        sent += err == 0;
    }
    assert_true(err == 0 || err == E_LIMIT); /* b may keep up */
    SOON(20000, b->frames == sent);
}

static void test_stop__frames_queued__are_all_sent_within_the_grace(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 5000; i++) {
        assert_int_equal(node_send_numbered(a, 0, i, 9000), 0);
    }
    uint64_t begun_ms = clock_mono_ms();
    node_stop(a, 10000);
    assert_true(clock_mono_ms() - begun_ms < 5000);
    assert_true(b->frames == 5000);
    assert_int_equal(b->disorder, 0);
    SOON(1000, b->slots[0].downs == 1);
    assert_non_null(strstr(node_why(b, 0), "the node stops"));
}

static void test_stop__no_grace__is_quick_and_says_nothing_more(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 50; i++) {
        assert_int_equal(node_send_numbered(a, 0, i, (size_t)1 << 20), 0);
    }
    uint64_t begun_ms = clock_mono_ms();
    links_stop(a->links, 0);
    assert_true(clock_mono_ms() - begun_ms < 2000);
    assert_int_equal(node_send(a, 0, 1, "x"), E_CLOSED);
    unsigned downs = a->slots[0].downs;
    node_stop(a, 0);
    assert_int_equal(a->slots[0].downs, downs);
}

static void test_stop__both_at_once__end(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(node_send_numbered(a, 0, i, 3000), 0);
        assert_int_equal(node_send_numbered(b, 0, i, 3000), 0);
    }
    uint64_t begun_ms = clock_mono_ms();
    node_stop(a, 1000);
    node_stop(b, 1000);
    assert_true(clock_mono_ms() - begun_ms < 4000);
}

/* Figures: frames a second, and the way of one frame from links_send to the other's callback. */

static void measure_rate(size_t len, uint64_t count)
{
    unsigned long before = b->frames;
    uint64_t first = atomic_load(&b->expected);
    uint64_t begun_ns = clock_mono_ns();
    for (uint64_t i = 0; i < count; i++) {
        send_until_taken(first + i, len);
    }
    SOON(60000, b->frames == before + count);
    double seconds = (double)(atomic_load(&b->last_ns) - begun_ns) / 1e9;
    print_message("%zu B: %.0f frames/s, %.0f MB/s\n", len, (double)count / seconds,
                  (double)count * (double)len / seconds / 1e6);
}

static int by_size(const void *x, const void *y)
{
    uint64_t first = *(const uint64_t *)x;
    uint64_t second = *(const uint64_t *)y;
    return (first > second) - (first < second);
}

static void measure_latency(size_t len)
{
    uint64_t *took = mem_zalloc(ROUNDS, sizeof(*took));
    for (uint64_t i = 0; i < ROUNDS; i++) {
        unsigned long before = b->frames;
        uint64_t number = atomic_load(&b->expected);
        uint64_t begun_ns = clock_mono_ns();
        assert_int_equal(node_send_numbered(a, 0, number, len), 0);
        SOON(1000, b->frames == before + 1);
        took[i] = atomic_load(&b->last_ns) - begun_ns;
    }
    qsort(took, ROUNDS, sizeof(*took), by_size);
    print_message("%zu B, one at a time: p50 %lu us, p99 %lu us\n", len,
                  (unsigned long)(took[ROUNDS / 2] / 1000),
                  (unsigned long)(took[ROUNDS * 99 / 100] / 1000));
    mem_free(took);
}

static void test_figures__are_in_the_usual_range(void **state)
{
    (void)state;
    atomic_store(&b->echoes, true);
    measure_latency(300);
    measure_latency(30000);
    atomic_store(&b->echoes, false);
    measure_rate(300, 200000);
    measure_rate(30000, 20000);
    assert_int_equal(b->disorder, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define PAIR(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        PAIR(test_send__many__arrive_whole_and_in_order),
        PAIR(test_send__both_ways_at_once__do_not_hinder_each_other),
        PAIR(test_send__12_mib__arrives_whole),
        PAIR(test_send__empty_and_shared_bodies__arrive),
        PAIR(test_send__too_large_or_no_stream__is_refused_at_once),
        PAIR(test_send__queue_full__is_e_limit_and_the_stream_goes_on),
        PAIR(test_send__tiny_frames__are_bounded_as_well),
        PAIR(test_stop__frames_queued__are_all_sent_within_the_grace),
        PAIR(test_stop__no_grace__is_quick_and_says_nothing_more),
        PAIR(test_stop__both_at_once__end),
        PAIR(test_figures__are_in_the_usual_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
