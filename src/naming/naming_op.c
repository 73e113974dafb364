#include "naming/naming_op.h"

#include <math.h>

#include "base/assert.h"
#include "base/mem.h"
#include "consensus/consensus.h"
#include "naming/naming_pack.h"

#define METADATA_REMOVE_MAX INSTANCE_METADATA_MAX
#define PORT_MAX 65535

static Nacre__Instance **pack_instances(const struct naming_op *op, struct arena *arena)
{
    size_t count = op->instances_count;
    Nacre__Instance **list = arena_alloc(arena, (count + 1) * sizeof(*list));
    Nacre__Instance *items = arena_alloc(arena, (count + 1) * sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        naming_pack_instance(&items[i], &op->instances[i], arena);
        list[i] = &items[i];
    }
    return list;
}

static struct buf *pack(const Nacre__NamingOp *m)
{
    size_t len = nacre__naming_op__get_packed_size(m);
    char *bytes = mem_alloc(len);
    nacre__naming_op__pack(m, (uint8_t *)bytes);
    return buf_take(bytes, len);
}

/* m is the envelope; a copy, because what it points to lives no longer than the call. */
static struct buf *encode_publish(const struct naming_op *op, Nacre__NamingOp m,
                                  Nacre__ServiceName *name)
{
    struct arena arena;
    arena_init(&arena, NAMING_OP_ARENA_MAX);
    Nacre__Publish p = NACRE__PUBLISH__INIT;
    p.service = name;
    p.client = naming_pack_span(op->client);
    p.client_kind = op->client_kind;
    p.ephemeral = op->ephemeral;
    p.batch = op->batch;
    p.n_instances = op->instances_count;
    p.instances = pack_instances(op, &arena);
    m.op_case = NACRE__NAMING_OP__OP_PUBLISH;
    m.publish = &p;
    struct buf *packed = pack(&m);
    arena_close(&arena);
    return packed;
}

static struct buf *encode_overlay(const struct naming_op *op, Nacre__NamingOp m,
                                  Nacre__ServiceName *name)
{
    struct arena arena;
    arena_init(&arena, NAMING_OP_ARENA_MAX);
    Nacre__Overlay o = NACRE__OVERLAY__INIT;
    o.service = name;
    o.ip = naming_pack_span(op->ip);
    o.port = op->port;
    o.cluster = naming_pack_span(op->cluster);
    o.remove = op->remove;
    o.has_weight = op->has_weight;
    o.weight = op->weight;
    o.has_enabled = op->has_enabled;
    o.enabled = op->enabled;
    o.merge_metadata = op->merge_metadata;
    o.must_exist = op->must_exist;
    o.seen_ms = op->seen_ms;
    o.n_metadata = op->metadata_count;
    o.metadata = naming_pack_pairs(op->metadata, op->metadata_count, &arena);
    ProtobufCBinaryData *gone =
        arena_alloc(&arena, (op->metadata_remove_count + 1) * sizeof(*gone));
    for (size_t i = 0; i < op->metadata_remove_count; i++) {
        gone[i] = naming_pack_span(op->metadata_remove[i]);
    }
    o.n_metadata_remove = op->metadata_remove_count;
    o.metadata_remove = gone;
    m.op_case = NACRE__NAMING_OP__OP_OVERLAY;
    m.overlay = &o;
    struct buf *packed = pack(&m);
    arena_close(&arena);
    return packed;
}

static struct buf *encode_service_put(const struct naming_op *op, Nacre__NamingOp m,
                                      Nacre__ServiceName *name)
{
    struct arena arena;
    arena_init(&arena, NAMING_OP_ARENA_MAX);
    Nacre__ServicePut p = NACRE__SERVICE_PUT__INIT;
    p.service = name;
    p.create = op->create;
    p.ephemeral = op->ephemeral;
    p.protect_threshold = op->protect_threshold;
    p.n_metadata = op->metadata_count;
    p.metadata = naming_pack_pairs(op->metadata, op->metadata_count, &arena);
    p.selector = naming_pack_span(op->selector);
    m.op_case = NACRE__NAMING_OP__OP_SERVICE_PUT;
    m.service_put = &p;
    struct buf *packed = pack(&m);
    arena_close(&arena);
    return packed;
}

static struct buf *encode_unpublish(const struct naming_op *op, Nacre__NamingOp m,
                                    Nacre__ServiceName *name)
{
    Nacre__Unpublish u = NACRE__UNPUBLISH__INIT;
    u.service = name;
    u.client = naming_pack_span(op->client);
    u.reason = op->reason;
    m.op_case = NACRE__NAMING_OP__OP_UNPUBLISH;
    m.unpublish = &u;
    return pack(&m);
}

