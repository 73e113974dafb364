/* JSON from outside, every getter over every member, and the writer that answers. */
#include "fuzz.h"

#include <math.h>

#include <cjson/cJSON.h>

#include "api/call.h"
#include "base/arena.h"
#include "base/json_out.h"
#include "base/utf8.h"
#include "wire/json_in.h"

#define PAIRS_MAX 64

static void check_err(int err, const struct fail *fail)
{
    if (err) {
        REQUIRE(err == E_PARSE || err == E_INVALID || err == E_TOO_LARGE || err == E_LIMIT);
        fuzz_check_fail(err, fail);
    }
}

/* What cJSON made is no deeper than promised: everything that walks it may recurse. */
static void check_depth(const struct cJSON *item, unsigned depth)
{
    REQUIRE(depth <= JSON_IN_DEPTH_MAX);
    const struct cJSON *child = NULL;
    cJSON_ArrayForEach(child, item)
    {
        check_depth(child, depth + (cJSON_IsObject(child) || cJSON_IsArray(child)));
    }
}

static void check_str(const struct cJSON *obj, const char *key, struct arena *arena)
{
    struct span before = SPAN("before");
    struct span text = before;
    struct fail fail = {0};
    int err = json_in_str(obj, key, arena, &text, &fail);
    check_err(err, &fail);
    if (err || !json_in_has(obj, key)) {
        REQUIRE(text.data == before.data);
        return;
    }
    fuzz_touch(text);
    REQUIRE(text.data != NULL);
    REQUIRE(memchr(text.data, '\0', text.len + 1) == text.data + text.len);
}

static void check_numbers(const struct cJSON *obj, const char *key)
{
    struct fail fail = {0};
    int64_t n = 4711;
    int err = json_in_int(obj, key, -1000, 65535, &n, &fail);
    check_err(err, &fail);
    REQUIRE(n >= -1000 && n <= 65535);
    REQUIRE(err == 0 || n == 4711);
    fail = (struct fail){0};
    n = 0;
    check_err(json_in_int(obj, key, INT64_MIN, INT64_MAX, &n, &fail), &fail);
    fail = (struct fail){0};
    double d = 0.5;
    err = json_in_double(obj, key, &d, &fail);
    check_err(err, &fail);
    REQUIRE(isfinite(d));
    REQUIRE(err == 0 || d == 0.5);
    fail = (struct fail){0};
    bool b = false;
    check_err(json_in_bool(obj, key, &b, &fail), &fail);
}

/* What was read is written, read and written again: the second text is the first. */
static void check_round_trip(const struct json_pair *pairs, size_t count)
{
    struct json_out first;
    json_init(&first, 0);
    json_object(&first);
    for (size_t i = 0; i < count; i++) {
        json_key_span(&first, pairs[i].key);
        json_str(&first, pairs[i].value);
    }
    json_object_end(&first);
    struct span text = json_text(&first);
    REQUIRE(utf8_valid(text.data, text.len));

    struct arena arena;
    arena_init(&arena, API_ARENA_MAX);
    struct cJSON *doc = NULL;
    struct json_pair *again = NULL;
    size_t again_count = 0;
    REQUIRE(json_in_object(text, &doc, NULL) == 0);
    REQUIRE(json_in_pairs(doc, PAIRS_MAX, &arena, &again, &again_count, NULL) == 0);
    /* Two keys of bad UTF-8 may become one of U+FFFD. */
    REQUIRE(again_count <= count);
    for (size_t i = 0; i < count && again_count == count; i++) {
        bool is_valid = utf8_valid(pairs[i].key.data, pairs[i].key.len) &&
                        utf8_valid(pairs[i].value.data, pairs[i].value.len);
        REQUIRE(!is_valid || span_eq(pairs[i].key, again[i].key));
        REQUIRE(!is_valid || span_eq(pairs[i].value, again[i].value));
    }
    json_in_free(doc);
    arena_close(&arena);
    json_close(&first);
}

static void check_pairs(const struct cJSON *obj, struct arena *arena)
{
    struct json_pair *pairs = NULL;
    size_t count = 0;
    struct fail fail = {0};
    int err = json_in_pairs(obj, PAIRS_MAX, arena, &pairs, &count, &fail);
    check_err(err, &fail);
    if (err) {
        return;
    }
    REQUIRE(count <= PAIRS_MAX);
    for (size_t i = 0; i < count; i++) {
        fuzz_touch(pairs[i].key);
        fuzz_touch(pairs[i].value);
        for (size_t n = 0; n < i; n++) {
            REQUIRE(!span_eq(pairs[n].key, pairs[i].key));
        }
    }
    check_round_trip(pairs, count);
}

static void check_member(const struct cJSON *obj, const char *key, struct arena *arena)
{
    const struct cJSON *item = json_in_get(obj, key);
    REQUIRE((item != NULL) == json_in_has(obj, key));
    check_str(obj, key, arena);
    check_numbers(obj, key);
    check_pairs(item, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of((const char *)data, size);
    struct cJSON *doc = NULL;
    struct fail fail = {0};
    int err = json_in_parse(text, &doc, &fail);
    if (err) {
        check_err(err, &fail);
        REQUIRE(doc == NULL);
        REQUIRE(json_in_object(text, &doc, NULL) != 0);
        return 0;
    }
    check_depth(doc, cJSON_IsObject(doc) || cJSON_IsArray(doc));
    struct arena arena;
    arena_init(&arena, API_ARENA_MAX);
    check_member(doc, "key", &arena);
    check_pairs(doc, &arena);
    const struct cJSON *child = NULL;
    size_t visited = 0;
    cJSON_ArrayForEach(child, doc)
    {
        if (child->string && visited++ < PAIRS_MAX) {
            check_member(doc, child->string, &arena);
        }
    }
    arena_close(&arena);
    json_in_free(doc);
    return 0;
}
