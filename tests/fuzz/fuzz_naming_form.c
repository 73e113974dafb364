/* HTTP forms of the registry: what every route makes of any parameters, decoded only.
 *
 * Input: one byte that chooses the route, then a query string. */
#include "fuzz.h"

#include <math.h>

#include "base/mem.h"
#include "http/form.h"
#include "naming/naming_form.h"
#include "naming/naming_http.h"

static void check_pairs(const struct instance_pair *pairs, size_t count)
{
    REQUIRE(count <= INSTANCE_METADATA_MAX);
    for (size_t i = 0; i < count; i++) {
        fuzz_touch(pairs[i].key);
        fuzz_touch(pairs[i].value);
        for (size_t n = 0; n < i; n++) {
            REQUIRE(!span_eq(pairs[n].key, pairs[i].key));
        }
    }
}

/* What stands in most forms, on its own. */
static void check_parts(const struct api_params *p, struct arena *arena, enum form_version version)
{
    struct service_name name = {0};
    struct fail fail = {0};
    int err = form_name(p, version, &name, &fail);
    if (err) {
        fuzz_check_fail(err, &fail);
    } else {
        REQUIRE(name_check(&name, NULL) == 0);
    }
    fail = (struct fail){0};
    struct instance_data i = {0};
    err = form_instance(p, version, arena, &i, &fail);
    if (err) {
        fuzz_check_fail(err, &fail);
        return;
    }
    REQUIRE(i.port >= 0 && i.port <= UINT16_MAX);
    REQUIRE(i.ip.len > 0 && i.cluster.len > 0);
    REQUIRE(isfinite(i.weight));
    REQUIRE(name_check_instance(&i, NULL) == 0);
    check_pairs(i.metadata, i.metadata_count);
}

static void check_row(const struct api_row *row, const struct api_params *p, struct api_call *call)
{
    struct fail fail = {0};
    int err = row->decode_http(call, p, &fail);
    if (err) {
        REQUIRE(err == E_PARSE || err == E_INVALID || err == E_PARAM || err == E_LIMIT ||
                err == E_TOO_LARGE || err == E_MISSING);
        fuzz_check_fail(err, &fail);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of((const char *)data, size);
    size_t count = 0;
    const struct api_row *rows = naming_http_rows(&count);
    unsigned choice = fuzz_byte(&text);
    struct api_call call = {0};
    arena_init(&call.arena, API_ARENA_MAX);
    char *query = mem_strndup(text.data ? text.data : "", text.len);
    struct form form;
    form_init(&form, &call.arena, span_of(query, text.len), (struct span){0});
    if (form_add(&form, query, text.len, NULL) == 0) {
        struct api_params p = {.list = form.list, .count = form.count};
        check_row(&rows[choice % count], &p, &call);
        check_parts(&p, &call.arena, (enum form_version)(choice % 4));
    }
    mem_free(query);
    arena_close(&call.arena);
    return 0;
}
