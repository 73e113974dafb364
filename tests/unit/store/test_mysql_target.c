#include "store/mysql_target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct mysql_target target;
static struct fail fail;

static int parse_span(struct span url)
{
    memset(&target, 0x55, sizeof(target));
    fail = (struct fail){0};
    return mysql_target_parse("db.url.0", url, &target, &fail);
}

static int parse(const char *url)
{
    return parse_span(span_str(url));
}

static void take(const char *url)
{
    if (parse(url) != 0) {
        fail_msg("%s: %s", url, fail.text);
    }
}

/* Refused with this code and a sentence that holds `wanted`, and the result is as it was. */
static void refuse(const char *url, int code, const char *wanted)
{
    int err = parse(url);
    if (err != code || !strstr(fail.text, wanted) || strncmp(fail.text, "db.url.0: ", 10) != 0) {
        fail_msg("%s: %d %s, not %d %s", url, err, fail.text, code, wanted);
    }
    for (size_t i = 0; i < sizeof(target); i++) {
        assert_int_equal(((const unsigned char *)&target)[i], 0x55);
    }
}

/* All hosts as messages name them. */
static const char *shown(void)
{
    static char text[MYSQL_HOSTS_MAX * (MYSQL_TARGET_TEXT + 1)];
    size_t len = 0;
    for (size_t i = 0; i < target.hosts_count; i++) {
        char one[MYSQL_TARGET_TEXT];
        mysql_target_text(&target, i, one);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "", one);
    }
    return text;
}

static void test_parse__urls_as_people_write_them(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const char *hosts;
        enum mysql_tls tls;
        uint32_t connect_ms;
        uint32_t io_ms;
    } cases[] = {
        /* conf/application.properties of Nacos 2.5.1 */
        {"jdbc:mysql://127.0.0.1:3306/nacos?characterEncoding=utf8&connectTimeout=1000&"
         "socketTimeout=3000&autoReconnect=true&useUnicode=true&useSSL=false&serverTimezone=UTC",
         "127.0.0.1:3306/nacos", MYSQL_TLS_OFF, 1000, 3000},
        /* the docker image: MYSQL_SERVICE_DB_PARAM's default */
        {"jdbc:mysql://mysql:3306/nacos_devtest?characterEncoding=utf8&connectTimeout=1000&"
         "socketTimeout=3000&autoReconnect=true&useSSL=false",
         "mysql:3306/nacos_devtest", MYSQL_TLS_OFF, 1000, 3000},
        /* example/ of nacos-docker, MySQL 8 */
        {"jdbc:mysql://mysql:3306/nacos_devtest?characterEncoding=utf8&connectTimeout=1000&"
         "socketTimeout=3000&autoReconnect=true&useSSL=false&allowPublicKeyRetrieval=true",
         "mysql:3306/nacos_devtest", MYSQL_TLS_OFF, 1000, 3000},
        /* a managed database */
        {"jdbc:mysql://db.eu-1.example.com/nacos_config?useUnicode=true&characterEncoding=UTF-8&"
         "zeroDateTimeBehavior=convertToNull&serverTimezone=GMT%2B8&sslMode=VERIFY_IDENTITY",
         "db.eu-1.example.com:3306/nacos_config", MYSQL_TLS_VERIFY_IDENTITY, MYSQL_CONNECT_MS,
         MYSQL_IO_MS},
        {"jdbc:mariadb://maria_1:3307/nacos", "maria_1:3307/nacos", MYSQL_TLS_PREFERRED,
         MYSQL_CONNECT_MS, MYSQL_IO_MS},
        {" JDBC:MySQL://a/b ", "a:3306/b", MYSQL_TLS_PREFERRED, MYSQL_CONNECT_MS, MYSQL_IO_MS},
        {"jdbc:mysql://a/b?", "a:3306/b", MYSQL_TLS_PREFERRED, MYSQL_CONNECT_MS, MYSQL_IO_MS},
        {"jdbc:mysql://a/b?useSSL=false # ours", "a:3306/b", MYSQL_TLS_OFF, MYSQL_CONNECT_MS,
         MYSQL_IO_MS},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        take(cases[i].url);
        assert_string_equal(shown(), cases[i].hosts);
        assert_int_equal(target.tls, cases[i].tls);
        assert_int_equal(target.connect_ms, cases[i].connect_ms);
        assert_int_equal(target.io_ms, cases[i].io_ms);
        assert_string_equal(target.ignored, "");
        assert_string_equal(target.user, "");
        assert_string_equal(target.password, "");
        assert_string_equal(target.ca_path, "");
    }
    take("jdbc:mysql://a/b?allowPublicKeyRetrieval=true");
    assert_true(target.may_fetch_key);
    take("jdbc:mysql://a/b");
    assert_false(target.may_fetch_key);
}

