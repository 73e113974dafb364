/* Listening-Configs of the long poll: what is read comes back when it is written and read again.
 *
 * Input: the value as it stands after its form was decoded. */
#include "fuzz.h"

#include "base/json_out.h"
#include "config/config_probe.h"

static void check_entry(const struct listen_context *c)
{
    fuzz_touch(c->key.tenant);
    fuzz_touch(c->key.group);
    fuzz_touch(c->key.data_id);
    fuzz_touch(c->tenant_as_sent);
    fuzz_touch(c->md5);
    REQUIRE(config_key_check(&c->key, false, NULL) == 0);
    REQUIRE(span_eq(config_tenant(c->tenant_as_sent), c->key.tenant));
}

/* Every byte encoded. */
static void put(struct json_out *j, struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        char hex[4];
        snprintf(hex, sizeof(hex), "%%%02x", (unsigned)(unsigned char)s.data[i]);
        json_bytes(j, span_of(hex, 3));
    }
}

static void write_entry(struct json_out *j, const struct listen_context *c)
{
    put(j, c->key.data_id);
    json_bytes(j, SPAN("\2"));
    put(j, c->key.group);
    json_bytes(j, SPAN("\2"));
    put(j, c->md5);
    json_bytes(j, SPAN("%02"));
    put(j, c->tenant_as_sent);
    json_bytes(j, SPAN("%01"));
}

static void check_same(const struct listen_context *a, const struct listen_context *b)
{
    REQUIRE(config_key_eq(&a->key, &b->key));
    REQUIRE(span_eq(a->md5, b->md5));
    REQUIRE(span_eq(a->tenant_as_sent, b->tenant_as_sent));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, 4u << 20);
    struct listen_context *list = NULL;
    size_t count = 0;
    struct fail fail = {0};
    int err = config_probe_decode(span_of((const char *)data, size), &arena, &list, &count, &fail);
    if (err) {
        REQUIRE(err == E_INVALID || err == E_PARAM || err == E_TOO_LARGE);
        fuzz_check_fail(err, &fail);
        arena_close(&arena);
        return 0;
    }
    REQUIRE(count > 0 && count <= LISTEN_CONTEXTS_MAX);
    struct json_out j;
    json_init(&j, 0);
    for (size_t i = 0; i < count; i++) {
        check_entry(&list[i]);
        write_entry(&j, &list[i]);
    }
    struct listen_context *again = NULL;
    size_t again_count = 0;
    err = config_probe_decode(json_text(&j), &arena, &again, &again_count, &fail);
    REQUIRE(err == 0 || err == E_TOO_LARGE);
    REQUIRE(err || again_count == count);
    for (size_t i = 0; !err && i < count; i++) {
        check_same(&list[i], &again[i]);
    }
    json_close(&j);
    arena_close(&arena);
    return 0;
}
