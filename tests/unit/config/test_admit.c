/* Nacos's limits and texts, in Nacos's order; and what is proposed, answered at once, or refused.
 */
#include "config/admit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/v2_codes.h"
#include "base/mem.h"
#include "config_harness.h"

#define CHARS_MAX 1000

static struct arena arena;
static struct fail fail;

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 20);
    fail = (struct fail){0};
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_close(&arena);
    return 0;
}

static struct config_form usual(void)
{
    return (struct config_form){
        .key = {SPAN("dev"), SPAN("g"), SPAN("d")},
        .content = SPAN("content"),
    };
}

static struct span repeat(const char *text, size_t times)
{
    size_t len = strlen(text);
    char *to = arena_alloc(&arena, len * times + 1);
    for (size_t i = 0; i < times; i++) {
        memcpy(to + i * len, text, len);
    }
    return span_of(to, len * times);
}

static void expect(const struct config_form *form, int err, int nacos, const char *text)
{
    struct config_publish p = {.key.data_id = SPAN("untouched")};
    assert_int_equal(config_form_check(form, CHARS_MAX, &arena, &p, &fail), err);
    assert_true(span_eq(p.key.data_id, SPAN("untouched")));
    assert_string_equal(fail.text, text);
    assert_int_equal(fail_nacos(&fail), nacos);
    if (err == E_INVALID) {
        assert_int_equal(fail.v2, V2_PARAMETER_VALIDATE_ERROR);
    }
}

static struct config_publish pass(const struct config_form *form)
{
    struct config_publish p = {0};
    assert_int_equal(config_form_check(form, CHARS_MAX, &arena, &p, &fail), 0);
    return p;
}

static void test_form__usual__becomes_a_publish(void **state)
{
    (void)state;
    struct config_form form = usual();
    form.key.tenant = SPAN("PUBLIC");
    form.type = SPAN("yaml");
    form.app_name = SPAN("");
    struct config_publish p = pass(&form);
    assert_int_equal(p.key.tenant.len, 0);
    assert_true(span_empty(p.gray_name));
    assert_int_equal(p.type, CONFIG_YAML);
    assert_true(config_md5_is(p.md5, SPAN("9a0364b9e99bb480dd25e1f0284c8555")));
    assert_non_null(p.app_name.data);
    assert_null(p.tags.data);
    assert_null(p.desc.data);
}

static void test_form__type__unknown_or_too_long_is_text(void **state)
{
    (void)state;
    struct config_form form = usual();
    assert_int_equal(pass(&form).type, CONFIG_TEXT);
    form.type = SPAN("no such type at all, and much longer than thirty-two characters");
    assert_int_equal(pass(&form).type, CONFIG_TEXT);
}

static void test_form__order_of_checks(void **state)
{
    (void)state;
    struct config_form form = {
        .key = {SPAN("a b"), SPAN("g g"), SPAN("d d")},
        .content = SPAN(" "),
        .tag = SPAN("a b"),
        .tags = SPAN("1,2,3,4,5,6"),
        .desc = repeat("d", 129),
        .use = repeat("u", 33),
        .effect = repeat("e", 33),
        .schema = repeat("s", 32769),
        .app_name = SPAN("\xff"),
    };
    expect(&form, E_PARAM, 400,
           "Param 'namespaceId/tenant' is illegal, illegal characters should not appear in the "
           "param.");
    form.key.tenant = SPAN(" ");
    expect(&form, E_PARAM, 400,
           "Param 'dataId' is illegal, illegal characters should not appear in the param.");
    form.key.data_id = SPAN(" ");
    form.key.group = SPAN(" ");
    expect(&form, E_INVALID, 400, "invalid dataId :  ");
    form.key.data_id = SPAN("d");
    expect(&form, E_INVALID, 400, "invalid group :  ");
    form.key.group = SPAN("g");
    expect(&form, E_INVALID, 400, "content is blank :  ");
    form.content = repeat("c", CHARS_MAX + 1);
    expect(&form, E_INVALID, 400, "invalid content, over 1000");
    form.content = SPAN("c\0c");
    expect(&form, E_INVALID, 500, "invalid tag : a b");
    form.tag = SPAN("12345678901234567");
    expect(&form, E_INVALID, 500, "too long tag, over 16");
    form.tag = SPAN(" x ");
    expect(&form, E_INVALID, 500, "too much config_tags, over 5");
    form.tags = repeat("t", 65);
    expect(&form, E_INVALID, 500, "too long tag, over 64");
    form.tags = SPAN("1,2,3,4,5,,,");
    expect(&form, E_INVALID, 500, "too long desc, over 128");
    form.desc = repeat("d", 128);
    expect(&form, E_INVALID, 500, "too long use, over 32");
    form.use = repeat("u", 32);
    expect(&form, E_INVALID, 500, "too long effect, over 32");
    form.effect = repeat("e", 32);
    expect(&form, E_INVALID, 500, "too long schema, over 32768");
    form.schema = repeat("s", 32768);
    expect(&form, E_INVALID, 400, "invalid content, it has a NUL character");
    form.content = SPAN("c");
    expect(&form, E_INVALID, 400, "invalid appName, it is not UTF-8");
    form.app_name = SPAN("app");
    assert_true(span_eq(pass(&form).gray_name, SPAN("tag_x")));
}

