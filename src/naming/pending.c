/* What is pending: records come when an operation is shown, and go when it is applied. */
#include "naming/pending.h"

#include "api/dispatch.h"
#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"
#include "naming/apply.h"
#include "naming/react.h"

#define PERSISTENT_TAIL "#false"

bool service_is_visible(const struct service *s)
{
    return s->exists || (s->pending && s->pending->publishes > 0);
}

struct pending_piece *pending_find(const struct service *s, struct span client)
{
    struct pending_piece *piece = NULL;
    if (s->pending && client.len > 0) {
        HASH_FIND(hh, s->pending->pieces, client.data, client.len, piece);
    }
    return piece;
}

static struct pending_client *client_pending(const struct naming *n, struct span id)
{
    struct pending_client *c = NULL;
    if (n->pending && id.len > 0) {
        HASH_FIND(hh, n->pending->clients, id.data, id.len, c);
    }
    return c;
}

bool pending_is_leaving(const struct naming *n, const struct client *c)
{
    const struct pending_client *p = client_pending(n, span_of(c->id, c->id_len));
    return p && p->gones > 0;
}

struct publication *pending_applied(struct naming *n, const struct pending_piece *piece)
{
    const struct client *c = client_find(n, span_of(piece->client->id, piece->client->id_len));
    return c ? publication_find(c, piece->service) : NULL;
}

bool pending_is_void(struct naming *n, const struct pending_piece *piece)
{
    if (!piece->newest->is_judged) {
        return false;
    }
    for (const struct pending_record *r = piece->newest; r; r = r->older) {
        if (r->is_publish) {
            return false; /* when that is applied the client is this node's */
        }
    }
    const struct publication *p = pending_applied(n, piece);
    return p && !client_is_watched(n, p->client);
}

const struct instance *pending_first(struct naming *n, const struct pending_piece *piece)
{
    const struct pending_record *r = piece->newest;
    if (r->kind == PENDING_LIST) {
        return r->count > 0 ? r->list[0] : NULL;
    }
    bool is_applied_seen = r->kind == PENDING_HEALTH || pending_is_void(n, piece);
    const struct publication *p = is_applied_seen ? pending_applied(n, piece) : NULL;
    return p ? p->entries->effective : NULL;
}

/* ---------------------------------------------------------------- making and freeing */

static struct pending *pending_obtain(struct naming *n)
{
    if (!n->pending) {
        n->pending = mem_zalloc(1, sizeof(*n->pending));
    }
    return n->pending;
}

static void pending_trim(struct naming *n)
{
    struct pending *all = n->pending;
    if (all->ops || all->clients) {
        return;
    }
    ASSERT(all->weight == 0);
    deadlines_close(&all->beats);
    mem_free(all);
    n->pending = NULL;
}

static struct pending_client *client_made(struct naming *n, struct span id, enum client_kind kind)
{
    struct pending_client *c = client_pending(n, id);
    if (c) {
        return c;
    }
    c = mem_zalloc(1, sizeof(*c) + id.len);
    memcpy(c->id, id.data, id.len);
    c->id_len = id.len;
    c->kind = kind;
    HASH_ADD_KEYPTR(hh, n->pending->clients, c->id, c->id_len, c);
    return c;
}

static void client_trim(struct naming *n, struct pending_client *c)
{
    if (c->pieces || c->gones > 0) {
        return;
    }
    HASH_DELETE(hh, n->pending->clients, c);
    mem_free(c);
}

static struct pending_piece *piece_obtain(struct naming *n, struct service *s, struct span client,
                                          enum client_kind kind)
{
    struct pending_piece *piece = pending_find(s, client);
    if (piece) {
        return piece;
    }
    if (!s->pending) {
        s->pending = mem_zalloc(1, sizeof(*s->pending));
    }
    struct pending_client *c = client_made(n, client, kind);
    piece = mem_zalloc(1, sizeof(*piece));
    piece->service = s;
    piece->client = c;
    piece->client_next = c->pieces;
    if (c->pieces) {
        c->pieces->client_prev = piece;
    }
    c->pieces = piece;
    HASH_ADD_KEYPTR(hh, s->pending->pieces, c->id, c->id_len, piece);
    return piece;
}

static void piece_free(struct naming *n, struct pending_piece *piece)
{
    struct service *s = piece->service;
    struct pending_client *c = piece->client;
    pending_beat_end(n, piece);
    if (piece->client_prev) {
        piece->client_prev->client_next = piece->client_next;
    } else {
        c->pieces = piece->client_next;
    }
    if (piece->client_next) {
        piece->client_next->client_prev = piece->client_prev;
    }
    HASH_DELETE(hh, s->pending->pieces, piece);
    if (!s->pending->pieces) {
        ASSERT(s->pending->publishes == 0);
        mem_free(s->pending);
        s->pending = NULL;
    }
    mem_free(piece);
    client_trim(n, c);
}

