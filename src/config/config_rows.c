#include "config/config_rows.h"

#include "api/dispatch.h"
#include "base/assert.h"
#include "config/admit.h"
#include "config/config_answer.h"
#include "config/config_gate.h"
#include "config/config_msg.h"
#include "config/listen.h"
#include "config/load.h"

/* Python and Rust read these even from a failure (grpc-sdk.md 2.4, rules 3 and 9). */
#define QUERY_FAIL_EXTRA "\"lastModified\":0,\"beta\":false"
#define LISTEN_FAIL_EXTRA "\"changedConfigs\":[]"

static struct config_reader reader_of(const struct api_call *call, struct span tag)
{
    return (struct config_reader){
        .client_ip = call->caller.client_ip,
        .tag = tag,
        .auto_tag = call->caller.tag,
    };
}

static struct config_actor actor_of(const struct api_call *call, struct span user)
{
    bool said = !span_empty(call->caller.client_ip);
    return (struct config_actor){
        .user = user,
        .ip = said ? call->caller.client_ip : call->caller.remote_ip,
    };
}

/* Answer from value, NULL for none. API_TO_CORE when the content is not in memory. */
static int answer_query(struct api_call *call, const struct config_value *value, struct fail *fail)
{
    const struct config_msg_query *m = call->msg;
    struct config_reader reader = reader_of(call, m->tag);
    struct config_choice choice = config_choose(value, &reader);
    if (!choice.version) {
        return config_not_found_rpc(fail);
    }
    if (!choice.version->content) {
        return API_TO_CORE;
    }
    config_answer_rpc(call, &choice);
    return API_ANSWERED;
}

/* The mark of the memory budget (cache.h); written only when it is not there, so that readers on
 * several threads do not fight for the line. */
static void mark_used(struct config_value *value)
{
    if (!atomic_load_explicit(&value->used, memory_order_relaxed)) {
        atomic_store_explicit(&value->used, true, memory_order_relaxed);
    }
}

static int read_query(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    const struct config_edge *edge = self;
    const struct config_msg_query *m = call->msg;
    if (call->caller.notified) {
        return API_TO_CORE; /* ends the repetition of its notice */
    }
    if (!read_gate_is_fresh(edge->gate, now)) {
        return API_TO_CORE;
    }
    char key[VIEW_KEY_MAX];
    struct view_value *taken = NULL;
    int64_t stamp = 0;
    enum view_take took =
        view_take(edge->view, config_key_view(&m->key, key), now.wall_ms, &taken, &stamp);
    if (took == VIEW_STALE) {
        return API_TO_CORE;
    }
    struct config_value *value =
        taken ? CONTAINER_OF(taken, struct config_value, base) : (struct config_value *)NULL;
    if (value) {
        mark_used(value);
    }
    bool is_safe = config_gate_is_safe(edge, value);
    int next = is_safe ? answer_query(call, value, fail) : API_TO_CORE;
    view_value_unref(taken);
    return next;
}

/* The client that was told of a change has read this. A tag's version, by its name, is not what it
 * listens to. */
static void note_read(struct config *c, const struct api_call *call, struct item *i)
{
    const struct config_msg_query *m = call->msg;
    if (!i || !call->caller.notified || !span_empty(m->tag)) {
        return;
    }
    struct config_reader reader = reader_of(call, m->tag);
    struct config_choice choice = config_choose(i->value, &reader);
    char md5[CONFIG_MD5_TEXT];
    struct span text = SPAN("");
    if (choice.version) {
        config_md5_text(choice.version->md5, md5);
        text = span_of(md5, sizeof(md5));
    }
    listen_on_read(c, call->caller.conn, i, text);
}

/* NOLINTNEXTLINE(readability-function-size): the seven parameters are load_ready_fn's. */
static void on_loaded(struct config *c, struct item *i, struct api_call *take_call, int err,
                      const struct fail *fail, struct now now, struct outbox *out)
{
    struct fail why = {0};
    if (err) {
        dispatch_fail(take_call, fail, out);
        return;
    }
    if (config_gate_holds(c, i, take_call, now)) {
        return; /* another version came while this one was read */
    }
    int next = answer_query(take_call, i->value, &why);
    if (next == API_TO_CORE) {
        next = fail_set(&why, E_INTERNAL, "the content was read and is not there");
    }
    note_read(c, take_call, i);
    if (next < 0) {
        dispatch_fail(take_call, &why, out);
        return;
    }
    outbox_reply(out, take_call);
}

