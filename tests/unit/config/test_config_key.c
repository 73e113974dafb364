/* What keys may look like, with Nacos's texts and in its order. */
#include "config/config_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/v2_codes.h"

#define KEY(t, g, d) ((struct config_key){SPAN(t), SPAN(g), SPAN(d)})

static struct span repeat(char c, size_t len)
{
    static char text[1024];
    assert_in_range(len, 1, sizeof(text));
    memset(text, c, len);
    return span_of(text, len);
}

static void expect(struct config_key k, int err, const char *text)
{
    struct fail fail = {0};
    assert_int_equal(config_key_check(&k, false, &fail), err);
    if (err) {
        assert_string_equal(fail.text, text);
    }
}

static void test_tenant__names_of_the_default_namespace__are_one(void **state)
{
    (void)state;
    static const char *const same[] = {"",     " ",    "public", "PUBLIC",   "Public",
                                       "null", "NULL", "\t\n",   " public ", " null"};
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        assert_int_equal(config_tenant(span_str(same[i])).len, 0);
        assert_non_null(config_tenant(span_str(same[i])).data);
    }
    assert_int_equal(config_tenant((struct span){0}).len, 0);
    assert_true(span_eq(config_tenant(SPAN("publics")), SPAN("publics")));
    assert_true(span_eq(config_tenant(SPAN(" dev ")), SPAN("dev")));
}

static void test_blank__as_java_sees_it(void **state)
{
    (void)state;
    assert_true(config_is_blank((struct span){0}));
    assert_true(config_is_blank(SPAN(" \t\n\v\f\r\x1c\x1f")));
    assert_true(config_is_blank(SPAN("\xe3\x80\x80\xe2\x80\x83\xe2\x80\xa8"))); /* 3000 2003 2028 */
    assert_false(config_is_blank(SPAN("\xc2\xa0")));                            /* no-break space */
    assert_false(config_is_blank(SPAN("\xe2\x80\x87")));                        /* figure space */
    assert_false(config_is_blank(SPAN("\xe2\x80\x8b"))); /* zero width space */
    assert_false(config_is_blank(SPAN("\0")));
    assert_false(config_is_blank(SPAN(" \xff ")));
    assert_false(config_is_blank(SPAN("\x1b")));
}

static void test_chars__are_utf16_units(void **state)
{
    (void)state;
    assert_int_equal(config_chars((struct span){0}), 0);
    assert_int_equal(config_chars(SPAN("abc")), 3);
    assert_int_equal(config_chars(SPAN("\xc3\xa4\xe4\xb8\xad")), 2);
    assert_int_equal(config_chars(SPAN("\xf0\x9f\x98\x80")), 2);
    assert_int_equal(config_chars(SPAN("\xff\xfe")), 2);
}

static void test_check__usual_keys__pass(void **state)
{
    (void)state;
    expect(KEY("", "DEFAULT_GROUP", "app.yaml"), 0, NULL);
    expect(KEY("public", "g", "d"), 0, NULL);
    expect(KEY("a-b_C9", "a-b_c.d:e", "cipher-aes-x:y_z.1"), 0, NULL);
    struct config_key longest = {repeat('t', CONFIG_TENANT_MAX), repeat('t', CONFIG_GROUP_MAX),
                                 repeat('t', CONFIG_DATA_ID_MAX)};
    expect(longest, 0, NULL);
}

#define BAD " is illegal, illegal characters should not appear in the param."

static void test_check__parameters__in_nacos_order(void **state)
{
    (void)state;
    expect(KEY("a.b", "g g", "d/d"), E_PARAM, "Param 'namespaceId/tenant'" BAD);
    expect(KEY("", "g g", "d/d"), E_PARAM, "Param 'dataId'" BAD);
    expect(KEY("", "g g", "d"), E_PARAM, "Param 'group'" BAD);
    expect(KEY("", "g", "d+d"), E_PARAM, "Param 'dataId'" BAD);
    expect(KEY("", "g", "d\0d"), E_PARAM, "Param 'dataId'" BAD);
    expect(KEY("", "g", "\xe4\xb8\xad"), E_PARAM, "Param 'dataId'" BAD);
    expect(KEY("", "g@@h", "d"), E_PARAM, "Param 'group'" BAD);
    struct config_key k = KEY("", "g", "d");
    k.data_id = repeat('x', CONFIG_DATA_ID_MAX + 1);
    expect(k, E_PARAM, "Param 'dataId' is illegal, the param length should not exceed 256.");
    k = KEY("", "g", "d");
    k.group = repeat('x', CONFIG_GROUP_MAX + 1);
    expect(k, E_PARAM, "Param 'group' is illegal, the param length should not exceed 128.");
    k = KEY("", "g", "d");
    k.tenant = repeat('x', CONFIG_TENANT_MAX + 1);
    expect(k, E_PARAM,
           "Param 'namespaceId/tenant' is illegal, the param length should not exceed 64.");
}

