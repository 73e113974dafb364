#include "http/intake.h"

#include <string.h>

#include "base/macros.h"
#include "http/form.h"
#include "http/multipart.h"

/* The request headers that rows read. */
#define NAME(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
static const struct span header_names[] = {
    NAME("user-agent"),
    NAME("client-version"),
    NAME("client-appname"),
    NAME("app"),
    NAME("authorization"),
    NAME("accesstoken"),
    NAME("accept"),
    /* config (http-api.md 2.1 to 2.4) */
    NAME("vipserver-tag"),
    NAME("notify"),
    NAME("betaips"),
    NAME("casmd5"),
    NAME("long-pulling-timeout"),
    NAME("long-pulling-timeout-no-hangup"),
    NAME("x-forwarded-for"),
    NAME("x-real-ip"),
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

/* The fields of a multipart body behind the query's parameters, and its file. */
static int read_multipart(struct request *r, const struct form *query, struct api_params *params,
                          struct fail *fail)
{
    struct span boundary = {0};
    struct multipart m = {0};
    struct span type = span_str(request_header(r, "Content-Type"));
    int err = multipart_boundary(type, &boundary, fail);
    if (!err) {
        struct span body = span_of(r->upload.data, r->upload.len);
        err = multipart_read(body, boundary, &r->call.arena, &m, fail);
    }
    if (err) {
        return err;
    }
    if (query->count + m.count > API_PARAMS_MAX) {
        return fail_set(fail, E_INVALID, "more than %d parameters", API_PARAMS_MAX);
    }
    struct api_param *list = arena_alloc(&r->call.arena, (query->count + m.count) * sizeof(*list));
    for (unsigned i = 0; i < query->count; i++) {
        list[i] = query->list[i];
    }
    for (unsigned i = 0; i < m.count; i++) {
        list[query->count + i] = m.list[i];
    }
    params->list = list;
    params->count = query->count + m.count;
    params->file_field = m.file_field;
    params->file_name = m.file_name;
    params->file = m.file;
    return 0;
}

/* Query first, then the form body; any other body is handed to the row as it is.
 * DIFF(form-body): Nacos takes no more than 2 MiB of a form, 10 MiB of multipart. */
static int read_params(struct request *r, struct api_params *params, struct fail *fail)
{
    struct upload *u = &r->upload;
    enum body_kind kind = u->len ? body_kind(r) : BODY_OTHER;
    struct form form;
    struct span query = span_of(r->target.query, r->target.query_len);
    struct span body = span_of(u->data, kind == BODY_FORM ? u->len : 0);
    form_init(&form, &r->call.arena, query, body);
    int err = form_add(&form, r->target.query, r->target.query_len, fail);
    if (!err && kind == BODY_FORM) {
        err = form_add(&form, u->data, u->len, fail);
    }
    if (!err && kind == BODY_MULTIPART) {
        return read_multipart(r, &form, params, fail);
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

/* Where the headers that rows read go, while libmicrohttpd tells all. */
struct header_visit {
    struct request *request;
    struct api_param *list;
    unsigned count;
    unsigned seen; /* a bit per header_names */
};

static enum MHD_Result visit_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    (void)kind;
    struct header_visit *v = cls;
    struct span sent = span_str(name);
    for (size_t i = 0; i < ARRAY_LEN(header_names); i++) {
        if (!span_ieq(sent, header_names[i])) {
            continue;
        }
        if (!(v->seen & 1u << i)) {
            v->list[v->count++] = (struct api_param){
                .name = header_names[i],
                .value = arena_span(&v->request->call.arena, span_str(value)),
            };
        }
        v->seen |= 1u << i;
        break;
    }
    return MHD_YES;
}

/* One pass over what was sent; of several headers of one name the first counts. */
static void read_headers(struct request *r, struct api_params *params)
{
    _Static_assert(ARRAY_LEN(header_names) < 32, "a bit each");
    struct header_visit visit = {.request = r};
    visit.list = arena_alloc(&r->call.arena, ARRAY_LEN(header_names) * sizeof(*visit.list));
    MHD_get_connection_values(r->connection, MHD_HEADER_KIND, visit_header, &visit);
    params->headers = visit.list;
    params->headers_count = visit.count;
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
