#include "store/mysql_target.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "store/mysql_params.h"
#include "store/mysql_text.h"

#define ZONE_MAX 15 /* IFNAMSIZ without its NUL */
#define ZONE_TEXT (INET6_ADDRSTRLEN + 1 + ZONE_MAX)
#define FORM "jdbc:mysql://HOST[:PORT][,HOST[:PORT]]/DATABASE[?KEY=VALUE&...]"

/* A URL on its way in. */
struct reading {
    const char *key; /* of the option */
    struct mysql_target *t;
    struct fail *fail;
    bool is_secret; /* an "@" is there: what stands before the "?" may be a password */
};

/* The parts of a URL, not decoded. */
struct parts {
    struct span authority;
    struct span path;
    struct span query;
    bool is_mariadb;
};

/* Hosts */

/* What came is said only where it cannot be a piece of "user:password@". */
static int refuse_host(const struct reading *r, const char *expected, struct span found)
{
    if (r->is_secret) {
        return fail_set(r->fail, E_INVALID, "%s: expected %s", r->key, expected);
    }
    return fail_set(r->fail, E_INVALID, "%s: expected %s, found \"%.*s\"", r->key, expected,
                    SPAN_ARG(mysql_text_shown(found)));
}

/* An IPv6 address, perhaps with a zone (fe80::1%eth0). */
static bool is_ipv6(struct span host)
{
    char text[INET6_ADDRSTRLEN + 1] = {0};
    struct in6_addr parsed;
    struct span zone = host;
    struct span address = span_cut(&zone, '%');
    bool has_zone = address.len < host.len;
    if (address.len >= sizeof(text) || host.len > ZONE_TEXT || (has_zone && zone.len == 0)) {
        return false;
    }
    for (size_t i = 0; i < zone.len; i++) {
        if (zone.data[i] <= ' ' || zone.data[i] > '~' || strchr("%/[]@\"", zone.data[i])) {
            return false;
        }
    }
    memcpy(text, address.data, address.len);
    return inet_pton(AF_INET6, text, &parsed) == 1;
}

static int read_port(const struct reading *r, struct span text, uint16_t *ret)
{
    long long port = MYSQL_PORT;
    if (text.len > 0 && ((text.data[0] < '0' || text.data[0] > '9') || !span_int(text, &port) ||
                         port < 1 || port > UINT16_MAX)) {
        return refuse_host(r, "a port of 1 to 65535", text);
    }
    *ret = (uint16_t)port;
    return 0;
}

/* Cut HOST:PORT or [IPV6]:PORT. No port: empty. */
static int cut_host(const struct reading *r, struct span text, struct span *host, struct span *port)
{
    *port = text;
    if (text.len > 0 && text.data[0] == '[') {
        *host = span_cut(port, ']');
        bool is_closed = host->len < text.len;
        *host = span_of(host->data + 1, host->len - 1);
        if (!is_closed || (port->len > 0 && port->data[0] != ':')) {
            return refuse_host(r, "[IPV6] or [IPV6]:PORT", text);
        }
        (void)span_cut(port, ':');
        return 0;
    }
    *host = span_cut(port, ':');
    if (mysql_text_has(*port, ':')) {
        return refuse_host(r, "HOST:PORT, and brackets around an IPv6 address", text);
    }
    return 0;
}

/* No host at all is this machine, as for Connector/J. */
static int add_host(const struct reading *r, struct span text)
{
    struct span host = {0};
    struct span port = {0};
    char name[MYSQL_URL_MAX + 1];
    if (r->t->hosts_count == MYSQL_HOSTS_MAX) {
        return fail_set(r->fail, E_LIMIT, "%s: expected at most %d hosts", r->key, MYSQL_HOSTS_MAX);
    }
    int err = cut_host(r, text, &host, &port);
    if (err) {
        return err;
    }
    bool is_bracketed = text.len > 0 && text.data[0] == '[';
    bool is_text = mysql_text_decode(host.len || is_bracketed ? host : SPAN("localhost"), name);
    if (is_bracketed && !(is_text && is_ipv6(span_str(name)))) {
        return refuse_host(r, "an IPv6 address within the brackets", host);
    }
    if (!is_bracketed && !(is_text && mysql_text_is_name(span_str(name)))) {
        return refuse_host(r, "a host of letters, digits, \"-\", \"_\" and \".\"", host);
    }
    struct mysql_host *added = &r->t->hosts[r->t->hosts_count];
    err = read_port(r, port, &added->port);
    if (!err) {
        err = mysql_text_put(r->fail, r->key, "host", span_str(name), added->name,
                             sizeof(added->name));
    }
    r->t->hosts_count += err ? 0 : 1;
    return err;
}

static int read_hosts(const struct reading *r, struct span hosts)
{
    bool is_list = mysql_text_has(hosts, ',');
    bool has_more = true;
    int err = 0;
    while (has_more && !err) {
        has_more = mysql_text_has(hosts, ',');
        struct span host = span_trim(span_cut(&hosts, ','));
        if (is_list && host.len == 0) {
            return refuse_host(r, "a host between two commas", SPAN(""));
        }
        err = add_host(r, host);
    }
    return err;
}

/* Users and databases */

