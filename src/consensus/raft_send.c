#include "consensus/raft_driver_state.h"

#include "base/mem.h"

static bool is_configured(const struct raft_driver *d, uint64_t id)
{
    for (unsigned i = 0; i < d->raft.configuration.n; i++) {
        if (d->raft.configuration.servers[i].id == id) {
            return true;
        }
    }
    return false;
}

/* With more of them than members there may be, one that is none any more makes room. */
static struct peer *new_peer(struct raft_driver *d)
{
    if (d->peers_count < RAFT_DRIVER_PEERS_MAX) {
        return &d->peers[d->peers_count++];
    }
    for (unsigned i = 0; i < d->peers_count; i++) {
        if (!d->peers[i].is_reading && !is_configured(d, d->peers[i].id)) {
            return &d->peers[i];
        }
    }
    return NULL;
}

struct peer *raft_peer(struct raft_driver *d, uint64_t id)
{
    for (unsigned i = 0; i < d->peers_count; i++) {
        if (d->peers[i].id == id) {
            return &d->peers[i];
        }
    }
    struct peer *peer = new_peer(d);
    if (peer) {
        *peer = (struct peer){.id = id};
    }
    return peer;
}

static void send(struct raft_driver *d, const struct raft_message *message)
{
    const struct raft_wire *wire = &d->options.wire;
    if (wire->ops) {
        wire->ops->send(wire->self, message);
    }
}

/* libraft sends all that a follower has not acknowledged again with every heartbeat, once an answer
 * took longer than one: to a node that is down, or busy with just these megabytes. Then it gets the
 * heartbeat only, until it answers, refuses, or half an election has passed. */
static bool is_in_vain(struct raft_driver *d, const struct raft_message *message)
{
    const struct raft_append_entries *append = &message->append_entries;
    struct peer *peer = raft_peer(d, message->server_id);
    uint64_t now = d->options.now_ms(d->options.self);
    if (!peer) {
        return false;
    }
    if (raft_driver_silent_ms(d, message->server_id) >= d->options.election_ms) {
        return true;
    }
    bool is_repeated = append->prev_log_index < peer->sent_last && !peer->is_rejecting;
    if (is_repeated && now - peer->sent_ms < d->options.election_ms / 2) {
        return true;
    }
    peer->sent_last = append->prev_log_index + append->n_entries;
    peer->sent_ms = now;
    peer->is_rejecting = false;
    return false;
}

/* libraft says which entries go; the bytes are ours to add. If they are gone, the message is as if
 * lost. */
static void send_append(struct raft_driver *d, const struct raft_message *message)
{
    struct raft_message full = *message;
    struct raft_append_entries *append = &full.append_entries;
    if (append->n_entries == 0 || is_in_vain(d, message)) {
        append->n_entries = 0;
        append->entries = NULL;
        send(d, &full);
        return;
    }
    append->entries = mem_zalloc(append->n_entries, sizeof *append->entries);
    unsigned i = 0;
    for (; i < append->n_entries; i++) {
        const struct raft_slot *slot = raft_log_get(&d->log, append->prev_log_index + 1 + i);
        if (!slot || !slot->block) {
            break;
        }
        append->entries[i] = (struct raft_entry){
            .term = slot->term, .type = slot->type, .buf = {slot->block->bytes, slot->block->len}};
    }
    if (i == append->n_entries) {
        send(d, &full);
    }
    mem_free(append->entries);
}

struct outgoing {
    struct raft_driver *d;
    struct raft_message message;
    char *address;
};