static void test_parse__hosts(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const char *hosts;
    } cases[] = {
        {"jdbc:mysql://a:1,b,c:65535/d", "a:1/d b:3306/d c:65535/d"},
        {"jdbc:mysql:// a:1 , b /d", "a:1/d b:3306/d"},
        {"jdbc:mysql://[fd00::1]:3307/d", "[fd00::1]:3307/d"},
        {"jdbc:mysql://[::1],[fe80::1%25eth0]:1,10.0.0.1/d",
         "[::1]:3306/d [fe80::1%eth0]:1/d 10.0.0.1:3306/d"},
        {"jdbc:mysql:///d", "localhost:3306/d"},
        {"jdbc:mysql://:3307/d", "localhost:3307/d"},
        {"jdbc:mysql://a:/d", "a:3306/d"},
        {"jdbc:mysql://my%2Dhost/d", "my-host:3306/d"},
        {"jdbc:mysql://h1,h2,h3,h4,h5,h6,h7,h8/d",
         "h1:3306/d h2:3306/d h3:3306/d h4:3306/d h5:3306/d h6:3306/d h7:3306/d h8:3306/d"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        take(cases[i].url);
        assert_string_equal(shown(), cases[i].hosts);
    }
}

static void test_parse__what_is_no_host_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        const char *wanted;
    } cases[] = {
        {"a:0", "a port of 1 to 65535, found \"0\""},
        {"a:65536", "found \"65536\""},
        {"a:+1", "found \"+1\""},
        {"a:-1", "found \"-1\""},
        {"a:33x6", "found \"33x6\""},
        {"a:99999999999999999999", "a port of"},
        {"a: 1", "a port of"},
        {"a:1,b:x", "found \"x\""},
        {"::1", "brackets around an IPv6 address, found \"::1\""},
        {"fd00::1:3306", "brackets around"},
        {"[fd00::1", "[IPV6]:PORT"},
        {"[", "[IPV6]:PORT"},
        {"[]", "an IPv6 address within"},
        {"[]:1", "an IPv6 address within"},
        {"[10.0.0.1]", "an IPv6 address within"},
        {"[::1]3306", "[IPV6]:PORT"},
        {"[::1]:0", "a port of"},
        {"[fe80::1%eth0]", "an IPv6 address within"},
        {"[fe80::1%25]", "an IPv6 address within"},
        {"[fe80::1%25a%2Fb]", "an IPv6 address within"},
        {"[h1,h2]", "[IPV6]"},
        {"a,", "a host between two commas"},
        {",a", "a host between two commas"},
        {"a,,b", "a host between two commas"},
        {"a b", "a host of letters"},
        {"a+b", "a host of letters"},
        {"b\xc3\xbc", "a host of letters"},
        {"a%00", "a host of letters"},
        {"a%4", "a host of letters"},
        {"${MYSQL_HOST}", "a host of letters"},
        {"address=(host=a)(port=1)", "not as (host=...)(port=...)"},
        {"(host=a,port=1)", "not as (host=...)(port=...)"},
        {"(host=a,port=1),(host=b,port=2)", "not as (host=...)(port=...)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char url[256];
        (void)snprintf(url, sizeof(url), "jdbc:mysql://%s/d", cases[i].host);
        refuse(url, E_INVALID, cases[i].wanted);
    }
}

static void test_parse__other_schemes_are_refused_with_the_right_one(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "jdbc:mysql:loadbalance://a/d",
        "jdbc:mysql:replication://a,b/d",
        "jdbc:mysql+srv://a/d",
        "jdbc:postgresql://a/d",
        "mysql://a/d",
        "jdbc:mysql:/a/d",
        "jdbc:mysql:a/d",
        "a:3306/d",
        "jdbc:mysql",
        "//",
        "jdbc:mariadb:sequential://a/d",
        "",
        "  ",
        "#",
        "?",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        refuse(wrong[i], E_INVALID, "expected jdbc:mysql://HOST[:PORT]");
    }
    refuse(wrong[0], E_INVALID, "found \"jdbc:mysql:loadbalance://...\"");
    refuse("", E_INVALID, "found nothing");
    assert_int_equal(parse_span((struct span){0}), E_INVALID);
}

