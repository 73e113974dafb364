#include "naming_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"

void bed_begin(struct bed *b)
{
    thread_become(THREAD_CORE, "bed");
    struct naming_options options = {0};
    *b = (struct bed){.time_ms = BED_TIME_MS};
    b->view = view_create();
    b->naming = naming_create(&options, b->view);
}

void bed_end(struct bed *b)
{
    naming_destroy(b->naming);
    assert_int_equal(view_count(b->view), 0);
    view_destroy(b->view);
}

struct service_name bed_name(const char *service)
{
    return (struct service_name){SPAN("public"), SPAN("DEFAULT_GROUP"), span_str(service)};
}

struct instance_data bed_instance(const char *ip, int port)
{
    return (struct instance_data){
        .ip = span_str(ip),
        .port = port,
        .cluster = SPAN("DEFAULT"),
        .weight = 1.0,
        .healthy = true,
        .enabled = true,
    };
}

int bed_apply(struct bed *b, struct naming_op *op)
{
    if (op->time_ms == 0) {
        op->time_ms = b->time_ms++;
    }
    struct changes changes = {0};
    b->fail = (struct fail){0};
    int err = naming_apply(b->naming, op, &changes, &b->fail);
    assert_int_equal(b->fail.code, err);
    b->touched = 0;
    for (const struct service *s = changes.touched; s; s = s->touched_next) {
        b->touched++;
    }
    b->removed = changes.removed_count;
    b->reason = b->removed ? changes.removed[b->removed - 1].reason : 0;
    b->created = changes.created != NULL;
    b->unhealthy = changes.unhealthy;
    changes_close(b->naming, &changes);
    naming_check(b->naming);
    return err;
}

static enum client_kind kind_of(const char *client)
{
    size_t len = strlen(client);
    if (len > 5 && strcmp(client + len - 5, "#true") == 0) {
        return CLIENT_HTTP;
    }
    if (len > 6 && strcmp(client + len - 6, "#false") == 0) {
        return CLIENT_PERSISTENT;
    }
    return CLIENT_CONNECTION;
}

int bed_publish(struct bed *b, const char *client, const char *service,
                const struct instance_data *list, size_t count)
{
    struct naming_op op = {
        .kind = NAMING_OP_PUBLISH,
        .service = bed_name(service),
        .client = span_str(client),
        .client_kind = kind_of(client),
        .ephemeral = kind_of(client) != CLIENT_PERSISTENT,
        .batch = count != 1,
        .instances = list,
        .instances_count = count,
    };
    return bed_apply(b, &op);
}

int bed_register(struct bed *b, const char *client, const char *service, const char *ip, int port)
{
    struct instance_data i = bed_instance(ip, port);
    return bed_publish(b, client, service, &i, 1);
}

int bed_unpublish(struct bed *b, const char *client, const char *service)
{
    struct naming_op op = {
        .kind = NAMING_OP_UNPUBLISH,
        .service = bed_name(service),
        .client = span_str(client),
        .client_kind = kind_of(client),
        .reason = REMOVAL_DEREGISTERED,
    };
    return bed_apply(b, &op);
}

int bed_gone(struct bed *b, const char *client)
{
    struct naming_op op = {
        .kind = NAMING_OP_CLIENT_GONE,
        .client = span_str(client),
        .reason = REMOVAL_CONNECTION_CLOSED,
    };
    return bed_apply(b, &op);
}

int bed_health(struct bed *b, const char *client, const char *service, bool healthy)
{
    struct naming_op op = {
        .kind = NAMING_OP_HEALTH,
        .service = bed_name(service),
        .client = span_str(client),
        .healthy = healthy,
    };
    return bed_apply(b, &op);
}

int bed_service_put(struct bed *b, const char *service, bool create, bool ephemeral,
                    double threshold)
{
    struct naming_op op = {
        .kind = NAMING_OP_SERVICE_PUT,
        .service = bed_name(service),
        .create = create,
        .ephemeral = ephemeral,
        .protect_threshold = threshold,
    };
    return bed_apply(b, &op);
}

int bed_service_remove(struct bed *b, const char *service, bool is_explicit)
{
    struct naming_op op = {
        .kind = NAMING_OP_SERVICE_REMOVE,
        .service = bed_name(service),
        .is_explicit = is_explicit,
    };
    return bed_apply(b, &op);
}

struct service *bed_service(struct bed *b, const char *service)
{
    struct service_name name = bed_name(service);
    return service_find(b->naming, &name);
}

const struct instance *bed_find(struct bed *b, const char *service, const char *ip, int port)
{
    const struct service *s = bed_service(b, service);
    const struct instance_slot *slot =
        s ? instance_slot_find(s, span_str(ip), (uint16_t)port, SPAN("DEFAULT")) : NULL;
    return slot && slot->newest ? slot->newest->effective : NULL;
}
