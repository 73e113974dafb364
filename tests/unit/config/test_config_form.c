#include "config/config_form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/form.h"

/* The parameters of a query string, and headers "name: value\n". */
struct made {
    struct api_call call;
    struct api_params p;
    struct api_param headers[8];
    struct fail fail;
};

static void make(struct made *m, const char *query, const char *headers)
{
    *m = (struct made){0};
    arena_init(&m->call.arena, 1 << 16);
    m->call.caller.remote_ip = SPAN("9.9.9.9");
    struct span text = span_str(query);
    struct form form;
    form_init(&form, &m->call.arena, text, (struct span){0});
    assert_int_equal(form_add(&form, arena_str(&m->call.arena, text), text.len, NULL), 0);
    struct span rest = span_str(headers);
    while (!span_empty(rest)) {
        struct span value = span_cut(&rest, '\n');
        struct span name = span_cut(&value, ':');
        m->headers[m->p.headers_count++] = (struct api_param){name, span_trim(value)};
    }
    m->p.list = form.list;
    m->p.count = form.count;
    m->p.headers = m->headers;
}

static void unmake(struct made *m)
{
    arena_close(&m->call.arena);
}

static void assert_span(struct span got, const char *wanted)
{
    if (!wanted) {
        assert_null(got.data);
        return;
    }
    assert_int_equal(got.len, strlen(wanted));
    assert_memory_equal(got.len ? got.data : "", wanted, got.len);
}

static void tenant_is(const char *query, enum config_form_style style, const char *wanted)
{
    struct made m;
    make(&m, query, "");
    assert_span(config_form_tenant(&m.p, style), wanted);
    unmake(&m);
}

static void test_tenant__own_name_first_then_the_other(void **state)
{
    (void)state;
    tenant_is("", CONFIG_FORM_V1, "");
    tenant_is("tenant=a&namespaceId=b", CONFIG_FORM_V1, "a");
    tenant_is("tenant=a&namespaceId=b", CONFIG_FORM_V2, "b");
    tenant_is("tenant=a&namespaceId=b", CONFIG_FORM_V2_DECLARED, "b");
    tenant_is("tenant=+&namespaceId=b", CONFIG_FORM_V1, "b");
    tenant_is("tenant=a&namespaceId=", CONFIG_FORM_V2, "a");
    tenant_is("tenant=+", CONFIG_FORM_V1, "");
    tenant_is("tenant=public", CONFIG_FORM_V1, "public"); /* as it was sent */
}

static void key_fails(const char *query, enum config_form_style style, int err, int nacos,
                      const char *text)
{
    struct made m;
    make(&m, query, "");
    struct config_key key = {0};
    assert_int_equal(config_form_key(&m.p, style, &key, &m.fail), err);
    assert_string_equal(fail_text(&m.fail), text);
    assert_int_equal(m.fail.nacos, nacos);
    assert_null(key.data_id.data);
    unmake(&m);
}

#define DECLARED(name)                                                                             \
    "Required request parameter '" name "' for method parameter type String is not present"

static void test_key__kept_tenant(void **state)
{
    (void)state;
    struct made m;
    struct config_key key = {0};
    make(&m, "dataId=d&group=g&tenant=Public", "");
    assert_int_equal(config_form_key(&m.p, CONFIG_FORM_V1, &key, &m.fail), 0);
    assert_span(key.data_id, "d");
    assert_span(key.group, "g");
    assert_span(key.tenant, "");
    unmake(&m);
}

static void test_key__what_is_missing(void **state)
{
    (void)state;
    key_fails("group=g", CONFIG_FORM_V1, E_MISSING, 500, DECLARED("dataId"));
    key_fails("dataId=d", CONFIG_FORM_V1, E_MISSING, 500, DECLARED("group"));
    key_fails("dataId=d", CONFIG_FORM_V2_DECLARED, E_MISSING, 0, DECLARED("group"));
    key_fails("dataId=&group=g", CONFIG_FORM_V2, E_MISSING, 0,
              "Required parameter 'dataId' type String is not present");
    key_fails("dataId=&group=g", CONFIG_FORM_V2_DECLARED, E_INVALID, 0, "invalid dataId : ");
    key_fails("dataId=d&group=", CONFIG_FORM_V1, E_INVALID, 0, "invalid group : ");
    key_fails("dataId=", CONFIG_FORM_V1, E_MISSING, 500, DECLARED("group"));
}