static void test_parse__database(void **state)
{
    (void)state;
    take("jdbc:mysql://a/my%2Fdb%26%3F?x=1");
    assert_string_equal(target.database, "my/db&?");
    take("jdbc:mysql://a/ n\xc3\xa4"
         "cos ");
    assert_string_equal(target.database, "n\xc3\xa4"
                                         "cos");
    static const char *const missing[] = {
        "jdbc:mysql://a",      "jdbc:mysql://a/",     "jdbc:mysql://a:3306?useSSL=false",
        "jdbc:mysql://a/?x=1", "jdbc:mysql://a/%20+", "jdbc:mysql://",
        "jdbc:mysql://a/#d",
    };
    for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
        refuse(missing[i], E_INVALID, "expected a database after the host");
    }
    refuse("jdbc:mysql://a/b/c", E_INVALID, "one database");
    refuse("jdbc:mysql://a/b/", E_INVALID, "one database");
    refuse("jdbc:mysql://a//b", E_INVALID, "one database");
    refuse("jdbc:mysql://a/b%", E_INVALID, "database: expected text");
    refuse("jdbc:mysql://a/b%00c", E_INVALID, "database: expected text");
    refuse("jdbc:mysql://a/b%0Ac", E_INVALID, "database: expected text");
    refuse("jdbc:mysql://a/b%ff", E_INVALID, "database: expected text");
}

static void test_parse__a_user_before_the_host_wins_over_the_parameter(void **state)
{
    (void)state;
    take("jdbc:mysql://a/d?user=u&password=p%26%20%25%2Bw");
    assert_string_equal(target.user, "u");
    assert_string_equal(target.password, "p& %+w");
    assert_string_equal(shown(), "u@a:3306/d");
    take("jdbc:mysql://root:s%40e:c@[::1]:1/d?user=u&password=p");
    assert_string_equal(target.user, "root");
    assert_string_equal(target.password, "s@e:c");
    assert_string_equal(shown(), "root@[::1]:1/d");
    take("jdbc:mysql://root@a/d?user=u&password=p");
    assert_string_equal(target.user, "root");
    assert_string_equal(target.password, "p");
    take("jdbc:mysql://ro%40ot:p@ss@a/d");
    assert_string_equal(target.user, "ro@ot");
    assert_string_equal(target.password, "p@ss");
    take("jdbc:mysql://@a/d?user=u");
    assert_string_equal(shown(), "u@a:3306/d");
    refuse("jdbc:mysql://u:p@a,b/d", E_INVALID, "db.user and db.password");
    refuse("jdbc:mysql://a,u:p@b/d", E_INVALID, "db.user and db.password");
    refuse("jdbc:mysql://u%:p@b/d", E_INVALID, "user: expected text");
    refuse("jdbc:mysql://u:p%zz@b/d", E_INVALID, "password: expected text");
}

