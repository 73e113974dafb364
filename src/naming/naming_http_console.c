/* What the page under /nacos shows: services, their instances, clients, subscribers, and why
 * instances went. */
#include <stdlib.h>
#include <string.h>

#include "api/v2_codes.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "naming/naming_http.h"
#include "naming/pending.h"
#include "naming/push.h"
#include "naming/push_state.h"
#include "naming/state.h"

#define CATALOG_PAGE_MAX 500
#define CATALOG_SCAN_MAX 1000 /* instances looked at for a figure of a row */
#define SUBSCRIBERS_PAGE_MAX 10000
#define PUBLISHED_MAX 10000 /* what one client publishes or subscribes to, in one answer */
#define CLIENTS_MAX 10000   /* client ids in one answer */

HTTP_DECODE(http_decode_nothing)
{
    (void)call;
    (void)p;
    (void)fail;
    return 0;
}

/* Every JSON answer of v2 stands in a Result. */
static void result_begin(struct json_out *j)
{
    json_init(j, 512);
    v2_begin(j);
}

static void result_end(struct json_out *j, struct api_call *call)
{
    v2_end(j);
    api_answer_json(call, j);
    json_close(j);
}

/* DIFF(console-optional): Nacos fails without pageNo, pageSize, clusterName. A larger page than
 * size_max counts as one of that size. */
static int decode_page(const struct api_params *p, int64_t size_dflt, int64_t size_max,
                       struct msg_list *ret, struct fail *fail)
{
    ret->page_no = 1;
    ret->page_size = size_dflt;
    int err = params_int(p, "pageNo", INT32_MIN, INT32_MAX, &ret->page_no, fail);
    if (!err) {
        err = params_int(p, "pageSize", INT32_MIN, INT32_MAX, &ret->page_size, fail);
    }
    if (ret->page_size > size_max) {
        ret->page_size = size_max;
    }
    return err;
}

struct http_catalog {
    struct msg_list page;
    struct span service; /* part of the name; empty: any */
    struct span group;
    bool has_instances;
};

HTTP_DECODE(http_decode_catalog)
{
    struct http_catalog *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    int err = decode_page(p, 20, CATALOG_PAGE_MAX, &m->page, fail);
    m->page.namespace_id = span_trim(params_or(p, "namespaceId", SPAN("public")));
    m->service = span_trim(params_get(p, "serviceNameParam"));
    m->group = span_trim(params_get(p, "groupNameParam"));
    params_bool(p, "hasIpCount", &m->has_instances);
    return err;
}

static bool contains(struct span text, struct span part)
{
    return span_empty(part) || memmem(text.data, text.len, part.data, part.len) != NULL;
}

static bool catalog_matches(const struct http_catalog *m, const struct service *s)
{
    return service_is_visible(s) && span_eq(s->name.namespace_id, m->page.namespace_id) &&
           contains(s->name.name, m->service) && contains(s->name.group, m->group) &&
           (!m->has_instances || s->shown_count > 0 || s->pending);
}

/* DIFF(sorted-lists): Nacos gives no order. */
static int by_name(const void *a, const void *b)
{
    const struct service *x = *(struct service *const *)a;
    const struct service *y = *(struct service *const *)b;
    int order = span_cmp(x->name.group, y->name.group);
    return order ? order : span_cmp(x->name.name, y->name.name);
}

/* All that match, sorted, so that pages are stable. Costs a pass over all services: for people, not
 * for clients. */
static struct service **catalog_select(struct naming *n, const struct http_catalog *m,
                                       size_t *ret_count)
{
    struct service **list = mem_zalloc(HASH_COUNT(n->services) + 1, sizeof(struct service *));
    size_t count = 0;
    for (struct service *s = n->services; s; s = s->hh.next) {
        if (catalog_matches(m, s)) {
            list[count++] = s;
        }
    }
    qsort(list, count, sizeof(struct service *), by_name);
    *ret_count = count;
    return list;
}

