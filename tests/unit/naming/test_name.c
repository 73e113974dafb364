/* Names: what passes the parameter check, and what a refusal says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/v2_codes.h"
#include "naming/name.h"

#define CJK_FIRST "\xE4\xB8\x80"      /* U+4E00 */
#define CJK_BEFORE "\xE4\xB7\xBF"     /* U+4DFF */
#define CJK_LAST "\xE9\xBE\xA5"       /* U+9FA5 */
#define CJK_BEHIND "\xE9\xBE\xA6"     /* U+9FA6 */
#define CYRILLIC "\xD0\xB6"           /* two bytes */
#define EMOJI "\xF0\x9F\x98\x80"      /* four bytes */
#define NO_BREAK_SPACE "\xC2\xA0"     /* not white space for Java's \s */
#define LINE_SEPARATOR "\xE2\x80\xA8" /* U+2028 */

static struct span repeat(const char *piece, size_t count)
{
    static char text[20000];
    size_t len = strlen(piece);
    assert_true(len * count <= sizeof(text));
    for (size_t i = 0; i < count; i++) {
        memcpy(text + i * len, piece, len);
    }
    return span_of(text, len * count);
}

static void expect(int err, const struct fail *fail, int code, const char *text)
{
    assert_int_equal(err, code);
    if (code) {
        assert_int_equal(fail->code, code);
        assert_string_equal(fail->text, text);
    }
}

#define TOO_LONG(what, max)                                                                        \
    "Param '" what "' is illegal, the param length should not exceed " max "."
#define BAD(what) "Param '" what "' is illegal, illegal characters should not appear in the param."

static int check3(struct span namespace_id, struct span group, struct span name, struct fail *fail)
{
    struct service_name n = {namespace_id, group, name};
    *fail = (struct fail){0};
    return name_check(&n, fail);
}

static void expect_service(struct span name, int code, const char *text)
{
    struct fail fail;
    int err = check3(SPAN("public"), SPAN("DEFAULT_GROUP"), name, &fail);
    expect(err, &fail, code, text);
}

static void expect_group(struct span group, int code, const char *text)
{
    struct fail fail;
    int err = check3(SPAN("public"), group, SPAN("demo"), &fail);
    expect(err, &fail, code, text);
}

static void expect_namespace(struct span namespace_id, int code, const char *text)
{
    struct fail fail;
    int err = check3(namespace_id, SPAN("DEFAULT_GROUP"), SPAN("demo"), &fail);
    expect(err, &fail, code, text);
}

static void test_check__service__nacos_pattern(void **state)
{
    (void)state;
    const char *const good[] = {"demo",
                                "a",
                                "a.b-c_d:e/f$",
                                "a@b",
                                "a@",
                                "com.x.Y:1.0:g",
                                CYRILLIC,
                                EMOJI,
                                "a" CJK_BEFORE,
                                "a" CJK_BEHIND,
                                "a" NO_BREAK_SPACE "b"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        expect_service(span_str(good[i]), 0, NULL);
    }
    const char *const bad[] = {"@demo",
                               "a@@b",
                               "a b",
                               "a\tb",
                               "a\vb",
                               "ab\n",
                               "a" CJK_FIRST,
                               "a" CJK_LAST,
                               "a\xFF",
                               "\xC3",
                               "a\xED\xA0\x80"
                               "b",
                               LINE_SEPARATOR "a",
                               "\nab"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        expect_service(span_str(bad[i]), E_PARAM, BAD("serviceName"));
    }
}

static void test_check__first_character_of_a_service__may_be_nearly_anything(void **state)
{
    (void)state;
    /* The pattern begins with (?!@). : a dot, which takes all but an end of line. */
    expect_service(span_str(CJK_FIRST), 0, NULL);
    expect_service(SPAN(" a"), 0, NULL);
    expect_service(SPAN("\ta"), 0, NULL);
}