/* However a password tears the URL apart, no piece of it is in the message. */
static void test_parse__passwords_are_never_repeated(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "jdbc:mysql://u:SECRET/SECRET@a:1/d",
        "jdbc:mysql://u:1/SECRET@a:1/d",
        "jdbc:mysql://u:1/SECRET@a",
        "jdbc:mysql://u:SECRET?SECRET@a:1/d",
        "jdbc:mysql://u:1?SECRET=SECRET@a:1/d",
        "jdbc:mysql://u:SECRET#SECRET@a:1/d",
        "jdbc:mysql://u:SECRET,SECRET@a:1/d",
        "jdbc:mysql://u:SECRET%@a:1/d",
        "jdbc:mysql://u:SECRET@a:x/d",
        "jdbc:mysql://u:SECRET@a_SECRET!/d",
        "jdbc:mysql://u:(SECRET@a(/d",
        "jdbc:mysql:u:SECRET@//a/d",
        "mysql://u:SECRET@a/d",
        "u:SECRET@a/d",
        "jdbc:mysql://a/d?password=SECRET%",
        "jdbc:mysql://a/d?password=SECRET%00",
        "jdbc:mysql://a/d?password=x&SECRET",
        "jdbc:mysql://a/d?password=x&SECRET$=y",
        "jdbc:mysql://a/d?password=x&SECRET=%",
        "jdbc:mysql://a/d?password=SECRET&useSSL=x",
        "jdbc:mysql://a/d?password=SECRET\nx",
        "jdbc:mysql://a/?password=SECRET",
        "jdbc:mysql://a:x/?password=SECRET",
        "jdbc:mysql://a/d?trustCertificateKeyStorePassword=SECRET%",
    };
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        if (parse(urls[i]) == 0) {
            fail_msg("%s was taken", urls[i]);
        }
        if (strstr(fail.text, "SECRET")) {
            fail_msg("%s: %s", urls[i], fail.text);
        }
    }
    take("jdbc:mysql://a/d?password=x&SECRET=y&other=z");
    assert_string_equal(target.ignored, "what follows password, other");
}

static void repeat(char *dst, char c, size_t len)
{
    memset(dst, c, len);
    dst[len] = '\0';
}

static void test_parse__limits(void **state)
{
    (void)state;
    char text[MYSQL_URL_MAX + 2];
    char url[2 * MYSQL_URL_MAX];
    static const struct {
        const char *before;
        const char *after;
        size_t len_max;
        const char *wanted;
    } cases[] = {
        {"jdbc:mysql://", "/d", MYSQL_HOST_MAX - 1, "host: expected at most 255 bytes"},
        {"jdbc:mysql://a/", "", MYSQL_NAME_MAX - 1, "database: expected at most 127 bytes"},
        {"jdbc:mysql://", "@a/d", MYSQL_NAME_MAX - 1, "user: expected at most 127 bytes"},
        {"jdbc:mysql://u:", "@a/d", MYSQL_PASSWORD_MAX - 1, "password: expected at most 255 bytes"},
        {"jdbc:mysql://a/d?x=", "", MYSQL_URL_MAX - 19, "a URL of at most 2048 bytes"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        repeat(text, 'x', cases[i].len_max);
        (void)snprintf(url, sizeof(url), "%s%s%s", cases[i].before, text, cases[i].after);
        take(url);
        repeat(text, 'x', cases[i].len_max + 1);
        (void)snprintf(url, sizeof(url), "%s%s%s", cases[i].before, text, cases[i].after);
        refuse(url, E_LIMIT, cases[i].wanted);
    }
    refuse("jdbc:mysql://1,2,3,4,5,6,7,8,9/d", E_LIMIT, "at most 8 hosts");
    refuse("jdbc:mysql://a/d\x01", E_INVALID, "without control characters");
    refuse("jdbc:mysql://a/d\xff", E_INVALID, "without control characters");
    assert_int_equal(parse_span(SPAN("jdbc:mysql://a/d\0e")), E_INVALID);
}

static void test_text__longest_fits(void **state)
{
    (void)state;
    char host[MYSQL_HOST_MAX];
    char name[MYSQL_NAME_MAX];
    char url[MYSQL_URL_MAX];
    char text[MYSQL_TARGET_TEXT];
    char wanted[MYSQL_URL_MAX];
    repeat(host, 'h', sizeof(host) - 1);
    repeat(name, 'n', sizeof(name) - 1);
    (void)snprintf(url, sizeof(url), "jdbc:mysql://%s@%s:65535/%s", name, host, name);
    take(url);
    mysql_target_text(&target, 0, text);
    (void)snprintf(wanted, sizeof(wanted), "%s@%s:65535/%s", name, host, name);
    assert_string_equal(text, wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse__urls_as_people_write_them),
        cmocka_unit_test(test_parse__hosts),
        cmocka_unit_test(test_parse__what_is_no_host_is_refused),
        cmocka_unit_test(test_parse__other_schemes_are_refused_with_the_right_one),
        cmocka_unit_test(test_parse__database),
        cmocka_unit_test(test_parse__a_user_before_the_host_wins_over_the_parameter),
        cmocka_unit_test(test_parse__passwords_are_never_repeated),
        cmocka_unit_test(test_parse__limits),
        cmocka_unit_test(test_text__longest_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
