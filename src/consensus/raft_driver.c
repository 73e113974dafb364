#include "consensus/raft_driver_state.h"

#include "base/assert.h"
#include "base/mem.h"
#include "consensus/raft_guard.h"

/* A change of members stands first in its message after this many cuts; a longer message would be
 * a follower that is thousands of changes behind. */
#define PARTS_MAX 16
#define INSTALL_TIMEOUT_MS 2000

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void raft_die(struct raft_driver *d, const char *what, int err)
{
    if (d->is_dead) {
        return;
    }
    d->is_dead = true;
    struct fail why = {0};
    const char *words = err == RAFT_IOERR || err == RAFT_CORRUPT
                            ? d->options.storage.ops->error(d->options.storage.self)
                            : raft_strerror(err);
    fail_set(&why, E_IO, "the log cannot go on: %s failed: %s", what, words);
    d->options.ops->fatal(d->options.self, &why);
}

void raft_copy_configuration(const struct raft_configuration *from, struct raft_configuration *to)
{
    raft_configuration_init(to);
    for (unsigned i = 0; i < from->n; i++) {
        const struct raft_server *s = &from->servers[i];
        int err = raft_configuration_add(to, s->id, s->address, s->role);
        ASSERT(!err);
    }
}

/* ---------------------------------------------------------------- the queue of events */

struct pending *raft_queue(struct raft_driver *d, enum raft_event_type type)
{
    struct pending *p = mem_zalloc(1, sizeof *p);
    p->event.type = type;
    *d->tail = p;
    d->tail = &p->next;
    return p;
}

static void queue_message(struct raft_driver *d, const struct raft_message *message)
{
    struct pending *p = raft_queue(d, RAFT_RECEIVE);
    p->message = *message;
    p->address = mem_strndup(message->server_address, strlen(message->server_address));
    p->message.server_address = p->address;
    p->event.receive.message = &p->message;
}

/* What an event carries when libraft will not see it. */
static void free_payload(struct pending *p)
{
    if (p->event.type == RAFT_RECEIVE) {
        raft_guard_free(&p->message);
    } else if (p->event.type == RAFT_CONFIGURATION) {
        raft_configuration_close(&p->event.configuration.conf);
    } else if (p->event.type == RAFT_PERSISTED_SNAPSHOT) {
        raft_configuration_close(&p->event.persisted_snapshot.metadata.configuration);
    } else if (p->event.type == RAFT_SNAPSHOT) {
        raft_configuration_close(&p->event.snapshot.metadata.configuration);
    }
}

/* ---------------------------------------------------------------- one step */

/* Committed changes of members are events of their own. */
static int do_commit(struct raft_driver *d)
{
    while (d->scanned < d->raft.commit_index) {
        const struct raft_slot *slot = raft_log_get(&d->log, d->scanned + 1);
        if (!slot) {
            break; /* a snapshot is being installed */
        }
        d->scanned++;
        if (slot->type != RAFT_CHANGE) {
            continue;
        }
        ASSERT(slot->block);
        struct raft_buffer buf = {slot->block->bytes, slot->block->len};
        struct raft_configuration conf = {0};
        int err = raft_configuration_decode(&buf, &conf);
        if (err) {
            return err;
        }
        struct pending *p = raft_queue(d, RAFT_CONFIGURATION);
        p->event.configuration.index = d->scanned;
        p->event.configuration.conf = conf;
    }
    return 0;
}

/* A commit that is stored here must be found again after a restart. */
static void mark_reached(struct raft_driver *d)
{
    uint64_t reached = min_u64(d->raft.commit_index, d->raft.last_stored);
    if (reached > d->reached && !d->is_installing) {
        d->reached = reached;
        d->options.storage.ops->reached(d->options.storage.self, reached);
    }
}

/* A leader does not know at first what was committed before it; only an entry of its own term, or
 * that it has nothing which is not committed, says so. */
static void look_ready(struct raft_driver *d)
{
    const struct raft *r = &d->raft;
    if (r->state != RAFT_FOLLOWER || d->ready_term == r->current_term ||
        d->heard.term != r->current_term) {
        return;
    }
    bool is_of_term = raft_log_term(&d->log, r->commit_index) == r->current_term;
    bool is_all = d->heard.commit == d->heard.last && r->commit_index == d->heard.commit &&
                  raft_log_last(&d->log) == d->heard.last;
    if (is_of_term || is_all) {
        d->ready_term = r->current_term;
        d->ready_index = r->commit_index;
    }
}