static void test_check__service_length__counts_characters(void **state)
{
    (void)state;
    expect_service(repeat("a", 512), 0, NULL);
    expect_service(repeat("a", 513), E_PARAM, TOO_LONG("serviceName", "512"));
    expect_service(repeat(CYRILLIC, 400), 0, NULL);
    expect_service(repeat(CYRILLIC, 401), E_PARAM, TOO_LONG("serviceName", "800 bytes of UTF-8"));
    expect_service(repeat(CYRILLIC, 513), E_PARAM, TOO_LONG("serviceName", "512"));
    /* Length comes before characters. */
    expect_service(repeat(" ", 513), E_PARAM, TOO_LONG("serviceName", "512"));
}

static void test_check__group__letters_digits_and_four_more(void **state)
{
    (void)state;
    expect_group(SPAN("Az09-_:."), 0, NULL);
    expect_group(repeat("g", 128), 0, NULL);
    expect_group(repeat("g", 129), E_PARAM, TOO_LONG("group", "128"));
    expect_group(SPAN("a@b"), E_PARAM, BAD("group"));
    expect_group(SPAN("a b"), E_PARAM, BAD("group"));
    expect_group(SPAN(CYRILLIC), E_PARAM, BAD("group"));
}

static void test_check__namespace__word_characters(void **state)
{
    (void)state;
    expect_namespace(SPAN("Az09-_"), 0, NULL);
    expect_namespace(repeat("n", 64), 0, NULL);
    expect_namespace(repeat("n", 65), E_PARAM, TOO_LONG("namespaceId/tenant", "64"));
    expect_namespace(SPAN("a.b"), E_PARAM, BAD("namespaceId/tenant"));
    expect_namespace(SPAN(""), E_PARAM, BAD("namespaceId/tenant"));
}

static void test_check__blank__code_500_and_its_own_text(void **state)
{
    (void)state;
    struct fail fail;
    int err = check3(SPAN("public"), SPAN("g"), SPAN(" \t "), &fail);
    expect(err, &fail, E_INVALID, "Param 'serviceName' is illegal, serviceName is blank");
    assert_int_equal(fail_nacos(&fail), 500);
    err = check3(SPAN("public"), SPAN(""), SPAN("demo"), &fail);
    expect(err, &fail, E_INVALID, "Param 'groupName' is illegal, groupName is blank");
    assert_int_equal(fail_nacos(&fail), 500);
    err = check3(SPAN("public"), SPAN(""), SPAN(""), &fail);
    expect(err, &fail, E_INVALID, "Param 'serviceName' is illegal, serviceName is blank");
    /* The characters are looked at before. */
    err = check3(SPAN("public"), SPAN("a b"), SPAN(""), &fail);
    expect(err, &fail, E_PARAM, BAD("group"));
    assert_int_equal(fail_nacos(&fail), 400);
}

static void expect_clusters(struct span clusters, int code, const char *text)
{
    struct fail fail = {0};
    expect(name_check_clusters(clusters, &fail), &fail, code, text);
}

static void test_check_clusters__each_of_the_list(void **state)
{
    (void)state;
    expect_clusters(SPAN(""), 0, NULL);
    expect_clusters(SPAN("  "), 0, NULL);
    expect_clusters(SPAN("DEFAULT"), 0, NULL);
    expect_clusters(SPAN("a-1,B_2,c"), 0, NULL);
    expect_clusters(SPAN("a,"), 0, NULL);
    expect_clusters(SPAN(","), 0, NULL);
    expect_clusters(SPAN("a,,b"), E_PARAM, BAD("cluster"));
    expect_clusters(SPAN("a, b"), E_PARAM, BAD("cluster"));
    expect_clusters(SPAN("a,b.c"), E_PARAM, BAD("cluster"));
    expect_clusters(repeat("c", 64), 0, NULL);
    expect_clusters(repeat("c", 65), E_PARAM, TOO_LONG("cluster", "64"));
}

static struct instance_data usual(void)
{
    return (struct instance_data){
        .ip = SPAN("10.0.0.1"), .port = 80, .cluster = SPAN("DEFAULT"), .weight = 1.0};
}

