/* The life of what HTTP clients publish.
 *
 * A beat only notes the time; the deadline of a publication is moved when it is due and the
 * instance was heard of meanwhile, so a beat costs three look-ups and no work in the heap. */
#include "naming/beat.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/thread.h"
#include "naming/beat_peer.h"
#include "naming/naming_op.h"
#include "naming/pending.h"
#include "naming/restore.h"

#define KEY_INTERVAL "preserved.heart.beat.interval"
#define KEY_TIMEOUT "preserved.heart.beat.timeout"
#define KEY_DELETE "preserved.ip.delete.timeout"
#define KEY_CHECK "enableClientBeat"

/* Times from metadata are cut to this (about 31 years), so that sums of them cannot overflow. */
#define BEAT_MILLIS_MAX INT64_C(1000000000000)

struct span beat_client_id(struct span ip, int64_t port, char dst[BEAT_CLIENT_ID_MAX])
{
    ASSERT(ip.len <= BEAT_IP_BYTES_MAX);
    int len = snprintf(dst, BEAT_CLIENT_ID_MAX, "%.*s:%lld#true", SPAN_ARG(ip), (long long)port);
    ASSERT(len > 0);
    ASSERT((size_t)len < BEAT_CLIENT_ID_MAX);
    return span_of(dst, (size_t)len);
}

static int64_t millis(const struct instance *i, const char *key, int64_t dflt)
{
    long long ms = 0;
    if (!span_int(instance_metadata(i, key), &ms) || ms < 0) {
        return dflt;
    }
    return ms < BEAT_MILLIS_MAX ? ms : BEAT_MILLIS_MAX;
}

/* Nacos compares with >: an age of exactly the timeout is in time. */
struct beat_times beat_times(const struct naming *n, const struct instance *i, bool healthy,
                             uint64_t beat_ms)
{
    struct beat_times t = {.unhealthy_ms = DEADLINE_NONE, .remove_ms = DEADLINE_NONE};
    if (span_ieq(instance_metadata(i, KEY_CHECK), SPAN("false"))) {
        return t;
    }
    uint64_t silent_ms = (uint64_t)millis(i, KEY_TIMEOUT, n->options.beat_timeout_ms);
    t.unhealthy_ms = healthy ? beat_ms + silent_ms + 1 : DEADLINE_NONE;
    if (n->options.expire_instances) {
        t.remove_ms = beat_ms + (uint64_t)millis(i, KEY_DELETE, n->options.beat_delete_ms) + 1;
    }
    return t;
}

static struct beat_times times(const struct naming *n, const struct publication *p)
{
    const struct instance *i = p->entries->effective;
    return beat_times(n, i, i->healthy, p->beat_ms);
}

void beat_changed(struct naming *n, struct publication *p)
{
    ASSERT_ON(THREAD_CORE);
    if (!client_is_watched(n, p->client)) {
        return;
    }
    struct beat_times t = times(n, p);
    uint64_t at_ms = t.unhealthy_ms < t.remove_ms ? t.unhealthy_ms : t.remove_ms;
    if (at_ms == DEADLINE_NONE) {
        deadline_clear(&n->beats, &p->beat);
        return;
    }
    deadline_set(&n->beats, &p->beat, at_ms);
}

void beat_propose(const struct service *s, struct span client, enum beat_proposed what,
                  struct now now, struct outbox *out)
{
    struct naming_op op = {
        .kind = what == BEAT_PROPOSED_REMOVE ? NAMING_OP_UNPUBLISH : NAMING_OP_HEALTH,
        .time_ms = now.wall_ms,
        .service = s->name,
        .client = client,
        .client_kind = CLIENT_HTTP,
        .reason = REMOVAL_BEAT_EXPIRED,
        .healthy = what == BEAT_PROPOSED_HEALTHY,
    };
    outbox_propose(out, CONSENSUS_NAMING, naming_op_encode(&op), NULL);
}

static void propose(struct naming *n, struct publication *p, enum beat_proposed what,
                    struct now now, struct outbox *out)
{
    beat_propose(p->service, span_of(p->client->id, p->client->id_len), what, now, out);
    p->beat_proposed = (int)what;
    deadline_set(&n->beats, &p->beat, now.mono_ms + naming_retry_ms(n));
}

/* What is pending of it, if that says something. */
static struct pending_piece *piece_of(struct naming *n, const struct publication *p)
{
    struct pending_piece *piece =
        pending_find(p->service, span_of(p->client->id, p->client->id_len));
    return piece && !pending_is_void(n, piece) ? piece : NULL;
}

void beat_heard(struct naming *n, struct publication *p, struct now now, struct outbox *out)
{
    struct pending_piece *piece = piece_of(n, p);
    if (piece) {
        pending_beat_heard(n, piece, now, out);
        return;
    }
    if (p->beat_proposed == BEAT_PROPOSED_REMOVE) {
        return; /* too late: its client is told so by the next answer, and registers again */
    }
    p->beat_ms = now.mono_ms;
    bool healthy = p->entries->effective->healthy;
    if (p->beat_proposed == BEAT_PROPOSED_UNHEALTHY ||
        (p->beat_proposed == BEAT_PROPOSED_NONE && !healthy)) {
        propose(n, p, BEAT_PROPOSED_HEALTHY, now, out);
    }
}

/* What is seen of the instance of a beat: at most one of the two. */
struct beat_target {
    struct publication *applied;
    struct pending_piece *pending;
};

