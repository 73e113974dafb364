#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "consensus/consensus.h"
#include "consensus/raft_codec.h"
#include "consensus/raft_driver.h"
#include "consensus/raft_guard.h"

static struct raft_configuration members(unsigned n)
{
    static const char *const names[] = {"one:9849", "two:9849", "three:9849"};
    struct raft_configuration conf = {0};
    raft_configuration_init(&conf);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(
            raft_configuration_add(&conf, i + 1, names[i], i < 2 ? RAFT_VOTER : RAFT_SPARE), 0);
    }
    return conf;
}

/* An append of a command, a no-op and a change of members. */
static struct buf *an_append(struct raft_append_entries *ret)
{
    static char command[16] = "\3\0\0\0\0\0\0\0abc";
    static char noop[8];
    static struct raft_entry entries[3];
    struct raft_configuration conf = members(3);
    struct raft_buffer change = {0};
    assert_int_equal(raft_configuration_encode(&conf, &change), 0);
    entries[0] = (struct raft_entry){4, RAFT_COMMAND, {command, sizeof command}, NULL};
    entries[1] = (struct raft_entry){5, RAFT_BARRIER, {noop, sizeof noop}, NULL};
    entries[2] = (struct raft_entry){5, RAFT_CHANGE, change, NULL};
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES, .server_id = 2};
    m.append_entries = (struct raft_append_entries){.version = 0,
                                                    .term = 5,
                                                    .prev_log_index = 9,
                                                    .prev_log_term = 3,
                                                    .leader_commit = 7,
                                                    .entries = entries,
                                                    .n_entries = 3};
    *ret = m.append_entries;
    struct buf *bytes = raft_codec_message(1, &m);
    raft_free(change.base);
    raft_configuration_close(&conf);
    return bytes;
}

static void test_append__round_trip__is_one_block_with_all_entries(void **state)
{
    (void)state;
    struct raft_append_entries sent = {0};
    struct buf *bytes = an_append(&sent);
    struct raft_packet packet = {0};
    assert_int_equal(raft_codec_decode(buf_span(bytes), &packet, NULL), 0);
    assert_int_equal(packet.kind, RAFT_PACKET_MESSAGE);
    assert_int_equal(packet.from, 1);
    assert_int_equal(packet.to, 2);
    assert_int_equal(packet.message.server_id, 1);
    const struct raft_append_entries *a = &packet.message.append_entries;
    assert_int_equal(a->term, 5);
    assert_int_equal(a->prev_log_index, 9);
    assert_int_equal(a->prev_log_term, 3);
    assert_int_equal(a->leader_commit, 7);
    assert_int_equal(a->n_entries, 3);
    assert_int_equal(a->entries[0].term, 4);
    assert_int_equal(a->entries[2].type, RAFT_CHANGE);
    assert_memory_equal((const char *)a->entries[0].buf.base + 8, "abc", 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_ptr_equal(a->entries[i].batch, a->entries[0].batch);
        assert_int_equal(a->entries[i].buf.len, sent.entries[i].buf.len);
    }
    raft_codec_free(&packet);
    buf_unref(bytes);
}

static void round_trip(const struct raft_message *m, struct raft_packet *ret)
{
    struct buf *bytes = raft_codec_message(7, m);
    assert_int_equal(raft_codec_decode(buf_span(bytes), ret, NULL), 0);
    assert_int_equal(ret->message.type, m->type);
    buf_unref(bytes);
}

