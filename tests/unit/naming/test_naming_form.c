/* Parameters of HTTP requests: what is read, and with which words the rest is refused (http-api.md
 * 1.6, 4.0, 4.1, 5.1; golden http/naming-instance, naming-v2, sweep). */
#include "naming/naming_form.h"

#include "naming_decode.h"

#include "api/v2_codes.h"
#include "http/form.h"

#define ILLEGAL_PARAM(what)                                                                        \
    "Param '" what "' is illegal, illegal characters should not appear in the param."
#define PORT_PARAM "Param 'port' is illegal, the value should be between 0 and 65535."

/* A query string as the edge hands it to a row. */
struct query {
    struct arena arena;
    char *text;
    struct form form;
    struct api_params params;
    struct fail fail;
};

static const struct api_params *query_open(struct query *q, const char *text)
{
    *q = (struct query){.text = mem_strndup(text, strlen(text))};
    arena_init(&q->arena, API_ARENA_MAX);
    form_init(&q->form, &q->arena, span_str(q->text), (struct span){0});
    assert_int_equal(form_add(&q->form, q->text, strlen(q->text), &q->fail), 0);
    q->params.list = q->form.list;
    q->params.count = q->form.count;
    return &q->params;
}

static void query_close(struct query *q)
{
    arena_close(&q->arena);
    mem_free(q->text);
}

static void check_words(const struct query *q, int got, int err, const char *text)
{
    if (got != err || q->fail.code != err || strcmp(q->fail.text, text) != 0) {
        fail_msg("expected %s %s\ngot      %s %s", err_name(err), text, err_name(got),
                 q->fail.text);
    }
}

static void refuse_name(const char *params, enum form_version version, int err, const char *text)
{
    struct query q;
    struct service_name name = {0};
    const struct api_params *p = query_open(&q, params);
    check_words(&q, form_name(p, version, &name, &q.fail), err, text);
    query_close(&q);
}

static void refuse_instance(const char *params, enum form_version version, int err,
                            const char *text)
{
    struct query q;
    struct instance_data i = {0};
    const struct api_params *p = query_open(&q, params);
    check_words(&q, form_instance(p, version, &q.arena, &i, &q.fail), err, text);
    query_close(&q);
}

static struct instance_data take_instance(struct query *q, const char *params)
{
    struct instance_data i = {0};
    const struct api_params *p = query_open(q, params);
    if (form_instance(p, FORM_V1, &q->arena, &i, &q->fail) != 0) {
        fail_msg("%s failed with %s", params, q->fail.text);
    }
    return i;
}

static void test_require__missing_or_blank__has_the_words_of_its_route(void **state)
{
    (void)state;
    static const struct {
        enum form_version version;
        int v2;
        const char *text;
    } words[] = {
        {FORM_V1, 0, "Param 'x' is required."},
        {FORM_V1_DECLARED, 0, "Parameter 'x' is missing"},
        {FORM_V2, V2_PARAMETER_MISSING, "Required parameter 'x' type Integer is not present"},
        {FORM_V2_DECLARED, V2_PARAMETER_MISSING,
         "Required request parameter 'x' for method parameter type Integer is not present"},
    };
    static const char *const without[] = {"", "y=1", "x", "x=", "x=+%09"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        for (size_t n = 0; n < ARRAY_LEN(without); n++) {
            struct query q;
            struct span value = {0};
            const struct api_params *p = query_open(&q, without[n]);
            int err = form_require(p, words[i].version, "x", "Integer", &value, &q.fail);
            check_words(&q, err, E_MISSING, words[i].text);
            assert_int_equal(q.fail.v2, words[i].v2);
            query_close(&q);
        }
        struct query q;
        struct span value = {0};
        const struct api_params *p = query_open(&q, "x=+a+b+&x=second");
        assert_int_equal(form_require(p, words[i].version, "x", "String", &value, &q.fail), 0);
        assert_span(value, "a b");
        query_close(&q);
    }
}

