/* Bad parameters of every HTTP route of the registry: Nacos's status and words, nothing becomes
 * visible, and the connection goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bad.h"
#include "base/macros.h"
#include "rig.h"

#define SHOWN_MAX 300
#define QUERY_MAX 8000 /* longer ones go as a form: a kept connection takes no larger head */

static struct rig *rig;
static int connection; /* kept open by the server through all rows */

static int setup(void **state)
{
    (void)state;
    rig = rig_start(NULL);
    connection = web_open(rig_http(rig));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)close(connection);
    rig_stop(rig);
    return 0;
}

/* How a route says that a parameter is missing: Nacos reads some through a helper, some by
 * declaration, some as a form (http-api.md 1.3). The last two are v2. */
enum words { HELPER, DECLARED, FORM, DECLARED_V2 };

/* A route, and the parameters that make any request to it good. */
struct route {
    const char *line; /* "GET /nacos/..." */
    enum words words;
    const char *rest; /* "&ip=..." */
};

#define NOT_CHECKED 0 /* the parameter check: the same plain text in both versions */
#define MISSING 1     /* 10000 with words that each way of reading has of its own */

/* Parameters and the failure that they are: status, code of a v2 answer, words. MISSING: the words
 * are the name and the type, "serviceName String". */
struct row {
    const char *params;
    int status;
    int code;
    const char *text;
};

static void words_of(const struct route *route, const struct row *row, char *dst, size_t size)
{
    char name[64];
    char type[64];
    if (row->code != MISSING) {
        (void)snprintf(dst, size, "%s%s", row->text, row->code == NOT_CHECKED ? "\r\n" : "");
        return;
    }
    assert_int_equal(sscanf(row->text, "%63s %63s", name, type), 2);
    switch (route->words) {
    case HELPER:
        (void)snprintf(dst, size, "Param '%s' is required.", name);
        return;
    case DECLARED:
        (void)snprintf(dst, size, "Parameter '%s' is missing", name);
        return;
    case FORM:
        (void)snprintf(dst, size, "Required parameter '%s' type %s is not present", name, type);
        return;
    case DECLARED_V2:
        (void)snprintf(dst, size,
                       "Required request parameter '%s' for method parameter type %s is not "
                       "present",
                       name, type);
        return;
    }
}

/* text as it stands in a JSON string. */
static void escape(const char *text, char *dst, size_t size)
{
    size_t len = 0;
    for (; *text && len + 3 < size; text++) {
        if (*text == '"') {
            dst[len++] = '\\';
        }
        dst[len++] = *text;
    }
    dst[len] = '\0';
}

static bool is_answer(const struct web_reply *r, const struct route *route, const struct row *row)
{
    char words[400];
    char wanted[600];
    words_of(route, row, words, sizeof(words));
    if (row->code == NOT_CHECKED || route->words == HELPER || route->words == DECLARED) {
        return r->status == row->status && strcmp(r->body, words) == 0;
    }
    char escaped[800];
    escape(words, escaped, sizeof(escaped));
    (void)snprintf(wanted, sizeof(wanted), "{\"code\":%d,\"message\":\"",
                   row->code == MISSING ? 10000 : row->code);
    return r->status == row->status && strncmp(r->body, wanted, strlen(wanted)) == 0 &&
           strstr(r->body, escaped);
}

/* The row over the open connection, as a query or, when it may write, by turns as a form. */
static struct web_reply ask_row(const struct route *route, const struct row *row, bool writes)
{
    char *params = expand(row->params);
    static unsigned turn;
    bool as_form = writes && (turn++ % 2 == 0 || strlen(params) > QUERY_MAX);
    size_t cap = strlen(route->line) + strlen(params) + strlen(route->rest) + 2;
    char *line = malloc(cap);
    char *body = malloc(cap);
    (void)snprintf(line, cap, "%s%s%s%s", route->line, as_form ? "" : "?", as_form ? "" : params,
                   as_form ? "" : route->rest);
    (void)snprintf(body, cap, "%s%s", params, route->rest);
    struct web_reply r = web_talk(connection, line, "", as_form ? body : NULL);
    free(params);
    free(line);
    free(body);
    return r;
}

