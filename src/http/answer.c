#include "http/answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "api/v2_codes.h"
#include "base/clock.h"
#include "base/json_out.h"
#include "base/macros.h"
#include "http/route.h"

#define TYPE_JSON "application/json"
#define TYPE_JSON_UTF8 "application/json;charset=UTF-8"
#define TYPE_TEXT "text/plain;charset=UTF-8"
#define TYPE_HTML "text/html;charset=UTF-8"

const char *answer_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } known[] = {
        {200, "OK"},
        {302, "Found"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {413, "Payload Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (known[i].status == status) {
            return known[i].reason;
        }
    }
    return "Unknown Status";
}

void answer_text(struct answer *a, int status, struct span text)
{
    *a = (struct answer){.status = status, .content_type = TYPE_TEXT};
    body_add_buf(&a->body, buf_create(text));
}

static void answer_json(struct answer *a, int status, struct json_out *j)
{
    *a = (struct answer){.status = status, .content_type = TYPE_JSON};
    body_add_buf(&a->body, json_take(j));
}

/* ISO 8601 with milliseconds and the zone's offset, as Spring writes it:
 * 2024-05-13T11:24:45.123+08:00. */
static struct span timestamp(char *dst, size_t size)
{
    int64_t wall_ms = clock_wall_ms();
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm = {0};
    char day[32] = "";
    localtime_r(&seconds, &tm);
    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
    long minutes = tm.tm_gmtoff / 60;
    long distance = minutes < 0 ? -minutes : minutes;
    int len = snprintf(dst, size, "%s.%03d%c%02ld:%02ld", day, (int)(wall_ms % 1000),
                       minutes < 0 ? '-' : '+', distance / 60, distance % 60);
    return span_of(dst, (size_t)len);
}

/* A page for a person who typed an address; it repeats nothing of the request. */
static void container_page(struct answer *a, int status)
{
    char page[256];
    const char *reason = answer_reason(status);
    int len = snprintf(
        page, sizeof(page),
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>%d</title></head>"
        "<body><h1>%d %s</h1></body></html>\n",
        status, status, reason);
    answer_text(a, status, span_of(page, (size_t)len));
    a->content_type = TYPE_HTML;
}

void answer_container(struct answer *a, int status, struct span message, const struct asked *asked)
{
    if (asked->html) {
        container_page(a, status);
        return;
    }
    char when[64];
    struct json_out j;
    json_init(&j, 256 + message.len + asked->path.len);
    json_object(&j);
    json_kstr(&j, "timestamp", timestamp(when, sizeof(when)));
    json_kint(&j, "status", status);
    json_kstr(&j, "error", span_str(answer_reason(status)));
    json_kstr(&j, "message", message);
    json_kstr(&j, "path", asked->path);
    json_object_end(&j);
    answer_json(a, status, &j);
    json_close(&j);
    if (route_below(SPAN("/v1/cs"), asked->path_below)) {
        a->content_type = TYPE_JSON_UTF8; /* its filter presets the type */
    }
}

/* True when Nacos's handler of shape (d) would answer JSON: it looks for "/v2" anywhere in the
 * path. */
static bool path_has_v2(const struct asked *asked)
{
    struct span at = asked->path;
    while (at.len >= 3) {
        if (span_starts(at, SPAN("/v2"))) {
            return true;
        }
        at = span_of(at.data + 1, at.len - 1);
    }
    return false;
}

/* Append s to j's raw bytes as Spring's HtmlUtils escapes it. */
static void html_escape(struct json_out *j, struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        switch (s.data[i]) {
        case '\'':
            json_bytes(j, SPAN("&#39;"));
            break;
        case '"':
            json_bytes(j, SPAN("&quot;"));
            break;
        case '<':
            json_bytes(j, SPAN("&lt;"));
            break;
        case '>':
            json_bytes(j, SPAN("&gt;"));
            break;
        case '&':
            json_bytes(j, SPAN("&amp;"));
            break;
        default:
            json_bytes(j, span_of(&s.data[i], 1));
        }
    }
}

/* "caused: M;" of shapes (b), (c), (d). */
static void caused_text(struct json_out *j, struct span message, bool escape)
{
    json_bytes(j, SPAN("caused: "));
    if (escape) {
        html_escape(j, message);
    } else {
        json_bytes(j, message);
    }
    json_bytes(j, SPAN(";"));
}

static void answer_caused(struct answer *a, int status, struct span message, bool escape)
{
    struct json_out j;
    json_init(&j, message.len + 16);
    caused_text(&j, message, escape);
    answer_json(a, status, &j);
    a->content_type = TYPE_TEXT;
    json_close(&j);
}

/* What shape (d) becomes below /v2. */
static void answer_caused_v2(struct answer *a, struct span message)
{
    struct json_out text;
    json_init(&text, message.len + 16);
    caused_text(&text, message, true);
    struct json_out j;
    json_init(&j, message.len + 64);
    json_object(&j);
    json_kint(&j, "code", 500);
    json_kstr(&j, "message", json_text(&text));
    json_key(&j, "data");
    json_null(&j);
    json_object_end(&j);
    answer_json(a, 500, &j);
    json_close(&j);
    json_close(&text);
}

static void answer_shape_d(struct answer *a, int status, struct span message,
                           const struct asked *asked)
{
    if (path_has_v2(asked)) {
        answer_caused_v2(a, message);
        return;
    }
    answer_caused(a, status, message, true);
}