static struct buf *encode_client_gone(const struct naming_op *op, Nacre__NamingOp m)
{
    Nacre__ClientGone g = NACRE__CLIENT_GONE__INIT;
    g.client = naming_pack_span(op->client);
    g.reason = op->reason;
    m.op_case = NACRE__NAMING_OP__OP_CLIENT_GONE;
    m.client_gone = &g;
    return pack(&m);
}

static struct buf *encode_health(const struct naming_op *op, Nacre__NamingOp m,
                                 Nacre__ServiceName *name)
{
    Nacre__Health h = NACRE__HEALTH__INIT;
    h.service = name;
    h.client = naming_pack_span(op->client);
    h.healthy = op->healthy;
    m.op_case = NACRE__NAMING_OP__OP_HEALTH;
    m.health = &h;
    return pack(&m);
}

static struct buf *encode_service_remove(const struct naming_op *op, Nacre__NamingOp m,
                                         Nacre__ServiceName *name)
{
    Nacre__ServiceRemove r = NACRE__SERVICE_REMOVE__INIT;
    r.service = name;
    r.explicit_ = op->is_explicit;
    r.seen_revision = op->seen_revision;
    m.op_case = NACRE__NAMING_OP__OP_SERVICE_REMOVE;
    m.service_remove = &r;
    return pack(&m);
}

static struct buf *encode_fence(const struct naming_op *op, Nacre__NamingOp m)
{
    Nacre__Fence f = NACRE__FENCE__INIT;
    f.number = op->fence;
    m.op_case = NACRE__NAMING_OP__OP_FENCE;
    m.fence = &f;
    return pack(&m);
}

struct buf *naming_op_encode(const struct naming_op *op)
{
    Nacre__NamingOp m = NACRE__NAMING_OP__INIT;
    m.version = NAMING_OP_VERSION;
    m.time_ms = op->time_ms;
    Nacre__ServiceName name = naming_pack_name(&op->service);
    switch (op->kind) {
    case NAMING_OP_PUBLISH:
        return encode_publish(op, m, &name);
    case NAMING_OP_UNPUBLISH:
        return encode_unpublish(op, m, &name);
    case NAMING_OP_CLIENT_GONE:
        return encode_client_gone(op, m);
    case NAMING_OP_HEALTH:
        return encode_health(op, m, &name);
    case NAMING_OP_OVERLAY:
        return encode_overlay(op, m, &name);
    case NAMING_OP_SERVICE_PUT:
        return encode_service_put(op, m, &name);
    case NAMING_OP_SERVICE_REMOVE:
        return encode_service_remove(op, m, &name);
    case NAMING_OP_FENCE:
        return encode_fence(op, m);
    }
    ASSERT(!"a kind outside the enum");
    return NULL;
}

int naming_op_check_client(struct span client, struct fail *fail)
{
    if (span_empty(client) || client.len > NAMING_OP_CLIENT_MAX) {
        return fail_set(fail, E_INVALID, "client id: expected 1 to %d bytes, got %zu",
                        NAMING_OP_CLIENT_MAX, client.len);
    }
    return 0;
}

static int check_reason(enum removal_reason reason, struct fail *fail)
{
    if (reason < REMOVAL_DEREGISTERED || (unsigned)reason >= REMOVAL_NUMBERS) {
        return fail_set(fail, E_INVALID, "reason: %d is unknown", (int)reason);
    }
    return 0;
}

static int check_kind(const struct naming_op *op, struct fail *fail)
{
    if (op->client_kind < CLIENT_CONNECTION || op->client_kind > CLIENT_PERSISTENT) {
        return fail_set(fail, E_INVALID, "kind of client: %d is unknown", (int)op->client_kind);
    }
    if (op->ephemeral != (op->client_kind != CLIENT_PERSISTENT)) {
        return fail_set(fail, E_INVALID, "kind of client: %d publishes no %s instances",
                        (int)op->client_kind, op->ephemeral ? "ephemeral" : "persistent");
    }
    return 0;
}

static int check_pairs(const struct instance_pair *pairs, size_t count, struct fail *fail)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += pairs[i].key.len + pairs[i].value.len;
    }
    if (count > INSTANCE_METADATA_MAX || bytes > NAMING_OP_METADATA_BYTES_MAX) {
        return fail_set(fail, E_INVALID, "metadata: at most %d pairs and %u bytes, got %zu and %zu",
                        INSTANCE_METADATA_MAX, NAMING_OP_METADATA_BYTES_MAX, count, bytes);
    }
    return 0;
}

int naming_op_check_instance(const struct instance_data *d, struct fail *fail)
{
    if (span_empty(d->ip) || span_empty(d->cluster)) {
        return fail_set(fail, E_INVALID, "instance: ip or cluster is missing");
    }
    if (!(d->weight >= 0.0 && d->weight <= INSTANCE_WEIGHT_MAX)) {
        return fail_set(fail, E_INVALID, "weight: expected 0 to %g", INSTANCE_WEIGHT_MAX);
    }
    return name_check_instance(d, fail);
}

