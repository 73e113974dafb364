#include "node/options.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/json_out.h"
#include "node/placeholder.h"
#include "node/properties.h"

#define OPTIONS_FILE_MAX (4u << 20)
#define OPTIONS_ARENA_MAX (32u << 20)
#define OPTIONS_TEXT_MAX                                                                           \
    2048 /* bytes of a text value; a file may repeat a key PROPERTIES_MAX times */

enum option_type { OPTION_INT, OPTION_BOOL, OPTION_STR };

struct option_row {
    const char *key;
    const char *alias; /* an older or relaxed spelling, or NULL */
    const char *env;   /* the docker image's variable, or NULL */
    enum option_type type;
    size_t offset;
    int64_t min;
    int64_t max;
    const char *dflt;
    const char *choices; /* OPTION_STR: comma list, or NULL for any text */
    const char *what;
};

#define AT(field) offsetof(struct options, field)
#define INT(key, alias, env, field, min, max, dflt, what)                                          \
    {                                                                                              \
        key, alias, env, OPTION_INT, AT(field), min, max, dflt, NULL, what                         \
    }
#define BOOL(key, alias, env, field, dflt, what)                                                   \
    {                                                                                              \
        key, alias, env, OPTION_BOOL, AT(field), 0, 0, dflt, NULL, what                            \
    }
#define STR(key, alias, env, field, dflt, choices, what)                                           \
    {                                                                                              \
        key, alias, env, OPTION_STR, AT(field), 0, 0, dflt, choices, what                          \
    }

#define HOUR_MS INT64_C(3600000)

