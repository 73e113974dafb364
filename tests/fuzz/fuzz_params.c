/* What an HTTP request brings: target, query, form body in pieces, and the getters that rows use.
 *
 * Input: the target up to the first line end, then the form body. */
#include "fuzz.h"

#include <math.h>

#include "api/call.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "http/form.h"
#include "http/http.h"
#include "http/target.h"
#include "http/upload.h"

/* A context of the input's choice would only be a constant more to guess. */
#define CONTEXT SPAN("/nacos")

static void check_target(const struct target *t)
{
    fuzz_touch(t->path);
    fuzz_touch(t->below);
    fuzz_touch(span_of(t->query, t->query_len));
    REQUIRE(t->path.len > 0 && t->path.data[0] == '/');
    REQUIRE(t->inside || t->below.len == 0);
    REQUIRE(t->below.len == 0 || t->below.data[0] == '/');
    REQUIRE(!t->below.len || !memchr(t->below.data, '\0', t->below.len));
}

/* The body as it arrives from a socket: in pieces of any size. */
static void fill_upload(struct upload *u, struct span body, atomic_size_t *total)
{
    struct span rest = body;
    while (rest.len > 0) {
        size_t len = (unsigned char)rest.data[0] % 61 + 1u;
        len = len < rest.len ? len : rest.len;
        REQUIRE(upload_add(u, span_of(rest.data, len), total, NULL) == 0);
        rest = span_of(rest.data + len, rest.len - len);
    }
    REQUIRE(span_eq(span_of(u->data, u->len), body));
    REQUIRE(atomic_load(total) == u->cap);
}

static void check_getters(const struct api_params *p, const char *name, struct span value)
{
    REQUIRE(span_eq(params_get(p, name), value));
    REQUIRE(params_get(p, name).data != NULL);
    struct span text = {0};
    struct fail fail = {0};
    int err = params_require(p, name, &text, &fail);
    bool is_blank = span_empty(span_trim(value));
    REQUIRE((err != 0) == is_blank);
    REQUIRE(err == 0 || err == E_MISSING);
    REQUIRE(span_eq(params_or(p, name, SPAN("x")), is_blank ? SPAN("x") : span_trim(value)));
    int64_t n = 7;
    err = params_int(p, name, -10, 10, &n, &fail);
    REQUIRE(err == 0 || (err == E_INVALID && n == 7));
    REQUIRE(n >= -10 && n <= 10);
    double d = 0.5;
    err = params_double(p, name, &d, &fail);
    REQUIRE(err == 0 || (err == E_INVALID && d == 0.5));
    REQUIRE(isfinite(d));
    bool b = true;
    params_bool(p, name, &b);
    REQUIRE(!is_blank || b);
}

static void put_percent(struct json_out *text, struct span s)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        const char coded[3] = {'%', digits[c >> 4], digits[c & 15]};
        json_bytes(text, span_of(coded, sizeof(coded)));
    }
}

/* The parameters, written as a careful client writes them, are the same parameters. */
static void check_round_trip(const struct form *f)
{
    struct json_out text;
    json_init(&text, 0);
    unsigned named = 0;
    for (unsigned i = 0; i < f->count; i++) {
        named += !span_empty(f->list[i].name);
        put_percent(&text, f->list[i].name);
        json_bytes(&text, SPAN("="));
        put_percent(&text, f->list[i].value);
        json_bytes(&text, SPAN("&"));
    }
    struct buf *coded = json_take(&text);
    struct arena arena;
    arena_init(&arena, API_ARENA_MAX);
    struct form again;
    form_init(&again, &arena, buf_span(coded), (struct span){0});
    REQUIRE(form_add(&again, coded->data, coded->len, NULL) == 0);
    REQUIRE(again.count == named);
    for (unsigned i = 0; i < f->count && named == f->count; i++) {
        REQUIRE(span_eq(again.list[i].name, f->list[i].name));
        REQUIRE(span_eq(again.list[i].value, f->list[i].value));
    }
    arena_close(&arena);
    buf_unref(coded);
}

static void check_form(const struct form *f)
{
    struct api_params p = {.list = f->list, .count = f->count};
    REQUIRE(f->count <= API_PARAMS_MAX);
    for (unsigned i = 0; i < f->count; i++) {
        struct span name = f->list[i].name;
        char *key = mem_strndup(name.data, name.len);
        bool has_nul = strlen(key) != name.len;
        struct span first = {0};
        for (unsigned n = 0; n <= i && !first.data; n++) {
            first = span_eq(f->list[n].name, name) ? f->list[n].value : first;
        }
        if (!has_nul) {
            check_getters(&p, key, first);
        }
        mem_free(key);
    }
    check_round_trip(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span body = span_of((const char *)data, size);
    struct span line = fuzz_cut(&body, '\n');
    struct arena arena;
    arena_init(&arena, API_ARENA_MAX);
    char *uri = arena_str(&arena, line);
    struct target target = {0};
    struct fail fail = {0};
    int err = target_parse(uri, line.len, CONTEXT, &arena, &target, &fail);
    if (err) {
        REQUIRE(err == E_INVALID);
        fuzz_check_fail(err, &fail);
        arena_close(&arena);
        return 0;
    }
    check_target(&target);

    atomic_size_t total = 0;
    struct upload upload = {0};
    fill_upload(&upload, body, &total);
    struct form form;
    form_init(&form, &arena, span_of(target.query, target.query_len),
              span_of(upload.data, upload.len));
    err = form_add(&form, target.query, target.query_len, &fail);
    if (!err) {
        err = form_add(&form, upload.data, upload.len, &fail);
    }
    if (err) {
        REQUIRE(err == E_INVALID || err == E_TOO_LARGE);
        fuzz_check_fail(err, &fail);
    } else {
        check_form(&form);
    }
    upload_close(&upload);
    REQUIRE(atomic_load(&total) == 0);
    arena_close(&arena);
    return 0;
}