/* Each row, then a good request on the same connection. Returns how many rows failed. */
static size_t play(const struct route *route, const struct row *rows, size_t count)
{
    size_t failed = 0;
    struct figures before = figures_read(rig_http(rig));
    bool writes = strncmp(route->line, "GET", 3) != 0;
    for (size_t i = 0; i < count; i++) {
        struct web_reply r = ask_row(route, &rows[i], writes);
        struct figures now = figures_read(rig_http(rig));
        bool fine = is_answer(&r, route, &rows[i]) && memcmp(&before, &now, sizeof(now)) == 0;
        if (!fine) {
            printf("    %s?%s%s\n      wanted %d %d %s\n      came   %d %.*s\n", route->line,
                   rows[i].params, route->rest, rows[i].status, rows[i].code, rows[i].text,
                   r.status, SHOWN_MAX, r.body);
            failed++;
        }
        before = now;
        web_reply_close(&r);
        r = web_talk(connection, "GET /nacos/v1/ns/instance/list?serviceName=well", "", NULL);
        if (r.status != 200) {
            printf("    after %s: the connection answers %d\n", rows[i].params, r.status);
            failed++;
            (void)close(connection);
            connection = web_open(rig_http(rig));
        }
        web_reply_close(&r);
    }
    return failed;
}

#define PLAY(routes, rows)                                                                         \
    do {                                                                                           \
        size_t failed_ = 0;                                                                        \
        for (size_t i_ = 0; i_ < ARRAY_LEN(routes); i_++) {                                        \
            failed_ += play(&(routes)[i_], (rows), ARRAY_LEN(rows));                               \
        }                                                                                          \
        assert_int_equal(failed_, 0);                                                              \
    } while (0)

#define LONG_BY(max) "the param length should not exceed " max "."
#define CHARACTERS "illegal characters should not appear in the param."
#define V1_NS "/nacos/v1/ns/"
#define V2_NS "/nacos/v2/ns/"
#define ADDRESS "&ip=1.2.3.4&port=80"

static const struct row bad_names[] = {
    {"x=1", 400, MISSING, "serviceName String"},
    {"serviceName=", 400, MISSING, "serviceName String"},
    {"serviceName=+%20%09", 400, MISSING, "serviceName String"},
    {"serviceName=%zz", 400, MISSING, "serviceName String"},
    {"servicename=s", 400, MISSING, "serviceName String"},
    {"serviceName=<513:x>", 400, NOT_CHECKED, "Param 'serviceName' is illegal, " LONG_BY("512")},
    {"serviceName=<20000:x>", 400, NOT_CHECKED, "Param 'serviceName' is illegal, " LONG_BY("512")},
    {"serviceName=a+b", 400, NOT_CHECKED, "Param 'serviceName' is illegal, " CHARACTERS},
    {"serviceName=a%0Ab", 400, NOT_CHECKED, "Param 'serviceName' is illegal, " CHARACTERS},
    {"serviceName=a%E6%9C%8D", 400, NOT_CHECKED, "Param 'serviceName' is illegal, " CHARACTERS},
    {"serviceName=s&groupName=<129:g>", 400, NOT_CHECKED,
     "Param 'group' is illegal, " LONG_BY("128")},
    {"serviceName=s&groupName=a%2Fb", 400, NOT_CHECKED, "Param 'group' is illegal, " CHARACTERS},
    {"serviceName=s&namespaceId=<65:n>", 400, NOT_CHECKED,
     "Param 'namespaceId/tenant' is illegal, " LONG_BY("64")},
    {"serviceName=s&namespaceId=a.b", 400, NOT_CHECKED,
     "Param 'namespaceId/tenant' is illegal, " CHARACTERS},
    {"serviceName=s&namespaceId=%FF", 400, NOT_CHECKED,
     "Param 'namespaceId/tenant' is illegal, " CHARACTERS},
};