static void test_name__plain_or_grouped__is_read(void **state)
{
    (void)state;
    static const struct {
        const char *params;
        const char *namespace_id, *group, *name;
    } cases[] = {
        {"serviceName=svc", "public", "DEFAULT_GROUP", "svc"},
        {"serviceName=+svc+&groupName=+G+&namespaceId=+dev+", "dev", "G", "svc"},
        {"serviceName=G1%40%40svc&groupName=G2", "public", "G1", "svc"},
        {"serviceName=svc&groupName=&namespaceId=", "public", "DEFAULT_GROUP", "svc"},
        {"serviceName=bad%2fsvc", "public", "DEFAULT_GROUP", "bad/svc"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct query q;
        struct service_name name = {0};
        const struct api_params *p = query_open(&q, cases[i].params);
        assert_int_equal(form_name(p, i % 2 ? FORM_V1 : FORM_V2, &name, &q.fail), 0);
        assert_span(name.namespace_id, cases[i].namespace_id);
        assert_span(name.group, cases[i].group);
        assert_span(name.name, cases[i].name);
        query_close(&q);
    }
}

static void test_name__illegal__is_refused_with_the_texts_of_nacos(void **state)
{
    (void)state;
    static const enum form_version versions[] = {FORM_V1, FORM_V1_DECLARED, FORM_V2,
                                                 FORM_V2_DECLARED};
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        enum form_version v = versions[i];
        refuse_name("serviceName=a+b", v, E_PARAM, ILLEGAL_PARAM("serviceName"));
        refuse_name("serviceName=G@@a@@b", v, E_PARAM, ILLEGAL_PARAM("serviceName"));
        refuse_name("serviceName=sv%E4%B8%AD", v, E_PARAM, ILLEGAL_PARAM("serviceName"));
        refuse_name("serviceName=a%00b", v, E_PARAM, ILLEGAL_PARAM("serviceName"));
        refuse_name("serviceName=%00", v, E_PARAM, ILLEGAL_PARAM("serviceName"));
        refuse_name("serviceName=s&groupName=a+b", v, E_PARAM, ILLEGAL_PARAM("group"));
        refuse_name("serviceName=s&namespaceId=a+b", v, E_PARAM,
                    ILLEGAL_PARAM("namespaceId/tenant"));
        refuse_name("serviceName=G@@", v, E_INVALID,
                    "Param 'serviceName' is illegal, it should be format as "
                    "'groupName@@serviceName'");
        refuse_name("serviceName=@@s", v, E_INVALID,
                    "Param 'serviceName' is illegal, it should be format as "
                    "'groupName@@serviceName'");
    }
    char *params = repeat("serviceName=", "s", 513, "");
    refuse_name(params, FORM_V1, E_PARAM,
                "Param 'serviceName' is illegal, the param length should not exceed 512.");
    mem_free(params);
    params = repeat("serviceName=s&groupName=", "g", 129, "");
    refuse_name(params, FORM_V1, E_PARAM,
                "Param 'group' is illegal, the param length should not exceed 128.");
    mem_free(params);
    params = repeat("serviceName=s&namespaceId=", "n", 65, "");
    refuse_name(params, FORM_V2, E_PARAM,
                "Param 'namespaceId/tenant' is illegal, the param length should not exceed 64.");
    mem_free(params);
}

static void test_instance__nothing_but_its_address__has_defaults(void **state)
{
    (void)state;
    struct query q;
    struct instance_data i = take_instance(&q, "ip=10.0.0.1&port=80");
    assert_span(i.ip, "10.0.0.1");
    assert_int_equal(i.port, 80);
    assert_span(i.cluster, "DEFAULT");
    assert_true(i.weight == 1.0);
    assert_true(i.enabled && i.healthy && i.ephemeral);
    assert_int_equal(i.metadata_count, 0);
    query_close(&q);
}

static void test_instance__everything__is_read(void **state)
{
    (void)state;
    struct query q;
    struct instance_data i = take_instance(
        &q, "ip=host.example&port=+0+&weight=+2.5&enabled=false&healthy=No&ephemeral=off&"
            "clusterName=C1&cluster=C2&metadata=%7B%22a%22%3A%221%22%2C%22b%22%3A2%7D");
    assert_span(i.ip, "host.example");
    assert_int_equal(i.port, 0);
    assert_true(i.weight == 2.5);
    assert_false(i.enabled || i.healthy || i.ephemeral);
    assert_span(i.cluster, "C1");
    assert_int_equal(i.metadata_count, 2);
    assert_span(i.metadata[1].value, "2");
    query_close(&q);
    i = take_instance(&q, "ip=1.1.1.1&port=1&clusterName=&cluster=C2&weight=&metadata=+");
    assert_span(i.cluster, "C2");
    assert_true(i.weight == 1.0);
    query_close(&q);
}

