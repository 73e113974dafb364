#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/macros.h"
#include "consensus/raft_offer.h"

#define PIECE ((size_t)RAFT_OFFER_PIECE_BYTES)

/* A storage whose reads the test completes. */
struct bed {
    struct raft_offers *offers;
    raft_got_fn got;
    void *arg;
    unsigned reads;
    unsigned sent;
    unsigned made; /* companions */
    int make_err;
    uint64_t total, companion; /* of the last piece */
    char first;                /* byte */
    uint64_t to;
    uint64_t offset; /* of the last piece */
    size_t len;
    uint64_t index;
    int failed;
};

static struct bed bed;

static int get_snapshot(void *self, raft_got_fn got, void *arg)
{
    struct bed *b = self;
    b->got = got;
    b->arg = arg;
    b->reads++;
    return 0;
}

static void send_piece(void *self, uint64_t to, const struct raft_piece *piece)
{
    struct bed *b = self;
    b->sent++;
    b->to = to;
    b->offset = piece->offset;
    b->len = piece->data.len;
    b->index = piece->meta.index;
    b->total = piece->total;
    b->companion = piece->companion;
    b->first = piece->data.len > 0 ? piece->data.data[0] : '\0';
}

static void on_fail(void *self, int err)
{
    ((struct bed *)self)->failed = err;
}

#define TABLES (2 * PIECE + 7)

/* Each megabyte of it has a letter of its own. */
static int make(void *self, const char *path, const atomic_bool *is_stopping)
{
    struct bed *b = self;
    FILE *f = b->make_err || atomic_load(is_stopping) ? NULL : fopen(path, "we");
    b->made++;
    if (!f) {
        return b->make_err;
    }
    for (size_t i = 0; i < TABLES; i++) {
        assert_int_not_equal(fputc('a' + (int)(i / PIECE), f), EOF);
    }
    return fclose(f);
}

static const struct raft_storage_ops storage = {.get_snapshot = get_snapshot};

static int setup(void **state)
{
    (void)state;
    bed = (struct bed){0};
    bed.offers = raft_offers_create(&(struct raft_offers_options){
        .storage = {&storage, &bed}, .send = send_piece, .on_fail = on_fail, .self = &bed});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    raft_offers_destroy(bed.offers);
    return 0;
}

static struct raft_companion *companion;

static int setup_companion(void **state)
{
    (void)state;
    char out[64];
    char in[64];
    bed = (struct bed){0};
    snprintf(out, sizeof(out), "/tmp/nacre-offer-%d.out", (int)getpid());
    snprintf(in, sizeof(in), "/tmp/nacre-offer-%d.in", (int)getpid());
    companion = raft_companion_create(&(struct raft_companion_options){
        .outgoing = out, .incoming = in, .make = make, .make_self = &bed});
    bed.offers = raft_offers_create(&(struct raft_offers_options){.storage = {&storage, &bed},
                                                                  .companion = companion,
                                                                  .send = send_piece,
                                                                  .on_fail = on_fail,
                                                                  .self = &bed});
    return 0;
}

static int teardown_companion(void **state)
{
    int err = teardown(state);
    raft_companion_destroy(companion);
    return err;
}

static void want(uint64_t to, uint64_t term, uint64_t index, uint64_t now_ms)
{
    struct raft_message m = {.type = RAFT_INSTALL_SNAPSHOT, .server_id = to};
    m.install_snapshot = (struct raft_install_snapshot){.term = term, .last_index = index};
    raft_offers_want(bed.offers, &m, now_ms);
}

static void complete(uint64_t index, size_t len)
{
    struct raft_snapshot_metadata meta = {.index = index, .term = 2};
    struct raft_buffer data = {raft_calloc(1, len), len};
    raft_configuration_init(&meta.configuration);
    bed.got(bed.arg, 0, &meta, &data);
}

static void ack(uint64_t from, uint64_t index, uint64_t next, bool is_lost, bool is_done)
{
    struct raft_piece_ack a = {5, index, next, is_lost, is_done};
    raft_offers_ack(bed.offers, from, &a, 1000);
}

