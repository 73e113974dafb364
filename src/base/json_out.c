#include "base/json_out.h"

#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/utf8.h"

#define JSON_OUT_FIRST 256

/* The bytes stand behind room for a struct buf, so that json_take gives the allocation away as it
 * is: no copy, no second block. */
#define JSON_OUT_FRONT sizeof(struct buf)

static void grow(struct json_out *j, size_t more)
{
    ASSERT(more <= SIZE_MAX / 4 - j->len);
    size_t cap = j->cap ? j->cap : JSON_OUT_FIRST;
    while (cap < j->len + more) {
        cap *= 2;
    }
    char *front = j->data ? j->data - JSON_OUT_FRONT : NULL;
    front = mem_realloc(front, JSON_OUT_FRONT + cap, 1);
    j->data = front + JSON_OUT_FRONT;
    j->cap = cap;
}

static inline char *room(struct json_out *j, size_t more)
{
    if (j->cap - j->len < more) {
        grow(j, more);
    }
    return j->data + j->len;
}

static inline void put(struct json_out *j, const char *data, size_t len)
{
    if (len > 0) {
        memcpy(room(j, len), data, len);
        j->len += len;
    }
}

static inline void put_char(struct json_out *j, char c)
{
    *room(j, 1) = c;
    j->len++;
}

/* Before every value and key: a comma when one is due. */
static inline void lead(struct json_out *j)
{
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    if (j->comma >> j->depth & 1u) {
        put_char(j, ',');
    }
    j->comma |= 1u << j->depth;
}

void json_init(struct json_out *j, size_t hint)
{
    *j = (struct json_out){0};
    if (hint) {
        j->cap = hint;
        char *front = mem_alloc(JSON_OUT_FRONT + hint);
        j->data = front + JSON_OUT_FRONT;
    }
}

void json_close(struct json_out *j)
{
    if (j->data) {
        mem_free(j->data - JSON_OUT_FRONT);
    }
    *j = (struct json_out){0};
}

struct buf *json_take(struct json_out *j)
{
    if (!j->data) {
        return buf_create((struct span){0});
    }
    char *front = j->data - JSON_OUT_FRONT;
    if (j->cap - j->len > j->len / 4 + 64) {
        /* Some of these live long (a service's value): the slack goes back. */
        front = mem_realloc(front, JSON_OUT_FRONT + j->len, 1);
    }
    struct buf *b = (struct buf *)(void *)front;
    atomic_init(&b->refs, 1);
    b->len = j->len;
    b->data = front + JSON_OUT_FRONT;
    *j = (struct json_out){0};
    return b;
}

struct span json_text(const struct json_out *j)
{
    return span_of(j->data, j->len);
}

static void open_level(struct json_out *j, char bracket)
{
    lead(j);
    put_char(j, bracket);
    ASSERT(j->depth < JSON_OUT_DEPTH_MAX);
    j->depth++;
    j->comma &= ~(1u << j->depth);
}

static void close_level(struct json_out *j, char bracket)
{
    ASSERT(j->depth > 0);
    ASSERT(!j->after_key);
    j->depth--;
    put_char(j, bracket);
}

void json_object(struct json_out *j)
{
    open_level(j, '{');
}

void json_object_end(struct json_out *j)
{
    close_level(j, '}');
}

void json_array(struct json_out *j)
{
    open_level(j, '[');
}

void json_array_end(struct json_out *j)
{
    close_level(j, ']');
}

void json_key(struct json_out *j, const char *key)
{
    size_t len = strlen(key);
    lead(j);
    char *at = room(j, len + 3);
    at[0] = '"';
    memcpy(at + 1, key, len);
    at[len + 1] = '"';
    at[len + 2] = ':';
    j->len += len + 3;
    j->after_key = true;
}

/* Eight bytes at once: true when all are plain ASCII, that is 0x20 to 0x7F without " and \. Exact:
 * for bytes below 0x80 a subtraction borrows only where the byte is below the subtrahend, and bytes
 * from 0x80 on are caught by their own high bit. */
