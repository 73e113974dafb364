#include "node/queries.h"

#include "node/core_state.h"
#include "node/loader.h"
#include "node/orders.h"

static void send(struct core *c, uint64_t to, enum peer_frame kind, struct buf *take_bytes)
{
    struct body body = {0};
    body_add_buf(&body, take_bytes);
    outbox_peer(&c->out, to, kind, &body);
}

int queries_ask(struct core *c, uint64_t to, const struct query *q, const struct asked *how,
                struct fail *fail)
{
    struct asked *free = NULL;
    for (size_t i = 0; i < QUERIES_MAX && !free; i++) {
        free = c->queries.list[i].id == 0 ? &c->queries.list[i] : NULL;
    }
    if (!free) {
        return fail_set(fail, E_LIMIT, "%d questions to other nodes are not answered yet",
                        QUERIES_MAX);
    }
    if (!c->peers || !peering_reaches(c->peers, to)) {
        return fail_set(fail, E_CLOSED, "there is no connection to that node now");
    }
    struct query sent = *q;
    sent.id = ++c->queries.last_id;
    *free = *how;
    free->id = sent.id;
    free->to = to;
    free->until_ms = c->now.mono_ms + how->patience_ms;
    send(c, to, PEER_QUERY, query_encode(&sent));
    return 0;
}

void queries_answer(struct core *c, uint64_t to, const struct answer *a)
{
    send(c, to, PEER_ANSWER, answer_encode(a));
}

static void tell(struct asked *asked, const struct answer *a)
{
    struct asked copy = *asked;
    if (a->state != ANSWER_PROGRESS) {
        *asked = (struct asked){0};
    }
    copy.told(copy.arg, a);
}

static void take_answer(struct core *c, uint64_t from, const struct answer *a, struct now now)
{
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        struct asked *asked = &c->queries.list[i];
        if (asked->id != 0 && asked->id == a->id && asked->to == from) {
            asked->until_ms = now.mono_ms + asked->patience_ms;
            tell(asked, a);
            return;
        }
    }
}

static void take_query(struct core *c, uint64_t from, const struct query *q, struct now now)
{
    switch (q->kind) {
    case QUERY_MEMBERS:
    case QUERY_ADD:
    case QUERY_REMOVE:
    case QUERY_TRANSFER:
        orders_take(c, from, q, now);
        return;
    case QUERY_LOAD:
    case QUERY_RELOAD:
        loader_take(c, from, q);
        return;
    }
    struct answer unknown = {
        .state = ANSWER_FAILED,
        .id = q->id,
        .text = SPAN("this node's version does not know that question: update it"),
    };
    queries_answer(c, from, &unknown);
}

bool queries_on_frame(struct core *c, uint64_t from, unsigned kind, struct span bytes,
                      struct now now)
{
    struct query q = {0};
    struct answer a = {0};
    struct buf *text = NULL;
    struct fail why = {0};
    if (kind == PEER_QUERY) {
        if (query_decode(bytes, &q, &why) != 0) {
            return false;
        }
        take_query(c, from, &q, now);
        return true;
    }
    if (answer_decode(bytes, &a, &text, &why) != 0) {
        return false;
    }
    take_answer(c, from, &a, now);
    buf_unref(text);
    return true;
}

void queries_turn(struct core *c, struct now now)
{
    static const struct answer late = {.state = ANSWER_FAILED,
                                       .text = {"the other node did not answer in time", 37}};
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        struct asked *asked = &c->queries.list[i];
        if (asked->id != 0 && now.mono_ms >= asked->until_ms) {
            tell(asked, &late);
        }
    }
}

uint64_t queries_deadline(const struct core *c)
{
    uint64_t at = UINT64_MAX;
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        const struct asked *asked = &c->queries.list[i];
        at = asked->id != 0 && asked->until_ms < at ? asked->until_ms : at;
    }
    return at;
}

void queries_stop(struct core *c)
{
    static const struct answer stops = {.state = ANSWER_FAILED, .text = {"this node stops", 15}};
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        if (c->queries.list[i].id != 0) {
            tell(&c->queries.list[i], &stops);
        }
    }
}
