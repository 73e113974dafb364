#include "consensus/raft_offer.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "consensus/raft_driver.h"

/* A snapshot in memory, and its companion on disk. */
struct blob {
    unsigned refs;
    struct raft_snapshot_metadata meta;
    struct raft_buffer data;
    int fd; /* -1: there is no companion */
    uint64_t companion;
};

enum phase { FREE, READING, SENDING, DONE };

/* What one follower gets. */
struct offer {
    enum phase phase;
    uint64_t to;
    uint64_t term;
    uint64_t wanted; /* index */
    uint8_t version;
    struct blob *blob; /* SENDING */
    uint64_t acked;
    uint64_t sent;
    uint64_t index;    /* DONE: of what it took over */
    uint64_t heard_ms; /* its last acknowledgement; SENDING, DONE */
    uint64_t sent_ms;  /* the last time that pieces went */
};

struct raft_offers {
    struct raft_offers_options options;
    struct offer offers[RAFT_DRIVER_PEERS_MAX];
    unsigned buffers;
    uint64_t now_ms;
    uint64_t again_ms; /* no companion could be made: not before */
    struct blob *made; /* its companion is being made */
    char *piece;       /* of a companion */
    bool is_reading;
    bool is_stopped;
};

struct raft_offers *raft_offers_create(const struct raft_offers_options *options)
{
    struct raft_offers *o = mem_zalloc(1, sizeof *o);
    o->options = *options;
    return o;
}

static void blob_unref(struct raft_offers *o, struct blob *blob)
{
    if (!blob || --blob->refs > 0) {
        return;
    }
    o->buffers--;
    raft_configuration_close(&blob->meta.configuration);
    raft_free(blob->data.base);
    if (blob->fd >= 0) {
        raft_companion_close(o->options.companion, blob->fd);
    }
    mem_free(blob);
}

static void end(struct raft_offers *o, struct offer *f)
{
    blob_unref(o, f->blob);
    *f = (struct offer){.phase = FREE};
}

void raft_offers_stop(struct raft_offers *o)
{
    o->is_stopped = true;
    for (unsigned i = 0; i < RAFT_DRIVER_PEERS_MAX; i++) {
        end(o, &o->offers[i]);
    }
}

void raft_offers_destroy(struct raft_offers *o)
{
    if (!o) {
        return;
    }
    ASSERT(!o->is_reading);
    for (unsigned i = 0; i < RAFT_DRIVER_PEERS_MAX; i++) {
        end(o, &o->offers[i]);
    }
    mem_free(o->piece);
    mem_free(o);
}

/* ---------------------------------------------------------------- sending */

static uint64_t total_of(const struct blob *blob)
{
    return blob->data.len + blob->companion;
}

static size_t at_most_a_piece(uint64_t n)
{
    return n < RAFT_OFFER_PIECE_BYTES ? (size_t)n : RAFT_OFFER_PIECE_BYTES;
}

/* Just written, or read ahead: the disk is rarely waited for. Shorter than wanted: it failed. */
static struct span read_companion(struct raft_offers *o, const struct blob *blob, uint64_t at)
{
    size_t n = at_most_a_piece(blob->companion - at);
    size_t have = 0;
    o->piece = o->piece ? o->piece : mem_alloc(RAFT_OFFER_PIECE_BYTES);
    (void)posix_fadvise(blob->fd, (off_t)(at + n),
                        (off_t)2 * RAFT_OFFER_WINDOW * RAFT_OFFER_PIECE_BYTES, POSIX_FADV_WILLNEED);
    while (have < n) {
        ssize_t got = pread(blob->fd, o->piece + have, n - have, (off_t)(at + have));
        if (got <= 0) {
            break;
        }
        have += (size_t)got;
    }
    return span_of(o->piece, have);
}

/* The bytes from at on; none when at is the end. */
static struct span bytes_at(struct raft_offers *o, const struct blob *blob, uint64_t at)
{
    if (at < blob->data.len) {
        return span_of((const char *)blob->data.base + at, at_most_a_piece(blob->data.len - at));
    }
    if (at == total_of(blob)) {
        return (struct span){0};
    }
    return read_companion(o, blob, at - blob->data.len);
}

/* False: the companion cannot be read. */
static bool send_piece(struct raft_offers *o, struct offer *f)
{
    struct raft_piece piece = {.version = f->version,
                               .term = f->term,
                               .meta = f->blob->meta,
                               .total = total_of(f->blob),
                               .companion = f->blob->companion,
                               .offset = f->sent,
                               .data = bytes_at(o, f->blob, f->sent)};
    if (piece.data.len == 0 && f->sent < piece.total) {
        return false;
    }
    f->sent += piece.data.len;
    f->sent_ms = o->now_ms;
    o->options.send(o->options.self, f->to, &piece);
    return true;
}

