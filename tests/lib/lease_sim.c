#include "lease_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/lease.h"

#define NODES_MAX 5
#define ENTRIES_MAX 512
#define WIRE_MAX 2048
#define READS_MAX 64
#define WRITES_MAX ENTRIES_MAX
#define KEYS 2
#define STEP_US 1000
#define RUN_US (5 * 1000 * 1000)
#define QUIET_US (RUN_US - 1500 * 1000) /* no more trouble from here on */

enum wire_kind { WIRE_LEASE, WIRE_APPEND, WIRE_APPENDED };

struct wire {
    uint64_t at_us;
    unsigned from, to;
    enum wire_kind kind;
    struct buf *frame; /* LEASE */
    uint64_t term, last, commit;
    uint16_t log[ENTRIES_MAX]; /* APPEND: the terms of the leader's entries */
};

struct write {
    unsigned origin;
    uint64_t index;
    uint16_t term;
    uint64_t applied_ms; /* on the origin's clock; 0: not yet */
    bool is_over;
};

struct read {
    bool is_running;
    unsigned node, key;
    uint64_t life;
    uint64_t take_us;
    uint64_t floor; /* what was visible when it began */
};

struct node {
    struct lease lease;
    uint64_t life;
    uint64_t offset_ms;
    double rate;
    uint64_t stopped_until_us; /* the core */
    bool is_slow;
    /* its log */
    uint64_t term;
    uint64_t leader; /* of it, as far as it knows */
    bool leads;
    uint64_t leads_from_us; /* it hears of its election then; 0: it was not elected */
    uint16_t log[ENTRIES_MAX];
    uint64_t last, commit, applied;
    uint64_t match[NODES_MAX];
    uint64_t append_us;
    /* what its edges see */
    uint64_t view[KEYS];
    uint64_t until_ms, safe;
    bool has_read, waits; /* since the last turn */
    bool is_unread;       /* nobody reads here, for a while */
};

struct sim {
    uint64_t seed;
    unsigned count;
    uint64_t now_us;
    struct node nodes[NODES_MAX];
    struct wire *wires;
    unsigned wire_count;
    uint64_t lease_last_us[NODES_MAX][NODES_MAX];
    bool is_cut[NODES_MAX][NODES_MAX];
    struct write writes[WRITES_MAX];
    unsigned write_count;
    struct read reads[READS_MAX];
    uint64_t floor[KEYS];
    unsigned loss_percent;
    uint64_t delay_us;
    struct lease_sim_result result;
};

static uint64_t draw(struct sim *s, uint64_t below)
{
    s->seed ^= s->seed << 13;
    s->seed ^= s->seed >> 7;
    s->seed ^= s->seed << 17;
    return (s->seed >> 11) % below;
}

static bool chance(struct sim *s, unsigned in_10000)
{
    return draw(s, 10000) < in_10000;
}

static struct now clock_of(const struct sim *s, const struct node *n)
{
    return (struct now){.mono_ms = n->offset_ms + (uint64_t)((double)s->now_us * n->rate / 1000)};
}

static struct lease_log log_of(const struct node *n)
{
    return (struct lease_log){
        .term = n->term,
        .commit = n->commit,
        .applied = n->applied,
        .last = n->last,
        .leader = n->leader,
        .leads = n->leads,
        .is_settled = n->leads && n->commit > 0 && n->log[n->commit] == n->term,
    };
}

/* ---------------------------------------------------------------- the network */

static struct wire *post(struct sim *s, unsigned from, unsigned to, enum wire_kind kind)
{
    if (s->is_cut[from][to] || chance(s, s->loss_percent * 100) || s->wire_count == WIRE_MAX) {
        return NULL;
    }
    struct wire *w = &s->wires[s->wire_count++];
    w->from = from;
    w->to = to;
    w->kind = kind;
    w->frame = NULL;
    w->at_us = s->now_us + 100 + draw(s, s->delay_us);
    if (chance(s, 20)) {
        w->at_us += draw(s, 700 * 1000);
    }
    if (kind == WIRE_LEASE) { /* a link keeps the order */
        uint64_t *last = &s->lease_last_us[from][to];
        w->at_us = w->at_us > *last ? w->at_us : *last;
        *last = w->at_us;
    }
    return w;
}

struct sender {
    struct sim *s;
    unsigned from;
};

static void send_lease(void *self, uint64_t to, struct buf *take_frame)
{
    struct sender *sender = self;
    struct wire *w = post(sender->s, sender->from, (unsigned)to - 1, WIRE_LEASE);
    if (w) {
        w->frame = take_frame;
    } else {
        buf_unref(take_frame);
    }
}

