#include "base/span.h"

#include <limits.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"

/* Longer than any number that a person or a client's printer writes. */
#define SPAN_DOUBLE_MAX 127

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

int span_cmp(struct span a, struct span b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order != 0) {
        return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

bool span_ieq(struct span a, struct span b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) {
            return false;
        }
    }
    return true;
}

struct span span_trim(struct span s)
{
    while (s.len > 0 && is_space(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && is_space(s.data[s.len - 1])) {
        s.len--;
    }
    return s;
}

bool span_starts(struct span s, struct span prefix)
{
    return s.len >= prefix.len && span_eq(span_of(s.data, prefix.len), prefix);
}

struct span span_cut(struct span *rest, char sep)
{
    const char *at = rest->len ? memchr(rest->data, sep, rest->len) : NULL;
    struct span part = *rest;
    if (!at) {
        *rest = (struct span){0};
        return part;
    }
    part.len = (size_t)(at - rest->data);
    *rest = span_of(at + 1, rest->len - part.len - 1);
    return part;
}

bool span_int(struct span s, long long *ret)
{
    bool is_negative = s.len > 0 && s.data[0] == '-';
    if (s.len > 0 && (is_negative || s.data[0] == '+')) {
        s = span_of(s.data + 1, s.len - 1);
    }
    if (s.len == 0) {
        return false;
    }
    /* Counted downwards: the smallest number has no positive twin. */
    long long n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.data[i]) || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_sub_overflow(n, s.data[i] - '0', &n)) {
            return false;
        }
    }
    if (!is_negative && n == LLONG_MIN) {
        return false;
    }
    *ret = is_negative ? n : -n;
    return true;
}

static size_t digits_at(const char *text, size_t at)
{
    size_t count = 0;
    while (is_digit(text[at + count])) {
        count++;
    }
    return count;
}

/* strtod also takes hexadecimal, infinity, NaN and leading white space: the shape is checked first.
 */
static bool is_decimal(const char *text, size_t len)
{
    size_t at = text[0] == '-' || text[0] == '+' ? 1 : 0;
    size_t digits = digits_at(text, at);
    at += digits;
    if (text[at] == '.') {
        size_t fraction = digits_at(text, at + 1);
        digits += fraction;
        at += 1 + fraction;
    }
    if (digits == 0) {
        return false;
    }
    if (text[at] == 'e' || text[at] == 'E') {
        at += text[at + 1] == '-' || text[at + 1] == '+' ? 2 : 1;
        size_t exponent = digits_at(text, at);
        if (exponent == 0) {
            return false;
        }
        at += exponent;
    }
    return at == len;
}

static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static locale_t c_locale;

static void c_locale_make(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    ASSERT(c_locale);
}

bool span_double(struct span s, double *ret)
{
    char text[SPAN_DOUBLE_MAX + 1];
    if (s.len == 0 || s.len > SPAN_DOUBLE_MAX) {
        return false;
    }
    memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    if (!is_decimal(text, s.len)) {
        return false;
    }
    ASSERT(pthread_once(&c_locale_once, c_locale_make) == 0);
    double d = strtod_l(text, NULL, c_locale);
    if (!isfinite(d)) {
        return false;
    }
    *ret = d;
    return true;
}
