/* When pushes leave and what they carry: windows, fan-outs, acks, retries.
 *
 * A turn collects the connections that are to be told, one list per (service, clusters); at its end
 * each list becomes one message with one requestId, whose bytes all receivers share. */
#include "naming/push.h"

#include <utlist.h>

#include "base/assert.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "base/thread.h"
#include "naming/push_state.h"
#include "naming/react.h"
#include "wire/response.h"

#define PUSH_TYPE "NotifySubscriberRequest"
#define PUSH_CONNS_FIRST 4

/* The lists that this turn puts together. */
struct flush {
    struct cluster_set *sets;
};

static void sub_move(struct subscription *sub, enum sub_state to)
{
    static const bool allowed[3][3] = {
        [SUB_IDLE] = {[SUB_DUE] = true, [SUB_SENT] = true},
        [SUB_DUE] = {[SUB_IDLE] = true, [SUB_DUE] = true, [SUB_SENT] = true},
        [SUB_SENT] = {[SUB_IDLE] = true, [SUB_DUE] = true, [SUB_SENT] = true},
    };
    ASSERT(allowed[sub->state][to]);
    sub->state = to;
}

static uint64_t min_ms(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A delay of 0 would make a subscription due again within the turn that served it. */
static uint64_t after(struct now now, uint64_t delay_ms)
{
    return now.mono_ms + (delay_ms ? delay_ms : 1);
}

static void idle(struct naming *n, struct subscription *sub)
{
    deadline_clear(&n->acks, &sub->deadline);
    sub->held = false;
    if (sub->state != SUB_IDLE) {
        sub_move(sub, SUB_IDLE);
    }
}

static void due(struct naming *n, struct subscription *sub, uint64_t at_ms)
{
    sub_move(sub, SUB_DUE);
    deadline_set(&n->acks, &sub->deadline, at_ms);
}

static void wait_end(struct naming *n, struct subscription *sub)
{
    if (sub->wait.key.request_id) {
        HASH_DELETE(hh, n->ack_waits, &sub->wait);
        sub->wait.key.request_id = 0;
    }
}

void push_forget(struct naming *n, struct subscription *sub)
{
    struct push_state *push = sub->service->push;
    wait_end(n, sub);
    idle(n, sub);
    if (sub->fanout && sub->fanout == push->fanout) {
        push->receivers--;
    }
    sub->fanout = 0;
}

void push_schedule_first(struct naming *n, struct subscription *sub, struct now now)
{
    sub->changed_ms = now.mono_ms + n->options.subscribe_push_ms;
    due(n, sub, after(now, n->options.subscribe_push_ms));
}

static void conns_add(struct naming *n, struct cluster_set *set, uint64_t conn, struct flush *flush)
{
    if (set->conns_count == 0) {
        set->request_id = ++n->request_id;
        set->flush_next = flush->sets;
        flush->sets = set;
    }
    if (set->conns_count == set->conns_cap) {
        set->conns_cap = set->conns_cap ? set->conns_cap * 2 : PUSH_CONNS_FIRST;
        set->conns = mem_realloc(set->conns, set->conns_cap, sizeof(*set->conns));
    }
    set->conns[set->conns_count++] = conn;
}

/* The newest list goes to sub at the end of this turn. */
static void send_to(struct naming *n, struct subscription *sub, uint64_t changed_ms, struct now now,
                    struct flush *flush)
{
    conns_add(n, sub->set, sub->client->conn, flush);
    wait_end(n, sub);
    sub->wait.key.conn = sub->client->conn;
    sub->wait.key.request_id = sub->set->request_id;
    struct ack_wait *wait = &sub->wait;
    HASH_ADD(hh, n->ack_waits, key, sizeof(wait->key), wait);
    sub_move(sub, SUB_SENT);
    sub->held = false;
    sub->changed_ms = changed_ms;
    sub->sent_ms = now.mono_ms;
    deadline_set(&n->acks, &sub->deadline, after(now, n->options.push_ack_timeout_ms));
}

/* A change that sub cannot be told while its last push is not acked: for a while. */
static void hold(struct naming *n, struct subscription *sub, uint64_t changed_ms, struct now now)
{
    if (sub->held) {
        return;
    }
    sub->held = true;
    sub->held_ms = now.mono_ms;
    sub->held_changed_ms = changed_ms;
    uint64_t at_ms = min_ms(sub->deadline.at_ms, after(now, PUSH_HOLD_MS));
    deadline_set(&n->acks, &sub->deadline, at_ms);
}

/* Is more than half of the last fan-out without an ack? Then the next one waits longer, else it may
 * come sooner. */
static void adjust_window(const struct naming *n, struct push_state *push)
{
    uint32_t least = n->options.push_window_ms;
    uint32_t most = n->options.push_window_max_ms > least ? n->options.push_window_max_ms : least;
    uint64_t window = push->window_ms;
    if (push->acked * 2 < push->receivers) {
        window = window ? window * 2 : 1;
        push->window_ms = (uint32_t)min_ms(window, most);
        return;
    }
    push->window_ms = window / 2 > least ? (uint32_t)(window / 2) : least;
}

static uint64_t digest_of(struct naming *n, struct push_state *push, struct now now)
{
    const struct service_value *v = service_refresh(n, push->service, now);
    return v ? service_value_digest(v) : 0;
}

/* The log confirms what was shown before, so receivers have this list already. Only such a service
 * pays for the comparison. */
static bool is_told(struct naming *n, struct push_state *push, struct now now)
{
    if (!push->service->pending && !push->has_digest) {
        return false;
    }
    uint64_t digest = digest_of(n, push, now);
    bool is_same = push->has_digest && push->digest == digest;
    push->digest = digest;
    push->has_digest = push->service->pending != NULL;
    return is_same;
}

static void fan_out(struct naming *n, struct push_state *push, struct now now, struct flush *flush)
{
    if (is_told(n, push, now)) {
        return;
    }
    if (push->pushed) {
        adjust_window(n, push);
    }
    push->pushed = true;
    push->pushed_ms = now.mono_ms;
    push->fanout++;
    push->receivers = push->service->subscriber_count;
    push->acked = 0;
    struct subscription *sub = NULL;
    DL_FOREACH(push->service->subscribers, sub)
    {
        sub->fanout = push->fanout;
        if (sub->state == SUB_SENT || sub->tries > 0) {
            hold(n, sub, push->changed_ms, now);
        } else {
            send_to(n, sub, push->changed_ms, now, flush);
        }
    }
}

void push_changed(struct naming *n, struct service *s, struct now now)
{
    ASSERT_ON(THREAD_CORE);
    struct push_state *push = s->push;
    if (s->subscriber_count == 0 || deadline_is_set(&push->due)) {
        return;
    }
    push->changed_ms = now.mono_ms;
    uint64_t at_ms = now.mono_ms;
    if (push->pushed) {
        if (now.mono_ms - push->pushed_ms > n->options.push_window_max_ms) {
            push->window_ms = n->options.push_window_ms;
        }
        uint64_t window_end_ms = push->pushed_ms + push->window_ms;
        at_ms = window_end_ms > at_ms ? window_end_ms : at_ms;
    }
    deadline_set(&n->pushes, &push->due, at_ms);
}

/* 1, 2, 4 ... times push_retry_ms, at most push_retry_max_ms. */
static uint64_t retry_delay_ms(const struct naming_options *o, unsigned tries)
{
    ASSERT(tries > 0);
    unsigned doublings = tries - 1 < 20 ? tries - 1 : 20;
    return min_ms((uint64_t)o->push_retry_ms << doublings, o->push_retry_max_ms);
}

/* The push was not acked, or acked as a failure. */
static void failed(struct naming *n, struct subscription *sub, struct now now)
{
    atomic_fetch_add_explicit(&n->counters.push_failures, 1, memory_order_relaxed);
    sub->tries++;
    uint64_t at_ms = after(now, retry_delay_ms(&n->options, sub->tries));
    if (sub->tries >= n->options.push_tries_max) {
        atomic_fetch_add_explicit(&n->counters.push_given_up, 1, memory_order_relaxed);
        sub->tries = 0;
        if (!sub->held) {
            idle(n, sub);
            return;
        }
        at_ms = sub->held_ms + PUSH_HOLD_MS;
    } else if (sub->held) {
        at_ms = min_ms(at_ms, sub->held_ms + PUSH_HOLD_MS);
    }
    due(n, sub, at_ms);
}

static void sub_due(struct naming *n, struct subscription *sub, struct now now, struct flush *flush)
{
    bool late =
        sub->state == SUB_SENT && now.mono_ms - sub->sent_ms >= n->options.push_ack_timeout_ms;
    if (late) {
        failed(n, sub, now);
        return;
    }
    ASSERT(sub->state != SUB_IDLE);
    struct push_state *push = sub->service->push;
    if (push->has_digest && push->digest != digest_of(n, push, now)) {
        push->has_digest = false; /* now one of them has another list than the rest */
    }
    send_to(n, sub, sub->held ? sub->held_changed_ms : sub->changed_ms, now, flush);
}

static void acked(struct naming *n, struct subscription *sub, struct now now)
{
    struct naming_counters *c = &n->counters;
    uint64_t cost_ms = now.mono_ms > sub->changed_ms ? now.mono_ms - sub->changed_ms : 0;
    atomic_fetch_add_explicit(&c->push_acks, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->push_cost_ms, cost_ms, memory_order_relaxed);
    if (cost_ms > atomic_load_explicit(&c->push_cost_max_ms, memory_order_relaxed)) {
        atomic_store_explicit(&c->push_cost_max_ms, cost_ms, memory_order_relaxed);
    }
    struct push_state *push = sub->service->push;
    if (sub->fanout && sub->fanout == push->fanout) {
        push->acked++;
    }
    sub->fanout = 0;
    sub->tries = 0;
    /* A held change goes with the fan-out that is near anyway, or by itself at the end of this
     * turn. With something pending the fan-out may find that the list was pushed (is_told): not to
     * this one. */
    if (sub->held && (push->has_digest || !deadline_is_set(&push->due))) {
        due(n, sub, now.mono_ms);
        return;
    }
    idle(n, sub);
}

void push_ack(struct naming *n, uint64_t conn, const struct ack *ack, struct now now)
{
    ASSERT_ON(THREAD_CORE);
    struct ack_wait key = {.key = {.conn = conn, .request_id = ack->request_id}};
    struct ack_wait *wait = NULL;
    HASH_FIND(hh, n->ack_waits, &key.key, sizeof(key.key), wait);
    if (!wait || ack->request_id == 0) {
        return;
    }
    struct subscription *sub = CONTAINER_OF(wait, struct subscription, wait);
    bool counted = sub->state != SUB_SENT; /* when its time was over */
    wait_end(n, sub);
    if (ack->ok) {
        acked(n, sub, now);
        return;
    }
    if (!counted) {
        failed(n, sub, now);
    }
}

/* Head and tail of the message around ServiceInfo. */
static void set_body(struct naming *n, struct cluster_set *set, struct now now, struct body *ret)
{
    struct push_state *push = set->push;
    struct service *s = push->service;
    const struct service_value *v = service_refresh(n, s, now);
    int64_t wall_ms = now.wall_ms > push->stamp ? now.wall_ms : push->stamp + 1;
    push->stamp = view_stamp(n->view, span_of(s->key, s->key_len), wall_ms);
    struct json_out j;
    json_init(&j, 128);
    push_begin(&j, set->request_id);
    json_key(&j, "serviceInfo");
    json_raw(&j, (struct span){0});
    size_t head_len = json_text(&j).len;
    push_end(&j, "naming");
    struct span text = json_text(&j);
    struct service_query q = {.clusters = span_of(set->clusters, set->clusters_len)};
    struct service_frame frame = {push->stamp, span_of(text.data, head_len),
                                  span_of(text.data + head_len, text.len - head_len)};
    service_info_body(v, &s->name, &q, &frame, ret);
    json_close(&j);
    if (!v || v->enabled == 0) {
        atomic_fetch_add_explicit(&n->counters.empty_pushes, set->conns_count,
                                  memory_order_relaxed);
    }
}

static void set_flush(struct naming *n, struct cluster_set *set, struct now now, struct outbox *out)
{
    struct body body = {0};
    set_body(n, set, now, &body);
    atomic_fetch_add_explicit(&n->counters.pushes, set->conns_count, memory_order_relaxed);
    outbox_push(out, PUSH_TYPE, &body, set->conns, set->conns_count);
    set->conns = NULL;
    set->conns_count = set->conns_cap = 0;
    set->request_id = 0;
    set->flush_next = NULL;
}

void push_turn(struct naming *n, struct now now, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    struct flush flush = {0};
    struct deadline *d = NULL;
    while ((d = deadlines_pop(&n->pushes, now.mono_ms))) {
        fan_out(n, CONTAINER_OF(d, struct push_state, due), now, &flush);
    }
    while ((d = deadlines_pop(&n->acks, now.mono_ms))) {
        sub_due(n, CONTAINER_OF(d, struct subscription, deadline), now, &flush);
    }
    while (flush.sets) {
        struct cluster_set *set = flush.sets;
        flush.sets = set->flush_next;
        set_flush(n, set, now, out);
    }
}

uint64_t push_deadline(const struct naming *n)
{
    return min_ms(deadlines_next(&n->pushes), deadlines_next(&n->acks));
}