static int check_publish(const struct naming_op *op, struct fail *fail)
{
    int err = naming_op_check_client(op->client, fail);
    if (!err) {
        err = check_kind(op, fail);
    }
    if (!err && op->instances_count > INSTANCE_BATCH_MAX) {
        err = fail_set(fail, E_INVALID, "instances: at most %d, got %zu", INSTANCE_BATCH_MAX,
                       op->instances_count);
    }
    for (size_t i = 0; !err && i < op->instances_count; i++) {
        err = naming_op_check_instance(&op->instances[i], fail);
    }
    return err;
}

static int check_overlay(const struct naming_op *op, struct fail *fail)
{
    struct instance_data address = {
        .ip = op->ip,
        .port = op->port,
        .cluster = op->cluster,
        .weight = op->has_weight ? op->weight : 1.0,
    };
    int err = naming_op_check_instance(&address, fail);
    if (!err && op->metadata_remove_count > METADATA_REMOVE_MAX) {
        err = fail_set(fail, E_INVALID, "keys to remove: at most %d", METADATA_REMOVE_MAX);
    }
    return err ? err : check_pairs(op->metadata, op->metadata_count, fail);
}

static int check_service_put(const struct naming_op *op, struct fail *fail)
{
    if (!isfinite(op->protect_threshold)) {
        return fail_set(fail, E_INVALID, "protectThreshold: expected a finite number");
    }
    if (op->selector.len > NAMING_OP_SELECTOR_MAX) {
        return fail_set(fail, E_INVALID, "selector: at most %u bytes, got %zu",
                        NAMING_OP_SELECTOR_MAX, op->selector.len);
    }
    return check_pairs(op->metadata, op->metadata_count, fail);
}

int naming_op_check(const struct naming_op *op, struct fail *fail)
{
    if (op->time_ms <= 0) {
        return fail_set(fail, E_INVALID, "time: expected milliseconds since 1970, got %lld",
                        (long long)op->time_ms);
    }
    bool has_service = op->kind != NAMING_OP_CLIENT_GONE && op->kind != NAMING_OP_FENCE;
    int err = has_service ? name_check(&op->service, fail) : 0;
    if (err) {
        return err;
    }
    switch (op->kind) {
    case NAMING_OP_PUBLISH:
        return check_publish(op, fail);
    case NAMING_OP_UNPUBLISH:
    case NAMING_OP_CLIENT_GONE:
        err = naming_op_check_client(op->client, fail);
        return err ? err : check_reason(op->reason, fail);
    case NAMING_OP_HEALTH:
        return naming_op_check_client(op->client, fail);
    case NAMING_OP_OVERLAY:
        return check_overlay(op, fail);
    case NAMING_OP_SERVICE_PUT:
        return check_service_put(op, fail);
    case NAMING_OP_SERVICE_REMOVE:
    case NAMING_OP_FENCE:
        return 0;
    }
    return fail_set(fail, E_INVALID, "operation: kind %d is unknown", (int)op->kind);
}

static int damaged(struct fail *fail, const char *what)
{
    return fail_set(fail, E_PARSE, "operation of the log: %s", what);
}

static int decode_instances(const Nacre__Publish *p, struct arena *arena, struct naming_op *ret,
                            struct fail *fail)
{
    struct instance_data *list = arena_try(arena, (p->n_instances + 1) * sizeof(*list));
    if (!list) {
        return damaged(fail, "too many instances");
    }
    for (size_t i = 0; i < p->n_instances; i++) {
        if (naming_unpack_instance(p->instances[i], p->ephemeral, arena, &list[i]) != 0) {
            return damaged(fail, "too much metadata");
        }
    }
    ret->instances = list;
    ret->instances_count = p->n_instances;
    return 0;
}

static int decode_publish(const Nacre__Publish *p, struct arena *arena, struct naming_op *ret,
                          struct fail *fail)
{
    ret->client = naming_unpack_span(p->client);
    ret->client_kind = (enum client_kind)p->client_kind;
    ret->ephemeral = p->ephemeral;
    ret->batch = p->batch;
    return decode_instances(p, arena, ret, fail);
}

