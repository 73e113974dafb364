#include "node/orders.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "node/core_state.h"
#include "node/members_view.h"

#define ALONE                                                                                      \
    "this node is alone: it was started without a list of members; give it one (cluster.conf, "    \
    "NACOS_SERVERS or --members) and restart it"

/* Whom an answer goes to: another node, or a function here. */
struct asker {
    uint64_t from; /* 0: here */
    uint64_t id;
    query_told_fn told;
    void *arg;
};

static void tell(struct core *c, const struct asker *asker, enum answer_state state,
                 struct span text)
{
    struct answer a = {.state = state, .id = asker->id, .text = text};
    if (asker->from != 0) {
        queries_answer(c, asker->from, &a);
    } else if (asker->told) {
        asker->told(asker->arg, &a);
    }
}

static void refuse(struct core *c, const struct asker *asker, const struct fail *why)
{
    tell(c, asker, ANSWER_FAILED, span_str(fail_text(why)));
}

/* ---------------------------------------------------------------- members */

static void tell_members(struct core *c, const struct asker *asker, bool is_json, struct now now)
{
    struct members_view *v = mem_alloc(sizeof(*v));
    members_view_take(c, now, v);
    struct buf *text = is_json ? members_view_json(v) : members_view_text(v);
    tell(c, asker, ANSWER_DONE, buf_span(text));
    buf_unref(text);
    mem_free(v);
}

/* The leader was asked what it sees. */
struct members_asked {
    struct core *core;
    struct asker asker;
    bool is_json;
};

/* What is known here is better than nothing, also about a leader that does not answer. */
static void on_members(void *arg, const struct answer *a)
{
    struct members_asked *asked = arg;
    if (a->state == ANSWER_FAILED) {
        tell_members(asked->core, &asked->asker, asked->is_json, asked->core->now);
    } else {
        tell(asked->core, &asked->asker, a->state, a->text);
    }
    if (a->state != ANSWER_PROGRESS) {
        mem_free(asked);
    }
}

static void ask_members(struct core *c, const struct asker *asker, const struct query *q,
                        struct now now)
{
    struct fail why = {0};
    struct members_asked *asked = mem_zalloc(1, sizeof(*asked));
    *asked = (struct members_asked){c, *asker, q->is_json};
    struct asked how = {.patience_ms = ORDERS_MEMBERS_MS, .told = on_members, .arg = asked};
    uint64_t leader = core_log_state(c).leader_id;
    if (leader == 0 || queries_ask(c, leader, q, &how, &why) != 0) {
        tell_members(c, asker, q->is_json, now);
        mem_free(asked);
    }
}

/* ---------------------------------------------------------------- orders */

static struct asker asker_of(const struct orders *o)
{
    return (struct asker){.from = o->from, .id = o->query.id, .told = o->told, .arg = o->arg};
}

/* The order is over. */
static void end(struct core *c, enum answer_state state, const char *text)
{
    struct asker asker = asker_of(&c->orders);
    LOG_INFO("cluster", "event=order_end kind=%d address=%s done=%d text=\"%s\"",
             (int)c->orders.query.kind, c->orders.query.address, state == ANSWER_DONE, text);
    c->orders = (struct orders){0};
    tell(c, &asker, state, span_str(text));
}

/* One address, in its canonical form. */
static int parse_address(const char *text, struct member *ret, struct fail *fail)
{
    struct member_list *list = mem_zalloc(1, sizeof(*list));
    int err = members_parse("the address", span_str(text), MEMBER_PORT_DEFAULT, list, fail);
    if (!err && list->count != 1) {
        err = fail_set(fail, E_INVALID, "expected one address, HOST:PORT");
    }
    *ret = list->list[0];
    mem_free(list);
    return err;
}

/* The number of the voter there; 0: none. */
static uint64_t voter_at(const struct core *c, const struct member *at, struct now now)
{
    struct members_view *v = mem_alloc(sizeof(*v));
    uint64_t number = 0;
    members_view_take(c, now, v);
    for (size_t i = 0; i < v->count; i++) {
        const struct member_view *m = &v->list[i];
        if (m->is_voter && m->port == at->port && strcmp(m->host, at->host) == 0) {
            number = node_id_number(&m->id);
        }
    }
    mem_free(v);
    return number;
}

static int begin_transfer(struct core *c, const struct member *to, struct now now,
                          struct fail *fail)
{
    uint64_t number = to ? voter_at(c, to, now) : 0;
    if (to && number == 0) {
        return fail_set(fail, E_NOT_FOUND, "%s is no member that votes; nacre cluster shows who is",
                        to->written);
    }
    if (number == peering_number(c->peers)) {
        return fail_set(fail, E_CONFLICT, "%s leads already", to->written);
    }
    return consensus_transfer(c->log, number, fail);
}

