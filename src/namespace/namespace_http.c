#include "namespace/namespace_http.h"

#include <stdio.h>

#include "api/dispatch.h"
#include "api/v2_codes.h"
#include "base/arena.h"
#include "base/json_out.h"
#include "base/rand.h"
#include "base/thread.h"
#include "namespace/namespace_op.h"

#define JSON_TYPE "application/json"
/* The parameter check (http-api.md 1.6). It is tighter than what is stored may be. */
#define PARAM_ID_CHARS_MAX 64
#define PARAM_NAME_CHARS_MAX 256
/* Nacos always shows 200, whatever the quota is (semantics.md 2.15). */
#define QUOTA 200

enum { TYPE_GLOBAL = 0, TYPE_CUSTOM = 2 };

enum question { ASK_LIST, ASK_ONE, ASK_EXISTS };

/* A request of either version. What was not sent has data NULL. */
struct form {
    enum question question;
    struct span id;
    struct span name;
    struct span desc;
};

static int illegal_characters(struct fail *fail, const char *what)
{
    return fail_set(fail, E_PARAM,
                    "Param '%s' is illegal, illegal characters should not appear in the param.",
                    what);
}

static int too_long(struct fail *fail, const char *what, int chars_max)
{
    return fail_set(fail, E_PARAM, "Param '%s' is illegal, the param length should not exceed %d.",
                    what, chars_max);
}

/* What stands before the routes: the same parameters for all of them, in this order. */
static int check_params(const struct api_params *p, struct fail *fail)
{
    struct span name = params_get(p, "namespaceName");
    struct span id = params_or(p, "namespaceId", params_get(p, "customNamespaceId"));
    if (!span_empty(span_trim(name))) {
        if (namespace_chars(name) > PARAM_NAME_CHARS_MAX) {
            return too_long(fail, "namespaceShowName", PARAM_NAME_CHARS_MAX);
        }
        if (!namespace_name_is_legal(name)) {
            return illegal_characters(fail, "namespaceShowName");
        }
    }
    if (!span_empty(span_trim(id))) {
        if (namespace_chars(id) > PARAM_ID_CHARS_MAX) {
            return too_long(fail, "namespaceId/tenant", PARAM_ID_CHARS_MAX);
        }
        if (!namespace_id_is_word(id)) {
            return illegal_characters(fail, "namespaceId/tenant");
        }
    }
    return 0;
}

static struct form *form_of(struct api_call *call)
{
    struct form *f = arena_alloc(&call->arena, sizeof *f);
    call->msg = f;
    return f;
}

/* A parameter that the method declares: it must be there and may be empty. v1 answers 500 (golden
 * http/console.jsonl "create no name"), v2 400. */
static int require(struct api_call *call, const struct api_params *p, const char *name,
                   struct span *ret, struct fail *fail)
{
    *ret = params_get(p, name);
    if (ret->data) {
        return 0;
    }
    return fail_set_codes(fail, E_MISSING, call->row->shape == API_SHAPE_V2 ? 0 : 500, 0,
                          "Required request parameter '%s' for method parameter type String is not "
                          "present",
                          name);
}

/* A member of v2's form object: other words. */
static int require_member(const struct api_params *p, const char *name, struct span *ret,
                          struct fail *fail)
{
    *ret = params_get(p, name);
    return ret->data ? 0 : fail_set(fail, E_MISSING, "required parameter '%s' is missing", name);
}

static int decode_get_v1(struct api_call *call, const struct api_params *p, struct fail *fail)
{
    struct form *f = form_of(call);
    int err = check_params(p, fail);
    if (err) {
        return err;
    }
    if (span_eq(params_get(p, "show"), SPAN("all"))) {
        f->question = ASK_ONE;
        return require(call, p, "namespaceId", &f->id, fail);
    }
    if (span_eq(params_get(p, "checkNamespaceIdExist"), SPAN("true"))) {
        f->question = ASK_EXISTS;
        return require(call, p, "customNamespaceId", &f->id, fail);
    }
    f->question = ASK_LIST;
    return 0;
}

static int decode_list_v2(struct api_call *call, const struct api_params *p, struct fail *fail)
{
    form_of(call)->question = ASK_LIST;
    return check_params(p, fail);
}

static int decode_create_v1(struct api_call *call, const struct api_params *p, struct fail *fail)
{
    struct form *f = form_of(call);
    int err = check_params(p, fail);
    err = err ? err : require(call, p, "customNamespaceId", &f->id, fail);
    err = err ? err : require(call, p, "namespaceName", &f->name, fail);
    f->desc = params_get(p, "namespaceDesc");
    return err;
}

static int decode_update_v1(struct api_call *call, const struct api_params *p, struct fail *fail)
{
    struct form *f = form_of(call);
    int err = check_params(p, fail);
    err = err ? err : require(call, p, "namespace", &f->id, fail);
    err = err ? err : require(call, p, "namespaceShowName", &f->name, fail);
    f->desc = params_get(p, "namespaceDesc");
    return err;
}

