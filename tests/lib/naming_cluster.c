#include "naming_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <utlist.h>

#include "base/mem.h"
#include "naming/push_state.h"
#include "naming_frames.h"
#include "snapshot_bed.h"

#define ROUNDS_MAX 64
#define CHECK_EACH_MAX 100 /* more entries than this at once are checked together */

uint64_t cluster_number(size_t i)
{
    return 101 + i;
}

void cluster_begin(struct cluster *c, const struct naming_options *options)
{
    *c = (struct cluster){0};
    for (size_t i = 0; i < CLUSTER_NODES; i++) {
        struct naming_options own = *options;
        own.self = cluster_number(i);
        story_begin(&c->node[i], &own);
        c->node[i].log_stuck = true; /* this harness hands the entries out */
        c->node[i].last_conn = 100 * i;
    }
}

void cluster_end(struct cluster *c)
{
    for (size_t i = 0; i < CLUSTER_NODES; i++) {
        story_end(&c->node[i]);
    }
    for (size_t k = 0; k < c->log_count; k++) {
        buf_unref(c->log[k].op);
    }
    mem_free(c->log);
}

static void append(struct cluster *c, struct cluster_entry entry)
{
    if (c->log_count == c->log_cap) {
        c->log_cap = c->log_cap ? 2 * c->log_cap : 64;
        c->log = mem_realloc(c->log, c->log_cap, sizeof(*c->log));
    }
    c->log[c->log_count++] = entry;
}

static bool collect(struct cluster *c, size_t i)
{
    struct story_op *op = c->is_silent[i] ? NULL : c->node[i].log;
    bool any = op != NULL;
    while (op) {
        struct story_op *next = op->next;
        append(c, (struct cluster_entry){
                      .op = op->op,
                      .owner = cluster_number(i),
                      .origin = i,
                      .waiting = op->waiting,
                      .shown = op->shown,
                  });
        free(op);
        op = next;
        c->node[i].log = NULL;
    }
    return any;
}

/* Offer what waits on node i to be shown, oldest first, each once. */
static void show(struct cluster *c, size_t i)
{
    struct story *s = &c->node[i];
    struct story_op **link = &s->log;
    while (*link) {
        struct story_op *op = *link;
        if (op->shown || op->is_passed) {
            link = &op->next;
            continue;
        }
        struct naming_waiting w = {++c->last_shown, buf_span(op->op), op->waiting};
        struct fail fail = {0};
        enum naming_shown what = naming_show(s->naming, &w, s->now, &s->out, &fail);
        if (what == NAMING_REFUSED) {
            c->refused[i]++;
            s->fail = fail;
            if (op->waiting) {
                op->waiting->reply.fail = fail;
                CONTAINER_OF(op->waiting, struct story_call, call)->answered = true;
            }
            *link = op->next;
            buf_unref(op->op);
            free(op);
            continue;
        }
        op->is_passed = what == NAMING_WAITS;
        op->shown = what == NAMING_SHOWN ? w.id : 0;
        op->waiting = op->shown ? NULL : op->waiting;
        link = &op->next;
    }
    naming_check(s->naming);
    story_turn(s);
}

static bool catch_up(struct cluster *c, size_t i)
{
    struct story *s = &c->node[i];
    bool any = !c->is_behind[i] && c->applied[i] < c->log_count;
    bool few = c->log_count - c->applied[i] < CHECK_EACH_MAX;
    while (any && c->applied[i] < c->log_count) {
        struct cluster_entry *e = &c->log[c->applied[i]++];
        if (!e->op) {
            naming_owner_gone(s->naming, e->owner, e->time_ms, s->now, &s->out);
        } else {
            struct api_call *waiting = e->origin == i ? e->waiting : NULL;
            if (e->origin == i && e->shown) {
                naming_commit_shown(s->naming, e->shown, buf_span(e->op), e->owner, s->now,
                                    &s->out);
            } else {
                naming_commit(s->naming, buf_span(e->op), e->owner, waiting, s->now, &s->out);
            }
        }
        if (few || c->applied[i] == c->log_count) {
            naming_check(s->naming);
        }
    }
    return any;
}

static bool deliver(struct cluster *c, size_t i)
{
    struct story_frame *f = NULL;
    bool any = false;
    while ((f = frames_take(&c->node[i].frames))) {
        size_t to = (size_t)(f->node - cluster_number(0));
        assert_true(to < CLUSTER_NODES && to != i);
        c->frames++;
        if (!c->is_cut[to]) {
            struct story *s = &c->node[to];
            struct fail fail = {0};
            assert_int_equal(naming_receive(s->naming, buf_span(f->bytes), s->now, &s->out, &fail),
                             0);
        }
        frame_free(f);
        any = true;
    }
    return any;
}

