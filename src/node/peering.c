#include <endian.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/call.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "cluster/cluster_op.h"
#include "cluster/pins.h"
#include "cluster/watch.h"
#include "conn/conn.h"
#include "naming/naming.h"
#include "node/peering_change.h"
#include "node/peering_state.h"
#include "node/rebuild.h"

#define LINKS_STOP_MS 500
#define PEER_PORT_SECOND_OFFSET 1000
#define PATH_BYTES 4096
/* A leader that is silent for one to two of these is replaced, and one that hears no majority for
 * one steps down. Pre-vote keeps a node that was merely slow from disturbing the others. On a
 * stream that loses nothing one heartbeat in this time is enough, with a third of it to be late; it
 * costs an idle leader 0.5 ms (a frame to each, an answer, and both with their window updates). */
#define ELECTION_MS 300
#define HEARTBEAT_MS 200

/* ---------------------------------------------------------------- what membership wants */

static void set_links(void *self, const struct membership_link *list, size_t count)
{
    struct peering *p = self;
    struct link_member members[LINKS_MEMBERS_MAX];
    ASSERT(count <= LINKS_MEMBERS_MAX);
    for (size_t i = 0; i < count; i++) {
        members[i] = (struct link_member){
            .slot = list[i].slot,
            .host = list[i].host,
            .port = (uint16_t)(list[i].port + PEERING_PORT_OFFSET),
            .port_second =
                p->no_second_port ? 0 : (uint16_t)(list[i].port + PEER_PORT_SECOND_OFFSET),
            .pin = list[i].pin,
        };
    }
    p->net.ops->set_members(p->net.self, members, count);
}

static void send_hello(void *self, unsigned slot, struct buf *take_hello)
{
    struct peering *p = self;
    struct body body = {0};
    body_add_buf(&body, take_hello);
    (void)!p->net.ops->send(p->net.self, slot, PEER_HELLO, &body); /* another follows */
}

static int save_run(struct db_job *job, struct db *db, struct fail *fail)
{
    const struct save *s = CONTAINER_OF(job, struct save, job);
    (void)db;
    return pins_write(s->peers->dir, buf_span(s->text), fail);
}

static void save_done(struct db_job *take_job)
{
    struct save *s = CONTAINER_OF(take_job, struct save, job);
    struct peering *p = s->peers;
    buf_unref(s->text);
    s->text = NULL;
    if (s->job.err == 0) {
        membership_on_saved(p->membership, s->version, p->core->now);
        return;
    }
    if (s->job.err != E_CLOSED) {
        /* Who is trusted must be on disk before it is acted on. */
        p->core->options.on_fatal(p->core->options.self, &s->job.fail);
    }
}

static void save(void *self, struct buf *take_text, uint64_t version)
{
    struct peering *p = self;
    struct fail fail = {0};
    ASSERT(p->save.text == NULL);
    p->save = (struct save){
        .job = {.lane = DB_LANE_READ, .run = save_run, .done = save_done},
        .peers = p,
        .text = take_text,
        .version = version,
    };
    if (db_worker_submit(tables_worker(p->core->tables), &p->save.job, &fail) != 0) {
        buf_unref(take_text);
        p->save.text = NULL;
        p->core->options.on_fatal(p->core->options.self, &fail);
    }
}

static void form(void *self, const struct membership_first *list, size_t count)
{
    struct peering *p = self;
    ASSERT(count <= MEMBERS_MAX);
    memcpy(p->first, list, count * sizeof(*list));
    p->first_count = count;
    for (size_t i = 0; i < count; i++) {
        p->voters[i] =
            (struct consensus_voter){.id = p->first[i].number, .address = p->first[i].address};
    }
    p->wants_log = true;
}

static void join(void *self)
{
    struct peering *p = self;
    p->is_joining = true;
    p->wants_log = true;
}

static void change(void *self, const struct membership_change *wanted)
{
    peering_change_begin(self, wanted);
}

static void say(void *self, enum membership_weight weight, const char *text)
{
    (void)self;
    if (weight == MEMBERSHIP_ERROR) {
        LOG_ERROR("cluster", "event=membership text=\"%s\"", text);
    } else if (weight == MEMBERSHIP_WARN) {
        LOG_WARN("cluster", "event=membership text=\"%s\"", text);
    } else {
        LOG_INFO("cluster", "event=membership text=\"%s\"", text);
    }
}