static void write_catalog_row(struct json_out *j, const struct service_seen *seen)
{
    const struct service *s = seen->service;
    struct span *clusters = NULL;
    size_t clusters_count = http_cluster_names(seen, CATALOG_SCAN_MAX, &clusters);
    mem_free(clusters);
    bool triggers =
        seen->count > 0 && (double)seen->healthy <= s->protect_threshold * (double)seen->count;
    json_object(j);
    json_kstr(j, "name", s->name.name);
    json_kstr(j, "groupName", s->name.group);
    json_kint(j, "clusterCount", (int64_t)clusters_count);
    json_kint(j, "ipCount", (int64_t)seen->count);
    json_kint(j, "healthyInstanceCount", (int64_t)seen->healthy);
    json_kstr(j, "triggerFlag", triggers ? SPAN("true") : SPAN("false"));
    json_object_end(j);
}

HTTP_ADMIT(http_admit_catalog)
{
    const struct http_catalog *m = call->msg;
    (void)out;
    (void)fail;
    size_t count = 0;
    size_t from = 0;
    size_t to = 0;
    struct service **list = catalog_select(self, m, &count);
    msg_page(&m->page, count, &from, &to);
    struct json_out j;
    json_init(&j, 1024);
    json_object(&j);
    json_kint(&j, "count", (int64_t)count);
    json_key(&j, "serviceList");
    json_array(&j);
    for (size_t i = from; i < to; i++) {
        struct service_seen seen = service_seen(self, list[i], now);
        write_catalog_row(&j, &seen);
    }
    json_array_end(&j);
    json_object_end(&j);
    mem_free(list);
    api_answer_json(call, &j);
    json_close(&j);
    return API_ANSWERED;
}

struct http_catalog_instances {
    struct service_name service;
    struct span cluster; /* empty: all */
    struct msg_list page;
};

HTTP_DECODE(http_decode_catalog_instances)
{
    struct http_catalog_instances *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    int err = form_name(p, FORM_V1_DECLARED, &m->service, fail);
    if (!err) {
        err = decode_page(p, 20, CATALOG_PAGE_MAX, &m->page, fail);
    }
    m->cluster = span_trim(params_get(p, "clusterName"));
    return err;
}

static int by_address(const void *a, const void *b)
{
    const struct instance *x = *(struct instance *const *)a;
    const struct instance *y = *(struct instance *const *)b;
    int order = span_cmp(x->ip, y->ip);
    return order ? order : (x->port > y->port) - (x->port < y->port);
}

HTTP_ADMIT(http_admit_catalog_instances)
{
    const struct http_catalog_instances *m = call->msg;
    (void)out;
    struct service *s = service_find(self, &m->service);
    struct span grouped = service_name_grouped(&m->service, &call->arena);
    if (!s || !service_is_visible(s)) {
        return fail_set(fail, E_NOT_FOUND, "service %.*s is not found!", SPAN_ARG(grouped));
    }
    struct service_seen seen = service_seen(self, s, now);
    const struct instance **list = mem_zalloc(seen.count + 1, sizeof(struct instance *));
    size_t count = 0;
    for (size_t i = 0; i < seen.count; i++) {
        const struct instance *it = service_seen_at(&seen, i);
        if (name_cluster_in(m->cluster, it->cluster)) {
            list[count++] = it;
        }
    }
    if (count == 0 && !span_empty(m->cluster)) {
        mem_free(list);
        return fail_set(fail, E_NOT_FOUND, "cluster %.*s is not found!", SPAN_ARG(m->cluster));
    }
    qsort(list, count, sizeof(struct instance *), by_address);
    size_t from = 0;
    size_t to = 0;
    msg_page(&m->page, count, &from, &to);
    struct json_out j;
    json_init(&j, 1024);
    json_object(&j);
    json_key(&j, "list");
    json_array(&j);
    for (size_t i = from; i < to; i++) {
        json_raw(&j, list[i]->json);
    }
    json_array_end(&j);
    json_kint(&j, "count", (int64_t)count);
    json_object_end(&j);
    mem_free(list);
    api_answer_json(call, &j);
    json_close(&j);
    return API_ANSWERED;
}