/* http-api.md 4.0: y yes on true t; anything else is false, and nothing leaves the default. */
static void test_instance__booleans__are_read_as_the_naming_helper_does(void **state)
{
    (void)state;
    static const struct {
        const char *params;
        bool enabled;
    } cases[] = {
        {"enabled=y", true},
        {"enabled=YES", true},
        {"enabled=on", true},
        {"enabled=T", true},
        {"enabled=true", true},
        {"enabled=maybe", false},
        {"enabled=1", false},
        {"enabled=n", false},
        {"enabled=", true},
        {"enable=false", false},
        {"enable=false&enabled=true", true},
        {"enabled=false&enable=true", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char params[128];
        snprintf(params, sizeof(params), "ip=1.1.1.1&port=1&%s", cases[i].params);
        struct query q;
        assert_int_equal(take_instance(&q, params).enabled, cases[i].enabled);
        query_close(&q);
    }
}

static void test_instance__illegal__is_refused_with_the_texts_of_nacos(void **state)
{
    (void)state;
    static const struct {
        const char *params;
        int err;
        const char *text;
    } bad[] = {
        {"port=80", E_MISSING, "Param 'ip' is required."},
        {"ip=1.1.1.1", E_MISSING, "Param 'port' is required."},
        {"ip=1.1.1.1&port=x", E_PARAM, PORT_PARAM},
        {"ip=1.1.1.1&port=70000", E_PARAM, PORT_PARAM},
        {"ip=1.1.1.1&port=-1", E_PARAM, PORT_PARAM},
        {"ip=1.1.1.1&port=65536", E_PARAM, PORT_PARAM},
        {"ip=1.1.1.1&port=1.0", E_PARAM, PORT_PARAM},
        {"ip=1.1.1.1&port=99999999999999999999999", E_PARAM, PORT_PARAM},
        {"ip=10+11&port=1", E_PARAM, ILLEGAL_PARAM("ip")},
        {"ip=1.1.1.1%00&port=1", E_PARAM, ILLEGAL_PARAM("ip")},
        {"ip=1.1.1.1&port=1&clusterName=a_b!", E_PARAM, ILLEGAL_PARAM("cluster")},
        {"ip=1.1.1.1&port=1&weight=x", E_INVALID, "For input string: \"x\""},
        {"ip=1.1.1.1&port=1&weight=nan", E_INVALID, "For input string: \"nan\""},
        {"ip=1.1.1.1&port=1&weight=1e999", E_INVALID, "For input string: \"1e999\""},
        {"ip=1.1.1.1&port=1&metadata=nonsense", E_INVALID, "metadata format incorrect:nonsense"},
        {"ip=1.1.1.1&port=1&metadata=a=1,b", E_INVALID, "metadata format incorrect:a=1,b"},
        {"ip=1.1.1.1&port=1&metadata==1", E_INVALID, "metadata format incorrect:=1"},
        {"ip=1.1.1.1&port=1&metadata=%7B%22a%22:", E_INVALID, "metadata format incorrect:{\"a\":"},
        {"ip=1.1.1.1&port=1&metadata=%7B%22a%22:%7B%7D%7D", E_INVALID,
         "metadata format incorrect:{\"a\":{}}"},
        {"ip=1.1.1.1&port=1&metadata=[1]", E_INVALID, "metadata format incorrect:[1]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        refuse_instance(bad[i].params, FORM_V1, bad[i].err, bad[i].text);
    }
    refuse_instance("ip=1.1.1.1", FORM_V2, E_MISSING,
                    "Required parameter 'port' type Integer is not present");
    char *params = repeat("ip=1.1.1.1&port=1&metadata=k=", "v", 1024, "");
    refuse_instance(params, FORM_V1, E_PARAM,
                    "Param 'Metadata' is illegal, the param length should not exceed 1024.");
    mem_free(params);
    params = repeat("port=1&ip=", "i", 129, "");
    refuse_instance(params, FORM_V1, E_PARAM,
                    "Param 'ip' is illegal, the param length should not exceed 128.");
    mem_free(params);
}

static void take_metadata(struct arena *arena, const char *text, const struct instance_pair **pairs,
                          size_t *count)
{
    struct fail fail = {0};
    int err = form_metadata(span_str(text), arena, pairs, count, &fail);
    if (err) {
        fail_msg("%s failed with %s", text, fail.text);
    }
}

/* No two pairs may have one key (instance.h): a map has it once. */
static void test_metadata__either_form__has_every_key_once(void **state)
{
    (void)state;
    static const char *const same[] = {"a=1,b=2", " a = 3 , b = 2 , a = 1 , ",
                                       "{\"a\":\"1\",\"b\":\"2\"}",
                                       "{\"a\":3,\"b\":2,\"a\":1,\"gone\":null}"};
    struct arena arena;
    arena_init(&arena, API_ARENA_MAX);
    const struct instance_pair *pairs = NULL;
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        take_metadata(&arena, same[i], &pairs, &count);
        assert_int_equal(count, 2);
        assert_span(pairs[0].key, "a");
        assert_span(pairs[0].value, "1");
        assert_span(pairs[1].key, "b");
        assert_span(pairs[1].value, "2");
    }
    take_metadata(&arena, "a=,b=x=y", &pairs, &count);
    assert_span(pairs[0].value, "");
    assert_span(pairs[1].value, "x=y");
    take_metadata(&arena, "", &pairs, &count);
    assert_int_equal(count, 0);
    take_metadata(&arena, "{}", &pairs, &count);
    assert_int_equal(count, 0);
    arena_close(&arena);
}

static void test_metadata__too_many_or_too_deep__is_refused(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, API_ARENA_MAX);
    const struct instance_pair *pairs = NULL;
    size_t count = 7;
    struct fail fail = {0};
    char *text = repeat("k=v", ",k=v", INSTANCE_METADATA_MAX, "");
    assert_int_equal(form_metadata(span_str(text), &arena, &pairs, &count, &fail), E_INVALID);
    assert_int_equal(fail.v2, V2_INSTANCE_METADATA_ERROR);
    assert_string_equal(fail.text, "metadata: at most 1024 pairs");
    mem_free(text);
    text = repeat("", "{\"a\":", 100000, "");
    assert_int_equal(form_metadata(span_str(text), &arena, &pairs, &count, &fail), E_INVALID);
    assert_int_equal(fail.v2, V2_INSTANCE_METADATA_ERROR);
    assert_true(strncmp(fail.text, "metadata format incorrect:{\"a\":{\"a\":", 36) == 0);
    mem_free(text);
    text = repeat("{\"\":\"\"", ",\"\":\"\"", INSTANCE_METADATA_MAX, "}");
    assert_int_equal(form_metadata(span_str(text), &arena, &pairs, &count, &fail), E_INVALID);
    mem_free(text);
    arena_close(&arena);
}

