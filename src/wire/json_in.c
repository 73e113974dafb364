#include "wire/json_in.h"

#include <math.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "base/assert.h"
#include "base/json_out.h"

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* What one walk over the text finds out before cJSON sees it. */
struct scan {
    size_t at;
    unsigned depth;
    unsigned values;
    uint32_t arrays; /* bit per open level: it is an array */
};

static int scan_refuse(const struct scan *s, struct fail *fail, const char *why)
{
    return fail_set(fail, E_PARSE, "malformed JSON at byte %zu: %s", s->at, why);
}

/* Where the run of bytes that mean nothing inside a string ends. */
static size_t skip_plain(struct span text, size_t at)
{
    while (at < text.len && text.data[at] != '"' && text.data[at] != '\\' && text.data[at]) {
        at++;
    }
    return at;
}

/* From the opening quote to the closing one. */
static int scan_string(struct scan *s, struct span text, struct fail *fail)
{
    s->at = skip_plain(text, s->at + 1);
    while (s->at < text.len && text.data[s->at] == '\\') {
        struct span rest = span_of(text.data + s->at, text.len - s->at);
        if (span_starts(rest, SPAN("\\u0000"))) {
            return scan_refuse(s, fail, "\\u0000 in a string");
        }
        /* An escaped quote does not close. */
        bool is_pair = rest.len > 1 && rest.data[1];
        s->at = skip_plain(text, s->at + (is_pair ? 2 : 1));
    }
    if (s->at >= text.len) {
        return scan_refuse(s, fail, "a string that does not end");
    }
    return text.data[s->at] == '"' ? 0 : scan_refuse(s, fail, "a NUL byte");
}

static int scan_bracket(struct scan *s, char c, struct fail *fail)
{
    bool is_array = c == '[' || c == ']';
    if (c == '{' || c == '[') {
        if (s->depth == JSON_IN_DEPTH_MAX) {
            return fail_set(fail, E_PARSE, "JSON nested deeper than %d levels", JSON_IN_DEPTH_MAX);
        }
        s->arrays = s->arrays << 1 | (uint32_t)is_array;
        s->depth++;
        s->values++;
        return 0;
    }
    if (s->depth == 0 || (s->arrays & 1u) != (uint32_t)is_array) {
        return scan_refuse(s, fail, "a bracket that closes nothing");
    }
    s->arrays >>= 1;
    s->depth--;
    return 0;
}

/* cJSON recurses, allocates 64 bytes for a value of two, ends strings at NUL, and version 1.7.15
 * reads one byte behind a text that ends inside an object. So depth, number of values, NUL and
 * balance are settled here; where brackets balance and strings end, cJSON is at the outermost level
 * when the text is used up, and reads no further. */
static int scan_text(struct span text, struct fail *fail)
{
    struct scan s = {0};
    for (; s.at < text.len; s.at++) {
        int err = 0;
        switch (text.data[s.at]) {
        case '"':
            err = scan_string(&s, text, fail);
            break;
        case '{':
        case '[':
        case '}':
        case ']':
            err = scan_bracket(&s, text.data[s.at], fail);
            break;
        case ',':
            s.values++;
            break;
        case '\0':
            err = scan_refuse(&s, fail, "a NUL byte");
            break;
        default:
            break;
        }
        if (err) {
            return err;
        }
        if (s.values > JSON_IN_VALUES_MAX) {
            return fail_set(fail, E_TOO_LARGE, "JSON of more than %u values", JSON_IN_VALUES_MAX);
        }
    }
    return s.depth > 0 ? scan_refuse(&s, fail, "a bracket is not closed") : 0;
}

int json_in_parse(struct span text, struct cJSON **ret_doc, struct fail *fail)
{
    if (text.len > JSON_IN_BYTES_MAX) {
        return fail_set(fail, E_TOO_LARGE, "JSON of %zu bytes, at most %u", text.len,
                        JSON_IN_BYTES_MAX);
    }
    int err = scan_text(text, fail);
    if (err) {
        return err;
    }
    const char *end = NULL;
    struct cJSON *doc = text.len ? cJSON_ParseWithLengthOpts(text.data, text.len, &end, 0) : NULL;
    size_t at = end ? (size_t)(end - text.data) : 0;
    while (doc && at < text.len && is_white(text.data[at])) {
        at++;
    }
    if (!doc || at < text.len) {
        cJSON_Delete(doc);
        return fail_set(fail, E_PARSE, "malformed JSON at byte %zu", at);
    }
    *ret_doc = doc;
    return 0;
}

