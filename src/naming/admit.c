/* Rules, limits, and the operation that goes into the log. */
#include "naming/admit.h"

#include <stdio.h>

#include "api/v2_codes.h"
#include "base/assert.h"
#include "base/thread.h"
#include "naming/naming_op.h"
#include "naming/overlay.h"
#include "naming/restore.h"
#include "naming/state.h"

/* "group@@name" of a printable name. */
#define GROUPED "%.*s@@%.*s"
#define GROUPED_ARG(n) SPAN_ARG((n)->group), SPAN_ARG((n)->name)

int admit_client_gone(struct span conn_id, struct fail *fail)
{
    return fail_set_codes(fail, E_CLIENT_GONE, -401, 0,
                          "errCode: -401, errMsg: Client [%.*s] connection already disconnect, "
                          "can't register ephemeral instance. ",
                          SPAN_ARG(conn_id));
}

static struct service *find_existing(struct naming *n, const struct service_name *name)
{
    struct service *s = service_find(n, name);
    return s && s->exists ? s : NULL;
}

/* What this node has applied is all there is. One of several may not have applied what another one
 * has answered already: it refuses nothing because of it, apply does. */
static bool knows_all(const struct naming *n)
{
    return n->options.self == 0;
}

static int propose(struct naming_op *op, struct api_call *waiting, struct now now,
                   struct outbox *out, struct fail *fail)
{
    op->time_ms = now.wall_ms;
    int err = naming_op_check(op, fail);
    if (err) {
        return err;
    }
    struct buf *packed = naming_op_encode(op);
    if (packed->len > CONSENSUS_OP_BYTES_MAX) {
        size_t len = packed->len;
        buf_unref(packed);
        return fail_set(fail, E_TOO_LARGE, "one operation takes at most %u bytes, this one has %zu",
                        CONSENSUS_OP_BYTES_MAX, len);
    }
    outbox_propose(out, CONSENSUS_NAMING, packed, waiting);
    return API_LATER;
}

/* Every member that fails is named, as far as the text has room; the codes are those of the first.
 */
static int check_members(const struct naming_publish *p, struct fail *fail)
{
    if (p->count == 1 && !p->batch) {
        return name_check_registration(p->instances, fail);
    }
    struct fail first = {0};
    char text[FAIL_TEXT_MAX] = "";
    size_t len = 0;
    for (size_t i = 0; i < p->count; i++) {
        struct fail why = {0};
        if (name_check_registration(&p->instances[i], &why) == 0) {
            continue;
        }
        if (first.code == 0) {
            first = why;
        }
        if (len < sizeof(text) - 1) {
            int more = snprintf(text + len, sizeof(text) - len, "%sinstances[%zu] %.*s:%lld: %s",
                                len ? "; " : "", i, SPAN_ARG(p->instances[i].ip),
                                (long long)p->instances[i].port, fail_text(&why));
            len += more > 0 ? (size_t)more : 0;
        }
    }
    if (first.code == 0) {
        return 0;
    }
    return fail_set_codes(fail, first.code, first.nacos, first.v2, "%s", text);
}

static int services_full(struct fail *fail)
{
    return fail_set(fail, E_LIMIT, "the registry holds at most %d services, all are in use",
                    NAMING_SERVICES_MAX);
}

static int check_limits(struct naming *n, const struct naming_publish *p, const struct client *c,
                        const struct service *s, struct fail *fail)
{
    const struct publication *had = c && s ? publication_find(c, s) : NULL;
    if (p->count > INSTANCE_BATCH_MAX) {
        return fail_set(fail, E_LIMIT, "instances: expected at most %d in one batch, got %zu",
                        INSTANCE_BATCH_MAX, p->count);
    }
    if (!s && n->service_count >= NAMING_SERVICES_MAX) {
        return services_full(fail);
    }
    size_t replaced = had ? had->count : 0;
    size_t more = p->count > replaced ? p->count - replaced : 0;
    if (n->instance_count + more > NAMING_INSTANCES_MAX) {
        return fail_set(fail, E_LIMIT, "the registry holds at most %d instances, %zu are in use",
                        NAMING_INSTANCES_MAX, n->instance_count);
    }
    if (!had && c && c->publication_count >= NAMING_CLIENT_PUBLISH_MAX) {
        return fail_set(fail, E_LIMIT, "a client publishes at most %d services, [%s] does so",
                        NAMING_CLIENT_PUBLISH_MAX, c->id);
    }
    return 0;
}

/* The kind is fixed while somebody publishes the service or it has a record, as apply has it. */
static int check_kind(const struct service *s, const struct naming_publish *p, struct fail *fail)
{
    if (!s || s->ephemeral == p->ephemeral || (s->publication_count == 0 && !s->has_record)) {
        return 0;
    }
    return service_refuse_kind(s, p->ephemeral, p->batch, fail);
}

/* What the client wants from now on, should it have to be put back (restore.h). */
static void note_proposed(struct naming *n, const struct naming_op *op, struct now now)
{
    struct client *c = client_find(n, op->client);
    struct service *s = c ? service_find(n, &op->service) : NULL;
    struct publication *p = s ? publication_find(c, s) : NULL;
    if (p) {
        p->is_leaving = op->instances_count == 0;
    }
    restore_drop(n, op, now);
}

/* The client of the connection; NULL when it has none or has no more. */
static struct client *client_here(struct naming *n, uint64_t conn)
{
    struct client *c = client_of_conn(n, conn);
    return c && !c->gone ? c : NULL;
}

