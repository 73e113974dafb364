#include "config/config_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/remove_ids.h"
#include "config_calls.h"

#define JSON1 "application/json;charset=UTF-8"
#define TEXT "text/plain;charset=UTF-8"
#define CONFIGS "/v1/cs/configs"
#define CAPACITY "/v1/cs/capacity"
#define REST_TRUE "{\"code\":200,\"message\":null,\"data\":true}"

static void play(struct cstory *s, unsigned method, const char *path, const char *params,
                 int status, const char *type, const char *body)
{
    struct http_request r = {.method = method, .path = path, .params = params};
    http_expect(s, &r, status, type, body);
}

static int setup(void **state)
{
    struct cstory *s = calloc(1, sizeof(*s));
    cstory_begin(s, NULL);
    play(s, API_POST, CONFIGS, "dataId=a&group=SG&content=1", 200, JSON1, "true");
    play(s, API_POST, CONFIGS, "dataId=b&group=SG&content=2", 200, JSON1, "true");
    play(s, API_POST, CONFIGS, "dataId=c&group=SG&content=3&tenant=search-ns", 200, JSON1, "true");
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    cstory_end(*state);
    free(*state);
    return 0;
}

static const struct db_stmt rows = {.name = "rows",
                                    .sql_sqlite = "SELECT count(*) FROM config_info"};

static void test_ids__go_whatever_their_tenant(void **state)
{
    struct cstory *s = *state;
    play(s, API_DELETE, CONFIGS, "delType=ids&ids=1,%203,99999999,", 200, JSON1, REST_TRUE);
    assert_int_equal(cstory_number(s, &rows), 1);
    play(s, API_DELETE, CONFIGS, "delType=ids&ids=99999998,-5", 200, JSON1, REST_TRUE);
    play(s, API_DELETE, CONFIGS, "delType=ids&ids=", 200, JSON1, REST_TRUE);
    assert_int_equal(cstory_number(s, &rows), 1);
}

static void test_ids__missing_or_text__is_told(void **state)
{
    struct cstory *s = *state;
    play(s, API_DELETE, CONFIGS, "delType=ids", 500, TEXT,
         "caused: Required request parameter &#39;ids&#39; for method parameter type List is not "
         "present;");
    play(s, API_DELETE, CONFIGS, "delType=ids&ids=1,abc", 400, TEXT,
         "caused: Failed to convert value of type 'java.lang.String' to required type "
         "'java.util.List'; nested exception is java.lang.NumberFormatException: For input string: "
         "\"abc\";caused: For input string: \"abc\";");
    assert_int_equal(cstory_number(s, &rows), 3);
}

static void test_ids__too_many__are_refused(void **state)
{
    struct cstory *s = *state;
    static char params[8 * REMOVE_IDS_MAX] = "delType=ids&ids=1";
    for (size_t i = 0; i < REMOVE_IDS_MAX; i++) {
        memcpy(params + strlen(params), ",1", 3);
    }
    play(s, API_DELETE, CONFIGS, params, 400, TEXT,
         "caused: at most 1000 ids can be removed at once;");
    assert_int_equal(cstory_number(s, &rows), 3);
}

#define USAGE(usage, whose)                                                                        \
    "{\"code\":200,\"message\":null,\"data\":{\"id\":\"0\",\"quota\":200,\"usage\":" usage         \
    ",\"maxSize\":102400,\"maxAggrCount\":10000,\"maxAggrSize\":1024,\"gmtCreate\":null,"          \
    "\"gmtModified\":null," whose "}}"
#define REFUSED(text, data) "{\"code\":400,\"message\":\"" text "\",\"data\":" data "}"
#define NO_TARGET "The parameter group and tenant cannot be empty at the same time"

static void test_capacity__counts_the_groups_or_the_tenants_configs(void **state)
{
    struct cstory *s = *state;
    play(s, API_GET, CAPACITY, "group=SG", 200, JSON1, USAGE("2", "\"group\":\"SG\""));
    play(s, API_GET, CAPACITY, "group=capg", 200, JSON1, USAGE("0", "\"group\":\"capg\""));
    play(s, API_GET, CAPACITY, "tenant=search-ns&group=SG", 200, JSON1,
         USAGE("1", "\"tenant\":\"search-ns\""));
}

static void test_capacity__of_nobody__is_told(void **state)
{
    struct cstory *s = *state;
    play(s, API_GET, CAPACITY, "", 400, JSON1, REFUSED(NO_TARGET, "null"));
    play(s, API_GET, CAPACITY, "tenant=", 400, JSON1,
         REFUSED("tenant cannot be an empty string", "null"));
    play(s, API_POST, CAPACITY, "quota=50", 400, JSON1, REFUSED(NO_TARGET, "false"));
    play(s, API_POST, CAPACITY, "group=capg", 400, JSON1,
         REFUSED("The parameters quota, maxSize, maxAggrCount, maxAggrSize cannot be empty at the "
                 "same time",
                 "false"));
    play(s, API_POST, CAPACITY, "group=capg&quota=x", 400, TEXT,
         "caused: Failed to convert value of type 'java.lang.String' to required type "
         "'java.lang.Integer'; nested exception is java.lang.NumberFormatException: For input "
         "string: \"x\";caused: For input string: \"x\";");
}

static void test_capacity__set__says_that_nothing_is_kept(void **state)
{
    struct cstory *s = *state;
    play(s, API_POST, CAPACITY, "group=capg&quota=50", 501, JSON1,
         "{\"code\":501,\"message\":\"Nacre keeps no quotas and enforces none: nothing was "
         "changed\",\"data\":false}");
    play(s, API_GET, CAPACITY, "group=capg", 200, JSON1, USAGE("0", "\"group\":\"capg\""));
}

static void test_health__is_up(void **state)
{
    play(*state, API_GET, "/v1/cs/health", "", 200, TEXT, "UP");
}

static void test_ops__derby_is_not_here_and_the_cache_is_as_the_store(void **state)
{
    struct cstory *s = *state;
    play(s, API_GET, "/v1/cs/ops/derby", "sql=select+1", 200, JSON1,
         "{\"code\":500,\"message\":\"The current storage mode is not Derby\",\"data\":null}");
    play(s, API_GET, "/v1/cs/ops/derby", "", 500, TEXT,
         "caused: Required request parameter &#39;sql&#39; for method parameter type String is "
         "not present;");
    play(s, API_POST, "/v1/cs/ops/localCache", "", 200, TEXT, "200");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_ids__go_whatever_their_tenant),
        T(test_ids__missing_or_text__is_told),
        T(test_ids__too_many__are_refused),
        T(test_capacity__counts_the_groups_or_the_tenants_configs),
        T(test_capacity__of_nobody__is_told),
        T(test_capacity__set__says_that_nothing_is_kept),
        T(test_health__is_up),
        T(test_ops__derby_is_not_here_and_the_cache_is_as_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
