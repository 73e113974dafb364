#include "config/config_key.h"

#include <stdint.h>

#include "api/v2_codes.h"
#include "base/assert.h"
#include "base/utf8.h"

#define CONFIG_TAG_MAX 16

bool config_key_eq(const struct config_key *a, const struct config_key *b)
{
    return span_eq(a->data_id, b->data_id) && span_eq(a->group, b->group) &&
           span_eq(a->tenant, b->tenant);
}

/* The code of the well-formed character of len bytes. */
static int32_t code_of(const char *at, size_t len)
{
    const unsigned char *c = (const unsigned char *)at;
    if (len == 1) {
        return c[0];
    }
    int32_t code = c[0] & (0x7F >> len);
    for (size_t i = 1; i < len; i++) {
        code = code << 6 | (c[i] & 0x3F);
    }
    return code;
}

/* java.lang.Character.isWhitespace: separators but the non-breaking ones, and ASCII's controls. */
static bool is_white(int32_t code)
{
    return code == ' ' || (code >= '\t' && code <= '\r') || (code >= 0x1C && code <= 0x1F) ||
           code == 0x1680 || (code >= 0x2000 && code <= 0x200A && code != 0x2007) ||
           code == 0x2028 || code == 0x2029 || code == 0x205F || code == 0x3000;
}

bool config_is_blank(struct span s)
{
    for (size_t at = 0; at < s.len;) {
        bool is_valid = false;
        size_t len = utf8_step(s.data + at, s.len - at, &is_valid);
        if (!is_valid || !is_white(code_of(s.data + at, len))) {
            return false;
        }
        at += len;
    }
    return true;
}

size_t config_chars(struct span s)
{
    size_t count = 0;
    for (size_t at = 0; at < s.len;) {
        bool is_valid = false;
        size_t len = utf8_step(s.data + at, s.len - at, &is_valid);
        count += is_valid && len == 4 ? 2 : 1;
        at += len;
    }
    return count;
}

struct span config_tenant(struct span as_sent)
{
    struct span s = span_trim(as_sent);
    bool is_default =
        config_is_blank(s) || span_ieq(s, SPAN("public")) || span_ieq(s, SPAN("null"));
    return is_default ? SPAN("") : s;
}

static bool is_word(struct span s, const char *also)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        bool is_ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c && strchr(also, c));
        if (!is_ok) {
            return false;
        }
    }
    return true;
}

static int check_param(struct span value, const char *what, size_t max, const char *also,
                       struct fail *fail)
{
    if (config_is_blank(value)) {
        return 0;
    }
    /* Before the characters, as Nacos does; longer in characters means longer in bytes. */
    if (value.len > max && config_chars(value) > max) {
        return fail_set(fail, E_PARAM,
                        "Param '%s' is illegal, the param length should not exceed %zu.", what,
                        max);
    }
    if (!is_word(value, also)) {
        return fail_set(fail, E_PARAM,
                        "Param '%s' is illegal, illegal characters should not appear in the "
                        "param.",
                        what);
    }
    return 0;
}

static struct span shown(struct span s)
{
    return s.data ? s : SPAN("null");
}

int config_key_check(const struct config_key *k, bool v2_names, struct fail *fail)
{
    int err = check_param(k->tenant, "namespaceId/tenant", CONFIG_TENANT_MAX, "_-", fail);
    err = err ? err : check_param(k->data_id, "dataId", CONFIG_DATA_ID_MAX, "_-.:", fail);
    err = err ? err : check_param(k->group, "group", CONFIG_GROUP_MAX, "_-.:", fail);
    if (err) {
        return err;
    }
    /* Only blank ones come here: the checks above pass them. */
    if (k->tenant.len > 0 && config_is_blank(k->tenant)) {
        return fail_set_codes(fail, E_INVALID, 0, V2_PARAMETER_VALIDATE_ERROR, "invalid %s",
                              v2_names ? "namespaceId" : "tenant");
    }
    if (config_is_blank(k->data_id)) {
        return fail_set_codes(fail, E_INVALID, 0, V2_PARAMETER_VALIDATE_ERROR,
                              "invalid dataId : %.*s", SPAN_ARG(shown(k->data_id)));
    }
    if (config_is_blank(k->group)) {
        return fail_set_codes(fail, E_INVALID, 0, V2_PARAMETER_VALIDATE_ERROR,
                              "invalid group : %.*s", SPAN_ARG(shown(k->group)));
    }
    return 0;
}

static char *put(char *at, struct span s)
{
    if (s.len > 0) {
        memcpy(at, s.data, s.len);
    }
    return at + s.len;
}

/* "tenant+group+dataId": no part holds a '+', and a service's key has "@@", which no config's has.
 */
struct span config_key_view(const struct config_key *k, char dst[VIEW_KEY_MAX])
{
    ASSERT(k->tenant.len + k->group.len + k->data_id.len + 2 <= VIEW_KEY_MAX);
    char *at = put(dst, k->tenant);
    *at++ = '+';
    at = put(at, k->group);
    *at++ = '+';
    at = put(at, k->data_id);
    return span_of(dst, (size_t)(at - dst));
}

static char *put_escaped(char *at, struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '+') {
            at = put(at, SPAN("%2B"));
        } else if (s.data[i] == '%') {
            at = put(at, SPAN("%25"));
        } else {
            *at++ = s.data[i];
        }
    }
    return at;
}

struct span config_key_text(const struct config_key *k, struct arena *arena)
{
    size_t room = 3 * (k->data_id.len + k->group.len + k->tenant.len) + 3;
    char *text = arena_alloc(arena, room);
    char *at = put_escaped(text, k->data_id);
    *at++ = '+';
    at = put_escaped(at, k->group);
    if (!span_empty(k->tenant)) {
        *at++ = '+';
        at = put_escaped(at, k->tenant);
    }
    return span_of(text, (size_t)(at - text));
}

int config_tag_check(struct span tag, struct fail *fail)
{
    /* DIFF(tag-ascii): Nacos takes letters of every script here, which no header can carry. */
    if (span_empty(tag) || !is_word(tag, "_-.:")) {
        return fail_set_codes(fail, E_INVALID, 500, V2_PARAMETER_VALIDATE_ERROR,
                              "invalid tag : %.*s", SPAN_ARG(tag));
    }
    if (tag.len > CONFIG_TAG_MAX) {
        return fail_set_codes(fail, E_INVALID, 500, V2_PARAMETER_VALIDATE_ERROR,
                              "too long tag, over %d", CONFIG_TAG_MAX);
    }
    return 0;
}
