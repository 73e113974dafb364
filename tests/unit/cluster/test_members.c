#include "cluster/members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct member_list list;
static struct fail fail;

static int parse(const char *text)
{
    list = (struct member_list){0};
    fail = (struct fail){0};
    return members_parse("cluster.conf", span_str(text), 8850, &list, &fail);
}

/* All of it as one text. */
static const char *shown(void)
{
    static char text[4096];
    text[0] = '\0';
    for (size_t i = 0; i < list.count; i++) {
        char address[MEMBER_ADDRESS_MAX + 1];
        member_address(list.list[i].host, list.list[i].port, address);
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "", address);
    }
    return text;
}

static void expect(const char *text, const char *wanted)
{
    int err = parse(text);
    if (err) {
        fail_msg("%s: %s", text, fail.text);
    }
    assert_string_equal(shown(), wanted);
}

static void test_parse__takes_lines_commas_blanks_and_comments(void **state)
{
    (void)state;
    expect("#2024-01-01\n10.0.0.2:8848\r\n\n  10.0.0.1:8848 # first\n,10.0.0.3:8848,",
           "10.0.0.1:8848 10.0.0.2:8848 10.0.0.3:8848");
    expect("a:1 b:2,c:3", "a:1 b:2 c:3");
    expect("\xef\xbb\xbf"
           "a:1\n",
           "a:1");
    expect("", "");
    expect("# nothing\n \n", "");
    assert_int_equal(list.count, 0);
}

static void test_parse__default_port_is_the_own_one(void **state)
{
    (void)state;
    expect("10.0.0.1\nnacos-1\n[fd00::1]\nfd00::2",
           "10.0.0.1:8850 [fd00::1]:8850 [fd00::2]:8850 nacos-1:8850");
}

static void test_parse__suffixes_are_ignored(void **state)
{
    (void)state;
    expect("10.0.0.1:8848?raft_port=8807\nnacos-2?raft_port=1&x=y", "10.0.0.1:8848 nacos-2:8850");
    assert_string_equal(list.list[0].written, "10.0.0.1:8848");
}

static void test_parse__hosts_are_canonical(void **state)
{
    (void)state;
    expect("Nacos-1.Example.COM.:1", "nacos-1.example.com:1");
    expect("[FD00:0:0::A]:1", "[fd00::a]:1");
    expect("[::ffff:10.0.0.1]:1", "10.0.0.1:1");
    expect("[fe80::1%eth0]:1", "[fe80::1%eth0]:1");
    expect("my_host.x:1", "my_host.x:1");
    expect("1.example:1", "1.example:1");
    assert_int_equal(parse("Nacos-1.:7"), 0);
    assert_string_equal(list.list[0].written, "Nacos-1.:7");
}

static void test_parse__an_entry_twice_is_kept_once_and_said(void **state)
{
    (void)state;
    expect("a:1\nb:1\nA.:1\n", "a:1 b:1");
    assert_string_equal(list.notes, "cluster.conf line 3: \"A.:1\" is there already (line 1)");
    expect("10.0.0.1:1 110.0.0.1:1", "10.0.0.1:1 110.0.0.1:1");
    assert_string_equal(list.notes, "");
}

static void test_parse__a_doubtful_ipv6_is_said(void **state)
{
    (void)state;
    expect("fd00::1:8848", "[fd00::1:8848]:8850");
    assert_non_null(strstr(list.notes, "[address]:port"));
    expect("[fd00::1:8848]", "[fd00::1:8848]:8850");
    assert_string_equal(list.notes, "");
}

static void test_parse__what_is_no_entry_is_refused_with_its_line(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "a:0",        "a:64535",     "a:x",        "a:",          ":1",
        "a:+1",       "a:1 ?x",      "-a:1",       "a-:1",        "a..b:1",
        ".",          "..",          "10.0.0.256", "10.0.0:1",    "1.2.3.4.5",
        "[10.0.0.1]", "[::1",        "::1]",       "[::1]x",      "[::1]:",
        "[]:1",       "a:1:2",       "http://a:1", "a/b",         "1:2:3:4:5:6:7:8:8848",
        "fe80::1%",   "b\xc3\xbc:1", "a;b",        "[::1%a/b]:1",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "# one\nok:1\n%s", wrong[i]);
        if (parse(text) != E_PARSE) {
            fail_msg("%s was taken: %s", wrong[i], shown());
        }
        assert_non_null(strstr(fail.text, "cluster.conf line 3: expected "));
        assert_int_equal(list.count, 0);
    }
    assert_int_equal(members_parse("x", span_of("1.2.3.4\0z", 9), 1, &list, &fail), E_PARSE);
}

