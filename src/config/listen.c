/* Who listens to what over gRPC, and what they are told.
 *
 * A listener is the pair of a connection and an item. It stands in two lists (its connection's
 * table, its item's audience) and, while somebody owes the other something, in a third: DUE (a
 * notice leaves at the end of the turn; the audience's due list) or WAITING (told, and not heard of
 * since; c->notices). */
#include "config/listen.h"

#include <utlist.h>

#include "base/assert.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "base/thread.h"
#include "wire/response.h"

/* Other spellings of the default namespace than blank: public, null, in any case. */
#define SPELLING_MAX 6

/* Repetitions come after 1, 3, 10 times notify_retry_ms, and then every 10. */
static const uint32_t gaps[] = {1, 3, 10};

enum listener_state {
    QUIET,   /* nothing is owed */
    DUE,     /* in audience->due: to be told at the end of the turn */
    WAITING, /* told; in c->notices */
};

struct listen_conn {
    uint64_t conn;
    struct listener *listeners; /* uthash by audience */
    char *client_ip;
    char *tag;
    bool is_ending; /* its stream was asked to end */
    UT_hash_handle hh;
};

struct listener {
    struct listen_conn *conn;
    struct audience *audience;
    struct listener *prev, *next;         /* in audience->members */
    struct listener *due_prev, *due_next; /* in audience->due, while DUE */
    UT_hash_handle hh;                    /* in conn->listeners */
    struct deadline again;                /* in c->notices, while WAITING */
    uint8_t state;
    bool was_told; /* since it last had what there was: what it holds is a guess */
    uint32_t tries;
    uint8_t spelling_len; /* 0: the tenant as it is kept, and left out when that is empty */
    char spelling[SPELLING_MAX];
    uint8_t md5_len;
    char md5[CONFIG_MD5_TEXT]; /* what it holds */
};

/* The listeners of one item. */
struct audience {
    struct item *item;
    struct listener *members; /* utlist */
    struct listener *due;     /* utlist over due_prev, due_next */
    size_t due_count;
    struct audience *prev, *next; /* in c->due, while due is not empty */
};

static struct listen_conn *conn_find(const struct config *c, uint64_t conn)
{
    struct listen_conn *who = NULL;
    HASH_FIND(hh, c->conns, &conn, sizeof(conn), who);
    return who;
}

static struct listener *listener_find(const struct listen_conn *who, const struct audience *a)
{
    struct listener *l = NULL;
    HASH_FIND(hh, who->listeners, &a, sizeof(a), l);
    return l;
}

static struct span md5_of(const struct listener *l)
{
    return span_of(l->md5, l->md5_len);
}

static bool differs(const struct listener *l, struct span md5)
{
    struct config_reader reader = {
        .client_ip = span_str(l->conn->client_ip),
        .auto_tag = span_str(l->conn->tag),
    };
    return config_differs(l->audience->item->value, &reader, md5);
}

static void leave_due(struct config *c, struct listener *l)
{
    struct audience *a = l->audience;
    ASSERT(a->due_count > 0);
    DL_DELETE2(a->due, l, due_prev, due_next);
    if (--a->due_count == 0) {
        DL_DELETE(c->due, a);
    }
}

static void become_quiet(struct config *c, struct listener *l)
{
    if (l->state == DUE) {
        leave_due(c, l);
    }
    deadline_clear(&c->notices, &l->again);
    l->state = QUIET;
    l->tries = 0;
}

static void become_waiting(struct config *c, struct listener *l, struct now now)
{
    if (l->state == DUE) {
        leave_due(c, l);
    }
    l->state = WAITING;
    l->was_told = true;
    l->tries++;
    size_t last = ARRAY_LEN(gaps) - 1;
    size_t gap = l->tries - 1 < last ? l->tries - 1 : last;
    uint64_t wait_ms = (uint64_t)gaps[gap] * c->options.notify_retry_ms;
    deadline_set(&c->notices, &l->again, now.mono_ms + wait_ms);
}

static void become_due(struct config *c, struct listener *l)
{
    struct audience *a = l->audience;
    deadline_clear(&c->notices, &l->again);
    if (l->state == DUE) {
        return;
    }
    l->state = DUE;
    DL_APPEND2(a->due, l, due_prev, due_next);
    if (a->due_count++ == 0) {
        DL_APPEND(c->due, a);
    }
}

/* A text that is no md5 is kept as far as it goes, one byte short of the length that could ever
 * equal one. */
static void hold(struct listener *l, struct span md5)
{
    size_t len = md5.len <= CONFIG_MD5_TEXT ? md5.len : CONFIG_MD5_TEXT - 1;
    if (len > 0) {
        memcpy(l->md5, md5.data, len);
    }
    l->md5_len = (uint8_t)len;
}

static void spell(struct listener *l, const struct listen_context *context)
{
    struct span sent = context->tenant_as_sent;
    bool keep =
        span_empty(context->key.tenant) && !span_empty(span_trim(sent)) && sent.len <= SPELLING_MAX;
    l->spelling_len = keep ? (uint8_t)sent.len : 0;
    if (keep) {
        memcpy(l->spelling, sent.data, sent.len);
    }
}

