/* Held long polls. Everything that a poll needs lives as long as its call: the decoded request is
 * in the call's arena. */
#include "config/poll.h"

#include <utlist.h>

#include "api/row.h"
#include "base/assert.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "base/thread.h"

/* That a poll names an item. */
struct poll_key {
    struct item *item;
    struct poll *poll;
    const struct listen_context *context;
    struct poll_key *prev, *next; /* in item->polls */
};

struct poll {
    struct api_call *call;
    const struct poll_request *request;
    struct poll *prev, *next; /* in c->polls */
    struct deadline end;
    const struct listen_context *changed; /* what it will be answered with */
    struct poll *answer_next;
    size_t count;
    struct poll_key keys[];
};

static const struct api_header no_cache[] = {
    {"Pragma", {"no-cache", 8}},
    {"Expires", {"Thu, 01 Jan 1970 00:00:00 GMT", 29}},
    {"Cache-Control", {"no-cache,no-store", 17}},
};
#define NO_CACHE ARRAY_LEN(no_cache)

/* As java.net.URLEncoder. */
static void url_encode(struct json_out *j, struct span s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' || c == '*';
        if (is_plain) {
            json_bytes(j, span_of(&s.data[i], 1));
        } else {
            char hex[3] = {'%', digits[c >> 4], digits[c & 15]};
            json_bytes(j, span_of(hex, sizeof(hex)));
        }
    }
}

/* "dataId%02group[%02tenant]%01", the tenant as the client spelt it. */
static void write_entry(struct json_out *j, const struct listen_context *context)
{
    url_encode(j, context->key.data_id);
    json_bytes(j, SPAN("%02"));
    url_encode(j, context->key.group);
    if (!span_empty(context->tenant_as_sent)) {
        json_bytes(j, SPAN("%02"));
        url_encode(j, context->tenant_as_sent);
    }
    json_bytes(j, SPAN("%01"));
}

static bool differs(const struct item *i, const struct poll_request *r,
                    const struct listen_context *context)
{
    return config_differs(i ? i->value : NULL, &r->reader, context->md5);
}

static void answer_empty(struct api_call *call)
{
    body_close(&call->reply.body);
}

static void answer_body(struct api_call *call, struct json_out *take_text)
{
    json_bytes(take_text, SPAN("\n"));
    api_answer_buf(call, json_take(take_text));
    call->reply.headers = no_cache;
    call->reply.headers_count = NO_CACHE;
}

static void answer_one(struct api_call *call, const struct listen_context *changed)
{
    struct json_out j;
    json_init(&j, 256);
    write_entry(&j, changed);
    answer_body(call, &j);
}

/* What a client before 2.0.4 expects of a short poll (http-api.md 2.4). list: what differs. */
static void answer_headers(struct api_call *call, struct span list, struct span old_list)
{
    struct arena *arena = &call->arena;
    struct api_header *headers = arena_alloc(arena, (NO_CACHE + 2) * sizeof(*headers));
    headers[0] = (struct api_header){"Probe-Modify-Response", arena_span(arena, old_list)};
    headers[1] = (struct api_header){"Probe-Modify-Response-New", arena_span(arena, list)};
    memcpy(headers + 2, no_cache, sizeof(no_cache));
    answer_empty(call);
    call->reply.headers = headers;
    call->reply.headers_count = NO_CACHE + 2;
}

/* Answer with all that differs. False when nothing does and the call is not answered. */
static bool answer_changed(struct config *c, struct api_call *call, const struct poll_request *r)
{
    struct json_out list;
    struct json_out old_list;
    json_init(&list, 256);
    json_init(&old_list, 0);
    for (size_t n = 0; n < r->count; n++) {
        const struct listen_context *context = &r->list[n];
        if (!differs(item_find(c, &context->key), r, context)) {
            continue;
        }
        write_entry(&list, context);
        if (r->in_headers) {
            json_bytes(&old_list, context->key.data_id);
            json_bytes(&old_list, SPAN(":"));
            json_bytes(&old_list, context->key.group);
            json_bytes(&old_list, SPAN(";"));
        }
    }
    bool any = json_text(&list).len > 0;
    if (any && r->in_headers) {
        answer_headers(call, json_text(&list), json_text(&old_list));
    } else if (any) {
        answer_body(call, &list);
    }
    json_close(&list);
    json_close(&old_list);
    return any;
}

static int check_limits(const struct config *c, const struct poll_request *r, struct fail *fail)
{
    if (c->poll_count >= c->options.polls_max) {
        return fail_set(fail, E_LIMIT, "this node holds at most %u long polls, all are in use",
                        c->options.polls_max);
    }
    if (r->count > POLL_KEYS_MAX - c->poll_key_count) {
        return fail_set(fail, E_LIMIT,
                        "held long polls name at most %d configs on this node, all are in use",
                        POLL_KEYS_MAX);
    }
    return 0;
}