static inline bool all_plain(const char *s)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t word = 0;
    memcpy(&word, s, 8);
    uint64_t quote = word ^ ones * '"';
    uint64_t backslash = word ^ ones * '\\';
    uint64_t odd = word | (word - ones * 0x20) | (quote - ones) | (backslash - ones);
    return (odd & ones * 0x80) == 0;
}

/* How many bytes of s go out as they are. */
static size_t plain_run(struct span s)
{
    size_t at = 0;
    while (at < s.len) {
        if (s.len - at >= 8 && all_plain(s.data + at)) {
            at += 8;
            continue;
        }
        unsigned char c = (unsigned char)s.data[at];
        if (c < 0x20 || c == '"' || c == '\\') {
            break;
        }
        bool is_valid = true;
        size_t step = utf8_step(s.data + at, s.len - at, &is_valid);
        if (!is_valid) {
            break;
        }
        at += step;
    }
    return at;
}

/* Writes what cannot go out as it is; returns how many bytes of s that covers. */
static size_t put_escape(struct json_out *j, struct span s)
{
    static const char named[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    unsigned char c = (unsigned char)s.data[0];
    if (c >= 0x80) {
        bool is_valid = false;
        put(j, "\xEF\xBF\xBD", 3);
        return utf8_step(s.data, s.len, &is_valid);
    }
    char text[6] = {'\\', (char)c};
    size_t len = 2;
    if (c < 0x20 && named[c]) {
        text[1] = named[c];
    } else if (c < 0x20) {
        /* Upper-case digits, as Jackson writes them. */
        memcpy(text, c < 0x10 ? "\\u000" : "\\u001", 5);
        text[5] = "0123456789ABCDEF"[c & 0xF];
        len = 6;
    }
    put(j, text, len);
    return 1;
}

static void put_string(struct json_out *j, struct span s)
{
    (void)room(j, s.len + 2);
    put_char(j, '"');
    while (s.len > 0) {
        size_t run = plain_run(s);
        put(j, s.data, run);
        s = span_of(s.data + run, s.len - run);
        if (s.len > 0) {
            size_t covered = put_escape(j, s);
            s = span_of(s.data + covered, s.len - covered);
        }
    }
    put_char(j, '"');
}

void json_key_span(struct json_out *j, struct span key)
{
    lead(j);
    put_string(j, key);
    put_char(j, ':');
    j->after_key = true;
}

void json_str(struct json_out *j, struct span s)
{
    lead(j);
    put_string(j, s);
}

/* Of eight bytes those that must be escaped, by their high bits: exact for the first of them and
 * all before it, since a borrow comes only out of a byte that is below the subtrahend itself. */
static inline uint64_t escapes(const char *s)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t word = 0;
    memcpy(&word, s, 8);
    word = le64toh(word);
    uint64_t quote = word ^ ones * '"';
    uint64_t backslash = word ^ ones * '\\';
    uint64_t low = (word - ones * 0x20) & ~word;
    return (low | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & ones * 0x80;
}

size_t json_plain(struct span s)
{
    size_t at = 0;
    for (; s.len - at >= 8; at += 8) {
        uint64_t hit = escapes(s.data + at);
        if (hit) {
            return at + (size_t)__builtin_ctzll(hit) / 8;
        }
    }
    while (at < s.len) {
        unsigned char c = (unsigned char)s.data[at];
        if (c < 0x20 || c == '"' || c == '\\') {
            break;
        }
        at++;
    }
    return at;
}

/* Copy as much of s as goes out as it is; returns how much. dst has room for s and 8 more. */
static size_t copy_plain(char *dst, struct span s)
{
    size_t at = 0;
    for (; s.len - at >= 8; at += 8) {
        memcpy(dst + at, s.data + at, 8);
        uint64_t hit = escapes(s.data + at);
        if (hit) {
            return at + (size_t)__builtin_ctzll(hit) / 8;
        }
    }
    size_t rest = json_plain(span_of(s.data + at, s.len - at));
    if (rest > 0) {
        memcpy(dst + at, s.data + at, rest);
    }
    return at + rest;
}

void json_str_utf8(struct json_out *j, struct span s)
{
    lead(j);
    (void)room(j, s.len + s.len / 16 + 16);
    put_char(j, '"');
    while (s.len > 0) {
        size_t run = copy_plain(room(j, s.len + 16), s);
        j->len += run;
        s = span_of(s.data + run, s.len - run);
        if (s.len > 0) {
            size_t covered = put_escape(j, s);
            s = span_of(s.data + covered, s.len - covered);
        }
    }
    put_char(j, '"');
}

static void put_int(struct json_out *j, int64_t n)
{
    char text[20];
    size_t at = sizeof text;
    uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    do {
        text[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (n < 0) {
        text[--at] = '-';
    }
    put(j, text + at, sizeof text - at);
}

void json_int(struct json_out *j, int64_t n)
{
    lead(j);
    put_int(j, n);
}

/* The fewest digits that read back as d, and the exponent of the first: 0.00125 is "125", -3.
 * Returns the number of digits. Digits are picked out of %e, whose decimal point depends on the
 * locale. d is positive. */
static size_t shortest(double d, char digits[17], int *ret_exponent)
{
    char text[32];
    for (int precision = 14; precision <= 16; precision++) {
        (void)snprintf(text, sizeof text, "%.*e", precision, d);
        if (strtod(text, NULL) == d) {
            break;
        }
    }
    size_t count = 0;
    const char *at = text;
    for (; *at != 'e'; at++) {
        if (*at >= '0' && *at <= '9' && count < 17) {
            digits[count++] = *at;
        }
    }
    while (count > 1 && digits[count - 1] == '0') {
        count--;
    }
    *ret_exponent = (int)strtol(at + 1, NULL, 10);
    return count;
}

static void put_zeros(struct json_out *j, int count)
{
    for (int i = 0; i < count; i++) {
        put_char(j, '0');
    }
}

/* As java.lang.Double.toString: plain from 1e-3 to 1e7, otherwise 1.5E10; always a digit after the
 * point. */
static void put_double(struct json_out *j, double d)
{
    char digits[17];
    int exponent = 0;
    size_t count = shortest(d, digits, &exponent);
    bool is_plain = exponent >= -3 && exponent < 7;
    int whole = is_plain ? exponent + 1 : 1;
    if (whole <= 0) {
        put(j, "0.", 2);
        put_zeros(j, -whole);
        put(j, digits, count);
    } else {
        size_t before = (size_t)whole < count ? (size_t)whole : count;
        put(j, digits, before);
        put_zeros(j, whole - (int)before);
        put_char(j, '.');
        if (before == count) {
            put_char(j, '0');
        }
        put(j, digits + before, count - before);
    }
    if (!is_plain) {
        put_char(j, 'E');
        put_int(j, exponent);
    }
}

void json_double(struct json_out *j, double d)
{
    ASSERT(isfinite(d));
    lead(j);
    if (signbit(d)) {
        put_char(j, '-');
        d = -d;
    }
    if (d < 1e7 && d == (double)(int64_t)d) {
        /* Nearly every weight is 1.0. */
        put_int(j, (int64_t)d);
        put(j, ".0", 2);
        return;
    }
    put_double(j, d);
}

void json_bool(struct json_out *j, bool b)
{
    lead(j);
    put(j, b ? "true" : "false", b ? 4 : 5);
}

void json_null(struct json_out *j)
{
    lead(j);
    put(j, "null", 4);
}

void json_raw(struct json_out *j, struct span value)
{
    lead(j);
    put(j, value.data, value.len);
}

void json_bytes(struct json_out *j, struct span bytes)
{
    put(j, bytes.data, bytes.len);
}

void json_kstr(struct json_out *j, const char *key, struct span s)
{
    json_key(j, key);
    json_str(j, s);
}

void json_kint(struct json_out *j, const char *key, int64_t n)
{
    json_key(j, key);
    json_int(j, n);
}

void json_kdouble(struct json_out *j, const char *key, double d)
{
    json_key(j, key);
    json_double(j, d);
}

void json_kbool(struct json_out *j, const char *key, bool b)
{
    json_key(j, key);
    json_bool(j, b);
}