int json_in_object(struct span text, struct cJSON **ret_doc, struct fail *fail)
{
    if (span_empty(span_trim(text))) {
        return fail_set(fail, E_PARSE, "Invalid request");
    }
    struct cJSON *doc = NULL;
    int err = json_in_parse(text, &doc, fail);
    if (err) {
        return err;
    }
    if (!cJSON_IsObject(doc)) {
        cJSON_Delete(doc);
        return fail_set(fail, E_PARSE, "malformed JSON: expected an object");
    }
    *ret_doc = doc;
    return 0;
}

void json_in_free(struct cJSON *doc)
{
    cJSON_Delete(doc);
}

const struct cJSON *json_in_get(const struct cJSON *obj, const char *key)
{
    const struct cJSON *item = cJSON_GetObjectItemCaseSensitive(obj, key);
    return item && !cJSON_IsNull(item) ? item : NULL;
}

bool json_in_has(const struct cJSON *obj, const char *key)
{
    return json_in_get(obj, key);
}

static const char *kind_of(const struct cJSON *item)
{
    return cJSON_IsString(item)   ? "a string"
           : cJSON_IsNumber(item) ? "a number"
           : cJSON_IsBool(item)   ? "a boolean"
           : cJSON_IsArray(item)  ? "an array"
                                  : "an object";
}

static int refuse(struct fail *fail, const char *key, const char *expected,
                  const struct cJSON *item)
{
    if (cJSON_IsString(item)) {
        return fail_set(fail, E_PARSE, "field '%s': expected %s, got \"%.64s\"", key, expected,
                        item->valuestring);
    }
    if (cJSON_IsNumber(item)) {
        return fail_set(fail, E_PARSE, "field '%s': expected %s, got %.15g", key, expected,
                        item->valuedouble);
    }
    return fail_set(fail, E_PARSE, "field '%s': expected %s, got %s", key, expected, kind_of(item));
}

/* A whole number of at least -2^63 and less than 2^63. */
static bool is_int64(double d)
{
    const double end = 9223372036854775808.0;
    return d >= -end && d < end && d == trunc(d);
}

static bool copy(struct arena *arena, struct span s, struct span *ret)
{
    char *to = arena_try(arena, s.len + 1);
    if (!to) {
        return false;
    }
    if (s.len > 0) {
        memcpy(to, s.data, s.len);
    }
    *ret = span_of(to, s.len);
    return true;
}

/* The source's digits are gone: whole numbers come out as such, others as the writer writes them.
 */
static bool copy_number(struct arena *arena, double d, struct span *ret)
{
    struct json_out j;
    json_init(&j, 32);
    if (is_int64(d)) {
        json_int(&j, (int64_t)d);
    } else if (isfinite(d)) {
        json_double(&j, d);
    } else {
        json_bytes(&j, d > 0 ? SPAN("Infinity") : SPAN("-Infinity"));
    }
    bool fits = copy(arena, json_text(&j), ret);
    json_close(&j);
    return fits;
}

/* A scalar as text in the arena. key: for the reason of a failure. */
static int text_of(const struct cJSON *item, const char *key, struct arena *arena, struct span *ret,
                   struct fail *fail)
{
    bool fits = false;
    if (cJSON_IsString(item)) {
        fits = copy(arena, span_str(item->valuestring), ret);
    } else if (cJSON_IsNumber(item)) {
        fits = copy_number(arena, item->valuedouble, ret);
    } else if (cJSON_IsBool(item)) {
        fits = copy(arena, cJSON_IsTrue(item) ? SPAN("true") : SPAN("false"), ret);
    } else {
        return refuse(fail, key, "a string", item);
    }
    if (!fits) {
        return fail_set(fail, E_TOO_LARGE, "field '%s': the request takes more memory than it may",
                        key);
    }
    return 0;
}

int json_in_str(const struct cJSON *obj, const char *key, struct arena *arena, struct span *ret,
                struct fail *fail)
{
    const struct cJSON *item = json_in_get(obj, key);
    return item ? text_of(item, key, arena, ret, fail) : 0;
}

/* The text of a string member without white space around it; the empty span for other kinds. */
static struct span trimmed(const struct cJSON *item)
{
    return cJSON_IsString(item) ? span_trim(span_str(item->valuestring)) : (struct span){0};
}