static void test_every_route__bad_name__is_refused_in_its_versions_shape(void **state)
{
    static const struct route routes[] = {
        {"POST " V1_NS "instance", HELPER, ADDRESS},
        {"PUT " V1_NS "instance", HELPER, ADDRESS},
        {"PATCH " V1_NS "instance", HELPER, ADDRESS},
        {"DELETE " V1_NS "instance", HELPER, ADDRESS},
        {"GET " V1_NS "instance", HELPER, ADDRESS},
        {"GET " V1_NS "instance/list", HELPER, ""},
        {"PUT " V1_NS "instance/beat", HELPER, ADDRESS},
        {"POST " V2_NS "instance", FORM, ADDRESS},
        {"PUT " V2_NS "instance", FORM, ADDRESS},
        {"DELETE " V2_NS "instance", FORM, ADDRESS},
        {"GET " V2_NS "instance", DECLARED_V2, ADDRESS},
        {"GET " V2_NS "instance/list", DECLARED_V2, ""},
        {"PUT " V2_NS "instance/beat", DECLARED_V2, ADDRESS},
        {"POST " V1_NS "service", DECLARED, ""},
        {"PUT " V1_NS "service", HELPER, "&protectThreshold=0"},
        {"DELETE " V1_NS "service", DECLARED, ""},
        {"GET " V1_NS "service", DECLARED, ""},
        {"GET " V1_NS "service/subscribers", HELPER, ""},
        {"POST " V2_NS "service", FORM, ""},
        {"PUT " V2_NS "service", FORM, ""},
        {"DELETE " V2_NS "service", DECLARED_V2, ""},
        {"GET " V2_NS "service", DECLARED_V2, ""},
        {"GET " V1_NS "catalog/instances", DECLARED, "&clusterName=C&pageNo=1&pageSize=10"},
        {"GET /nacos/v1/nacre/removals", DECLARED, ""},
    };
    (void)state;
    PLAY(routes, bad_names);
}

#define PORT "Param 'port' is illegal, the value should be between 0 and 65535."

static const struct row no_addresses[] = {
    {"port=80", 400, MISSING, "ip String"},
    {"ip=&port=80", 400, MISSING, "ip String"},
    {"ip=1.2.3.4", 400, MISSING, "port Integer"},
    {"ip=1.2.3.4&port=+", 400, MISSING, "port Integer"},
};

static const struct row bad_addresses[] = {
    {"ip=1.2.3.4&port=http", 400, NOT_CHECKED, PORT},
    {"ip=1.2.3.4&port=-1", 400, NOT_CHECKED, PORT},
    {"ip=1.2.3.4&port=65536", 400, NOT_CHECKED, PORT},
    {"ip=1.2.3.4&port=99999999999999999999", 400, NOT_CHECKED, PORT},
    {"ip=1.2.3.4&port=80.5", 400, NOT_CHECKED, PORT},
    {"ip=1.2.3.4&port=0x50", 400, NOT_CHECKED, PORT},
    {"ip=1.2.3.4&port=<2000:8>", 400, NOT_CHECKED, PORT},
    {"ip=<129:1>&port=80", 400, NOT_CHECKED, "Param 'ip' is illegal, " LONG_BY("128")},
    {"ip=1.2+3.4&port=80", 400, NOT_CHECKED, "Param 'ip' is illegal, " CHARACTERS},
    {"ip=%E4%B8%80&port=80", 400, NOT_CHECKED, "Param 'ip' is illegal, " CHARACTERS},
    {"ip=1.2.3.4&port=80&clusterName=<65:c>", 400, NOT_CHECKED,
     "Param 'cluster' is illegal, " LONG_BY("64")},
    {"ip=1.2.3.4&port=80&clusterName=a+b", 400, NOT_CHECKED,
     "Param 'cluster' is illegal, " CHARACTERS},
};

static void test_every_instance_route__bad_address__is_refused(void **state)
{
    static const struct route routes[] = {
        {"POST " V1_NS "instance", HELPER, "&serviceName=s"},
        {"PUT " V1_NS "instance", HELPER, "&serviceName=s"},
        {"PATCH " V1_NS "instance", HELPER, "&serviceName=s"},
        {"DELETE " V1_NS "instance", HELPER, "&serviceName=s"},
        {"GET " V1_NS "instance", HELPER, "&serviceName=s"},
        {"POST " V2_NS "instance", FORM, "&serviceName=s"},
        {"PUT " V2_NS "instance", FORM, "&serviceName=s"},
        {"DELETE " V2_NS "instance", FORM, "&serviceName=s"},
        {"GET " V2_NS "instance", DECLARED_V2, "&serviceName=s"},
    };
    static const struct route beats[] = {
        {"PUT " V1_NS "instance/beat", HELPER, "&serviceName=s"},
        {"PUT " V2_NS "instance/beat", DECLARED_V2, "&serviceName=G@@s"},
    };
    (void)state;
    PLAY(routes, no_addresses);
    PLAY(routes, bad_addresses);
    PLAY(beats, bad_addresses); /* a beat of nobody is answered: register first */
}