static void do_update(struct raft_driver *d, const struct raft_update *update)
{
    const struct raft_storage *s = &d->options.storage;
    const char *what = "writing the term";
    int err = 0;
    if (update->flags & RAFT_UPDATE_STATE && d->raft.state == RAFT_LEADER) {
        d->ready_index = raft_last_index(&d->raft);
        d->led_ms = d->options.now_ms(d->options.self);
        for (unsigned i = 0; i < d->peers_count; i++) {
            d->peers[i].sent_last = 0;
        }
    }
    if (update->flags & RAFT_UPDATE_CURRENT_TERM) {
        err = s->ops->set_term(s->self, raft_current_term(&d->raft));
    }
    if (!err && update->flags & RAFT_UPDATE_VOTED_FOR) {
        what = "writing the vote";
        err = s->ops->set_vote(s->self, raft_voted_for(&d->raft));
    }
    if (err) {
        raft_drop_brought(d, update);
    }
    if (!err && update->flags & RAFT_UPDATE_ENTRIES) {
        what = "writing entries";
        err = raft_write_entries(d, update);
    }
    if (!err && update->flags & RAFT_UPDATE_SNAPSHOT) {
        what = "writing a snapshot";
        err = raft_write_snapshot(d, update);
    }
    if (!err && update->flags & RAFT_UPDATE_MESSAGES) {
        what = "reading a snapshot";
        err = raft_send_all(d, update);
    }
    if (!err && update->flags & RAFT_UPDATE_COMMIT_INDEX) {
        what = "reading a change of members";
        err = do_commit(d);
    }
    if (err) {
        raft_die(d, what, err);
        return;
    }
    mark_reached(d);
    look_ready(d);
    raft_send_commit(d);
}

static void note_append(struct raft_driver *d, const struct raft_append_entries *append)
{
    if (append->term >= d->raft.current_term) {
        d->heard.ms = d->options.now_ms(d->options.self);
        d->heard.term = append->term;
        d->heard.commit = append->leader_commit;
        d->heard.last = append->prev_log_index + append->n_entries;
    }
}

/* Guards that depend on where the node stands when the message is its turn. False: drop it. */
static bool admit(struct raft_driver *d, struct pending *p)
{
    if (p->event.type != RAFT_RECEIVE) {
        return true;
    }
    /* Of two leaders in one term, one lies; libraft would take its own leader's state for a
     * follower's. */
    if (d->raft.state == RAFT_LEADER && raft_guard_leads(&p->message, d->raft.current_term)) {
        return false;
    }
    if (p->message.type == RAFT_APPEND_ENTRIES) {
        struct raft_append_entries *append = &p->message.append_entries;
        note_append(d, append);
        if (!d->is_installing && append->prev_log_index < d->log.snapshot_index &&
            raft_log_term(&d->log, append->prev_log_index) == 0) {
            raft_guard_skip(append, d->log.snapshot_index, d->log.snapshot_term);
        }
        raft_guard_commit(&p->message.append_entries, d->raft.commit_index);
    }
    /* Rule 6: the leader sends it again. */
    return p->message.type != RAFT_INSTALL_SNAPSHOT || !(d->is_taking || d->is_installing);
}

int raft_step_now(struct raft_driver *d, struct raft_event *event)
{
    const struct raft_storage *s = &d->options.storage;
    event->time = d->options.now_ms(d->options.self);
    event->capacity = s->ops->capacity(s->self);
    if (d->options.ops->trace) {
        d->options.ops->trace(d->options.self, event);
    }
    struct raft_update update = {0};
    int err = raft_step(&d->raft, event, &update);
    if (!err) {
        do_update(d, &update);
    }
    return err;
}

static void step_queued(struct raft_driver *d, struct pending *p)
{
    if (d->is_dead || !admit(d, p)) {
        free_payload(p);
    } else {
        bool is_vote = p->event.type == RAFT_RECEIVE && p->message.type == RAFT_REQUEST_VOTE;
        int err = is_vote ? raft_step_vote(d, &p->event) : raft_step_now(d, &p->event);
        if (err) {
            raft_die(d, "a step of the consensus", err);
        }
        if (p->event.type == RAFT_RECEIVE && p->message.type == RAFT_APPEND_ENTRIES) {
            /* The array is ours, the block is libraft's, or came back in the update. */
            raft_free(p->message.append_entries.entries);
        }
    }
    mem_free(p->address);
    mem_free(p);
}

