#include "http/send.h"

#include <stdio.h>
#include <string.h>

#include "api/row.h"
#include "base/assert.h"
#include "base/macros.h"
#include "base/mem.h"
#include "http/route.h"

#define ALLOW_TEXT_MAX 64

/* What libmicrohttpd hands back when it has sent a body: on the connection's thread, or on main
 * when the daemon stops. */
static void body_sent(void *cls)
{
    struct body *body = cls;
    body_close(body);
    mem_free(body);
}

static void buf_sent(void *cls)
{
    buf_unref(cls);
}

/* A response around the body's own bytes; takes the body. */
static struct MHD_Response *response_of(struct body *take_body)
{
    if (take_body->parts == 0) {
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    }
    if (take_body->parts == 1) {
        struct buf *buf = take_body->part[0].buf;
        char *data = buf->data + take_body->part[0].off;
        size_t len = take_body->part[0].len;
        *take_body = (struct body){0};
        return MHD_create_response_from_buffer_with_free_callback_cls(len, data, buf_sent, buf);
    }
    struct body *body = mem_alloc(sizeof(*body));
    *body = *take_body;
    *take_body = (struct body){0};
    struct MHD_IoVec iov[BODY_PARTS_MAX];
    for (unsigned i = 0; i < body->parts; i++) {
        iov[i].iov_base = body->part[i].buf->data + body->part[i].off;
        iov[i].iov_len = body->part[i].len;
    }
    return MHD_create_response_from_iovec(iov, body->parts, body_sent, body);
}

static void add(struct MHD_Response *response, const char *name, const char *value)
{
    /* Refused only for a value with line breaks, which would be an echo of the request: then the
     * header is left out. */
    (void)MHD_add_response_header(response, name, value);
}

/* A row's own header. libmicrohttpd takes no empty value; a blank is the same on the wire, where it
 * belongs to no value (RFC 9110, 5.5). */
static void add_row_header(struct MHD_Response *response, const struct api_header *header)
{
    ASSERT(span_empty(header->value) || header->value.data[header->value.len] == '\0');
    add(response, header->name, span_empty(header->value) ? " " : header->value.data);
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static void add_cors(struct MHD_Connection *connection, struct MHD_Response *response,
                     bool preflight)
{
    add(response, "Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
    const char *origin = header(connection, "Origin");
    if (!origin) {
        return;
    }
    add(response, "Access-Control-Allow-Origin", origin);
    add(response, "Access-Control-Allow-Credentials", "true");
    if (!preflight) {
        return;
    }
    const char *method = header(connection, "Access-Control-Request-Method");
    const char *headers = header(connection, "Access-Control-Request-Headers");
    if (method) {
        add(response, "Access-Control-Allow-Methods", method);
    }
    if (headers) {
        add(response, "Access-Control-Allow-Headers", headers);
    }
    add(response, "Access-Control-Max-Age", "18000");
}

static void add_allow(struct MHD_Response *response, unsigned methods)
{
    static const struct {
        unsigned method;
        const char *name;
    } names[] = {
        {API_GET, "GET,HEAD,"},  {API_POST, "POST,"},   {API_PUT, "PUT,"},
        {API_DELETE, "DELETE,"}, {API_PATCH, "PATCH,"},
    };
    char text[ALLOW_TEXT_MAX] = "";
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (methods & names[i].method) {
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", names[i].name);
            ASSERT(len < sizeof(text));
        }
    }
    snprintf(text + len, sizeof(text) - len, "OPTIONS");
    add(response, "Allow", text);
}

static void add_headers(struct MHD_Connection *connection, struct MHD_Response *response,
                        const struct answer *a)
{
    if (!(a->flags & ANSWER_NO_VARY)) {
        add_cors(connection, response, a->flags & ANSWER_PREFLIGHT);
    }
    if (!(a->flags & ANSWER_NO_CSP)) {
        add(response, "Content-Security-Policy", "script-src 'self'");
    }
    if (a->flags & ANSWER_NO_STORE) {
        add(response, "Pragma", "no-cache");
        add(response, "Expires", "Thu, 01 Jan 1970 00:00:00 GMT");
        add(response, "Cache-Control", "no-cache,no-store");
    }
    if (a->flags & ANSWER_REVALIDATE) {
        add(response, "Cache-Control", "no-cache");
    }
    for (unsigned i = 0; i < a->headers_count; i++) {
        add_row_header(response, &a->headers[i]);
    }
    if (a->content_type && a->content_type[0]) {
        add(response, "Content-Type", a->content_type);
    }
    if (a->location) {
        add(response, "Location", a->location);
    }
    if (a->allow) {
        add_allow(response, a->allow);
    }
    if (a->flags & ANSWER_CLOSE) {
        add(response, "Connection", "close");
    }
}

enum MHD_Result send_answer(struct MHD_Connection *connection, struct answer *take_answer)
{
    struct MHD_Response *response = response_of(&take_answer->body);
    ASSERT(response != NULL); /* libmicrohttpd fails here only without memory */
    add_headers(connection, response, take_answer);
    enum MHD_Result queued =
        MHD_queue_response(connection, (unsigned)take_answer->status, response);
    MHD_destroy_response(response);
    return queued;
}
