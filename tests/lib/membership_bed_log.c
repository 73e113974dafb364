#include "membership_bed_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void bed_tell_servers(struct bed *b, struct bed_node *n)
{
    struct membership_server list[MEMBERS_MAX];
    for (size_t i = 0; i < n->config.count; i++) {
        list[i] = (struct membership_server){
            n->config.server[i].number, n->config.server[i].address, n->config.server[i].is_voter};
    }
    n->version_told = n->config.version;
    membership_on_servers(n->m, list, n->config.count, b->now);
}

/* The log */

static const struct bed_link *up_link(const struct bed *b, unsigned i, unsigned j)
{
    for (unsigned slot = 0; slot < MEMBERS_MAX; slot++) {
        const struct bed_link *l = &b->node[i].link[slot];
        if (l->is_used && l->is_up && l->peer == j) {
            return l;
        }
    }
    return NULL;
}

/* Both ways, and both let the other's frames into their logs. */
static bool are_peers(const struct bed *b, unsigned i, unsigned j)
{
    const struct bed_node *x = &b->node[i];
    const struct bed_node *y = &b->node[j];
    return x->m && y->m && up_link(b, i, j) && up_link(b, j, i) &&
           membership_is_peer(x->m, &y->id) && membership_is_peer(y->m, &x->id);
}

static bool may_lead(const struct bed *b, unsigned i)
{
    const struct bed_node *n = &b->node[i];
    unsigned voters = 0;
    unsigned near = 0;
    bool is_voter = false;
    if (!n->m || !n->has_log || membership_phase(n->m) == MEMBERSHIP_REFUSED) {
        return false;
    }
    for (size_t k = 0; k < n->config.count; k++) {
        if (!n->config.server[k].is_voter) {
            continue;
        }
        voters++;
        for (unsigned j = 0; j < b->count; j++) {
            const struct bed_node *p = &b->node[j];
            bool is_it = p->is_alive && node_id_number(&p->id) == n->config.server[k].number;
            is_voter = is_voter || (is_it && j == i);
            if (is_it && p->has_log && p->config.version <= n->config.version &&
                (j == i || are_peers(b, i, j))) {
                near++;
                break;
            }
        }
    }
    return is_voter && near > voters / 2;
}

unsigned bed_leader(struct bed *b)
{
    unsigned best = BED_NODES;
    for (unsigned i = 0; i < b->count; i++) {
        if (may_lead(b, i) &&
            (best == BED_NODES || b->node[i].config.version > b->node[best].config.version)) {
            best = i;
        }
    }
    return best;
}

static void remove_server(struct bed_config *c, uint64_t number)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (c->server[i].number != number) {
            c->server[kept++] = c->server[i];
        }
    }
    c->count = kept;
}

/* The leader's change as consensus would do it: removal first, the new one as a learner. */
static void make_change(struct bed *b, struct bed_node *n)
{
    const struct membership_change *change = &n->change;
    n->change_ms = 0;
    if (change->kind != MEMBERSHIP_ADD) {
        remove_server(&n->config, change->old_number);
    }
    if (change->kind != MEMBERSHIP_REMOVE) {
        assert_true(n->config.count < MEMBERS_MAX);
        n->config.server[n->config.count].number = change->number;
        n->config.server[n->config.count].is_voter = false;
        memcpy(n->config.server[n->config.count].address, change->address, sizeof(change->address));
        n->config.count++;
    }
    n->config.version++;
    membership_on_change_done(n->m, NULL, b->now);
}

/* A learner that has the whole log votes. */
static void promote(struct bed *b, struct bed_node *leader)
{
    for (size_t k = 0; k < leader->config.count; k++) {
        for (unsigned j = 0; j < b->count; j++) {
            const struct bed_node *p = &b->node[j];
            if (!leader->config.server[k].is_voter && p->is_alive && p->has_log &&
                node_id_number(&p->id) == leader->config.server[k].number &&
                p->config.version == leader->config.version) {
                leader->config.server[k].is_voter = true;
                leader->config.version++;
                return;
            }
        }
    }
}

static void replicate(struct bed *b, unsigned leader)
{
    struct bed_node *l = &b->node[leader];
    for (unsigned j = 0; j < b->count; j++) {
        struct bed_node *n = &b->node[j];
        bool is_server = false;
        for (size_t k = 0; k < l->config.count; k++) {
            is_server = is_server || l->config.server[k].number == node_id_number(&n->id);
        }
        bool can_take = n->is_alive && n->m && (n->has_log || n->may_take) && is_server;
        if (j != leader && can_take && are_peers(b, leader, j) &&
            n->config.version < l->config.version) {
            n->config = l->config;
            n->has_log = true;
        }
    }
}

