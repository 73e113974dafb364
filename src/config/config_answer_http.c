/* The HTTP half of config_answer.h. */
#include "config/config_answer.h"

#include <stdio.h>
#include <time.h>

#include "api/v2_codes.h"
#include "base/assert.h"
#include "base/json_out.h"

#define HEADERS_MAX 8
#define DATE_SIZE 32 /* "Tue, 24 Nov 2026 07:06:06 GMT" and its NUL */

/* As RFC 9110 5.6.7 has it, in no locale. */
static struct span http_date(int64_t wall_ms, struct arena *arena)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm = {0};
    if (!gmtime_r(&seconds, &tm) || tm.tm_year < 0 || tm.tm_year > 9999 - 1900) {
        return SPAN("Thu, 01 Jan 1970 00:00:00 GMT");
    }
    char *text = arena_alloc(arena, DATE_SIZE);
    int len = snprintf(text, DATE_SIZE, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday],
                       tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
                       tm.tm_sec);
    ASSERT(len > 0 && len < DATE_SIZE);
    return span_of(text, (size_t)len);
}

/* As java.net.URLEncoder writes it. */
static struct span url_encoded(struct span s, struct arena *arena)
{
    static const char digits[] = "0123456789ABCDEF";
    char *text = arena_alloc(arena, 3 * s.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '*' || c == '_';
        if (is_plain) {
            text[len++] = (char)c;
        } else if (c == ' ') {
            text[len++] = '+';
        } else {
            text[len++] = '%';
            text[len++] = digits[c >> 4];
            text[len++] = digits[c & 15];
        }
    }
    return span_of(text, len);
}

static struct span md5_text(const struct config_version *v, struct arena *arena)
{
    char *text = arena_alloc(arena, CONFIG_MD5_TEXT + 1);
    config_md5_text(v->md5, text);
    return span_of(text, CONFIG_MD5_TEXT);
}

/* In the order of the recordings. */
static void set_headers(struct api_call *call, const struct config_choice *choice)
{
    struct arena *arena = &call->arena;
    const struct config_version *v = choice->version;
    struct api_header *list = arena_alloc(arena, HEADERS_MAX * sizeof(*list));
    unsigned n = 0;
    list[n++] = (struct api_header){"Config-Type", config_type_text(v->type)};
    list[n++] = (struct api_header){"Content-MD5", md5_text(v, arena)};
    list[n++] = (struct api_header){"Pragma", SPAN("no-cache")};
    list[n++] = (struct api_header){"Expires", SPAN("Thu, 01 Jan 1970 00:00:00 GMT")};
    list[n++] = (struct api_header){"Cache-Control", SPAN("no-cache,no-store")};
    list[n++] = (struct api_header){"Last-Modified", http_date(v->modified_ms, arena)};
    struct span encrypted = span_of(v->encrypted_key, v->encrypted_key_len);
    /* A gray version without a key has none, a formal one an empty one. */
    if (!choice->gray || !span_empty(encrypted)) {
        struct span value = arena_span(arena, encrypted);
        list[n++] = (struct api_header){"Encrypted-Data-Key", value};
    }
    if (choice->gray && choice->gray->is_beta) {
        list[n++] = (struct api_header){"isBeta", SPAN("true")};
    } else if (choice->gray) {
        list[n++] = (struct api_header){"tag", url_encoded(choice->gray->rule, arena)};
    }
    ASSERT(n <= HEADERS_MAX);
    call->reply.headers = list;
    call->reply.headers_count = n;
}

void config_answer_http(struct api_call *call, const struct config_choice *choice, bool v2)
{
    struct buf *content = choice->version->content;
    ASSERT(content != NULL);
    set_headers(call, choice);
    if (!v2) {
        call->reply.content_type = "text/plain;charset=UTF-8";
        api_answer_buf(call, buf_ref(content));
        return;
    }
    struct json_out j;
    json_init(&j, content->len + 64);
    json_object(&j);
    json_kint(&j, "code", V2_SUCCESS);
    json_kstr(&j, "message", SPAN("success"));
    json_kstr(&j, "data", buf_span(content));
    json_object_end(&j);
    call->reply.content_type = "application/json;charset=UTF-8";
    api_answer_json(call, &j);
    json_close(&j);
}

void config_not_found_http(struct api_call *call, bool v2)
{
    call->reply.http_status = 404;
    if (!v2) {
        api_answer_text(call, SPAN("config data not exist\n"));
        return;
    }
    call->reply.content_type = "";
    api_answer_text(call, SPAN("{\"code\":20004,\"message\":\"resource not found\",\"data\":"
                               "\"config data not exist\"}"));
}
