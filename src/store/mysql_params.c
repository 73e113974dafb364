#include "store/mysql_params.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "store/mysql_text.h"

#define MORE ", ..."

/* Parameters that are true or false. */
enum flag {
    FLAG_USE_SSL,
    FLAG_REQUIRE_SSL,
    FLAG_VERIFY,
    FLAG_TRUST,    /* mariadb: any certificate */
    FLAG_ANY_NAME, /* mariadb: of any host */
    FLAG_FETCH_KEY,
    FLAGS_COUNT,
};

enum answer {
    UNSAID,
    NO,
    YES,
};

enum wait {
    WAIT_CONNECT,
    WAIT_IO,
};

/* Parameters on their way in. What several parameters decide together is judged when all are read.
 */
struct reading {
    const char *key; /* of the option */
    struct mysql_target *t;
    struct fail *fail;
    bool is_mariadb;
    enum answer flags[FLAGS_COUNT];
    bool has_mode;
    enum mysql_tls mode;
    const char *ca_name; /* of the parameter that gave ca */
    bool is_store;       /* said to be Java's kind of file */
    char ca[MYSQL_URL_MAX + 1];
};

struct row;
typedef int (*take_fn)(struct reading *r, const struct row *row, const char *value);

/* A parameter that is known. arg: its enum flag or enum wait. */
struct row {
    const char *name;
    take_fn take;
    unsigned arg;
};

static bool ends_with(struct span text, struct span end)
{
    return text.len >= end.len && span_ieq(span_of(text.data + text.len - end.len, end.len), end);
}

/* Name a parameter that has no effect. The list has room for every name a URL can hold; the reasons
 * may be more than that, and then the rest goes unnamed. */
static void note(struct mysql_target *t, const char *name, const char *why)
{
    char text[MYSQL_URL_MAX];
    size_t len = strlen(t->ignored);
    int n = snprintf(text, sizeof(text), "%s%s%s%s%s", len ? ", " : "", name, why ? " (" : "",
                     why ? why : "", why ? ")" : "");
    size_t room = sizeof(t->ignored) - sizeof(MORE);
    if (n > 0 && len + (size_t)n <= room) {
        memcpy(t->ignored + len, text, (size_t)n + 1);
    } else if (len <= room && !ends_with(span_of(t->ignored, len), SPAN(MORE))) {
        memcpy(t->ignored + len, MORE, sizeof(MORE));
    }
}

static int take_user(struct reading *r, const struct row *row, const char *value)
{
    (void)row;
    return mysql_text_put(r->fail, r->key, "user", span_str(value), r->t->user, sizeof(r->t->user));
}

static int take_password(struct reading *r, const struct row *row, const char *value)
{
    (void)row;
    return mysql_text_put(r->fail, r->key, "password", span_str(value), r->t->password,
                          sizeof(r->t->password));
}

/* Parameters */

static int refuse_value(const struct reading *r, const char *name, const char *expected,
                        const char *value)
{
    return fail_set(r->fail, E_INVALID, "%s: %s: expected %s, found \"%.*s\"", r->key, name,
                    expected, SPAN_ARG(mysql_text_shown(span_str(value))));
}

static int take_flag(struct reading *r, const struct row *row, const char *value)
{
    static const char *const words[] = {"true", "yes", "1", "false", "no", "0"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (span_ieq(span_str(value), span_str(words[i]))) {
            r->flags[row->arg] = i < ARRAY_LEN(words) / 2 ? YES : NO;
            return 0;
        }
    }
    return refuse_value(r, row->name, "true or false", value);
}

/* Connector/J knows it not, and what it loosens stays tight. */
static int take_mariadb_flag(struct reading *r, const struct row *row, const char *value)
{
    if (!r->is_mariadb) {
        note(r->t, row->name, "of jdbc:mariadb only");
        return 0;
    }
    return take_flag(r, row, value);
}

/* 0 waits for ever in Java. Here every wait ends: it is the default. */
static int take_wait(struct reading *r, const struct row *row, const char *value)
{
    long long ms = 0;
    if (!span_int(span_str(value), &ms) || ms < 0 || ms > MYSQL_WAIT_MS_MAX) {
        return refuse_value(r, row->name, "milliseconds of 0 to 2147483647", value);
    }
    if (row->arg == WAIT_CONNECT) {
        r->t->connect_ms = ms ? (uint32_t)ms : MYSQL_CONNECT_MS;
    } else {
        r->t->io_ms = ms ? (uint32_t)ms : MYSQL_IO_MS;
    }
    return 0;
}