void bed_step_log(struct bed *b)
{
    unsigned leader = bed_leader(b);
    for (unsigned i = 0; i < b->count; i++) {
        struct bed_node *n = &b->node[i];
        if (!n->m) {
            continue;
        }
        bool is_leader = i == leader;
        bool knows = leader < BED_NODES && (is_leader || are_peers(b, i, leader));
        uint64_t number = knows ? node_id_number(&b->node[leader].id) : 0;
        if (n->is_leader_told != is_leader || n->leader_told != number) {
            n->is_leader_told = is_leader;
            n->leader_told = number;
            n->change_ms = is_leader ? n->change_ms : 0;
            membership_on_leader(n->m, number, is_leader, b->now);
        }
        if (n->has_log && n->config.version != n->version_told) {
            bed_tell_servers(b, n);
        }
    }
    if (leader < BED_NODES) {
        struct bed_node *l = &b->node[leader];
        if (l->change_ms != 0 && b->now.mono_ms >= l->change_ms) {
            make_change(b, l);
        }
        promote(b, l);
        replicate(b, leader);
    }
}

/* Judging */

bool bed_is_whole(struct bed *b, unsigned count)
{
    unsigned leader = bed_leader(b);
    if (leader == BED_NODES) {
        return false;
    }
    const struct bed_node *l = &b->node[leader];
    if (l->config.count != count) {
        return false;
    }
    for (size_t k = 0; k < count; k++) {
        if (!l->config.server[k].is_voter) {
            return false;
        }
    }
    for (unsigned i = 0; i < b->count; i++) {
        const struct bed_node *n = &b->node[i];
        if (n->m && (membership_phase(n->m) != MEMBERSHIP_MEMBER ||
                     n->config.version != l->config.version ||
                     memcmp(membership_cluster_id(n->m), membership_cluster_id(l->m),
                            CLUSTER_ID_BYTES) != 0)) {
            return false;
        }
    }
    return true;
}

void bed_until_whole(struct bed *b, unsigned count, uint64_t ms_max)
{
    uint64_t end = b->now.mono_ms + ms_max;
    while (!bed_is_whole(b, count) && b->now.mono_ms < end) {
        bed_run(b, 50);
    }
    if (!bed_is_whole(b, count)) {
        for (unsigned i = 0; i < b->count; i++) {
            char words[MEMBERSHIP_WORDS_MAX] = "not running";
            if (b->node[i].m) {
                membership_words(b->node[i].m, words, b->now);
            }
            print_message("node %u: %s\n", i, words);
        }
        fail_msg("no cluster of %u after %llu ms", count, (unsigned long long)ms_max);
    }
    bed_check(b);
}

/* A key whose directory was emptied makes nothing any more. */
static bool is_on_disk(const struct bed *b, const struct node_id *id)
{
    for (unsigned i = 0; i < b->count; i++) {
        if (node_id_eq(&b->node[i].id, id)) {
            return true;
        }
    }
    return false;
}

void bed_check(struct bed *b)
{
    unsigned quorums = 0;
    for (size_t i = 0; i < b->form_count; i++) {
        unsigned made = 0;
        for (unsigned k = 0; k < b->form[i].made; k++) {
            made += is_on_disk(b, &b->form[i].by[k]);
        }
        quorums += made > b->form[i].count / 2;
    }
    if (quorums > 1) {
        fail_msg("%u clusters were begun", quorums);
    }
}

bool bed_has_said(const struct bed *b, unsigned i, const char *words)
{
    for (unsigned k = 0; k < 8; k++) {
        if (strstr(b->node[i].said[k], words)) {
            return true;
        }
    }
    return false;
}

struct membership_status bed_status(struct bed *b, unsigned i, const char *host)
{
    struct membership_status list[MEMBERS_MAX];
    size_t count = membership_status(b->node[i].m, list, MEMBERS_MAX, b->now);
    for (size_t k = 0; k < count; k++) {
        if (strcmp(list[k].host, host) == 0 && list[k].is_listed) {
            return list[k];
        }
    }
    fail_msg("node %u does not know %s", i, host);
    return list[0];
}
