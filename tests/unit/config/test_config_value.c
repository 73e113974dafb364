/* Values: who gets which version, and that nothing is copied or lost on the way. */
#include "config/config_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct config_version *version(const char *content)
{
    struct span text = span_str(content);
    uint8_t md5[CONFIG_MD5_BYTES];
    config_md5(text, md5);
    struct buf *bytes = buf_create(text);
    struct config_version_parts parts = {
        .type = CONFIG_JSON,
        .length = (uint32_t)text.len,
        .md5 = md5,
        .modified_ms = 5,
        .content = bytes,
        .encrypted_key = SPAN("key"),
    };
    struct config_version *v = config_version_create(&parts);
    buf_unref(bytes);
    return v;
}

static struct config_gray beta(struct config_version *v, const char *ips)
{
    return (struct config_gray){v, 7, true, SPAN("beta"), span_str(ips)};
}

static struct config_gray tag(struct config_version *v, const char *name)
{
    return (struct config_gray){v, 8, false, span_str(name), span_str(name + 4)};
}

static void value_unref(struct config_value *v)
{
    if (v) {
        view_value_unref(config_value_base(v));
    }
}

static void test_types__texts(void **state)
{
    (void)state;
    assert_true(span_eq(config_type_text(CONFIG_YAML), SPAN("yaml")));
    assert_int_equal(config_type_of(SPAN("properties")), CONFIG_PROPERTIES);
    assert_int_equal(config_type_of(SPAN("unset")), CONFIG_UNSET);
    assert_int_equal(config_type_of(SPAN("")), CONFIG_TEXT);
    assert_int_equal(config_type_of(SPAN("YAML")), CONFIG_TEXT);
    assert_int_equal(config_type_of(SPAN("anything")), CONFIG_TEXT);
}

static void test_md5__of_the_exact_bytes(void **state)
{
    (void)state;
    uint8_t md5[CONFIG_MD5_BYTES];
    config_md5((struct span){0}, md5);
    assert_true(config_md5_is(md5, SPAN("d41d8cd98f00b204e9800998ecf8427e")));
    config_md5(SPAN("jk8ssl"), md5); /* leading zeros stay */
    assert_true(config_md5_is(md5, SPAN("0000000018e6137ac2caab16074784a6")));
    assert_false(config_md5_is(md5, SPAN("18e6137ac2caab16074784a6")));
    assert_false(config_md5_is(md5, SPAN("")));
    assert_false(config_md5_is(md5, SPAN("0000000018E6137AC2CAAB16074784A6")));
    config_md5(SPAN("a\r\n"), md5);
    assert_false(config_md5_is(md5, SPAN("60b725f10c9c85c70d97880dfe8191b3"))); /* "a\n" */
}

static void test_version__with_and_without_content(void **state)
{
    (void)state;
    struct config_version *hot = version("content");
    struct config_version *cold = config_version_with(hot, NULL);
    assert_null(cold->content);
    assert_int_equal(cold->length, 7);
    assert_int_equal(cold->type, CONFIG_JSON);
    assert_int_equal(cold->modified_ms, 5);
    assert_memory_equal(cold->md5, hot->md5, CONFIG_MD5_BYTES);
    assert_true(span_eq(span_of(cold->encrypted_key, cold->encrypted_key_len), SPAN("key")));
    struct config_version *again = config_version_with(cold, hot->content);
    assert_ptr_equal(again->content, hot->content);
    config_version_unref(again);
    config_version_unref(cold);
    config_version_unref(hot);
    config_version_unref(NULL);
}

static void expect_choice(const struct config_value *v, struct config_reader r,
                          const struct config_version *expected)
{
    assert_ptr_equal(config_choose(v, &r).version, expected);
}

static void test_choose__selection_order(void **state)
{
    (void)state;
    struct config_version *f = version("formal");
    struct config_version *b = version("beta");
    struct config_version *x = version("x");
    struct config_gray gray[] = {beta(b, "10.0.0.1,10.0.0.2"), tag(x, "tag_x")};
    struct config_value *v = config_value_create(f, gray, 2);
    expect_choice(v, (struct config_reader){0}, f);
    expect_choice(v, (struct config_reader){.client_ip = SPAN("10.0.0.2")}, b);
    expect_choice(v, (struct config_reader){.client_ip = SPAN("10.0.0.20")}, f);
    /* Beta before a tag. */
    expect_choice(v, (struct config_reader){.client_ip = SPAN("10.0.0.1"), .tag = SPAN("x")}, b);
    expect_choice(v, (struct config_reader){.tag = SPAN("x")}, x);
    /* A named tag has no fall-back, an automatic one has. */
    expect_choice(v, (struct config_reader){.tag = SPAN("y")}, NULL);
    expect_choice(v, (struct config_reader){.auto_tag = SPAN("y")}, f);
    expect_choice(v, (struct config_reader){.auto_tag = SPAN("x")}, x);
    expect_choice(v, (struct config_reader){.tag = SPAN("y"), .auto_tag = SPAN("x")}, NULL);
    expect_choice(NULL, (struct config_reader){0}, NULL);
    value_unref(v);
    config_version_unref(f);
    config_version_unref(b);
    config_version_unref(x);
}

