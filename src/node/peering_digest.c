#include "node/peering_digest.h"

#include <stdio.h>

#include "api/outbox.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/digests.h"
#include "node/core_digest.h"
#include "node/peering_state.h"
#include "node/rebuild.h"

struct peering_digest {
    struct digests digests;
    struct digest_at reported; /* to this leader */
    uint64_t reported_ms;
    atomic_ulong divergences;
    uint64_t own_index; /* after which this node was told that it has diverged; 0: it was not */
    bool may_return;    /* the cluster takes in a new key at an old address by itself */
};

struct peering_digest *peering_digest_create(uint64_t self, const struct peering_options *options)
{
    struct peering_digest *d = mem_zalloc(1, sizeof(*d));
    digests_init(&d->digests, self);
    atomic_init(&d->divergences, 0);
    d->may_return =
        options->repin == MEMBERSHIP_REPIN_AUTO ||
        (options->repin == MEMBERSHIP_REPIN_SECRET && options->secret && options->secret[0]);
    return d;
}

void peering_digest_destroy(struct peering_digest *d)
{
    mem_free(d);
}

void peering_digest_entry(struct peering *p)
{
    uint64_t index = 0;
    uint64_t digest = 0;
    if (core_digest(p->core, &index, &digest)) {
        digests_put(&p->digest->digests, index, digest);
    }
}

void peering_digest_forget(struct peering *p)
{
    digests_forget(&p->digest->digests);
}

void peering_digest_on_leader(struct peering *p)
{
    p->digest->reported = (struct digest_at){0};
    digests_lead(&p->digest->digests, p->leads);
}

/* ---------------------------------------------------------------- frames that leave */

static void send(struct peering *p, uint64_t to, const struct digests_frame *frame)
{
    struct body body = {0};
    body_add_buf(&body, digests_encode(frame));
    outbox_peer(&p->core->out, to, PEER_DIGEST, &body);
}

void peering_digest_report(struct peering *p, struct now now)
{
    struct peering_digest *d = p->digest;
    struct digests_frame frame = {.kind = DIGESTS_REPORT};
    frame.count = digests_newest(&d->digests, frame.list);
    bool is_new = frame.count > 0 && frame.list[0].index != d->reported.index;
    bool is_due = now.mono_ms - d->reported_ms >= PEERING_DIGEST_REPEAT_MS;
    if (frame.count == 0 || p->leader == 0 || p->leads || (!is_new && !is_due)) {
        return;
    }
    d->reported = frame.list[0];
    d->reported_ms = now.mono_ms;
    send(p, p->leader, &frame);
}

static void ask_all(struct peering *p, uint64_t index)
{
    struct digests_frame frame = {.kind = DIGESTS_QUESTION, .count = 1, .list = {{.index = index}}};
    for (unsigned i = 0; i < p->member_count; i++) {
        if (p->members[i].id != p->number) {
            send(p, p->members[i].id, &frame);
        }
    }
}

/* ---------------------------------------------------------------- the leader's judgement */

static void tell(struct peering *p, const struct digests_verdict *v)
{
    struct digests_frame frame = {.kind = DIGESTS_DIVERGED,
                                  .count = 2,
                                  .list = {{v->index, v->theirs}, {v->index, v->right}}};
    LOG_ERROR("cluster",
              "event=diverged number=%llu index=%llu digest=%016llx right=%016llx meaning=\"its "
              "state is not what the log says and a majority has; it is told to begin anew\"",
              (unsigned long long)v->number, (unsigned long long)v->index,
              (unsigned long long)v->theirs, (unsigned long long)v->right);
    send(p, v->number, &frame);
}

/* This node answers reads and decides what enters the log: it does neither any longer as leader.
 * The next one tells it to begin anew. */
static void yield(struct peering *p, const struct digests_verdict *v)
{
    struct fail why = {0};
    LOG_ERROR("cluster",
              "event=diverged number=%llu index=%llu digest=%016llx right=%016llx meaning=\"this "
              "node leads, and a majority agrees on another state than its own: it hands over\"",
              (unsigned long long)p->number, (unsigned long long)v->index,
              (unsigned long long)v->theirs, (unsigned long long)v->right);
    if (!p->core->log || consensus_transfer(p->core->log, v->number, &why) != 0) {
        LOG_ERROR("cluster", "event=not_handed_over reason=\"%s\"", fail_text(&why));
    }
}

static void perform(struct peering *p, const struct digests_verdict *v)
{
    switch (v->word) {
    case DIGESTS_NOTHING:
        return;
    case DIGESTS_ASK:
        ask_all(p, v->index);
        return;
    case DIGESTS_TELL:
        tell(p, v);
        break;
    case DIGESTS_YIELD:
        p->digest->own_index = v->index;
        yield(p, v);
        break;
    case DIGESTS_SPLIT:
        LOG_ERROR("cluster",
                  "event=split number=%llu index=%llu digest=%016llx own=%016llx meaning=\"states "
                  "differ and no majority agrees, so nobody can say who is right: compare what the "
                  "nodes serve, and begin anew with an empty directory on the wrong ones\"",
                  (unsigned long long)v->number, (unsigned long long)v->index,
                  (unsigned long long)v->theirs, (unsigned long long)v->right);
        break;
    }
    (void)atomic_fetch_add_explicit(&p->digest->divergences, 1, memory_order_relaxed);
}