/* A record of count instances, which the caller fills in; on top of its piece. */
static struct pending_record *record_add(struct naming *n, struct pending_op *op,
                                         struct pending_piece *piece, size_t count)
{
    struct pending_record *r =
        mem_zalloc(1, sizeof(*r) + (count ? count : 1) * sizeof(struct instance *));
    r->piece = piece;
    r->count = count;
    r->op_next = op->records;
    op->records = r;
    r->older = piece->newest;
    *(r->older ? &r->older->newer : &piece->oldest) = r;
    piece->newest = r;
    n->pending->weight += 1 + count;
    return r;
}

/* The service exists by this record, if by nothing else. */
static void record_publishes(struct naming *n, struct pending_record *r)
{
    struct service *s = r->piece->service;
    r->is_publish = true;
    s->pending->publishes++;
    if (!s->group) {
        service_enlist(n, s);
    }
}

/* Take r out and free it. What stood on it alone (a change of health) stands on what is applied
 * from now on. */
static void record_remove(struct naming *n, struct pending_record *r)
{
    struct pending_piece *piece = r->piece;
    struct service *s = piece->service;
    for (struct pending_record *on = r->newer;
         r->is_publish && on && !on->is_publish && on->kind == PENDING_LIST; on = on->newer) {
        on->kind = PENDING_HEALTH;
    }
    *(r->newer ? &r->newer->older : &piece->newest) = r->older;
    *(r->older ? &r->older->newer : &piece->oldest) = r->newer;
    n->pending->weight -= 1 + r->count;
    s->pending->publishes -= r->is_publish;
    for (size_t i = 0; i < r->count; i++) {
        instance_unref(r->list[i]);
    }
    mem_free(r);
    if (!piece->newest) {
        piece_free(n, piece);
    }
    if (s->group && !service_is_visible(s)) {
        service_delist(n, s);
    }
}

/* ---------------------------------------------------------------- showing */

/* The operation in hand. */
struct showing {
    struct naming *n;
    struct pending_op *op;
    const struct naming_op *what;
    struct now now;
};

static void show_list(struct showing *sh, struct service *s)
{
    const struct naming_op *what = sh->what;
    struct pending_piece *piece = piece_obtain(sh->n, s, what->client, what->client_kind);
    struct pending_record *r = record_add(sh->n, sh->op, piece, what->instances_count);
    for (size_t i = 0; i < r->count; i++) {
        struct instance_data d = what->instances[i];
        d.ephemeral = true;
        r->list[i] = instance_create(&d, s->grouped, what->client);
    }
    r->rank = sh->op->id;
    record_publishes(sh->n, r);
    pending_beat_changed(sh->n, piece, NAMING_OP_PUBLISH, sh->now);
}

/* Nothing is seen of the publication from now on. */
static void show_nothing(struct showing *sh, struct service *s, enum client_kind kind)
{
    struct pending_piece *piece = piece_obtain(sh->n, s, sh->what->client, kind);
    struct pending_record *r = record_add(sh->n, sh->op, piece, 0);
    r->kind = PENDING_NOTHING;
    r->is_judged = sh->what->reason == REMOVAL_BEAT_EXPIRED;
    pending_beat_changed(sh->n, piece, NAMING_OP_UNPUBLISH, sh->now);
}

/* Also of what is not there: another node's registration that the log takes before this goes, too.
 */
static void show_unpublish(struct showing *sh)
{
    struct naming *n = sh->n;
    struct service *s = service_find(n, &sh->what->service);
    struct client *c = client_find(n, sh->what->client);
    const struct pending_piece *piece = s ? pending_find(s, sh->what->client) : NULL;
    bool is_there = piece || (s && c && publication_find(c, s));
    if (is_there || n->pending->weight < PENDING_MAX) {
        s = s ? s : service_obtain(n, &sh->what->service);
        show_nothing(sh, s, piece ? piece->client->kind : (c ? c->kind : CLIENT_HTTP));
    }
}

static void show_gone(struct showing *sh)
{
    struct naming *n = sh->n;
    struct client *c = client_find(n, sh->what->client);
    struct pending_client *p = client_made(n, sh->what->client, c ? c->kind : CLIENT_CONNECTION);
    p->gones++;
    sh->op->gone = p;
    for (struct publication *at = c ? c->publications : NULL; at; at = at->hh.next) {
        show_nothing(sh, at->service, c->kind);
    }
    for (struct pending_piece *at = p->pieces; at; at = at->client_next) {
        if (at->newest->kind != PENDING_NOTHING) {
            show_nothing(sh, at->service, p->kind);
        }
    }
}

