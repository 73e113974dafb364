/* A multipart body, as it comes with an HTTP request.
 *
 * Input: a Content-Type up to the first line end, then the body. */
#include "fuzz.h"

#include "api/call.h"
#include "base/json_out.h"
#include "http/multipart.h"

static void check_inside(struct span part, struct span body)
{
    fuzz_touch(part);
    REQUIRE(part.data >= body.data);
    REQUIRE(part.data + part.len <= body.data + body.len);
}

/* Written as a careful client writes them, the fields are the same fields. Names that a quoted
 * string cannot hold are left out. */
static void check_round_trip(const struct multipart *m, struct span boundary)
{
    struct json_out text;
    json_init(&text, 0);
    unsigned written = 0;
    for (unsigned i = 0; i < m->count; i++) {
        struct span name = m->list[i].name;
        if (memchr(name.data, '"', name.len) || memchr(name.data, '\\', name.len)) {
            continue;
        }
        json_bytes(&text, SPAN("--"));
        json_bytes(&text, boundary);
        json_bytes(&text, SPAN("\r\nContent-Disposition: form-data; name=\""));
        json_bytes(&text, name);
        json_bytes(&text, SPAN("\"\r\n\r\n"));
        json_bytes(&text, m->list[i].value);
        json_bytes(&text, SPAN("\r\n"));
        written++;
    }
    json_bytes(&text, SPAN("--"));
    json_bytes(&text, boundary);
    json_bytes(&text, SPAN("--"));
    struct arena arena;
    arena_init(&arena, API_ARENA_MAX);
    struct multipart again = {0};
    REQUIRE(multipart_read(json_text(&text), boundary, &arena, &again, NULL) == 0);
    REQUIRE(again.count == written);
    for (unsigned i = 0, n = 0; i < m->count && written == m->count; i++, n++) {
        REQUIRE(span_eq(again.list[n].name, m->list[i].name));
        REQUIRE(span_eq(again.list[n].value, m->list[i].value));
    }
    arena_close(&arena);
    json_close(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span body = span_of((const char *)data, size);
    struct span type = fuzz_cut(&body, '\n');
    struct span boundary = {0};
    struct fail fail = {0};
    int err = multipart_boundary(type, &boundary, &fail);
    if (err) {
        REQUIRE(err == E_PARSE);
        fuzz_check_fail(err, &fail);
        return 0;
    }
    REQUIRE(boundary.len > 0 && boundary.len <= MULTIPART_BOUNDARY_MAX);
    struct arena arena;
    arena_init(&arena, API_ARENA_MAX);
    struct multipart m = {0};
    err = multipart_read(body, boundary, &arena, &m, &fail);
    if (err) {
        REQUIRE(err == E_PARSE || err == E_INVALID);
        fuzz_check_fail(err, &fail);
    } else {
        REQUIRE(m.count <= MULTIPART_PARTS_MAX);
        for (unsigned i = 0; i < m.count; i++) {
            REQUIRE(!span_empty(m.list[i].name));
            check_inside(m.list[i].name, body);
            check_inside(m.list[i].value, body);
        }
        if (m.file.data) {
            check_inside(m.file, body);
            check_inside(m.file_name, body);
        }
        check_round_trip(&m, boundary);
    }
    arena_close(&arena);
    return 0;
}
