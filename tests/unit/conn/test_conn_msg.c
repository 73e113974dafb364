#include "conn/conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_close(&arena);
    return 0;
}

static struct conn_setup decode(const char *json)
{
    struct conn_setup s = {0};
    struct fail fail = {0};
    assert_int_equal(conn_setup_decode(span_str(json), SPAN("10.0.0.9"), &arena, &s, &fail), 0);
    return s;
}

static void assert_span(struct span s, const char *text)
{
    assert_int_equal(s.len, strlen(text));
    assert_memory_equal(s.data ? s.data : "", text, s.len);
}

/* Vector C04 of grpc-sdk.md 8.1. */
static void test_setup__java_2_5_naming__has_labels_and_wants_an_ack(void **state)
{
    (void)state;
    struct conn_setup s = decode(
        "{\"headers\":{},\"clientVersion\":\"Nacos-Java-Client:v2.5.1\",\"labels\":{\"source\":"
        "\"sdk\",\"module\":\"naming\",\"AppName\":\"unknown\",\"tls.enable\":\"false\"},"
        "\"abilityTable\":{},\"module\":\"internal\"}");
    assert_span(s.client_version, "Nacos-Java-Client:v2.5.1");
    assert_span(s.client_ip, "10.0.0.9");
    assert_span(s.tenant, "");
    assert_int_equal(s.labels_count, 4);
    assert_span(conn_setup_label(&s, "source"), "sdk");
    assert_span(conn_setup_label(&s, "module"), "naming");
    assert_span(conn_setup_label(&s, "AppName"), "unknown");
    assert_span(conn_setup_label(&s, "appname"), "");
    assert_true(s.has_ability_table);
}

/* Vectors C06, C06b, C07: old Java and Go must not get an ack (R4, K5). */
static void test_setup__clients_without_ability_table__want_no_ack(void **state)
{
    (void)state;
    assert_false(decode("{\"headers\":{},\"clientVersion\":\"Nacos-Java-Client:v2.0.4\","
                        "\"abilities\":{\"remoteAbility\":{\"supportRemoteConnection\":true}},"
                        "\"tenant\":\"\",\"labels\":{\"source\":\"sdk\"},\"module\":\"internal\"}")
                     .has_ability_table);
    assert_false(decode("{\"requestId\":\"\",\"clientVersion\":\"Nacos-Go-Client:v2.3.5\","
                        "\"tenant\":\"\",\"labels\":{\"module\":\"naming\"},"
                        "\"clientAbilities\":{}}")
                     .has_ability_table);
    assert_false(decode("{\"abilityTable\":null}").has_ability_table);
}

static void test_setup__ability_table_with_content__wants_an_ack(void **state)
{
    (void)state;
    assert_true(decode("{\"abilityTable\":{\"fuzzyWatch\":true,\"lock\":true}}").has_ability_table);
}

/* K6: Nacos's own server dies of a missing map. */
static void test_setup__without_labels__is_fine(void **state)
{
    (void)state;
    assert_int_equal(decode("{\"clientVersion\":\"x\"}").labels_count, 0);
    assert_int_equal(decode("{\"labels\":null}").labels_count, 0);
    assert_int_equal(decode("{}").labels_count, 0);
}

static void refuse(const char *json, int err, const char *field)
{
    struct conn_setup s = {0};
    struct fail fail = {0};
    assert_int_equal(conn_setup_decode(span_str(json), (struct span){0}, &arena, &s, &fail), err);
    assert_non_null(strstr(fail_text(&fail), field));
    assert_int_equal(s.labels_count, 0); /* untouched on failure */
}

static void test_setup__broken_or_mistyped__is_refused_with_the_field(void **state)
{
    (void)state;
    refuse("{", E_PARSE, "");
    refuse("", E_PARSE, "");
    refuse("[]", E_PARSE, "");
    refuse("{\"clientVersion\":{}}", E_PARSE, "clientVersion");
    refuse("{\"tenant\":[1]}", E_PARSE, "tenant");
    refuse("{\"labels\":7}", E_PARSE, "labels");
    refuse("{\"labels\":{\"a\":{}}}", E_PARSE, "labels");
}

