/* One frame per owner and turn, and its other end. */
#include "naming/beat_peer.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"
#include "naming/beat.h"
#include "naming/naming_op.h"
#include "naming/naming_pack.h"

/* What a frame of NAMING_BEATS_MAX beats takes unpacked, more than three times over. */
#define FRAME_ARENA_MAX (4u << 20)

/* The frame that grows for one owner. */
struct peer_beats {
    uint64_t owner;
    size_t count;
    size_t len, cap;
    char *bytes;
};

/* The owner's, or one that is free. */
static struct peer_beats *obtain(struct naming *n, uint64_t owner)
{
    for (size_t i = 0; i < n->peer_count; i++) {
        if (n->peers[i].owner == owner) {
            return &n->peers[i];
        }
    }
    if (n->peer_count == NAMING_PEERS_MAX) {
        return NULL;
    }
    n->peers = n->peers ? n->peers : mem_zalloc(NAMING_PEERS_MAX, sizeof(*n->peers));
    struct peer_beats *b = &n->peers[n->peer_count++];
    *b = (struct peer_beats){.owner = owner};
    return b;
}

static void count(atomic_ulong *counter, size_t more)
{
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

bool beat_peer_tell(struct naming *n, struct publication *p)
{
    ASSERT_ON(THREAD_CORE);
    struct peer_beats *b = obtain(n, p->client->owner);
    if (!b) {
        return false;
    }
    if (p->told_turn == n->turn + 1) {
        return true;
    }
    /* A frame of one beat; frames that stand behind one another are one frame of all of them: that
     * is what protobuf says of a repeated field. */
    Nacre__ServiceName name = naming_pack_name(&p->service->name);
    Nacre__Beat beat = NACRE__BEAT__INIT;
    Nacre__Beat *beats[] = {&beat};
    Nacre__BeatFrame m = NACRE__BEAT_FRAME__INIT;
    beat.service = &name;
    beat.client = naming_pack_span(span_of(p->client->id, p->client->id_len));
    m.version = b->count == 0 ? NAMING_FRAME_VERSION : 0;
    m.n_beats = ARRAY_LEN(beats);
    m.beats = beats;
    size_t len = nacre__beat_frame__get_packed_size(&m);
    if (b->count == NAMING_BEATS_MAX || b->len + len > NAMING_FRAME_BYTES_MAX) {
        count(&n->counters.beats_untold, 1);
        return true;
    }
    if (b->len + len > b->cap) {
        b->cap = 2 * (b->len + len);
        b->bytes = mem_realloc(b->bytes, b->cap, 1);
    }
    b->len += nacre__beat_frame__pack(&m, (uint8_t *)b->bytes + b->len);
    b->count++;
    p->told_turn = n->turn + 1;
    return true;
}

void beat_peer_turn(struct naming *n, struct outbox *out)
{
    for (size_t i = 0; i < n->peer_count; i++) {
        struct peer_beats *b = &n->peers[i];
        struct body body = {0};
        count(&n->counters.beats_told, b->count);
        body_add_buf(&body, buf_take(b->bytes, b->len));
        outbox_peer(out, b->owner, PEER_NAMING, &body);
    }
    n->peer_count = 0;
}

void beat_peer_close(struct naming *n)
{
    for (size_t i = 0; i < n->peer_count; i++) {
        mem_free(n->peers[i].bytes);
    }
    n->peer_count = 0;
    mem_free(n->peers);
    n->peers = NULL;
}

static int check_beat(const Nacre__Beat *m, size_t at, struct fail *fail)
{
    struct service_name name = naming_unpack_name(m->service);
    struct fail why = {0};
    int err = naming_op_check_client(naming_unpack_span(m->client), &why);
    if (!err) {
        err = name_check(&name, &why);
    }
    return err ? fail_set(fail, E_PARSE, "frame of beats: beat %zu: %s", at, fail_text(&why)) : 0;
}

static int check_frame(const Nacre__BeatFrame *m, struct fail *fail)
{
    if (!m) {
        return fail_set(fail, E_PARSE, "frame of beats: damaged");
    }
    if (m->version != NAMING_FRAME_VERSION) {
        return fail_set(fail, E_PARSE, "frame of beats: version %u, this node knows %d", m->version,
                        NAMING_FRAME_VERSION);
    }
    if (m->n_beats > NAMING_BEATS_MAX) {
        return fail_set(fail, E_PARSE, "frame of beats: at most %d, got %zu", NAMING_BEATS_MAX,
                        m->n_beats);
    }
    int err = 0;
    for (size_t i = 0; !err && i < m->n_beats; i++) {
        err = check_beat(m->beats[i], i, fail);
    }
    return err;
}

static void hear(struct naming *n, const Nacre__Beat *m, struct now now, struct outbox *out)
{
    struct service_name name = naming_unpack_name(m->service);
    struct client *c = client_find(n, naming_unpack_span(m->client));
    struct service *s = c ? service_find(n, &name) : NULL;
    struct publication *p = s ? publication_find(c, s) : NULL;
    if (p && c->kind == CLIENT_HTTP && client_is_watched(n, c)) {
        beat_heard(n, p, now, out);
    }
}

int naming_receive(struct naming *n, struct span frame, struct now now, struct outbox *out,
                   struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    if (frame.len > NAMING_FRAME_BYTES_MAX) {
        return fail_set(fail, E_PARSE, "frame of beats: at most %u bytes, got %zu",
                        NAMING_FRAME_BYTES_MAX, frame.len);
    }
    struct arena arena;
    arena_init(&arena, FRAME_ARENA_MAX);
    ProtobufCAllocator allocator = naming_pack_allocator(&arena);
    const Nacre__BeatFrame *m =
        nacre__beat_frame__unpack(&allocator, frame.len, (const uint8_t *)frame.data);
    int err = check_frame(m, fail);
    if (!err) {
        count(&n->counters.beats_heard, m->n_beats);
    }
    for (size_t i = 0; !err && !n->is_replaying && i < m->n_beats; i++) {
        hear(n, m->beats[i], now, out);
    }
    arena_close(&arena);
    return err;
}
