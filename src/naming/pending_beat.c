/* The life of what is pending of HTTP clients: beats are noted on the piece while there is one, and
 * what becomes of it is proposed like any other operation of this node. */
#include "base/assert.h"
#include "base/thread.h"
#include "naming/beat.h"
#include "naming/pending.h"

static bool is_healthy(const struct pending_record *r)
{
    return r->kind == PENDING_LIST ? r->list[0]->healthy : r->healthy;
}

/* Never for what nobody sees, or is not watched here. */
static struct beat_times times(struct naming *n, const struct pending_piece *piece)
{
    const struct instance *seen = pending_first(n, piece);
    if (piece->client->kind != CLIENT_HTTP || !seen || pending_is_void(n, piece)) {
        return (struct beat_times){DEADLINE_NONE, DEADLINE_NONE};
    }
    return beat_times(n, seen, is_healthy(piece->newest), piece->beat_ms);
}

/* When it is looked at next. */
static void arm(struct naming *n, struct pending_piece *piece)
{
    struct beat_times t = times(n, piece);
    uint64_t at_ms = t.unhealthy_ms < t.remove_ms ? t.unhealthy_ms : t.remove_ms;
    if (at_ms == DEADLINE_NONE) {
        deadline_clear(&n->pending->beats, &piece->beat);
        return;
    }
    deadline_set(&n->pending->beats, &piece->beat, at_ms);
}

void pending_beat_changed(struct naming *n, struct pending_piece *piece, enum naming_op_kind kind,
                          struct now now)
{
    if (kind == NAMING_OP_PUBLISH) {
        piece->beat_ms = now.mono_ms;
    }
    piece->beat_proposed = BEAT_PROPOSED_NONE;
    arm(n, piece);
}

static void propose(struct naming *n, struct pending_piece *piece, enum beat_proposed what,
                    struct now now, struct outbox *out)
{
    struct span client = span_of(piece->client->id, piece->client->id_len);
    beat_propose(piece->service, client, what, now, out);
    piece->beat_proposed = (int)what;
    deadline_set(&n->pending->beats, &piece->beat, now.mono_ms + naming_retry_ms(n));
}

void pending_beat_heard(struct naming *n, struct pending_piece *piece, struct now now,
                        struct outbox *out)
{
    if (!pending_first(n, piece) || piece->beat_proposed == BEAT_PROPOSED_REMOVE) {
        return;
    }
    piece->beat_ms = now.mono_ms;
    if (piece->beat_proposed == BEAT_PROPOSED_UNHEALTHY ||
        (piece->beat_proposed == BEAT_PROPOSED_NONE && !is_healthy(piece->newest))) {
        propose(n, piece, BEAT_PROPOSED_HEALTHY, now, out);
    }
}

/* The applied publication lives on with what was heard of it. */
void pending_beat_end(struct naming *n, struct pending_piece *piece)
{
    struct publication *p = pending_applied(n, piece);
    deadline_clear(&n->pending->beats, &piece->beat);
    if (!p || p->client->kind != CLIENT_HTTP || !client_is_watched(n, p->client)) {
        return;
    }
    p->beat_ms = piece->beat_ms > p->beat_ms ? piece->beat_ms : p->beat_ms;
    beat_changed(n, p);
}

/* It was heard of meanwhile, or it is too late. */
static void check(struct naming *n, struct pending_piece *piece, struct now now, struct outbox *out)
{
    struct beat_times t = times(n, piece);
    piece->beat_proposed = BEAT_PROPOSED_NONE;
    if (now.mono_ms >= t.remove_ms) {
        propose(n, piece, BEAT_PROPOSED_REMOVE, now, out);
        return;
    }
    if (now.mono_ms >= t.unhealthy_ms) {
        propose(n, piece, BEAT_PROPOSED_UNHEALTHY, now, out);
        return;
    }
    arm(n, piece);
}

void pending_beat_turn(struct naming *n, struct now now, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    struct deadline *d = NULL;
    while (n->pending && (d = deadlines_pop(&n->pending->beats, now.mono_ms))) {
        check(n, CONTAINER_OF(d, struct pending_piece, beat), now, out);
    }
}

uint64_t pending_beat_deadline(const struct naming *n)
{
    return n->pending ? deadlines_next(&n->pending->beats) : DEADLINE_NONE;
}