static void send_window(struct raft_offers *o, struct offer *f)
{
    while (f->sent < total_of(f->blob) &&
           f->sent - f->acked < (uint64_t)RAFT_OFFER_WINDOW * RAFT_OFFER_PIECE_BYTES) {
        if (!send_piece(o, f)) {
            end(o, f);
            o->again_ms = o->now_ms + RAFT_OFFER_AGAIN_MS;
            return;
        }
    }
}

/* ---------------------------------------------------------------- reading */

static void begin_read(struct raft_offers *o);

static void end_reading(struct raft_offers *o)
{
    for (unsigned i = 0; i < RAFT_DRIVER_PEERS_MAX; i++) {
        if (o->offers[i].phase == READING) {
            end(o, &o->offers[i]);
        }
    }
}

static void read_failed(struct raft_offers *o, int status)
{
    end_reading(o);
    if (status != RAFT_CANCELED) {
        o->options.on_fail(o->options.self, status);
    }
}

static void begin_sending(struct raft_offers *o, struct offer *f, struct blob *blob)
{
    f->phase = SENDING;
    f->blob = blob;
    f->acked = 0;
    f->sent = 0;
    f->heard_ms = o->now_ms;
    blob->refs++;
    send_window(o, f);
}

/* To all that wait for it. */
/* NOLINTNEXTLINE(misc-no-recursion): the disk calls on_read later, not begin_read */
static void hand_out(struct raft_offers *o, struct blob *take_blob)
{
    bool is_more = false;
    for (unsigned i = 0; i < RAFT_DRIVER_PEERS_MAX; i++) {
        struct offer *f = &o->offers[i];
        if (f->phase == READING && f->wanted <= take_blob->meta.index) {
            begin_sending(o, f, take_blob);
        }
        is_more = is_more || f->phase == READING;
    }
    blob_unref(o, take_blob);
    if (is_more) {
        begin_read(o);
    }
}

/* A companion that cannot be made (a full disk) is no reason to end: libraft asks again. */
/* NOLINTNEXTLINE(misc-no-recursion): as hand_out */
static void on_made(void *arg, int err, int take_fd, uint64_t bytes)
{
    struct raft_offers *o = arg;
    struct blob *blob = o->made;
    o->made = NULL;
    o->is_reading = false;
    blob->fd = take_fd;
    blob->companion = bytes;
    if (err) {
        blob_unref(o, blob);
        end_reading(o);
        o->again_ms = o->now_ms + RAFT_OFFER_AGAIN_MS;
        return;
    }
    hand_out(o, blob);
}

/* Guard G4: index, term and members come from the file that was read. The companion is made after
 * it, so that it is not older. */
/* NOLINTNEXTLINE(misc-no-recursion): as hand_out */
static void on_read(void *arg, int status, struct raft_snapshot_metadata *meta,
                    struct raft_buffer *data)
{
    struct raft_offers *o = arg;
    if (status != 0) {
        o->is_reading = false;
        read_failed(o, status);
        return;
    }
    struct blob *blob = mem_zalloc(1, sizeof *blob);
    *blob = (struct blob){.refs = 1, .meta = *meta, .data = *data, .fd = -1};
    o->buffers++;
    if (o->options.companion && !o->is_stopped) {
        o->made = blob;
        raft_companion_make(o->options.companion, on_made, o);
        return;
    }
    o->is_reading = false;
    hand_out(o, blob);
}

/* NOLINTNEXTLINE(misc-no-recursion): as hand_out */
static void begin_read(struct raft_offers *o)
{
    if (o->is_reading || o->is_stopped) {
        return;
    }
    o->is_reading = true;
    const struct raft_storage *s = &o->options.storage;
    int err = s->ops->get_snapshot(s->self, on_read, o);
    if (err) {
        o->is_reading = false;
        read_failed(o, err);
    }
}

