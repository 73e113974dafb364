#include "node/peering_lease.h"

#include "api/dispatch.h"
#include "base/assert.h"
#include "base/mem.h"
#include "base/rand.h"
#include "node/peering_state.h"

#define HELD_CAP_FIRST 64
#define NEVER UINT64_MAX

static struct lease_log log_of(const struct peering *p)
{
    if (!p->core->log) {
        return (struct lease_log){0};
    }
    struct consensus_state s = consensus_state(p->core->log);
    return (struct lease_log){
        .term = s.term,
        .commit = s.commit_index,
        .applied = s.applied_index,
        .last = s.last_index,
        .leader = s.leader_id,
        .leads = s.role == CONSENSUS_LEADER,
        .is_settled = s.is_settled,
    };
}

/* ---------------------------------------------------------------- reads */

/* As read_gate_is_fresh, and no read. */
static bool is_fresh(const struct peering_lease *l, struct now now)
{
    return now.mono_ms < atomic_load_explicit(&l->gate.until_ms, memory_order_relaxed);
}

/* When nobody has led for so long that a lease is not to be expected while a client waits. */
static uint64_t hopeless_ms(const struct peering *p)
{
    if (p->leaderless_since_ms == 0) {
        return NEVER;
    }
    return p->leaderless_since_ms +
           (p->has_been_led ? PEERING_LEADERLESS_READ_MS : PEERING_FIRST_LEADER_READ_MS);
}

static bool is_hopeless(const struct peering *p, struct now now)
{
    return now.mono_ms > hopeless_ms(p);
}

static void add_read(struct peering_lease *l, struct api_call *take_call, struct now now)
{
    if (l->reads_count == l->reads_cap) {
        l->reads_cap = l->reads_cap ? 2 * l->reads_cap : HELD_CAP_FIRST;
        l->reads = mem_realloc(l->reads, l->reads_cap, sizeof(struct api_call *));
    }
    if (take_call->gate_until_ms == 0) {
        take_call->gate_until_ms = now.mono_ms + PEERING_READ_WAIT_MS;
        l->reads_held++;
    }
    l->reads_behind += take_call->gate_index == 0;
    l->reads[l->reads_count++] = take_call;
}

/* Whether one more may wait; if not it is counted. */
static bool may_wait(struct peering *p, struct now now)
{
    bool may = !is_hopeless(p, now) && p->lease.reads_count < PEERING_READS_MAX;
    p->lease.reads_degraded += !may;
    return may;
}

static bool keep_read(void *self, struct api_call *take_call, struct now now)
{
    struct peering *p = self;
    if (!may_wait(p, now)) {
        return false;
    }
    add_read(&p->lease, take_call, now);
    return true;
}

/* Whether it goes now; with what is here when it has waited enough. */
static bool is_due(struct peering *p, struct api_call *call, struct now now)
{
    struct peering_lease *l = &p->lease;
    bool is_answered = call->gate_index > 0;
    if (is_answered ? read_gate_is_safe(&l->gate, call->gate_index) : is_fresh(l, now)) {
        return true;
    }
    if (now.mono_ms < call->gate_until_ms && !is_hopeless(p, now)) {
        return false;
    }
    call->is_as_it_is = true;
    l->reads_degraded++;
    return true;
}

/* Answers go; what has none is admitted again. */
static void release_reads(struct peering *p, struct now now)
{
    struct peering_lease *l = &p->lease;
    struct api_call **list = l->reads;
    size_t list_count = l->reads_count;
    if (list_count == 0) {
        return;
    }
    l->reads = NULL;
    l->reads_cap = 0;
    l->reads_count = 0;
    l->reads_behind = 0;
    for (size_t i = 0; i < list_count; i++) {
        struct api_call *call = list[i];
        if (!is_due(p, call, now)) {
            add_read(l, call, now);
        } else if (call->gate_index > 0) {
            call->gate_index = 0;
            outbox_reply(&p->core->out, call);
        } else {
            dispatch_call(call, now, &p->core->out);
        }
    }
    mem_free(list);
}

struct holding {
    struct peering *p;
    struct now now;
};

static bool take_unsafe(void *self, struct api_call *call)
{
    struct holding *h = self;
    struct peering_lease *l = &h->p->lease;
    if (call->gate_index == 0 || read_gate_is_safe(&l->gate, call->gate_index) ||
        !may_wait(h->p, h->now)) {
        return false;
    }
    add_read(l, call, h->now);
    return true;
}

/* Answers of this turn that show what is not safe yet stay here. */
static void hold_answers(struct peering *p, struct now now)
{
    struct holding h = {p, now};
    if (p->lease.gate.marked > 0) {
        p->lease.gate.marked = 0;
        outbox_take_replies(&p->core->out, take_unsafe, &h);
    }
}

/* ---------------------------------------------------------------- writes */

int peering_lease_admit(const struct peering *p, struct fail *fail)
{
    if (p->lease.writes_count < PEERING_WRITES_MAX) {
        return 0;
    }
    return fail_set(fail, E_LIMIT, "%d writes wait until every node has them; try again",
                    PEERING_WRITES_MAX);
}

static void grow_writes(struct peering_lease *l)
{
    size_t cap = l->writes_cap ? 2 * l->writes_cap : HELD_CAP_FIRST;
    struct held_write *list = mem_alloc(cap * sizeof(*list));
    for (size_t i = 0; i < l->writes_count; i++) {
        list[i] = l->writes[(l->writes_first + i) % l->writes_cap];
    }
    mem_free(l->writes);
    l->writes = list;
    l->writes_cap = cap;
    l->writes_first = 0;
}