static const struct lease_ops ops = {send_lease};

static void send_append(struct sim *s, unsigned from)
{
    struct node *n = &s->nodes[from];
    n->append_us = s->now_us;
    for (unsigned to = 0; to < s->count; to++) {
        struct wire *w = to == from ? NULL : post(s, from, to, WIRE_APPEND);
        if (w) {
            w->term = n->term;
            w->last = n->last;
            w->commit = n->commit;
            memcpy(w->log, n->log, (n->last + 1) * sizeof(n->log[0]));
        }
    }
}

/* ---------------------------------------------------------------- the log */

static void append(struct node *n)
{
    n->log[++n->last] = (uint16_t)n->term;
}

static void commit_what_a_quorum_has(struct sim *s, struct node *n, unsigned self)
{
    n->match[self] = n->last;
    for (uint64_t at = n->last; at > n->commit && n->log[at] == n->term; at--) {
        unsigned have = 0;
        for (unsigned i = 0; i < s->count; i++) {
            have += n->match[i] >= at;
        }
        if (have > s->count / 2) {
            n->commit = at;
            return;
        }
    }
}

static void step_down(struct node *n, uint64_t term)
{
    if (term > n->term) {
        n->term = term;
        n->leader = 0;
        n->leads = false;
        n->leads_from_us = 0;
    }
}

static void on_append(struct sim *s, unsigned self, const struct wire *w)
{
    struct node *n = &s->nodes[self];
    if (w->term < n->term) {
        return;
    }
    step_down(n, w->term);
    n->leader = w->from + 1;
    bool is_same =
        w->last <= n->last && memcmp(w->log, n->log, (w->last + 1) * sizeof(n->log[0])) == 0;
    if (!is_same) { /* an older message of the same leader takes nothing back */
        memcpy(n->log, w->log, (w->last + 1) * sizeof(n->log[0]));
        n->last = w->last;
    }
    uint64_t commit = w->commit < w->last ? w->commit : w->last;
    n->commit = commit > n->commit ? commit : n->commit;
    struct wire *back = post(s, self, w->from, WIRE_APPENDED);
    if (back) {
        back->term = w->term;
        back->last = w->last;
    }
}

static void on_wire(struct sim *s, unsigned self, struct wire *w)
{
    struct node *n = &s->nodes[self];
    struct fail fail = {0};
    struct lease_log log = log_of(n);
    switch (w->kind) {
    case WIRE_LEASE:
        if (lease_receive(&n->lease, w->from + 1, buf_span(w->frame), &log, clock_of(s, n),
                          &fail) != 0) {
            abort();
        }
        buf_unref(w->frame);
        return;
    case WIRE_APPEND:
        on_append(s, self, w);
        return;
    case WIRE_APPENDED:
        if (n->leads && w->term == n->term && w->last > n->match[w->from]) {
            n->match[w->from] = w->last;
        }
        return;
    }
}

/* Whose log is at least as good may be elected. */
static bool would_vote(const struct node *voter, const struct node *for_whom)
{
    uint16_t own = voter->log[voter->last];
    uint16_t theirs = for_whom->log[for_whom->last];
    return theirs > own || (theirs == own && for_whom->last >= voter->last);
}

static void elect(struct sim *s)
{
    unsigned self = (unsigned)draw(s, s->count);
    struct node *n = &s->nodes[self];
    bool votes[NODES_MAX] = {0};
    unsigned count = 0;
    uint64_t term = n->term + 1;
    for (unsigned i = 0; i < s->count; i++) {
        bool is_near =
            i == self || (!s->is_cut[i][self] && !s->is_cut[self][i] && !chance(s, 3000));
        votes[i] = is_near && s->nodes[i].stopped_until_us <= s->now_us &&
                   s->nodes[i].term < term && would_vote(&s->nodes[i], n);
        count += votes[i];
    }
    if (!votes[self] || count <= s->count / 2) {
        return;
    }
    for (unsigned i = 0; i < s->count; i++) {
        if (votes[i]) {
            step_down(&s->nodes[i], term);
        }
    }
    n->leads_from_us = s->now_us + draw(s, 2 * s->delay_us);
}

static void take_the_lead(struct sim *s, struct node *n)
{
    n->leads_from_us = 0;
    n->leads = true;
    n->leader = (uint64_t)(n - s->nodes) + 1;
    s->result.elections++;
    memset(n->match, 0, sizeof(n->match));
    if (n->last < ENTRIES_MAX - 1) {
        append(n); /* an entry of its own term */
    }
    n->append_us = 0;
}

/* ---------------------------------------------------------------- clients */