static void test_setup__over_long_text__is_refused(void **state)
{
    (void)state;
    char json[3 * CONN_TEXT_MAX];
    char text[CONN_TEXT_MAX + 2];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    snprintf(json, sizeof(json), "{\"clientVersion\":\"%s\"}", text);
    refuse(json, E_LIMIT, "clientVersion");
    snprintf(json, sizeof(json), "{\"labels\":{\"k\":\"%s\"}}", text);
    refuse(json, E_LIMIT, "labels");
    snprintf(json, sizeof(json), "{\"labels\":{\"%s\":\"v\"}}", text);
    refuse(json, E_LIMIT, "labels");
    text[CONN_TEXT_MAX] = '\0';
    snprintf(json, sizeof(json), "{\"clientVersion\":\"%s\"}", text);
    assert_int_equal(decode(json).client_version.len, CONN_TEXT_MAX);
}

static void test_setup__over_long_client_ip__is_refused(void **state)
{
    (void)state;
    char ip[CONN_TEXT_MAX + 1];
    memset(ip, '1', sizeof(ip));
    struct conn_setup s = {0};
    struct fail fail = {0};
    assert_int_equal(conn_setup_decode(SPAN("{}"), span_of(ip, sizeof(ip)), &arena, &s, &fail),
                     E_LIMIT);
    assert_non_null(strstr(fail_text(&fail), "clientIp"));
}

static void test_setup__too_many_labels__are_refused(void **state)
{
    (void)state;
    char json[16 * (CONN_LABELS_MAX + 2)];
    size_t len = (size_t)snprintf(json, sizeof(json), "{\"labels\":{");
    for (int i = 0; i <= CONN_LABELS_MAX; i++) {
        len += (size_t)snprintf(json + len, sizeof(json) - len, "%s\"k%d\":\"\"", i ? "," : "", i);
    }
    snprintf(json + len, sizeof(json) - len, "}}");
    refuse(json, E_LIMIT, "labels");
}

static void test_mail_free__drops_the_peer_reference(void **state)
{
    (void)state;
    struct peer *peer = peer_create(SPAN("::1"), 1, 1, 1);
    struct conn_open *open = mem_zalloc(1, sizeof(*open));
    open->mail.kind = CORE_CONN_OPEN;
    open->peer = peer_ref(peer);
    arena_init(&open->arena, 4096);
    open->setup.tenant = arena_span(&open->arena, SPAN("t"));
    struct conn_closed *closed = mem_zalloc(1, sizeof(*closed));
    closed->mail.kind = CORE_CONN_CLOSED;
    closed->peer = peer_ref(peer);
    struct conn_ack *ack = mem_zalloc(1, sizeof(*ack));
    ack->mail.kind = CORE_CONN_ACK;
    ack->peer = peer_ref(peer);
    assert_int_equal(peer->refs, 4);
    conn_mail_free(&open->mail);
    conn_mail_free(&closed->mail);
    conn_mail_free(&ack->mail);
    assert_int_equal(peer->refs, 1);
    peer_unref(peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_setup__java_2_5_naming__has_labels_and_wants_an_ack),
        TEST(test_setup__clients_without_ability_table__want_no_ack),
        TEST(test_setup__ability_table_with_content__wants_an_ack),
        TEST(test_setup__without_labels__is_fine),
        TEST(test_setup__broken_or_mistyped__is_refused_with_the_field),
        TEST(test_setup__over_long_text__is_refused),
        TEST(test_setup__over_long_client_ip__is_refused),
        TEST(test_setup__too_many_labels__are_refused),
        TEST(test_mail_free__drops_the_peer_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