static void check_same(struct cluster *c)
{
    struct buf *first = snapshot_take(c->node[0].naming);
    for (size_t i = 1; i < CLUSTER_NODES; i++) {
        if (c->applied[i] != c->applied[0]) {
            continue;
        }
        struct buf *other = snapshot_take(c->node[i].naming);
        assert_true(span_eq(buf_span(first), buf_span(other)));
        buf_unref(other);
    }
    buf_unref(first);
}

void cluster_turn(struct cluster *c)
{
    bool any = true;
    for (int round = 0; any; round++) {
        assert_true(round < ROUNDS_MAX);
        any = false;
        for (size_t i = 0; i < CLUSTER_NODES; i++) {
            story_turn(&c->node[i]);
            if (c->shows[i]) {
                show(c, i);
            }
            any = collect(c, i) || any;
        }
        for (size_t i = 0; i < CLUSTER_NODES; i++) {
            any = catch_up(c, i) || any;
            any = deliver(c, i) || any;
        }
    }
    check_same(c);
}

void cluster_advance(struct cluster *c, uint64_t ms)
{
    uint64_t end_ms = c->node[0].now.mono_ms + ms;
    while (c->node[0].now.mono_ms < end_ms) {
        uint64_t now_ms = c->node[0].now.mono_ms;
        uint64_t next_ms = end_ms;
        for (size_t i = 0; i < CLUSTER_NODES; i++) {
            uint64_t at_ms = naming_deadline(c->node[i].naming);
            next_ms = at_ms < next_ms ? at_ms : next_ms;
        }
        next_ms = next_ms > now_ms ? next_ms : now_ms + 1;
        for (size_t i = 0; i < CLUSTER_NODES; i++) {
            c->node[i].now.wall_ms += (int64_t)(next_ms - now_ms);
            c->node[i].now.mono_ms = next_ms;
        }
        cluster_turn(c);
    }
}

int cluster_result(struct cluster *c, size_t i)
{
    cluster_turn(c);
    struct story *s = &c->node[i];
    assert_non_null(s->calls);
    if (!s->calls->answered) {
        return 1;
    }
    if (s->calls->call.reply.fail.code) {
        s->fail = s->calls->call.reply.fail;
    }
    return s->calls->call.reply.fail.code;
}

void cluster_gone(struct cluster *c, size_t i)
{
    append(c, (struct cluster_entry){
                  .owner = cluster_number(i),
                  .time_ms = c->node[0].now.wall_ms,
                  .origin = CLUSTER_NODES,
              });
    cluster_turn(c);
}

struct naming_recovery cluster_restart(struct cluster *c, size_t i)
{
    struct story *s = &c->node[i];
    struct naming_options options = s->naming->options;
    struct now now = s->now;
    uint64_t last_conn = s->last_conn;
    for (size_t k = 0; k < c->log_count; k++) {
        c->log[k].waiting = c->log[k].origin == i ? NULL : c->log[k].waiting;
        c->log[k].shown = c->log[k].origin == i ? 0 : c->log[k].shown;
    }
    story_end(s);
    story_begin(s, &options);
    s->now = now;
    s->log_stuck = true;
    s->last_conn = last_conn + 10;
    naming_replay(s->naming);
    size_t until = c->applied[i];
    c->applied[i] = 0;
    for (size_t k = 0; k < until; k++) {
        const struct cluster_entry *e = &c->log[c->applied[i]++];
        if (e->op) {
            naming_commit(s->naming, buf_span(e->op), e->owner, NULL, s->now, &s->out);
        } else {
            naming_owner_gone(s->naming, e->owner, e->time_ms, s->now, &s->out);
        }
        naming_check(s->naming);
    }
    assert_int_equal(s->out.count, 0);
    return naming_recovered(s->naming, s->now);
}

void cluster_install(struct cluster *c, size_t i, size_t from)
{
    struct story *s = &c->node[i];
    struct fail fail = {0};
    struct buf *bytes = snapshot_take(c->node[from].naming);
    assert_int_equal(snapshot_load(s->naming, buf_span(bytes), s->now, &fail, NULL), 0);
    buf_unref(bytes);
    for (size_t k = c->applied[i]; k < c->applied[from]; k++) {
        if (c->log[k].origin == i && c->log[k].shown) {
            naming_commit_shown(s->naming, c->log[k].shown, (struct span){0}, 0, s->now, &s->out);
        }
    }
    naming_check(s->naming);
    push_check(s->naming);
    c->applied[i] = c->applied[from];
}

int cluster_owner(struct cluster *c, size_t i, const char *client)
{
    const struct client *found = client_find(c->node[i].naming, span_str(client));
    return found && found->owner ? (int)(found->owner - cluster_number(0)) : -1;
}

void cluster_begin_below(struct cluster *c)
{
    struct naming_options options = story_options();
    cluster_begin(c, &options);
    c->is_silent[0] = c->shows[0] = true;
}

void cluster_heal(struct cluster *c)
{
    c->is_silent[0] = false;
    cluster_turn(c);
    assert_null(c->node[0].naming->pending);
}