#define WEIGHT "instance format invalid: The weights range from 0.0 to 10000.0"
#define METADATA "metadata format incorrect:"

static void test_register_and_update__bad_instance__is_refused(void **state)
{
    static const struct route routes[] = {
        {"POST " V1_NS "instance", HELPER, "&serviceName=s" ADDRESS},
        {"PUT " V1_NS "instance", HELPER, "&serviceName=s" ADDRESS},
        {"POST " V2_NS "instance", FORM, "&serviceName=s" ADDRESS},
        {"PUT " V2_NS "instance", FORM, "&serviceName=s" ADDRESS},
    };
    static const struct row rows[] = {
        {"weight=heavy", 400, 30000, "For input string: \"heavy\""},
        {"weight=-0.1", 400, 21001, WEIGHT},
        {"weight=10000.5", 400, 21001, WEIGHT},
        {"weight=1e308", 400, 21001, WEIGHT},
        {"weight=1e400", 400, 30000, "For input string: \"1e400\""},
        {"weight=NaN", 400, 30000, "For input string: \"NaN\""},
        {"weight=Infinity", 400, 30000, "For input string: \"Infinity\""},
        {"metadata=nonsense", 400, 21002, METADATA "nonsense"},
        {"metadata==v", 400, 21002, METADATA "=v"},
        {"metadata=a=b,c", 400, 21002, METADATA "a=b,c"},
        {"metadata=%7B", 400, 21002, METADATA "{"},
        {"metadata=%7B%22a%22:%5B1%5D%7D", 400, 21002, METADATA "{\"a\":[1]}"},
        {"metadata=a=<1024:v>", 400, NOT_CHECKED, "Param 'Metadata' is illegal, " LONG_BY("1024")},
        {"metadata=<1024:k=v,>k=v", 400, 21002, "metadata: at most 1024 pairs"},
        {"metadata=%7B%22a%22:%22<1024:v>%22%7D", 400, NOT_CHECKED,
         "Param 'Metadata' is illegal, " LONG_BY("1024")},
    };
    (void)state;
    PLAY(routes, rows);
}

/* A full beat, as JSON inside the form. */
#define JSON(text) "beat=%7B" text "%7D"

static void test_beat__bad_body__registers_nothing(void **state)
{
    static const struct route routes[] = {
        {"PUT " V1_NS "instance/beat", HELPER, "&serviceName=s"},
        {"PUT " V2_NS "instance/beat", DECLARED_V2, "&serviceName=G@@s"},
    };
    static const struct row rows[] = {
        {"beat=%7B", 400, 30000, "malformed JSON at byte 1: a bracket is not closed"},
        {"beat=%5B%5D", 400, 30000, "malformed JSON: expected an object"},
        {"beat=hello", 400, 30000, "malformed JSON at byte 0"},
        {"beat=<100000:[>", 400, 30000, "JSON nested deeper than 32 levels"},
        {JSON(""), 400, 10000, "Param 'ip' is required."},
        {JSON("%22ip%22:%22%22"), 400, 10000, "Param 'ip' is required."},
        {JSON("%22ip%22:%7B%7D"), 400, 30000, "field 'ip': expected a string, got an object"},
        {JSON("%22ip%22:%22a+b%22"), 400, NOT_CHECKED, "Param 'ip' is illegal, " CHARACTERS},
        {JSON("%22ip%22:%22a%22,%22port%22:-1"), 400, NOT_CHECKED, PORT},
        {JSON("%22ip%22:%22a%22,%22port%22:70000"), 400, NOT_CHECKED, PORT},
        {JSON("%22ip%22:%22a%22,%22port%22:1e99"), 400, 30000,
         "field 'port': expected -2147483648 to 2147483647, got 1e+99"},
        {JSON("%22ip%22:%22a%22,%22port%22:%22x%22"), 400, 30000,
         "field 'port': expected a whole number, got \"x\""},
        {JSON("%22ip%22:%22a%22,%22weight%22:-1"), 400, 21001, WEIGHT},
        {JSON("%22ip%22:%22a%22,%22weight%22:%22x%22"), 400, 30000,
         "field 'weight': expected a finite number, got \"x\""},
        {JSON("%22ip%22:%22a%22,%22cluster%22:%22a+b%22"), 400, NOT_CHECKED,
         "Param 'cluster' is illegal, " CHARACTERS},
        {JSON("%22ip%22:%22a%22,%22cluster%22:%22a_b%22"), 400, 21004,
         "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. (current: a_b)"},
        {JSON("%22ip%22:%22a%22,%22metadata%22:%5B%5D"), 400, 30000,
         "expected an object of strings, got an array"},
        {JSON("%22ip%22:%22a%22,%22metadata%22:%7B%22k%22:%22<1024:v>%22%7D"), 400, NOT_CHECKED,
         "Param 'Metadata' is illegal, " LONG_BY("1024")},
        {JSON("%22ip%22:%22a%22,%22metadata%22:%7B<1024:%22k%22:1,>%22k%22:1%7D"), 400, NOT_CHECKED,
         "Param 'Metadata' is illegal, " LONG_BY("1024")},
    };
    (void)state;
    PLAY(routes, rows);
}

