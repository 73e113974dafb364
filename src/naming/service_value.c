#include "naming/service_value.h"

#include "base/hash.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "naming/state.h"

static void value_destroy(struct view_value *base)
{
    struct service_value *v = CONTAINER_OF(base, struct service_value, base);
    for (size_t i = 0; i < v->count; i++) {
        instance_unref(v->instances[i]);
    }
    buf_unref(v->hosts);
    mem_free(v);
}

/* healthy/enabled <= threshold in single precision, as Nacos computes it: 0.29 of 100 protects at
 * 29. With threshold 0 that is when none is healthy (semantics.md 1.6). */
static bool protects(bool has_record, double threshold, size_t healthy, size_t enabled)
{
    return has_record && enabled > 0 && (float)healthy / (float)enabled <= (float)threshold;
}

/* The piece of one instance; protection shows it as healthy. */
static void put_host(struct json_out *j, const struct instance *i, bool protecting)
{
    if (!protecting || i->healthy) {
        json_raw(j, i->json);
        return;
    }
    const size_t false_len = sizeof("false") - 1;
    json_raw(j, span_of(i->json.data, i->healthy_off));
    json_bytes(j, SPAN("true"));
    json_bytes(j, span_of(i->json.data + i->healthy_off + false_len,
                          i->json.len - i->healthy_off - false_len));
}

static bool selected(const struct instance *i, const struct service_query *q)
{
    return i->enabled && (!q->healthy_only || i->healthy) &&
           name_cluster_in(q->clusters, i->cluster);
}

/* The array of what q asks for, whether it is protected, and what it was taken from. */
struct hosts {
    size_t count;
    size_t healthy;
    bool protecting;
    struct buf *array; /* one reference */
};

static struct hosts build_hosts(const struct service_value *v, const struct service_query *q)
{
    struct hosts h = {0};
    size_t bytes = 0;
    for (size_t i = 0; i < v->count; i++) {
        const struct instance *it = v->instances[i];
        if (selected(it, q)) {
            h.count++;
            h.healthy += it->healthy;
            bytes += it->json.len + 1;
        }
    }
    h.protecting = protects(v->has_record, v->protect_threshold, h.healthy, h.count);
    struct json_out j;
    json_init(&j, bytes + 2);
    json_array(&j);
    for (size_t i = 0; h.count > 0 && i < v->count; i++) {
        if (selected(v->instances[i], q)) {
            put_host(&j, v->instances[i], h.protecting);
        }
    }
    json_array_end(&j);
    h.array = json_take(&j);
    return h;
}

struct service_value *service_value_begin(const struct service *s, size_t max)
{
    struct service_value *v = mem_alloc(sizeof(*v) + max * sizeof(struct instance *));
    *v = (struct service_value){
        .ephemeral = s->ephemeral,
        .has_record = s->has_record,
        .protect_threshold = s->protect_threshold,
    };
    atomic_init(&v->base.refs, 1);
    v->base.destroy = value_destroy;
    v->instances = (struct instance **)(void *)(v + 1);
    return v;
}

void service_value_end(struct service_value *v)
{
    struct hosts all = build_hosts(v, &(struct service_query){0});
    v->enabled = all.count;
    v->healthy = all.healthy;
    v->protecting = all.protecting;
    v->hosts = all.array;
}

struct service_value *service_value_build(const struct service *s)
{
    struct service_value *v = service_value_begin(s, s->shown_count);
    for (; v->count < s->shown_count; v->count++) {
        v->instances[v->count] = instance_ref(s->shown[v->count]->effective);
    }
    service_value_end(v);
    return v;
}

uint64_t service_value_digest(const struct service_value *v)
{
    uint64_t sum = v->protecting;
    for (size_t i = 0; i < v->count; i++) {
        const struct instance *it = v->instances[i];
        sum += it->enabled ? hash_bytes(it->json.data, it->json.len) : 0;
    }
    return sum;
}

/* True when the whole list answers q: no cluster is asked for, and none is left out as unhealthy.
 */
static bool is_whole(const struct service_value *v, const struct service_query *q)
{
    return span_empty(span_trim(q->clusters)) && (!q->healthy_only || v->healthy == v->enabled);
}

static void put_name(struct json_out *j, const struct service_name *n, bool grouped)
{
    if (!grouped) {
        json_kstr(j, "name", n->name);
        return;
    }
    char text[VIEW_KEY_MAX];
    size_t len = 0;
    struct span parts[] = {n->group, SPAN("@@"), n->name};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        size_t room = sizeof(text) - len;
        size_t take = parts[i].len < room ? parts[i].len : room;
        if (take > 0) {
            memcpy(text + len, parts[i].data, take);
        }
        len += take;
    }
    json_kstr(j, "name", span_of(text, len));
}

/* Head and tail stand in one buffer, the hosts between them are shared. */
void service_info_body(const struct service_value *v, const struct service_name *n,
                       const struct service_query *q, const struct service_frame *f,
                       struct body *ret)
{
    bool protecting = v && v->protecting;
    struct buf *hosts = NULL;
    if (v && is_whole(v, q)) {
        hosts = buf_ref(v->hosts);
    } else if (v) {
        struct hosts filtered = build_hosts(v, q);
        protecting = filtered.protecting;
        hosts = filtered.array;
    }
    struct json_out j;
    json_init(&j, 384);
    json_bytes(&j, f->head);
    json_object(&j);
    put_name(&j, n, q->grouped_name);
    json_kstr(&j, "groupName", n->group);
    json_kstr(&j, "clusters", q->clusters);
    json_kint(&j, "cacheMillis", SERVICE_CACHE_MILLIS);
    json_key(&j, "hosts");
    json_raw(&j, hosts ? SPAN("") : SPAN("[]"));
    size_t cut = json_text(&j).len;
    json_kint(&j, "lastRefTime", f->stamp);
    json_kstr(&j, "checksum", (struct span){0});
    json_kbool(&j, "allIPs", false);
    json_kbool(&j, "reachProtectionThreshold", protecting);
    json_kbool(&j, "valid", true);
    json_object_end(&j);
    json_bytes(&j, f->tail);
    struct buf *text = json_take(&j);
    size_t len = text->len;
    body_add(ret, buf_ref(text), 0, cut);
    if (hosts) {
        body_add_buf(ret, hosts);
    }
    body_add(ret, text, cut, len - cut);
}
