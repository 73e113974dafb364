#include "consensus/raft_member.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

const struct raft_server *raft_member_find(const struct raft_configuration *conf, uint64_t id)
{
    for (unsigned i = 0; i < conf->n; i++) {
        if (conf->servers[i].id == id) {
            return &conf->servers[i];
        }
    }
    return NULL;
}

static const struct raft_server *find_address(const struct raft_configuration *conf,
                                              const char *address)
{
    for (unsigned i = 0; i < conf->n; i++) {
        if (strcmp(conf->servers[i].address, address) == 0) {
            return &conf->servers[i];
        }
    }
    return NULL;
}

static const struct raft_server *find_learner(const struct raft_configuration *conf)
{
    for (unsigned i = 0; i < conf->n; i++) {
        if (conf->servers[i].role != RAFT_VOTER) {
            return &conf->servers[i];
        }
    }
    return NULL;
}

static void copy(const struct raft_configuration *from, uint64_t without,
                 struct raft_configuration *to)
{
    raft_configuration_init(to);
    for (unsigned i = 0; i < from->n; i++) {
        const struct raft_server *s = &from->servers[i];
        if (s->id != without) {
            int err = raft_configuration_add(to, s->id, s->address, s->role);
            ASSERT(!err);
        }
    }
}

static bool is_leader(const struct raft_driver *d)
{
    struct raft_driver_state state = raft_driver_state(d);
    return state.role == RAFT_LEADER && !state.is_dead;
}

/* Of the voters in conf a majority has to answer. */
static int check_quorum(const struct raft_member *m, const struct raft_driver *d,
                        const struct raft_configuration *conf, struct fail *fail)
{
    uint64_t self = raft_driver_state(d).leader_id;
    const char *silent = "";
    unsigned voters = 0;
    unsigned near = 0;
    for (unsigned i = 0; i < conf->n; i++) {
        const struct raft_server *s = &conf->servers[i];
        if (s->role != RAFT_VOTER) {
            continue;
        }
        voters++;
        if (s->id == self || raft_driver_silent_ms(d, s->id) < m->silent_ms_max) {
            near++;
        } else {
            silent = s->address;
        }
    }
    if (near > voters / 2) {
        return 0;
    }
    return fail_set(fail, E_CONFLICT,
                    "the cluster would lose its quorum: of the %u voters left %u answer, %u are "
                    "needed (%s is silent)",
                    voters, near, voters / 2 + 1, silent);
}

/* ---------------------------------------------------------------- the first */

/* The smallest id above after; NULL: none. Equal ids are found once, and then missed in the count.
 */
static const struct consensus_voter *next_voter(const struct consensus_voter *voters, unsigned n,
                                                uint64_t after)
{
    const struct consensus_voter *best = NULL;
    for (unsigned i = 0; i < n; i++) {
        if (voters[i].id > after && (!best || voters[i].id < best->id)) {
            best = &voters[i];
        }
    }
    return best;
}

static int add_voter(struct raft_configuration *conf, const struct consensus_voter *v,
                     struct fail *fail)
{
    size_t len = v->address ? strlen(v->address) : 0;
    if (len == 0 || len > CONSENSUS_ADDRESS_MAX) {
        return fail_set(fail, E_INVALID,
                        "the address of member %llu has %zu bytes, expected 1 to %d",
                        (unsigned long long)v->id, len, CONSENSUS_ADDRESS_MAX);
    }
    int err = raft_configuration_add(conf, v->id, v->address, RAFT_VOTER);
    return err ? fail_set(fail, E_INVALID, "member %llu at %s: %s", (unsigned long long)v->id,
                          v->address, raft_strerror(err))
               : 0;
}

int raft_member_first(const struct consensus_voter *voters, unsigned n, uint64_t own_id,
                      struct raft_configuration *ret, struct fail *fail)
{
    struct raft_configuration conf = {0};
    raft_configuration_init(&conf);
    int err = 0;
    if (n > CONSENSUS_MEMBERS_MAX) {
        err =
            fail_set(fail, E_INVALID, "%u members at first, at most %d", n, CONSENSUS_MEMBERS_MAX);
        goto out;
    }
    const struct consensus_voter *v = next_voter(voters, n, 0);
    for (; v && !err; v = next_voter(voters, n, v->id)) {
        err = add_voter(&conf, v, fail);
    }
    if (!err && conf.n != n) {
        err = fail_set(fail, E_INVALID, "an id of the first members is 0, or there twice");
    }
    if (!err && n > 0 && !raft_member_find(&conf, own_id)) {
        err = fail_set(fail, E_INVALID, "this node, %llu, is not among the first members",
                       (unsigned long long)own_id);
    }
out:
    if (err) {
        raft_configuration_close(&conf);
        raft_configuration_init(&conf);
    }
    *ret = conf;
    return err;
}

