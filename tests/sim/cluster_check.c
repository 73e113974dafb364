/* What must hold: after every turn of a node, after a calm, and in the history of configs. */
#include "cluster_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "config/state.h"
#include "naming/state.h"
#include "node/core_digest.h"
#include "node/peering_state.h"

/* ---------------------------------------------------------------- after every turn */

static void check_leader(struct node *n, const struct consensus_state *s)
{
    struct world *w = n->w;
    if (s->role != CONSENSUS_LEADER) {
        return;
    }
    if (s->term >= TERMS_MAX) {
        world_fail(w, "term %llu", (unsigned long long)s->term);
    }
    uint64_t number = node_id_number(&n->id);
    if (w->leader_of[s->term] == 0) {
        w->leader_of[s->term] = number;
        world_note(w, "node %u leads in term %llu", n->place, (unsigned long long)s->term);
    } else if (w->leader_of[s->term] != number) {
        world_fail(w, "two nodes lead in term %llu", (unsigned long long)s->term);
    }
}

/* Nodes at the same entry have the same state, to the digest. */
static void check_state(struct node *n)
{
    struct world *w = n->w;
    uint64_t index = 0;
    uint64_t digest = 0;
    if (!core_digest(n->core, &index, &digest) || index == 0) {
        return;
    }
    if (index >= ENTRIES_MAX) {
        world_fail(w, "more entries than the world holds");
    }
    digest += w->falsehood == FALSE_STATE ? n->place : 0;
    struct entry_seen *e = &w->entries[index];
    if (e->state == 0) {
        e->state = digest ? digest : 1;
    } else if (e->state != (digest ? digest : 1)) {
        world_fail(w, "node %u has another state after entry %llu than the first one there",
                   n->place, (unsigned long long)index);
    }
}

bool check_is_degraded(const struct node *n)
{
    return core_peering(n->core)->lease.reads_degraded != n->degraded;
}

void check_turn(struct node *n)
{
    n->degraded = core_peering(n->core)->lease.reads_degraded;
    struct consensus_state s = core_log_state(n->core);
    if (n->w->falsehood == FALSE_LEADER && s.term > 1 && n->w->leader_of[s.term] != 0) {
        s.role = CONSENSUS_LEADER;
    }
    check_leader(n, &s);
    check_state(n);
}

/* ---------------------------------------------------------------- entries */

static uint64_t mix(uint64_t digest, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) {
        digest = (digest ^ at[i]) * 0x100000001b3u;
    }
    return digest;
}

/* The entry's operations are over. */
static void end_entry(struct node *n)
{
    struct world *w = n->w;
    struct entry_seen *e = &w->entries[n->entry_index];
    if (n->entry_index == 0) {
        return;
    }
    if (e->digest == 0) {
        e->digest = n->entry_digest;
    } else if (e->digest != n->entry_digest) {
        world_fail(w, "node %u applies other operations in entry %llu", n->place,
                   (unsigned long long)n->entry_index);
    }
}

void check_apply(void *self, uint64_t index, enum consensus_kind kind, struct span op)
{
    struct node *n = self;
    struct world *w = n->w;
    if (index >= ENTRIES_MAX) {
        world_fail(w, "more entries than the world holds");
    }
    if (index != n->entry_index) {
        end_entry(n);
        n->entry_index = index;
        n->entry_digest = 0xcbf29ce484222325u;
    }
    n->entry_digest = mix(mix(n->entry_digest, &kind, sizeof(kind)), op.data, op.len);
    n->entry_digest += w->falsehood == FALSE_ENTRY ? n->place : 0;
    struct entry_seen *e = &w->entries[index];
    e->boot = e->boot ? e->boot : n->boot;
    if (kind == CONSENSUS_CONFIG && e->boot == n->boot) {
        config_on_apply(w, op);
    }
    if (kind == CONSENSUS_NAMING && e->boot == n->boot) {
        naming_on_apply(w, index, op);
    }
}

/* ---------------------------------------------------------------- after a calm */

static char words[256];

static const char *say(const char *fmt, ...) PRINTF_LIKE(1, 2);

static const char *say(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(words, sizeof(words), fmt, args);
    va_end(args);
    return words;
}

static unsigned list_of(struct world *w, unsigned place, unsigned service)
{
    char json[128];
    (void)snprintf(json, sizeof(json), "{\"serviceName\":\"s%u\",\"groupName\":\"G\"}", service);
    struct buf *text = call_now(w, place, "ServiceQueryRequest", json);
    unsigned hosts = naming_hosts(text->data);
    buf_unref(text);
    return hosts;
}

static const char *check_services(struct world *w)
{
    for (unsigned s = 0; s < SERVICES_MAX; s++) {
        unsigned wanted = 0;
        for (unsigned i = 0; i < w->naming_count; i++) {
            wanted |= w->naming[i].is_alive && w->naming[i].wants[s] ? 1u << i : 0;
        }
        for (unsigned i = 0; i < w->count; i++) {
            unsigned list = list_of(w, i, s);
            if (list != wanted) {
                return say("service %u: wanted %x, node %u lists %x", s, wanted, i, list);
            }
        }
        for (unsigned i = 0; i < w->naming_count; i++) {
            const struct naming_client *c = &w->naming[i];
            if (c->is_alive && c->subscribes[s] && c->list[s] != wanted) {
                return say("service %u: wanted %x, client n%u ends otherwise", s, wanted, i);
            }
        }
    }
    return NULL;
}

