#include "base/assert.h"
#include "base/mem.h"
#include "consensus/raft_driver_state.h"

/* Entries that wait for the disk or a majority at most: half of what libraft keeps in flight. */
#define SUBMITTED_MAX (RAFT_DRIVER_INFLIGHT_MAX / 2)

static int refuse(struct fail *fail, int err)
{
    if (err == RAFT_NOSPACE) {
        return fail_set(fail, E_LIMIT, "the disks of a majority of nodes are full");
    }
    if (err == RAFT_CANTCHANGE) {
        return fail_set(fail, E_CONFLICT, "the last change of members is not finished");
    }
    return fail_set(fail, E_NOT_LEADER, "this node does not lead: %s", raft_strerror(err));
}

int raft_driver_submit(struct raft_driver *d, struct raft_block *take_block, uint64_t *ret_index,
                       uint64_t *ret_term, struct fail *fail)
{
    ASSERT(!d->is_stepping);
    int err = 0;
    if (d->is_dead || d->raft.state != RAFT_LEADER) {
        err = refuse(fail, RAFT_NOTLEADER);
        goto out;
    }
    if (raft_log_last(&d->log) - d->raft.commit_index >= SUBMITTED_MAX) {
        err = fail_set(fail, E_LIMIT, "%d entries wait for a majority already", SUBMITTED_MAX);
        goto out;
    }
    struct raft_entry entry = {.term = d->raft.current_term,
                               .type = RAFT_COMMAND,
                               .buf = {take_block->bytes, take_block->len},
                               .batch = take_block->bytes};
    struct raft_event event = {.type = RAFT_SUBMIT, .submit = {.entries = &entry, .n = 1}};
    d->submitting = take_block;
    d->is_stepping = true;
    /* G5: libraft would also refuse its own no-op at the start of a term, and end half elected. */
    raft_set_capacity_threshold(&d->raft, d->options.capacity_kib_min);
    int refusal = raft_step_now(d, &event);
    raft_set_capacity_threshold(&d->raft, 0);
    d->is_stepping = false;
    d->submitting = NULL;
    if (refusal) {
        err = refuse(fail, refusal);
        goto out;
    }
    *ret_index = raft_log_last(&d->log);
    *ret_term = entry.term;
    raft_run(d);
out:
    raft_block_unref(take_block);
    return err;
}

/* A node alone never needs the bytes of an applied entry again. */
static bool is_alone(const struct raft_driver *d)
{
    return !d->is_keeping && d->raft.configuration.n == 1 &&
           d->raft.configuration_uncommitted_index == 0 &&
           d->raft.configuration.servers[0].id == d->raft.id;
}

void raft_driver_keep(struct raft_driver *d)
{
    d->is_keeping = true;
}

static bool next_restore(struct raft_driver *d, struct raft_item *ret)
{
    d->is_restoring = false;
    d->applied = d->restore_index;
    *ret = (struct raft_item){RAFT_ITEM_RESTORE, d->applied, d->restore_term,
                              span_of(d->restore.base, d->restore.len)};
    return true;
}

/* A node that finds nobody to lead it goes by what it knew before it stopped. */
static uint64_t committed(const struct raft_driver *d)
{
    return d->raft.commit_index > d->known ? d->raft.commit_index : d->known;
}

bool raft_driver_next(struct raft_driver *d, struct raft_item *ret)
{
    ASSERT(!d->is_stepping);
    if (d->is_dead) {
        return false;
    }
    if (d->is_restoring) {
        return next_restore(d, ret);
    }
    raft_free(d->restore.base);
    d->restore = (struct raft_buffer){0};
    if (is_alone(d)) {
        raft_log_release(&d->log, d->applied);
    }
    const struct raft_slot *slot = raft_log_get(&d->log, d->applied + 1);
    if (d->applied >= committed(d) || !slot) {
        return false;
    }
    ASSERT(slot->block);
    d->applied++;
    *ret = (struct raft_item){RAFT_ITEM_OTHER, d->applied, slot->term, {0}};
    if (slot->type == RAFT_COMMAND) {
        ret->kind =
            raft_block_open(slot->block, &ret->bytes) ? RAFT_ITEM_COMMAND : RAFT_ITEM_BROKEN;
    }
    return true;
}