static struct listener *listener_obtain(struct config *c, struct listen_conn *who,
                                        const struct config_key *key, struct fail *fail)
{
    struct item *i = item_find(c, key);
    struct listener *l = i && i->listeners ? listener_find(who, i->listeners) : NULL;
    if (l) {
        return l;
    }
    if (c->listen_count >= c->options.listens_max) {
        fail_set(fail, E_LIMIT, "this node keeps at most %u listened configs, all are in use",
                 c->options.listens_max);
        return NULL;
    }
    i = i ? i : item_obtain(c, key);
    if (!i->listeners) {
        i->listeners = mem_zalloc(1, sizeof(*i->listeners));
        i->listeners->item = i;
    }
    l = mem_zalloc(1, sizeof(*l));
    l->conn = who;
    l->audience = i->listeners;
    HASH_ADD(hh, who->listeners, audience, sizeof(l->audience), l);
    DL_APPEND(l->audience->members, l);
    c->listen_count++;
    return l;
}

/* Free l, and whatever nothing holds any more. */
static void drop(struct config *c, struct listener *l)
{
    struct audience *a = l->audience;
    become_quiet(c, l);
    HASH_DELETE(hh, l->conn->listeners, l);
    DL_DELETE(a->members, l);
    mem_free(l);
    ASSERT(c->listen_count > 0);
    c->listen_count--;
    if (!a->members) {
        struct item *i = a->item;
        i->listeners = NULL;
        mem_free(a);
        (void)item_release(c, i);
    }
}

/* It holds md5, and that is (not) what there is. */
static void heard(struct config *c, struct listener *l, struct span md5, bool is_old,
                  struct now now)
{
    hold(l, md5);
    if (!is_old) {
        become_quiet(c, l);
        l->was_told = false;
        return;
    }
    if (l->state == DUE) {
        become_waiting(c, l, now); /* the answer is the notice, and is repeated like one */
    }
    l->was_told = true;
}

static bool listen_one(struct config *c, struct listener *l, const struct listen_context *context,
                       struct now now)
{
    bool is_old = differs(l, context->md5);
    spell(l, context);
    heard(c, l, context->md5, is_old, now);
    return is_old;
}

static void forget_one(struct config *c, struct listen_conn *who, const struct config_key *key)
{
    struct item *i = item_find(c, key);
    struct listener *l = i && i->listeners ? listener_find(who, i->listeners) : NULL;
    if (l) {
        drop(c, l);
    }
}

int listen_batch(struct config *c, const struct listen_request *r, struct now now,
                 struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    struct listen_conn *who = conn_find(c, r->conn);
    if (!who) {
        return fail_set(fail, E_CLIENT_GONE, "the connection is not one that may listen");
    }
    for (size_t n = 0; n < r->count; n++) {
        const struct listen_context *context = &r->list[n];
        r->changed[n] = false;
        if (!r->listen) {
            forget_one(c, who, &context->key);
            continue;
        }
        struct listener *l = listener_obtain(c, who, &context->key, fail);
        if (!l) {
            return E_LIMIT;
        }
        r->changed[n] = listen_one(c, l, context, now);
    }
    return 0;
}

void listen_retag(struct config *c, uint64_t conn, struct span tag)
{
    ASSERT_ON(THREAD_CORE);
    struct listen_conn *who = conn_find(c, conn);
    if (who && !span_empty(tag) && !span_eq(tag, span_str(who->tag))) {
        mem_free(who->tag);
        who->tag = mem_strndup(tag.data, tag.len);
    }
}

void listen_on_read(struct config *c, uint64_t conn, struct item *i, struct span md5)
{
    ASSERT_ON(THREAD_CORE);
    struct listen_conn *who = i->listeners ? conn_find(c, conn) : NULL;
    struct listener *l = who ? listener_find(who, i->listeners) : NULL;
    if (l && !differs(l, md5)) {
        hold(l, md5);
        become_quiet(c, l);
        l->was_told = false;
    }
}

void listen_on_change(struct config *c, struct item *i, struct now now)
{
    ASSERT_ON(THREAD_CORE);
    (void)now;
    if (!i->listeners) {
        return;
    }
    struct listener *l = NULL;
    DL_FOREACH(i->listeners->members, l)
    {
        if (l->was_told || differs(l, md5_of(l))) {
            l->tries = 0;
            become_due(c, l);
        } else {
            become_quiet(c, l); /* there and back within one turn */
        }
    }
}

static struct span spelling_of(const struct listener *l)
{
    if (l->spelling_len > 0) {
        return span_of(l->spelling, l->spelling_len);
    }
    return item_key(l->audience->item).tenant;
}

