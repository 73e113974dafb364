#include "cluster/proposals.h"

#include <endian.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cluster/proposals_state.h"

#define VERSION 1
#define ITEM_HEAD 5 /* of an operation in a frame: kind, length */

static void put_u64(char *at, uint64_t n)
{
    n = htole64(n);
    memcpy(at, &n, sizeof(n));
}

static uint64_t get_u64(const char *at)
{
    uint64_t n = 0;
    memcpy(&n, at, sizeof(n));
    return le64toh(n);
}

static void write_head(char *at, uint64_t owner, uint64_t epoch, uint64_t prev, uint64_t seq)
{
    at[0] = VERSION;
    put_u64(at + 1, owner);
    put_u64(at + 9, epoch);
    put_u64(at + 17, prev);
    put_u64(at + 25, seq);
}

static void put_u32(char *at, uint32_t n)
{
    n = htole32(n);
    memcpy(at, &n, sizeof(n));
}

static uint32_t get_u32(const char *at)
{
    uint32_t n = 0;
    memcpy(&n, at, sizeof(n));
    return le32toh(n);
}

struct proposals *proposals_create(uint64_t owner, uint64_t epoch, const struct proposals_ops *ops,
                                   void *self)
{
    ASSERT(owner != 0);
    ASSERT(epoch != 0);
    struct proposals *p = mem_zalloc(1, sizeof(*p));
    p->owner = owner;
    p->epoch = epoch;
    p->ops = *ops;
    p->self = self;
    return p;
}

/* The predecessor that counts, in the envelope of e. */
static void set_prev(struct proposals_item *e, uint64_t seq)
{
    put_u64(e->envelope + 17, seq);
}

static uint64_t prev_of(const struct proposals_item *e)
{
    return get_u64(e->envelope + 17);
}

void proposals_forget(struct proposals *p, struct proposals_item *e)
{
    bool was_sent = !p->next || e->seq < p->next->seq;
    if (was_sent) {
        p->in_flight -= e->len;
    }
    if (p->next == e) {
        p->next = e->next;
    }
    if (p->look == e) {
        p->look = e->next;
    }
    if (e->prev) {
        e->prev->next = e->next;
    } else {
        p->first = e->next;
    }
    if (e->next) {
        e->next->prev = e->prev;
    } else {
        p->last = e->prev;
    }
    ASSERT(p->table != NULL);
    HASH_DEL(p->table, e);
    p->count--;
    p->bytes -= e->len;
    mem_free(e);
}

void proposals_destroy(struct proposals *p)
{
    if (!p) {
        return;
    }
    struct fail why = {0};
    (void)fail_set(&why, E_CLOSED, "the server is stopping; the change may still be made");
    while (p->first) {
        void *cookie = p->first->cookie;
        bool is_shown = p->first->is_shown;
        proposals_forget(p, p->first);
        if (!is_shown) {
            p->ops.reject(p->self, cookie, &why);
        }
    }
    buf_unref(p->up);
    mem_free(p);
}

static struct buf *envelope_of(uint64_t owner, uint64_t epoch, struct span op)
{
    char *bytes = mem_alloc(PROPOSALS_ENVELOPE + op.len);
    write_head(bytes, owner, epoch, 0, 0);
    if (op.len) {
        memcpy(bytes + PROPOSALS_ENVELOPE, op.data, op.len);
    }
    return buf_take(bytes, PROPOSALS_ENVELOPE + op.len);
}

struct buf *proposals_unnumbered(struct span op)
{
    return envelope_of(0, 0, op);
}

void proposals_set_up(struct proposals *p, unsigned kind, struct span op)
{
    buf_unref(p->up);
    p->up = envelope_of(p->owner, p->epoch, op);
    p->up_kind = kind;
    p->up_next_ms = 0;
}