int admit_publish(struct naming *n, const struct naming_publish *p, struct api_call *waiting,
                  struct now now, struct outbox *out, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    ASSERT(p->ephemeral == (p->kind != CLIENT_PERSISTENT));
    ASSERT(p->batch || p->count == 1);
    int err = check_members(p, fail);
    struct service *s = find_existing(n, &p->service);
    if (!err && knows_all(n)) {
        err = check_kind(s, p, fail);
    }
    if (err) {
        return err;
    }
    bool bound = p->kind == CLIENT_CONNECTION;
    struct client *c = bound ? client_here(n, p->conn) : client_find(n, p->client);
    if (bound && !c) {
        return admit_client_gone(waiting ? waiting->caller.conn_id : (struct span){0}, fail);
    }
    err = check_limits(n, p, c, s, fail);
    if (err) {
        return err;
    }
    struct naming_op op = {
        .kind = NAMING_OP_PUBLISH,
        .service = p->service,
        .client = bound ? span_of(c->id, c->id_len) : p->client,
        .client_kind = p->kind,
        .ephemeral = p->ephemeral,
        .batch = p->batch,
        .instances = p->instances,
        .instances_count = p->count,
    };
    int next = propose(&op, waiting, now, out, fail);
    if (next == API_LATER && bound) {
        c->proposed = true;
    }
    struct publication *had = c && s ? publication_find(c, s) : NULL;
    if (next == API_LATER) {
        note_proposed(n, &op, now);
    }
    if (next == API_LATER && p->kind == CLIENT_HTTP && had) {
        had->beat_ms =
            now.mono_ms; /* it was heard of: it must not expire while this is on its way */
    }
    return next;
}

int admit_unpublish(struct naming *n, const struct naming_unpublish *u, struct api_call *waiting,
                    struct now now, struct outbox *out, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    bool bound = u->kind == CLIENT_CONNECTION;
    struct client *c = bound ? client_here(n, u->conn) : NULL;
    if (bound && !c) {
        return API_ANSWERED;
    }
    /* Whatever is known of the publication now: its registration may be on its way before this. */
    struct naming_op op = {
        .kind = NAMING_OP_UNPUBLISH,
        .service = u->service,
        .client = c ? span_of(c->id, c->id_len) : u->client,
        .client_kind = u->kind,
        .reason = u->reason,
    };
    int next = propose(&op, waiting, now, out, fail);
    if (next == API_LATER) {
        note_proposed(n, &op, now);
    }
    return next;
}

int admit_overlay(struct naming *n, const struct naming_overlay *o, struct api_call *waiting,
                  struct now now, struct outbox *out, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    if (o->has_weight && !(o->weight >= 0.0 && o->weight <= INSTANCE_WEIGHT_MAX)) {
        return fail_set_codes(fail, E_INVALID, 400, V2_WEIGHT_ERROR,
                              "instance format invalid: The weights range from 0.0 to 10000.0");
    }
    bool keep_metadata = o->patch && !o->has_metadata;
    struct naming_op op = {
        .kind = NAMING_OP_OVERLAY,
        .service = o->service,
        .ip = o->ip,
        .port = o->port,
        .cluster = o->cluster,
        .has_weight = o->has_weight,
        .weight = o->weight,
        .has_enabled = o->has_enabled,
        .enabled = o->enabled,
        .merge_metadata = keep_metadata,
        .metadata = keep_metadata ? NULL : o->metadata,
        .metadata_count = keep_metadata ? 0 : o->metadata_count,
        .must_exist = o->patch,
    };
    int err = knows_all(n) ? overlay_check(find_existing(n, &o->service), &op, fail) : 0;
    if (err) {
        return err;
    }
    return propose(&op, waiting, now, out, fail);
}

static int service_missing(const struct service_name *name, struct fail *fail)
{
    return fail_set_codes(fail, E_INVALID, 400, V2_SERVICE_NOT_EXIST,
                          "service " GROUPED " not found!", GROUPED_ARG(name));
}

int admit_service_put(struct naming *n, const struct naming_service_put *p,
                      struct api_call *waiting, struct now now, struct outbox *out,
                      struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    const struct service *s = find_existing(n, &p->service);
    if (knows_all(n) && p->create && s) {
        return fail_set_codes(fail, E_INVALID, 400, V2_SERVICE_ALREADY_EXIST,
                              "specified service " GROUPED " already exists!",
                              GROUPED_ARG(&p->service));
    }
    if (knows_all(n) && !p->create && !s) {
        return service_missing(&p->service, fail);
    }
    if (p->create && n->service_count >= NAMING_SERVICES_MAX) {
        return services_full(fail);
    }
    struct naming_op op = {
        .kind = NAMING_OP_SERVICE_PUT,
        .service = p->service,
        .create = p->create,
        .ephemeral = p->ephemeral,
        /* Nacos: negative counts as 0 (http-api.md 4.2). */
        .protect_threshold = p->protect_threshold > 0.0 ? p->protect_threshold : 0.0,
        .metadata = p->metadata,
        .metadata_count = p->metadata_count,
        .selector = p->selector,
    };
    return propose(&op, waiting, now, out, fail);
}

int admit_service_remove(struct naming *n, const struct service_name *service,
                         struct api_call *waiting, struct now now, struct outbox *out,
                         struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    const struct service *s = find_existing(n, service);
    if (knows_all(n) && !s) {
        return service_missing(service, fail);
    }
    if (knows_all(n) && s->publication_count > 0) {
        return fail_set_codes(fail, E_INVALID, 400, V2_SERVICE_DELETE_FAILURE,
                              "Service " GROUPED
                              " is not empty, can't be delete. Please unregister instance first",
                              GROUPED_ARG(service));
    }
    struct naming_op op = {
        .kind = NAMING_OP_SERVICE_REMOVE,
        .service = *service,
        .is_explicit = true,
    };
    return propose(&op, waiting, now, out, fail);
}