/* The member, NULL when it is absent, null or a blank string. */
static const struct cJSON *get_filled(const struct cJSON *obj, const char *key)
{
    const struct cJSON *item = json_in_get(obj, key);
    return item && cJSON_IsString(item) && trimmed(item).len == 0 ? NULL : item;
}

int json_in_int(const struct cJSON *obj, const char *key, int64_t min, int64_t max, int64_t *ret,
                struct fail *fail)
{
    const struct cJSON *item = get_filled(obj, key);
    if (!item) {
        return 0;
    }
    double d = cJSON_IsNumber(item) ? item->valuedouble : NAN;
    long long n = 0;
    bool is_exact = cJSON_IsString(item) && span_int(trimmed(item), &n);
    if (!is_exact && cJSON_IsString(item) && !span_double(trimmed(item), &d)) {
        return refuse(fail, key, "a whole number", item);
    }
    if (!is_exact && (isnan(d) || d != trunc(d))) {
        return refuse(fail, key, "a whole number", item);
    }
    bool fits = is_exact || is_int64(d);
    n = is_exact || !fits ? n : (int64_t)d;
    if (!fits || n < min || n > max) {
        return fail_set(fail, E_INVALID, "field '%s': expected %lld to %lld, got %.15g", key,
                        (long long)min, (long long)max, is_exact ? (double)n : d);
    }
    *ret = n;
    return 0;
}

int json_in_double(const struct cJSON *obj, const char *key, double *ret, struct fail *fail)
{
    const struct cJSON *item = get_filled(obj, key);
    if (!item) {
        return 0;
    }
    double d = NAN;
    if (cJSON_IsNumber(item)) {
        d = item->valuedouble;
    } else if (!span_double(trimmed(item), &d)) {
        d = NAN;
    }
    if (!isfinite(d)) {
        return refuse(fail, key, "a finite number", item);
    }
    *ret = d;
    return 0;
}

int json_in_bool(const struct cJSON *obj, const char *key, bool *ret, struct fail *fail)
{
    const struct cJSON *item = get_filled(obj, key);
    if (!item) {
        return 0;
    }
    bool is_true = cJSON_IsTrue(item) || span_ieq(trimmed(item), SPAN("true")) ||
                   (cJSON_IsNumber(item) && item->valuedouble == 1);
    bool is_false = cJSON_IsFalse(item) || span_ieq(trimmed(item), SPAN("false")) ||
                    (cJSON_IsNumber(item) && item->valuedouble == 0);
    if (!is_true && !is_false) {
        return refuse(fail, key, "true or false", item);
    }
    *ret = is_true;
    return 0;
}

/* The pair that has this key already, or the next free one. */
static struct json_pair *pair_slot(struct json_pair *pairs, size_t *count, struct span key)
{
    for (size_t i = 0; i < *count; i++) {
        if (span_eq(pairs[i].key, key)) {
            return &pairs[i];
        }
    }
    (*count)++;
    return &pairs[*count - 1];
}

int json_in_pairs(const struct cJSON *obj, size_t max, struct arena *arena,
                  struct json_pair **ret_pairs, size_t *ret_count, struct fail *fail)
{
    if (obj && !cJSON_IsObject(obj)) {
        return fail_set(fail, E_PARSE, "expected an object of strings, got %s", kind_of(obj));
    }
    size_t members = 0;
    const struct cJSON *item = NULL;
    cJSON_ArrayForEach(item, obj)
    {
        members += !cJSON_IsNull(item);
    }
    if (members > max) {
        /* Repeated keys count too, which bounds the search for them. */
        return fail_set(fail, E_LIMIT, "%zu pairs, at most %zu", members, max);
    }
    struct json_pair *pairs = members ? arena_try(arena, members * sizeof *pairs) : NULL;
    if (members && !pairs) {
        return fail_set(fail, E_TOO_LARGE, "the request takes more memory than it may");
    }
    size_t count = 0;
    cJSON_ArrayForEach(item, obj)
    {
        if (cJSON_IsNull(item)) {
            continue;
        }
        struct json_pair pair = {.key = span_str(item->string)};
        int err = text_of(item, item->string, arena, &pair.value, fail);
        if (err) {
            return err;
        }
        struct json_pair *slot = pair_slot(pairs, &count, pair.key);
        if (!slot->key.data && !copy(arena, pair.key, &slot->key)) {
            return fail_set(fail, E_TOO_LARGE, "the request takes more memory than it may");
        }
        slot->value = pair.value;
    }
    *ret_pairs = pairs;
    *ret_count = count;
    return 0;
}