static int take_mode(struct reading *r, const struct row *row, const char *value)
{
    static const struct {
        const char *word;
        enum mysql_tls mode;
    } words[] = {
        {"DISABLED", MYSQL_TLS_OFF},
        {"DISABLE", MYSQL_TLS_OFF},
        {"PREFERRED", MYSQL_TLS_PREFERRED},
        {"REQUIRED", MYSQL_TLS_REQUIRED},
        {"TRUST", MYSQL_TLS_REQUIRED},
        {"VERIFY_CA", MYSQL_TLS_VERIFY_CA},
        {"VERIFY-CA", MYSQL_TLS_VERIFY_CA},
        {"VERIFY_IDENTITY", MYSQL_TLS_VERIFY_IDENTITY},
        {"VERIFY_FULL", MYSQL_TLS_VERIFY_IDENTITY},
        {"VERIFY-FULL", MYSQL_TLS_VERIFY_IDENTITY},
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (span_ieq(span_str(value), span_str(words[i].word))) {
            r->mode = words[i].mode;
            r->has_mode = true;
            return 0;
        }
    }
    return refuse_value(r, row->name, "DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY",
                        value);
}

static int take_ca(struct reading *r, const struct row *row, const char *value)
{
    r->ca_name = value[0] ? row->name : NULL;
    memcpy(r->ca, value, strlen(value) + 1);
    return 0;
}

static int take_ca_type(struct reading *r, const struct row *row, const char *value)
{
    (void)row;
    r->is_store = value[0] && !span_ieq(span_str(value), SPAN("PEM"));
    return 0;
}

/* The connection speaks utf8mb4, whatever else is asked for. */
static int take_charset(struct reading *r, const struct row *row, const char *value)
{
    struct span text = span_str(value);
    if (!mysql_text_skip(&text, SPAN("utf8")) && !mysql_text_skip(&text, SPAN("utf-8"))) {
        note(r->t, row->name, "always UTF-8");
    }
    return 0;
}

/* It tunes Java's driver, or asks for what is done anyway. */
static int pass_over(struct reading *r, const struct row *row, const char *value)
{
    (void)r;
    (void)row;
    (void)value;
    return 0;
}

static const struct row rows[] = {
    {"connectTimeout", take_wait, WAIT_CONNECT},
    {"socketTimeout", take_wait, WAIT_IO},
    {"useSSL", take_flag, FLAG_USE_SSL},
    {"requireSSL", take_flag, FLAG_REQUIRE_SSL},
    {"verifyServerCertificate", take_flag, FLAG_VERIFY},
    {"trustServerCertificate", take_mariadb_flag, FLAG_TRUST},
    {"disableSslHostnameVerification", take_mariadb_flag, FLAG_ANY_NAME},
    {"sslMode", take_mode, 0},
    {"trustCertificateKeyStoreUrl", take_ca, 0},
    {"serverSslCert", take_ca, 0},
    {"trustCertificateKeyStoreType", take_ca_type, 0},
    {"allowPublicKeyRetrieval", take_flag, FLAG_FETCH_KEY},
    {"user", take_user, 0},
    {"password", take_password, 0},
    {"characterEncoding", take_charset, 0},
    {"characterSetResults", take_charset, 0},
    {"connectionCollation", take_charset, 0},
    {"allowMultiQueries", pass_over, 0},
    {"autoReconnect", pass_over, 0},
    {"autoReconnectForPools", pass_over, 0},
    {"cachePrepStmts", pass_over, 0},
    {"cacheResultSetMetadata", pass_over, 0},
    {"cacheServerConfiguration", pass_over, 0},
    {"connectionTimeZone", pass_over, 0},
    {"elideSetAutoCommits", pass_over, 0},
    {"failOverReadOnly", pass_over, 0},
    {"forceConnectionTimeZoneToSession", pass_over, 0},
    {"initialTimeout", pass_over, 0},
    {"maintainTimeStats", pass_over, 0},
    {"maxReconnects", pass_over, 0},
    {"nullCatalogMeansCurrent", pass_over, 0},
    {"nullDatabaseMeansCurrent", pass_over, 0},
    {"prepStmtCacheSize", pass_over, 0},
    {"prepStmtCacheSqlLimit", pass_over, 0},
    {"rewriteBatchedStatements", pass_over, 0},
    {"serverTimezone", pass_over, 0},
    {"tcpKeepAlive", pass_over, 0},
    {"tcpNoDelay", pass_over, 0},
    {"tinyInt1isBit", pass_over, 0},
    {"trustCertificateKeyStorePassword", pass_over, 0},
    {"useInformationSchema", pass_over, 0},
    {"useJDBCCompliantTimezoneShift", pass_over, 0},
    {"useLegacyDatetimeCode", pass_over, 0},
    {"useLocalSessionState", pass_over, 0},
    {"useLocalTransactionState", pass_over, 0},
    {"useServerPrepStmts", pass_over, 0},
    {"useTimezone", pass_over, 0},
    {"useUnicode", pass_over, 0},
    {"zeroDateTimeBehavior", pass_over, 0},
};

/* Names know no case, as in both drivers. */
static const struct row *find_row(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (span_ieq(span_str(name), span_str(rows[i].name))) {
            return &rows[i];
        }
    }
    return NULL;
}

/* One KEY=VALUE. *after_password: whether it is what follows a password, which may have had a "&"
 * in it; then it is counted as unknown, but not repeated. */