bool raft_driver_wants_snapshot(const struct raft_driver *d)
{
    const struct raft *r = &d->raft;
    bool is_quiet = !d->is_dead && !d->is_taking && !d->is_installing && !d->is_restoring &&
                    d->applied == r->commit_index && r->commit_index <= r->last_stored &&
                    r->configuration_uncommitted_index == 0 && !d->is_stepping;
    uint64_t since = d->applied - d->log.snapshot_index;
    bool is_due = since >= d->options.snapshot_entries ||
                  d->bytes_since >= d->options.snapshot_bytes ||
                  (d->is_keeping && d->log.released > d->log.snapshot_index);
    return is_quiet && is_due && since > 0 && raft_log_term(&d->log, d->applied) > 0;
}

void raft_driver_snapshot_begin(struct raft_driver *d)
{
    ASSERT(!d->is_taking);
    ASSERT(!d->is_installing);
    ASSERT(d->applied == d->raft.commit_index);
    d->is_taking = true;
    d->bytes_taken = d->bytes_since;
    d->taken = (struct raft_snapshot){.index = d->applied,
                                      .term = raft_log_term(&d->log, d->applied),
                                      .configuration_index = d->raft.configuration_committed_index};
    raft_copy_configuration(&d->raft.configuration_committed, &d->taken.configuration);
}

static void free_taken(struct raft_driver *d)
{
    for (unsigned i = 0; i < d->taken.n_bufs; i++) {
        raft_free(d->taken.bufs[i].base);
    }
    raft_free(d->taken.bufs);
    d->taken.bufs = NULL;
    d->taken.n_bufs = 0;
    d->is_taking = false;
}

/* What is kept before a snapshot is for followers that are a little behind. A node alone keeps
 * nothing: its entries were let go when they were applied. */
static unsigned trailing_of(const struct raft_driver *d)
{
    return raft_log_held(&d->log, d->taken.index, d->options.trailing, RAFT_TRAILING_BYTES);
}

static void on_put(void *arg, int status)
{
    struct raft_driver *d = arg;
    free_taken(d);
    if (status != 0 || d->is_dead) {
        raft_configuration_close(&d->taken.configuration);
        if (status != 0 && status != RAFT_CANCELED) {
            raft_die(d, "writing a snapshot", status);
        }
        return;
    }
    d->bytes_since -= d->bytes_taken;
    unsigned trailing = trailing_of(d);
    raft_log_snapshot(&d->log, d->taken.index, trailing);
    struct pending *p = raft_queue(d, RAFT_SNAPSHOT);
    p->event.snapshot.metadata = (struct raft_snapshot_metadata){
        .index = d->taken.index,
        .term = d->taken.term,
        .configuration_index = d->taken.configuration_index,
        .configuration = d->taken.configuration,
    };
    p->event.snapshot.trailing = trailing;
    raft_run(d);
}

void raft_driver_snapshot_put(struct raft_driver *d, struct raft_buffer *take_bufs, unsigned n)
{
    ASSERT(d->is_taking);
    ASSERT(n > 0);
    d->taken.bufs = take_bufs;
    d->taken.n_bufs = n;
    if (d->is_dead) {
        raft_driver_snapshot_abort(d);
        return;
    }
    const struct raft_storage *s = &d->options.storage;
    unsigned trailing = trailing_of(d);
    if (trailing == 0) {
        trailing = 1; /* 0 would mean to replace the log */
    }
    int err = s->ops->put_snapshot(s->self, &d->taken, trailing, on_put, d);
    if (err) {
        raft_driver_snapshot_abort(d);
        raft_die(d, "writing a snapshot", err);
    }
}

void raft_driver_snapshot_abort(struct raft_driver *d)
{
    ASSERT(d->is_taking);
    free_taken(d);
    raft_configuration_close(&d->taken.configuration);
}

bool raft_driver_has_all(const struct raft_driver *d)
{
    return d->log.released <= d->log.snapshot_index;
}

static bool is_in(const struct raft_configuration *conf, uint64_t id)
{
    for (unsigned i = 0; i < conf->n; i++) {
        if (conf->servers[i].id == id) {
            return true;
        }
    }
    return false;
}

static bool is_gone(const struct raft_driver *d, uint64_t id)
{
    uint64_t now = d->options.now_ms(d->options.self);
    return now - d->led_ms >= RAFT_DRIVER_GONE_MS &&
           raft_driver_silent_ms(d, id) >= RAFT_DRIVER_GONE_MS;
}

