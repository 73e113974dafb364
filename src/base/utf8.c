#include "base/utf8.h"

#include <stdint.h>

static bool is_continuation(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

size_t utf8_cut(const char *s, size_t len)
{
    size_t start = len;
    while (start > 0 && len - start < 3 && is_continuation((unsigned char)s[start - 1])) {
        start--;
    }
    if (start == 0) {
        return len;
    }
    unsigned char lead = (unsigned char)s[start - 1];
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    size_t have = len - (start - 1);
    return have < need ? start - 1 : len;
}

/* What may follow a lead byte: how many more bytes, and the range of the first of them. */
struct lead {
    size_t more;
    unsigned char low;
    unsigned char high;
};

static struct lead lead_of(unsigned char c)
{
    if (c < 0xC2 || c > 0xF4) {
        return (struct lead){0};
    }
    if (c < 0xE0) {
        return (struct lead){1, 0x80, 0xBF};
    }
    if (c < 0xF0) {
        /* E0: nothing overlong. ED: no surrogates. */
        return (struct lead){2, c == 0xE0 ? 0xA0 : 0x80, c == 0xED ? 0x9F : 0xBF};
    }
    /* F0: nothing overlong. F4: nothing above U+10FFFF. */
    return (struct lead){3, c == 0xF0 ? 0x90 : 0x80, c == 0xF4 ? 0x8F : 0xBF};
}

size_t utf8_step(const char *s, size_t left, bool *ret_valid)
{
    const unsigned char *c = (const unsigned char *)s;
    *ret_valid = c[0] < 0x80;
    if (c[0] < 0x80) {
        return 1;
    }
    struct lead lead = lead_of(c[0]);
    if (lead.more == 0 || left < 2 || c[1] < lead.low || c[1] > lead.high) {
        return 1;
    }
    for (size_t i = 2; i <= lead.more; i++) {
        if (i >= left || !is_continuation(c[i])) {
            return i;
        }
    }
    *ret_valid = true;
    return lead.more + 1;
}

bool utf8_valid(const char *s, size_t len)
{
    bool valid = true;
    for (size_t at = 0; at < len && valid;) {
        at += utf8_step(s + at, len - at, &valid);
    }
    return valid;
}