static const struct option_row rows[] = {
    INT("server.port", NULL, "NACOS_APPLICATION_PORT", server_port, 1, 64534, "8848",
        "main port: HTTP; clients' gRPC is this + 1000, peers' + 1001"),
    STR("server.address", NULL, NULL, server_address, "0.0.0.0", NULL,
        "address to listen on; 0.0.0.0 is every address, IPv6 too"),
    STR("server.servlet.contextPath", "server.servlet.context-path", "SERVER_SERVLET_CONTEXTPATH",
        context_path, "/nacos", NULL, "prefix of every HTTP path"),
    STR("nacre.data", NULL, NULL, data_dir, "data", NULL,
        "data directory, made with mode 0700, used by one node at a time (--data)"),
    STR("nacre.log.level", NULL, NULL, log_level, "info", "error,warn,info,debug",
        "lines above this level are not written"),
    STR("nacre.log.file", NULL, NULL, log_file, "", NULL,
        "log to this file instead of standard output"),
    INT("nacre.log.size-max", NULL, NULL, log_size_max, 65536, INT64_MAX, "67108864",
        "bytes after which the log file is begun again (one old file is kept)"),
    INT("nacre.connections.max", NULL, NULL, connections_max, 1, 1000000, "20000",
        "gRPC client connections in all; more are refused with the reason"),
    INT("nacre.connections.max-per-ip", NULL, NULL, connections_max_per_ip, 1, 1000000, "20000",
        "gRPC client connections from one address"),
    INT("nacre.http.connections.max", NULL, NULL, http_connections_max, 1, 1000000, "4096",
        "HTTP connections in all"),
    INT("nacre.http.connections.max-per-ip", NULL, NULL, http_connections_max_per_ip, 1, 1000000,
        "4096", "HTTP connections from one address"),
    INT("nacre.http.idle-timeout", NULL, NULL, http_idle_timeout_ms, 1000, HOUR_MS, "60000",
        "ms after which a silent HTTP connection is closed"),
    INT("nacos.remote.server.grpc.sdk.max-inbound-message-size",
        "nacos.remote.server.grpc.maxinbound.message.size", NULL, grpc_receive_max, 65536, 1 << 28,
        "10485760", "bytes of the largest gRPC message taken"),
    INT("nacos.remote.server.grpc.sdk.keep-alive-time", NULL, NULL, grpc_keepalive_ms, 1000,
        24 * HOUR_MS, "60000", "ms between HTTP/2 pings to a silent client"),
    INT("nacos.remote.server.grpc.sdk.keep-alive-timeout", NULL, NULL, grpc_keepalive_timeout_ms,
        1000, HOUR_MS, "20000", "ms to wait for the answer to such a ping"),
    INT("nacos.naming.push.pushTaskDelay", NULL, NULL, push_window_ms, 0, 60000, "10",
        "ms after a push during which further changes of the service are merged"),
    INT("nacre.naming.push.window-max", NULL, NULL, push_window_max_ms, 0, 60000, "500",
        "ms to which that window may grow while clients are slow to ack"),
    INT("nacos.naming.push.pushTaskTimeout", NULL, NULL, push_ack_timeout_ms, 100, 600000, "5000",
        "ms to wait for the ack of a push"),
    INT("nacos.naming.push.pushTaskRetryDelay", NULL, NULL, push_retry_ms, 10, 600000, "1000",
        "ms before an unanswered push is repeated; doubled each time, at most 30 s"),
    INT("nacre.naming.push.tries-max", NULL, NULL, push_tries_max, 1, 1000, "10",
        "pushes of one state before the subscriber waits for the next change"),
    BOOL("nacos.naming.expireInstance", NULL, NULL, expire_instances, "true",
         "remove instances of HTTP clients that send no more beats"),
    INT("nacos.naming.clean.empty-service.expired-time", NULL, NULL, empty_service_ms, 1000,
        24 * HOUR_MS, "60000", "ms after which a service without instances is forgotten"),
    INT("nacos.naming.clean.empty-service.interval", NULL, NULL, clean_interval_ms, 1000,
        24 * HOUR_MS, "60000", "ms between two looks for such services"),
    INT("nacos.naming.clean.expired-metadata.expired-time", NULL, NULL, overlay_expire_ms, 1000,
        24 * HOUR_MS, "60000",
        "ms after which what an operator set over a gone instance is forgotten"),
    INT("nacre.naming.restart-grace", NULL, NULL, restart_grace_ms, 0, HOUR_MS, "30000",
        "ms after a restart during which instances of the life before wait for their clients"),
    INT("nacre.config.memory.max", NULL, NULL, config_memory_max, 0, INT64_MAX, "268435456",
        "bytes of config contents kept in memory (32MB); others are read from disk when asked for"),
    INT("maxContent", NULL, NULL, config_content_max, 1, 10485760, "10485760",
        "characters of the largest config content taken"),
    INT("nacos.config.gray.version.max.count", NULL, NULL, config_gray_max, 1, 100, "10",
        "beta and tag versions of one config"),
    INT("nacos.config.retention.days", NULL, NULL, config_history_days, 0, 36500, "30",
        "days that a config's history is kept; 0 is for ever"),
    INT("nacos.config.push.maxRetryTime", NULL, NULL, config_notify_tries, 1, 1000, "50",
        "change notices to a client that does not react, before its connection is closed"),
    STR("nacos.config.read", NULL, NULL, config_read, "lease", "lease,local",
        "reads of configs in a cluster: lease, never older than an answered write; local, what the "
        "node has"),
    INT("nacre.config.polls.max", NULL, NULL, config_polls_max, 1, 1000000, "20000",
        "long polls of 1.x clients held at a time"),
    INT("nacre.config.listens.max", NULL, NULL, config_listens_max, 1, INT64_C(100000000),
        "5000000", "listened configs of all connections together"),
    INT("nacre.log.snapshot-entries", NULL, NULL, log_snapshot_entries, 64, INT64_C(10000000),
        "50000", "entries after which the log is cut at a snapshot"),
    STR("nacre.members", NULL, NULL, members, "", NULL,
        "members of the cluster, host:port of their main ports, comma or blank between "
        "(--members)"),
    STR("nacre.members.servers", NULL, "NACOS_SERVERS", member_servers, "", NULL,
        "the same, as the docker image has it"),
    STR("nacos.member.list", NULL, NULL, member_list, "", NULL,
        "the same, as Nacos's property; the others come first"),
    STR("nacre.members.file", NULL, NULL, cluster_conf, "conf/cluster.conf", NULL,
        "file with the members, one a line; looked at when it is there"),
    STR("nacos.core.cluster.secret", NULL, NULL, cluster_secret, "", NULL,
        "shared by all members: proves a node with an empty directory; not needed otherwise"),
    STR("nacos.core.cluster.repin", NULL, NULL, cluster_repin, "auto", "auto,secret,never",
        "how a new key at a member's address is taken in"),
    STR("nacos.naming.registration", NULL, NULL, naming_registration, "quorum",
        "quorum,local,strict",
        "of several nodes: answered when a majority has it, or after 0.8 s without one; at once; "
        "or "
        "refused without one"),
    BOOL("nacre.cluster.force", NULL, NULL, cluster_force, "false",
         "begin a cluster of this node alone, by order of the operator"),
    INT("nacre.stop.grace", NULL, NULL, stop_grace_ms, 0, 600000, "3000",
        "ms that a stopping node gives its clients to leave"),
    BOOL("nacre.prometheus", NULL, NULL, prometheus, "true", "serve /actuator/prometheus"),
    BOOL("nacos.core.auth.enabled", NULL, "NACOS_AUTH_ENABLE", auth_enabled, "false",
         "not in this version: true is refused"),
    BOOL("nacos.remote.server.rpc.tls.enableTls", NULL, NULL, tls_enabled, "false",
         "not in this version: true is refused"),
    STR("spring.datasource.platform", "spring.sql.init.platform", "SPRING_DATASOURCE_PLATFORM",
        datasource_platform, "", ",derby", "not in this version: mysql is refused"),
};