static void test_choose__beta_list_is_not_trimmed(void **state)
{
    (void)state;
    struct config_version *b = version("beta");
    struct config_gray gray = beta(b, "10.0.0.1, 10.0.0.2,,");
    struct config_value *v = config_value_create(NULL, &gray, 1);
    expect_choice(v, (struct config_reader){.client_ip = SPAN("10.0.0.1")}, b);
    expect_choice(v, (struct config_reader){.client_ip = SPAN("10.0.0.2")}, NULL);
    expect_choice(v, (struct config_reader){.client_ip = SPAN(" 10.0.0.2")}, b);
    value_unref(v);
    config_version_unref(b);
}

static void test_differs__nothing_is_the_empty_md5(void **state)
{
    (void)state;
    struct config_version *f = version("formal");
    struct config_value *v = config_value_create(f, NULL, 0);
    char md5[CONFIG_MD5_TEXT];
    config_md5_text(f->md5, md5);
    struct config_reader r = {0};
    assert_false(config_differs(v, &r, span_of(md5, sizeof(md5))));
    assert_true(config_differs(v, &r, SPAN("")));
    assert_false(config_differs(NULL, &r, SPAN("")));
    assert_true(config_differs(NULL, &r, span_of(md5, sizeof(md5))));
    r.tag = SPAN("x");
    assert_false(config_differs(v, &r, SPAN("")));
    value_unref(v);
    config_version_unref(f);
}

static void test_value__keeps_texts_and_references(void **state)
{
    (void)state;
    struct config_version *x = version("x");
    char name[] = "tag_x";
    struct config_gray gray = tag(x, name);
    struct config_value *v = config_value_create(NULL, &gray, 1);
    config_version_unref(x);
    memset(name, '?', sizeof(name) - 1);
    assert_true(span_eq(v->gray[0].name, SPAN("tag_x")));
    assert_true(span_eq(v->gray[0].rule, SPAN("x")));
    assert_int_equal(v->gray[0].id, 8);
    assert_true(span_eq(buf_span(v->gray[0].version->content), SPAN("x")));
    value_unref(v);
}

static void test_with_gray__keeps_the_order(void **state)
{
    (void)state;
    static const char *const names[] = {"tag_m", "tag_z", "tag_a", "tag_aa", "tag_n"};
    struct config_version *v = version("v");
    struct config_value *all = NULL;
    for (size_t i = 0; i < 5; i++) {
        struct config_gray gray = tag(v, names[i]);
        struct config_value *next = config_value_with_gray(all, &gray);
        value_unref(all);
        all = next;
    }
    struct config_gray first = beta(v, "10.0.0.1");
    struct config_value *next = config_value_with_gray(all, &first);
    value_unref(all);
    all = next;
    static const char *const sorted[] = {"beta", "tag_a", "tag_aa", "tag_m", "tag_n", "tag_z"};
    assert_int_equal(all->gray_count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_true(span_eq(all->gray[i].name, span_str(sorted[i])));
    }
    value_unref(all);
    config_version_unref(v);
}

static void test_with__last_version_goes__is_nothing(void **state)
{
    (void)state;
    struct config_version *f = version("f");
    struct config_gray x = tag(f, "tag_x");
    struct config_gray no_x = tag(NULL, "tag_x");
    struct config_value *formal = config_value_with_formal(NULL, f);
    struct config_value *both = config_value_with_gray(formal, &x);
    assert_int_equal(both->gray_count, 1);
    assert_ptr_equal(both->formal, f);
    struct config_value *gray = config_value_with_formal(both, NULL);
    assert_null(gray->formal);
    assert_int_equal(gray->gray_count, 1);
    assert_null(config_value_with_gray(gray, &no_x));
    assert_null(config_value_with_formal(formal, NULL));
    assert_null(config_value_with_formal(NULL, NULL));
    struct config_value *same = config_value_with_gray(formal, &no_x);
    assert_int_equal(same->gray_count, 0);
    value_unref(same);
    value_unref(gray);
    value_unref(both);
    value_unref(formal);
    config_version_unref(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types__texts),
        cmocka_unit_test(test_md5__of_the_exact_bytes),
        cmocka_unit_test(test_version__with_and_without_content),
        cmocka_unit_test(test_choose__selection_order),
        cmocka_unit_test(test_choose__beta_list_is_not_trimmed),
        cmocka_unit_test(test_differs__nothing_is_the_empty_md5),
        cmocka_unit_test(test_value__keeps_texts_and_references),
        cmocka_unit_test(test_with_gray__keeps_the_order),
        cmocka_unit_test(test_with__last_version_goes__is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
