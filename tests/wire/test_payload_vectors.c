/* Whole Payload messages as clients and servers put them on the wire (grpc-sdk.md 8.5), in both
 * directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "wire/json_in.h"
#include "wire/payload.h"
#include "wire/response.h"

#define MESSAGE_MAX 512

struct message {
    char bytes[MESSAGE_MAX];
    size_t len;
};

static struct arena arena;

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_close(&arena);
    return 0;
}

static struct message from_hex(const char *hex)
{
    struct message m = {0};
    for (; hex[0] && hex[1]; hex += 2) {
        char digits[3] = {hex[0], hex[1]};
        assert_true(m.len < MESSAGE_MAX);
        m.bytes[m.len++] = (char)strtol(digits, NULL, 16);
    }
    return m;
}

static struct payload decode(const struct message *m)
{
    struct payload p = {0};
    assert_int_equal(payload_decode(span_of(m->bytes, m->len), &arena, &p, NULL), 0);
    return p;
}

/* head and body together are the message, byte by byte. */
static void check_written(const struct message *m, const char *type, struct span client_ip,
                          struct span body)
{
    struct buf *head = payload_head(type, client_ip, body.len);
    struct body whole = {0};
    body_add_buf(&whole, head);
    body_add_buf(&whole, buf_create(body));
    char bytes[MESSAGE_MAX];
    assert_int_equal(body_len(&whole), m->len);
    body_copy(&whole, bytes);
    assert_memory_equal(bytes, m->bytes, m->len);
    body_close(&whole);
}

static const char b01[] = "121e1a12536572766572436865636b52657175657374420831302e302e302e39"
                          "1a2412227b2268656164657273223a7b7d2c226d6f64756c65223a22696e7465"
                          "726e616c227d";

static const char b02[] = "12431a12436f6e6669675175657279526571756573743a0f0a066e6f74696679"
                          "120566616c73653a120a0b616363657373546f6b656e1203746f6b420831302e"
                          "302e302e391a5612547b2268656164657273223a7b7d2c22646174614964223a"
                          "2261222c2267726f7570223a2267222c2274656e616e74223a22222c226e6f74"
                          "696679223a66616c73652c226d6f64756c65223a22636f6e666967227d";

static const char b03[] = "12151a134865616c7468436865636b526573706f6e73651a31122f7b22726573"
                          "756c74436f6465223a3230302c226572726f72436f6465223a302c2273756363"
                          "657373223a747275657d";

static void test_b01__server_check_from_java(void **state)
{
    (void)state;
    struct message m = from_hex(b01);
    assert_int_equal(m.len, 70);
    struct payload p = decode(&m);
    assert_true(span_eq(p.type, SPAN("ServerCheckRequest")));
    assert_true(span_eq(p.client_ip, SPAN("10.0.0.9")));
    assert_true(span_eq(p.body, SPAN("{\"headers\":{},\"module\":\"internal\"}")));
    assert_int_equal(p.headers_count, 0);
    check_written(&m, "ServerCheckRequest", p.client_ip, p.body);
}

static void test_b02__config_query_from_java_with_headers(void **state)
{
    (void)state;
    struct message m = from_hex(b02);
    assert_int_equal(m.len, 157);
    struct payload p = decode(&m);
    assert_true(span_eq(p.type, SPAN("ConfigQueryRequest")));
    assert_true(span_eq(p.client_ip, SPAN("10.0.0.9")));
    assert_int_equal(p.headers_count, 2);
    assert_true(span_eq(payload_header_get(&p, "notify"), SPAN("false")));
    assert_true(span_eq(payload_header_get(&p, "accessToken"), SPAN("tok")));
    assert_int_equal(payload_header_get(&p, "accesstoken").len, 0);

    struct cJSON *doc = NULL;
    assert_int_equal(json_in_object(p.body, &doc, NULL), 0);
    struct span tenant = SPAN("before");
    struct span group = {0};
    bool notify = true;
    assert_int_equal(json_in_str(doc, "tenant", &arena, &tenant, NULL), 0);
    assert_int_equal(json_in_str(doc, "group", &arena, &group, NULL), 0);
    assert_int_equal(json_in_bool(doc, "notify", &notify, NULL), 0);
    assert_int_equal(tenant.len, 0);
    assert_true(span_eq(group, SPAN("g")));
    assert_false(notify);
    json_in_free(doc);
}

static void test_b03__health_check_response_of_the_server(void **state)
{
    (void)state;
    struct message m = from_hex(b03);
    assert_int_equal(m.len, 74);
    struct json_out j;
    json_init(&j, 0);
    response_begin(&j, NULL);
    response_end(&j);
    check_written(&m, "HealthCheckResponse", (struct span){0}, json_text(&j));
    json_close(&j);
    struct payload p = decode(&m);
    assert_true(span_eq(p.type, SPAN("HealthCheckResponse")));
    assert_int_equal(p.client_ip.len, 0);
}

/* Nothing that is cut off from a real message is one, unless the cut falls between its fields. */
static void test_vectors__every_cut__is_refused_or_ends_between_fields(void **state)
{
    (void)state;
    const char *const all[] = {b01, b02, b03};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct message m = from_hex(all[i]);
        size_t metadata_end = 2 + (size_t)m.bytes[1];
        for (size_t len = 1; len < m.len; len++) {
            char *copy = mem_alloc(len);
            memcpy(copy, m.bytes, len);
            struct payload p = {0};
            int err = payload_decode(span_of(copy, len), &arena, &p, NULL);
            assert_int_equal(err, len == metadata_end ? 0 : E_PARSE);
            mem_free(copy);
        }
    }
}

#define IN_ARENA(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ARENA(test_b01__server_check_from_java),
        IN_ARENA(test_b02__config_query_from_java_with_headers),
        IN_ARENA(test_b03__health_check_response_of_the_server),
        IN_ARENA(test_vectors__every_cut__is_refused_or_ends_between_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
