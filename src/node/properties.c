#include "node/properties.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

/* Where the parser stands. */
struct cursor {
    const char *at;
    const char *end;
    unsigned line;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static bool is_eol(char c)
{
    return c == '\n' || c == '\r';
}

/* Step over one line end: \n, \r or \r\n. */
static void skip_eol(struct cursor *c)
{
    if (c->at < c->end && *c->at == '\r') {
        c->at++;
    }
    if (c->at < c->end && *c->at == '\n') {
        c->at++;
    }
    c->line++;
}

static void skip_blanks(struct cursor *c)
{
    while (c->at < c->end && is_blank(*c->at)) {
        c->at++;
    }
}

static void skip_line(struct cursor *c)
{
    while (c->at < c->end && !is_eol(*c->at)) {
        c->at++;
    }
}

/* Append a code point as UTF-8 (surrogates come singly in Java's escapes: each becomes U+FFFD). */
static size_t put_utf8(char *dst, unsigned cp)
{
    if (cp < 0x80) {
        dst[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        dst[0] = (char)(0xC0 | (cp >> 6));
        dst[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp >= 0xD800 && cp <= 0xDFFF) {
        cp = 0xFFFD;
    }
    dst[0] = (char)(0xE0 | (cp >> 12));
    dst[1] = (char)(0x80 | ((cp >> 6) & 0x3F));
    dst[2] = (char)(0x80 | (cp & 0x3F));
    return 3;
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

/* The four hexadecimal digits of a \u escape. */
static int read_hex4(struct cursor *c, unsigned *ret, struct fail *fail)
{
    unsigned cp = 0;
    for (int i = 0; i < 4; i++) {
        unsigned v = c->at < c->end ? hex_value(*c->at) : 16;
        if (v == 16) {
            return fail_set(fail, E_PARSE,
                            "line %u: \\u must be followed by four hexadecimal digits", c->line);
        }
        cp = cp << 4 | v;
        c->at++;
    }
    if (cp == 0) {
        return fail_set(fail, E_PARSE, "line %u: \\u0000; expected text", c->line);
    }
    *ret = cp;
    return 0;
}

/* What a backslash and e stand for; letters without a meaning stand for themselves. */
static char plain_escape(char e)
{
    switch (e) {
    case 't':
        return '\t';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 'f':
        return '\f';
    default:
        return e;
    }
}

/* Values become C strings, which a NUL would cut without a word. */
static int refuse_nul(const struct cursor *c, struct fail *fail)
{
    return fail_set(fail, E_PARSE, "line %u: a NUL byte; expected text", c->line);
}

/* What follows a backslash. A line end is a continuation: its leading blanks vanish. */
static int read_escape(struct cursor *c, char *dst, size_t *len, struct fail *fail)
{
    if (c->at == c->end) {
        return 0;
    }
    if (is_eol(*c->at)) {
        skip_eol(c);
        skip_blanks(c);
        return 0;
    }
    char e = *c->at++;
    if (e == '\0') {
        return refuse_nul(c, fail);
    }
    if (e == 'u') {
        unsigned cp = 0;
        int err = read_hex4(c, &cp, fail);
        if (err || cp == 0) {
            return err ? err : refuse_nul(c, fail);
        }
        *len += put_utf8(dst + *len, cp);
        return 0;
    }
    dst[(*len)++] = plain_escape(e);
    return 0;
}

/* Read a key (up to a separator) or a value (up to the line's end) into dst, which has room for
 * what is left of the text. */
static int read_part(struct cursor *c, bool key, char *dst, struct span *ret, struct fail *fail)
{
    size_t len = 0;
    while (c->at < c->end && !is_eol(*c->at)) {
        char ch = *c->at;
        if (key && (is_blank(ch) || ch == '=' || ch == ':')) {
            break;
        }
        if (ch == '\0') {
            return refuse_nul(c, fail);
        }
        c->at++;
        if (ch != '\\') {
            dst[len++] = ch;
        } else {
            int err = read_escape(c, dst, &len, fail);
            if (err) {
                return err;
            }
        }
        if (len > PROPERTIES_LINE_MAX) {
            return fail_set(fail, E_LIMIT, "line %u: longer than %d bytes", c->line,
                            PROPERTIES_LINE_MAX);
        }
    }
    *ret = span_of(dst, len);
    return 0;
}

/* One logical line that is neither blank nor a comment. */
static int read_entry(struct cursor *c, char *scratch, struct arena *arena, struct property *ret,
                      struct fail *fail)
{
    ret->line = c->line;
    struct span part = {0};
    int err = read_part(c, true, scratch, &part, fail);
    if (err) {
        return err;
    }
    ret->key = arena_span(arena, part);
    skip_blanks(c);
    if (c->at < c->end && (*c->at == '=' || *c->at == ':')) {
        c->at++;
        skip_blanks(c);
    }
    err = read_part(c, false, scratch, &part, fail);
    if (err) {
        return err;
    }
    ret->value = arena_span(arena, part);
    return 0;
}

int properties_parse(struct span text, struct arena *arena, struct property **ret_list,
                     size_t *ret_count, struct fail *fail)
{
    const char *begin = text.data ? text.data : ""; /* no arithmetic on NULL */
    struct cursor c = {begin, begin + text.len, 1};
    /* Escapes only shrink, but \uXXXX may put three bytes for six, so a line's limit plus one code
     * point is room enough. */
    char *scratch = mem_alloc(PROPERTIES_LINE_MAX + 8);
    struct property *list = NULL;
    size_t count = 0;
    size_t cap = 0;
    int err = 0;

    while (c.at < c.end) {
        skip_blanks(&c);
        if (c.at == c.end) {
            break;
        }
        if (is_eol(*c.at)) {
            skip_eol(&c);
            continue;
        }
        if (*c.at == '#' || *c.at == '!') {
            skip_line(&c);
            continue;
        }
        if (count == PROPERTIES_MAX) {
            err = fail_set(fail, E_LIMIT, "line %u: more than %d entries", c.line, PROPERTIES_MAX);
            goto out;
        }
        if (count == cap) {
            size_t more = cap ? cap * 2 : 64;
            struct property *grown = arena_alloc(arena, more * sizeof(*grown));
            if (count) {
                memcpy(grown, list, count * sizeof(*grown));
            }
            list = grown;
            cap = more;
        }
        err = read_entry(&c, scratch, arena, &list[count], fail);
        if (err) {
            goto out;
        }
        count++;
    }
    *ret_list = list;
    *ret_count = count;
out:
    mem_free(scratch);
    return err;
}