static unsigned key_of(uint64_t index)
{
    return (unsigned)(index * 7 / 3) % KEYS;
}

static void propose(struct sim *s)
{
    struct node *n = &s->nodes[draw(s, s->count)];
    if (!n->leads || n->stopped_until_us > s->now_us || n->last == ENTRIES_MAX - 1) {
        return;
    }
    append(n);
    s->writes[s->write_count++] = (struct write){
        .origin = (unsigned)draw(s, s->count), .index = n->last, .term = (uint16_t)n->term};
    n->append_us = 0;
}

static void answer_writes(struct sim *s)
{
    for (unsigned i = 0; i < s->write_count; i++) {
        struct write *w = &s->writes[i];
        struct node *n = &s->nodes[w->origin];
        if (w->is_over || n->stopped_until_us > s->now_us || n->applied < w->index) {
            continue;
        }
        uint64_t now_ms = clock_of(s, n).mono_ms;
        if (n->log[w->index] != w->term) {
            w->is_over = true; /* another leader's entry stands there */
            continue;
        }
        w->applied_ms = w->applied_ms ? w->applied_ms : now_ms;
        bool is_safe = n->safe >= w->index;
        if (!is_safe && now_ms < w->applied_ms + LEASE_MS) {
            continue;
        }
        w->is_over = true;
        s->result.answered++;
        s->result.answered_late += !is_safe;
        uint64_t *floor = &s->floor[key_of(w->index)];
        *floor = w->index > *floor ? w->index : *floor;
    }
}

static void begin_read(struct sim *s)
{
    struct node *n = &s->nodes[draw(s, s->count)];
    if (n->is_unread) {
        return;
    }
    n->has_read = true;
    if (clock_of(s, n).mono_ms >= n->until_ms) {
        n->waits = true;
        s->result.refused++;
        return;
    }
    for (unsigned i = 0; i < READS_MAX; i++) {
        struct read *r = &s->reads[i];
        if (!r->is_running) {
            unsigned key = (unsigned)draw(s, KEYS);
            uint64_t wait = chance(s, 500) ? draw(s, 1500 * 1000) : 0;
            *r = (struct read){true,    (unsigned)(n - s->nodes), key,
                               n->life, s->now_us + wait,         s->floor[key]};
            return;
        }
    }
}

static void end_reads(struct sim *s)
{
    for (unsigned i = 0; i < READS_MAX; i++) {
        struct read *r = &s->reads[i];
        if (!r->is_running || r->take_us > s->now_us) {
            continue;
        }
        r->is_running = false;
        const struct node *n = &s->nodes[r->node];
        uint64_t value = n->view[r->key];
        if (n->life != r->life || value > n->safe) {
            s->result.refused++;
            continue;
        }
        s->result.reads++;
        if (value < r->floor && !s->result.is_broken) {
            s->result.is_broken = true;
            snprintf(s->result.why, sizeof(s->result.why),
                     "at %llu us node %u read entry %llu of key %u, and %llu was visible before",
                     (unsigned long long)s->now_us, r->node, (unsigned long long)value, r->key,
                     (unsigned long long)r->floor);
        }
        s->floor[r->key] = value > s->floor[r->key] ? value : s->floor[r->key];
    }
}

/* ---------------------------------------------------------------- trouble */

static void start_again(struct sim *s, struct node *n)
{
    n->life++;
    n->leader = 0;
    n->leads = false;
    n->leads_from_us = 0;
    n->until_ms = 0;
    n->safe = 0;
    n->applied = draw(s, n->applied + 1);
    n->commit = n->applied;
    for (unsigned k = 0; k < KEYS; k++) {
        n->view[k] = 0;
    }
    for (uint64_t i = 1; i <= n->applied; i++) {
        n->view[key_of(i)] = i;
    }
    struct lease_server servers[NODES_MAX];
    for (unsigned i = 0; i < s->count; i++) {
        servers[i] = (struct lease_server){i + 1, true};
    }
    struct lease_log log = log_of(n);
    lease_init(&n->lease, (uint64_t)(n - s->nodes) + 1, n->life, clock_of(s, n));
    lease_on_servers(&n->lease, servers, s->count, &log);
}

/* Somebody leads in the newest term, and runs. */
static bool has_leader(const struct sim *s)
{
    const struct node *best = NULL;
    for (unsigned i = 0; i < s->count; i++) {
        const struct node *n = &s->nodes[i];
        if ((n->leads || n->leads_from_us) && (!best || n->term > best->term)) {
            best = n;
        }
    }
    return best && best->stopped_until_us <= s->now_us + 300 * 1000;
}