/* Keys of Nacos that are accepted without a word: they configure its Java, or parts that this
 * version does not have and whose absence nobody can mistake for their presence. A trailing '.'
 * matches the whole family. */
static const char *const known_elsewhere[] = {
    "spring.",
    "management.",
    "server.tomcat.",
    "server.error.",
    "db.",
    "nacos.istio.",
    "nacos.cmdb.",
    "nacos.k8s.",
    "nacos.config.",
    "nacos.console.",
    "nacos.security.",
    "nacos.core.auth.",
    "nacos.core.",
    "nacos.inetutils.",
    "nacos.standalone",
    "nacos.functionMode",
    "nacos.home",
    "nacos.member.",
    "nacos.prometheus.",
    "nacos.remote.",
    "nacos.plugin.",
    "nacos.naming.data.",
    "nacos.naming.distro.",
    "nacos.naming.client.",
    "nacos.naming.empty-service.",
    "nacos.naming.clean.",
    "nacos.naming.service.",
    "nacos.server.",
    "nacos.gray.",
    "nacos.extension.",
    "nacos.persistence.",
    "nacos.web.",
    "nacos.custom.",
    "nacos.watch-file.",
    "nacos.member-change-event.",
    "server.max-http-header-size",
    "server.ssl.",
    "server.servlet.",
    "ldap.",
    "logging.",
    "isManageCapacity",
    "isCapacityLimitCheck",
    "tls.",
    "dumpChangeOn",
    "dumpChangeWorkerInterval",
    "isHealthCheck",
    "maxHealthCheckFailCount",
};

static const struct option_row *find_row(struct span key)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (span_eq(key, span_str(rows[i].key)) ||
            (rows[i].alias && span_eq(key, span_str(rows[i].alias)))) {
            return &rows[i];
        }
    }
    return NULL;
}

