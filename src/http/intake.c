#include "http/intake.h"

#include <string.h>

#include "base/macros.h"
#include "http/form.h"

/* The request headers that rows read. */
static const char *const header_names[] = {
    "user-agent",
    "client-version",
    "client-appname",
    "app",
    "authorization",
    "accesstoken",
    "accept",
    /* config (http-api.md 2.1 to 2.4) */
    "vipserver-tag",
    "notify",
    "betaips",
    "casmd5",
    "long-pulling-timeout",
    "long-pulling-timeout-no-hangup",
    "x-forwarded-for",
    "x-real-ip",
};

enum body_kind { BODY_OTHER, BODY_FORM, BODY_MULTIPART };

static enum body_kind body_kind(const struct request *r)
{
    struct span type = span_str(request_header(r, "Content-Type"));
    struct span name = span_trim(span_cut(&type, ';'));
    if (span_ieq(name, SPAN("application/x-www-form-urlencoded"))) {
        return BODY_FORM;
    }
    return span_ieq(name, SPAN("multipart/form-data")) ? BODY_MULTIPART : BODY_OTHER;
}

/* Query first, then the form body; any other body is handed to the row as it is. */
static int read_params(struct request *r, struct api_params *params, struct fail *fail)
{
    struct upload *u = &r->upload;
    enum body_kind kind = u->len ? body_kind(r) : BODY_OTHER;
    /* DIFF(form-body): Nacos takes multipart fields as parameters, and no more than 2 MiB. */
    if (kind == BODY_MULTIPART) {
        return fail_set(
            fail, E_UNSUPPORTED,
            "multipart/form-data is not supported here, send application/x-www-form-urlencoded");
    }
    struct form form;
    struct span query = span_of(r->target.query, r->target.query_len);
    struct span body = span_of(u->data, kind == BODY_FORM ? u->len : 0);
    form_init(&form, &r->call.arena, query, body);
    int err = form_add(&form, r->target.query, r->target.query_len, fail);
    if (!err && kind == BODY_FORM) {
        err = form_add(&form, u->data, u->len, fail);
    }
    if (err) {
        return err;
    }
    params->list = form.list;
    params->count = form.count;
    if (kind == BODY_OTHER) {
        params->body = span_of(u->data, u->len);
    }
    return 0;
}

static void read_headers(struct request *r, struct api_params *params)
{
    struct api_param *list = arena_alloc(&r->call.arena, ARRAY_LEN(header_names) * sizeof(*list));
    for (size_t i = 0; i < ARRAY_LEN(header_names); i++) {
        const char *value = request_header(r, header_names[i]);
        if (!value) {
            continue;
        }
        struct api_param *param = &list[params->headers_count++];
        param->name = span_str(header_names[i]);
        param->value = arena_span(&r->call.arena, span_str(value));
    }
    params->headers = list;
}

static void fill_caller(struct request *r, const struct api_params *params)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    const struct visit *visit = info->socket_context;
    struct api_caller *caller = &r->call.caller;
    memcpy(r->ip, visit->ip, sizeof(r->ip));
    caller->source = API_HTTP;
    caller->remote_ip = span_str(r->ip);
    caller->client_ip = caller->remote_ip;
    caller->remote_port = visit->port;
    caller->app = params_header(params, "app");
    caller->agent = params_header(params, "client-version");
    if (span_empty(caller->agent)) {
        caller->agent = params_header(params, "user-agent");
    }
}

int intake_read(struct request *r, struct api_params *params, struct fail *fail)
{
    read_headers(r, params);
    fill_caller(r, params);
    return read_params(r, params, fail);
}