static int decode_overlay(const Nacre__Overlay *o, struct arena *arena, struct naming_op *ret,
                          struct fail *fail)
{
    if (o->port > PORT_MAX) {
        return damaged(fail, "port out of range");
    }
    ret->ip = naming_unpack_span(o->ip);
    ret->port = (uint16_t)o->port;
    ret->cluster = naming_unpack_span(o->cluster);
    ret->remove = o->remove;
    ret->has_weight = o->has_weight;
    ret->weight = o->weight;
    ret->has_enabled = o->has_enabled;
    ret->enabled = o->enabled;
    ret->merge_metadata = o->merge_metadata;
    ret->must_exist = o->must_exist;
    ret->seen_ms = o->seen_ms;
    ret->metadata = naming_unpack_pairs(o->metadata, o->n_metadata, arena);
    ret->metadata_count = o->n_metadata;
    struct span *gone = arena_try(arena, (o->n_metadata_remove + 1) * sizeof(*gone));
    if (!ret->metadata || !gone) {
        return damaged(fail, "too much metadata");
    }
    for (size_t i = 0; i < o->n_metadata_remove; i++) {
        gone[i] = naming_unpack_span(o->metadata_remove[i]);
    }
    ret->metadata_remove = gone;
    ret->metadata_remove_count = o->n_metadata_remove;
    return 0;
}

static int decode_service_put(const Nacre__ServicePut *p, struct arena *arena,
                              struct naming_op *ret, struct fail *fail)
{
    ret->create = p->create;
    ret->ephemeral = p->ephemeral;
    ret->protect_threshold = p->protect_threshold;
    ret->selector = naming_unpack_span(p->selector);
    ret->metadata = naming_unpack_pairs(p->metadata, p->n_metadata, arena);
    ret->metadata_count = p->n_metadata;
    return ret->metadata ? 0 : damaged(fail, "too much metadata");
}

/* The service of the operation; NULL when its kind has none, or it is missing. */
static const Nacre__ServiceName *name_of(const Nacre__NamingOp *m)
{
    switch (m->op_case) {
    case NACRE__NAMING_OP__OP_PUBLISH:
        return m->publish->service;
    case NACRE__NAMING_OP__OP_UNPUBLISH:
        return m->unpublish->service;
    case NACRE__NAMING_OP__OP_HEALTH:
        return m->health->service;
    case NACRE__NAMING_OP__OP_OVERLAY:
        return m->overlay->service;
    case NACRE__NAMING_OP__OP_SERVICE_PUT:
        return m->service_put->service;
    case NACRE__NAMING_OP__OP_SERVICE_REMOVE:
        return m->service_remove->service;
    default:
        return NULL;
    }
}

static int decode_kind(const Nacre__NamingOp *m, struct arena *arena, struct naming_op *ret,
                       struct fail *fail)
{
    ret->kind = (enum naming_op_kind)m->op_case;
    switch (m->op_case) {
    case NACRE__NAMING_OP__OP_PUBLISH:
        return decode_publish(m->publish, arena, ret, fail);
    case NACRE__NAMING_OP__OP_UNPUBLISH:
        ret->client = naming_unpack_span(m->unpublish->client);
        ret->reason = (enum removal_reason)m->unpublish->reason;
        return 0;
    case NACRE__NAMING_OP__OP_CLIENT_GONE:
        ret->client = naming_unpack_span(m->client_gone->client);
        ret->reason = (enum removal_reason)m->client_gone->reason;
        return 0;
    case NACRE__NAMING_OP__OP_HEALTH:
        ret->client = naming_unpack_span(m->health->client);
        ret->healthy = m->health->healthy;
        return 0;
    case NACRE__NAMING_OP__OP_OVERLAY:
        return decode_overlay(m->overlay, arena, ret, fail);
    case NACRE__NAMING_OP__OP_SERVICE_PUT:
        return decode_service_put(m->service_put, arena, ret, fail);
    case NACRE__NAMING_OP__OP_SERVICE_REMOVE:
        ret->is_explicit = m->service_remove->explicit_;
        ret->seen_revision = m->service_remove->seen_revision;
        return 0;
    case NACRE__NAMING_OP__OP_FENCE:
        ret->fence = m->fence->number;
        return 0;
    default:
        return damaged(fail, "a kind that this version does not know");
    }
}

int naming_op_decode(struct span bytes, struct arena *arena, struct naming_op *ret,
                     struct fail *fail)
{
    ProtobufCAllocator allocator = naming_pack_allocator(arena);
    const Nacre__NamingOp *m =
        bytes.len > CONSENSUS_OP_BYTES_MAX
            ? NULL
            : nacre__naming_op__unpack(&allocator, bytes.len, (const uint8_t *)bytes.data);
    if (!m) {
        return damaged(fail, "damaged");
    }
    if (m->version != NAMING_OP_VERSION) {
        return fail_set(fail, E_PARSE, "operation of the log: version %u, this node knows %d",
                        m->version, NAMING_OP_VERSION);
    }
    struct naming_op op = {.time_ms = m->time_ms};
    op.service = naming_unpack_name(name_of(m));
    int err = decode_kind(m, arena, &op, fail);
    if (err) {
        return err;
    }
    struct fail why = {0};
    if (naming_op_check(&op, &why) != 0) {
        return fail_set(fail, E_PARSE, "operation of the log: %s", fail_text(&why));
    }
    *ret = op;
    return 0;
}
