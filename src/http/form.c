#include "http/form.h"

#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

static const char replacement[] = "\xEF\xBF\xBD";
#define REPLACEMENT_LEN 3

/* How many parameters text can hold at most. */
static size_t pieces(struct span text)
{
    size_t count = span_empty(text) ? 0 : 1;
    for (size_t i = 0; i < text.len; i++) {
        count += text.data[i] == '&';
    }
    return count;
}

void form_init(struct form *f, struct arena *arena, struct span query, struct span body)
{
    size_t cap = pieces(query) + pieces(body);
    if (cap > API_PARAMS_MAX) {
        cap = API_PARAMS_MAX;
    }
    *f = (struct form){.arena = arena, .cap = (unsigned)cap};
    if (cap > 0) {
        f->list = arena_alloc(arena, cap * sizeof(*f->list));
    }
}

/* The value of a hex digit, 16 for anything else. */
static unsigned hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return (unsigned)(c - 'a') + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return (unsigned)(c - 'A') + 10;
    }
    return 16;
}

bool form_decode(char *text, size_t len, bool plus, size_t *ret_len)
{
    size_t out = 0;
    for (size_t in = 0; in < len; in++) {
        char c = text[in];
        if (c == '+' && plus) {
            c = ' ';
        } else if (c == '%') {
            if (len - in < 3) {
                return false;
            }
            unsigned high = hex_value(text[in + 1]);
            unsigned low = hex_value(text[in + 2]);
            if (high > 15 || low > 15) {
                return false;
            }
            c = (char)(high * 16 + low);
            in += 2;
        }
        text[out++] = c;
    }
    *ret_len = out;
    return true;
}

/* The length of s once each wrong part is one U+FFFD. */
static size_t repaired_len(struct span s)
{
    size_t len = 0;
    for (size_t i = 0; i < s.len;) {
        bool valid = false;
        size_t step = utf8_step(s.data + i, s.len - i, &valid);
        len += valid ? step : REPLACEMENT_LEN;
        i += step;
    }
    return len;
}

int form_utf8(struct span s, struct arena *arena, struct span *ret, struct fail *fail)
{
    if (utf8_valid(s.data, s.len)) {
        *ret = s;
        return 0;
    }
    size_t len = repaired_len(s);
    char *copy = arena_try(arena, len);
    if (!copy) {
        return fail_set(fail, E_TOO_LARGE, "the parameters are too large");
    }
    size_t out = 0;
    for (size_t i = 0; i < s.len;) {
        bool valid = false;
        size_t step = utf8_step(s.data + i, s.len - i, &valid);
        memcpy(copy + out, valid ? s.data + i : replacement, valid ? step : REPLACEMENT_LEN);
        out += valid ? step : REPLACEMENT_LEN;
        i += step;
    }
    *ret = span_of(copy, len);
    return 0;
}

/* One "name=value" of len bytes. */
static int add_pair(struct form *f, char *text, size_t len, struct fail *fail)
{
    char *equals = memchr(text, '=', len);
    size_t name_len = equals ? (size_t)(equals - text) : len;
    char *value = equals ? equals + 1 : text + len;
    size_t value_len = equals ? len - name_len - 1 : 0;
    /* Tomcat logs and goes on, so a stray % in one parameter does not lose the others. */
    if (name_len == 0 || !form_decode(text, name_len, true, &name_len) ||
        !form_decode(value, value_len, true, &value_len)) {
        return 0;
    }
    if (f->count == f->cap) {
        return fail_set(fail, E_INVALID, "more than %d parameters", API_PARAMS_MAX);
    }
    struct api_param *param = &f->list[f->count];
    int err = form_utf8(span_of(text, name_len), f->arena, &param->name, fail);
    if (!err) {
        err = form_utf8(span_of(value, value_len), f->arena, &param->value, fail);
    }
    if (err) {
        return err;
    }
    f->count++;
    return 0;
}

int form_add(struct form *f, char *text, size_t len, struct fail *fail)
{
    while (len > 0) {
        char *and = memchr(text, '&', len);
        size_t piece = and? (size_t)(and-text) : len;
        int err = add_pair(f, text, piece, fail);
        if (err) {
            return err;
        }
        size_t step = and? piece + 1 : piece;
        text += step;
        len -= step;
    }
    return 0;
}