static int begin(struct core *c, const struct query *q, struct now now, struct fail *fail)
{
    struct membership *m = peering_members(c->peers);
    struct member at = {0};
    bool has_address = q->address[0] != '\0';
    int err = has_address ? parse_address(q->address, &at, fail) : 0;
    if (err) {
        return err;
    }
    switch (q->kind) {
    case QUERY_ADD:
        return membership_order_add(m, at.host, at.port, now, fail);
    case QUERY_REMOVE:
        return membership_order_remove(m, at.host, at.port, now, fail);
    case QUERY_TRANSFER:
        return begin_transfer(c, has_address ? &at : NULL, now, fail);
    case QUERY_MEMBERS:
    case QUERY_LOAD:
    case QUERY_RELOAD:
        break;
    }
    return fail_set(fail, E_INTERNAL, "no such order");
}

/* This node leads: begin. */
static void carry_out(struct core *c, const struct asker *asker, const struct query *q,
                      struct now now)
{
    struct fail why = {0};
    if (c->orders.query.kind != 0) {
        (void)fail_set(&why, E_CONFLICT, "another order is being carried out; try again");
        refuse(c, asker, &why);
        return;
    }
    if (begin(c, q, now, &why) != 0) {
        refuse(c, asker, &why);
        return;
    }
    LOG_WARN("cluster", "event=order kind=%d address=%s from=%llu", (int)q->kind, q->address,
             (unsigned long long)asker->from);
    c->orders = (struct orders){
        .query = *q,
        .from = asker->from,
        .told = asker->told,
        .arg = asker->arg,
        .begun_ms = now.mono_ms,
        .next_ms = now.mono_ms,
        .said_ms = now.mono_ms,
    };
    c->orders.query.id = asker->id;
}

/* Somebody else leads: ask there. */
static void forward(struct core *c, const struct asker *asker, const struct query *q,
                    struct now now)
{
    struct fail why = {0};
    struct asked how = {.patience_ms = ORDERS_PATIENCE_MS, .told = asker->told, .arg = asker->arg};
    uint64_t leader = core_log_state(c).leader_id;
    if (leader != 0 && leader != peering_number(c->peers)) {
        if (queries_ask(c, leader, q, &how, &why) == 0) {
            return;
        }
    } else {
        char words[MEMBERSHIP_WORDS_MAX];
        membership_words(peering_membership(c->peers), words, now);
        (void)fail_set(&why, E_NOT_LEADER, "nobody leads now: %s", words);
    }
    refuse(c, asker, &why);
}

void orders_ask(struct core *c, const struct query *q, query_told_fn told, void *arg,
                struct now now)
{
    struct asker asker = {.told = told, .arg = arg};
    struct fail why = {0};
    bool leads = core_log_state(c).role == CONSENSUS_LEADER;
    if (q->kind == QUERY_MEMBERS && (leads || !c->peers)) {
        tell_members(c, &asker, q->is_json, now);
    } else if (!c->peers) {
        (void)fail_set(&why, E_UNSUPPORTED, ALONE);
        refuse(c, &asker, &why);
    } else if (q->kind == QUERY_MEMBERS) {
        ask_members(c, &asker, q, now);
    } else if (leads) {
        carry_out(c, &asker, q, now);
    } else {
        forward(c, &asker, q, now);
    }
}

void orders_take(struct core *c, uint64_t from, const struct query *q, struct now now)
{
    struct asker asker = {.from = from, .id = q->id};
    struct fail why = {0};
    if (q->kind == QUERY_MEMBERS) {
        tell_members(c, &asker, q->is_json, now);
    } else if (core_log_state(c).role != CONSENSUS_LEADER) {
        (void)fail_set(&why, E_NOT_LEADER, "another node leads since a moment; try again");
        refuse(c, &asker, &why);
    } else {
        carry_out(c, &asker, q, now);
    }
}

/* ---------------------------------------------------------------- how far it is */

static void end_removed(struct core *c)
{
    char text[MEMBERSHIP_WORDS_MAX + QUERY_ADDRESS_MAX];
    snprintf(text, sizeof(text),
             "%s is no member any more. Take it out of lists that name it (cluster.conf, "
             "NACOS_SERVERS, --members): an empty node that starts there is taken in again.",
             c->orders.query.address);
    end(c, ANSWER_DONE, text);
}