static void test_service_record__bad_parameters__make_and_change_nothing(void **state)
{
    static const struct route creates[] = {
        {"POST " V1_NS "service", DECLARED, "&serviceName=s"},
        {"POST " V2_NS "service", FORM, "&serviceName=s"},
    };
    static const struct row rows[] = {
        {"protectThreshold=high", 400, 30000, "For input string: \"high\""},
        {"protectThreshold=NaN", 400, 30000, "For input string: \"NaN\""},
        {"protectThreshold=1e999", 400, 30000, "For input string: \"1e999\""},
        {"metadata=nonsense", 400, 21002, METADATA "nonsense"},
        {"metadata=<1024:k=v,>k=v", 400, 21002, "metadata: at most 1024 pairs"},
        {"selector=nonsense", 400, 21006, "not match any type of selector!"},
        {"selector=%7B%7D", 400, 21006, "not match any type of selector!"},
        {"selector=%7B%22type%22:5%7D", 400, 21006, "not match any type of selector!"},
        {"selector=%7B%22type%22:%22mine%22%7D", 400, 21006, "not match any type of selector!"},
        {"selector=<100000:[>", 400, 21006, "selector: at most 4096 bytes"},
    };
    static const struct route updates[] = {
        {"PUT " V1_NS "service", HELPER, "&serviceName=s&protectThreshold=0"},
        {"PUT " V2_NS "service", FORM, "&serviceName=s"},
        {"DELETE " V1_NS "service", DECLARED, "&serviceName=s"},
        {"DELETE " V2_NS "service", DECLARED_V2, "&serviceName=s"},
    };
    static const struct row unknown[] = {
        {"x=1", 400, 21008, "service DEFAULT_GROUP@@s not found!"},
    };
    static const struct route gets[] = {
        {"GET " V1_NS "service", DECLARED, "&serviceName=s"},
        {"GET " V2_NS "service", DECLARED_V2, "&serviceName=s"},
    };
    static const struct row unseen[] = {
        {"x=1", 400, 21008, "service not found, namespace: public, serviceName: DEFAULT_GROUP@@s"},
    };
    (void)state;
    PLAY(creates, rows);
    PLAY(updates, unknown);
    PLAY(gets, unseen);
}