static void refuse(void *self, const struct fail *why)
{
    struct peering *p = self;
    p->core->options.on_fatal(p->core->options.self, why);
}

static const struct membership_ops membership_ops = {
    .set_links = set_links,
    .send = send_hello,
    .save = save,
    .form = form,
    .join = join,
    .change = change,
    .say = say,
    .refuse = refuse,
};

/* ---------------------------------------------------------------- life */

/* The log's own first writing: a directory without it is what a crash left of an attempt. */
static bool has_log(const char *dir)
{
    char path[PATH_BYTES];
    bool is_there = false;
    for (int i = 1; i <= 2 && !is_there; i++) {
        snprintf(path, sizeof(path), "%s/log/metadata%d", dir, i);
        is_there = access(path, F_OK) == 0;
    }
    return is_there;
}

static int create_membership(struct peering *p, const struct peering_options *o, struct now now,
                             struct fail *fail)
{
    struct pins pins = {0};
    bool is_there = false;
    uint8_t seed[PEERING_SEED_BYTES];
    char name[PATH_BYTES];
    int err = pins_read(o->dir, &pins, &is_there, fail);
    if (err) {
        return err;
    }
    if (o->seed) {
        memcpy(seed, o->seed, sizeof(seed));
    } else {
        rand_bytes(seed, sizeof(seed));
    }
    snprintf(name, sizeof(name), "%s/" PINS_NAME, o->dir);
    p->has_log =
        p->core->is_played ? consensus_played_is_begun(p->core->played.disk) : has_log(o->dir);
    p->wants_log = p->has_log;
    struct membership_options options = {
        .id = &p->identity.id,
        .pins = &pins,
        .pins_name = name,
        .host = "",
        .port = o->port,
        .release = NACRE_VERSION,
        .secret = span_str(o->secret),
        .repin = o->repin,
        .has_log = p->has_log,
        .is_forced = o->is_forced,
        .seed = seed,
    };
    err = membership_create(&options, &membership_ops, p, now, &p->membership, fail);
    if (!err) {
        membership_set_list(p->membership, o->list, now);
    }
    return err;
}

static int open_identity(struct peering *p, const struct peering_options *o, bool *ret_is_new,
                         struct fail *fail)
{
    if (o->id) {
        p->identity.id = *o->id;
        return 0;
    }
    return identity_open(o->dir, &p->identity, ret_is_new, fail);
}

/* What the life before ordered: without what it was, this one is a newcomer. */
static int begin_anew(const struct peering_options *options, struct fail *fail)
{
    bool is_done = false;
    if (options->id) {
        return 0; /* played: there is no identity in the directory */
    }
    int err = rebuild_carry_out(options->dir, &is_done, fail);
    if (is_done) {
        LOG_WARN("cluster", "event=begins_anew kept=\"%s/" REBUILD_ASIDE_PREFIX "*\"",
                 options->dir);
    }
    return err;
}

int peering_create(const struct peering_options *options, struct core *core, struct peering **ret,
                   struct fail *fail)
{
    struct peering *p = mem_zalloc(1, sizeof(*p));
    struct now now = core->now;
    bool is_new = false;
    p->core = core;
    p->dir = options->dir;
    p->no_second_port = options->no_second_port;
    int err = begin_anew(options, fail);
    if (!err) {
        err = open_identity(p, options, &is_new, fail);
    }
    if (err) {
        goto out;
    }
    p->number = node_id_number(&p->identity.id);
    p->epoch = (uint64_t)now.wall_ms * 1000 + 1;
    p->pending.policy = options->registration;
    peering_quorum_set(p, false, now);
    p->wire = (struct consensus_wire){p, peering_wire_send};
    p->digest = peering_digest_create(p->number, options);
    peering_lease_init(p, options, now);
    watch_init(&p->watch, p->number, PEERING_OWNER_GRACE_MS);
    p->proposals = proposals_create(p->number, p->epoch, &peering_proposals_ops, p);
    peering_begin_epoch(p, now);
    err = peering_create_net(p, options, fail);
    if (!err) {
        err = create_membership(p, options, now, fail);
    }
    if (!err) {
        char id[NODE_ID_TEXT + 1];
        node_id_text(&p->identity.id, id);
        LOG_INFO("cluster", "event=identity id=%s number=%llu new=%d", id,
                 (unsigned long long)p->number, is_new);
        *ret = p;
        p = NULL;
    }
out:
    peering_destroy(p);
    return err;
}

