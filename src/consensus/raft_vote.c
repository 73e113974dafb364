#include "base/assert.h"
#include "consensus/raft_driver_state.h"

#include "base/assert.h"

static struct raft_server *own_server(struct raft *r)
{
    for (unsigned i = 0; i < r->configuration.n; i++) {
        if (r->configuration.servers[i].id == r->id) {
            return &r->configuration.servers[i];
        }
    }
    return NULL;
}

bool raft_is_learner(const struct raft_driver *d)
{
    const struct raft *r = &d->raft;
    for (unsigned i = 0; i < r->configuration.n; i++) {
        if (r->configuration.servers[i].id == r->id) {
            return r->configuration.servers[i].role != RAFT_VOTER;
        }
    }
    return false;
}

static bool is_only_voter(const struct raft_configuration *conf, uint64_t id)
{
    bool is_voter = false;
    for (unsigned i = 0; i < conf->n; i++) {
        if (conf->servers[i].role == RAFT_VOTER && conf->servers[i].id != id) {
            return false;
        }
        is_voter = is_voter || conf->servers[i].role == RAFT_VOTER;
    }
    return is_voter;
}

/* The last configuration that was loaded; the caller closes it. */
static int last_configuration(const struct raft_loaded *loaded, struct raft_configuration *ret)
{
    raft_configuration_init(ret);
    for (size_t i = loaded->n; i > 0; i--) {
        const struct raft_entry *e = &loaded->entries[i - 1];
        if (e->type == RAFT_CHANGE) {
            return raft_configuration_decode(&e->buf, ret);
        }
    }
    if (loaded->has_snapshot) {
        raft_copy_configuration(&loaded->meta.configuration, ret);
    }
    return 0;
}

int raft_leave_term(const struct raft_driver_options *o, struct raft_loaded *loaded)
{
    struct raft_configuration conf = {0};
    int err = last_configuration(loaded, &conf);
    bool was_alone = loaded->vote == 0 && conf.n == 1;
    if (!err && is_only_voter(&conf, o->id) && !was_alone) {
        const struct raft_storage *s = &o->storage;
        loaded->term++;
        loaded->vote = o->id;
        err = s->ops->set_term(s->self, loaded->term);
        err = err ? err : s->ops->set_vote(s->self, loaded->vote);
    }
    raft_configuration_close(&conf);
    return err;
}

int raft_vote_for_self(struct raft_driver *d)
{
    const struct raft_storage *s = &d->options.storage;
    if (d->raft.voted_for != 0) {
        return 0;
    }
    d->raft.voted_for = d->raft.id;
    return s->ops->set_vote(s->self, d->raft.id);
}

/* The leader was not heard of any more: libraft would go on to believe in it. */
static void forget_leader(struct raft *r, uint64_t leader, uint64_t term_before)
{
    if (r->state != RAFT_FOLLOWER || r->follower_state.current_leader.id != 0) {
        return;
    }
    if (r->current_term == term_before) {
        r->follower_state.current_leader.id = leader;
        return;
    }
    raft_free(r->follower_state.current_leader.address);
    r->follower_state.current_leader.address = NULL;
}

uint64_t raft_leader_silent_ms(const struct raft_driver *d)
{
    uint64_t now = d->options.now_ms(d->options.self);
    return now > d->heard.ms ? now - d->heard.ms : 0;
}

int raft_step_vote(struct raft_driver *d, struct raft_event *event)
{
    struct raft *r = &d->raft;
    struct raft_server *own = own_server(r);
    if (r->state != RAFT_FOLLOWER || !own) {
        return raft_step_now(d, event);
    }
    int role = own->role;
    uint64_t term = r->current_term;
    uint64_t leader = r->follower_state.current_leader.id;
    own->role = RAFT_VOTER;
    bool is_silent = leader && raft_leader_silent_ms(d) >= d->options.election_ms;
    if (is_silent) {
        r->follower_state.current_leader.id = 0;
    }
    int err = raft_step_now(d, event);
    own = own_server(r);
    if (own) {
        own->role = role; /* a vote changes no members */
    }
    if (is_silent) {
        forget_leader(r, leader, term);
    }
    return err;
}
