#include "store/mysql_params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct mysql_target target;
static struct fail fail;

static int parse_as(const char *query, bool is_mariadb)
{
    target = (struct mysql_target){.connect_ms = MYSQL_CONNECT_MS, .io_ms = MYSQL_IO_MS};
    fail = (struct fail){0};
    return mysql_params_parse("db.url.1", span_str(query), is_mariadb, &target, &fail);
}

static void take(const char *query)
{
    if (parse_as(query, false) != 0) {
        fail_msg("%s: %s", query, fail.text);
    }
}

static void refuse(const char *query, int code, const char *wanted)
{
    int err = parse_as(query, false);
    if (err != code || strcmp(fail.text, wanted) != 0) {
        fail_msg("%s: %d %s", query, err, fail.text);
    }
}

struct tls_case {
    const char *query;
    enum mysql_tls tls;
    const char *ignored;
};

static void expect_tls(const struct tls_case *cases, size_t count, bool is_mariadb)
{
    for (size_t i = 0; i < count; i++) {
        int err = parse_as(cases[i].query, is_mariadb);
        bool is_right = !err && target.tls == cases[i].tls;
        if (!is_right || strcmp(target.ignored, cases[i].ignored) != 0) {
            fail_msg("%s: tls %d, ignored \"%s\", %s", cases[i].query, (int)target.tls,
                     target.ignored, fail.text);
        }
    }
}

static void test_tls__older_parameters_as_connector_j(void **state)
{
    (void)state;
    static const struct tls_case cases[] = {
        {"", MYSQL_TLS_PREFERRED, ""},
        {"useSSL=false", MYSQL_TLS_OFF, ""},
        {"useSSL=no", MYSQL_TLS_OFF, ""},
        {"USESSL=FALSE", MYSQL_TLS_OFF, ""},
        {"useSSL=true", MYSQL_TLS_PREFERRED, ""},
        {"useSSL=true&requireSSL=false&verifyServerCertificate=false", MYSQL_TLS_PREFERRED, ""},
        {"useSSL=true&requireSSL=true", MYSQL_TLS_REQUIRED, ""},
        {"requireSSL=yes", MYSQL_TLS_REQUIRED, ""},
        {"useSSL=true&requireSSL=true&verifyServerCertificate=false", MYSQL_TLS_REQUIRED, ""},
        {"useSSL=true&requireSSL=true&verifyServerCertificate=true", MYSQL_TLS_VERIFY_CA, ""},
        {"useSSL=true&verifyServerCertificate=true", MYSQL_TLS_VERIFY_CA, ""},
        {"verifyServerCertificate=true", MYSQL_TLS_VERIFY_CA, ""},
        {"useSSL=false&requireSSL=true&verifyServerCertificate=true", MYSQL_TLS_OFF,
         "requireSSL (useSSL=false decides), verifyServerCertificate (useSSL=false decides)"},
        {"useSSL=false&requireSSL=false", MYSQL_TLS_OFF, ""},
        {"useSSL=true&useSSL=false", MYSQL_TLS_OFF, ""},
        {"useSSL=false&useSSL=true", MYSQL_TLS_PREFERRED, ""},
        {"trustServerCertificate=true&useSSL=true&verifyServerCertificate=true",
         MYSQL_TLS_VERIFY_CA, "trustServerCertificate (of jdbc:mariadb only)"},
    };
    expect_tls(cases, ARRAY_LEN(cases), false);
}

static void test_tls__ssl_mode_wins(void **state)
{
    (void)state;
    static const struct tls_case cases[] = {
        {"sslMode=DISABLED", MYSQL_TLS_OFF, ""},
        {"sslMode=preferred", MYSQL_TLS_PREFERRED, ""},
        {"sslMode=REQUIRED", MYSQL_TLS_REQUIRED, ""},
        {"sslMode=VERIFY_CA", MYSQL_TLS_VERIFY_CA, ""},
        {"sslMode=VERIFY_IDENTITY", MYSQL_TLS_VERIFY_IDENTITY, ""},
        {"sslMode=REQUIRED&useSSL=false", MYSQL_TLS_REQUIRED, "useSSL (sslMode decides)"},
        {"useSSL=false&sslMode=VERIFY_IDENTITY", MYSQL_TLS_VERIFY_IDENTITY,
         "useSSL (sslMode decides)"},
        {"sslMode=DISABLED&useSSL=true&requireSSL=true", MYSQL_TLS_OFF,
         "useSSL (sslMode decides), requireSSL (sslMode decides)"},
        {"sslMode=REQUIRED&useSSL=true&requireSSL=true", MYSQL_TLS_REQUIRED, ""},
        {"sslMode=DISABLED&useSSL=false&requireSSL=true", MYSQL_TLS_OFF, ""},
        {"sslMode=REQUIRED&sslMode=VERIFY_CA", MYSQL_TLS_VERIFY_CA, ""},
    };
    expect_tls(cases, ARRAY_LEN(cases), false);
    refuse("sslMode=on", E_INVALID,
           "db.url.1: sslMode: expected DISABLED, PREFERRED, REQUIRED, VERIFY_CA or "
           "VERIFY_IDENTITY, found \"on\"");
    assert_int_equal(parse_as("sslMode=", false), E_INVALID);
}