int proposals_add(struct proposals *p, unsigned kind, struct span op, void *cookie, struct now now,
                  struct fail *fail)
{
    ASSERT(kind >= 1 && kind <= 255);
    if (p->count >= PROPOSALS_MAX || p->bytes + op.len > PROPOSALS_BYTES_MAX) {
        return fail_set(fail, E_LIMIT, "%zu changes of %zu bytes wait for the log already",
                        p->count, p->bytes);
    }
    struct proposals_item *e = mem_alloc(sizeof(*e) + PROPOSALS_ENVELOPE + op.len);
    memset(e, 0, sizeof(*e));
    e->seq = ++p->seq;
    e->since_ms = now.mono_ms;
    e->cookie = cookie;
    e->kind = kind;
    e->len = PROPOSALS_ENVELOPE + op.len;
    write_head(e->envelope, p->owner, p->epoch, p->tail, e->seq);
    p->tail = e->seq;
    if (op.len) {
        memcpy(e->envelope + PROPOSALS_ENVELOPE, op.data, op.len);
    }
    e->prev = p->last;
    if (p->last) {
        p->last->next = e;
    } else {
        p->first = e;
    }
    p->last = e;
    HASH_ADD(hh, p->table, seq, sizeof(e->seq), e);
    p->count++;
    p->bytes += e->len;
    if (!p->next) {
        p->next = e;
    }
    if (!p->look) {
        p->look = e;
    }
    return 0;
}

/* What was sent from e on goes again. */
static void resend_from(struct proposals *p, struct proposals_item *e)
{
    if (!e || (p->next && p->next->seq <= e->seq)) {
        return; /* it was not sent yet */
    }
    for (const struct proposals_item *b = e; b != p->next; b = b->next) {
        p->in_flight -= b->len;
    }
    p->next = e;
}

/* Everything that is not applied goes again. */
static void rewind_to_first(struct proposals *p, struct now now)
{
    resend_from(p, p->first);
    p->sent_ms = now.mono_ms;
}

void proposals_on_leader(struct proposals *p, uint64_t leader, struct now now)
{
    p->leader = leader;
    p->up_next_ms = 0;
    p->hold_ms = 0;
    rewind_to_first(p, now);
}

void proposals_on_link(struct proposals *p, uint64_t peer, struct now now)
{
    if (peer == p->leader) {
        p->up_next_ms = 0;
        rewind_to_first(p, now);
    }
}

void proposals_reborn(struct proposals *p, uint64_t epoch, struct now now)
{
    ASSERT(epoch > p->epoch);
    p->epoch = epoch;
    p->is_up = false;
    uint64_t prev = 0;
    for (struct proposals_item *e = p->first; e; e = e->next) {
        write_head(e->envelope, p->owner, epoch, prev, e->seq);
        prev = e->seq;
    }
    p->tail = prev;
    rewind_to_first(p, now);
}

void proposals_on_up(struct proposals *p, struct now now)
{
    p->is_up = true;
    rewind_to_first(p, now);
}

/* ---------------------------------------------------------------- what the log says */

uint64_t proposals_seq(const struct proposals *p, struct span envelope)
{
    if (envelope.len < PROPOSALS_ENVELOPE || get_u64(envelope.data + 1) != p->owner ||
        get_u64(envelope.data + 9) != p->epoch) {
        return 0;
    }
    return get_u64(envelope.data + 25);
}

static struct proposals_item *find(const struct proposals *p, uint64_t seq)
{
    struct proposals_item *e = NULL;
    HASH_FIND(hh, p->table, &seq, sizeof(seq), e);
    return e;
}

int proposals_open(struct proposals *p, struct owners *owners, struct span envelope,
                   struct proposal *ret, struct fail *fail)
{
    if (envelope.len < PROPOSALS_ENVELOPE || envelope.data[0] != VERSION) {
        return fail_set(fail, E_PARSE, "an operation of the log is no envelope of version %d",
                        VERSION);
    }
    uint64_t owner = get_u64(envelope.data + 1);
    uint64_t epoch = get_u64(envelope.data + 9);
    uint64_t prev = get_u64(envelope.data + 17);
    uint64_t seq = get_u64(envelope.data + 25);
    *ret = (struct proposal){
        .owner = owner,
        .epoch = epoch,
        .op = span_of(envelope.data + PROPOSALS_ENVELOPE, envelope.len - PROPOSALS_ENVELOPE),
        .verdict = seq ? owners_take(owners, owner, epoch, prev, seq) : OWNERS_TAKE,
    };
    if (seq == 0) {
        return 0;
    }
    if (owner != p->owner || epoch != p->epoch) {
        return 0;
    }
    if (ret->verdict == OWNERS_GAP) {
        resend_from(p, p->first); /* one before it was lost on the way */
    }
    if (ret->verdict == OWNERS_TAKE) {
        struct proposals_item *e = find(p, seq);
        if (e) {
            ret->cookie = e->cookie;
            ret->shown = e->is_shown ? seq : 0;
            proposals_forget(p, e);
        }
        p->progressed = true;
    }
    return 0;
}