static void show_health(struct showing *sh)
{
    struct naming *n = sh->n;
    struct service *s = service_find(n, &sh->what->service);
    struct client *c = client_find(n, sh->what->client);
    struct pending_piece *piece = s ? pending_find(s, sh->what->client) : NULL;
    const struct publication *p = s && c ? publication_find(c, s) : NULL;
    const struct pending_record *under = piece ? piece->newest : NULL;
    if (under ? under->kind == PENDING_NOTHING : !p) {
        return;
    }
    bool is_list = under && under->kind == PENDING_LIST;
    piece = piece_obtain(n, s, sh->what->client, c ? c->kind : CLIENT_HTTP);
    if (!under) {
        piece->beat_ms = p->beat_ms;
    }
    struct pending_record *r = record_add(n, sh->op, piece, is_list ? under->count : 0);
    r->kind = is_list ? PENDING_LIST : PENDING_HEALTH;
    r->rank = is_list ? under->rank : 0;
    r->healthy = sh->what->healthy;
    r->is_judged = true;
    for (size_t i = 0; is_list && i < r->count; i++) {
        struct instance_data d = instance_as_data(under->list[i]);
        d.healthy = r->healthy;
        r->list[i] = instance_create(&d, s->grouped, sh->what->client);
    }
    pending_beat_changed(n, piece, NAMING_OP_HEALTH, sh->now);
}

static bool is_persistent(struct naming *n, struct span client)
{
    const struct client *c = client_find(n, client);
    struct span tail = SPAN(PERSISTENT_TAIL);
    if (c) {
        return c->kind == CLIENT_PERSISTENT;
    }
    return client.len >= tail.len &&
           span_eq(span_of(client.data + client.len - tail.len, tail.len), tail);
}

/* Whether op is shown. */
static enum naming_shown judge(struct naming *n, const struct naming_op *op, struct fail *fail)
{
    bool comes_again = false;
    switch (op->kind) {
    case NAMING_OP_PUBLISH:
        return op->ephemeral ? NAMING_SHOWN : NAMING_WAITS;
    case NAMING_OP_UNPUBLISH:
    case NAMING_OP_HEALTH:
        return is_persistent(n, op->client) ? NAMING_WAITS : NAMING_SHOWN;
    case NAMING_OP_CLIENT_GONE:
        return NAMING_SHOWN;
    case NAMING_OP_OVERLAY:
        comes_again = op->remove;
        break;
    case NAMING_OP_SERVICE_REMOVE:
        comes_again = !op->is_explicit;
        break;
    case NAMING_OP_SERVICE_PUT:
    case NAMING_OP_FENCE:
        break;
    }
    if (comes_again) {
        fail_set(fail, E_BUSY, "the cleaner looks again when the log takes changes");
        return NAMING_REFUSED;
    }
    return NAMING_WAITS;
}

/* A registration that cannot be shown. */
static int check_publish(struct naming *n, const struct naming_op *op, struct fail *fail)
{
    const struct service *s = service_find(n, &op->service);
    size_t weight = n->pending ? n->pending->weight : 0;
    if (s && s->exists && !s->ephemeral && (s->publication_count > 0 || s->has_record)) {
        return service_refuse_kind(s, op->ephemeral, op->batch, fail);
    }
    if (weight + 1 + op->instances_count > PENDING_MAX) {
        return fail_set(fail, E_LIMIT,
                        "%zu registrations wait on this node for the log, which takes none now; "
                        "no more than %d may",
                        weight, PENDING_MAX);
    }
    return 0;
}

static void show_records(struct showing *sh)
{
    switch (sh->what->kind) {
    case NAMING_OP_PUBLISH:
        show_list(sh, service_obtain(sh->n, &sh->what->service));
        break;
    case NAMING_OP_UNPUBLISH:
        show_unpublish(sh);
        break;
    case NAMING_OP_CLIENT_GONE:
        show_gone(sh);
        break;
    case NAMING_OP_HEALTH:
        show_health(sh);
        break;
    case NAMING_OP_OVERLAY:
    case NAMING_OP_SERVICE_PUT:
    case NAMING_OP_SERVICE_REMOVE:
    case NAMING_OP_FENCE:
        ASSERT(!"an operation that is never shown");
    }
    for (struct pending_record *r = sh->op->records; r; r = r->op_next) {
        service_changed(sh->n, r->piece->service, sh->now);
    }
}