static void test_other_messages__round_trip__keep_every_field(void **state)
{
    (void)state;
    struct raft_packet p = {0};
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES_RESULT, .server_id = 2};
    m.append_entries_result = (struct raft_append_entries_result){2, 5, 8, 7, 1, 40000};
    round_trip(&m, &p);
    assert_int_equal(p.message.append_entries_result.version, 2);
    assert_int_equal(p.message.append_entries_result.rejected, 8);
    assert_int_equal(p.message.append_entries_result.last_log_index, 7);
    assert_int_equal(p.message.append_entries_result.features, 1);
    assert_int_equal(p.message.append_entries_result.capacity, 40000);
    m = (struct raft_message){.type = RAFT_REQUEST_VOTE, .server_id = 2};
    m.request_vote = (struct raft_request_vote){2, 5, 7, 9, 4, true, false};
    round_trip(&m, &p);
    assert_int_equal(p.message.request_vote.candidate_id, 7);
    assert_int_equal(p.message.request_vote.last_log_term, 4);
    assert_true(p.message.request_vote.disrupt_leader);
    assert_false(p.message.request_vote.pre_vote);
    m = (struct raft_message){.type = RAFT_REQUEST_VOTE_RESULT, .server_id = 2};
    m.request_vote_result = (struct raft_request_vote_result){2, 5, true, true, 1, 3};
    round_trip(&m, &p);
    assert_true(p.message.request_vote_result.vote_granted);
    assert_true(p.message.request_vote_result.pre_vote);
    assert_int_equal(p.message.request_vote_result.capacity, 3);
    m = (struct raft_message){.type = RAFT_TIMEOUT_NOW, .server_id = 2};
    m.timeout_now = (struct raft_timeout_now){0, 5, 9, 4};
    round_trip(&m, &p);
    assert_int_equal(p.message.timeout_now.last_log_index, 9);
}

static struct raft_piece a_piece(struct raft_configuration *conf)
{
    return (struct raft_piece){
        .term = 5,
        .meta = {.index = 20, .term = 4, .configuration = *conf, .configuration_index = 3},
        .total = 100,
        .offset = 10,
        .data = SPAN("some bytes")};
}

static void test_piece_and_ack__round_trip(void **state)
{
    (void)state;
    struct raft_configuration conf = members(3);
    struct raft_piece piece = a_piece(&conf);
    struct raft_packet p = {0};
    struct buf *bytes = raft_codec_piece(1, 2, &piece);
    assert_int_equal(raft_codec_decode(buf_span(bytes), &p, NULL), 0);
    assert_int_equal(p.kind, RAFT_PACKET_PIECE);
    assert_int_equal(p.piece.meta.index, 20);
    assert_int_equal(p.piece.meta.configuration.n, 3);
    assert_string_equal(p.piece.meta.configuration.servers[2].address, "three:9849");
    assert_int_equal(p.piece.meta.configuration.servers[2].role, RAFT_SPARE);
    assert_true(span_eq(p.piece.data, SPAN("some bytes")));
    raft_codec_free(&p);
    buf_unref(bytes);
    raft_configuration_close(&conf);
    struct raft_piece_ack ack = {5, 20, 77, true, false};
    bytes = raft_codec_ack(1, 2, &ack);
    assert_int_equal(raft_codec_decode(buf_span(bytes), &p, NULL), 0);
    assert_int_equal(p.kind, RAFT_PACKET_ACK);
    assert_int_equal(p.ack.next, 77);
    assert_true(p.ack.is_lost);
    assert_false(p.ack.is_done);
    buf_unref(bytes);
}

/* Whatever is wrong with it, it is refused or makes sense, and nothing is read past its end. */
static void test_decode__cut_or_flipped__is_refused_or_sound(void **state)
{
    (void)state;
    struct raft_append_entries sent = {0};
    struct buf *whole = an_append(&sent);
    unsigned refused = 0;
    for (size_t len = 0; len < whole->len; len++) {
        char *copy = mem_alloc(len + 1);
        memcpy(copy, whole->data, len);
        struct raft_packet p = {0};
        struct fail fail = {0};
        assert_int_equal(raft_codec_decode(span_of(copy, len), &p, &fail), E_PARSE);
        mem_free(copy);
    }
    for (size_t bit = 0; bit < whole->len * 8; bit++) {
        char *copy = mem_alloc(whole->len);
        memcpy(copy, whole->data, whole->len);
        copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << bit % 8));
        struct raft_packet p = {0};
        if (raft_codec_decode(span_of(copy, whole->len), &p, NULL) != 0) {
            refused++;
        } else {
            raft_codec_free(&p);
        }
        mem_free(copy);
    }
    assert_true(refused > 100);
    buf_unref(whole);
}