void proposals_drop(struct proposals *p, struct proposals_item *e, const struct fail *why)
{
    ASSERT(!e->is_shown);
    void *cookie = e->cookie;
    struct proposals_item *behind = e->next;
    if (behind) {
        set_prev(behind, prev_of(e));
    } else {
        p->tail = prev_of(e);
    }
    proposals_forget(p, e);
    resend_from(p, behind);
    p->ops.reject(p->self, cookie, why);
}

/* What nobody waits for (any more) is not lost because the log has no room now: an instance whose
 * client is gone would stay. It goes again a little later, and nothing overtakes it. Whoever waits
 * for what stands behind it is told at once, unless it is shown: then that may be shown as well. */
static void hold(struct proposals *p, struct proposals_item *e, uint64_t until_ms,
                 const struct fail *why)
{
    ASSERT(!e->cookie);
    resend_from(p, e);
    p->hold_ms = until_ms;
    struct proposals_item *next = NULL;
    for (struct proposals_item *behind = p->next; behind; behind = next) {
        next = behind->next;
        if (behind->cookie && !e->is_shown) {
            proposals_drop(p, behind, why);
        }
    }
}

void proposals_on_reject(struct proposals *p, uint64_t seq, const struct fail *why)
{
    struct proposals_item *e = find(p, seq);
    if (!e) {
        return;
    }
    if (why->code == E_NOT_LEADER) {
        resend_from(p, e); /* to whoever leads next */
        return;
    }
    if (!e->cookie) {
        hold(p, e, p->sent_ms + PROPOSALS_HOLD_MS, why);
        return;
    }
    proposals_drop(p, e, why);
}

void proposals_give_up(struct proposals *p, unsigned kept_kind, const struct fail *why)
{
    struct proposals_item *next = NULL;
    for (struct proposals_item *e = p->first; e; e = next) {
        next = e->next;
        bool is_new = p->look && e->seq >= p->look->seq;
        bool is_kept = e->is_shown || (e->kind == kept_kind && (is_new || !e->cookie));
        if (!is_kept) {
            proposals_drop(p, e, why);
        }
    }
}

/* ---------------------------------------------------------------- sending */

static void propose_here(struct proposals *p, struct now now)
{
    p->hold_ms = 0;
    while (p->next) {
        struct proposals_item *e = p->next;
        struct fail why = {0};
        int err = p->ops.propose(p->self, e->kind, span_of(e->envelope, e->len), &why);
        if (err == E_NOT_LEADER) {
            return; /* proposals_on_leader comes */
        }
        if (err && !e->cookie) {
            hold(p, e, now.mono_ms + PROPOSALS_HOLD_MS, &why);
            return;
        }
        if (err) {
            proposals_drop(p, e, &why);
            continue;
        }
        p->in_flight += e->len;
        p->next = e->next;
        p->sent_ms = now.mono_ms;
    }
}

/* What goes into one frame from p->next on: its length, and what follows. */
static size_t plan_frame(const struct proposals *p, const struct proposals_item **ret_end)
{
    size_t len = 1;
    const struct proposals_item *e = p->next;
    while (e && (len == 1 || len + ITEM_HEAD + e->len <= PROPOSALS_FRAME_BYTES)) {
        len += ITEM_HEAD + e->len;
        e = e->next;
    }
    *ret_end = e;
    return len;
}

