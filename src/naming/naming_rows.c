#include "naming/naming_rows.h"

#include "base/assert.h"
#include "naming/admit.h"
#include "naming/naming_msg.h"
#include "naming/push.h"
#include "naming/react.h"
#include "naming/state.h"

#define INFO_HEAD "{\"resultCode\":200,\"errorCode\":0,\"serviceInfo\":"
#define SUBSCRIBE_HEAD                                                                             \
    "{\"resultCode\":200,\"errorCode\":0,\"message\":\"success\",\"serviceInfo\":"
#define INFO_TAIL ",\"success\":true}"

/* Python and Rust read these even from a failure (grpc-sdk.md 2.4, rule 10). */
#define LIST_FAIL_EXTRA "\"count\":0,\"serviceNames\":[]"

int naming_read_info(struct view *view, struct api_call *call, const struct info_request *r,
                     struct now now)
{
    char key[VIEW_KEY_MAX];
    struct view_value *value = NULL;
    int64_t stamp = 0;
    enum view_take took =
        view_take(view, service_name_key(r->service, key), now.wall_ms, &value, &stamp);
    if (took == VIEW_STALE) {
        return API_TO_CORE;
    }
    struct service_value *v =
        value ? CONTAINER_OF(value, struct service_value, base) : (struct service_value *)NULL;
    struct body body = {0};
    struct service_frame frame = {stamp, r->head, r->tail};
    service_info_body(v, r->service, r->query, &frame, &body);
    view_value_unref(value);
    api_answer(call, &body);
    return API_ANSWERED;
}

void naming_answer_info(struct naming *n, struct api_call *call, const struct info_request *r,
                        struct now now)
{
    struct service *s = service_find(n, r->service);
    if (s) {
        (void)service_refresh(n, s, now);
    }
    int next = naming_read_info(n->view, call, r, now);
    ASSERT(next == API_ANSWERED); /* this thread is the only one that makes values stale */
}

static int read_query(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    const struct msg_query *m = call->msg;
    (void)fail;
    struct info_request r = {&m->service, &m->query, SPAN(INFO_HEAD), SPAN(INFO_TAIL)};
    return naming_read_info(self, call, &r, now);
}

static int admit_query(void *self, struct api_call *call, struct now now, struct outbox *out,
                       struct fail *fail)
{
    const struct msg_query *m = call->msg;
    (void)out;
    (void)fail;
    struct info_request r = {&m->service, &m->query, SPAN(INFO_HEAD), SPAN(INFO_TAIL)};
    naming_answer_info(self, call, &r, now);
    return API_ANSWERED;
}

static int admit_instance(void *self, struct api_call *call, struct now now, struct outbox *out,
                          struct fail *fail)
{
    const struct msg_instances *m = call->msg;
    msg_answer_type(call, m->type);
    if (m->deregister) {
        struct naming_unpublish u = {
            .service = m->service,
            .kind = CLIENT_CONNECTION,
            .conn = call->caller.conn,
            .reason = REMOVAL_DEREGISTERED,
        };
        return admit_unpublish(self, &u, call, now, out, fail);
    }
    struct naming_publish p = {
        .service = m->service,
        .instances = m->list,
        .count = m->count,
        .ephemeral = true,
        .kind = CLIENT_CONNECTION,
        .conn = call->caller.conn,
    };
    return admit_publish(self, &p, call, now, out, fail);
}

static int admit_batch(void *self, struct api_call *call, struct now now, struct outbox *out,
                       struct fail *fail)
{
    const struct msg_instances *m = call->msg;
    msg_answer_type(call, m->type);
    struct naming_publish p = {
        .service = m->service,
        .instances = m->list,
        .count = m->count,
        .ephemeral = true,
        .batch = true,
        .kind = CLIENT_CONNECTION,
        .conn = call->caller.conn,
    };
    return admit_publish(self, &p, call, now, out, fail);
}