static void test_key__the_parameter_check_wins_over_what_is_missing(void **state)
{
    (void)state;
    key_fails("dataId=a/b", CONFIG_FORM_V1, E_PARAM, 0,
              "Param 'dataId' is illegal, illegal characters should not appear in the param.");
    key_fails("tenant=a+b", CONFIG_FORM_V1, E_PARAM, 0,
              "Param 'namespaceId/tenant' is illegal, illegal characters should not appear in the "
              "param.");
}

static void test_tag__trimmed_checked_or_none(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        int err;
        const char *wanted;
    } cases[] = {
        {"", 0, ""},
        {"tag=", 0, ""},
        {"tag=+", 0, ""},
        {"tag=+a+", 0, "a"},
        {"tag=a+b", E_INVALID, "invalid tag : a b"},
        {"tag=12345678901234567", E_INVALID, "too long tag, over 16"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct made m;
        struct span tag = {0};
        make(&m, cases[i].query, "");
        assert_int_equal(config_form_tag(&m.p, &tag, &m.fail), cases[i].err);
        if (cases[i].err) {
            assert_string_equal(fail_text(&m.fail), cases[i].wanted);
            assert_int_equal(m.fail.nacos, 0); /* so HTTP says 400 */
        } else {
            assert_span(tag, cases[i].wanted);
        }
        unmake(&m);
    }
}

static void test_publish__all_fields_of_v1(void **state)
{
    (void)state;
    struct made m;
    struct config_form form = {0};
    make(&m,
         "dataId=d&group=g&content=c%0A&tenant=t&type=json&appName=app&config_tags=a,b&desc=de&"
         "use=us&effect=ef&schema=sc&encryptedDataKey=k&tag=tg",
         "betaips: 1.1.1.1\ncasmd5: m");
    assert_int_equal(config_form_publish(&m.p, CONFIG_FORM_V1, &form, &m.fail), 0);
    assert_span(form.key.data_id, "d");
    assert_span(form.key.group, "g");
    assert_span(form.key.tenant, "t");
    assert_span(form.content, "c\n");
    assert_span(form.type, "json");
    assert_span(form.app_name, "app");
    assert_span(form.tags, "a,b");
    assert_span(form.desc, "de");
    assert_span(form.use, "us");
    assert_span(form.effect, "ef");
    assert_span(form.schema, "sc");
    assert_span(form.encrypted_key, "k");
    assert_span(form.tag, "tg");
    assert_span(form.beta_ips, "1.1.1.1");
    assert_span(form.cas_md5, "m");
    assert_false(form.v2_names);
    unmake(&m);
}

static void test_publish__what_was_not_sent_is_told_from_what_is_empty(void **state)
{
    (void)state;
    struct made m;
    struct config_form form = {0};
    make(&m, "dataId=d&group=g&content=&configTags=&appName=", "");
    assert_int_equal(config_form_publish(&m.p, CONFIG_FORM_V1, &form, &m.fail), 0);
    assert_non_null(form.content.data);
    assert_non_null(form.tags.data);
    assert_int_equal(form.tags.len, 0);
    assert_non_null(form.app_name.data);
    assert_null(form.desc.data);
    assert_null(form.encrypted_key.data);
    unmake(&m);
    make(&m, "dataId=d&group=g&content=x", "");
    assert_int_equal(config_form_publish(&m.p, CONFIG_FORM_V2, &form, &m.fail), 0);
    assert_null(form.tags.data);
    assert_true(form.v2_names);
    unmake(&m);
}

