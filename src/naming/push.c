/* Who subscribes to what: the subscriptions' life. When and what is pushed is push_window.c. */
#include "naming/push.h"

#include <utlist.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"
#include "naming/admit.h"
#include "naming/push_state.h"

static struct subscription *find(const struct client *c, const struct service *s)
{
    struct subscription *sub = NULL;
    HASH_FIND(hh, c->subscriptions, &s, sizeof(s), sub);
    return sub;
}

static struct push_state *state_obtain(struct naming *n, struct service *s)
{
    if (!s->push) {
        s->push = mem_zalloc(1, sizeof(*s->push));
        s->push->service = s;
        s->push->window_ms = n->options.push_window_ms;
    }
    return s->push;
}

/* Join the set of clusters, which is made for its first member. */
static struct cluster_set *set_join(struct push_state *push, struct span clusters)
{
    struct cluster_set *set = NULL;
    const char *text = clusters.len > 0 ? clusters.data : "";
    HASH_FIND(hh, push->sets, text, clusters.len, set);
    if (!set) {
        set = mem_zalloc(1, sizeof(*set) + clusters.len);
        set->push = push;
        set->clusters_len = clusters.len;
        if (clusters.len > 0) {
            memcpy(set->clusters, clusters.data, clusters.len);
        }
        HASH_ADD(hh, push->sets, clusters, clusters.len, set);
    }
    set->members++;
    return set;
}

static void set_leave(struct cluster_set *set)
{
    ASSERT(set->members > 0);
    ASSERT(set->conns_count == 0);
    if (--set->members > 0) {
        return;
    }
    HASH_DELETE(hh, set->push->sets, set);
    mem_free(set->conns);
    mem_free(set);
}

/* The application is kept only where it differs from its connection's. */
static void set_app(struct subscription *sub, struct span app)
{
    mem_free(sub->app);
    sub->app = NULL;
    if (app.len > PUSH_APP_BYTES_MAX) {
        app.len = PUSH_APP_BYTES_MAX;
    }
    if (!span_empty(app) && !span_eq(app, span_str(sub->client->app))) {
        sub->app = mem_strndup(app.data, app.len);
    }
}

/* Free sub. The service may then be held by nothing: service_release is the caller's. */
static void drop(struct naming *n, struct subscription *sub)
{
    struct service *s = sub->service;
    struct client *c = sub->client;
    push_forget(n, sub);
    set_leave(sub->set);
    HASH_DELETE(hh, c->subscriptions, sub);
    c->subscription_count--;
    DL_DELETE(s->subscribers, sub);
    s->subscriber_count--;
    n->subscription_count--;
    mem_free(sub->app);
    mem_free(sub);
}

static void renew(struct subscription *sub, const struct naming_subscribe *s)
{
    set_app(sub, s->app);
    if (span_eq(span_of(sub->set->clusters, sub->set->clusters_len), s->clusters)) {
        return;
    }
    struct cluster_set *set = set_join(sub->service->push, s->clusters);
    set_leave(sub->set);
    sub->set = set;
}

static void add(struct naming *n, struct client *c, struct service *service,
                const struct naming_subscribe *s, struct now now)
{
    struct subscription *sub = mem_zalloc(1, sizeof(*sub));
    sub->service = service;
    sub->client = c;
    sub->set = set_join(state_obtain(n, service), s->clusters);
    set_app(sub, s->app);
    HASH_ADD(hh, c->subscriptions, service, sizeof(service), sub);
    c->subscription_count++;
    DL_APPEND(service->subscribers, sub);
    service->subscriber_count++;
    n->subscription_count++;
    push_schedule_first(n, sub, now);
}

static int check_limits(const struct naming *n, const struct client *c, struct fail *fail)
{
    if (n->subscription_count >= NAMING_SUBSCRIPTIONS_MAX) {
        return fail_set(fail, E_LIMIT, "this node keeps at most %d subscriptions, all are in use",
                        NAMING_SUBSCRIPTIONS_MAX);
    }
    if (c->subscription_count >= NAMING_CLIENT_PUBLISH_MAX) {
        return fail_set(fail, E_LIMIT, "a client subscribes to at most %d services, [%s] does so",
                        NAMING_CLIENT_PUBLISH_MAX, c->id);
    }
    return 0;
}

int push_subscribe(struct naming *n, const struct naming_subscribe *s, struct now now,
                   struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    struct client *c = client_of_conn(n, s->conn);
    if (!c || c->gone) {
        return admit_client_gone(s->conn_id, fail);
    }
    if (s->clusters.len > PUSH_CLUSTERS_BYTES_MAX) {
        return fail_set(fail, E_TOO_LARGE, "clusters: expected at most %d bytes, got %zu",
                        PUSH_CLUSTERS_BYTES_MAX, s->clusters.len);
    }
    struct service *service = service_find(n, &s->service);
    struct subscription *sub = service ? find(c, service) : NULL;
    if (sub) {
        renew(sub, s);
        return 0;
    }
    int err = check_limits(n, c, fail);
    if (err) {
        return err;
    }
    add(n, c, service ? service : service_obtain(n, &s->service), s, now);
    return 0;
}