/* "user" or "user:password". */
static int read_login(struct reading *r, struct span login)
{
    struct span user = span_cut(&login, ':');
    char text[MYSQL_URL_MAX + 1];
    if (!mysql_text_decode(span_trim(user), text)) {
        return mysql_text_refuse(r->fail, r->key, "user");
    }
    int err = text[0] ? mysql_text_put(r->fail, r->key, "user", span_str(text), r->t->user,
                                       sizeof(r->t->user))
                      : 0;
    if (err) {
        return err;
    }
    if (!mysql_text_decode(span_trim(login), text)) {
        return mysql_text_refuse(r->fail, r->key, "password");
    }
    return text[0] ? mysql_text_put(r->fail, r->key, "password", span_str(text), r->t->password,
                                    sizeof(r->t->password))
                   : 0;
}

/* Connector/J binds "user:password@" to the one host that follows; this target has one user. */
static int read_authority(struct reading *r, struct span authority)
{
    const char *at = authority.len ? memrchr(authority.data, '@', authority.len) : NULL;
    size_t len = at ? (size_t)(at - authority.data) : 0;
    struct span hosts = at ? span_of(at + 1, authority.len - len - 1) : authority;
    if (at && mysql_text_has(authority, ',')) {
        return refuse_host(r, "no user before one of several hosts, but db.user and db.password",
                           authority);
    }
    if (mysql_text_has(hosts, '(')) {
        return refuse_host(r, "hosts as HOST:PORT,HOST:PORT, not as (host=...)(port=...)", hosts);
    }
    int err = at ? read_login(r, span_of(authority.data, len)) : 0;
    return err ? err : read_hosts(r, hosts);
}

/* A "/" or "@" that is not escaped is most likely a piece of a password: it is not repeated. */
static int read_database(const struct reading *r, struct span path)
{
    char name[MYSQL_URL_MAX + 1];
    path = span_trim(path);
    if (mysql_text_has(path, '/') || mysql_text_has(path, '@')) {
        return fail_set(r->fail, E_INVALID,
                        "%s: expected one database after the host (\"/\" within a name or password "
                        "is %%2F, \"@\" is %%40)",
                        r->key);
    }
    if (!mysql_text_decode(path, name)) {
        return mysql_text_refuse(r->fail, r->key, "database");
    }
    struct span trimmed = span_trim(span_str(name));
    if (trimmed.len == 0) {
        return fail_set(r->fail, E_INVALID,
                        "%s: expected a database after the host: jdbc:mysql://HOST:PORT/DATABASE",
                        r->key);
    }
    return mysql_text_put(r->fail, r->key, "database", trimmed, r->t->database,
                          sizeof(r->t->database));
}

/* The URL */

/* The scheme is repeated, and nothing behind it.
 *
 * DIFF(jdbc-urls): Connector/J takes more forms, and waits for ever where nothing else is said. */
static int refuse_scheme(const struct reading *r, struct span place)
{
    const char *end = memmem(place.data, place.len, "//", 2);
    struct span scheme = span_of(place.data, end ? (size_t)(end - place.data) : 0);
    if (!end || r->is_secret) {
        return fail_set(r->fail, E_INVALID, "%s: expected " FORM, r->key);
    }
    return fail_set(r->fail, E_INVALID, "%s: expected " FORM ", found \"%.*s//...\"", r->key,
                    SPAN_ARG(mysql_text_shown(scheme)));
}

/* What follows a "#" counts for nothing, as for Connector/J. */
static int cut_url(struct reading *r, struct span url, struct parts *ret)
{
    if (url.len == 0) {
        return fail_set(r->fail, E_INVALID, "%s: expected " FORM ", found nothing", r->key);
    }
    if (url.len > MYSQL_URL_MAX) {
        return fail_set(r->fail, E_LIMIT, "%s: expected a URL of at most %d bytes, found %zu",
                        r->key, MYSQL_URL_MAX, url.len);
    }
    if (!mysql_text_is_clean(url)) {
        return fail_set(r->fail, E_INVALID,
                        "%s: expected a URL of UTF-8 without control characters", r->key);
    }
    r->is_secret = mysql_text_has(url, '@');
    ret->query = span_cut(&url, '#');
    ret->path = span_cut(&ret->query, '?');
    ret->is_mariadb = mysql_text_skip(&ret->path, SPAN("jdbc:mariadb://"));
    if (!ret->is_mariadb && !mysql_text_skip(&ret->path, SPAN("jdbc:mysql://"))) {
        return refuse_scheme(r, ret->path);
    }
    ret->authority = span_cut(&ret->path, '/');
    return 0;
}

int mysql_target_parse(const char *key, struct span url, struct mysql_target *ret,
                       struct fail *fail)
{
    struct mysql_target t = {.connect_ms = MYSQL_CONNECT_MS, .io_ms = MYSQL_IO_MS};
    struct reading r = {.key = key, .t = &t, .fail = fail};
    struct parts parts = {0};
    int err = cut_url(&r, span_trim(url), &parts);
    if (!err) {
        err = mysql_params_parse(key, parts.query, parts.is_mariadb, &t, fail);
    }
    /* After the parameters, because the user before the host wins, as for Connector/J. */
    if (!err) {
        err = read_authority(&r, span_trim(parts.authority));
    }
    if (!err) {
        err = read_database(&r, parts.path);
    }
    if (!err) {
        *ret = t;
    }
    return err;
}

void mysql_target_text(const struct mysql_target *t, size_t host, char *dst)
{
    ASSERT(host < t->hosts_count);
    const struct mysql_host *h = &t->hosts[host];
    bool is_ipv6 = strchr(h->name, ':') != NULL;
    (void)snprintf(dst, MYSQL_TARGET_TEXT, "%s%s%s%s%s:%u/%s", t->user, t->user[0] ? "@" : "",
                   is_ipv6 ? "[" : "", h->name, is_ipv6 ? "]" : "", (unsigned)h->port, t->database);
}