static void test_publish__missing_content(void **state)
{
    (void)state;
    struct made m;
    struct config_form form = {0};
    make(&m, "dataId=d&group=g", "");
    assert_int_equal(config_form_publish(&m.p, CONFIG_FORM_V1, &form, &m.fail), E_MISSING);
    assert_string_equal(fail_text(&m.fail), DECLARED("content"));
    unmake(&m);
    make(&m, "dataId=d&group=g&content=+", "");
    assert_int_equal(config_form_publish(&m.p, CONFIG_FORM_V2, &form, &m.fail), E_MISSING);
    assert_string_equal(fail_text(&m.fail),
                        "Required parameter 'content' type String is not present");
    unmake(&m);
}

static void ip_is(const char *headers, const char *wanted)
{
    struct made m;
    make(&m, "", headers);
    assert_span(config_form_client_ip(&m.call, &m.p), wanted);
    unmake(&m);
}

static void test_client_ip__forwarded_then_real_then_socket(void **state)
{
    (void)state;
    ip_is("", "9.9.9.9");
    ip_is("x-forwarded-for: 1.1.1.1, 2.2.2.2\nx-real-ip: 3.3.3.3", "1.1.1.1");
    ip_is("x-forwarded-for:  \nx-real-ip: 3.3.3.3", "3.3.3.3");
    ip_is("x-forwarded-for: , 2.2.2.2", "9.9.9.9");
    ip_is("x-forwarded-for: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeef", "9.9.9.9");
    ip_is("x-real-ip: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee",
          "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee");
}

static void user_is(const char *query, enum config_form_style style, const char *wanted)
{
    struct made m;
    make(&m, query, "x-real-ip: 3.3.3.3");
    struct config_actor who = config_form_actor(&m.call, &m.p, style);
    assert_span(who.user, wanted);
    assert_span(who.ip, "3.3.3.3");
    unmake(&m);
}

static void test_actor__src_user_then_username(void **state)
{
    (void)state;
    user_is("", CONFIG_FORM_V1, NULL);
    user_is("src_user=a&srcUser=b&username=c", CONFIG_FORM_V1, "a");
    user_is("src_user=a&srcUser=b&username=c", CONFIG_FORM_V2, "b");
    user_is("srcUser=b&username=c", CONFIG_FORM_V1, "b");
    user_is("src_user=&username=c", CONFIG_FORM_V1, "c");
}

static void test_reader__address_and_both_tags(void **state)
{
    (void)state;
    struct made m;
    make(&m, "", "vipserver-tag: auto\nx-forwarded-for: 4.4.4.4");
    struct config_reader r = config_form_reader(&m.call, &m.p, SPAN("named"));
    assert_span(r.client_ip, "4.4.4.4");
    assert_span(r.tag, "named");
    assert_span(r.auto_tag, "auto");
    unmake(&m);
}

static void test_refused__only_what_is_invalid_loses_its_code(void **state)
{
    (void)state;
    struct fail fail = {0};
    (void)fail_set_codes(&fail, E_INVALID, 500, 20002, "x");
    assert_int_equal(config_form_refused(E_INVALID, &fail), E_INVALID);
    assert_int_equal(fail.nacos, 0);
    assert_int_equal(fail.v2, 20002);
    (void)fail_set_codes(&fail, E_CONFLICT, 500, 20005, "x");
    assert_int_equal(config_form_refused(E_CONFLICT, &fail), E_CONFLICT);
    assert_int_equal(fail.nacos, 500);
    assert_int_equal(config_form_refused(1, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tenant__own_name_first_then_the_other),
        cmocka_unit_test(test_key__kept_tenant),
        cmocka_unit_test(test_key__what_is_missing),
        cmocka_unit_test(test_key__the_parameter_check_wins_over_what_is_missing),
        cmocka_unit_test(test_tag__trimmed_checked_or_none),
        cmocka_unit_test(test_publish__all_fields_of_v1),
        cmocka_unit_test(test_publish__what_was_not_sent_is_told_from_what_is_empty),
        cmocka_unit_test(test_publish__missing_content),
        cmocka_unit_test(test_client_ip__forwarded_then_real_then_socket),
        cmocka_unit_test(test_actor__src_user_then_username),
        cmocka_unit_test(test_reader__address_and_both_tags),
        cmocka_unit_test(test_refused__only_what_is_invalid_loses_its_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
