/* JDBC URLs: refused with a reason that repeats no password, or read within limits, and the same
 * again when written in their plainest form. */
#include "fuzz.h"

#include "base/json_out.h"
#include "base/utf8.h"
#include "store/mysql_target.h"

#define SECRET "S3CR3T"

static void put_text(struct json_out *url, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (const char *c = text; *c; c++) {
        bool is_plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                        (*c >= '0' && *c <= '9') || *c == '.' || *c == '-' || *c == '_';
        char escape[3] = {'%', digits[(unsigned char)*c >> 4], digits[(unsigned char)*c & 15]};
        json_bytes(url, is_plain ? span_of(c, 1) : span_of(escape, sizeof(escape)));
    }
}

static void put_param(struct json_out *url, const char *name, const char *value)
{
    json_bytes(url, span_str(name));
    put_text(url, value);
}

static void put_number(struct json_out *url, const char *before, unsigned value)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%u", value);
    json_bytes(url, span_str(before));
    json_bytes(url, span_str(text));
}

static void put_url(struct json_out *url, const struct mysql_target *t)
{
    static const char *const modes[] = {
        [MYSQL_TLS_PREFERRED] = "PREFERRED",
        [MYSQL_TLS_OFF] = "DISABLED",
        [MYSQL_TLS_REQUIRED] = "REQUIRED",
        [MYSQL_TLS_VERIFY_CA] = "VERIFY_CA",
        [MYSQL_TLS_VERIFY_IDENTITY] = "VERIFY_IDENTITY",
    };
    json_bytes(url, SPAN("jdbc:mysql://"));
    for (size_t i = 0; i < t->hosts_count; i++) {
        bool is_ipv6 = strchr(t->hosts[i].name, ':') != NULL;
        json_bytes(url, span_str(i ? "," : ""));
        json_bytes(url, span_str(is_ipv6 ? "[" : ""));
        put_text(url, t->hosts[i].name);
        json_bytes(url, span_str(is_ipv6 ? "]" : ""));
        put_number(url, ":", t->hosts[i].port);
    }
    put_param(url, "/", t->database);
    put_param(url, "?user=", t->user);
    put_param(url, "&password=", t->password);
    put_param(url, "&serverSslCert=", t->ca_path);
    put_param(url, "&sslMode=", modes[t->tls]);
    put_param(url, "&allowPublicKeyRetrieval=", t->may_fetch_key ? "true" : "false");
    put_number(url, "&connectTimeout=", t->connect_ms);
    put_number(url, "&socketTimeout=", t->io_ms);
}

static bool hosts_eq(const struct mysql_target *a, const struct mysql_target *b)
{
    bool is_same = a->hosts_count == b->hosts_count;
    for (size_t i = 0; is_same && i < a->hosts_count; i++) {
        is_same =
            a->hosts[i].port == b->hosts[i].port && strcmp(a->hosts[i].name, b->hosts[i].name) == 0;
    }
    return is_same;
}

static void check_round_trip(const struct mysql_target *t)
{
    struct json_out url;
    struct fail fail = {0};
    struct mysql_target again = {0};
    json_init(&url, 0);
    put_url(&url, t);
    if (json_text(&url).len <= MYSQL_URL_MAX) {
        REQUIRE(mysql_target_parse("k", json_text(&url), &again, &fail) == 0);
        REQUIRE(hosts_eq(t, &again));
        REQUIRE(strcmp(t->database, again.database) == 0 && strcmp(t->user, again.user) == 0);
        REQUIRE(strcmp(t->password, again.password) == 0);
        REQUIRE(strcmp(t->ca_path, again.ca_path) == 0);
        REQUIRE(t->tls == again.tls && t->may_fetch_key == again.may_fetch_key);
        REQUIRE(t->connect_ms == again.connect_ms && t->io_ms == again.io_ms);
        REQUIRE(again.ignored[0] == '\0');
    }
    json_close(&url);
}

/* One line of a log. */
static void check_line(const char *text)
{
    REQUIRE(utf8_valid(text, strlen(text)));
    for (const char *c = text; *c; c++) {
        REQUIRE((unsigned char)*c >= ' ' && *c != 0x7f);
    }
}

static void check_target(const struct mysql_target *t)
{
    REQUIRE(t->hosts_count >= 1 && t->hosts_count <= MYSQL_HOSTS_MAX);
    REQUIRE(memchr(t->ignored, '\0', sizeof(t->ignored)));
    REQUIRE(t->database[0] != '\0');
    REQUIRE(t->connect_ms >= 1 && t->connect_ms <= MYSQL_WAIT_MS_MAX);
    REQUIRE(t->io_ms >= 1 && t->io_ms <= MYSQL_WAIT_MS_MAX);
    check_line(t->ignored);
    for (size_t i = 0; i < t->hosts_count; i++) {
        char text[MYSQL_TARGET_TEXT];
        mysql_target_text(t, i, text);
        REQUIRE(strlen(text) < sizeof(text) - 1);
        REQUIRE(t->hosts[i].port >= 1 && t->hosts[i].name[0] != '\0');
        check_line(text);
    }
    check_round_trip(t);
}

static void check_url(struct span url)
{
    struct mysql_target t = {0};
    struct fail fail = {0};
    int err = mysql_target_parse("db.url.0", url, &t, &fail);
    if (err) {
        REQUIRE(err == E_INVALID || err == E_LIMIT);
        fuzz_check_fail(err, &fail);
        REQUIRE(strncmp(fail.text, "db.url.0: ", 10) == 0);
        REQUIRE(t.hosts_count == 0);
        check_line(fail.text);
        REQUIRE(!strstr(fail.text, SECRET));
        return;
    }
    check_target(&t);
    REQUIRE(!strstr(t.ignored, SECRET));
}

static bool has_secret(struct span text)
{
    return text.len > 0 && memmem(text.data, text.len, SECRET, sizeof(SECRET) - 1) != NULL;
}

/* A password between any two pieces: nothing that is said repeats it. */
static void check_secret(struct span before, struct span middle, struct span after)
{
    struct json_out url;
    json_init(&url, 0);
    json_bytes(&url, before);
    json_bytes(&url, middle);
    json_bytes(&url, after);
    check_url(json_text(&url));
    json_close(&url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of((const char *)data, size);
    if (has_secret(text)) {
        return 0;
    }
    check_url(text);
    struct span after = text;
    struct span before = fuzz_cut(&after, '\n');
    bool has_query = before.len > 0 && memchr(before.data, '?', before.len);
    check_secret(before, has_query ? SPAN("&password=" SECRET) : SPAN("?password=" SECRET), after);
    if (after.len > 0 && memchr(after.data, '@', after.len)) {
        check_secret(SPAN("jdbc:mysql://"), SPAN("u:" SECRET), after);
    }
    return 0;
}
