#include "store/mysql_text.h"

#include <string.h>

#include "base/utf8.h"

bool mysql_text_has(struct span text, char c)
{
    return text.len > 0 && memchr(text.data, c, text.len) != NULL;
}

bool mysql_text_skip(struct span *text, struct span prefix)
{
    if (text->len < prefix.len || !span_ieq(span_of(text->data, prefix.len), prefix)) {
        return false;
    }
    *text = span_of(text->data + prefix.len, text->len - prefix.len);
    return true;
}

bool mysql_text_is_clean(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f) {
            return false;
        }
    }
    return text.len == 0 || utf8_valid(text.data, text.len);
}

bool mysql_text_is_name(struct span host)
{
    for (size_t i = 0; i < host.len; i++) {
        char c = host.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.') {
            return false;
        }
    }
    return host.len > 0;
}

struct span mysql_text_shown(struct span text)
{
    return text.len <= MYSQL_TEXT_SHOWN ? text
                                        : span_of(text.data, utf8_cut(text.data, MYSQL_TEXT_SHOWN));
}

/* The value of a hexadecimal digit, 16 for anything else. */
static unsigned hex_value(char d)
{
    if (d >= '0' && d <= '9') {
        return (unsigned)(d - '0');
    }
    if (d >= 'a' && d <= 'f') {
        return (unsigned)(d - 'a') + 10;
    }
    return d >= 'A' && d <= 'F' ? (unsigned)(d - 'A') + 10 : 16;
}

bool mysql_text_decode(struct span text, char *dst)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '%') {
            unsigned high = i + 2 < text.len ? hex_value(text.data[i + 1]) : 16;
            unsigned low = i + 2 < text.len ? hex_value(text.data[i + 2]) : 16;
            if (high == 16 || low == 16) {
                return false;
            }
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        dst[len++] = c;
    }
    dst[len] = '\0';
    return mysql_text_is_clean(span_of(dst, len));
}

int mysql_text_put(struct fail *fail, const char *key, const char *what, struct span text,
                   char *dst, size_t size)
{
    if (text.len >= size) {
        return fail_set(fail, E_LIMIT, "%s: %s: expected at most %zu bytes", key, what, size - 1);
    }
    if (text.len > 0) {
        memcpy(dst, text.data, text.len);
    }
    dst[text.len] = '\0';
    return 0;
}

int mysql_text_refuse(struct fail *fail, const char *key, const char *what)
{
    return fail_set(fail, E_INVALID,
                    "%s: %s: expected text with %%XX for what means something in a URL "
                    "(%% itself is %%25)",
                    key, what);
}