static void expect_instance(const struct instance_data *i, int code, const char *text)
{
    struct fail fail = {0};
    expect(name_check_instance(i, &fail), &fail, code, text);
}

static void test_check_instance__ip(void **state)
{
    (void)state;
    const char *const good[] = {"10.0.0.1", "::1", "host.example", "", " ", CYRILLIC};
    struct instance_data i = usual();
    for (size_t at = 0; at < ARRAY_LEN(good); at++) {
        i.ip = span_str(good[at]);
        expect_instance(&i, 0, NULL);
    }
    const char *const bad[] = {"10.0.0.1 ", "a b", CJK_FIRST "1", "\xFE"};
    for (size_t at = 0; at < ARRAY_LEN(bad); at++) {
        i.ip = span_str(bad[at]);
        expect_instance(&i, E_PARAM, BAD("ip"));
    }
    i.ip = repeat(CYRILLIC, 128);
    expect_instance(&i, 0, NULL);
    i.ip = repeat("1", 129);
    expect_instance(&i, E_PARAM, TOO_LONG("ip", "128"));
}

static void test_check_instance__port(void **state)
{
    (void)state;
    struct instance_data i = usual();
    const int64_t good[] = {0, 1, 65535};
    for (size_t at = 0; at < ARRAY_LEN(good); at++) {
        i.port = good[at];
        expect_instance(&i, 0, NULL);
    }
    const int64_t bad[] = {-1, 65536, INT64_MAX, INT64_MIN};
    for (size_t at = 0; at < ARRAY_LEN(bad); at++) {
        i.port = bad[at];
        expect_instance(&i, E_PARAM,
                        "Param 'port' is illegal, the value should be between 0 and 65535.");
    }
}

static void test_check_instance__cluster_service_name_and_id(void **state)
{
    (void)state;
    struct instance_data i = usual();
    i.cluster = SPAN("a_b");
    expect_instance(&i, 0, NULL);
    i.cluster = SPAN("a.b");
    expect_instance(&i, E_PARAM, BAD("cluster"));
    i.cluster = repeat("abc,", 17);
    expect_instance(&i, E_PARAM, TOO_LONG("cluster", "64"));
    i = usual();
    i.service_name = SPAN("demo");
    expect_instance(&i, 0, NULL);
    i.service_name = SPAN("g@@demo");
    expect_instance(&i, E_PARAM, BAD("serviceName"));
    i = usual();
    i.instance_id = repeat("i", 2048);
    expect_instance(&i, 0, NULL);
    i.instance_id = repeat("i", 2049);
    expect_instance(&i, E_PARAM, TOO_LONG("instanceId", "2048"));
}

static void test_check_instance__metadata__characters_of_all_pairs(void **state)
{
    (void)state;
    struct instance_data i = usual();
    struct instance_pair pairs[2] = {{SPAN("k"), repeat(CYRILLIC, 1000)}, {SPAN("kk"), SPAN("")}};
    i.metadata = pairs;
    i.metadata_count = 2;
    expect_instance(&i, 0, NULL);
    pairs[1].value = SPAN("012345678901234567890");
    expect_instance(&i, 0, NULL);
    pairs[1].value = SPAN("0123456789012345678901");
    expect_instance(&i, E_PARAM, TOO_LONG("Metadata", "1024"));
    struct instance_pair *many = calloc(INSTANCE_METADATA_MAX + 1, sizeof(*many));
    i.metadata = many;
    i.metadata_count = INSTANCE_METADATA_MAX;
    expect_instance(&i, 0, NULL);
    i.metadata_count = INSTANCE_METADATA_MAX + 1;
    expect_instance(&i, E_PARAM, TOO_LONG("Metadata", "1024"));
    free(many);
}

static void expect_registration(const struct instance_data *i, int v2, const char *text)
{
    struct fail fail = {0};
    int err = name_check_registration(i, &fail);
    expect(err, &fail, v2 ? E_INVALID : 0, text);
    if (v2) {
        assert_int_equal(fail_nacos(&fail), 400);
        assert_int_equal(fail.v2, v2);
    }
}