HTTP_ADMIT(http_admit_clients)
{
    const struct naming *n = self;
    (void)now;
    (void)out;
    (void)fail;
    struct json_out j;
    result_begin(&j);
    json_array(&j);
    size_t count = 0;
    for (const struct client *c = n->clients; c && count < CLIENTS_MAX; c = c->hh.next) {
        json_str(&j, span_of(c->id, c->id_len));
        count++;
    }
    json_array_end(&j);
    result_end(&j, call);
    return API_ANSWERED;
}

HTTP_DECODE(http_decode_client)
{
    struct span *id = arena_alloc(&call->arena, sizeof(*id));
    call->msg = id;
    return form_require(p, FORM_V2_DECLARED, "clientId", "String", id, fail);
}

static const struct client *find_client(struct naming *n, const struct api_call *call,
                                        struct fail *fail)
{
    const struct span *id = call->msg;
    const struct client *c = client_find(n, *id);
    if (!c) {
        (void)fail_set_codes(fail, E_NOT_FOUND, 0, V2_RESOURCE_NOT_FOUND,
                             "clientId [ %.*s ] not exist", SPAN_ARG(*id));
    }
    return c;
}

/* "ip:port#true": the address of an HTTP or persistent client. */
static void write_address(struct json_out *j, const struct client *c)
{
    struct span id = span_of(c->id, c->id_len);
    const char *hash = memrchr(id.data, '#', id.len);
    const char *colon = hash ? memrchr(id.data, ':', (size_t)(hash - id.data)) : NULL;
    if (!colon) {
        json_kstr(j, "clientIp", span_str(c->ip));
        const char *port = memrchr(id.data, '_', id.len);
        json_kstr(j, "clientPort",
                  port ? span_of(port + 1, (size_t)(id.data + id.len - port - 1)) : SPAN(""));
        return;
    }
    json_kstr(j, "clientIp", span_of(id.data, (size_t)(colon - id.data)));
    json_kstr(j, "clientPort", span_of(colon + 1, (size_t)(hash - colon - 1)));
}

HTTP_ADMIT(http_admit_client)
{
    (void)now;
    (void)out;
    const struct client *c = find_client(self, call, fail);
    if (!c) {
        return E_NOT_FOUND;
    }
    struct json_out j;
    result_begin(&j);
    json_object(&j);
    json_kstr(&j, "clientId", span_of(c->id, c->id_len));
    json_kbool(&j, "ephemeral", c->kind != CLIENT_PERSISTENT);
    json_kint(&j, "lastUpdatedTime", c->updated_ms);
    if (c->kind == CLIENT_CONNECTION) {
        json_kstr(&j, "clientType", SPAN("connection"));
        json_kstr(&j, "connectType", SPAN("GRPC"));
        json_kstr(&j, "appName", span_str(c->app));
        json_kstr(&j, "version", span_str(c->agent));
    } else {
        json_kstr(&j, "clientType", SPAN("ipPort"));
    }
    write_address(&j, c);
    json_object_end(&j);
    result_end(&j, call);
    return API_ANSWERED;
}

static void write_service_keys(struct json_out *j, const struct service *s)
{
    json_kstr(j, "namespace", s->name.namespace_id);
    json_kstr(j, "group", s->name.group);
    json_kstr(j, "serviceName", s->name.name);
}

static void write_published(struct json_out *j, const struct service *s, const struct instance *i)
{
    json_object(j);
    write_service_keys(j, s);
    json_key(j, "registeredInstance");
    json_object(j);
    json_kstr(j, "ip", i->ip);
    json_kint(j, "port", i->port);
    json_kstr(j, "cluster", i->cluster);
    json_object_end(j);
    json_object_end(j);
}

HTTP_ADMIT(http_admit_client_publishes)
{
    (void)now;
    (void)out;
    const struct client *c = find_client(self, call, fail);
    if (!c) {
        return E_NOT_FOUND;
    }
    struct json_out j;
    result_begin(&j);
    json_array(&j);
    size_t count = 0;
    for (const struct publication *p = c->publications; p; p = p->hh.next) {
        for (const struct entry *e = p->entries; e && count < PUBLISHED_MAX; e = e->next) {
            write_published(&j, p->service, e->published);
            count++;
        }
    }
    json_array_end(&j);
    result_end(&j, call);
    return API_ANSWERED;
}