static void test_lists__bad_pages_and_names__are_refused(void **state)
{
    static const struct route names[] = {
        {"GET " V1_NS "service/list", HELPER, ""},
    };
    static const struct row bad_names_v1[] = {
        {"pageSize=10", 400, MISSING, "pageNo Integer"},
        {"pageNo=1", 400, MISSING, "pageSize Integer"},
        {"pageNo=first&pageSize=10", 400, 30000, "For input string: \"first\""},
        {"pageNo=1&pageSize=1.5", 400, 30000, "For input string: \"1.5\""},
        {"pageNo=1&pageSize=99999999999", 400, 30000, "For input string: \"99999999999\""},
        {"pageNo=1&pageSize=10&groupName=a%2Fb", 400, NOT_CHECKED,
         "Param 'group' is illegal, " CHARACTERS},
        {"pageNo=1&pageSize=10&namespaceId=<65:n>", 400, NOT_CHECKED,
         "Param 'namespaceId/tenant' is illegal, " LONG_BY("64")},
    };
    static const struct route clients[] = {
        {"GET " V2_NS "client", DECLARED_V2, ""},
        {"GET " V2_NS "client/publish/list", DECLARED_V2, ""},
        {"GET " V2_NS "client/subscribe/list", DECLARED_V2, ""},
    };
    static const struct row bad_clients[] = {
        {"x=1", 400, MISSING, "clientId String"},
        {"clientId=", 400, MISSING, "clientId String"},
        {"clientId=nobody", 404, 20004, "clientId [ nobody ] not exist"},
        {"clientId=%FF", 404, 20004, "clientId [ \xEF\xBF\xBD ] not exist"},
        {"clientId=<10000:x>", 404, 20004, "clientId [ xxxxxxxx"},
    };
    static const struct route pages[] = {
        {"GET " V1_NS "service/subscribers", HELPER, "&serviceName=s"},
        {"GET " V1_NS "catalog/instances", DECLARED, "&serviceName=s&clusterName=C"},
    };
    static const struct row bad_pages[] = {
        {"pageNo=x&pageSize=1", 400, 30000, "For input string: \"x\""},
        {"pageNo=1&pageSize=99999999999", 400, 30000, "For input string: \"99999999999\""},
    };
    (void)state;
    PLAY(names, bad_names_v1);
    PLAY(clients, bad_clients);
    PLAY(pages, bad_pages);
}

/* A request line and what it is answered, on a connection of its own. */
struct line {
    const char *line;
    int status;
    const char *part;
};

static void expect_lines(const struct line *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *line = expand(rows[i].line);
        struct web_reply r = web_ask(rig_http(rig), line, "", NULL);
        if (r.status != rows[i].status || !strstr(r.body, rows[i].part)) {
            fail_msg("%s: wanted %d %s, came %d %s", rows[i].line, rows[i].status, rows[i].part,
                     r.status, r.body);
        }
        web_reply_close(&r);
        free(line);
    }
}

#define NO_API(method, path)                                                                       \
    "\"error\":\"Not Implemented\",\"message\":\"no such api:" method ":" path
#define NO_METHOD(method) "caused: Request method &#39;" method "&#39; not supported;"
#define NOWHERE                                                                                    \
    "\"status\":404,\"error\":\"Not Found\",\"message\":\"No message available\",\"path\":"

static void test_wrong_method__is_refused_as_nacos_does(void **state)
{
    static const struct line rows[] = {
        {"POST " V1_NS "instance/list", 501, NO_API("POST", V1_NS "instance/list")},
        {"GET " V1_NS "instance/beat", 501, NO_API("GET", V1_NS "instance/beat")},
        {"PATCH " V1_NS "service", 501, NO_API("PATCH", V1_NS "service")},
        {"POST " V1_NS "service/list", 501, NO_API("POST", V1_NS "service/list")},
        {"PUT " V1_NS "service/subscribers", 501, NO_API("PUT", V1_NS)},
        {"DELETE " V1_NS "catalog/services", 501, NO_API("DELETE", V1_NS)},
        {"POST " V1_NS "catalog/instances", 501, NO_API("POST", V1_NS)},
        {"HEAD " V1_NS "instance/list?serviceName=s", 501, ""},
        {"TRACE " V1_NS "instance", 501, NO_API("TRACE", V1_NS "instance")},
        {"EXPLODE " V1_NS "instance", 501, NO_API("EXPLODE", V1_NS "instance")},
        {"POST " V2_NS "instance/list", 500, "\"code\":500,\"message\":\"" NO_METHOD("POST")},
        {"GET " V2_NS "instance/beat", 500, NO_METHOD("GET")},
        {"PATCH " V2_NS "service", 500, NO_METHOD("PATCH")},
        {"DELETE " V2_NS "service/list", 500, NO_METHOD("DELETE")},
        {"POST " V2_NS "client/list", 500, NO_METHOD("POST")},
        {"PUT " V2_NS "client", 500, NO_METHOD("PUT")},
        {"PUT " V2_NS "client/publish/list", 500, NO_METHOD("PUT")},
        {"PUT " V2_NS "client/subscribe/list", 500, NO_METHOD("PUT")},
        {"EXPLODE " V2_NS "instance", 500, NO_METHOD("EXPLODE")},
        {"POST /nacos/v1/nacre/removals", 500, NO_METHOD("POST")},
    };
    (void)state;
    expect_lines(rows, ARRAY_LEN(rows));
}