static void test_check_registration__weight(void **state)
{
    (void)state;
    static const char text[] = "instance format invalid: The weights range from 0.0 to 10000.0";
    struct instance_data i = usual();
    const double good[] = {0.0, 0.01, 1.0, 10000.0};
    for (size_t at = 0; at < ARRAY_LEN(good); at++) {
        i.weight = good[at];
        expect_registration(&i, 0, NULL);
    }
    const double bad[] = {-0.01, 10000.01, 1e300, NAN, INFINITY};
    for (size_t at = 0; at < ARRAY_LEN(bad); at++) {
        i.weight = bad[at];
        expect_registration(&i, V2_WEIGHT_ERROR, text);
    }
}

static void test_check_registration__cluster_without_underscore(void **state)
{
    (void)state;
    struct instance_data i = usual();
    i.cluster = SPAN("a-B-9");
    expect_registration(&i, 0, NULL);
    i.cluster = SPAN("a_b");
    expect_registration(&i, V2_INSTANCE_ERROR,
                        "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. "
                        "(current: a_b)");
}

static void test_check_registration__beat_times(void **state)
{
    (void)state;
    static const char text[] = "Instance 'heart beat interval' must less than 'heart beat timeout' "
                               "and 'ip delete timeout'.";
    struct instance_pair pairs[] = {{SPAN("preserved.heart.beat.interval"), SPAN("15000")},
                                    {SPAN("preserved.heart.beat.timeout"), SPAN("15000")}};
    struct instance_data i = usual();
    i.metadata = pairs;
    i.metadata_count = 2;
    expect_registration(&i, 0, NULL);
    pairs[0].value = SPAN("15001");
    expect_registration(&i, V2_INSTANCE_ERROR, text);
    pairs[0].value = SPAN("soon"); /* no number: the default, 5000 */
    expect_registration(&i, 0, NULL);
    pairs[1] = (struct instance_pair){SPAN("preserved.ip.delete.timeout"), SPAN("4999")};
    expect_registration(&i, V2_INSTANCE_ERROR, text);
}

static void test_fill__without_split__taken_as_sent(void **state)
{
    (void)state;
    struct service_name n = {0};
    service_name_fill(&n, (struct span){0}, SPAN(""), SPAN("g@@s"), false);
    assert_true(span_eq(n.namespace_id, SPAN("public")));
    assert_true(span_empty(n.group));
    assert_true(span_eq(n.name, SPAN("g@@s")));
    service_name_fill(&n, SPAN("  "), SPAN("g"), SPAN("s"), false);
    assert_true(span_eq(n.namespace_id, SPAN("public")));
    service_name_fill(&n, SPAN("dev"), SPAN("g"), SPAN("s"), false);
    assert_true(span_eq(n.namespace_id, SPAN("dev")));
}

static void test_fill__split__the_name_names_the_group(void **state)
{
    (void)state;
    struct service_name n = {0};
    service_name_fill(&n, SPAN(""), SPAN("other"), SPAN("g@@s"), true);
    assert_true(span_eq(n.group, SPAN("g")));
    assert_true(span_eq(n.name, SPAN("s")));
    service_name_fill(&n, SPAN(""), SPAN("other"), SPAN("s"), true);
    assert_true(span_eq(n.group, SPAN("other")));
    service_name_fill(&n, SPAN(""), SPAN(""), SPAN("s"), true);
    assert_true(span_eq(n.group, SPAN("DEFAULT_GROUP")));
    service_name_fill(&n, SPAN(""), SPAN("x"), SPAN("@@s"), true);
    assert_true(span_empty(n.group));
    assert_true(span_eq(n.name, SPAN("s")));
    service_name_fill(&n, SPAN(""), SPAN("x"), SPAN("g@@"), true);
    assert_true(span_empty(n.name));
}