static void check_refused(struct raft_message *m)
{
    struct raft_packet p = {0};
    struct buf *bytes = raft_codec_message(7, m);
    assert_int_equal(raft_codec_decode(buf_span(bytes), &p, NULL), E_PARSE);
    buf_unref(bytes);
}

static void test_append__numbers_that_cannot_be__are_refused(void **state)
{
    (void)state;
    char bytes[8] = {0};
    struct raft_entry entry = {5, RAFT_COMMAND, {bytes, 8}, NULL};
    const struct raft_append_entries good = {
        .term = 5, .prev_log_index = 9, .prev_log_term = 3, .entries = &entry, .n_entries = 1};
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES, .server_id = 2, .append_entries = good};
    m.append_entries.term = 0;
    check_refused(&m);
    m.append_entries = good;
    m.append_entries.prev_log_index = UINT64_MAX;
    check_refused(&m);
    m.append_entries = good;
    m.append_entries.prev_log_term = 0;
    check_refused(&m);
    m.append_entries = good;
    m.append_entries.prev_log_term = 6; /* later than the leader */
    check_refused(&m);
    m.append_entries = good;
    entry.term = 6; /* likewise */
    check_refused(&m);
    entry.term = 2; /* before what it follows */
    check_refused(&m);
    entry = (struct raft_entry){5, RAFT_COMMAND, {bytes, 7}, NULL}; /* the disk would refuse it */
    check_refused(&m);
    entry = (struct raft_entry){5, RAFT_CHANGE, {bytes, 8}, NULL}; /* libraft would read on */
    check_refused(&m);
    m = (struct raft_message){.type = RAFT_REQUEST_VOTE, .server_id = 2};
    m.request_vote = (struct raft_request_vote){2, 5, 8, 9, 4, false, false}; /* for another */
    check_refused(&m);
}

static void check_piece_refused(const struct raft_piece *piece)
{
    struct raft_packet p = {0};
    struct buf *bytes = raft_codec_piece(1, 2, piece);
    assert_int_equal(raft_codec_decode(buf_span(bytes), &p, NULL), E_PARSE);
    buf_unref(bytes);
}

static void test_piece__outside_the_whole_or_without_members__is_refused(void **state)
{
    (void)state;
    struct raft_configuration conf = members(2);
    struct raft_configuration none = {0};
    struct raft_piece piece = a_piece(&conf);
    piece.offset = 95;
    check_piece_refused(&piece);
    piece = a_piece(&conf);
    piece.total = 1ull << 40;
    check_piece_refused(&piece);
    piece = a_piece(&conf);
    piece.meta.index = 0;
    check_piece_refused(&piece);
    piece = a_piece(&none);
    check_piece_refused(&piece);
    conf.servers[1].id = 1; /* twice */
    piece = a_piece(&conf);
    check_piece_refused(&piece);
    raft_configuration_close(&conf);
}

static void test_decode__too_large_or_a_bomb_of_small_fields__takes_no_memory(void **state)
{
    (void)state;
    struct raft_packet p = {0};
    size_t len = CONSENSUS_MESSAGE_MAX;
    char *bytes = mem_zalloc(1, len + 1);
    assert_int_equal(raft_codec_decode(span_of(bytes, len + 1), &p, NULL), E_TOO_LARGE);
    for (size_t i = 0; i + 1 < len; i += 2) {
        bytes[i] = 0x78; /* field 15, which nobody knows: two bytes here, dozens in memory */
    }
    assert_int_equal(raft_codec_decode(span_of(bytes, len), &p, NULL), E_PARSE);
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append__round_trip__is_one_block_with_all_entries),
        cmocka_unit_test(test_other_messages__round_trip__keep_every_field),
        cmocka_unit_test(test_piece_and_ack__round_trip),
        cmocka_unit_test(test_decode__cut_or_flipped__is_refused_or_sound),
        cmocka_unit_test(test_append__numbers_that_cannot_be__are_refused),
        cmocka_unit_test(test_piece__outside_the_whole_or_without_members__is_refused),
        cmocka_unit_test(test_decode__too_large_or_a_bomb_of_small_fields__takes_no_memory),
    };
    return cmocka_run_group_tests_name("consensus.raft_codec", tests, NULL, NULL);
}
