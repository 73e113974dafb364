#include "node/loader.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "node/core_state.h"

#define MILLI 1000.0

enum load_figure { LOAD_CONNECTIONS, LOAD_SDK, LOAD_LOAD, LOAD_CPU, LOAD_FIGURES };

/* ---------------------------------------------------------------- this node */

static struct load own_load(struct core *c)
{
    return (struct load){
        .connections = conn_count(c->conns),
        .sdk = conn_count_sdk(c->conns),
        .load_milli = (uint64_t)(machine_load() * MILLI),
        .cpu_milli = (uint64_t)(cpu_meter_look(&c->loader.cpu) * MILLI),
    };
}

size_t loader_reload(struct core *c, uint64_t keep, const char *host, uint16_t port)
{
    struct loader *l = &c->loader;
    size_t sdk = conn_count_sdk(c->conns);
    l->left = sdk > keep ? sdk - (size_t)keep : 0;
    l->next_ms = c->now.mono_ms;
    l->port = port;
    snprintf(l->host, sizeof(l->host), "%s", host);
    if (l->left > 0) {
        LOG_INFO("node", "event=reload connections=%zu asked=%zu to=%s", sdk, l->left,
                 host[0] ? host : "anywhere");
    }
    return l->left;
}

void loader_turn(struct core *c, struct now now)
{
    struct loader *l = &c->loader;
    if (l->left == 0 || now.mono_ms < l->next_ms) {
        return;
    }
    struct conn_target to = {span_str(l->host), l->port};
    struct conn_reset_plan plan = {
        .targets = &to,
        .targets_count = l->host[0] ? 1 : 0,
        .is_order = true,
        .max = l->left < LOADER_PORTION ? l->left : LOADER_PORTION,
        .again_ms = LOADER_AGAIN_MS,
    };
    size_t asked = conn_reset_some(c->conns, &plan, now, &c->out);
    l->left = asked < plan.max ? 0 : l->left - asked; /* others have gone meanwhile */
    l->next_ms = now.mono_ms + LOADER_PACE_MS;
}

uint64_t loader_deadline(const struct core *c)
{
    return c->loader.left > 0 ? c->loader.next_ms : UINT64_MAX;
}

/* ---------------------------------------------------------------- for another node */

static uint64_t at_least(uint64_t keep, uint64_t sdk)
{
    uint64_t least = (uint64_t)(LOADER_KEEP * (double)sdk);
    return keep > least ? keep : least;
}

/* Nacos's ServerReloadRequest. */
static void reload_step(struct core *c, uint64_t keep, const char *host, uint16_t port)
{
    uint64_t sdk = conn_count_sdk(c->conns);
    if (sdk > keep) {
        (void)loader_reload(c, at_least(keep, sdk), host, port);
    }
}

static void take_reload(struct core *c, uint64_t from, const struct query *q)
{
    struct answer a = {.state = ANSWER_DONE, .id = q->id, .text = SPAN("ok")};
    struct member_list *list = mem_zalloc(1, sizeof(*list));
    struct fail why = {0};
    int err = members_parse("the address", span_str(q->address), MEMBER_PORT_DEFAULT, list, &why);
    if (err || list->count != 1) {
        a.state = ANSWER_FAILED;
        a.text = SPAN("expected one address, HOST:PORT");
    } else {
        reload_step(c, q->count, list->list[0].host, list->list[0].port);
    }
    queries_answer(c, from, &a);
    mem_free(list);
}

void loader_take(struct core *c, uint64_t from, const struct query *q)
{
    if (q->kind == QUERY_RELOAD) {
        take_reload(c, from, q);
        return;
    }
    struct load own = own_load(c);
    struct answer a = {.state = ANSWER_DONE, .id = q->id, .figures_count = LOAD_FIGURES};
    a.figures[LOAD_CONNECTIONS] = own.connections;
    a.figures[LOAD_SDK] = own.sdk;
    a.figures[LOAD_LOAD] = own.load_milli;
    a.figures[LOAD_CPU] = own.cpu_milli;
    queries_answer(c, from, &a);
}

/* ---------------------------------------------------------------- asking all of them */

struct part {
    struct loader_gather *all;
    size_t index;
};

/* Until everybody has answered, or has not. */
struct loader_gather {
    struct core *core;
    loader_told_fn told; /* of figures ... */
    loader_done_fn done; /* ... or of a balancing */
    void *arg;
    size_t waiting; /* one more while it is being begun */
    bool is_ok;
    struct loads loads;
    struct part parts[MEMBERS_MAX + 1];
};

static struct loader_gather *begin(struct core *c, struct fail *fail)
{
    if (c->loader.gathers >= LOADER_GATHERS_MAX) {
        (void)fail_set(fail, E_LIMIT, "%d questions of this kind are under way; try again",
                       LOADER_GATHERS_MAX);
        return NULL;
    }
    c->loader.gathers++;
    struct loader_gather *g = mem_zalloc(1, sizeof(*g));
    g->core = c;
    g->waiting = 1;
    g->is_ok = true;
    return g;
}

static void one_less(struct loader_gather *g)
{
    if (--g->waiting > 0) {
        return;
    }
    g->core->loader.gathers--;
    if (g->told) {
        g->told(g->arg, &g->loads);
    } else {
        g->done(g->arg, g->is_ok);
    }
    mem_free(g);
}