/* ---------------------------------------------------------------- taking in */

static int add_learner(struct raft_driver *d, uint64_t id, const char *address, struct fail *fail)
{
    struct raft_configuration conf = {0};
    copy(raft_driver_members(d), 0, &conf);
    int err = raft_configuration_add(&conf, id, address, RAFT_SPARE);
    if (err) {
        err = fail_set(fail, E_INVALID, "member %llu cannot be added: %s", (unsigned long long)id,
                       raft_strerror(err));
    } else {
        err = raft_driver_change(d, &conf, fail);
    }
    raft_configuration_close(&conf);
    return err;
}

static int check_add(const struct raft_member *m, const struct raft_driver *d, uint64_t id,
                     const char *address, struct fail *fail)
{
    const struct raft_configuration *conf = raft_driver_members(d);
    if (id == 0 || !address || !address[0] || strlen(address) > CONSENSUS_ADDRESS_MAX) {
        return fail_set(fail, E_INVALID,
                        "a member needs an id and an address of 1 to %d bytes, not id %llu and "
                        "%zu bytes",
                        CONSENSUS_ADDRESS_MAX, (unsigned long long)id,
                        address ? strlen(address) : 0);
    }
    if (m->pending_id) {
        return fail_set(fail, E_CONFLICT, "%s is being added: it waits for a snapshot",
                        m->pending_address);
    }
    const struct raft_server *same = raft_member_find(conf, id);
    if (same) {
        return fail_set(fail, E_CONFLICT, "%s is a member already", same->address);
    }
    const struct raft_server *there = find_address(conf, address);
    if (there) {
        return fail_set(fail, E_CONFLICT, "%s is the address of member %llu: remove that first",
                        address, (unsigned long long)there->id);
    }
    const struct raft_server *learner = find_learner(conf);
    if (learner) {
        return fail_set(fail, E_CONFLICT, "%s is still getting the log", learner->address);
    }
    if (conf->n >= CONSENSUS_MEMBERS_MAX) {
        return fail_set(fail, E_LIMIT, "there are %u members already", conf->n);
    }
    return 0;
}

static int add(struct raft_member *m, struct raft_driver *d, uint64_t id, const char *address,
               struct fail *fail)
{
    int err = check_add(m, d, id, address, fail);
    if (err) {
        return err;
    }
    raft_driver_keep(d);
    if (raft_driver_has_all(d)) {
        return add_learner(d, id, address, fail);
    }
    m->pending_id = id;
    (void)snprintf(m->pending_address, sizeof m->pending_address, "%s", address);
    return 0;
}

static void add_pending(struct raft_member *m, struct raft_driver *d)
{
    if (!raft_driver_has_all(d)) {
        return;
    }
    int err = add_learner(d, m->pending_id, m->pending_address, NULL);
    if (err != E_CONFLICT) {
        m->pending_id = 0; /* done; or it became a member or an impossible one meanwhile */
    }
}

/* When it is refused, the learner goes on getting the log, and it is tried again. */
static void promote(struct raft_member *m, struct raft_driver *d, uint64_t id)
{
    struct raft_configuration conf = {0};
    copy(raft_driver_members(d), 0, &conf);
    for (unsigned i = 0; i < conf.n; i++) {
        if (conf.servers[i].id == id) {
            conf.servers[i].role = RAFT_VOTER;
        }
    }
    int err = check_quorum(m, d, &conf, NULL);
    if (!err) {
        raft_driver_catch_up_stop(d); /* libraft refuses changes meanwhile */
        err = raft_driver_change(d, &conf, NULL);
    }
    raft_configuration_close(&conf);
    if (err) {
        raft_driver_catch_up(d, id);
    }
}