/* Guard G4: index, term and members come from the file that was read. */
static void on_read(void *arg, int status, struct raft_snapshot_metadata *meta,
                    struct raft_buffer *data)
{
    struct outgoing *o = arg;
    struct raft_driver *d = o->d;
    struct peer *peer = raft_peer(d, o->message.server_id);
    if (peer) {
        peer->is_reading = false;
    }
    if (status != 0 && status != RAFT_CANCELED) {
        raft_die(d, "reading a snapshot", status);
    }
    if (status == 0) {
        struct raft_install_snapshot *install = &o->message.install_snapshot;
        install->last_index = meta->index;
        install->last_term = meta->term;
        install->conf = meta->configuration;
        install->conf_index = meta->configuration_index;
        install->data = *data;
        if (!d->is_dead && d->raft.state == RAFT_LEADER && d->raft.current_term == install->term) {
            send(d, &o->message);
        }
        raft_configuration_close(&meta->configuration);
        raft_free(data->base);
    }
    mem_free(o->address);
    mem_free(o);
}

/* One snapshot per peer at a time: a repeated request is not another read. */
static int send_snapshot(struct raft_driver *d, const struct raft_message *message)
{
    const struct raft_wire *wire = &d->options.wire;
    if (wire->ops && wire->ops->snapshot) {
        wire->ops->snapshot(wire->self, message);
        return 0;
    }
    struct peer *peer = raft_peer(d, message->server_id);
    if (!peer || peer->is_reading) {
        return 0;
    }
    struct outgoing *o = mem_zalloc(1, sizeof *o);
    o->d = d;
    o->message = *message;
    o->address = mem_strndup(message->server_address, strlen(message->server_address));
    o->message.server_address = o->address;
    peer->is_reading = true;
    const struct raft_storage *s = &d->options.storage;
    int err = s->ops->get_snapshot(s->self, on_read, o);
    if (err) {
        mem_free(o->address);
        mem_free(o);
    }
    return err;
}

/* Guard G9: libraft refuses a pre-vote of an older term and answers with that term, so that the
 * other one never learns that there is a newer one. When it has the longer log, and its vote is
 * needed, neither can be elected for ever. libraft understands the answer it does not give. */
static void send_vote(struct raft_driver *d, const struct raft_message *message)
{
    struct raft_message answer = *message;
    struct raft_request_vote_result *result = &answer.request_vote_result;
    if (result->pre_vote && !result->vote_granted && result->term < d->raft.current_term) {
        result->term = d->raft.current_term;
    }
    send(d, &answer);
}

int raft_send_all(struct raft_driver *d, const struct raft_update *update)
{
    int err = 0;
    for (unsigned i = 0; i < update->messages.n && !err; i++) {
        const struct raft_message *message = &update->messages.batch[i];
        if (message->type == RAFT_APPEND_ENTRIES) {
            send_append(d, message);
        } else if (message->type == RAFT_INSTALL_SNAPSHOT) {
            err = send_snapshot(d, message);
        } else if (message->type == RAFT_REQUEST_VOTE_RESULT) {
            send_vote(d, message);
        } else {
            send(d, message);
        }
    }
    return err;
}

/* A follower would learn of a commit only with the next entries or heartbeat. One that has all
 * entries is told at once by an empty append. */
void raft_send_commit(struct raft_driver *d)
{
    struct raft *r = &d->raft;
    uint64_t commit = r->commit_index;
    if (!d->options.wire.ops || r->state != RAFT_LEADER || commit < raft_log_last(&d->log)) {
        return;
    }
    for (unsigned i = 0; i < r->configuration.n; i++) {
        const struct raft_server *server = &r->configuration.servers[i];
        raft_index match = 0;
        if (server->id == r->id || server->role == RAFT_SPARE ||
            raft_match_index(r, server->id, &match) != 0 || match != commit) {
            continue;
        }
        struct peer *peer = raft_peer(d, server->id);
        if (!peer || peer->pushed >= commit) {
            continue;
        }
        peer->pushed = commit;
        struct raft_message message = {.type = RAFT_APPEND_ENTRIES,
                                       .server_id = server->id,
                                       .server_address = server->address};
        message.append_entries =
            (struct raft_append_entries){.term = r->current_term,
                                         .prev_log_index = match,
                                         .prev_log_term = raft_log_term(&d->log, match),
                                         .leader_commit = commit};
        send(d, &message);
    }
}