static void write_subscription(struct json_out *j, const struct subscription *sub)
{
    json_object(j);
    write_service_keys(j, sub->service);
    json_key(j, "subscriberInfo");
    json_object(j);
    json_kstr(j, "app", span_str(sub->app ? sub->app : sub->client->app));
    json_kstr(j, "agent", span_str(sub->client->agent));
    json_kstr(j, "addr", span_str(sub->client->ip));
    json_object_end(j);
    json_object_end(j);
}

HTTP_ADMIT(http_admit_client_subscribes)
{
    (void)now;
    (void)out;
    const struct client *c = find_client(self, call, fail);
    if (!c) {
        return E_NOT_FOUND;
    }
    struct json_out j;
    result_begin(&j);
    json_array(&j);
    size_t count = 0;
    for (const struct subscription *sub = c->subscriptions; sub && count < PUBLISHED_MAX;
         sub = sub->hh.next) {
        write_subscription(&j, sub);
        count++;
    }
    json_array_end(&j);
    result_end(&j, call);
    return API_ANSWERED;
}

struct http_subscribers {
    struct service_name service;
    struct msg_list page;
};

HTTP_DECODE(http_decode_subscribers)
{
    struct http_subscribers *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    int err = form_name(p, FORM_V1, &m->service, fail);
    return err ? err : decode_page(p, 1000, SUBSCRIBERS_PAGE_MAX, &m->page, fail);
}

/* Subscribers of one page. */
struct subscriber_page {
    struct json_out *j;
    const struct service *service;
    size_t at, from, to;
};

static void write_subscriber(void *arg, const struct subscriber_info *info)
{
    struct subscriber_page *page = arg;
    size_t at = page->at++;
    if (at < page->from || at >= page->to) {
        return;
    }
    struct json_out *j = page->j;
    json_object(j);
    json_kstr(j, "addrStr", info->ip);
    json_kstr(j, "agent", info->agent);
    json_kstr(j, "app", info->app);
    json_kstr(j, "ip", info->ip);
    json_kint(j, "port", 0);
    json_kstr(j, "namespaceId", page->service->name.namespace_id);
    json_kstr(j, "serviceName", page->service->grouped);
    json_kstr(j, "cluster", info->clusters);
    json_object_end(j);
}

HTTP_ADMIT(http_admit_subscribers)
{
    const struct http_subscribers *m = call->msg;
    (void)now;
    (void)out;
    (void)fail;
    const struct service *s = service_find(self, &m->service);
    size_t count = s ? s->subscriber_count : 0;
    struct json_out j;
    json_init(&j, 512);
    json_object(&j);
    json_key(&j, "subscribers");
    json_array(&j);
    if (s) {
        struct subscriber_page page = {.j = &j, .service = s};
        msg_page(&m->page, count, &page.from, &page.to);
        push_each_subscriber(s, write_subscriber, &page);
    }
    json_array_end(&j);
    json_kint(&j, "count", (int64_t)count);
    json_object_end(&j);
    api_answer_json(call, &j);
    json_close(&j);
    return API_ANSWERED;
}

/* The last removals of a service with their reasons, newest first. */
HTTP_ADMIT(http_admit_removals)
{
    const struct http_service *m = call->msg;
    (void)now;
    (void)out;
    (void)fail;
    const struct service *s = service_find(self, &m->service);
    struct json_out j;
    json_init(&j, 512);
    json_object(&j);
    json_key(&j, "removals");
    json_array(&j);
    unsigned count = s ? s->removals_count : 0;
    unsigned kept = count < SERVICE_REMOVALS_KEPT ? count : SERVICE_REMOVALS_KEPT;
    for (unsigned i = 0; i < kept; i++) {
        const struct removal *r = &s->removals[(count - 1 - i) % SERVICE_REMOVALS_KEPT];
        json_object(&j);
        json_kint(&j, "time", r->time_ms);
        json_kstr(&j, "instance", span_str(r->what));
        json_kstr(&j, "client", span_str(r->client));
        json_kstr(&j, "reason", span_str(removal_text(r->reason)));
        json_object_end(&j);
    }
    json_array_end(&j);
    json_object_end(&j);
    api_answer_json(call, &j);
    json_close(&j);
    return API_ANSWERED;
}
