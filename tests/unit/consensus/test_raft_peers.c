#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "driver_bed.h"

#include "consensus/raft_codec.h"
#include "consensus/raft_peers.h"
#include "consensus/raft_snapshot.h"

/* Member 1's log is the bed's; what it says to others is kept. */
static struct driver_bed bed;
static struct raft_peers *peers;
static struct buf *said[64];
static unsigned said_count;
static uint64_t said_to;

static void on_send(void *self, uint64_t to, struct buf *take_message)
{
    (void)self;
    assert_true(said_count < 64);
    said[said_count++] = take_message;
    said_to = to;
}

static uint64_t now_ms(void *self)
{
    return ((struct driver_bed *)self)->now_ms;
}

static void on_fail(void *self, int err)
{
    (void)self;
    (void)err;
    fail();
}

static void forget(void)
{
    while (said_count > 0) {
        buf_unref(said[--said_count]);
    }
}

static int setup(void **state)
{
    (void)state;
    driver_bed_open(&bed, 3);
    peers = raft_peers_create(&(struct raft_peers_options){
        .id = 1,
        .wire = {NULL, on_send},
        .storage = bed.options.storage,
        .now_ms = now_ms,
        .on_fail = on_fail,
        .self = &bed,
    });
    raft_peers_attach(peers, bed.driver);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    forget();
    raft_peers_destroy(peers);
    driver_bed_close(&bed);
    return 0;
}

static void decode(unsigned i, struct raft_packet *ret)
{
    assert_int_equal(raft_codec_decode(buf_span(said[i]), ret, NULL), 0);
}

static void test_send__large_append__is_split_in_order(void **state)
{
    (void)state;
    struct raft_entry entries[5];
    char *bytes = mem_zalloc(1, 3u << 20);
    for (unsigned i = 0; i < 5; i++) {
        entries[i] = (struct raft_entry){3 + i / 2, RAFT_COMMAND, {bytes, 1u << 20}, NULL};
    }
    entries[4].buf.len = 3u << 20;
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES, .server_id = 2, .server_address = "two"};
    m.append_entries = (struct raft_append_entries){
        .term = 9, .prev_log_index = 10, .prev_log_term = 2, .entries = entries, .n_entries = 5};
    struct raft_wire wire = raft_peers_wire(peers);
    wire.ops->send(wire.self, &m);
    assert_int_equal(said_count, 3);
    uint64_t next = 10;
    for (unsigned i = 0; i < said_count; i++) {
        struct raft_packet p = {0};
        assert_true(said[i]->len <= CONSENSUS_MESSAGE_SPLIT);
        decode(i, &p);
        assert_int_equal(p.message.append_entries.prev_log_index, next);
        uint64_t term = next == 10 ? 2 : entries[next - 11].term;
        assert_int_equal(p.message.append_entries.prev_log_term, term);
        next += p.message.append_entries.n_entries;
        raft_codec_free(&p);
    }
    assert_int_equal(next, 15);
    mem_free(bytes);
}

static void give(uint64_t from, struct buf *take_bytes)
{
    raft_peers_receive(peers, from, buf_span(take_bytes));
    buf_unref(take_bytes);
}

static struct buf *a_heartbeat(uint64_t from, uint64_t to)
{
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES, .server_id = to};
    m.append_entries = (struct raft_append_entries){
        .term = 2, .prev_log_index = 1, .prev_log_term = 1, .leader_commit = 1};
    return raft_codec_message(from, &m);
}

static void test_receive__right_names__reaches_the_driver(void **state)
{
    (void)state;
    give(2, a_heartbeat(2, 1));
    assert_int_equal(raft_driver_state(bed.driver).leader_id, 2);
    assert_int_equal(raft_peers_refused(peers), 0);
}

static void test_receive__wrong_names_or_garbage__is_counted_and_dropped(void **state)
{
    (void)state;
    give(3, a_heartbeat(2, 1)); /* under another's name */
    give(2, a_heartbeat(2, 3)); /* for another */
    give(1, a_heartbeat(1, 1)); /* of this node */
    raft_peers_receive(peers, 2, SPAN("\377\377\377"));
    assert_int_equal(raft_peers_refused(peers), 4);
    assert_int_equal(raft_driver_state(bed.driver).leader_id, 0);
    assert_int_equal(raft_driver_state(bed.driver).term, 1);
}

static struct raft_buffer a_snapshot(void)
{
    struct consensus_sink sink = {0};
    struct raft_buffer *bufs = NULL;
    unsigned n = 0;
    assert_int_equal(consensus_sink_write(&sink, SPAN("everything")), 0);
    raft_snapshot_finish(&sink, &bufs, &n);
    struct raft_buffer whole = bufs[0];
    raft_free(bufs);
    return whole;
}

static void give_piece(uint64_t from, uint64_t term, struct raft_buffer whole)
{
    struct raft_piece piece = {.term = term,
                               .meta = {.index = 20, .term = 2, .configuration_index = 1},
                               .total = whole.len,
                               .data = span_of(whole.base, whole.len)};
    raft_configuration_init(&piece.meta.configuration);
    assert_int_equal(raft_configuration_add(&piece.meta.configuration, 1, "one", RAFT_VOTER), 0);
    assert_int_equal(raft_configuration_add(&piece.meta.configuration, 2, "two", RAFT_VOTER), 0);
    struct buf *bytes = raft_codec_piece(from, 1, &piece);
    raft_configuration_close(&piece.meta.configuration);
    give(from, bytes);
}

static void test_piece__of_the_leader__is_installed_and_of_others_is_not(void **state)
{
    (void)state;
    struct raft_buffer whole = a_snapshot();
    give_piece(2, 2, whole); /* nobody leads yet */
    give(2, a_heartbeat(2, 1));
    give_piece(3, 2, whole);
    give_piece(2, 3, whole);
    assert_int_equal(said_count, 0);
    give_piece(2, 2, whole);
    assert_int_equal(said_count, 2); /* it arrived, and it was taken over */
    struct raft_packet p = {0};
    decode(1, &p);
    assert_int_equal(p.kind, RAFT_PACKET_ACK);
    assert_true(p.ack.is_done);
    assert_int_equal(said_to, 2);
    driver_bed_pass(&bed, 1);
    assert_int_equal(raft_driver_state(bed.driver).last_index, 20);
    raft_free(whole.base);
}

static void test_mute__nothing_leaves_any_more(void **state)
{
    (void)state;
    struct raft_message m = {.type = RAFT_TIMEOUT_NOW, .server_id = 2, .server_address = "two"};
    m.timeout_now = (struct raft_timeout_now){.term = 2, .last_log_index = 1, .last_log_term = 1};
    struct raft_wire wire = raft_peers_wire(peers);
    wire.ops->send(wire.self, &m);
    assert_int_equal(said_count, 1);
    raft_peers_mute(peers);
    wire.ops->send(wire.self, &m);
    assert_int_equal(said_count, 1);
    assert_int_equal(raft_peers_deadline(peers), UINT64_MAX);
    assert_int_equal(raft_peers_offers(peers), 0);
}

#define PEERS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PEERS_TEST(test_send__large_append__is_split_in_order),
        PEERS_TEST(test_receive__right_names__reaches_the_driver),
        PEERS_TEST(test_receive__wrong_names_or_garbage__is_counted_and_dropped),
        PEERS_TEST(test_piece__of_the_leader__is_installed_and_of_others_is_not),
        PEERS_TEST(test_mute__nothing_leaves_any_more),
    };
    return cmocka_run_group_tests_name("consensus.raft_peers", tests, NULL, NULL);
}