static void test_form__content_not_sent__is_shown_as_null(void **state)
{
    (void)state;
    struct config_form form = usual();
    form.content = (struct span){0};
    expect(&form, E_INVALID, 400, "content is blank : null");
    form.content = SPAN("");
    expect(&form, E_INVALID, 400, "content is blank : ");
}

static void test_form__lengths_count_utf16_units(void **state)
{
    (void)state;
    struct config_form form = usual();
    form.content = repeat("\xe4\xb8\xad", CHARS_MAX); /* 3000 bytes */
    assert_int_equal(pass(&form).content.len, 3 * CHARS_MAX);
    form.content = repeat("\xf0\x9f\x98\x80", CHARS_MAX / 2); /* two units each */
    (void)pass(&form);
    form.content = repeat("\xf0\x9f\x98\x80", CHARS_MAX / 2 + 1);
    expect(&form, E_INVALID, 400, "invalid content, over 1000");
    form.content = SPAN("c");
    form.desc = repeat("\xc3\xa4", 128);
    (void)pass(&form);
    form.desc = repeat("\xc3\xa4", 129);
    expect(&form, E_INVALID, 500, "too long desc, over 128");
}

static void test_form__content_over_10_mib__is_refused(void **state)
{
    (void)state;
    size_t len = CONFIG_CONTENT_BYTES_MAX + 2;
    char *text = mem_alloc(len);
    for (size_t i = 0; i < len; i += 2) {
        memcpy(text + i, "\xc3\xa4", 2);
    }
    struct config_form form = usual();
    struct config_publish p = {0};
    form.content = span_of(text, len);
    assert_int_equal(config_form_check(&form, 10485760, &arena, &p, &fail), E_INVALID);
    assert_string_equal(fail.text, "invalid content, over 10485760 bytes, got 10485762");
    form.content.len = CONFIG_CONTENT_BYTES_MAX;
    assert_int_equal(config_form_check(&form, 10485760, &arena, &p, &fail), 0);
    mem_free(text);
}

static void test_form__what_the_tables_cannot_hold__is_refused(void **state)
{
    (void)state;
    struct config_form form = usual();
    form.content = SPAN("bad \xc3 utf8");
    expect(&form, E_INVALID, 400, "invalid content, it is not UTF-8");
    form = usual();
    form.app_name = repeat("a", 129);
    expect(&form, E_INVALID, 500, "too long appName, over 128");
    form = usual();
    form.encrypted_key = repeat("k", 1025);
    expect(&form, E_INVALID, 500, "too long encryptedDataKey, over 1024");
    form = usual();
    form.beta_ips = repeat("1.2.3.4,", 2049);
    expect(&form, E_INVALID, 500, "too long betaIps, over 16384");
}

static void test_form__beta_wins_over_tag(void **state)
{
    (void)state;
    struct config_form form = usual();
    form.beta_ips = SPAN("10.0.0.1, 10.0.0.2");
    form.tag = SPAN("x");
    struct config_publish p = pass(&form);
    assert_true(span_eq(p.gray_name, SPAN("beta")));
    assert_true(span_eq(p.gray_rule, SPAN("10.0.0.1, 10.0.0.2")));
    form.beta_ips = SPAN(" \t");
    p = pass(&form);
    assert_true(span_eq(p.gray_name, SPAN("tag_x")));
    assert_true(span_eq(p.gray_rule, SPAN("x")));
    form.tag = SPAN("  ");
    assert_true(span_empty(pass(&form).gray_name));
}