void answer_no_row(struct answer *a, const struct api_row *other_row, const struct asked *asked)
{
    char text[512];
    if (route_below(SPAN("/v1/ns"), asked->path_below)) {
        int len = snprintf(text, sizeof(text), "no such api:%.32s:%.*s", asked->method,
                           (int)(asked->path.len > 400 ? 400 : asked->path.len), asked->path.data);
        answer_container(a, 501, span_of(text, (size_t)len), asked);
        a->flags |= ANSWER_BARE; /* a filter of its own answers, before those that add headers */
        return;
    }
    if (!other_row) {
        answer_container(a, 404, SPAN("No message available"), asked);
        return;
    }
    int len = snprintf(text, sizeof(text), "Request method '%.32s' not supported", asked->method);
    answer_shape_d(a, 500, span_of(text, (size_t)len), asked);
}

void answer_not_ready(struct answer *a)
{
    /* The missing blank is Nacos's (http-api.md 1.2). */
    answer_text(a, 503, SPAN("server is STARTINGnow, please try again later!"));
    a->content_type = NULL;
    a->flags |= ANSWER_BARE;
}

/* A NacosException's own code is the HTTP status when it can be one. */
static int status_of(const struct fail *fail, int http_status)
{
    if (http_status) {
        return http_status;
    }
    if (fail->nacos >= 400 && fail->nacos <= 599) {
        return fail->nacos;
    }
    return err_http(fail->code);
}

static int v2_code_of(const struct fail *fail)
{
    if (fail->v2) {
        return fail->v2;
    }
    switch (fail->code) {
    case E_FORBIDDEN:
        return V2_ACCESS_DENIED;
    case E_MISSING:
        return V2_PARAMETER_MISSING;
    default:
        return V2_SERVER_ERROR;
    }
}

static void answer_v2(struct answer *a, int status, const struct fail *fail)
{
    int code = v2_code_of(fail);
    struct json_out j;
    json_init(&j, 256);
    json_object(&j);
    json_kint(&j, "code", code);
    json_kstr(&j, "message", span_str(v2_code_text(code)));
    json_kstr(&j, "data", span_str(fail_text(fail)));
    json_object_end(&j);
    answer_json(a, status, &j);
    json_close(&j);
}

/* The parameter check answers before any controller, the same everywhere (1.6). */
static void answer_param_check(struct answer *a, int status, const struct fail *fail,
                               const struct asked *asked)
{
    char text[FAIL_TEXT_MAX + 2];
    int len = snprintf(text, sizeof(text), "%s\r\n", fail_text(fail));
    answer_text(a, status, span_of(text, (size_t)len));
    a->content_type = route_below(SPAN("/v1/cs"), asked->path_below) ? TYPE_JSON_UTF8 : NULL;
    a->flags = ANSWER_BARE | ANSWER_NO_STORE;
}

/* Below /v1/cs Nacos escapes what its general handler says, status 500, and leaves alone what its
 * controllers say (golden http/config-misc.jsonl "capacity set text", sweep.jsonl). */
static void answer_text_fail(struct answer *a, int status, struct span message,
                             const struct asked *asked)
{
    if (status != 500 && route_below(SPAN("/v1/cs"), asked->path_below)) {
        answer_caused(a, status, message, false);
        return;
    }
    answer_shape_d(a, status, message, asked);
}

void answer_fail(struct answer *a, enum api_shape shape, const struct fail *fail, int http_status,
                 const struct asked *asked)
{
    int status = status_of(fail, http_status);
    struct span message = span_str(fail_text(fail));
    if (fail->code == E_PARAM) {
        answer_param_check(a, status, fail, asked);
        return;
    }
    switch (shape) {
    case API_SHAPE_V2:
        answer_v2(a, status, fail);
        return;
    case API_SHAPE_TEXT:
        answer_text_fail(a, status, message, asked);
        return;
    case API_SHAPE_NAMING1:
    case API_SHAPE_TYPED:
    case API_SHAPE_READ:
        break;
    }
    if (fail->code == E_INTERNAL) {
        answer_caused(a, status, message, false);
        return;
    }
    answer_text(a, status, message);
}

/* DIFF(text-stays-text): Nacos negotiates plain strings and gives a browser text/html; ours stay
 * text/plain, because they may repeat what the request said and must never be taken for a page. */
static const char *default_type(enum api_shape shape, const struct body *body,
                                const struct asked *asked)
{
    if (shape == API_SHAPE_TEXT && route_below(SPAN("/v1/cs"), asked->path_below)) {
        return TYPE_JSON_UTF8; /* its filter presets the type, whatever the body is */
    }
    if (body->parts == 0) {
        return shape == API_SHAPE_V2 ? TYPE_JSON : NULL;
    }
    char first = body->part[0].buf->data[body->part[0].off];
    return first == '{' || first == '[' ? TYPE_JSON : TYPE_TEXT;
}

void answer_reply(struct answer *a, enum api_shape shape, struct api_reply *take_reply,
                  const struct asked *asked)
{
    if (take_reply->fail.code < 0) {
        body_close(&take_reply->body);
        answer_fail(a, shape, &take_reply->fail, take_reply->http_status, asked);
        return;
    }
    const char *type = take_reply->content_type;
    *a = (struct answer){
        .status = take_reply->http_status ? take_reply->http_status : 200,
        .content_type = type ? type : default_type(shape, &take_reply->body, asked),
        .headers = take_reply->headers,
        .headers_count = take_reply->headers_count,
        .body = take_reply->body,
    };
    take_reply->body = (struct body){0};
}