static struct buf *notice(struct config *c, const struct listener *l)
{
    struct config_key key = item_key(l->audience->item);
    struct span tenant = spelling_of(l);
    if (c->request_id < LISTEN_REQUEST_ID_FIRST) {
        c->request_id = LISTEN_REQUEST_ID_FIRST - 1;
    }
    struct json_out j;
    json_init(&j, 512);
    push_begin(&j, ++c->request_id);
    json_kstr(&j, "dataId", key.data_id);
    json_kstr(&j, "group", key.group);
    if (!span_empty(tenant)) {
        json_kstr(&j, "tenant", tenant);
    }
    push_end(&j, "config");
    return json_take(&j);
}

/* Tell all of the audience who are due and spell the tenant as the first of them. */
static void tell_some(struct config *c, struct audience *a, struct now now, struct outbox *out)
{
    struct span spelling = spelling_of(a->due);
    struct body body = {0};
    body_add_buf(&body, notice(c, a->due));
    uint64_t *conns = mem_alloc(a->due_count * sizeof(*conns));
    size_t count = 0;
    struct listener *l = NULL;
    struct listener *next = NULL;
    DL_FOREACH_SAFE2(a->due, l, next, due_next)
    {
        if (span_eq(spelling_of(l), spelling)) {
            conns[count++] = l->conn->conn;
            become_waiting(c, l, now);
            if (l->tries > 1) {
                atomic_fetch_add_explicit(&c->counters.notify_repeats, 1, memory_order_relaxed);
            }
        }
    }
    atomic_fetch_add_explicit(&c->counters.notifies, count, memory_order_relaxed);
    outbox_push(out, "ConfigChangeNotifyRequest", &body, conns, count);
}

/* A client that never looks at what it was told gets a new beginning: it will listen again. */
static void give_up(struct config *c, struct listener *l, struct outbox *out)
{
    become_quiet(c, l);
    atomic_fetch_add_explicit(&c->counters.notify_given_up, 1, memory_order_relaxed);
    if (!l->conn->is_ending) {
        l->conn->is_ending = true;
        outbox_close_conn(out, l->conn->conn, CONN_END_UNAVAILABLE,
                          SPAN("no reaction to notices of changed configs"));
    }
}

void listen_turn(struct config *c, struct now now, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    struct deadline *d = NULL;
    while ((d = deadlines_pop(&c->notices, now.mono_ms))) {
        struct listener *l = CONTAINER_OF(d, struct listener, again);
        if (l->tries >= c->options.notify_tries_max) {
            give_up(c, l, out);
        } else {
            become_due(c, l);
        }
    }
    while (c->due) {
        tell_some(c, c->due, now, out);
    }
}

uint64_t listen_deadline(const struct config *c)
{
    return c->due ? 0 : deadlines_next(&c->notices);
}

static void visit(const struct listener *l, listen_visit_fn fn, void *arg)
{
    struct config_key key = item_key(l->audience->item);
    fn(arg, span_str(l->conn->client_ip), &key, md5_of(l));
}

void listen_each_of_item(const struct item *i, listen_visit_fn fn, void *arg)
{
    const struct listener *l = NULL;
    if (i->listeners) {
        DL_FOREACH(i->listeners->members, l)
        {
            visit(l, fn, arg);
        }
    }
}

void listen_each_of_ip(const struct config *c, struct span ip, listen_visit_fn fn, void *arg)
{
    for (const struct listen_conn *who = c->conns; who; who = who->hh.next) {
        if (!span_eq(span_str(who->client_ip), ip)) {
            continue;
        }
        for (const struct listener *l = who->listeners; l; l = l->hh.next) {
            visit(l, fn, arg);
        }
    }
}

void config_conn_open(struct config *c, const struct config_conn *conn, struct now now)
{
    ASSERT_ON(THREAD_CORE);
    (void)now;
    if (conn_find(c, conn->conn)) {
        return;
    }
    struct listen_conn *who = mem_zalloc(1, sizeof(*who));
    who->conn = conn->conn;
    who->client_ip = mem_strndup(conn->client_ip.data, conn->client_ip.len);
    who->tag = mem_strndup(conn->tag.data, conn->tag.len);
    HASH_ADD(hh, c->conns, conn, sizeof(who->conn), who);
}

void listen_conn_close(struct config *c, struct listen_conn *conn)
{
    while (conn->listeners) {
        drop(c, conn->listeners);
    }
    HASH_DELETE(hh, c->conns, conn);
    mem_free(conn->client_ip);
    mem_free(conn->tag);
    mem_free(conn);
}

void config_conn_closed(struct config *c, uint64_t conn)
{
    ASSERT_ON(THREAD_CORE);
    struct listen_conn *who = conn_find(c, conn);
    if (who) {
        listen_conn_close(c, who);
    }
}

void config_ack(struct config *c, uint64_t conn, const struct ack *ack, struct now now)
{
    /* What ends a repetition is that the client looks, not that it heard: Go acks a notice and
     * loses it. */
    ASSERT_ON(THREAD_CORE);
    (void)c;
    (void)conn;
    (void)ack;
    (void)now;
}