static struct blob *held(const struct raft_offers *o, uint64_t wanted)
{
    for (unsigned i = 0; i < RAFT_DRIVER_PEERS_MAX; i++) {
        const struct offer *f = &o->offers[i];
        if (f->phase == SENDING && f->blob->meta.index >= wanted) {
            return f->blob;
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- what happens */

static struct offer *find(struct raft_offers *o, uint64_t to)
{
    for (unsigned i = 0; i < RAFT_DRIVER_PEERS_MAX; i++) {
        if (o->offers[i].phase != FREE && o->offers[i].to == to) {
            return &o->offers[i];
        }
    }
    return NULL;
}

/* A place for another one: a free one, or one of a transfer that is over. */
static struct offer *place(struct raft_offers *o)
{
    for (unsigned i = 0; i < RAFT_DRIVER_PEERS_MAX; i++) {
        if (o->offers[i].phase == FREE || o->offers[i].phase == DONE) {
            return &o->offers[i];
        }
    }
    return NULL;
}

static bool is_repeated(const struct raft_offers *o, const struct offer *f,
                        const struct raft_install_snapshot *install)
{
    if (f->term != install->term) {
        return false;
    }
    return f->phase != DONE ||
           (f->index >= install->last_index && o->now_ms - f->heard_ms < RAFT_OFFER_HOLD_MS);
}

void raft_offers_want(struct raft_offers *o, const struct raft_message *message, uint64_t now_ms)
{
    const struct raft_install_snapshot *install = &message->install_snapshot;
    o->now_ms = now_ms;
    struct offer *f = find(o, message->server_id);
    if (f && is_repeated(o, f, install)) {
        return;
    }
    f = f ? f : place(o);
    if (!f || now_ms < o->again_ms) {
        return; /* as if lost */
    }
    end(o, f);
    *f = (struct offer){.phase = READING,
                        .to = message->server_id,
                        .term = install->term,
                        .wanted = install->last_index,
                        .version = install->version};
    struct blob *blob = held(o, f->wanted);
    if (blob) {
        begin_sending(o, f, blob);
    } else {
        begin_read(o);
    }
}

void raft_offers_ack(struct raft_offers *o, uint64_t from, const struct raft_piece_ack *ack,
                     uint64_t now_ms)
{
    o->now_ms = now_ms;
    struct offer *f = find(o, from);
    if (!f || f->phase != SENDING || ack->term != f->term || ack->index != f->blob->meta.index ||
        ack->next > total_of(f->blob)) {
        return;
    }
    f->heard_ms = now_ms;
    if (ack->is_done) {
        uint64_t index = f->blob->meta.index;
        blob_unref(o, f->blob);
        f->blob = NULL;
        f->phase = DONE;
        f->index = index;
        return;
    }
    if (ack->is_lost) {
        /* It may also have begun anew, and have less than it said. */
        f->acked = ack->next;
        f->sent = ack->next;
    } else if (ack->next > f->acked) {
        f->acked = ack->next;
        f->sent = f->sent > f->acked ? f->sent : f->acked;
    }
    send_window(o, f);
}

static uint64_t retry_at(const struct offer *f)
{
    uint64_t last = f->heard_ms > f->sent_ms ? f->heard_ms : f->sent_ms;
    return last + RAFT_OFFER_RETRY_MS;
}

static void tick(struct raft_offers *o, struct offer *f, uint64_t leading)
{
    if (f->term != leading) {
        end(o, f);
        return;
    }
    if (f->phase != SENDING || o->now_ms < retry_at(f)) {
        return;
    }
    if (o->now_ms - f->heard_ms >= RAFT_OFFER_GIVE_UP_MS) {
        end(o, f);
        return;
    }
    f->sent = f->acked;
    if (f->sent == total_of(f->blob)) {
        (void)send_piece(o, f); /* empty: does it have it? */
    }
    send_window(o, f);
}

void raft_offers_tick(struct raft_offers *o, uint64_t leading, uint64_t now_ms)
{
    o->now_ms = now_ms;
    for (unsigned i = 0; i < RAFT_DRIVER_PEERS_MAX; i++) {
        if (o->offers[i].phase != FREE) {
            tick(o, &o->offers[i], leading);
        }
    }
}

uint64_t raft_offers_deadline(const struct raft_offers *o)
{
    uint64_t due = UINT64_MAX;
    for (unsigned i = 0; i < RAFT_DRIVER_PEERS_MAX; i++) {
        const struct offer *f = &o->offers[i];
        if (f->phase == SENDING && retry_at(f) < due) {
            due = retry_at(f);
        }
    }
    return due;
}

unsigned raft_offers_count(const struct raft_offers *o)
{
    unsigned n = 0;
    for (unsigned i = 0; i < RAFT_DRIVER_PEERS_MAX; i++) {
        n += o->offers[i].phase == READING || o->offers[i].phase == SENDING;
    }
    return n;
}

unsigned raft_offers_buffers(const struct raft_offers *o)
{
    return o->buffers;
}