static void test_want__a_few_pieces_go_and_more_when_they_arrived(void **state)
{
    (void)state;
    want(2, 5, 20, 1000);
    want(2, 5, 20, 1000); /* libraft asks with every heartbeat */
    assert_int_equal(bed.reads, 1);
    complete(20, 6 * PIECE);
    assert_int_equal(bed.sent, RAFT_OFFER_WINDOW);
    ack(2, 20, PIECE, false, false);
    assert_int_equal(bed.sent, RAFT_OFFER_WINDOW + 1);
    ack(2, 20, PIECE, false, false); /* repeated */
    ack(2, 19, 2 * PIECE, false, false);
    ack(3, 20, 2 * PIECE, false, false);
    ack(2, 20, 99 * PIECE, false, false);
    assert_int_equal(bed.sent, RAFT_OFFER_WINDOW + 1);
    ack(2, 20, 6 * PIECE, false, false);
    assert_int_equal(bed.sent, RAFT_OFFER_WINDOW + 1);
    assert_int_equal(raft_offers_count(bed.offers), 1);
    ack(2, 20, 6 * PIECE, false, true);
    assert_int_equal(raft_offers_count(bed.offers), 0);
    assert_int_equal(raft_offers_buffers(bed.offers), 0);
    want(2, 5, 20, 1000 + RAFT_OFFER_HOLD_MS - 1); /* it is being written there */
    assert_int_equal(bed.reads, 1);
    want(2, 5, 20, 1000 + RAFT_OFFER_HOLD_MS);
    assert_int_equal(bed.reads, 2);
    complete(20, 8);
}

static void test_lost__is_sent_again_from_there(void **state)
{
    (void)state;
    want(2, 5, 20, 1000);
    complete(20, 3 * PIECE);
    assert_int_equal(bed.sent, 3);
    ack(2, 20, PIECE, true, false);
    assert_int_equal(bed.sent, 5);
    assert_int_equal(bed.offset, 2 * PIECE);
    ack(2, 20, 0, true, false); /* it was restarted */
    assert_int_equal(bed.sent, 8);
}

static void test_silence__is_tried_again_and_given_up(void **state)
{
    (void)state;
    want(2, 5, 20, 1000);
    complete(20, PIECE);
    assert_int_equal(raft_offers_deadline(bed.offers), 1000 + RAFT_OFFER_RETRY_MS);
    raft_offers_tick(bed.offers, 5, 1000 + RAFT_OFFER_RETRY_MS - 1);
    assert_int_equal(bed.sent, 1);
    raft_offers_tick(bed.offers, 5, 1000 + RAFT_OFFER_RETRY_MS);
    assert_int_equal(bed.sent, 2);
    raft_offers_tick(bed.offers, 5, 1000 + RAFT_OFFER_GIVE_UP_MS);
    assert_int_equal(raft_offers_count(bed.offers), 0);
    assert_int_equal(raft_offers_deadline(bed.offers), UINT64_MAX);
}

static void test_all_arrived_and_no_word__is_asked_for(void **state)
{
    (void)state;
    want(2, 5, 20, 1000);
    complete(20, 100);
    ack(2, 20, 100, false, false);
    raft_offers_tick(bed.offers, 5, 1000 + RAFT_OFFER_RETRY_MS);
    assert_int_equal(bed.sent, 2);
    assert_int_equal(bed.offset, 100);
    assert_int_equal(bed.len, 0);
}

static void test_term__another_one_or_no_leader__ends_all(void **state)
{
    (void)state;
    want(2, 5, 20, 1000);
    complete(20, PIECE);
    raft_offers_tick(bed.offers, 5, 1001);
    assert_int_equal(raft_offers_count(bed.offers), 1);
    raft_offers_tick(bed.offers, 0, 1002);
    assert_int_equal(raft_offers_count(bed.offers), 0);
    assert_int_equal(raft_offers_buffers(bed.offers), 0);
}

static void test_buffers__two_followers_one_snapshot__one_buffer(void **state)
{
    (void)state;
    want(2, 5, 20, 1000);
    want(3, 5, 20, 1000);
    complete(20, PIECE);
    want(4, 5, 20, 1000); /* while it goes */
    assert_int_equal(bed.reads, 1);
    assert_int_equal(raft_offers_count(bed.offers), 3);
    assert_int_equal(raft_offers_buffers(bed.offers), 1);
    want(5, 5, 30, 1000); /* a newer one */
    assert_int_equal(bed.reads, 2);
    complete(25, PIECE); /* not new enough: read again */
    assert_int_equal(bed.reads, 3);
    complete(30, PIECE);
    assert_int_equal(bed.to, 5);
    assert_int_equal(bed.index, 30);
    assert_int_equal(raft_offers_buffers(bed.offers), 2);
}