static void test_answer_ok__has_the_shape_of_its_version(void **state)
{
    (void)state;
    static const char *const want[] = {
        [FORM_V1] = "ok",
        [FORM_V1_DECLARED] = "ok",
        [FORM_V2] = "{\"code\":0,\"message\":\"success\",\"data\":\"ok\"}",
        [FORM_V2_DECLARED] = "{\"code\":0,\"message\":\"success\",\"data\":\"ok\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct api_call call;
        char text[64] = "";
        call_open(&call);
        form_answer_ok(&call, (enum form_version)i);
        body_copy(&call.reply.body, text);
        assert_string_equal(text, want[i]);
        call_close(&call);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_require__missing_or_blank__has_the_words_of_its_route),
        cmocka_unit_test(test_name__plain_or_grouped__is_read),
        cmocka_unit_test(test_name__illegal__is_refused_with_the_texts_of_nacos),
        cmocka_unit_test(test_instance__nothing_but_its_address__has_defaults),
        cmocka_unit_test(test_instance__everything__is_read),
        cmocka_unit_test(test_instance__booleans__are_read_as_the_naming_helper_does),
        cmocka_unit_test(test_instance__illegal__is_refused_with_the_texts_of_nacos),
        cmocka_unit_test(test_metadata__either_form__has_every_key_once),
        cmocka_unit_test(test_metadata__too_many_or_too_deep__is_refused),
        cmocka_unit_test(test_answer_ok__has_the_shape_of_its_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