static void test_form__blank_md5__is_no_condition(void **state)
{
    (void)state;
    struct config_form form = usual();
    form.cas_md5 = SPAN(" ");
    assert_true(span_empty(pass(&form).cas_md5));
    form.cas_md5 = repeat("a", 5000);
    assert_int_equal(pass(&form).cas_md5.len, 64);
}

/* ------------------------------------------------------------------ proposals */

static struct cstory s;

static int setup(void **state)
{
    (void)state;
    cstory_begin(&s, NULL);
    return begin(state);
}

static int teardown(void **state)
{
    cstory_end(&s);
    return end(state);
}

static const struct config_actor actor = {{"user", 4}, {"10.0.0.9", 8}};

static int admit(const struct config_publish *p, const struct config_actor *who)
{
    struct cstory_call *call = cstory_call(&s);
    api_answer_text(&call->call, SPAN("true"));
    fail = (struct fail){0};
    int next = config_admit_publish(s.config, p, who, &call->call, s.now, &s.out, &fail);
    return cstory_conclude(&s, call, next, &fail);
}

static struct config_publish publish_of(const char *data_id)
{
    struct config_form form = cstory_form(data_id, "content");
    return pass(&form);
}

static void test_publish__proposes_and_answers_after_commit(void **state)
{
    (void)state;
    struct config_publish p = publish_of("a");
    struct cstory_call *call = cstory_call(&s);
    api_answer_text(&call->call, SPAN("true"));
    s.log_stuck = true;
    assert_int_equal(config_admit_publish(s.config, &p, &actor, &call->call, s.now, &s.out, &fail),
                     API_LATER);
    cstory_turn(&s);
    assert_false(call->answered);
    assert_null(cstory_read(&s, "a", NULL));
    s.log_stuck = false;
    cstory_turn(&s);
    assert_true(call->answered);
    assert_int_equal(body_len(&call->call.reply.body), 4);
    assert_string_equal(cstory_read(&s, "a", NULL), "content");
}

static void test_publish__actor__is_checked(void **state)
{
    (void)state;
    struct config_publish p = publish_of("a");
    struct config_actor who = {repeat("u", 513), SPAN("10.0.0.1")};
    assert_int_equal(admit(&p, &who), E_INVALID);
    assert_string_equal(s.fail.text, "too long src_user, over 512");
    who.user = SPAN("a\0b");
    assert_int_equal(admit(&p, &who), E_INVALID);
    /* An address that is none is cut, or not kept: nobody's publish fails for it. */
    who.user = SPAN("");
    who.ip = repeat("1", 300);
    assert_int_equal(admit(&p, &who), 0);
    who.ip = SPAN("\xff");
    assert_int_equal(admit(&p, &who), 0);
    static const struct db_stmt lengths = {
        .name = "lengths",
        .sql_sqlite = "SELECT count(*) FROM his_config_info WHERE length(src_ip) = 50 AND "
                      "src_user IS NULL"};
    assert_int_equal(cstory_number(&s, &lengths), 1);
}

static void test_publish__tables_are_full__is_refused(void **state)
{
    (void)state;
    char *text = mem_alloc(CONFIG_CONTENT_BYTES_MAX);
    memset(text, 'x', CONFIG_CONTENT_BYTES_MAX);
    struct config_publish p = publish_of("a");
    p.content = span_of(text, CONFIG_CONTENT_BYTES_MAX);
    s.tables_behind = true;
    int err = 0;
    for (int n = 0; n < 20 && !err; n++) {
        err = admit(&p, &actor);
    }
    assert_int_equal(err, E_LIMIT);
    assert_int_equal(atomic_load(&s.config->counters.refused), 1);
    struct config_key key = cstory_key("a");
    struct cstory_call *call = cstory_call(&s);
    assert_int_equal(
        config_admit_remove(s.config, &key, SPAN(""), &actor, &call->call, s.now, &s.out, &fail),
        E_LIMIT);
    assert_int_equal(config_admit_import(s.config, &p, 1, CONFIG_SKIP, &actor, &call->call, s.now,
                                         &s.out, &fail),
                     E_LIMIT);
    /* Removing nothing still succeeds. */
    assert_int_equal(cstory_remove(&s, "nothing", ""), 0);
    s.tables_behind = false;
    cstory_settle(&s);
    assert_int_equal(admit(&p, &actor), 0);
    cstory_settle(&s);
    mem_free(text);
}