/* POST and PUT. */
static int decode_form_v2(struct api_call *call, const struct api_params *p, struct fail *fail)
{
    struct form *f = form_of(call);
    int err = check_params(p, fail);
    err = err ? err : require_member(p, "namespaceId", &f->id, fail);
    err = err ? err : require_member(p, "namespaceName", &f->name, fail);
    f->desc = params_get(p, "namespaceDesc");
    return err;
}

/* DELETE of both, GET of v2. */
static int decode_id(struct api_call *call, const struct api_params *p, struct fail *fail)
{
    struct form *f = form_of(call);
    f->question = ASK_ONE;
    int err = check_params(p, fail);
    return err ? err : require(call, p, "namespaceId", &f->id, fail);
}

static void write_one(struct json_out *j, const struct namespaces *n,
                      const struct namespace_info *info, int type)
{
    json_object(j);
    json_kstr(j, "namespace", info->id);
    json_kstr(j, "namespaceShowName", info->name);
    json_key(j, "namespaceDesc");
    if (info->desc.data) {
        json_str(j, info->desc);
    } else {
        json_null(j);
    }
    json_kint(j, "quota", QUOTA);
    json_kint(j, "configCount", (int64_t)namespace_configs(n, info->id));
    json_kint(j, "type", type);
    json_object_end(j);
}

static void write_default(struct json_out *j, const struct namespaces *n)
{
    static const struct namespace_info info = {
        .id = {"", 0}, .name = {"public", 6}, .desc = {"Default Namespace", 17}};
    write_one(j, n, &info, TYPE_GLOBAL);
}

static bool is_v2(const struct api_call *call)
{
    return call->row->shape == API_SHAPE_V2;
}

static void answer_json(struct api_call *call, struct json_out *j)
{
    call->reply.content_type = JSON_TYPE;
    api_answer_json(call, j);
    json_close(j);
}

/* true or false, in the version's shape. */
static void answer_bool(struct api_call *call, bool value)
{
    struct json_out j;
    json_init(&j, 64);
    if (is_v2(call)) {
        v2_begin(&j);
    }
    json_bool(&j, value);
    if (is_v2(call)) {
        v2_end(&j);
    }
    answer_json(call, &j);
}

static void answer_list(struct api_call *call, const struct namespaces *n)
{
    struct json_out j;
    json_init(&j, 256 + 192 * namespace_count(n));
    rest_begin(&j, is_v2(call) ? V2_SUCCESS : 200, is_v2(call) ? v2_code_text(V2_SUCCESS) : NULL);
    json_array(&j);
    write_default(&j, n);
    for (size_t i = 0; i < namespace_count(n); i++) {
        write_one(&j, n, namespace_at(n, i), TYPE_CUSTOM);
    }
    json_array_end(&j);
    rest_end(&j);
    answer_json(call, &j);
}

static int answer_one(struct api_call *call, const struct namespaces *n, struct span id,
                      struct fail *fail)
{
    /* DIFF(default-namespace): to Nacos "public" is nobody's id here. */
    bool is_default = namespace_is_default(id);
    const struct namespace_info *info = namespace_find(n, id);
    if (!is_default && !info) {
        return fail_set_codes(fail, E_NOT_FOUND, is_v2(call) ? 0 : 500, V2_NAMESPACE_NOT_EXIST,
                              "namespaceId [ %.*s ] not exist", SPAN_ARG(id));
    }
    struct json_out j;
    json_init(&j, 512);
    if (is_v2(call)) {
        v2_begin(&j);
    }
    if (is_default) {
        write_default(&j, n);
    } else {
        write_one(&j, n, info, TYPE_CUSTOM);
    }
    if (is_v2(call)) {
        v2_end(&j);
    }
    answer_json(call, &j);
    return API_ANSWERED;
}

static int admit_get(void *self, struct api_call *call, struct now now, struct outbox *out,
                     struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    const struct form *f = call->msg;
    (void)out;
    if (namespace_is_behind(self, call, now)) {
        return API_LATER;
    }
    switch (f->question) {
    case ASK_LIST:
        answer_list(call, self);
        return API_ANSWERED;
    case ASK_ONE:
        return answer_one(call, self, f->id, fail);
    case ASK_EXISTS:
        answer_bool(call, !span_empty(span_trim(f->id)) && namespace_exists(self, f->id));
        return API_ANSWERED;
    }
    return fail_set(fail, E_INTERNAL, "a question outside the enum");
}