static void test_tls__mariadb_verifies_all_unless_told_otherwise(void **state)
{
    (void)state;
    static const struct tls_case cases[] = {
        {"", MYSQL_TLS_PREFERRED, ""},
        {"useSsl=true", MYSQL_TLS_VERIFY_IDENTITY, ""},
        {"useSsl=true&trustServerCertificate=true", MYSQL_TLS_REQUIRED, ""},
        {"useSsl=true&disableSslHostnameVerification=true", MYSQL_TLS_VERIFY_CA, ""},
        {"useSsl=true&disableSslHostnameVerification=false", MYSQL_TLS_VERIFY_IDENTITY, ""},
        {"useSsl=false", MYSQL_TLS_OFF, ""},
        {"sslMode=disable", MYSQL_TLS_OFF, ""},
        {"sslMode=trust", MYSQL_TLS_REQUIRED, ""},
        {"sslMode=verify-ca", MYSQL_TLS_VERIFY_CA, ""},
        {"sslMode=verify-full", MYSQL_TLS_VERIFY_IDENTITY, ""},
    };
    expect_tls(cases, ARRAY_LEN(cases), true);
}

static void test_ca__path_of_a_pem_file(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *path;
    } cases[] = {
        {"trustCertificateKeyStoreUrl=file:/etc/ca.pem", "/etc/ca.pem"},
        {"trustCertificateKeyStoreUrl=file:///etc/my%20ca.pem", "/etc/my ca.pem"},
        {"trustCertificateKeyStoreUrl=/etc/ca.crt&trustCertificateKeyStoreType=PEM", "/etc/ca.crt"},
        {"serverSslCert=conf/ca.pem", "conf/ca.pem"},
        {"serverSslCert=a.pem&trustCertificateKeyStoreUrl=file:b.pem", "b.pem"},
        {"serverSslCert=", ""},
        {"trustCertificateKeyStorePassword=x", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char query[256];
        (void)snprintf(query, sizeof(query), "%s&sslMode=VERIFY_CA", cases[i].value);
        take(query);
        assert_string_equal(target.ca_path, cases[i].path);
        assert_string_equal(target.ignored, "");
    }
}

static void test_ca__what_is_no_pem_file_is_refused_where_it_would_be_needed(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "trustCertificateKeyStoreUrl=file:/etc/trust.jks",
        "trustCertificateKeyStoreUrl=file:/etc/trust.P12",
        "trustCertificateKeyStoreUrl=file:/etc/trust&trustCertificateKeyStoreType=JKS",
        "trustCertificateKeyStoreType=PKCS12&trustCertificateKeyStoreUrl=file:/etc/trust",
        "trustCertificateKeyStoreUrl=classpath:ca.pem",
        "trustCertificateKeyStoreUrl=https://a/ca.pem",
        "trustCertificateKeyStoreUrl=file://host/ca.pem",
        "trustCertificateKeyStoreUrl=file://",
        "serverSslCert=-----BEGIN CERTIFICATE-----",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        char query[256];
        (void)snprintf(query, sizeof(query), "verifyServerCertificate=true&%s", wrong[i]);
        if (parse_as(query, false) != E_INVALID || !strstr(fail.text, "expected")) {
            fail_msg("%s was taken", wrong[i]);
        }
        take(wrong[i]);
        assert_string_equal(target.ca_path, "");
        assert_non_null(strstr(target.ignored, "(no certificate is verified)"));
    }
    refuse("sslMode=VERIFY_CA&serverSslCert=x.jks", E_INVALID,
           "db.url.1: serverSslCert: expected a PEM file (keytool -exportcert -rfc makes one of a "
           "key store), found \"x.jks\"");
}

static void test_ca__a_long_path_is_refused(void **state)
{
    (void)state;
    char query[MYSQL_URL_MAX + 1];
    int n = snprintf(query, sizeof(query), "sslMode=VERIFY_CA&serverSslCert=");
    memset(query + n, 'x', MYSQL_PATH_MAX);
    query[n + MYSQL_PATH_MAX] = '\0';
    refuse(query, E_LIMIT, "db.url.1: serverSslCert: expected at most 1023 bytes");
    query[n + MYSQL_PATH_MAX - 1] = '\0';
    take(query);
}