static void test_stop__while_one_is_read__begins_no_other(void **state)
{
    (void)state;
    want(2, 5, 20, 1000);
    raft_offers_stop(bed.offers);
    complete(10, PIECE); /* not new enough */
    want(3, 5, 20, 1000);
    assert_int_equal(bed.reads, 1);
}

static void test_read__fails__is_told_and_canceled_is_not(void **state)
{
    (void)state;
    want(2, 5, 20, 1000);
    bed.got(bed.arg, RAFT_CANCELED, NULL, NULL);
    assert_int_equal(bed.failed, 0);
    want(2, 5, 20, 1000);
    bed.got(bed.arg, RAFT_IOERR, NULL, NULL);
    assert_int_equal(bed.failed, RAFT_IOERR);
    assert_int_equal(raft_offers_count(bed.offers), 0);
}

static void test_companion__follows_the_snapshot_piece_by_piece(void **state)
{
    (void)state;
    want(2, 5, 20, 1000);
    want(3, 5, 20, 1000);
    complete(20, 100);
    assert_int_equal(bed.made, 1); /* for both */
    assert_int_equal(bed.total, 100 + TABLES);
    assert_int_equal(bed.companion, TABLES);
    assert_int_equal(bed.sent, 8);
    assert_int_equal(bed.offset, 100 + 2 * PIECE);
    assert_int_equal(bed.len, 7);
    assert_int_equal(bed.first, 'c');
    ack(2, 20, 100, true, false);
    assert_int_equal(bed.sent, 11);
    ack(2, 20, 100 + PIECE, true, false);
    assert_int_equal(bed.first, 'c');
    ack(3, 20, 100 + TABLES + 1, false, true); /* more than there is */
    assert_int_equal(raft_offers_count(bed.offers), 2);
    ack(3, 20, 100 + TABLES, false, true);
    assert_int_equal(raft_offers_count(bed.offers), 1);
    ack(2, 20, 100 + TABLES, false, false);
    raft_offers_tick(bed.offers, 5, 1000 + RAFT_OFFER_RETRY_MS);
    assert_int_equal(bed.len, 0); /* does it have it? */
    ack(2, 20, 100 + TABLES, false, true);
    assert_int_equal(raft_offers_buffers(bed.offers), 0);
}

/* A full disk: nothing is sent, nothing ends, and it is tried again after a while. */
static void test_companion__cannot_be_made__is_tried_again_later(void **state)
{
    (void)state;
    bed.make_err = E_FULL;
    want(2, 5, 20, 1000);
    complete(20, 100);
    assert_int_equal(bed.sent, 0);
    assert_int_equal(bed.failed, 0);
    assert_int_equal(raft_offers_count(bed.offers), 0);
    assert_int_equal(raft_offers_buffers(bed.offers), 0);
    want(2, 5, 20, 1000 + RAFT_OFFER_AGAIN_MS - 1);
    assert_int_equal(bed.reads, 1);
    bed.make_err = 0;
    want(2, 5, 20, 1000 + RAFT_OFFER_AGAIN_MS);
    complete(20, 100);
    assert_int_equal(bed.sent, 4);
}

static void test_companion__stop__lets_go_of_it(void **state)
{
    (void)state;
    want(2, 5, 20, 1000);
    complete(20, 100);
    raft_offers_stop(bed.offers);
    assert_int_equal(raft_offers_buffers(bed.offers), 0);
    want(2, 5, 20, 1000);
    assert_int_equal(bed.reads, 1);
}

#define OFFER_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define COMPANION_TEST(f) cmocka_unit_test_setup_teardown(f, setup_companion, teardown_companion)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OFFER_TEST(test_want__a_few_pieces_go_and_more_when_they_arrived),
        OFFER_TEST(test_lost__is_sent_again_from_there),
        OFFER_TEST(test_silence__is_tried_again_and_given_up),
        OFFER_TEST(test_all_arrived_and_no_word__is_asked_for),
        OFFER_TEST(test_term__another_one_or_no_leader__ends_all),
        OFFER_TEST(test_buffers__two_followers_one_snapshot__one_buffer),
        OFFER_TEST(test_stop__while_one_is_read__begins_no_other),
        OFFER_TEST(test_read__fails__is_told_and_canceled_is_not),
        COMPANION_TEST(test_companion__follows_the_snapshot_piece_by_piece),
        COMPANION_TEST(test_companion__cannot_be_made__is_tried_again_later),
        COMPANION_TEST(test_companion__stop__lets_go_of_it),
    };
    return cmocka_run_group_tests_name("consensus.raft_offer", tests, NULL, NULL);
}