static bool is_known_elsewhere(struct span key)
{
    for (size_t i = 0; i < ARRAY_LEN(known_elsewhere); i++) {
        struct span k = span_str(known_elsewhere[i]);
        bool family = k.data[k.len - 1] == '.';
        if (family ? span_starts(key, k) : span_eq(key, k)) {
            return true;
        }
    }
    return false;
}

/* Levenshtein distance, for "did you mean"; names are short. */
static size_t distance(struct span a, struct span b)
{
    size_t row[256];
    if (a.len >= ARRAY_LEN(row) || b.len >= ARRAY_LEN(row)) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b.len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t swap = diagonal + (a.data[i - 1] != b.data[j - 1]);
            size_t step = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = swap < step ? swap : step;
        }
    }
    return row[b.len];
}

static const char *nearest(struct span key)
{
    const char *best = rows[0].key;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t d = distance(key, span_str(rows[i].key));
        if (d < best_distance) {
            best_distance = d;
            best = rows[i].key;
        }
    }
    return best;
}

/* The environment variable of a key: the docker image's, else its relaxed name. NULL data when
 * there is none. */
static struct span env_of_row(const struct options_source *source, const struct option_row *row,
                              const char **ret_name, struct arena *arena)
{
    if (row->env) {
        struct span v = environment_get(source->environment, span_str(row->env));
        if (v.data && v.len) {
            *ret_name = row->env;
            return v;
        }
    }
    size_t len = strlen(row->key);
    char *name = arena_alloc(arena, len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = row->key[i];
        if (c == '.') {
            name[n++] = '_';
        } else if (c != '-') {
            name[n++] = (char)toupper((unsigned char)c);
        }
    }
    *ret_name = name;
    return environment_get(source->environment, span_of(name, n));
}

/* A whole number, or one with a unit of bytes: 64KB, 32MB, 1GB. */
static bool parse_int(struct span v, long long *ret)
{
    static const struct {
        struct span unit;
        long long factor;
    } units[] = {{{"KB", 2}, 1LL << 10}, {{"MB", 2}, 1LL << 20}, {{"GB", 2}, 1LL << 30}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t len = units[i].unit.len;
        if (v.len > len && span_ieq(span_of(v.data + v.len - len, len), units[i].unit)) {
            long long n = 0;
            bool ok = span_int(span_trim(span_of(v.data, v.len - len)), &n) && n >= 0 &&
                      n <= INT64_MAX / units[i].factor;
            *ret = ok ? n * units[i].factor : 0;
            return ok;
        }
    }
    return span_int(v, ret);
}

static bool parse_bool(struct span v, bool *ret)
{
    if (span_ieq(v, SPAN("true")) || span_ieq(v, SPAN("yes")) || span_ieq(v, SPAN("on")) ||
        span_eq(v, SPAN("1"))) {
        *ret = true;
        return true;
    }
    if (span_ieq(v, SPAN("false")) || span_ieq(v, SPAN("no")) || span_ieq(v, SPAN("off")) ||
        span_eq(v, SPAN("0"))) {
        *ret = false;
        return true;
    }
    return false;
}

static bool is_choice(const char *choices, struct span v)
{
    struct span rest = span_str(choices);
    bool more = true;
    while (more) {
        more = memchr(rest.data, ',', rest.len) != NULL;
        if (span_eq(span_cut(&rest, ','), v)) {
            return true;
        }
    }
    return false;
}