bool raft_driver_is_settled(const struct raft_driver *d)
{
    const struct raft *r = &d->raft;
    unsigned voters = 0;
    for (unsigned i = 0; i < r->configuration.n; i++) {
        voters += r->configuration.servers[i].role == RAFT_VOTER;
    }
    return voters <= 1 || raft_log_term(&d->log, r->commit_index) == r->current_term;
}

void raft_driver_settle(struct raft_driver *d)
{
    ASSERT(!d->is_stepping);
    struct raft *r = &d->raft;
    if (d->is_dead || r->state != RAFT_LEADER || raft_driver_is_settled(d) ||
        raft_log_term(&d->log, raft_log_last(&d->log)) == r->current_term) {
        return;
    }
    struct raft_entry entry = {.term = r->current_term, .type = RAFT_BARRIER};
    entry.buf = (struct raft_buffer){raft_calloc(1, 8), 8};
    entry.batch = entry.buf.base;
    ASSERT(entry.buf.base);
    struct raft_event event = {.type = RAFT_SUBMIT, .submit = {.entries = &entry, .n = 1}};
    d->is_stepping = true;
    int refusal = raft_step_now(d, &event);
    d->is_stepping = false;
    if (refusal) {
        raft_free(entry.batch); /* a transfer is under way: tried again */
        return;
    }
    raft_run(d);
}

/* Rule 8. */
static int may_change(struct raft_driver *d, const struct raft_configuration *conf,
                      struct fail *fail)
{
    struct raft *r = &d->raft;
    if (d->is_dead || r->state != RAFT_LEADER) {
        return refuse(fail, RAFT_NOTLEADER);
    }
    if (r->configuration_uncommitted_index != 0) {
        return fail_set(fail, E_CONFLICT, "the last change of members is not finished");
    }
    if (!raft_driver_is_settled(d)) {
        return fail_set(fail, E_CONFLICT, "this node has just begun to lead");
    }
    if (!raft_driver_has_all(d)) {
        return fail_set(fail, E_CONFLICT, "another node can join after the next snapshot only");
    }
    for (unsigned i = 0; i < r->configuration.n; i++) {
        const struct raft_server *server = &r->configuration.servers[i];
        uint64_t match = raft_driver_match(d, server->id);
        if (server->role != RAFT_VOTER || server->id == r->id || !is_in(conf, server->id) ||
            is_gone(d, server->id)) {
            continue;
        }
        if (match < r->configuration_committed_index) {
            return fail_set(fail, E_CONFLICT, "%s does not know the last change of members yet",
                            server->address);
        }
        if (match + RAFT_DRIVER_INFLIGHT_MAX < raft_log_last(&d->log)) {
            return fail_set(fail, E_CONFLICT, "%s is still %llu entries behind", server->address,
                            (unsigned long long)(raft_log_last(&d->log) - match));
        }
    }
    return 0;
}

int raft_driver_change(struct raft_driver *d, const struct raft_configuration *conf,
                       struct fail *fail)
{
    ASSERT(!d->is_stepping);
    int err = may_change(d, conf, fail);
    if (err) {
        return err;
    }
    err = raft_vote_for_self(d);
    if (err) {
        raft_die(d, "writing the vote", err);
        return refuse(fail, RAFT_NOTLEADER);
    }
    struct raft_entry entry = {.term = d->raft.current_term, .type = RAFT_CHANGE};
    err = raft_configuration_encode(conf, &entry.buf);
    ASSERT(!err); /* fails without memory only */
    entry.batch = entry.buf.base;
    struct raft_event event = {.type = RAFT_SUBMIT, .submit = {.entries = &entry, .n = 1}};
    d->is_stepping = true;
    int refusal = raft_step_now(d, &event);
    d->is_stepping = false;
    if (refusal) {
        raft_free(entry.batch);
        return refuse(fail, refusal);
    }
    raft_run(d);
    return 0;
}

void raft_driver_catch_up(struct raft_driver *d, uint64_t id)
{
    ASSERT(!d->is_stepping);
    if (d->is_dead || d->raft.state != RAFT_LEADER || d->raft.leader_state.promotee_id != 0 ||
        id == d->raft.id || !is_in(&d->raft.configuration, id)) {
        return;
    }
    raft_queue(d, RAFT_CATCH_UP)->event.catch_up.server_id = id;
    raft_run(d);
}