static void hold(struct config *c, struct api_call *call, const struct poll_request *r,
                 struct now now)
{
    struct poll *p = mem_alloc(sizeof(*p) + r->count * sizeof(p->keys[0]));
    *p = (struct poll){.call = call, .request = r, .count = r->count};
    for (size_t n = 0; n < r->count; n++) {
        struct item *i = item_obtain(c, &r->list[n].key);
        p->keys[n] = (struct poll_key){.item = i, .poll = p, .context = &r->list[n]};
        DL_APPEND(i->polls, &p->keys[n]);
    }
    DL_APPEND(c->polls, p);
    c->poll_count++;
    c->poll_key_count += p->count;
    uint64_t least_ms = c->options.poll_hold_least_ms;
    deadline_set(&c->poll_ends, &p->end,
                 now.mono_ms + (r->hold_ms > least_ms ? r->hold_ms : least_ms));
}

int poll_admit(struct config *c, struct api_call *call, const struct poll_request *r,
               struct now now, struct outbox *out, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    ASSERT(r->count <= LISTEN_CONTEXTS_MAX);
    (void)out;
    if (answer_changed(c, call, r)) {
        return API_ANSWERED;
    }
    if (!r->is_long || r->no_hangup) {
        answer_empty(call);
        call->reply.headers = no_cache;
        call->reply.headers_count = r->is_long ? 0 : NO_CACHE;
        return API_ANSWERED;
    }
    int err = check_limits(c, r, fail);
    if (err) {
        return err;
    }
    hold(c, call, r, now);
    return API_LATER;
}

/* Let go of everything that p holds, and give its call back. changed: the item that is being
 * changed and stays, or NULL. */
static void finish(struct config *c, struct poll *take_poll, const struct item *changed,
                   struct outbox *out)
{
    for (size_t n = 0; n < take_poll->count; n++) {
        struct poll_key *k = &take_poll->keys[n];
        DL_DELETE(k->item->polls, k);
        if (k->item != changed) {
            (void)item_release(c, k->item);
        }
    }
    deadline_clear(&c->poll_ends, &take_poll->end);
    DL_DELETE(c->polls, take_poll);
    c->poll_count--;
    c->poll_key_count -= take_poll->count;
    outbox_reply(out, take_poll->call);
    mem_free(take_poll);
}

void poll_on_change(struct config *c, struct item *i, struct now now, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    (void)now;
    /* One may name the item twice, so those that are done are collected first. */
    struct poll *first = NULL;
    struct poll **last = &first;
    struct poll_key *k = NULL;
    DL_FOREACH(i->polls, k)
    {
        struct poll *p = k->poll;
        if (!p->changed && differs(i, p->request, k->context)) {
            p->changed = k->context;
            *last = p;
            last = &p->answer_next;
        }
    }
    while (first) {
        struct poll *p = first;
        first = p->answer_next;
        answer_one(p->call, p->changed);
        finish(c, p, i, out);
    }
}

void poll_turn(struct config *c, struct now now, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    struct deadline *d = NULL;
    while ((d = deadlines_pop(&c->poll_ends, now.mono_ms))) {
        struct poll *p = CONTAINER_OF(d, struct poll, end);
        answer_empty(p->call);
        finish(c, p, NULL, out);
    }
}

uint64_t poll_deadline(const struct config *c)
{
    return deadlines_next(&c->poll_ends);
}

void poll_stop(struct config *c, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    while (c->polls) {
        answer_empty(c->polls->call);
        finish(c, c->polls, NULL, out);
    }
    deadlines_close(&c->poll_ends);
}

static void visit(const struct poll_key *k, listen_visit_fn fn, void *arg)
{
    struct config_key key = item_key(k->item);
    fn(arg, k->poll->request->reader.client_ip, &key, k->context->md5);
}

void poll_each_of_item(const struct item *i, listen_visit_fn fn, void *arg)
{
    const struct poll_key *k = NULL;
    DL_FOREACH(i->polls, k)
    {
        visit(k, fn, arg);
    }
}

void poll_each_of_ip(const struct config *c, struct span ip, listen_visit_fn fn, void *arg)
{
    const struct poll *p = NULL;
    DL_FOREACH(c->polls, p)
    {
        for (size_t n = 0; span_eq(p->request->reader.client_ip, ip) && n < p->count; n++) {
            visit(&p->keys[n], fn, arg);
        }
    }
}