static void test_remove__nothing_there__is_answered_at_once(void **state)
{
    (void)state;
    struct config_key key = cstory_key("a");
    struct cstory_call *call = cstory_call(&s);
    assert_int_equal(
        config_admit_remove(s.config, &key, SPAN(""), &actor, &call->call, s.now, &s.out, &fail),
        API_ANSWERED);
    assert_int_equal(cstory_publish(&s, "a", "formal"), 0);
    assert_int_equal(
        config_admit_remove(s.config, &key, SPAN("x"), &actor, &call->call, s.now, &s.out, &fail),
        API_ANSWERED);
    assert_int_equal(s.out.count, 0);
    assert_string_equal(cstory_read(&s, "a", NULL), "formal");
}

static void test_remove__gray_by_tag_or_by_name(void **state)
{
    (void)state;
    struct config_reader x = {.tag = SPAN("x")};
    for (int round = 0; round < 2; round++) {
        assert_int_equal(cstory_publish_tag(&s, "a", "x", "gray"), 0);
        assert_string_equal(cstory_read(&s, "a", &x), "gray");
        assert_int_equal(cstory_remove(&s, "a", round ? "x" : "tag_x"), 0);
        assert_null(cstory_read(&s, "a", &x));
    }
    assert_int_equal(cstory_publish_beta(&s, "a", "10.0.0.1", "beta"), 0);
    assert_int_equal(cstory_remove(&s, "a", "beta"), 0);
    assert_int_equal(config_stats(s.config).gray, 0);
}

static void test_remove__exact_gray_name__wins(void **state)
{
    (void)state;
    struct config_reader x = {.tag = SPAN("x")};
    struct config_reader tag_x = {.tag = SPAN("tag_x")};
    assert_int_equal(cstory_publish_tag(&s, "a", "x", "of x"), 0);
    assert_int_equal(cstory_publish_tag(&s, "a", "tag_x", "of tag_x"), 0);
    assert_int_equal(cstory_remove(&s, "a", "tag_x"), 0);
    assert_null(cstory_read(&s, "a", &x));
    assert_string_equal(cstory_read(&s, "a", &tag_x), "of tag_x");
    assert_int_equal(cstory_remove(&s, "a", "tag_x"), 0); /* now as the tag */
    assert_null(cstory_read(&s, "a", &tag_x));
    /* A tag that is called beta is not the beta version. */
    assert_int_equal(cstory_publish_tag(&s, "a", "beta", "of the tag beta"), 0);
    assert_int_equal(cstory_publish_beta(&s, "a", "10.0.0.1", "beta"), 0);
    assert_int_equal(cstory_remove(&s, "a", "beta"), 0);
    assert_int_equal(config_stats(s.config).gray, 1);
    assert_false(cstory_item(&s, "a")->value->gray[0].is_beta);
}

static void test_import__larger_than_an_operation__is_refused(void **state)
{
    (void)state;
    char *text = mem_alloc(CONFIG_CONTENT_BYTES_MAX);
    memset(text, 'x', CONFIG_CONTENT_BYTES_MAX);
    struct config_publish p[2] = {publish_of("a"), publish_of("b")};
    p[0].content = span_of(text, CONFIG_CONTENT_BYTES_MAX);
    p[1].content = p[0].content;
    struct cstory_call *call = cstory_call(&s);
    assert_int_equal(
        config_admit_import(s.config, p, 2, CONFIG_SKIP, &actor, &call->call, s.now, &s.out, &fail),
        E_TOO_LARGE);
    assert_int_equal(s.out.count, 0);
    mem_free(text);
}

int main(void)
{
#define FORM(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        FORM(test_form__usual__becomes_a_publish),
        FORM(test_form__type__unknown_or_too_long_is_text),
        FORM(test_form__order_of_checks),
        FORM(test_form__content_not_sent__is_shown_as_null),
        FORM(test_form__lengths_count_utf16_units),
        FORM(test_form__content_over_10_mib__is_refused),
        FORM(test_form__what_the_tables_cannot_hold__is_refused),
        FORM(test_form__beta_wins_over_tag),
        FORM(test_form__blank_md5__is_no_condition),
        STORY(test_publish__proposes_and_answers_after_commit),
        STORY(test_publish__actor__is_checked),
        STORY(test_publish__tables_are_full__is_refused),
        STORY(test_remove__nothing_there__is_answered_at_once),
        STORY(test_remove__gray_by_tag_or_by_name),
        STORY(test_remove__exact_gray_name__wins),
        STORY(test_import__larger_than_an_operation__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
