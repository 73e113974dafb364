#include "consensus/raft_peers.h"

#include "base/mem.h"
#include "consensus/raft_codec.h"
#include "consensus/raft_companion.h"
#include "consensus/raft_intake.h"
#include "consensus/raft_offer.h"

#define HEAD_BYTES 256      /* of a message around its entries */
#define INSTALL_RETRY_MS 50 /* a snapshot is there, but one of this node's own is being taken */

struct raft_peers {
    struct raft_peers_options options;
    struct raft_driver *driver;
    struct raft_offers *offers;
    struct raft_companion *companion; /* NULL: there is none */
    struct raft_intake intake;
    uint64_t refused;
    bool is_muted;
};

/* ---------------------------------------------------------------- sending */

static void post(struct raft_peers *p, uint64_t to, struct buf *take_message)
{
    if (p->is_muted) {
        buf_unref(take_message);
        return;
    }
    p->options.wire.send(p->options.wire.self, to, take_message);
}

/* How many entries from first on fit into one message: one at least. */
static unsigned fitting(const struct raft_append_entries *a, unsigned first)
{
    size_t bytes = HEAD_BYTES;
    unsigned n = 0;
    while (first + n < a->n_entries) {
        bytes += RAFT_CODEC_ENTRY_HEAD + a->entries[first + n].buf.len;
        if (n > 0 && bytes > CONSENSUS_MESSAGE_SPLIT) {
            break;
        }
        n++;
    }
    return n;
}

static void send_append(struct raft_peers *p, const struct raft_message *message)
{
    const struct raft_append_entries *whole = &message->append_entries;
    unsigned at = 0;
    do {
        struct raft_message part = *message;
        struct raft_append_entries *a = &part.append_entries;
        a->n_entries = fitting(whole, at);
        a->entries = a->n_entries > 0 ? whole->entries + at : NULL;
        if (at > 0) {
            a->prev_log_index = whole->prev_log_index + at;
            a->prev_log_term = whole->entries[at - 1].term;
        }
        post(p, message->server_id, raft_codec_message(p->options.id, &part));
        at += a->n_entries;
    } while (at < whole->n_entries);
}

static void on_send(void *self, const struct raft_message *message)
{
    struct raft_peers *p = self;
    if (message->type == RAFT_APPEND_ENTRIES) {
        send_append(p, message);
    } else if (message->type != RAFT_INSTALL_SNAPSHOT) {
        post(p, message->server_id, raft_codec_message(p->options.id, message));
    }
}

static void on_snapshot(void *self, const struct raft_message *message)
{
    struct raft_peers *p = self;
    raft_offers_want(p->offers, message, p->options.now_ms(p->options.self));
}

static void send_piece(void *self, uint64_t to, const struct raft_piece *piece)
{
    struct raft_peers *p = self;
    post(p, to, raft_codec_piece(p->options.id, to, piece));
}

static void on_fail(void *self, int err)
{
    struct raft_peers *p = self;
    p->options.on_fail(p->options.self, err);
}

static const struct raft_wire_ops wire_ops = {on_send, on_snapshot};

struct raft_wire raft_peers_wire(struct raft_peers *p)
{
    return (struct raft_wire){&wire_ops, p};
}

/* ---------------------------------------------------------------- receiving */

static const char *address_of(const struct raft_driver *d, uint64_t id)
{
    const struct raft_configuration *conf = raft_driver_members(d);
    for (unsigned i = 0; i < conf->n; i++) {
        if (conf->servers[i].id == id) {
            return conf->servers[i].address;
        }
    }
    return "";
}

/* A snapshot that is complete goes to libraft as soon as that would look at it. */
static void install(struct raft_peers *p)
{
    struct raft_message message = {0};
    struct raft_piece_ack ack = {0};
    if (!raft_driver_can_install(p->driver) || !raft_intake_take(&p->intake, &message, &ack)) {
        return;
    }
    uint64_t from = message.server_id;
    message.server_address = address_of(p->driver, from);
    raft_driver_receive(p->driver, &message);
    post(p, from, raft_codec_ack(p->options.id, from, &ack));
}