int push_unsubscribe(struct naming *n, const struct naming_subscribe *s, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    struct client *c = client_of_conn(n, s->conn);
    if (!c || c->gone) {
        return admit_client_gone(s->conn_id, fail);
    }
    struct service *service = service_find(n, &s->service);
    struct subscription *sub = service ? find(c, service) : NULL;
    if (sub) {
        drop(n, sub);
        service_release(n, service);
    }
    return 0;
}

void push_drop_client(struct naming *n, struct client *c)
{
    ASSERT_ON(THREAD_CORE);
    struct subscription *sub = NULL;
    struct subscription *next = NULL;
    HASH_ITER(hh, c->subscriptions, sub, next)
    {
        struct service *service = sub->service;
        drop(n, sub);
        service_release(n, service);
    }
    ASSERT(c->subscription_count == 0);
}

void push_each_subscriber(const struct service *s,
                          void (*fn)(void *arg, const struct subscriber_info *info), void *arg)
{
    const struct subscription *sub = NULL;
    DL_FOREACH(s->subscribers, sub)
    {
        const struct client *c = sub->client;
        struct subscriber_info info = {
            .client_id = span_of(c->id, c->id_len),
            .ip = span_str(c->ip),
            .app = span_str(sub->app ? sub->app : c->app),
            .agent = span_str(c->agent),
            .clusters = span_of(sub->set->clusters, sub->set->clusters_len),
        };
        fn(arg, &info);
    }
}

static void free_one(struct naming *n, struct service *s)
{
    struct push_state *push = s->push;
    if (!push) {
        return;
    }
    struct subscription *sub = NULL;
    struct subscription *next = NULL;
    DL_FOREACH_SAFE(s->subscribers, sub, next)
    {
        drop(n, sub);
    }
    ASSERT(!push->sets);
    deadline_clear(&n->pushes, &push->due);
    mem_free(push);
    s->push = NULL;
}

void push_state_free(struct naming *n, struct service *s)
{
    if (s) {
        free_one(n, s);
        return;
    }
    struct service *next = NULL;
    HASH_ITER(hh, n->services, s, next)
    {
        free_one(n, s);
    }
}

static void check_subscription(const struct naming *n, const struct subscription *sub)
{
    ASSERT(find(sub->client, sub->service) == sub);
    ASSERT(sub->client->conn != 0);
    ASSERT(!sub->client->gone);
    ASSERT(deadline_is_set(&sub->deadline) == (sub->state != SUB_IDLE));
    ASSERT(sub->state != SUB_SENT || sub->wait.key.request_id != 0);
    ASSERT(sub->state != SUB_IDLE || !sub->held);
    if (sub->wait.key.request_id) {
        const struct ack_wait *wait = NULL;
        HASH_FIND(hh, n->ack_waits, &sub->wait.key, sizeof(sub->wait.key), wait);
        ASSERT(wait == &sub->wait);
    }
}

static size_t check_sets(const struct push_state *push)
{
    size_t members = 0;
    for (const struct cluster_set *set = push->sets; set; set = set->hh.next) {
        ASSERT(set->members > 0);
        ASSERT(set->conns_count == 0);
        members += set->members;
    }
    return members;
}

static size_t check_service(const struct naming *n, const struct service *s)
{
    size_t count = 0;
    size_t waiting = 0;
    const struct subscription *sub = NULL;
    DL_FOREACH(s->subscribers, sub)
    {
        ASSERT(sub->service == s);
        check_subscription(n, sub);
        waiting += sub->fanout != 0 && sub->fanout == s->push->fanout;
        count++;
    }
    ASSERT(count == s->subscriber_count);
    if (s->push) {
        ASSERT(waiting + s->push->acked == s->push->receivers);
        ASSERT(check_sets(s->push) == count);
    }
    return count;
}

void push_check(const struct naming *n)
{
    size_t count = 0;
    for (const struct service *s = n->services; s; s = s->hh.next) {
        count += check_service(n, s);
    }
    ASSERT(count == n->subscription_count);
    size_t of_clients = 0;
    for (const struct client *c = n->clients; c; c = c->hh.next) {
        ASSERT(HASH_COUNT(c->subscriptions) == c->subscription_count);
        of_clients += c->subscription_count;
    }
    ASSERT(of_clients == count);
    ASSERT(HASH_COUNT(n->ack_waits) <= count);
}