static struct beat_target find(struct naming *n, const struct naming_beat *b)
{
    char bytes[BEAT_CLIENT_ID_MAX];
    struct span id = beat_client_id(b->instance.ip, b->instance.port, bytes);
    struct service *s = service_find(n, &b->service);
    struct client *c = s ? client_find(n, id) : NULL;
    struct publication *p = c ? publication_find(c, s) : NULL;
    struct pending_piece *piece = s ? pending_find(s, id) : NULL;
    if (piece && !pending_is_void(n, piece)) {
        bool is_seen = pending_first(n, piece) && piece->beat_proposed != BEAT_PROPOSED_REMOVE;
        return (struct beat_target){.pending = is_seen ? piece : NULL};
    }
    bool going = p && p->beat_proposed == BEAT_PROPOSED_REMOVE;
    return (struct beat_target){.applied = going ? NULL : p};
}

/* Its node is lost: what it publishes is published once more, through this one. */
static void take_over(struct naming *n, struct publication *p, struct now now, struct outbox *out)
{
    if (p->beat_proposed != BEAT_PROPOSED_NONE) {
        return;
    }
    struct arena arena;
    struct naming_op op = {0};
    arena_init(&arena, NAMING_OP_ARENA_MAX);
    publication_as_op(p, &arena, now, &op);
    outbox_propose(out, CONSENSUS_NAMING, naming_op_encode(&op), NULL);
    arena_close(&arena);
    p->beat_proposed = BEAT_PROPOSED_PUBLISH;
    deadline_set(&n->beats, &p->beat, now.mono_ms + naming_retry_ms(n));
    atomic_fetch_add_explicit(&n->counters.taken_over, 1, memory_order_relaxed);
}

/* A beat of an instance that is there, on whatever node it came in. */
static void take_known(struct naming *n, struct publication *p, struct now now, struct outbox *out)
{
    uint64_t owner = p->client->owner;
    if (client_is_watched(n, p->client)) {
        beat_heard(n, p, now, out);
    }
    if (n->options.self == 0 || owner == n->options.self) {
        return;
    }
    bool is_told = owner != 0 && !naming_owner_is_lost(n, owner) && beat_peer_tell(n, p);
    if (!is_told) {
        take_over(n, p, now, out);
    }
}

int beat_take(struct naming *n, struct naming_beat *b, struct api_call *waiting, struct now now,
              struct outbox *out, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    atomic_fetch_add_explicit(&n->counters.beats, 1, memory_order_relaxed);
    const int64_t interval_ms = n->options.beat_interval_ms;
    struct beat_target at = find(n, b);
    const struct instance *seen = NULL;
    if (at.applied) {
        take_known(n, at.applied, now, out);
        seen = at.applied->entries->effective;
    } else if (at.pending) {
        pending_beat_heard(n, at.pending, now, out);
        seen = pending_first(n, at.pending);
    }
    if (seen) {
        b->answer.code = BEAT_OK;
        b->answer.interval_ms = millis(seen, KEY_INTERVAL, interval_ms);
        return API_ANSWERED;
    }
    if (!b->full) {
        b->answer = (struct beat_answer){.code = BEAT_UNKNOWN, .interval_ms = interval_ms};
        return API_ANSWERED;
    }
    b->answer.code = BEAT_OK;
    b->answer.interval_ms = instance_data_millis(&b->instance, KEY_INTERVAL, interval_ms);
    char id[BEAT_CLIENT_ID_MAX];
    struct naming_publish publish = {
        .service = b->service,
        .instances = &b->instance,
        .count = 1,
        .ephemeral = true,
        .kind = CLIENT_HTTP,
        .client = beat_client_id(b->instance.ip, b->instance.port, id),
    };
    return admit_publish(n, &publish, waiting, now, out, fail);
}

void beat_watch(struct naming *n, struct publication *p, struct now now)
{
    ASSERT_ON(THREAD_CORE);
    ASSERT(p->client->kind == CLIENT_HTTP);
    if (!client_is_watched(n, p->client)) {
        beat_forget(n, p);
        p->beat_proposed = BEAT_PROPOSED_NONE;
        p->beat_ms = 0;
        return;
    }
    p->beat_ms = now.mono_ms;
    p->beat_proposed = BEAT_PROPOSED_NONE;
    beat_changed(n, p);
}

void beat_health_applied(struct naming *n, struct publication *p, bool healthy)
{
    if (!client_is_watched(n, p->client)) {
        return;
    }
    if (p->beat_proposed == (healthy ? BEAT_PROPOSED_HEALTHY : BEAT_PROPOSED_UNHEALTHY)) {
        p->beat_proposed = BEAT_PROPOSED_NONE;
        beat_changed(n, p);
    }
}

void beat_forget(struct naming *n, struct publication *p)
{
    deadline_clear(&n->beats, &p->beat);
}

static void check(struct naming *n, struct publication *p, struct now now, struct outbox *out)
{
    if (piece_of(n, p)) {
        return; /* watched there, and from the end of it on here again */
    }
    struct beat_times t = times(n, p);
    p->beat_proposed = BEAT_PROPOSED_NONE;
    if (!client_is_watched(n, p->client)) {
        return;
    }
    if (now.mono_ms >= t.remove_ms) {
        propose(n, p, BEAT_PROPOSED_REMOVE, now, out);
        return;
    }
    if (now.mono_ms >= t.unhealthy_ms) {
        propose(n, p, BEAT_PROPOSED_UNHEALTHY, now, out);
        return;
    }
    beat_changed(n, p);
}

void beat_turn(struct naming *n, struct now now, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    struct deadline *d = NULL;
    while ((d = deadlines_pop(&n->beats, now.mono_ms))) {
        check(n, CONTAINER_OF(d, struct publication, beat), now, out);
    }
}

uint64_t beat_deadline(const struct naming *n)
{
    return deadlines_next(&n->beats);
}
