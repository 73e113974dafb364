#include "naming/service_value.h"

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

/* healthy/enabled <= threshold; with threshold 0 that is when none is healthy (semantics.md 1.6).
 */
static bool protects(bool has_record, double threshold, size_t healthy, size_t enabled)
{
    return has_record && enabled > 0 && (double)healthy <= threshold * (double)enabled;
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

static struct buf *build_hosts(const struct service_value *v, size_t bytes)
{
    struct json_out j;
    json_init(&j, bytes + v->count + 8);
    json_array(&j);
    for (size_t i = 0; i < v->count; i++) {
        if (v->instances[i]->enabled) {
            put_host(&j, v->instances[i], v->protecting);
        }
    }
    json_array_end(&j);
    struct buf *hosts = json_take(&j);
    json_close(&j);
    return hosts;
}

struct service_value *service_value_build(const struct service *s)
{
    struct service_value *v = mem_alloc(sizeof(*v) + s->shown_count * sizeof(struct instance *));
    *v = (struct service_value){
        .count = s->shown_count,
        .ephemeral = s->ephemeral,
        .has_record = s->has_record,
        .protect_threshold = s->protect_threshold,
    };
    atomic_init(&v->base.refs, 1);
    v->base.destroy = value_destroy;
    v->instances = (struct instance **)(void *)(v + 1);
    size_t bytes = 0;
    for (size_t i = 0; i < v->count; i++) {
        struct instance *it = instance_ref(s->shown[i]->effective);
        v->instances[i] = it;
        if (it->enabled) {
            v->enabled++;
            v->healthy += it->healthy;
            bytes += it->json.len;
        }
    }
    v->protecting = protects(v->has_record, v->protect_threshold, v->healthy, v->enabled);
    v->hosts = build_hosts(v, bytes);
    return v;
}

static bool is_blank(struct span clusters)
{
    return span_empty(span_trim(clusters));
}

static bool selected(const struct instance *i, const struct service_query *q)
{
    return i->enabled && (!q->healthy_only || i->healthy) &&
           name_cluster_in(q->clusters, i->cluster);
}

/* The hosts that q asks for, and whether they are protected; one reference. */
static struct buf *filter_hosts(const struct service_value *v, const struct service_query *q,
                                bool *ret_protecting)
{
    size_t enabled = 0;
    size_t healthy = 0;
    for (size_t i = 0; i < v->count; i++) {
        bool take = selected(v->instances[i], q);
        enabled += take;
        healthy += take && v->instances[i]->healthy;
    }
    *ret_protecting = protects(v->has_record, v->protect_threshold, healthy, enabled);
    struct json_out j;
    json_init(&j, 256 + enabled * 384);
    json_array(&j);
    for (size_t i = 0; i < v->count; i++) {
        if (selected(v->instances[i], q)) {
            put_host(&j, v->instances[i], *ret_protecting);
        }
    }
    json_array_end(&j);
    struct buf *hosts = json_take(&j);
    json_close(&j);
    return hosts;
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
                       const struct service_query *q, int64_t stamp, struct span head,
                       struct span tail, struct body *ret)
{
    bool protecting = v && v->protecting;
    struct buf *hosts = NULL;
    if (v && (q->healthy_only || !is_blank(q->clusters))) {
        hosts = filter_hosts(v, q, &protecting);
    } else if (v) {
        hosts = buf_ref(v->hosts);
    }
    struct json_out j;
    json_init(&j, 384);
    json_bytes(&j, head);
    json_object(&j);
    put_name(&j, n, q->grouped_name);
    json_kstr(&j, "groupName", n->group);
    json_kstr(&j, "clusters", q->clusters);
    json_kint(&j, "cacheMillis", SERVICE_CACHE_MILLIS);
    json_key(&j, "hosts");
    json_raw(&j, hosts ? (struct span){0} : SPAN("[]"));
    size_t cut = json_text(&j).len;
    json_kint(&j, "lastRefTime", stamp);
    json_kstr(&j, "checksum", (struct span){0});
    json_kbool(&j, "allIPs", false);
    json_kbool(&j, "reachProtectionThreshold", protecting);
    json_kbool(&j, "valid", true);
    json_object_end(&j);
    json_bytes(&j, tail);
    struct buf *text = json_take(&j);
    json_close(&j);
    size_t len = text->len;
    body_add(ret, buf_ref(text), 0, cut);
    if (hosts) {
        body_add_buf(ret, hosts);
    }
    body_add(ret, text, cut, len - cut);
}