static int admit_persistent(void *self, struct api_call *call, struct now now, struct outbox *out,
                            struct fail *fail)
{
    const struct msg_instances *m = call->msg;
    msg_answer_type(call, m->type);
    struct span client = arena_printf(&call->arena, "%.*s:%lld#false", SPAN_ARG(m->list[0].ip),
                                      (long long)m->list[0].port);
    if (m->deregister) {
        struct naming_unpublish u = {
            .service = m->service,
            .kind = CLIENT_PERSISTENT,
            .client = client,
            .reason = REMOVAL_DEREGISTERED,
        };
        return admit_unpublish(self, &u, call, now, out, fail);
    }
    struct naming_publish p = {
        .service = m->service,
        .instances = m->list,
        .count = m->count,
        .kind = CLIENT_PERSISTENT,
        .client = client,
    };
    return admit_publish(self, &p, call, now, out, fail);
}

static int admit_subscribe(void *self, struct api_call *call, struct now now, struct outbox *out,
                           struct fail *fail)
{
    const struct msg_subscribe *m = call->msg;
    (void)out;
    struct naming_subscribe s = {
        .service = m->service,
        .clusters = m->clusters,
        .app = call->caller.app,
        .conn = call->caller.conn,
        .conn_id = call->caller.conn_id,
    };
    int err = m->subscribe ? push_subscribe(self, &s, now, fail) : push_unsubscribe(self, &s, fail);
    if (err) {
        return err;
    }
    struct service_query query = {.clusters = m->clusters};
    struct info_request r = {&m->service, &query, SPAN(SUBSCRIBE_HEAD), SPAN(INFO_TAIL)};
    naming_answer_info(self, call, &r, now);
    return API_ANSWERED;
}

static int admit_list(void *self, struct api_call *call, struct now now, struct outbox *out,
                      struct fail *fail)
{
    const struct msg_list *m = call->msg;
    (void)now;
    (void)out;
    (void)fail;
    size_t count = 0;
    struct service *const *sorted = service_group_sorted(self, m->namespace_id, m->group, &count);
    msg_answer_list(call, sorted, count, m);
    return API_ANSWERED;
}

static const struct api_row rows[] = {
    {.name = "InstanceRequest",
     .reply_type = "InstanceResponse",
     .permission = API_NAMING_WRITE,
     .shape = API_SHAPE_TYPED,
     .decode_rpc = msg_decode_instance,
     .admit = admit_instance},
    {.name = "BatchInstanceRequest",
     .reply_type = "BatchInstanceResponse",
     .permission = API_NAMING_WRITE,
     .shape = API_SHAPE_TYPED,
     .decode_rpc = msg_decode_batch,
     .admit = admit_batch},
    {.name = "PersistentInstanceRequest",
     .reply_type = "InstanceResponse",
     .permission = API_NAMING_WRITE,
     .shape = API_SHAPE_TYPED,
     .decode_rpc = msg_decode_persistent,
     .admit = admit_persistent},
    {.name = "ServiceQueryRequest",
     .reply_type = "QueryServiceResponse",
     .permission = API_NAMING_READ,
     .shape = API_SHAPE_READ,
     .decode_rpc = msg_decode_query,
     .read = read_query,
     .admit = admit_query},
    {.name = "SubscribeServiceRequest",
     .reply_type = "SubscribeServiceResponse",
     .permission = API_NAMING_READ,
     .shape = API_SHAPE_READ,
     .decode_rpc = msg_decode_subscribe,
     .admit = admit_subscribe},
    {.name = "ServiceListRequest",
     .reply_type = "ServiceListResponse",
     .permission = API_NAMING_READ,
     .shape = API_SHAPE_READ,
     .fail_extra = LIST_FAIL_EXTRA,
     .decode_rpc = msg_decode_list,
     .admit = admit_list},
};

const struct api_row *naming_rpc_rows(size_t *ret_count)
{
    *ret_count = ARRAY_LEN(rows);
    return rows;
}
