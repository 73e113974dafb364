/* Where a MySQL database is and how it is spoken to: Nacos's JDBC URLs, read.
 *
 * jdbc:mysql://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]]/DATABASE[?KEY=VALUE&...], also
 * jdbc:mariadb:, IPv6 in brackets. Several hosts of one URL are tried in order; no host is
 * localhost, no port is 3306, %XX and "+" are undone everywhere, "#" ends the URL, all as
 * Connector/J does it. A user may stand before a single host only, and wins over the parameter.
 * address=(host=..)(port=..), (host=..,port=..) and other schemes (loadbalance, replication, srv)
 * are refused with what to write instead.
 *
 * Parameters that mean something here: connectTimeout, socketTimeout (ms; 0, for ever in Java, is
 * the default), useSSL, requireSSL, verifyServerCertificate, sslMode (and mariadb's),
 * trustCertificateKeyStoreUrl and serverSslCert (PEM files only), allowPublicKeyRetrieval, user and
 * password. Those that a C client needs not (useUnicode, characterEncoding of UTF-8, autoReconnect,
 * serverTimezone, ...) are known and passed over; every other one is named in `ignored`, which the
 * caller logs once. mysql_params.h says what wins when parameters contradict each other.
 *
 * Thread:  any; pure.
 * Owns:    plain data, texts inside.
 * Limits:  MYSQL_HOSTS_MAX hosts a URL, MYSQL_URL_MAX bytes, and those of the texts: E_LIMIT.
 * Errors:  E_INVALID names the key (db.url.0), what was expected and what came, never a password:
 *          where an unescaped one may have torn the URL apart, nothing is repeated.
 * Source:  semantics.md 3.6; Nacos 2.5.1 ExternalDataSourceProperties.java; Connector/J 8
 *          ConnectionUrlParser.java.
 */
#ifndef NACRE_STORE_MYSQL_TARGET_H
#define NACRE_STORE_MYSQL_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

#define MYSQL_HOSTS_MAX 8
#define MYSQL_HOST_MAX 256
#define MYSQL_NAME_MAX 128 /* of user and database */
#define MYSQL_PASSWORD_MAX 256
#define MYSQL_PATH_MAX 1024
#define MYSQL_URL_MAX 2048
#define MYSQL_PORT 3306
#define MYSQL_CONNECT_MS 3000 /* unless the URL says otherwise */
#define MYSQL_IO_MS 5000
#define MYSQL_WAIT_MS_MAX INT32_MAX /* of both, as in Java */

enum mysql_tls {
    MYSQL_TLS_PREFERRED, /* when the server offers it */
    MYSQL_TLS_OFF,
    MYSQL_TLS_REQUIRED, /* encrypted, certificate not judged */
    MYSQL_TLS_VERIFY_CA,
    MYSQL_TLS_VERIFY_IDENTITY, /* and its name */
};

struct mysql_host {
    char name[MYSQL_HOST_MAX];
    uint16_t port;
};

/* Plain data. */
struct mysql_target {
    struct mysql_host hosts[MYSQL_HOSTS_MAX];
    size_t hosts_count;
    char database[MYSQL_NAME_MAX];
    char user[MYSQL_NAME_MAX];
    char password[MYSQL_PASSWORD_MAX]; /* never logged */
    enum mysql_tls tls;
    char ca_path[MYSQL_PATH_MAX]; /* PEM; empty: the system's */
    bool may_fetch_key;           /* allowPublicKeyRetrieval */
    uint32_t connect_ms;
    uint32_t io_ms;              /* reads and writes */
    char ignored[MYSQL_URL_MAX]; /* parameters that mean nothing here, "a, b"; empty: none */
};

/* Read url, which the option `key` gave. user and password of the URL's parameters are taken when
 * it has them, else they stay empty. ret is written on success only. */
MUST_USE int mysql_target_parse(const char *key, struct span url, struct mysql_target *ret,
                                struct fail *fail);

#define MYSQL_TARGET_TEXT (MYSQL_NAME_MAX + MYSQL_HOST_MAX + MYSQL_NAME_MAX + 16)

/* "user@host:port/database", for messages; of the given host (below hosts_count), IPv6 in brackets.
 * dst is MYSQL_TARGET_TEXT bytes. */
void mysql_target_text(const struct mysql_target *t, size_t host, char *dst);

#endif