void peering_hold(struct peering *p, uint64_t index, struct api_call *waiting, size_t from)
{
    struct peering_lease *l = &p->lease;
    lease_on_write(&l->lease, index);
    if (!waiting || !outbox_take_reply(&p->core->out, from, waiting)) {
        return;
    }
    if (l->writes_count == l->writes_cap) {
        grow_writes(l);
    }
    l->writes[(l->writes_first + l->writes_count++) % l->writes_cap] =
        (struct held_write){waiting, index, p->core->now.mono_ms + LEASE_MS};
}

static void release_writes(struct peering *p, uint64_t safe, struct now now)
{
    struct peering_lease *l = &p->lease;
    while (l->writes_count > 0) {
        const struct held_write *w = &l->writes[l->writes_first];
        bool is_safe = w->index <= safe;
        if (!is_safe && now.mono_ms < w->until_ms) {
            return;
        }
        if (!is_safe) {
            l->writes_late++;
        }
        outbox_reply(&p->core->out, w->call);
        l->writes_first = (l->writes_first + 1) % l->writes_cap;
        l->writes_count--;
    }
}

/* ---------------------------------------------------------------- life */

void peering_lease_init(struct peering *p, const struct peering_options *options, struct now now)
{
    struct peering_lease *l = &p->lease;
    /* A number that no earlier start had: a clock that goes back must not repeat one. In a
     * simulation it does not, and everything has to come again. */
    uint64_t life = options->seed ? p->epoch : rand_u64();
    lease_init(&l->lease, p->number, life, now);
    l->is_local = options->is_read_local;
    l->gate.keep = keep_read;
    l->gate.self = p;
}

void peering_lease_close(struct peering *p)
{
    struct peering_lease *l = &p->lease;
    struct fail why = {0};
    release_writes(p, NEVER, (struct now){0});
    (void)fail_set(&why, E_CLOSED, "the server is stopping");
    for (size_t i = 0; i < l->reads_count; i++) {
        if (l->reads[i]->gate_index > 0) {
            outbox_reply(&p->core->out, l->reads[i]);
        } else {
            dispatch_fail(l->reads[i], &why, &p->core->out);
        }
    }
    mem_free(l->writes);
    mem_free(l->reads);
    l->writes = NULL;
    l->reads = NULL;
    l->reads_count = 0;
}

void peering_lease_on_members(struct peering *p)
{
    struct lease_server servers[CONSENSUS_MEMBERS_MAX];
    size_t n = 0;
    for (unsigned i = 0; i < p->member_count; i++) {
        if (p->members[i].standing != CONSENSUS_PENDING) {
            servers[n++] =
                (struct lease_server){p->members[i].id, p->members[i].standing == CONSENSUS_VOTER};
        }
    }
    struct lease_log log = log_of(p);
    lease_on_servers(&p->lease.lease, servers, n, &log);
}

int peering_lease_receive(struct peering *p, uint64_t from, struct span frame, struct now now)
{
    struct lease_log log = log_of(p);
    struct fail fail = {0};
    return lease_receive(&p->lease.lease, from, frame, &log, now, &fail);
}

static void send_frame(void *self, uint64_t to, struct buf *take_frame)
{
    struct peering *p = self;
    struct body body = {0};
    body_add_buf(&body, take_frame);
    outbox_peer(&p->core->out, to, PEER_LEASE, &body);
}

static const struct lease_ops ops = {send_frame};

void peering_release(struct peering *p, struct now now)
{
    struct peering_lease *l = &p->lease;
    struct lease_log log = log_of(p);
    bool waits = l->reads_behind > 0 && !is_fresh(l, now);
    lease_on_reads(&l->lease, read_gate_look(&l->gate), waits, now);
    lease_turn(&l->lease, &log, now, &ops, p);
    read_gate_set(&l->gate, lease_until(&l->lease), lease_safe(&l->lease));
    release_writes(p, lease_safe(&l->lease), now);
    release_reads(p, now);
    hold_answers(p, now);
}

uint64_t peering_lease_deadline(const struct peering *p)
{
    const struct peering_lease *l = &p->lease;
    uint64_t at = lease_deadline(&l->lease);
    if (l->writes_count > 0) {
        at = clock_earlier(at, l->writes[l->writes_first].until_ms);
    }
    if (l->reads_count > 0 && hopeless_ms(p) != NEVER) {
        at = clock_earlier(at, hopeless_ms(p) + 1);
    }
    for (size_t i = 0; i < l->reads_count; i++) {
        at = clock_earlier(at, l->reads[i]->gate_until_ms);
    }
    return at;
}

bool peering_lease_may_remove(struct peering *p, uint64_t number, struct now now)
{
    return lease_may_remove(&p->lease.lease, number, now);
}

struct read_gate *peering_gate(struct peering *p)
{
    return p->lease.is_local ? NULL : &p->lease.gate;
}

struct peering_lease_figures peering_lease_figures(const struct peering *p, struct now now)
{
    const struct peering_lease *l = &p->lease;
    return (struct peering_lease_figures){
        .has_lease = is_fresh(l, now),
        .reads_waiting = l->reads_count,
        .writes_waiting = l->writes_count,
        .reads_held = l->reads_held,
        .reads_degraded = l->reads_degraded,
        .writes_late = l->writes_late,
    };
}