static int read_param(struct reading *r, struct span part, bool *after_password)
{
    char name[MYSQL_URL_MAX + 1];
    char value[MYSQL_URL_MAX + 1];
    struct span right = part;
    struct span left = span_cut(&right, '=');
    bool is_pair = left.len < part.len;
    if (!is_pair || !mysql_text_decode(span_trim(left), name) ||
        !mysql_text_is_name(span_str(name))) {
        return fail_set(r->fail, E_INVALID,
                        "%s: expected KEY=VALUE between two \"&\" (a \"&\" within a value is %%26)",
                        r->key);
    }
    const struct row *row = find_row(name);
    if (!mysql_text_decode(span_trim(right), value)) {
        return mysql_text_refuse(r->fail, r->key, row ? row->name : "an unknown parameter");
    }
    bool is_after = *after_password;
    *after_password = row && row->take == take_password;
    if (!row) {
        note(r->t, is_after ? "what follows password" : name, NULL);
        return 0;
    }
    return row->take(r, row, value);
}

static int read_params(struct reading *r, struct span query)
{
    bool after_password = false;
    int err = 0;
    while (query.len > 0 && !err) {
        struct span part = span_trim(span_cut(&query, '&'));
        err = part.len > 0 ? read_param(r, part, &after_password) : 0;
    }
    return err;
}

/* TLS */

/* What the parameters before sslMode ask for. In Connector/J the others count only when useSSL is
 * not false; in mariadb's driver useSSL=true means all that can be verified. */
static enum mysql_tls older_mode(const struct reading *r)
{
    if (r->flags[FLAG_USE_SSL] == NO) {
        return MYSQL_TLS_OFF;
    }
    if (r->is_mariadb && r->flags[FLAG_USE_SSL] == YES) {
        if (r->flags[FLAG_TRUST] == YES) {
            return MYSQL_TLS_REQUIRED;
        }
        return r->flags[FLAG_ANY_NAME] == YES ? MYSQL_TLS_VERIFY_CA : MYSQL_TLS_VERIFY_IDENTITY;
    }
    if (r->flags[FLAG_VERIFY] == YES) {
        return MYSQL_TLS_VERIFY_CA;
    }
    return r->flags[FLAG_REQUIRE_SSL] == YES ? MYSQL_TLS_REQUIRED : MYSQL_TLS_PREFERRED;
}

/* Who asked for more than is done must hear of it. */
static void note_contradictions(const struct reading *r, enum mysql_tls older)
{
    static const char *const names[] = {"useSSL", "requireSSL", "verifyServerCertificate"};
    bool is_off = !r->has_mode && older == MYSQL_TLS_OFF;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (r->has_mode && r->flags[i] != UNSAID && older != r->mode) {
            note(r->t, names[i], "sslMode decides");
        } else if (is_off && r->flags[i] == YES) {
            note(r->t, names[i], "useSSL=false decides");
        }
    }
}

/* What is wrong with the text of a certificate's file; NULL: nothing. path: without "file:". */
static const char *ca_problem(const struct reading *r, struct span *path)
{
    static const char *const stores[] = {".jks", ".p12", ".pfx", ".keystore", ".truststore"};
    *path = span_str(r->ca);
    if (mysql_text_skip(path, SPAN("file://")) && (path->len == 0 || path->data[0] != '/')) {
        return "file:///PATH";
    }
    (void)mysql_text_skip(path, SPAN("file:"));
    if (mysql_text_has(*path, ':') || span_starts(*path, SPAN("-----"))) {
        return "the path of a PEM file";
    }
    bool is_store = r->is_store;
    for (size_t i = 0; i < ARRAY_LEN(stores); i++) {
        is_store = is_store || ends_with(*path, span_str(stores[i]));
    }
    return is_store ? "a PEM file (keytool -exportcert -rfc makes one of a key store)" : NULL;
}

static int judge_ca(struct reading *r)
{
    struct span path = {0};
    if (!r->ca_name) {
        return 0;
    }
    if (r->t->tls != MYSQL_TLS_VERIFY_CA && r->t->tls != MYSQL_TLS_VERIFY_IDENTITY) {
        note(r->t, r->ca_name, "no certificate is verified");
        return 0;
    }
    const char *expected = ca_problem(r, &path);
    if (expected) {
        return refuse_value(r, r->ca_name, expected, r->ca);
    }
    return mysql_text_put(r->fail, r->key, r->ca_name, path, r->t->ca_path, sizeof(r->t->ca_path));
}

static int judge(struct reading *r)
{
    enum mysql_tls older = older_mode(r);
    r->t->tls = r->has_mode ? r->mode : older;
    r->t->may_fetch_key = r->flags[FLAG_FETCH_KEY] == YES;
    note_contradictions(r, older);
    return judge_ca(r);
}

int mysql_params_parse(const char *key, struct span query, bool is_mariadb, struct mysql_target *t,
                       struct fail *fail)
{
    ASSERT(query.len <= MYSQL_URL_MAX);
    struct reading r = {.key = key, .t = t, .fail = fail, .is_mariadb = is_mariadb};
    int err = read_params(&r, query);
    return err ? err : judge(&r);
}