static const char *check_listeners(struct world *w)
{
    for (unsigned i = 0; i < w->config_count; i++) {
        for (unsigned k = 0; k < w->keys; k++) {
            const struct key_history *h = &w->keys_seen[k];
            uint64_t last = h->count ? h->values[h->count - 1] : 0;
            if (w->config[i].value[k] != last) {
                return say("client c%u ends with another value of d%u", i, k);
            }
        }
    }
    return NULL;
}

static const char *check_nodes(struct world *w)
{
    uint64_t applied = 0;
    if (!world_leader(w)) {
        return "nobody leads";
    }
    for (unsigned i = 0; i < w->count; i++) {
        const struct node *n = &w->nodes[i];
        if (!n->core || !n->is_ready) {
            return say("node %u is not ready", i);
        }
        struct consensus_state s = core_log_state(n->core);
        applied = i == 0 ? s.applied_index : applied;
        if (s.applied_index != applied || s.applied_index != s.last_index) {
            return say("node %u stands elsewhere in the log", i);
        }
        if (proposals_count(core_peering(n->core)->proposals) > 0) {
            return say("node %u has operations that wait", i);
        }
    }
    return NULL;
}

const char *check_calm(struct world *w)
{
    const char *what = check_nodes(w);
    what = what ? what : check_services(w);
    what = what ? what : check_listeners(w);
    for (unsigned i = 0; !what && i < w->count; i++) {
        naming_check(core_naming(w->nodes[i].core));
        config_check(core_config(w->nodes[i].core));
    }
    return what;
}

/* ---------------------------------------------------------------- history */

/* The place of a value in the log's order of its key, from 1; 0: not there. */
static uint64_t order_of(const struct key_history *h, uint64_t value)
{
    for (size_t i = 0; value != 0 && i < h->count; i++) {
        if (h->values[i] == value) {
            return i + 1;
        }
    }
    return 0;
}

static void check_write(struct world *w, struct config_op_seen *op)
{
    op->order = order_of(&w->keys_seen[op->key], op->value);
    if (op->is_write && op->value != 0 && op->is_done && op->order == 0) {
        world_fail(w, "client wrote v%llu into d%u, was told so, and the log never had it",
                   (unsigned long long)op->value, op->key);
    }
    if (!op->is_write && op->value != 0 && op->order == 0) {
        world_fail(w, "d%u was read as v%llu, which the log never had", op->key,
                   (unsigned long long)op->value);
    }
}

/* The key was not there: may that be after the write of this order? */
static bool is_removed_after(const struct world *w, unsigned key, uint64_t order)
{
    const struct key_history *h = &w->keys_seen[key];
    for (size_t i = order; i < h->count; i++) {
        if (h->values[i] == 0) {
            return true;
        }
    }
    return order == 0;
}

/* A read that began when a was known: it shows a, or what stands behind it. Through nodes with a
 * lease that holds whoever knew it; else of one life of one node only. */
static void check_read(struct world *w, const struct config_op_seen *a,
                       const struct config_op_seen *b)
{
    bool is_same_life = a->boot == b->boot && !a->is_write;
    bool is_strict = !a->is_degraded && !b->is_degraded;
    bool is_old = b->value != 0 ? b->order < a->order : !is_removed_after(w, b->key, a->order);
    if (is_old && (is_strict || is_same_life)) {
        world_fail(w, "d%u: v%llu was known at %llu ms, and at %llu ms node %u answered v%llu",
                   b->key, (unsigned long long)a->value, (unsigned long long)a->end_ms,
                   (unsigned long long)b->begin_ms, b->node, (unsigned long long)b->value);
    }
}

/* Whoever began after another had ended stands later. Every value is written once; a removal has
 * none, so it is only known by what reads say. */
static void check_pair(struct world *w, const struct config_op_seen *a,
                       const struct config_op_seen *b)
{
    if (a->key != b->key || a->order == 0 || !a->is_done || !b->is_done ||
        a->end_ms >= b->begin_ms) {
        return;
    }
    if (!b->is_write) {
        check_read(w, a, b);
    } else if (b->order != 0 && b->order <= a->order) {
        world_fail(w, "d%u: v%llu began after v%llu was known and stands before it", b->key,
                   (unsigned long long)b->value, (unsigned long long)a->value);
    }
}

void check_history(struct world *w)
{
    for (size_t i = 0; i < w->ops_count; i++) {
        check_write(w, &w->ops[i]);
    }
    for (size_t i = 0; i < w->ops_count; i++) {
        for (size_t j = i + 1; j < w->ops_count; j++) {
            check_pair(w, &w->ops[i], &w->ops[j]);
        }
    }
}