/* A random UUID as java.util.UUID writes it. */
static struct span draw_id(struct arena *arena)
{
    uint8_t b[16];
    rand_bytes(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    return arena_printf(
        arena, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
        b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* An empty name, or (v1 PUT, whose name no check has seen) an illegal one. */
static int refuse_name(struct api_call *call, struct span name, struct fail *fail)
{
    if (!is_v2(call)) {
        answer_bool(call, false);
        return API_ANSWERED;
    }
    return fail_set_codes(fail, E_INVALID, 0, V2_ILLEGAL_NAMESPACE,
                          "namespaceName [%.*s] contains illegal char", SPAN_ARG(name));
}

static int propose(struct namespaces *n, const struct namespace_op *op, struct api_call *call,
                   struct outbox *out, struct fail *fail)
{
    struct fail why = {0};
    if (namespace_op_check(op, &why) != 0) {
        /* DIFF(namespace-length): Nacos passes it on to the database, whose answer is a 500. */
        return fail_set_codes(fail, E_INVALID, 0, V2_ILLEGAL_NAMESPACE, "%s", fail_text(&why));
    }
    int err = namespace_trouble(n, fail);
    if (err) {
        return err;
    }
    outbox_propose(out, CONSENSUS_NAMESPACE, namespace_op_encode(op), call);
    return API_LATER;
}

static int admit_create(void *self, struct api_call *call, struct now now, struct outbox *out,
                        struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    const struct form *f = call->msg;
    struct namespaces *n = self;
    struct span id = span_trim(f->id);
    if (!span_empty(id) && namespace_exists(n, id)) {
        if (!is_v2(call)) {
            answer_bool(call, false);
            return API_ANSWERED;
        }
        return fail_set_codes(fail, E_INVALID, 0, V2_ILLEGAL_NAMESPACE,
                              "the namespaceId is existed, namespaceId: %.*s", SPAN_ARG(id));
    }
    if (!namespace_name_is_legal(f->name)) {
        return refuse_name(call, f->name, fail);
    }
    if (namespace_count(n) >= NAMESPACES_MAX) {
        return fail_set(fail, E_LIMIT, "there are %zu namespaces already, as many as may be",
                        namespace_count(n));
    }
    struct namespace_op op = {.kind = NAMESPACE_OP_PUT,
                              .time_ms = now.wall_ms,
                              .id = span_empty(id) ? draw_id(&call->arena) : id,
                              .name = f->name,
                              .desc = f->desc,
                              .create = true};
    return propose(n, &op, call, out, fail);
}

static int admit_update(void *self, struct api_call *call, struct now now, struct outbox *out,
                        struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    const struct form *f = call->msg;
    struct namespaces *n = self;
    if (!namespace_name_is_legal(f->name)) {
        return refuse_name(call, f->name, fail);
    }
    if (!namespace_find(n, f->id)) {
        answer_bool(call, true); /* golden http/console.jsonl "edit unknown" */
        return API_ANSWERED;
    }
    struct namespace_op op = {.kind = NAMESPACE_OP_PUT,
                              .time_ms = now.wall_ms,
                              .id = f->id,
                              .name = f->name,
                              .desc = f->desc};
    return propose(n, &op, call, out, fail);
}

static int admit_remove(void *self, struct api_call *call, struct now now, struct outbox *out,
                        struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    const struct form *f = call->msg;
    struct namespaces *n = self;
    if (!namespace_find(n, f->id)) {
        answer_bool(call, true);
        return API_ANSWERED;
    }
    struct namespace_op op = {.kind = NAMESPACE_OP_REMOVE, .time_ms = now.wall_ms, .id = f->id};
    return propose(n, &op, call, out, fail);
}

void namespace_http_answer(struct api_call *take_call, int err, const struct fail *why,
                           struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    if (err && (err != E_CONFLICT || is_v2(take_call))) {
        dispatch_fail(take_call, why, out);
        return;
    }
    answer_bool(take_call, !err);
    outbox_reply(out, take_call);
}

#define V1_PATH "/v1/console/namespaces"
#define V2_PATH "/v2/console/namespace"
#define V1 API_SHAPE_TEXT
#define V2 API_SHAPE_V2
#define ROW(path, method, permission_, shape_, decode, admit_)                                     \
    {                                                                                              \
        .name = (path), .methods = (method), .permission = (permission_), .shape = (shape_),       \
        .decode_http = (decode), .admit = (admit_)                                                 \
    }

/* Nacos's lists and v1 reads are open even with authentication on. Its writes want an administrator
 * then; without authentication they are open as everything is. Until there are accounts they are
 * part of the data plane here, so that a console and scripts work as with Nacos by default;
 * design.md 6 makes them administration. */
static const struct api_row routes[] = {
    ROW(V1_PATH, API_GET, API_OPEN, V1, decode_get_v1, admit_get),
    ROW(V1_PATH, API_POST, API_CONFIG_WRITE, V1, decode_create_v1, admit_create),
    ROW(V1_PATH, API_PUT, API_CONFIG_WRITE, V1, decode_update_v1, admit_update),
    ROW(V1_PATH, API_DELETE, API_CONFIG_WRITE, V1, decode_id, admit_remove),
    ROW(V2_PATH "/list", API_GET, API_OPEN, V2, decode_list_v2, admit_get),
    ROW(V2_PATH, API_GET, API_CONFIG_READ, V2, decode_id, admit_get),
    ROW(V2_PATH, API_POST, API_CONFIG_WRITE, V2, decode_form_v2, admit_create),
    ROW(V2_PATH, API_PUT, API_CONFIG_WRITE, V2, decode_form_v2, admit_update),
    ROW(V2_PATH, API_DELETE, API_CONFIG_WRITE, V2, decode_id, admit_remove),
};

const struct api_row *namespace_http_rows(size_t *ret_count)
{
    *ret_count = ARRAY_LEN(routes);
    return routes;
}
