#include "http/form.h"

#include <stdint.h>
#include <string.h>

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
    f->list[f->count++] = (struct api_param){span_of(text, name_len), span_of(value, value_len)};
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
