/* A message between members of the log: refused whole, or such that libraft may see it; and what
 * was read makes the same message again.
 */
#include "fuzz.h"

#include "consensus/consensus.h"
#include "consensus/raft_codec.h"
#include "consensus/raft_driver.h"

static void check_append(const struct raft_append_entries *a)
{
    uint64_t term = a->prev_log_term;
    REQUIRE(a->n_entries <= RAFT_DRIVER_INFLIGHT_MAX);
    REQUIRE(a->term > 0);
    for (unsigned i = 0; i < a->n_entries; i++) {
        const struct raft_entry *e = &a->entries[i];
        REQUIRE(e->batch == a->entries[0].batch);
        REQUIRE(e->buf.len % 8 == 0);
        REQUIRE(e->term >= term && e->term <= a->term);
        term = e->term;
        if (e->type == RAFT_CHANGE) {
            struct raft_configuration conf = {0};
            struct raft_buffer buf = e->buf;
            REQUIRE(raft_configuration_decode(&buf, &conf) == 0);
            REQUIRE(conf.n > 0 && conf.n <= RAFT_DRIVER_PEERS_MAX);
            raft_configuration_close(&conf);
        }
    }
}

static void check_piece(const struct raft_piece *p)
{
    REQUIRE(p->offset <= p->total && p->data.len <= p->total - p->offset);
    REQUIRE(p->meta.configuration.n > 0 && p->meta.configuration.n <= RAFT_DRIVER_PEERS_MAX);
}

static struct buf *again(const struct raft_packet *p)
{
    if (p->kind == RAFT_PACKET_PIECE) {
        return raft_codec_piece(p->from, p->to, &p->piece);
    }
    if (p->kind == RAFT_PACKET_ACK) {
        return raft_codec_ack(p->from, p->to, &p->ack);
    }
    struct raft_message m = p->message;
    m.server_id = p->to;
    return raft_codec_message(p->from, &m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct raft_packet packet = {0};
    struct raft_packet second = {0};
    struct fail fail = {0};
    int err = raft_codec_decode(span_of((const char *)data, size), &packet, &fail);
    if (err) {
        REQUIRE(err == E_PARSE || err == E_TOO_LARGE);
        fuzz_check_fail(err, &fail);
        return 0;
    }
    if (packet.kind == RAFT_PACKET_MESSAGE && packet.message.type == RAFT_APPEND_ENTRIES) {
        check_append(&packet.message.append_entries);
    } else if (packet.kind == RAFT_PACKET_PIECE) {
        check_piece(&packet.piece);
    }
    struct buf *bytes = again(&packet);
    REQUIRE(raft_codec_decode(buf_span(bytes), &second, NULL) == 0);
    struct buf *same = again(&second);
    REQUIRE(span_eq(buf_span(bytes), buf_span(same)));
    buf_unref(bytes);
    buf_unref(same);
    raft_codec_free(&packet);
    raft_codec_free(&second);
    return 0;
}