void peering_destroy(struct peering *p)
{
    if (!p) {
        return;
    }
    if (p->net.ops) {
        p->net.ops->destroy(p->net.self);
    }
    membership_destroy(p->membership);
    proposals_destroy(p->proposals);
    peering_digest_destroy(p->digest);
    peering_lease_close(p);
    identity_close(&p->identity);
    mem_free(p);
}

int peering_start(struct peering *p, struct fail *fail)
{
    int err = p->net.ops->start(p->net.self, fail);
    p->is_started = err == 0;
    return err;
}

void peering_stop(struct peering *p)
{
    if (p && p->is_started) {
        p->net.ops->stop(p->net.self, LINKS_STOP_MS);
        p->is_started = false;
    }
}

struct door_way *peering_way(struct peering *p)
{
    return p->net.ops->way(p->net.self);
}

struct door *peering_door(const struct peering *p)
{
    return p->net.ops->door(p->net.self);
}

uint64_t peering_number(const struct peering *p)
{
    return p->number;
}

bool peering_log_options(const struct peering *p, struct consensus_raft_options *ret)
{
    if (!p->wants_log) {
        return false;
    }
    ret->id = p->number;
    ret->wire = &p->wire;
    ret->election_ms = ELECTION_MS;
    ret->heartbeat_ms = HEARTBEAT_MS;
    ret->bootstrap = p->first_count ? p->voters : NULL;
    ret->bootstrap_count = (unsigned)p->first_count;
    ret->is_joining = p->is_joining;
    return true;
}

/* ---------------------------------------------------------------- turns */

/* Tell membership the log's configuration when it is another one. */
static void follow_servers(struct peering *p, struct now now)
{
    struct consensus_member members[CONSENSUS_MEMBERS_MAX];
    unsigned count = consensus_members(p->core->log, members, CONSENSUS_MEMBERS_MAX);
    bool is_same = count == p->member_count;
    for (unsigned i = 0; is_same && i < count; i++) {
        is_same =
            members[i].id == p->members[i].id && members[i].standing == p->members[i].standing;
    }
    memcpy(p->members, members, count * sizeof(members[0]));
    if (is_same) {
        return;
    }
    p->member_count = count;
    struct membership_server servers[CONSENSUS_MEMBERS_MAX];
    for (unsigned i = 0; i < count; i++) {
        servers[i] = (struct membership_server){
            .number = p->members[i].id,
            .address = p->members[i].address,
            .is_voter = p->members[i].standing == CONSENSUS_VOTER,
        };
    }
    membership_on_servers(p->membership, servers, count, now);
    peering_lease_on_members(p);
}

void peering_on_log(struct peering *p, struct now now)
{
    p->wants_log = false;
    p->has_log = true;
    follow_servers(p, now);
}

bool peering_turn(struct peering *p, struct now now)
{
    if (p->core->log) {
        follow_servers(p, now);
        peering_change_turn(p, now);
    }
    membership_turn(p->membership, now);
    if (peering_is_leaderless(p, now) && !p->has_given_up) {
        struct fail why = {0};
        (void)peering_refuse_leaderless(p, now, &why);
        proposals_give_up(p->proposals, CONSENSUS_NAMING | CONSENSUS_OWNED, &why);
        p->has_given_up = true; /* what comes now is refused at once */
    }
    return p->wants_log && !p->core->log;
}

uint64_t peering_deadline(const struct peering *p)
{
    uint64_t at =
        clock_earlier(membership_deadline(p->membership), proposals_deadline(p->proposals));
    if (p->leaderless_since_ms != 0 && !p->has_given_up && proposals_count(p->proposals) > 0) {
        at = clock_earlier(at, p->leaderless_since_ms + PEERING_LEADERLESS_MS + 1);
    }
    at = clock_earlier(at, peering_pending_deadline(p, p->core->now));
    at = clock_earlier(at, peering_digest_deadline(p));
    at = clock_earlier(at, peering_lease_deadline(p));
    return clock_earlier(at, watch_deadline(&p->watch));
}

/* ---------------------------------------------------------------- mail */