static void trouble(struct sim *s)
{
    struct node *n = &s->nodes[draw(s, s->count)];
    if (chance(s, 15)) {
        n->stopped_until_us = s->now_us + draw(s, 1500 * 1000);
    }
    if (chance(s, 4)) {
        start_again(s, n);
    }
    if (chance(s, 10)) {
        s->is_cut[draw(s, s->count)][draw(s, s->count)] = true;
    }
    if (chance(s, 10)) {
        memset(s->is_cut, 0, sizeof(s->is_cut));
    }
    if (chance(s, 10)) {
        n->is_slow = !n->is_slow;
    }
    if (chance(s, 20)) {
        n->is_unread = !n->is_unread;
        n->lease.wanted_until_ms = 0; /* as after LEASE_IDLE_MS */
    }
    if (chance(s, has_leader(s) ? 10 : 300)) {
        elect(s);
    }
}

static void calm_down(struct sim *s)
{
    memset(s->is_cut, 0, sizeof(s->is_cut));
    for (unsigned i = 0; i < s->count; i++) {
        s->nodes[i].is_slow = false;
        s->nodes[i].is_unread = false;
    }
    if (!has_leader(s)) {
        elect(s);
    }
}

/* ---------------------------------------------------------------- the run */

static void apply_some(struct sim *s, struct node *n)
{
    while (n->applied < n->commit && !(n->is_slow && chance(s, 9500))) {
        n->applied++;
        n->view[key_of(n->applied)] = n->applied;
        lease_on_write(&n->lease, n->applied);
    }
}

/* One turn of a node: its messages, what is committed, its leases. */
static void turn(struct sim *s, unsigned self)
{
    struct node *n = &s->nodes[self];
    if (n->stopped_until_us > s->now_us) {
        return;
    }
    for (unsigned i = 0; i < s->wire_count;) {
        if (s->wires[i].to != self || s->wires[i].at_us > s->now_us) {
            i++;
            continue;
        }
        struct wire w = s->wires[i];
        memmove(&s->wires[i], &s->wires[i + 1], (s->wire_count - i - 1) * sizeof(w));
        s->wire_count--;
        on_wire(s, self, &w);
    }
    if (n->leads_from_us && n->leads_from_us <= s->now_us) {
        take_the_lead(s, n);
    }
    if (n->leads) {
        commit_what_a_quorum_has(s, n, self);
    }
    apply_some(s, n);
    struct sender sender = {s, self};
    struct lease_log log = log_of(n);
    lease_on_reads(&n->lease, n->has_read, n->waits, clock_of(s, n));
    n->has_read = false;
    n->waits = false;
    lease_turn(&n->lease, &log, clock_of(s, n), &ops, &sender);
    n->until_ms = lease_until(&n->lease);
    n->safe = lease_safe(&n->lease);
    if (n->leads && (n->append_us == 0 || s->now_us - n->append_us > 40 * 1000)) {
        send_append(s, self);
    }
}

static void set_up(struct sim *s)
{
    s->count = 3 + 2 * (unsigned)draw(s, 2);
    s->loss_percent = (unsigned)draw(s, 2) * (unsigned)draw(s, 15);
    s->delay_us = 300 + draw(s, 2) * draw(s, 60 * 1000);
    s->wires = calloc(WIRE_MAX, sizeof(*s->wires));
    if (!s->wires) {
        abort();
    }
    for (unsigned i = 0; i < s->count; i++) {
        struct node *n = &s->nodes[i];
        n->rate = 0.98 + (double)draw(s, 4001) / 100000;
        n->offset_ms = 10000 + draw(s, 1000000);
        n->life = 1000 * (i + 1);
        start_again(s, n);
    }
}

struct lease_sim_result lease_sim_run(uint64_t seed)
{
    struct sim *s = calloc(1, sizeof(*s));
    if (!s) {
        abort();
    }
    s->seed = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15);
    set_up(s);
    elect(s);
    for (; s->now_us < RUN_US && !s->result.is_broken; s->now_us += STEP_US) {
        if (s->now_us < QUIET_US) {
            trouble(s);
        } else {
            calm_down(s);
        }
        if (chance(s, 600)) {
            propose(s);
        }
        for (unsigned i = 0; i < s->count; i++) {
            turn(s, i);
        }
        answer_writes(s);
        end_reads(s);
        if (chance(s, 5000)) {
            begin_read(s);
        }
    }
    for (unsigned i = 0; i < s->wire_count; i++) {
        buf_unref(s->wires[i].frame);
    }
    struct lease_sim_result result = s->result;
    free(s->wires);
    free(s);
    return result;
}