static struct buf *make_frame(const struct proposals *p, const struct proposals_item *end,
                              size_t len)
{
    char *frame = mem_alloc(len);
    char *at = frame;
    *at++ = VERSION;
    for (const struct proposals_item *e = p->next; e != end; e = e->next) {
        *at = (char)e->kind;
        put_u32(at + 1, (uint32_t)e->len);
        memcpy(at + ITEM_HEAD, e->envelope, e->len);
        at += ITEM_HEAD + e->len;
    }
    return buf_take(frame, len);
}

static void send_frames(struct proposals *p, struct now now)
{
    while (p->next && p->in_flight < PROPOSALS_FLIGHT_BYTES) {
        const struct proposals_item *end = NULL;
        size_t len = plan_frame(p, &end);
        if (!p->ops.send(p->self, p->leader, make_frame(p, end, len))) {
            return; /* proposals_on_link comes */
        }
        for (; p->next != end; p->next = p->next->next) {
            p->in_flight += p->next->len;
        }
        p->sent_ms = now.mono_ms;
    }
}

/* Begin this node's epoch in the log, until it has. */
static void propose_up(struct proposals *p, struct now now)
{
    if (!p->up || now.mono_ms < p->up_next_ms) {
        return;
    }
    p->up_next_ms = now.mono_ms + PROPOSALS_RETRY_MS;
    struct span up = buf_span(p->up);
    if (p->leader == p->owner) {
        struct fail why = {0};
        (void)!p->ops.propose(p->self, p->up_kind, up, &why); /* it comes again */
        return;
    }
    char *frame = mem_alloc(1 + ITEM_HEAD + up.len);
    frame[0] = VERSION;
    frame[1] = (char)p->up_kind;
    put_u32(frame + 2, (uint32_t)up.len);
    memcpy(frame + 1 + ITEM_HEAD, up.data, up.len);
    (void)p->ops.send(p->self, p->leader, buf_take(frame, 1 + ITEM_HEAD + up.len));
}

void proposals_turn(struct proposals *p, struct now now)
{
    if (p->leader == 0) {
        return;
    }
    if (!p->is_up) {
        propose_up(p, now);
        return;
    }
    if (p->progressed) {
        p->progressed = false;
        p->sent_ms = now.mono_ms;
    }
    if (p->in_flight > 0 && now.mono_ms >= p->sent_ms + PROPOSALS_RETRY_MS &&
        p->leader != p->owner) {
        rewind_to_first(p, now);
    }
    if (p->leader == p->owner) {
        propose_here(p, now);
    } else {
        send_frames(p, now);
    }
}

uint64_t proposals_deadline(const struct proposals *p)
{
    if (p->leader == 0) {
        return UINT64_MAX;
    }
    if (!p->is_up) {
        return p->up ? p->up_next_ms : UINT64_MAX;
    }
    if (p->leader == p->owner) {
        return p->hold_ms ? p->hold_ms : UINT64_MAX;
    }
    return p->count > 0 ? p->sent_ms + PROPOSALS_RETRY_MS : UINT64_MAX;
}

bool proposals_receive(struct proposals *p, struct span frame, bool *ret_bad)
{
    *ret_bad = false;
    if (p->leader != p->owner) {
        return false;
    }
    const char *at = frame.data;
    size_t left = frame.len;
    if (left < 1 || *at != VERSION) {
        *ret_bad = true;
        return true;
    }
    at++;
    left--;
    while (left > 0) {
        size_t len = left < ITEM_HEAD ? 0 : get_u32(at + 1);
        unsigned kind = (unsigned char)*at;
        if (len < PROPOSALS_ENVELOPE || len > left - ITEM_HEAD || kind == 0) {
            *ret_bad = true;
            return true;
        }
        struct fail why = {0};
        if (p->ops.propose(p->self, kind, span_of(at + ITEM_HEAD, len), &why) != 0) {
            return false; /* what follows must not overtake it */
        }
        at += ITEM_HEAD + len;
        left -= ITEM_HEAD + len;
    }
    return true;
}

uint64_t proposals_wait_ms(const struct proposals *p, struct now now)
{
    return p->first && now.mono_ms > p->first->since_ms ? now.mono_ms - p->first->since_ms : 0;
}

size_t proposals_count(const struct proposals *p)
{
    return p->count;
}