/* Store value in o. where: "file conf/x line 3", "environment variable X", "command line". */
static int set_value(struct options *o, const struct option_row *row, struct span value,
                     const char *where, struct fail *fail)
{
    value = span_trim(value);
    char *field = (char *)o + row->offset;
    if (row->type == OPTION_STR) {
        if (row->choices && !is_choice(row->choices, value)) {
            return fail_set(fail, E_INVALID, "%s: %s: expected one of %s, got \"%.*s\"", where,
                            row->key, row->choices, SPAN_ARG(value));
        }
        if (value.len > OPTIONS_TEXT_MAX) {
            return fail_set(fail, E_INVALID, "%s: %s: expected at most %d bytes, got %zu", where,
                            row->key, OPTIONS_TEXT_MAX, value.len);
        }
        *(const char **)(void *)field = arena_str(&o->arena, value);
        return 0;
    }
    if (row->type == OPTION_BOOL) {
        if (!parse_bool(value, (bool *)(void *)field)) {
            return fail_set(fail, E_INVALID, "%s: %s: expected true or false, got \"%.*s\"", where,
                            row->key, SPAN_ARG(value));
        }
        return 0;
    }
    long long n = 0;
    if (!parse_int(value, &n) || n < row->min || n > row->max) {
        return fail_set(fail, E_INVALID,
                        "%s: %s: expected a whole number from %lld to %lld, got \"%.*s\"", where,
                        row->key, (long long)row->min, (long long)row->max, SPAN_ARG(value));
    }
    *(int64_t *)(void *)field = n;
    return 0;
}

static int load_defaults(struct options *o, struct fail *fail)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int err = set_value(o, &rows[i], span_str(rows[i].dflt), "default", fail);
        if (err) {
            return err;
        }
    }
    return 0;
}

static int read_file(const char *path, bool required, struct arena *arena, struct span *ret,
                     struct fail *fail)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        if (!required && errno == ENOENT) {
            *ret = (struct span){0};
            return 0;
        }
        return fail_set(fail, E_IO, "cannot read the configuration file %s: %s", path,
                        strerror(errno));
    }
    char *text = arena_alloc(arena, OPTIONS_FILE_MAX);
    size_t len = fread(text, 1, OPTIONS_FILE_MAX, f);
    int err = ferror(f) ? fail_set(fail, E_IO, "cannot read %s: %s", path, strerror(errno)) : 0;
    if (!err && len == OPTIONS_FILE_MAX) {
        err = fail_set(fail, E_LIMIT, "%s: larger than %u bytes", path, OPTIONS_FILE_MAX);
    }
    fclose(f);
    *ret = span_of(text, len);
    return err;
}

static int set_from_file(struct options *o, const struct options_source *source,
                         const struct option_row *row, const struct property *entry,
                         struct fail *fail)
{
    char where[FAIL_TEXT_MAX];
    snprintf(where, sizeof(where), "%s line %u", source->config_path, entry->line);
    struct json_out text;
    json_init(&text, 0);
    placeholder_resolve(source->environment, entry->value, &text);
    int err =
        json_text(&text).len > PLACEHOLDER_TEXT_MAX
            ? fail_set(fail, E_LIMIT, "%s: %s: over %d bytes once its placeholders are replaced",
                       where, row->key, PLACEHOLDER_TEXT_MAX)
            : set_value(o, row, json_text(&text), where, fail);
    json_close(&text);
    return err;
}

static int load_file(struct options *o, const struct options_source *source, struct arena *scratch,
                     struct fail *fail)
{
    if (!source->config_path) {
        return 0;
    }
    struct span text = {0};
    int err = read_file(source->config_path, source->config_required, scratch, &text, fail);
    if (err) {
        return err;
    }
    struct property *list = NULL;
    size_t count = 0;
    struct fail why = {0};
    err = properties_parse(text, scratch, &list, &count, &why);
    if (err) {
        return fail_set(fail, err, "%s: %s", source->config_path, fail_text(&why));
    }
    for (size_t i = 0; i < count; i++) {
        const struct option_row *row = find_row(list[i].key);
        if (!row) {
            if (source->warnings && !is_known_elsewhere(list[i].key)) {
                fprintf(source->warnings,
                        "nacre: %s line %u: unknown key %.*s has no effect; did you mean %s?\n",
                        source->config_path, list[i].line, SPAN_ARG(list[i].key),
                        nearest(list[i].key));
            }
            continue;
        }
        err = set_from_file(o, source, row, &list[i], fail);
        if (err) {
            return err;
        }
    }
    return 0;
}