static void test_waits__milliseconds_and_0_is_the_default(void **state)
{
    (void)state;
    take("connectTimeout=1000&socketTimeout=3000");
    assert_int_equal(target.connect_ms, 1000);
    assert_int_equal(target.io_ms, 3000);
    take("connectTimeout=5&connectTimeout=0&socketTimeout=0");
    assert_int_equal(target.connect_ms, MYSQL_CONNECT_MS);
    assert_int_equal(target.io_ms, MYSQL_IO_MS);
    take("SOCKETTIMEOUT= 2147483647 ");
    assert_int_equal(target.io_ms, MYSQL_WAIT_MS_MAX);
    refuse("connectTimeout=3s", E_INVALID,
           "db.url.1: connectTimeout: expected milliseconds of 0 to 2147483647, found \"3s\"");
    assert_int_equal(parse_as("connectTimeout=", false), E_INVALID);
    assert_int_equal(parse_as("connectTimeout=-1", false), E_INVALID);
    assert_int_equal(parse_as("socketTimeout=2147483648", false), E_INVALID);
    assert_int_equal(parse_as("socketTimeout=1.5", false), E_INVALID);
}

static void test_flags__true_or_false(void **state)
{
    (void)state;
    take("allowPublicKeyRetrieval=True");
    assert_true(target.may_fetch_key);
    take("allowPublicKeyRetrieval=true&allowPublicKeyRetrieval=false");
    assert_false(target.may_fetch_key);
    refuse("useSSL=maybe", E_INVALID, "db.url.1: useSSL: expected true or false, found \"maybe\"");
    assert_int_equal(parse_as("requireSSL=", false), E_INVALID);
}

static void test_login__is_decoded_and_limited(void **state)
{
    (void)state;
    take("user=a%40b&password=+p%3D=%e4%b8%ad ");
    assert_string_equal(target.user, "a@b");
    assert_string_equal(target.password, " p==\xe4\xb8\xad");
    take("user=a&user=b&password=");
    assert_string_equal(target.user, "b");
    assert_string_equal(target.password, "");
    char query[MYSQL_URL_MAX];
    memset(query, 'x', sizeof(query));
    memcpy(query, "password=", 9);
    query[9 + MYSQL_PASSWORD_MAX] = '\0';
    refuse(query, E_LIMIT, "db.url.1: password: expected at most 255 bytes");
}

static void test_unknown__is_named_once_each_and_nothing_else(void **state)
{
    (void)state;
    take("sessionVariables=sql_mode=''&useUnicode=true&&profileSQL=true&"
         "autoReconnect=true&rewriteBatchedStatements=true&useCompression=true&");
    assert_string_equal(target.ignored, "sessionVariables, profileSQL, useCompression");
    take("characterEncoding=utf8mb4&characterSetResults=UTF-8&connectionCollation=utf8mb4_bin");
    assert_string_equal(target.ignored, "");
    take("characterEncoding=gbk");
    assert_string_equal(target.ignored, "characterEncoding (always UTF-8)");
}

static void test_unknown__too_many_reasons_end_in_dots(void **state)
{
    (void)state;
    /* Every length of the first name: the list is cut at every place. */
    for (size_t pad = 1; pad < 40; pad++) {
        char query[MYSQL_URL_MAX + 1];
        memset(query, 'x', pad);
        memcpy(query + pad, "=1&", 4);
        for (size_t len = pad + 3; len + 22 < sizeof(query); len += 22) {
            memcpy(query + len, "characterEncoding=gbk&", 23);
        }
        take(query);
        size_t len = strlen(target.ignored);
        assert_true(len < sizeof(target.ignored));
        assert_ptr_equal(strstr(target.ignored, ", ..."), target.ignored + len - 5);
    }
}

static void test_parse__what_is_no_pair_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "useSSL", "=x", "a b=x", "amp;useSSL=false", "a%=x", "a%00=1", " =", "x=1&y", "<x>=1",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        refuse(wrong[i], E_INVALID,
               "db.url.1: expected KEY=VALUE between two \"&\" (a \"&\" within a value is %26)");
    }
    refuse("connectTimeout=%zz", E_INVALID,
           "db.url.1: connectTimeout: expected text with %XX for what means something in a URL (% "
           "itself is %25)");
    refuse("x=%", E_INVALID,
           "db.url.1: an unknown parameter: expected text with %XX for what means something in a "
           "URL (% itself is %25)");
    take("&& &");
    take("use%53SL=fals%65");
    assert_int_equal(target.tls, MYSQL_TLS_OFF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls__older_parameters_as_connector_j),
        cmocka_unit_test(test_tls__ssl_mode_wins),
        cmocka_unit_test(test_tls__mariadb_verifies_all_unless_told_otherwise),
        cmocka_unit_test(test_ca__path_of_a_pem_file),
        cmocka_unit_test(test_ca__what_is_no_pem_file_is_refused_where_it_would_be_needed),
        cmocka_unit_test(test_ca__a_long_path_is_refused),
        cmocka_unit_test(test_waits__milliseconds_and_0_is_the_default),
        cmocka_unit_test(test_flags__true_or_false),
        cmocka_unit_test(test_login__is_decoded_and_limited),
        cmocka_unit_test(test_unknown__is_named_once_each_and_nothing_else),
        cmocka_unit_test(test_unknown__too_many_reasons_end_in_dots),
        cmocka_unit_test(test_parse__what_is_no_pair_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
