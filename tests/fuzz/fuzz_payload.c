/* Payload: whatever arrives on the gRPC port before anything else is known of it. */
#include "fuzz.h"

#include "api/call.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "wire/payload.h"

/* What our own client side would write comes back the same. */
static void check_round_trip(const struct payload *p)
{
    struct buf *head = payload_head(p->type.data ? p->type.data : "", p->client_ip, p->body.len);
    size_t len = head->len + p->body.len;
    char *packed = mem_alloc(len);
    memcpy(packed, head->data, head->len);
    if (p->body.len > 0) {
        memcpy(packed + head->len, p->body.data, p->body.len);
    }
    struct arena arena;
    arena_init(&arena, API_ARENA_MAX);
    struct payload again = {0};
    struct fail fail = {0};
    REQUIRE(payload_decode(span_of(packed, len), &arena, &again, &fail) == 0);
    REQUIRE(span_eq(again.type, p->type));
    REQUIRE(span_eq(again.client_ip, p->client_ip));
    REQUIRE(span_eq(again.body, p->body));
    REQUIRE(again.headers_count == 0);
    arena_close(&arena);
    mem_free(packed);
    buf_unref(head);
}

static void check_payload(const struct payload *p)
{
    fuzz_touch(p->type);
    fuzz_touch(p->client_ip);
    fuzz_touch(p->body);
    REQUIRE(p->type.len <= PAYLOAD_TYPE_MAX);
    REQUIRE(p->headers_count <= PAYLOAD_HEADERS_MAX);
    REQUIRE(p->headers_count == 0 || p->headers != NULL);
    for (unsigned i = 0; i < p->headers_count; i++) {
        fuzz_touch(p->headers[i].key);
        fuzz_touch(p->headers[i].value);
        /* A key may come twice: then the last one counts. */
        struct span value = payload_header_get(p, p->headers[i].key.data);
        unsigned last = p->headers_count;
        while (!span_eq(p->headers[last - 1].key, p->headers[i].key)) {
            last--;
        }
        REQUIRE(span_eq(value, p->headers[last - 1].value));
    }
    /* The longest address that an edge puts there. */
    if (p->client_ip.len <= 64) {
        check_round_trip(p);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, API_ARENA_MAX);
    struct payload p = {0};
    struct fail fail = {0};
    int err = payload_decode(span_of((const char *)data, size), &arena, &p, &fail);
    if (err) {
        REQUIRE(err == E_PARSE);
        fuzz_check_fail(err, &fail);
    } else {
        check_payload(&p);
    }
    arena_close(&arena);
    return 0;
}