static int load_environment(struct options *o, const struct options_source *source,
                            struct arena *scratch, struct fail *fail)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *name = NULL;
        struct span v = env_of_row(source, &rows[i], &name, scratch);
        if (!v.data) {
            continue;
        }
        struct span where = arena_printf(scratch, "environment variable %s", name);
        int err = set_value(o, &rows[i], v, where.data, fail);
        if (err) {
            return err;
        }
    }
    return 0;
}

static int load_args(struct options *o, const struct options_source *source, struct fail *fail)
{
    for (size_t i = 0; i < source->args_count; i++) {
        const struct option_arg *a = &source->args[i];
        const struct option_row *row = find_row(a->key);
        if (!row && is_known_elsewhere(a->key)) {
            continue;
        }
        if (!row) {
            return fail_set(
                fail, E_INVALID,
                "command line: unknown key %.*s; did you mean %s? (nacre --help lists all)",
                SPAN_ARG(a->key), nearest(a->key));
        }
        int err = set_value(o, row, a->value, "command line", fail);
        if (err) {
            return err;
        }
    }
    return 0;
}

/* What this version does not do must not be believed to be on. */
static int refuse_promises(const struct options *o, struct fail *fail)
{
    if (o->auth_enabled) {
        return fail_set(fail, E_UNSUPPORTED,
                        "nacos.core.auth.enabled=true: this version has no authentication yet and "
                        "does not start as if it had; set it to false to run open");
    }
    if (o->tls_enabled) {
        return fail_set(fail, E_UNSUPPORTED,
                        "nacos.remote.server.rpc.tls.enableTls=true: this version has no TLS for "
                        "clients yet and does not start as if it had; set it to false");
    }
    return 0;
}

static int check_together(const struct options *o, struct fail *fail)
{
    const char *p = o->context_path;
    size_t len = strlen(p);
    if (len && (p[0] != '/' || (len > 1 && p[len - 1] == '/'))) {
        return fail_set(
            fail, E_INVALID,
            "server.servlet.contextPath: expected a path like /nacos, or empty, got \"%s\"", p);
    }
    return refuse_promises(o, fail);
}

int options_load(struct options *o, const struct options_source *source, struct fail *fail)
{
    struct arena scratch;
    arena_init(&scratch, OPTIONS_ARENA_MAX);
    memset(o, 0, sizeof(*o));
    arena_init(&o->arena, OPTIONS_ARENA_MAX);

    int err = load_defaults(o, fail);
    if (!err) {
        err = load_file(o, source, &scratch, fail);
    }
    if (!err) {
        err = load_environment(o, source, &scratch, fail);
    }
    if (!err) {
        err = load_args(o, source, fail);
    }
    if (!err) {
        err = check_together(o, fail);
    }
    if (!err && strcmp(o->context_path, "/") == 0) {
        o->context_path = "";
    }
    arena_close(&scratch);
    if (err) {
        options_close(o);
    }
    return err;
}

void options_close(struct options *o)
{
    arena_close(&o->arena);
}

void options_print(FILE *to)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct option_row *r = &rows[i];
        fprintf(to, "  %s=%s\n      %s", r->key, r->dflt, r->what);
        if (r->type == OPTION_INT && r->max == INT64_MAX) {
            fprintf(to, " (at least %lld)", (long long)r->min);
        } else if (r->type == OPTION_INT) {
            fprintf(to, " (%lld to %lld)", (long long)r->min, (long long)r->max);
        } else if (r->type == OPTION_STR && r->choices && r->choices[0] != ',') {
            fprintf(to, " (%s)", r->choices);
        }
        fprintf(to, "\n");
        if (r->env) {
            fprintf(to, "      environment: %s\n", r->env);
        }
    }
}