/* Only of the leader that libraft knows: this is where the memory for a snapshot is given out. */
static void take_piece(struct raft_peers *p, struct raft_packet *packet)
{
    struct raft_driver_state state = raft_driver_state(p->driver);
    struct raft_piece_ack ack = {0};
    if (state.leader_id != packet->from || state.role != RAFT_FOLLOWER ||
        state.term != packet->piece.term) {
        return;
    }
    if (packet->piece.companion > 0 && raft_driver_is_installing(p->driver)) {
        return; /* the companion that lies there belongs to the snapshot that is being stored */
    }
    uint64_t now_ms = p->options.now_ms(p->options.self);
    if (raft_intake_piece(&p->intake, packet->from, &packet->piece, now_ms, &ack)) {
        post(p, packet->from, raft_codec_ack(p->options.id, packet->from, &ack));
    }
    install(p);
}

void raft_peers_receive(struct raft_peers *p, uint64_t from, struct span message)
{
    struct raft_packet packet = {0};
    if (raft_codec_decode(message, &packet, NULL) != 0) {
        p->refused++;
        return;
    }
    if (packet.from != from || packet.to != p->options.id || from == p->options.id) {
        p->refused++;
        raft_codec_free(&packet);
        return;
    }
    if (packet.kind == RAFT_PACKET_MESSAGE) {
        packet.message.server_address = address_of(p->driver, from);
        raft_driver_receive(p->driver, &packet.message);
        return;
    }
    if (packet.kind == RAFT_PACKET_PIECE) {
        take_piece(p, &packet);
    } else {
        raft_offers_ack(p->offers, from, &packet.ack, p->options.now_ms(p->options.self));
    }
    raft_codec_free(&packet);
}

/* ---------------------------------------------------------------- life */

struct raft_peers *raft_peers_create(const struct raft_peers_options *options)
{
    struct raft_peers *p = mem_zalloc(1, sizeof *p);
    p->options = *options;
    if (options->companion.outgoing) {
        p->companion = raft_companion_create(&options->companion);
    }
    p->intake.file = p->companion;
    p->offers = raft_offers_create(&(struct raft_offers_options){.storage = options->storage,
                                                                 .companion = p->companion,
                                                                 .send = send_piece,
                                                                 .on_fail = on_fail,
                                                                 .self = p});
    return p;
}

void raft_peers_destroy(struct raft_peers *p)
{
    if (!p) {
        return;
    }
    raft_offers_stop(p->offers);
    raft_intake_close(&p->intake);
    raft_companion_destroy(p->companion);
    raft_offers_destroy(p->offers);
    mem_free(p);
}

void raft_peers_attach(struct raft_peers *p, struct raft_driver *driver)
{
    p->driver = driver;
}

void raft_peers_mute(struct raft_peers *p)
{
    p->is_muted = true;
    raft_offers_stop(p->offers);
}

void raft_peers_tick(struct raft_peers *p)
{
    struct raft_driver_state state = raft_driver_state(p->driver);
    struct raft_piece_ack ack = {0};
    uint64_t now_ms = p->options.now_ms(p->options.self);
    raft_offers_tick(p->offers, state.role == RAFT_LEADER ? state.term : 0, now_ms);
    raft_intake_tick(&p->intake, state.term, now_ms);
    uint64_t from = p->intake.from;
    if (raft_intake_progress(&p->intake, &ack)) {
        post(p, from, raft_codec_ack(p->options.id, from, &ack));
    }
    install(p);
}

uint64_t raft_peers_deadline(const struct raft_peers *p)
{
    uint64_t due = raft_offers_deadline(p->offers);
    if (p->intake.is_complete) {
        uint64_t again = p->options.now_ms(p->options.self) + INSTALL_RETRY_MS;
        due = again < due ? again : due;
    }
    return due;
}

uint64_t raft_peers_refused(const struct raft_peers *p)
{
    return p->refused + p->intake.damaged;
}

unsigned raft_peers_offers(const struct raft_peers *p)
{
    return raft_offers_count(p->offers);
}