void raft_run(struct raft_driver *d)
{
    if (d->is_stepping) {
        return;
    }
    d->is_stepping = true;
    while (d->head) {
        struct pending *p = d->head;
        d->head = p->next;
        if (!d->head) {
            d->tail = &d->head;
        }
        step_queued(d, p);
    }
    d->is_stepping = false;
    if (!d->is_dead) {
        d->options.ops->wake(d->options.self);
    }
}

/* ---------------------------------------------------------------- life */

static void free_loaded(struct raft_loaded *loaded)
{
    void *last = NULL;
    for (size_t i = 0; i < loaded->n; i++) {
        if (loaded->entries[i].batch != last) {
            last = loaded->entries[i].batch;
            raft_free(last);
        }
    }
    raft_free(loaded->entries);
    loaded->entries = NULL;
    loaded->n = 0;
}

static void free_snapshot(struct raft_loaded *loaded)
{
    if (loaded->has_snapshot) {
        raft_configuration_close(&loaded->meta.configuration);
        raft_free(loaded->data.base);
    }
}

static void fill_log(struct raft_driver *d, const struct raft_loaded *loaded)
{
    raft_log_start(&d->log, loaded->has_snapshot ? loaded->meta.index : 0,
                   loaded->has_snapshot ? loaded->meta.term : 0, loaded->start_index);
    for (size_t i = 0; i < loaded->n; i++) {
        const struct raft_entry *e = &loaded->entries[i];
        raft_log_append(&d->log, e->term, e->type, raft_block_copy(e->buf.base, e->buf.len));
        if (loaded->start_index + i > d->log.snapshot_index) {
            d->bytes_since += e->buf.len;
        }
    }
}

/* libraft's own checks of this are compiled out. */
static bool is_sound(const struct raft_loaded *loaded)
{
    uint64_t base = loaded->has_snapshot ? loaded->meta.index : 0;
    uint64_t last = loaded->start_index + loaded->n - 1;
    uint64_t term = 0;
    for (size_t i = 0; i < loaded->n; i++) {
        if (loaded->entries[i].term < term || loaded->entries[i].term > loaded->term) {
            return false;
        }
        term = loaded->entries[i].term;
    }
    bool is_gapless = loaded->start_index <= base + 1 && last >= base;
    bool has_members = loaded->has_snapshot || loaded->n == 0 ||
                       (loaded->start_index == 1 && loaded->entries[0].type == RAFT_CHANGE);
    return is_gapless && has_members &&
           (loaded->term > 0 || (loaded->n == 0 && !loaded->has_snapshot));
}

static void configure(struct raft_driver *d)
{
    const struct raft_driver_options *o = &d->options;
    int err = raft_init(&d->raft, NULL, NULL, o->id, o->address);
    ASSERT(!err); /* fails without memory only */
    raft_seed(&d->raft, o->seed);
    raft_set_pre_vote(&d->raft, true);
    raft_set_max_inflight_entries(&d->raft, RAFT_DRIVER_INFLIGHT_MAX);
    raft_set_election_timeout(&d->raft, o->election_ms);
    raft_set_heartbeat_timeout(&d->raft, o->heartbeat_ms);
    raft_set_max_catch_up_round_duration(&d->raft, 60000); /* a big snapshot fits into a round */
    if (o->wire.ops && o->wire.ops->snapshot) {
        /* libraft is deaf to a follower's refusals when a newer snapshot was taken meanwhile, until
         * this runs out. What it then asks for again is ignored while one is on its way. */
        raft_set_install_snapshot_timeout(&d->raft, INSTALL_TIMEOUT_MS);
    }
}