static void end_added(struct core *c)
{
    char text[MEMBERSHIP_WORDS_MAX + QUERY_ADDRESS_MAX];
    snprintf(text, sizeof(text),
             "%s is a member now. Put it into lists that do not name it (cluster.conf, "
             "NACOS_SERVERS, --members), so that nodes that start find it.",
             c->orders.query.address);
    end(c, ANSWER_DONE, text);
}

/* Words at the latest each ORDERS_SAY_MS. */
static void say(struct core *c, const char *words, struct now now)
{
    struct orders *o = &c->orders;
    if (now.mono_ms >= o->said_ms + ORDERS_SAY_MS) {
        struct asker asker = asker_of(o);
        o->said_ms = now.mono_ms;
        tell(c, &asker, ANSWER_PROGRESS, span_str(words));
    }
}

static void look_at_waiting(struct core *c, const char *words, struct now now)
{
    char text[MEMBERSHIP_WORDS_MAX + 64];
    if (now.mono_ms >= c->orders.begun_ms + ORDERS_WAIT_MS) {
        snprintf(text, sizeof(text), "given up after %d s: %s", ORDERS_WAIT_MS / 1000, words);
        membership_order_end(peering_members(c->peers));
        end(c, ANSWER_FAILED, text);
        return;
    }
    snprintf(text, sizeof(text), "waits for %s", words);
    say(c, text, now);
}

static void look_at_change(struct core *c, struct now now)
{
    struct membership *m = peering_members(c->peers);
    char words[MEMBERSHIP_WORDS_MAX];
    enum membership_order state = membership_order(m, words, now);
    switch (state) {
    case MEMBERSHIP_ORDER_WAITS:
        look_at_waiting(c, words, now);
        return;
    case MEMBERSHIP_ORDER_RUNS:
        say(c,
            c->orders.query.kind == QUERY_ADD ? "it gets the log, and votes when it has it"
                                              : "the members are being changed",
            now);
        return;
    case MEMBERSHIP_ORDER_DONE:
        membership_order_end(m);
        if (c->orders.query.kind == QUERY_ADD) {
            end_added(c);
        } else {
            end_removed(c);
        }
        return;
    case MEMBERSHIP_ORDER_FAILED:
    case MEMBERSHIP_ORDER_NONE:
        membership_order_end(m);
        end(c, ANSWER_FAILED, words[0] ? words : "the order is lost");
        return;
    }
}

/* The address of the member with this number, or "another node". */
static void name_of(const struct core *c, uint64_t number, char dst[MEMBER_ADDRESS_MAX + 1],
                    struct now now)
{
    struct members_view *v = mem_alloc(sizeof(*v));
    members_view_take(c, now, v);
    snprintf(dst, MEMBER_ADDRESS_MAX + 1, "another node");
    for (size_t i = 0; i < v->count; i++) {
        if (node_id_number(&v->list[i].id) == number) {
            member_address(v->list[i].host, v->list[i].port, dst);
        }
    }
    mem_free(v);
}

static void look_at_transfer(struct core *c, struct now now)
{
    struct consensus_state log = core_log_state(c);
    char address[MEMBER_ADDRESS_MAX + 1];
    char text[MEMBER_ADDRESS_MAX + 64];
    if (log.role != CONSENSUS_LEADER && log.leader_id != 0) {
        name_of(c, log.leader_id, address, now);
        snprintf(text, sizeof(text), "%s leads now (term %llu)", address,
                 (unsigned long long)log.term);
        end(c, ANSWER_DONE, text);
        return;
    }
    if (now.mono_ms >= c->orders.begun_ms + ORDERS_TRANSFER_MS) {
        end(c, ANSWER_FAILED,
            log.role == CONSENSUS_LEADER
                ? "nobody took over in time; the leader is the same as before"
                : "the leader stepped down, and nobody took over in time; nacre cluster shows "
                  "what is missing");
    }
}

void orders_turn(struct core *c, struct now now)
{
    struct orders *o = &c->orders;
    if (o->query.kind == 0 || now.mono_ms < o->next_ms) {
        return;
    }
    o->next_ms = now.mono_ms + ORDERS_LOOK_MS;
    if (o->query.kind == QUERY_TRANSFER) {
        look_at_transfer(c, now);
    } else {
        look_at_change(c, now);
    }
}

uint64_t orders_deadline(const struct core *c)
{
    return c->orders.query.kind == 0 ? UINT64_MAX : c->orders.next_ms;
}

void orders_stop(struct core *c)
{
    if (c->orders.query.kind != 0) {
        end(c, ANSWER_FAILED, "the node that carried it out stops; what had begun may go on");
    }
}