static void test_check__length_counts_characters(void **state)
{
    (void)state;
    /* 200 characters of two bytes: not too long, but no letters either. */
    static char text[400];
    for (size_t i = 0; i < sizeof(text); i += 2) {
        memcpy(text + i, "\xc3\xa4", 2);
    }
    struct config_key k = KEY("", "g", "d");
    k.data_id = span_of(text, sizeof(text));
    expect(k, E_PARAM, "Param 'dataId'" BAD);
}

static void test_check__blank__is_configs_own_text(void **state)
{
    (void)state;
    expect(KEY("", "g", ""), E_INVALID, "invalid dataId : ");
    expect(KEY("", "g", "  "), E_INVALID, "invalid dataId :   ");
    expect(KEY("", "", "d"), E_INVALID, "invalid group : ");
    expect(KEY(" ", "g", "d"), E_INVALID, "invalid tenant");
    struct config_key k = {SPAN(""), SPAN("g"), {0}};
    expect(k, E_INVALID, "invalid dataId : null");
    k = (struct config_key){SPAN(""), {0}, SPAN("d")};
    expect(k, E_INVALID, "invalid group : null");
    k = KEY(" ", "g", "d");
    struct fail fail = {0};
    assert_int_equal(config_key_check(&k, true, &fail), E_INVALID);
    assert_string_equal(fail.text, "invalid namespaceId");
    assert_int_equal(fail.v2, V2_PARAMETER_VALIDATE_ERROR);
    assert_int_equal(fail_nacos(&fail), 400);
}

static void test_view_key__differs_for_every_key(void **state)
{
    (void)state;
    char a[VIEW_KEY_MAX];
    char b[VIEW_KEY_MAX];
    struct config_key one = KEY("t", "g", "d");
    struct config_key other = KEY("", "t", "gd");
    assert_true(span_eq(config_key_view(&one, a), SPAN("t+g+d")));
    assert_false(span_eq(config_key_view(&one, a), config_key_view(&other, b)));
    assert_true(config_key_eq(&one, &one));
    assert_false(config_key_eq(&one, &other));
    /* A service's key has "@@". */
    assert_null(strstr("t+g+d", "@@"));
}

static void test_text__escapes_its_separators(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096);
    struct config_key k = KEY("", "g", "d");
    assert_true(span_eq(config_key_text(&k, &arena), SPAN("d+g")));
    k = KEY("t", "g", "d");
    assert_true(span_eq(config_key_text(&k, &arena), SPAN("d+g+t")));
    k = KEY("", "g%+", "+d");
    assert_true(span_eq(config_key_text(&k, &arena), SPAN("%2Bd+g%25%2B")));
    arena_close(&arena);
}

static void test_tag__rules(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(config_tag_check(SPAN("a"), &fail), 0);
    assert_int_equal(config_tag_check(SPAN("aZ0_-.:901234567"), &fail), 0); /* 16 */
    assert_int_equal(config_tag_check(SPAN("aZ0_-.:9012345678"), &fail), E_INVALID);
    assert_string_equal(fail.text, "too long tag, over 16");
    assert_int_equal(fail_nacos(&fail), 500);
    assert_int_equal(config_tag_check(SPAN("a b"), &fail), E_INVALID);
    assert_string_equal(fail.text, "invalid tag : a b");
    assert_int_equal(fail.v2, V2_PARAMETER_VALIDATE_ERROR);
    assert_int_equal(config_tag_check(SPAN(""), &fail), E_INVALID);
    assert_int_equal(config_tag_check(SPAN("\xe4\xb8\xad"), &fail), E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tenant__names_of_the_default_namespace__are_one),
        cmocka_unit_test(test_blank__as_java_sees_it),
        cmocka_unit_test(test_chars__are_utf16_units),
        cmocka_unit_test(test_check__usual_keys__pass),
        cmocka_unit_test(test_check__parameters__in_nacos_order),
        cmocka_unit_test(test_check__length_counts_characters),
        cmocka_unit_test(test_check__blank__is_configs_own_text),
        cmocka_unit_test(test_view_key__differs_for_every_key),
        cmocka_unit_test(test_text__escapes_its_separators),
        cmocka_unit_test(test_tag__rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
