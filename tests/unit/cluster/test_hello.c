#include "cluster/hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct member_list list;
static struct form form;

/* Everything that a hello may say. */
static struct hello full(void)
{
    struct hello h = {
        .version = HELLO_VERSION,
        .life = 99,
        .flags = HELLO_PRISTINE | HELLO_LEADER,
        .port = 8848,
        .release = "1.2.3",
        .generation = 5,
        .entry = 2,
        .seen_count = 2,
        .server_count = 2,
        .leader = 11,
        .list = &list,
        .form = &form,
    };
    struct fail fail;
    memset(h.id.bytes, 1, sizeof(h.id.bytes));
    memset(h.cluster_id, 2, sizeof(h.cluster_id));
    memset(h.agreed, 3, sizeof(h.agreed));
    memset(h.proof, 4, sizeof(h.proof));
    h.seen[1] = (struct hello_seen){12, 10000};
    h.server[1] = (struct hello_server){12, true};
    assert_int_equal(members_parse("x", SPAN("a:1 b:2 [fd00::1]:3"), 1, &list, &fail), 0);
    form = (struct form){0};
    struct form_member m = {.generation = 3, .host = "fd00::1", .port = 3};
    memset(m.id.bytes, 1, sizeof(m.id.bytes));
    assert_true(form_join(&form, &m));
    return h;
}

static void test_decode__reads_what_was_encoded(void **state)
{
    (void)state;
    struct hello h = full();
    struct hello back;
    struct fail fail = {0};
    struct buf *bytes = hello_encode(&h);
    int err = hello_decode(buf_span(bytes), &back, &fail);
    if (err) {
        fail_msg("%s", fail.text);
    }
    assert_true(back.life == 99 && back.generation == 5 && back.leader == 11);
    assert_int_equal(back.flags, h.flags);
    assert_int_equal(back.entry, 2);
    assert_string_equal(back.release, "1.2.3");
    assert_memory_equal(back.id.bytes, h.id.bytes, NODE_ID_BYTES);
    assert_memory_equal(back.cluster_id, h.cluster_id, CLUSTER_ID_BYTES);
    assert_memory_equal(back.agreed, h.agreed, FORM_BYTES);
    assert_memory_equal(back.proof, h.proof, HELLO_PROOF_BYTES);
    assert_int_equal(back.seen_count, 2);
    assert_true(back.seen[1].age_ms == 10000);
    assert_true(back.server[1].number == 12 && back.server[1].is_voter);
    assert_true(members_eq(back.list, &list));
    assert_int_equal(back.form->count, 1);
    assert_string_equal(back.form->list[0].host, "fd00::1");
    hello_close(&back);
    assert_null(back.list);
    buf_unref(bytes);
}

static void test_decode__what_is_not_there_is_nothing(void **state)
{
    (void)state;
    struct hello h = {.version = HELLO_VERSION, .port = 1};
    struct hello back;
    struct fail fail = {0};
    h.id.bytes[0] = 1;
    struct buf *bytes = hello_encode(&h);
    assert_int_equal(hello_decode(buf_span(bytes), &back, &fail), 0);
    assert_null(back.list);
    assert_null(back.form);
    assert_false(form_digest_is_set(back.agreed));
    hello_close(&back);
    buf_unref(bytes);
}

static void refused(const struct hello *h, int err, const char *field)
{
    struct hello back;
    struct fail fail = {0};
    struct buf *bytes = hello_encode(h);
    assert_int_equal(hello_decode(buf_span(bytes), &back, &fail), err);
    assert_non_null(strstr(fail.text, field));
    buf_unref(bytes);
}

static void test_decode__what_cannot_be_is_refused_by_name(void **state)
{
    (void)state;
    struct hello h = full();
    h.version = 2;
    refused(&h, E_UNSUPPORTED, "version 2");
    h = full();
    h.entry = MEMBERS_MAX + 1;
    refused(&h, E_PARSE, "entry");
    h = full();
    h.port = 0;
    refused(&h, E_PARSE, "port");
    h = full();
    h.id = (struct node_id){0};
    refused(&h, E_PARSE, "id");
    h = full();
    form.list[0].generation = 0;
    refused(&h, E_PARSE, "form");
    h = full();
    (void)snprintf(form.list[0].host, sizeof(form.list[0].host), "UPPER");
    refused(&h, E_PARSE, "form");
    h = full();
    (void)snprintf(list.list[0].host, sizeof(list.list[0].host), "a/b");
    refused(&h, E_PARSE, "list");
    struct hello back;
    struct fail fail = {0};
    assert_int_equal(hello_decode(SPAN("\xff\xff"), &back, &fail), E_PARSE);
    static char large[HELLO_BYTES_MAX + 1];
    assert_int_equal(hello_decode(span_of(large, sizeof(large)), &back, &fail), E_TOO_LARGE);
}

static void test_proof__holds_for_these_two_and_this_secret_only(void **state)
{
    (void)state;
    struct node_id a = {{1}};
    struct node_id b = {{2}};
    uint8_t na[HELLO_NONCE_BYTES] = {3};
    uint8_t nb[HELLO_NONCE_BYTES] = {4};
    struct hello_proof p = {SPAN("secret"), &a, &b, na, nb};
    uint8_t proof[HELLO_PROOF_BYTES];
    hello_prove(&p, proof);
    assert_true(hello_is_proven(&p, proof));
    struct hello_proof back = {SPAN("secret"), &b, &a, nb, na}; /* sent back as one's own */
    assert_false(hello_is_proven(&back, proof));
    struct hello_proof other = {SPAN("Secret"), &a, &b, na, nb};
    assert_false(hello_is_proven(&other, proof));
    struct hello_proof relay = {SPAN("secret"), &a, &a, na, nb};
    assert_false(hello_is_proven(&relay, proof));
    na[0] = 9; /* another life */
    assert_false(hello_is_proven(&p, proof));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode__reads_what_was_encoded),
        cmocka_unit_test(test_decode__what_is_not_there_is_nothing),
        cmocka_unit_test(test_decode__what_cannot_be_is_refused_by_name),
        cmocka_unit_test(test_proof__holds_for_these_two_and_this_secret_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