static void on_hello(struct peering *p, const struct peer_mail *m, struct now now)
{
    struct fail why = {0};
    if (!membership_on_hello(p->membership, &m->id, buf_span(m->bytes), now, &why)) {
        LOG_WARN("cluster", "event=bad_hello reason=\"%s\"", fail_text(&why));
    }
}

static void on_peer_frame(struct peering *p, const struct peer_mail *m, struct now now)
{
    uint64_t from = node_id_number(&m->id);
    bool is_bad = false;
    if (m->kind == PEER_HELLO) {
        on_hello(p, m, now);
        return;
    }
    if (!membership_is_peer(p->membership, &m->id)) {
        return; /* it may say hello, nothing more */
    }
    membership_on_seen(p->membership, &m->id, now);
    watch_heard(&p->watch, from, now);
    switch (m->kind) {
    case PEER_RAFT:
        if (p->core->log) {
            consensus_receive(p->core->log, from, buf_span(m->bytes));
        }
        break;
    case PEER_OPERATIONS:
        (void)proposals_receive(p->proposals, buf_span(m->bytes), &is_bad);
        break;
    case PEER_NAMING:
        is_bad = naming_receive(p->core->naming, buf_span(m->bytes), now, &p->core->out, NULL) != 0;
        break;
    case PEER_LEASE:
        is_bad = peering_lease_receive(p, from, buf_span(m->bytes), now) != 0;
        break;
    case PEER_ALIVE:
        break;
    case PEER_DIGEST:
        is_bad = !peering_digest_receive(p, from, buf_span(m->bytes), now);
        break;
    case PEER_QUERY:
    case PEER_ANSWER:
        is_bad = !queries_on_frame(p->core, from, m->kind, buf_span(m->bytes), now);
        break;
    default:
        is_bad = true;
        break;
    }
    if (is_bad) {
        LOG_WARN("cluster", "event=bad_frame kind=%u bytes=%zu", m->kind, m->bytes->len);
    }
}

void peering_on_mail(struct peering *p, struct core_mail *take_mail, struct now now)
{
    const struct peer_mail *m = CONTAINER_OF(take_mail, struct peer_mail, mail);
    switch (m->event) {
    case EVENT_FRAME:
        atomic_fetch_sub(&p->frames_waiting, 1);
        on_peer_frame(p, m, now);
        break;
    case EVENT_UP:
        p->slot_up[m->slot] = true;
        p->slot_number[m->slot] = node_id_number(&m->id);
        naming_owner_lost(p->core->naming, p->slot_number[m->slot], false);
        membership_on_up(p->membership, m->slot, &m->id, now);
        proposals_on_link(p->proposals, node_id_number(&m->id), now);
        break;
    case EVENT_DOWN:
        p->slot_up[m->slot] = false;
        if (p->slot_number[m->slot]) {
            naming_owner_lost(p->core->naming, p->slot_number[m->slot], true);
        }
        membership_on_down(p->membership, m->slot, m->why, now);
        break;
    case EVENT_LEARNED:
        membership_on_learned(p->membership, m->slot, &m->id, now);
        break;
    case EVENT_SELF:
        membership_on_self(p->membership, m->slot, now);
        break;
    case EVENT_LIST:
        membership_set_list(p->membership, m->list, now);
        break;
    }
    peering_drop_mail(take_mail);
}

struct owners *peering_owners(struct peering *p)
{
    return &p->owners;
}

void peering_perform(struct peering *p, struct effect *e)
{
    int slot = peering_slot_to(p, e->u.peer.node);
    if (slot >= 0) {
        (void)!p->net.ops->send(p->net.self, (unsigned)slot, e->u.peer.kind, &e->u.peer.body);
    }
}

size_t peering_addresses(const struct peering *p, char (*ret)[LINK_IP_MAX], size_t max)
{
    return p->net.ops->addresses(p->net.self, ret, max);
}

bool peering_reaches(const struct peering *p, uint64_t number)
{
    return peering_slot_to(p, number) >= 0;
}

struct membership *peering_members(struct peering *p)
{
    return p->membership;
}

const struct membership *peering_membership(const struct peering *p)
{
    return p->membership;
}

const struct links_counters *peering_counters(const struct peering *p)
{
    return p->net.ops->counters(p->net.self);
}