static struct digests_voters voters_of(const struct peering *p, uint64_t list[])
{
    struct digests_voters voters = {list, 0};
    for (unsigned i = 0; i < p->member_count; i++) {
        if (p->members[i].standing == CONSENSUS_VOTER) {
            list[voters.count++] = p->members[i].id;
        }
    }
    return voters;
}

void peering_digest_turn(struct peering *p, struct now now)
{
    uint64_t list[CONSENSUS_MEMBERS_MAX];
    if (now.mono_ms < digests_deadline(&p->digest->digests)) {
        return;
    }
    struct digests_verdict v = digests_turn(&p->digest->digests, voters_of(p, list), now);
    perform(p, &v);
}

uint64_t peering_digest_deadline(const struct peering *p)
{
    return digests_deadline(&p->digest->digests);
}

/* ---------------------------------------------------------------- frames that come */

static void answer(struct peering *p, uint64_t to, uint64_t index)
{
    struct digests_frame frame = {.kind = DIGESTS_ANSWER, .count = 1, .list = {{.index = index}}};
    if (digests_find(&p->digest->digests, index, &frame.list[0].digest)) {
        send(p, to, &frame);
    }
}

/* The leader's word, and it fits what this node knows of itself. */
static bool is_true(const struct peering *p, uint64_t from, const struct digests_frame *frame)
{
    uint64_t own = 0;
    return from == p->leader && !p->leads && frame->list[0].index == frame->list[1].index &&
           digests_find(&p->digest->digests, frame->list[0].index, &own) &&
           own == frame->list[0].digest && own != frame->list[1].digest;
}

static void begin_anew(struct peering *p, const struct digests_frame *frame, struct now now)
{
    struct peering_digest *d = p->digest;
    struct core *c = p->core;
    struct fail fail = {0};
    char about[REBUILD_ABOUT_MAX];
    if (d->own_index == frame->list[0].index) {
        return; /* it is on its way */
    }
    d->own_index = frame->list[0].index;
    (void)atomic_fetch_add_explicit(&d->divergences, 1, memory_order_relaxed);
    int len = snprintf(
        about, sizeof(about), "after entry %llu its digest is %016llx, and %016llx on most nodes",
        (unsigned long long)frame->list[0].index, (unsigned long long)frame->list[0].digest,
        (unsigned long long)frame->list[1].digest);
    LOG_ERROR("cluster", "event=diverged self=1 reason=\"%s\" meaning=\"this node begins anew\"",
              about);
    if (!d->may_return) {
        fail_set(&fail, E_CONFLICT,
                 "this node's state differs from the cluster's (%s), and "
                 "nacos.core.cluster.repin keeps it from being taken in with an empty directory: "
                 "do that by hand",
                 about);
        c->options.on_fatal(c->options.self, &fail);
        return;
    }
    if (rebuild_order(p->dir, now.wall_ms, span_of(about, (size_t)len), &fail) != 0) {
        c->options.on_fatal(c->options.self, &fail);
        return;
    }
    c->options.on_restart(c->options.self);
}

bool peering_digest_receive(struct peering *p, uint64_t from, struct span bytes, struct now now)
{
    uint64_t list[CONSENSUS_MEMBERS_MAX];
    struct digests_frame frame = {0};
    struct digests_verdict v = {.word = DIGESTS_NOTHING};
    int err = digests_decode(bytes, &frame);
    if (err) {
        return err == E_UNSUPPORTED; /* of another version: there is nothing to compare */
    }
    switch (frame.kind) {
    case DIGESTS_REPORT:
        v = digests_on_report(&p->digest->digests, from, frame.list, frame.count, now);
        break;
    case DIGESTS_QUESTION:
        answer(p, from, frame.list[0].index);
        break;
    case DIGESTS_ANSWER:
        v = digests_on_answer(&p->digest->digests, from, frame.list[0], voters_of(p, list), now);
        break;
    case DIGESTS_DIVERGED:
        if (is_true(p, from, &frame)) {
            begin_anew(p, &frame, now);
        }
        break;
    }
    perform(p, &v);
    return true;
}

/* ---------------------------------------------------------------- for people */

const atomic_ulong *peering_digest_counter(const struct peering *p)
{
    return &p->digest->divergences;
}

uint64_t peering_digest_diverged(const struct peering *p, uint64_t number)
{
    if (number == p->number) {
        return p->digest->own_index;
    }
    return p->digest->digests.told == number ? p->digest->digests.told_index : 0;
}