void raft_member_tick(struct raft_member *m, struct raft_driver *d, uint64_t now_ms)
{
    if (!is_leader(d)) {
        m->pending_id = 0; /* who asked sees that nothing came of it */
        return;
    }
    raft_driver_settle(d);
    const struct raft_server *learner = find_learner(raft_driver_members(d));
    if ((!learner && !m->pending_id) || now_ms < m->retry_ms || raft_driver_is_changing(d)) {
        return;
    }
    m->retry_ms = now_ms + RAFT_MEMBER_RETRY_MS;
    if (!learner) {
        add_pending(m, d);
        return;
    }
    uint64_t id = learner->id;
    int state = raft_driver_catch_up_state(d, id);
    if (state == RAFT_CATCH_UP_FINISHED) {
        promote(m, d, id);
    } else if (state != RAFT_CATCH_UP_RUNNING) {
        raft_driver_catch_up(d, id);
    }
}

uint64_t raft_member_deadline(const struct raft_member *m, const struct raft_driver *d)
{
    bool is_busy = m->pending_id || find_learner(raft_driver_members(d));
    return is_busy && is_leader(d) ? m->retry_ms : UINT64_MAX;
}

/* ---------------------------------------------------------------- letting go */

static int let_go(struct raft_member *m, struct raft_driver *d, uint64_t id, struct fail *fail)
{
    const struct raft_configuration *members = raft_driver_members(d);
    struct raft_configuration conf = {0};
    if (id != 0 && m->pending_id == id) {
        m->pending_id = 0;
        return 0;
    }
    const struct raft_server *gone = raft_member_find(members, id);
    if (!gone) {
        return fail_set(fail, E_NOT_FOUND, "no member has the id %llu", (unsigned long long)id);
    }
    if (id == raft_driver_state(d).leader_id) {
        return fail_set(fail, E_CONFLICT,
                        "%s leads and cannot be removed: transfer the leadership first",
                        gone->address);
    }
    copy(members, id, &conf);
    int err = gone->role == RAFT_VOTER ? check_quorum(m, d, &conf, fail) : 0;
    if (!err) {
        raft_driver_catch_up_stop(
            d); /* it would forbid any change; the next tick goes on with it */
        err = raft_driver_change(d, &conf, fail);
    }
    raft_configuration_close(&conf);
    return err;
}

int raft_member_change(struct raft_member *m, struct raft_driver *d, enum consensus_change change,
                       uint64_t id, const char *address, struct fail *fail)
{
    if (!is_leader(d)) {
        return fail_set(fail, E_NOT_LEADER, "this node does not lead");
    }
    return change == CONSENSUS_ADD ? add(m, d, id, address, fail) : let_go(m, d, id, fail);
}

/* ---------------------------------------------------------------- looking */

static struct consensus_member member_of(const struct raft_driver *d, const struct raft_server *s,
                                         const struct raft_driver_state *state)
{
    struct consensus_member member = {
        .id = s->id,
        .standing = s->role == RAFT_VOTER ? CONSENSUS_VOTER : CONSENSUS_LEARNER,
        .is_self = s->id == raft_driver_id(d),
        .is_leader = s->id == state->leader_id,
        .match_index = raft_driver_match(d, s->id),
        .silent_ms = raft_driver_silent_ms(d, s->id),
    };
    if (member.is_self) {
        member.silent_ms = 0;
        member.match_index = state->stored_index;
    }
    (void)snprintf(member.address, sizeof member.address, "%s", s->address);
    return member;
}

unsigned raft_member_list(const struct raft_member *m, const struct raft_driver *d,
                          struct consensus_member *ret, unsigned max)
{
    const struct raft_configuration *conf = raft_driver_members(d);
    struct raft_driver_state state = raft_driver_state(d);
    unsigned n = 0;
    for (unsigned i = 0; i < conf->n && n < max; i++) {
        ret[n++] = member_of(d, &conf->servers[i], &state);
    }
    if (m->pending_id && n < max) {
        ret[n] = (struct consensus_member){
            .id = m->pending_id, .standing = CONSENSUS_PENDING, .silent_ms = UINT64_MAX};
        (void)snprintf(ret[n].address, sizeof ret[n].address, "%s", m->pending_address);
        n++;
    }
    return n;
}
