/* application.properties: written by people, mounted from anywhere. */
#include "fuzz.h"

#include "base/arena.h"
#include "base/json_out.h"
#include "node/properties.h"

#define ARENA_MAX (16u << 20)

/* Every character that could mean something gets a backslash. */
static void put_escaped(struct json_out *text, struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        struct span plain = span_of(&s.data[i], 1);
        switch (c) {
        case '\n':
            json_bytes(text, SPAN("\\n"));
            break;
        case '\r':
            json_bytes(text, SPAN("\\r"));
            break;
        case ' ':
        case '\t':
        case '\f':
        case '=':
        case ':':
        case '#':
        case '!':
        case '\\':
            json_bytes(text, SPAN("\\"));
            /* fall through */
        default:
            json_bytes(text, plain);
        }
    }
}

/* The entries, written as a careful person writes them, are the same entries. */
static void check_round_trip(const struct property *list, size_t count)
{
    struct json_out text;
    json_init(&text, 0);
    for (size_t i = 0; i < count; i++) {
        put_escaped(&text, list[i].key);
        json_bytes(&text, SPAN("="));
        put_escaped(&text, list[i].value);
        json_bytes(&text, SPAN("\n"));
    }
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct property *again = NULL;
    size_t again_count = 0;
    struct fail fail = {0};
    REQUIRE(properties_parse(json_text(&text), &arena, &again, &again_count, &fail) == 0);
    REQUIRE(again_count == count);
    for (size_t i = 0; i < count; i++) {
        REQUIRE(span_eq(list[i].key, again[i].key));
        REQUIRE(span_eq(list[i].value, again[i].value));
        REQUIRE(again[i].line == i + 1);
    }
    arena_close(&arena);
    json_close(&text);
}

static void check_list(const struct property *list, size_t count, size_t size)
{
    unsigned line = 0;
    REQUIRE(count <= PROPERTIES_MAX);
    for (size_t i = 0; i < count; i++) {
        fuzz_touch(list[i].key);
        fuzz_touch(list[i].value);
        REQUIRE(list[i].key.len <= PROPERTIES_LINE_MAX);
        REQUIRE(strlen(list[i].key.data) == list[i].key.len);
        REQUIRE(strlen(list[i].value.data) == list[i].value.len);
        REQUIRE(list[i].value.len <= PROPERTIES_LINE_MAX);
        REQUIRE(list[i].line > line);
        line = list[i].line;
    }
    REQUIRE(line <= size + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct property *list = NULL;
    size_t count = 0;
    struct fail fail = {0};
    int err = properties_parse(span_of((const char *)data, size), &arena, &list, &count, &fail);
    if (err) {
        REQUIRE(err == E_PARSE || err == E_LIMIT);
        fuzz_check_fail(err, &fail);
        REQUIRE(strncmp(fail.text, "line ", 5) == 0);
    } else {
        check_list(list, count, size);
        check_round_trip(list, count);
    }
    arena_close(&arena);
    return 0;
}