static void on_answer(void *arg, const struct answer *a)
{
    const struct part *part = arg;
    struct loader_gather *g = part->all;
    if (a->state == ANSWER_PROGRESS) {
        return;
    }
    bool is_ok = a->state == ANSWER_DONE;
    g->is_ok = g->is_ok && is_ok;
    if (is_ok && g->told && a->figures_count == LOAD_FIGURES) {
        g->loads.list[part->index].is_known = true;
        g->loads.list[part->index].load = (struct load){
            .connections = a->figures[LOAD_CONNECTIONS],
            .sdk = a->figures[LOAD_SDK],
            .load_milli = a->figures[LOAD_LOAD],
            .cpu_milli = a->figures[LOAD_CPU],
        };
    }
    one_less(g);
}

static void ask(struct loader_gather *g, size_t index, uint64_t number, const struct query *q)
{
    struct fail why = {0};
    g->parts[index] = (struct part){g, index};
    struct asked how = {
        .patience_ms = LOADER_PATIENCE_MS, .told = on_answer, .arg = &g->parts[index]};
    if (queries_ask(g->core, number, q, &how, &why) == 0) {
        g->waiting++;
    } else {
        g->is_ok = false;
    }
}

int loader_gather(struct core *c, const struct members_view *view, loader_told_fn told, void *arg,
                  struct fail *fail)
{
    static const struct query q = {.kind = QUERY_LOAD};
    struct loader_gather *g = begin(c, fail);
    if (!g) {
        return E_LIMIT;
    }
    g->told = told;
    g->arg = arg;
    for (size_t i = 0; i < view->count; i++) {
        const struct member_view *m = &view->list[i];
        size_t at = g->loads.count++;
        member_address(m->host, m->port, g->loads.list[at].address);
        g->loads.list[at].number = node_id_number(&m->id);
        g->loads.list[at].is_self = m->is_self;
        if (m->is_self) {
            g->loads.list[at].is_known = true;
            g->loads.list[at].load = own_load(c);
        } else {
            ask(g, at, g->loads.list[at].number, &q);
        }
    }
    one_less(g);
    return 0;
}

struct load_sums loader_sums(const struct loads *loads)
{
    struct load_sums s = {0};
    for (size_t i = 0; i < loads->count; i++) {
        uint64_t sdk = loads->list[i].load.sdk;
        if (!loads->list[i].is_known) {
            continue;
        }
        s.total += sdk;
        s.min = s.known == 0 || sdk < s.min ? sdk : s.min;
        s.max = sdk > s.max ? sdk : s.max;
        s.known++;
    }
    s.average = s.known ? s.total / s.known : 0;
    return s;
}

/* ---------------------------------------------------------------- balancing */

/* Known nodes outside of the limits, the farthest first. Returns how many. */
static size_t find_outside(const struct loads *loads, double limit, bool is_above,
                           size_t ret[MEMBERS_MAX + 1])
{
    size_t count = 0;
    for (size_t i = 0; i < loads->count; i++) {
        double sdk = (double)loads->list[i].load.sdk;
        if (!loads->list[i].is_known || (is_above ? sdk <= limit : sdk >= limit)) {
            continue;
        }
        size_t at = count++;
        for (; at > 0; at--) {
            double before = (double)loads->list[ret[at - 1]].load.sdk;
            if (is_above ? before >= sdk : before <= sdk) {
                break;
            }
            ret[at] = ret[at - 1];
        }
        ret[at] = i;
    }
    return count;
}

static void give(struct loader_gather *g, size_t from, size_t to, uint64_t keep)
{
    struct query q = {.kind = QUERY_RELOAD, .count = keep};
    const struct loads *l = &g->loads;
    snprintf(q.address, sizeof(q.address), "%s", l->list[to].address);
    if (!l->list[from].is_self) {
        ask(g, from, l->list[from].number, &q);
        return;
    }
    struct member_list *list = mem_zalloc(1, sizeof(*list));
    struct fail why = {0};
    if (members_parse("the address", span_str(q.address), MEMBER_PORT_DEFAULT, list, &why) == 0 &&
        list->count == 1) {
        reload_step(g->core, keep, list->list[0].host, list->list[0].port);
    }
    mem_free(list);
}

int loader_balance(struct core *c, const struct loads *loads, double factor, loader_done_fn done,
                   void *arg, struct fail *fail)
{
    size_t full[MEMBERS_MAX + 1];
    size_t empty[MEMBERS_MAX + 1];
    struct load_sums sums = loader_sums(loads);
    double average = (double)sums.average;
    double most = average * (1 + factor);
    struct loader_gather *g = begin(c, fail);
    if (!g) {
        return E_LIMIT;
    }
    g->loads = *loads;
    g->done = done;
    g->arg = arg;
    size_t full_count = find_outside(loads, most, true, full);
    size_t empty_count = find_outside(loads, average * (1 - factor), false, empty);
    for (size_t i = 0; i < full_count && i < empty_count; i++) {
        give(g, full[i], empty[i], (uint64_t)most);
    }
    one_less(g);
    return 0;
}