static int start(struct raft_driver *d, struct raft_loaded *loaded, struct fail *fail)
{
    struct raft_event event = {.type = RAFT_START};
    if (loaded->has_snapshot) {
        d->restore = loaded->data;
        d->restore_index = loaded->meta.index;
        d->restore_term = loaded->meta.term;
        d->is_restoring = true;
        d->scanned = loaded->meta.index;
        d->reached = loaded->meta.index;
        event.start.metadata = &loaded->meta;
    }
    d->known = loaded->reached;
    event.start.term = loaded->term;
    event.start.voted_for = loaded->vote;
    event.start.start_index = loaded->start_index;
    event.start.entries = loaded->entries;
    event.start.n_entries = (unsigned)loaded->n;
    d->is_stepping = true;
    int err = raft_step_now(d, &event);
    d->is_stepping = false;
    if (err) {
        /* libraft has freed the blocks. */
        raft_free(loaded->entries);
        return fail_set(fail, E_IO, "the log on disk cannot be used: %s", raft_strerror(err));
    }
    free_loaded(loaded);
    raft_run(d);
    return 0;
}

int raft_driver_create(const struct raft_driver_options *options, struct raft_loaded *take_loaded,
                       struct raft_driver **ret, struct fail *fail)
{
    if (!is_sound(take_loaded)) {
        uint64_t first = take_loaded->start_index;
        uint64_t base = take_loaded->has_snapshot ? take_loaded->meta.index : 0;
        int err =
            fail_set(fail, E_IO,
                     "the log contradicts itself: entries %llu to %llu, snapshot at "
                     "%llu, term %llu",
                     (unsigned long long)first, (unsigned long long)(first + take_loaded->n - 1),
                     (unsigned long long)base, (unsigned long long)take_loaded->term);
        free_snapshot(take_loaded);
        free_loaded(take_loaded);
        return err;
    }
    struct raft_driver *d = mem_zalloc(1, sizeof *d);
    d->options = *options;
    d->tail = &d->head;
    configure(d);
    fill_log(d, take_loaded);
    int err = raft_leave_term(&d->options, take_loaded);
    if (err) {
        free_snapshot(take_loaded);
        free_loaded(take_loaded);
        raft_driver_destroy(d);
        return fail_set(fail, E_IO, "the log cannot begin a new term: %s", raft_strerror(err));
    }
    err = start(d, take_loaded, fail);
    if (err) {
        raft_driver_destroy(d);
        return err;
    }
    *ret = d;
    return 0;
}

void raft_driver_destroy(struct raft_driver *d)
{
    if (!d) {
        return;
    }
    while (d->head) {
        struct pending *p = d->head;
        d->head = p->next;
        free_payload(p);
        mem_free(p->address);
        mem_free(p);
    }
    raft_close(&d->raft, NULL);
    raft_log_close(&d->log);
    raft_free(d->restore.base);
    mem_free(d);
}

void raft_driver_tick(struct raft_driver *d)
{
    uint64_t now = d->options.now_ms(d->options.self);
    if (!d->is_dead && now >= raft_timeout(&d->raft)) {
        d->ticked_ms = now;
        (void)raft_queue(d, RAFT_TIMEOUT);
        raft_run(d);
    }
}

uint64_t raft_driver_deadline(const struct raft_driver *d)
{
    if (d->is_dead) {
        return UINT64_MAX;
    }
    /* libraft also counts from the last message to a server that it does not send to any more, and
     * would then be asked without end. */
    uint64_t due = raft_timeout(&d->raft);
    uint64_t soonest = d->ticked_ms + RAFT_DRIVER_TICK_MIN_MS;
    return due > soonest ? due : soonest;
}

void raft_driver_receive(struct raft_driver *d, struct raft_message *take_message)
{
    struct raft_append_entries parts[PARTS_MAX];
    unsigned n = 1;
    struct peer *peer = raft_peer(d, take_message->server_id);
    if (peer) {
        peer->heard_ms = d->options.now_ms(d->options.self);
        peer->is_rejecting =
            peer->is_rejecting || (take_message->type == RAFT_APPEND_ENTRIES_RESULT &&
                                   take_message->append_entries_result.rejected > 0);
    }
    if (take_message->type != RAFT_APPEND_ENTRIES) {
        queue_message(d, take_message);
        raft_run(d);
        return;
    }
    n = raft_guard_split(&take_message->append_entries, parts, PARTS_MAX);
    for (unsigned i = 0; i < n; i++) {
        struct raft_message part = *take_message;
        part.append_entries = parts[i];
        queue_message(d, &part);
    }
    raft_run(d);
}