static void test_unknown_path__is_refused_as_nacos_does(void **state)
{
    static const struct line rows[] = {
        {"GET " V1_NS "nothing", 501, NO_API("GET", V1_NS "nothing")},
        {"GET /nacos/v1/ns", 501, NO_API("GET", "/nacos/v1/ns")},
        {"GET " V1_NS "instance/list/more", 501, NO_API("GET", V1_NS "instance/list/more")},
        {"GET " V2_NS "nothing", 404, NOWHERE "\"/nacos/v2/ns/nothing\""},
        {"GET /nacos/v1/cs/nothing", 404, NOWHERE},
        {"POST /nacos/v1/auth/login", 404, NOWHERE},
        {"GET /nacos/nothing", 404, NOWHERE},
        {"GET /nacosx", 404, NOWHERE},
        {"GET /", 404, NOWHERE},
        {"GET /nacos/../v1/ns/instance", 404, NOWHERE},
        {"GET /nacos/%3Cscript%3E", 404, NOWHERE},
        {"GET /nacos/<6000:x>", 404, NOWHERE},
    };
    (void)state;
    expect_lines(rows, ARRAY_LEN(rows));
}

static void test_too_much__is_refused_and_the_node_goes_on(void **state)
{
    static const struct line rows[] = {
        {"GET " V1_NS "instance/list?serviceName=<600000:s>", 400, "too large"},
        {"GET " V1_NS "instance/list?serviceName=<100000:s>", 400, LONG_BY("512")},
        {"GET " V1_NS "instance/list?serviceName=s<256:&x=1>", 400, "more than 256 parameters"},
        {"POST " V2_NS "instance?serviceName=s<256:&x=1>", 400, "more than 256 parameters"},
    };
    (void)state;
    struct figures before = figures_read(rig_http(rig));
    expect_lines(rows, ARRAY_LEN(rows));
    struct web_reply r =
        web_ask(rig_http(rig), "POST " V1_NS "instance", "Content-Length: 34000000\r\n", NULL);
    assert_int_equal(r.status, 413);
    assert_string_equal(r.body, "the request body is too large");
    web_reply_close(&r);
    r = web_ask(rig_http(rig), "POST " V1_NS "instance",
                "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 3\r\n\r\n--x",
                NULL);
    assert_int_equal(r.status, 400);
    web_reply_close(&r);
    char *body = expand("serviceName=s&ip=1.2.3.4&port=80&metadata=a=<20000000:v>");
    r = web_ask(rig_http(rig), "POST " V1_NS "instance", "", body);
    free(body);
    assert_int_equal(r.status, 400);
    assert_string_equal(r.body, "Param 'Metadata' is illegal, " LONG_BY("1024") "\r\n");
    web_reply_close(&r);
    body = expand("serviceName=s&ip=1.2.3.4&port=80&metadata=<100000:{%22a%22:>");
    r = web_ask(rig_http(rig), "PUT " V1_NS "instance", "", body);
    free(body);
    assert_int_equal(r.status, 400);
    assert_int_equal(strncmp(r.body, METADATA, strlen(METADATA)), 0);
    web_reply_close(&r);
    struct figures after = figures_read(rig_http(rig));
    assert_memory_equal(&before, &after, sizeof(before));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_route__bad_name__is_refused_in_its_versions_shape),
        cmocka_unit_test(test_every_instance_route__bad_address__is_refused),
        cmocka_unit_test(test_register_and_update__bad_instance__is_refused),
        cmocka_unit_test(test_beat__bad_body__registers_nothing),
        cmocka_unit_test(test_service_record__bad_parameters__make_and_change_nothing),
        cmocka_unit_test(test_lists__bad_pages_and_names__are_refused),
        cmocka_unit_test(test_wrong_method__is_refused_as_nacos_does),
        cmocka_unit_test(test_unknown_path__is_refused_as_nacos_does),
        cmocka_unit_test(test_too_much__is_refused_and_the_node_goes_on),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