static int admit_query(void *self, struct api_call *call, struct now now, struct outbox *out,
                       struct fail *fail)
{
    struct config *c = self;
    const struct config_msg_query *m = call->msg;
    (void)out;
    struct item *i = item_find(c, &m->key);
    struct config_value *value = i ? i->value : NULL;
    if (config_gate_holds(c, i, call, now)) {
        return API_LATER;
    }
    if (value) {
        mark_used(value);
    }
    int next = answer_query(call, value, fail);
    if (next == API_TO_CORE) {
        return load_wait(c, i, call, on_loaded, now, fail);
    }
    note_read(c, call, i);
    return next;
}

/* The checks and the md5 of what may be ten million bytes are the edge's work. */
static int read_publish(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    const struct config_edge *edge = self;
    struct config_msg_publish *m = call->msg;
    (void)now;
    int err = config_form_check(&m->form, edge->content_chars_max, &call->arena, &m->publish, fail);
    return err ? config_msg_refused(err, fail) : API_TO_CORE;
}

static int admit_publish(void *self, struct api_call *call, struct now now, struct outbox *out,
                         struct fail *fail)
{
    const struct config_msg_publish *m = call->msg;
    struct config_actor who = actor_of(call, m->src_user);
    config_msg_answer_success(call);
    return config_admit_publish(self, &m->publish, &who, call, now, out, fail);
}

/* DIFF(remove-code): Nacos says errorCode 0 when a removal fails; Python reads nothing else. */
static int admit_remove(void *self, struct api_call *call, struct now now, struct outbox *out,
                        struct fail *fail)
{
    const struct config_msg_remove *m = call->msg;
    struct config_actor who = actor_of(call, SPAN(""));
    config_msg_answer_success(call);
    return config_admit_remove(self, &m->key, m->gray, &who, call, now, out, fail);
}

static int admit_listen(void *self, struct api_call *call, struct now now, struct outbox *out,
                        struct fail *fail)
{
    struct listen_request *r = call->msg;
    (void)out;
    r->conn = call->caller.conn;
    listen_retag(self, r->conn, call->caller.tag);
    int err = listen_batch(self, r, now, fail);
    if (err) {
        return err;
    }
    config_msg_answer_listen(call, r);
    return API_ANSWERED;
}

static const struct api_row rows[] = {
    {.name = "ConfigQueryRequest",
     .reply_type = "ConfigQueryResponse",
     .permission = API_CONFIG_READ,
     .shape = API_SHAPE_TYPED,
     .fail_extra = QUERY_FAIL_EXTRA,
     .decode_rpc = config_msg_decode_query,
     .read = read_query,
     .admit = admit_query},
    {.name = "ConfigPublishRequest",
     .reply_type = "ConfigPublishResponse",
     .permission = API_CONFIG_WRITE,
     .shape = API_SHAPE_TYPED,
     .decode_rpc = config_msg_decode_publish,
     .read = read_publish,
     .admit = admit_publish},
    {.name = "ConfigRemoveRequest",
     .reply_type = "ConfigRemoveResponse",
     .permission = API_CONFIG_WRITE,
     .shape = API_SHAPE_TYPED,
     .decode_rpc = config_msg_decode_remove,
     .admit = admit_remove},
    {.name = "ConfigBatchListenRequest",
     .reply_type = "ConfigChangeBatchListenResponse",
     .permission = API_CONFIG_READ,
     .shape = API_SHAPE_TYPED,
     .fail_extra = LISTEN_FAIL_EXTRA,
     .decode_rpc = config_msg_decode_listen,
     .admit = admit_listen},
};

const struct api_row *config_rpc_rows(size_t *ret_count)
{
    *ret_count = ARRAY_LEN(rows);
    return rows;
}