/* libraft has no call for it; these are the fields that its own abort resets. */
void raft_driver_catch_up_stop(struct raft_driver *d)
{
    ASSERT(!d->is_stepping);
    if (d->raft.state == RAFT_LEADER) {
        d->raft.leader_state.promotee_id = 0;
        d->raft.leader_state.round_number = 0;
        d->raft.leader_state.round_index = 0;
        d->raft.leader_state.round_start = 0;
    }
}

int raft_driver_catch_up_state(const struct raft_driver *d, uint64_t id)
{
    int status = RAFT_CATCH_UP_NONE;
    if (raft_catch_up(&d->raft, id, &status) != 0) {
        return RAFT_CATCH_UP_NONE;
    }
    if (status == RAFT_CATCH_UP_RUNNING && d->raft.leader_state.promotee_id != id) {
        status = RAFT_CATCH_UP_ABORTED; /* by raft_driver_catch_up_stop */
    }
    /* libraft looks at it only when something new arrived there. */
    return raft_driver_match(d, id) == raft_log_last(&d->log) ? RAFT_CATCH_UP_FINISHED : status;
}

uint64_t raft_driver_match(const struct raft_driver *d, uint64_t id)
{
    raft_index match = 0;
    return raft_match_index(&d->raft, id, &match) == 0 ? match : 0;
}

uint64_t raft_driver_silent_ms(const struct raft_driver *d, uint64_t id)
{
    for (unsigned i = 0; i < d->peers_count; i++) {
        if (d->peers[i].id == id && d->peers[i].heard_ms > 0) {
            uint64_t now = d->options.now_ms(d->options.self);
            return now > d->peers[i].heard_ms ? now - d->peers[i].heard_ms : 0;
        }
    }
    return UINT64_MAX;
}

bool raft_driver_can_install(const struct raft_driver *d)
{
    return !d->is_dead && !d->is_taking && !d->is_installing;
}

bool raft_driver_is_installing(const struct raft_driver *d)
{
    return d->is_installing || d->is_restoring;
}

bool raft_driver_is_changing(const struct raft_driver *d)
{
    return d->raft.configuration_uncommitted_index != 0;
}

int raft_driver_transfer(struct raft_driver *d, uint64_t id, struct fail *fail)
{
    ASSERT(!d->is_stepping);
    if (d->is_dead || d->raft.state != RAFT_LEADER) {
        return refuse(fail, RAFT_NOTLEADER);
    }
    struct raft_event event = {.type = RAFT_TRANSFER, .transfer = {.server_id = id}};
    d->is_stepping = true;
    int err = raft_step_now(d, &event);
    d->is_stepping = false;
    if (err) {
        return fail_set(fail, E_INVALID, "leadership cannot go to %llu: %s", (unsigned long long)id,
                        raft_strerror(err));
    }
    raft_run(d);
    return 0;
}

struct raft_driver_state raft_driver_state(const struct raft_driver *d)
{
    const struct raft *r = &d->raft;
    struct raft_driver_state s = {
        .role = (enum raft_state)r->state,
        .term = r->current_term,
        .last_index = raft_log_last(&d->log),
        .stored_index = r->last_stored,
        .commit_index = committed(d),
        .applied_index = d->applied,
        .is_replayed = d->known > 0 && d->applied >= d->known,
        .snapshot_index = d->log.snapshot_index,
        .is_dead = d->is_dead,
    };
    if (s.role == RAFT_LEADER) {
        s.leader_id = r->id;
        s.is_ready = d->applied >= d->ready_index;
    } else if (s.role == RAFT_FOLLOWER) {
        s.leader_id = r->follower_state.current_leader.id;
        if (raft_is_learner(d) && raft_leader_silent_ms(d) >= 2ul * d->options.election_ms) {
            s.leader_id =
                0; /* libraft forgets it only in an election, which a learner never begins */
        }
        s.is_ready = s.leader_id != 0 && d->ready_term == r->current_term &&
                     d->applied >= d->ready_index &&
                     d->heard.commit <= d->applied + RAFT_DRIVER_INFLIGHT_MAX;
    }
    return s;
}

uint64_t raft_driver_id(const struct raft_driver *d)
{
    return d->raft.id;
}

const struct raft_configuration *raft_driver_members(const struct raft_driver *d)
{
    return &d->raft.configuration;
}