static enum naming_shown show(struct naming *n, uint64_t id, const struct naming_op *op,
                              struct now now, struct fail *fail)
{
    enum naming_shown what = judge(n, op, fail);
    if (what != NAMING_SHOWN) {
        return what;
    }
    if (op->kind == NAMING_OP_PUBLISH && check_publish(n, op, fail) != 0) {
        return NAMING_REFUSED;
    }
    struct pending_op *p = mem_zalloc(1, sizeof(*p));
    p->id = id;
    HASH_ADD(hh, pending_obtain(n)->ops, id, sizeof(p->id), p);
    struct showing sh = {n, p, op, now};
    show_records(&sh);
    return NAMING_SHOWN;
}

enum naming_shown naming_show(struct naming *n, const struct naming_waiting *w, struct now now,
                              struct outbox *out, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    ASSERT(w->id != 0);
    ASSERT(!n->is_replaying);
    struct arena arena;
    struct naming_op op = {0};
    enum naming_shown what = NAMING_REFUSED;
    arena_init(&arena, NAMING_OP_ARENA_MAX);
    if (naming_op_decode(w->op, &arena, &op, fail) == 0) {
        what = show(n, w->id, &op, now, fail);
    }
    if (what == NAMING_SHOWN && op.kind == NAMING_OP_PUBLISH) {
        atomic_fetch_add_explicit(&n->counters.shown, 1, memory_order_relaxed);
    }
    if (what == NAMING_SHOWN && w->waiting) {
        outbox_reply(out, w->waiting);
    }
    arena_close(&arena);
    return what;
}

/* ---------------------------------------------------------------- ending */

static void op_end(struct naming *n, struct pending_op *op, struct now now)
{
    if (op->gone) {
        op->gone->gones--;
        client_trim(n, op->gone);
    }
    while (op->records) {
        struct pending_record *r = op->records;
        struct service *s = r->piece->service;
        op->records = r->op_next;
        record_remove(n, r);
        service_changed(n, s, now);
        (void)service_release(n, s);
    }
    mem_free(op);
    pending_trim(n);
}

void pending_end(struct naming *n, uint64_t id, struct now now)
{
    struct pending_op *op = NULL;
    ASSERT(n->pending);
    HASH_FIND(hh, n->pending->ops, &id, sizeof(id), op);
    ASSERT(op);
    HASH_DELETE(hh, n->pending->ops, op);
    op_end(n, op, now);
}

void pending_close(struct naming *n)
{
    const struct now never = {0};
    while (n->pending && n->pending->ops) {
        struct pending_op *op = n->pending->ops;
        HASH_DELETE(hh, n->pending->ops, op);
        op_end(n, op, never);
    }
    ASSERT(!n->pending);
}

/* ---------------------------------------------------------------- checking */

static size_t check_piece(const struct service *s, const struct pending_piece *piece,
                          size_t *publishes)
{
    size_t weight = 0;
    ASSERT(piece->service == s);
    ASSERT(piece->oldest);
    ASSERT(!piece->oldest->older);
    ASSERT(!piece->newest->newer);
    ASSERT(!deadline_is_set(&piece->beat) || piece->client->kind == CLIENT_HTTP);
    for (const struct pending_record *r = piece->oldest; r; r = r->newer) {
        ASSERT(r->piece == piece);
        ASSERT(r->newer ? r->newer->older == r : piece->newest == r);
        *publishes += r->is_publish;
        weight += 1 + r->count;
    }
    return weight;
}

static size_t check_of_service(const struct service *s)
{
    size_t weight = 0;
    size_t publishes = 0;
    ASSERT(s->pending->pieces);
    for (const struct pending_piece *piece = s->pending->pieces; piece; piece = piece->hh.next) {
        weight += check_piece(s, piece, &publishes);
    }
    ASSERT(publishes == s->pending->publishes);
    return weight;
}

void pending_check(const struct naming *n)
{
    size_t weight = 0;
    for (const struct service *s = n->services; s; s = s->hh.next) {
        ASSERT((s->group != NULL) == service_is_visible(s));
        weight += s->pending ? check_of_service(s) : 0;
    }
    ASSERT(weight == (n->pending ? n->pending->weight : 0));
    for (const struct pending_client *c = n->pending ? n->pending->clients : NULL; c;
         c = c->hh.next) {
        ASSERT(c->pieces || c->gones > 0);
        for (const struct pending_piece *piece = c->pieces; piece; piece = piece->client_next) {
            ASSERT(piece->client == c);
            ASSERT(pending_find(piece->service, span_of(c->id, c->id_len)) == piece);
        }
    }
}