static void test_key__differs_with_every_part(void **state)
{
    (void)state;
    const struct service_name names[] = {{SPAN("a"), SPAN("b"), SPAN("c")},
                                         {SPAN("a"), SPAN("b"), SPAN("c@")},
                                         {SPAN("a"), SPAN("c"), SPAN("b")},
                                         {SPAN("ab"), SPAN("b"), SPAN("c")},
                                         {SPAN("a"), SPAN("bc"), SPAN("c")}};
    char keys[ARRAY_LEN(names)][VIEW_KEY_MAX];
    struct span spans[ARRAY_LEN(names)];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        spans[i] = service_name_key(&names[i], keys[i]);
        for (size_t k = 0; k < i; k++) {
            assert_false(span_eq(spans[i], spans[k]));
            assert_false(service_name_eq(&names[i], &names[k]));
        }
        assert_true(service_name_eq(&names[i], &names[i]));
    }
}

static void test_key__longest_checked_name__fits(void **state)
{
    (void)state;
    char namespace_id[NAME_NAMESPACE_MAX];
    char group[NAME_GROUP_MAX];
    char dst[VIEW_KEY_MAX];
    memset(namespace_id, 'n', sizeof(namespace_id));
    memset(group, 'g', sizeof(group));
    struct service_name n = {span_of(namespace_id, sizeof(namespace_id)),
                             span_of(group, sizeof(group)), repeat(EMOJI, 200)};
    struct fail fail = {0};
    assert_int_equal(n.name.len, NAME_SERVICE_BYTES_MAX);
    assert_int_equal(name_check(&n, &fail), 0);
    assert_true(service_name_key(&n, dst).len <= VIEW_KEY_MAX);
}

static void test_grouped__group_at_at_name(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096);
    struct service_name n = {SPAN("public"), SPAN("G1"), SPAN("demo")};
    assert_true(span_eq(service_name_grouped(&n, &arena), SPAN("G1@@demo")));
    arena_close(&arena);
}

static void test_cluster_in__comma_list_or_blank(void **state)
{
    (void)state;
    assert_true(name_cluster_in(SPAN(""), SPAN("a")));
    assert_true(name_cluster_in(SPAN(" "), SPAN("a")));
    assert_true(name_cluster_in(SPAN(","), SPAN("a")));
    assert_true(name_cluster_in(SPAN("a"), SPAN("a")));
    assert_true(name_cluster_in(SPAN("b,a"), SPAN("a")));
    assert_true(name_cluster_in(SPAN("a,b,"), SPAN("b")));
    assert_false(name_cluster_in(SPAN("b,ab"), SPAN("a")));
    assert_false(name_cluster_in(SPAN("A"), SPAN("a")));
    assert_false(name_cluster_in(SPAN("b, a"), SPAN("a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check__service__nacos_pattern),
        cmocka_unit_test(test_check__first_character_of_a_service__may_be_nearly_anything),
        cmocka_unit_test(test_check__service_length__counts_characters),
        cmocka_unit_test(test_check__group__letters_digits_and_four_more),
        cmocka_unit_test(test_check__namespace__word_characters),
        cmocka_unit_test(test_check__blank__code_500_and_its_own_text),
        cmocka_unit_test(test_check_clusters__each_of_the_list),
        cmocka_unit_test(test_check_instance__ip),
        cmocka_unit_test(test_check_instance__port),
        cmocka_unit_test(test_check_instance__cluster_service_name_and_id),
        cmocka_unit_test(test_check_instance__metadata__characters_of_all_pairs),
        cmocka_unit_test(test_check_registration__weight),
        cmocka_unit_test(test_check_registration__cluster_without_underscore),
        cmocka_unit_test(test_check_registration__beat_times),
        cmocka_unit_test(test_fill__without_split__taken_as_sent),
        cmocka_unit_test(test_fill__split__the_name_names_the_group),
        cmocka_unit_test(test_key__differs_with_every_part),
        cmocka_unit_test(test_key__longest_checked_name__fits),
        cmocka_unit_test(test_grouped__group_at_at_name),
        cmocka_unit_test(test_cluster_in__comma_list_or_blank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