static void test_parse__limits(void **state)
{
    (void)state;
    char text[MEMBERS_TEXT_MAX + 2];
    size_t len = 0;
    for (int i = 0; i < MEMBERS_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "h%d:1\n", i);
    }
    assert_int_equal(parse(text), 0);
    assert_int_equal(list.count, MEMBERS_MAX);
    (void)snprintf(text + len, sizeof(text) - len, "h0:1\nh99:1\n");
    assert_int_equal(parse(text), E_LIMIT);
    assert_non_null(strstr(fail.text, "line 34"));

    memset(text, ' ', sizeof(text));
    text[MEMBERS_TEXT_MAX] = '\0';
    assert_int_equal(parse(text), 0);
    text[MEMBERS_TEXT_MAX] = ' ';
    text[MEMBERS_TEXT_MAX + 1] = '\0';
    assert_int_equal(parse(text), E_LIMIT);

    char name[300];
    memset(name, 'a', sizeof(name));
    for (size_t i = 60; i < sizeof(name); i += 61) {
        name[i] = '.';
    }
    name[MEMBER_HOST_MAX] = '\0';
    assert_int_equal(parse(name), 0);
    assert_int_equal(strlen(list.list[0].host), MEMBER_HOST_MAX);
    name[MEMBER_HOST_MAX] = 'a';
    name[MEMBER_HOST_MAX + 1] = '\0';
    assert_int_equal(parse(name), E_PARSE);
    memset(name, 'a', 64);
    name[64] = '\0';
    assert_int_equal(parse(name), E_PARSE);
}

static void test_choose__first_source_that_names_somebody(void **state)
{
    (void)state;
    struct member_texts t = {0};
    assert_int_equal(members_choose(&t), MEMBER_SOURCE_NONE);
    t.property = SPAN("a:1");
    assert_int_equal(members_choose(&t), MEMBER_SOURCE_PROPERTY);
    t.file = SPAN("# empty\n");
    assert_int_equal(members_choose(&t), MEMBER_SOURCE_PROPERTY);
    t.file = SPAN("b:1\n");
    assert_int_equal(members_choose(&t), MEMBER_SOURCE_FILE);
    t.servers = SPAN("c:1");
    assert_int_equal(members_choose(&t), MEMBER_SOURCE_SERVERS);
    t.option = SPAN("d:1");
    assert_int_equal(members_choose(&t), MEMBER_SOURCE_OPTION);
    assert_string_equal(member_source_name(MEMBER_SOURCE_FILE), "cluster.conf");
}

static void test_hash__order_and_writing_do_not_matter(void **state)
{
    (void)state;
    uint8_t a[MEMBERS_HASH_BYTES];
    uint8_t b[MEMBERS_HASH_BYTES];
    assert_int_equal(parse("a:1 b:2"), 0);
    struct member_list first = list;
    members_hash(&list, a);
    assert_int_equal(parse("B.:2\nA:1 # x"), 0);
    members_hash(&list, b);
    assert_memory_equal(a, b, sizeof(a));
    assert_true(members_eq(&first, &list));
    assert_int_equal(members_find(&list, "b", 2), 1);
    assert_int_equal(members_find(&list, "b", 1), 2);
    assert_int_equal(parse("a:1 b:3"), 0);
    members_hash(&list, b);
    assert_memory_not_equal(a, b, sizeof(a));
    assert_false(members_eq(&first, &list));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse__takes_lines_commas_blanks_and_comments),
        cmocka_unit_test(test_parse__default_port_is_the_own_one),
        cmocka_unit_test(test_parse__suffixes_are_ignored),
        cmocka_unit_test(test_parse__hosts_are_canonical),
        cmocka_unit_test(test_parse__an_entry_twice_is_kept_once_and_said),
        cmocka_unit_test(test_parse__a_doubtful_ipv6_is_said),
        cmocka_unit_test(test_parse__what_is_no_entry_is_refused_with_its_line),
        cmocka_unit_test(test_parse__limits),
        cmocka_unit_test(test_choose__first_source_that_names_somebody),
        cmocka_unit_test(test_hash__order_and_writing_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
