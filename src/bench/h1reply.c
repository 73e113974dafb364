#include "bench/h1reply.h"

#include <string.h>

static int bad(struct fail *fail, const char *expected, struct span found)
{
    size_t len = found.len < 80 ? found.len : 80;
    return fail_set(fail, E_PARSE, "expected %s, found \"%.*s\"", expected, (int)len,
                    found.data ? found.data : "");
}

/* HTTP/1.x SP 3DIGIT [SP reason] */
static int take_status(struct h1reply *r, struct span line, struct fail *fail)
{
    long long status = 0;
    if (!span_starts(line, SPAN("HTTP/1.")) || line.len < 12 || line.data[8] != ' ' ||
        !span_int(span_of(line.data + 9, 3), &status) || status < 100) {
        return bad(fail, "an HTTP/1.1 status line", line);
    }
    r->status = (int)status;
    r->close = line.data[7] == '0';
    r->state = H1_HEADER;
    return 0;
}

static void headers_end(struct h1reply *r)
{
    if (r->status < 200) { /* 100 Continue and the like: the response comes after it */
        r->state = H1_STATUS;
    } else if (r->chunked) {
        r->state = H1_CHUNK_SIZE;
    } else {
        r->state = r->left > 0 ? H1_BODY : H1_DONE;
    }
}

static int take_header(struct h1reply *r, struct span line, struct fail *fail)
{
    if (span_empty(line)) {
        headers_end(r);
        return 0;
    }
    struct span value = line;
    struct span name = span_cut(&value, ':');
    value = span_trim(value);
    long long length = 0;
    if (span_ieq(name, SPAN("content-length"))) {
        if (!span_int(value, &length) || length < 0) {
            return bad(fail, "a Content-Length", line);
        }
        if ((size_t)length > H1_BODY_MAX) {
            return fail_set(fail, E_TOO_LARGE, "a response body of %lld bytes", length);
        }
        r->left = (size_t)length;
    } else if (span_ieq(name, SPAN("transfer-encoding"))) {
        r->chunked = span_ieq(value, SPAN("chunked"));
    } else if (span_ieq(name, SPAN("connection"))) {
        r->close = span_ieq(value, SPAN("close"));
    }
    return 0;
}

static int take_chunk_size(struct h1reply *r, struct span line, struct fail *fail)
{
    struct span rest = line;
    struct span digits = span_trim(span_cut(&rest, ';'));
    size_t size = 0;
    if (digits.len == 0 || digits.len > 7) {
        return bad(fail, "a chunk size", line);
    }
    for (size_t i = 0; i < digits.len; i++) {
        static const char hex[] = "0123456789abcdef";
        const char *at = memchr(hex, digits.data[i] | 0x20, sizeof(hex) - 1);
        if (!at) {
            return bad(fail, "a chunk size", line);
        }
        size = size * 16 + (size_t)(at - hex);
    }
    r->left = size;
    r->state = size > 0 ? H1_CHUNK : H1_TRAILER;
    return 0;
}

static int take_line(struct h1reply *r, struct span line, struct fail *fail)
{
    switch (r->state) {
    case H1_STATUS:
        return take_status(r, line, fail);
    case H1_HEADER:
        return take_header(r, line, fail);
    case H1_CHUNK_SIZE:
        return take_chunk_size(r, line, fail);
    case H1_CHUNK_END:
        r->state = H1_CHUNK_SIZE;
        return span_empty(line) ? 0 : bad(fail, "the end of a chunk", line);
    case H1_TRAILER:
        r->state = span_empty(line) ? H1_DONE : H1_TRAILER;
        return 0;
    case H1_BODY:
    case H1_CHUNK:
    case H1_DONE:
        break;
    }
    return fail_set(fail, E_INTERNAL, "no line is expected in state %d", (int)r->state);
}

/* A piece of the body or of a chunk. */
static int take_body(struct h1reply *r, struct span bytes, size_t *ret_used, struct fail *fail)
{
    size_t len = bytes.len < r->left ? bytes.len : r->left;
    if (r->body.len + len > H1_BODY_MAX) {
        return fail_set(fail, E_TOO_LARGE, "a response body over %zu bytes", H1_BODY_MAX);
    }
    bytes_append(&r->body, bytes.data, len);
    r->left -= len;
    if (r->left == 0) {
        r->state = r->state == H1_BODY ? H1_DONE : H1_CHUNK_END;
    }
    *ret_used = len;
    return 0;
}

/* Up to and with the next line feed; a line that is not whole yet is kept. */
static int take_text(struct h1reply *r, struct span bytes, size_t *ret_used, struct fail *fail)
{
    const char *end = memchr(bytes.data, '\n', bytes.len);
    size_t len = end ? (size_t)(end - bytes.data) + 1 : bytes.len;
    struct span line = span_of(bytes.data, len);
    if (r->line.len + len > H1_LINE_MAX) {
        return fail_set(fail, E_TOO_LARGE, "a response line over %d bytes", H1_LINE_MAX);
    }
    *ret_used = len;
    if (!end || r->line.len > 0) {
        bytes_append(&r->line, bytes.data, len);
        line = bytes_span(&r->line);
    }
    if (!end) {
        return 0;
    }
    line.len--;
    if (line.len > 0 && line.data[line.len - 1] == '\r') {
        line.len--;
    }
    int err = take_line(r, line, fail);
    bytes_clear(&r->line);
    return err;
}

int h1reply_take(struct h1reply *r, struct span bytes, size_t *ret_used, struct fail *fail)
{
    size_t all = 0;
    while (r->state != H1_DONE && all < bytes.len) {
        struct span rest = span_of(bytes.data + all, bytes.len - all);
        size_t used = 0;
        bool raw = r->state == H1_BODY || r->state == H1_CHUNK;
        int err = raw ? take_body(r, rest, &used, fail) : take_text(r, rest, &used, fail);
        if (err) {
            return err;
        }
        all += used;
    }
    *ret_used = all;
    return 0;
}

void h1reply_reset(struct h1reply *r)
{
    struct bytes body = r->body;
    struct bytes line = r->line;
    bytes_clear(&body);
    bytes_clear(&line);
    *r = (struct h1reply){.body = body, .line = line};
}

void h1reply_close(struct h1reply *r)
{
    bytes_close(&r->body);
    bytes_close(&r->line);
    *r = (struct h1reply){0};
}
