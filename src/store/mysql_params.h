/* What the parameters of a JDBC URL mean for a C client.
 *
 * TLS as Connector/J 8 decides it: sslMode when it is there; else useSSL=false is off whatever the
 * others say, verifyServerCertificate=true verifies the CA, requireSSL=true encrypts, and nothing
 * said is PREFERRED. For jdbc:mariadb, useSSL=true verifies CA and name, unless
 * trustServerCertificate or disableSslHostnameVerification loosen it. Who asked for more than is
 * done finds it in `ignored`, as every parameter that is not known: "requireSSL (useSSL=false
 * decides)". Of a parameter that is there twice the last one counts. Names know no case.
 *
 * Thread:  any; pure.
 * Limits:  MYSQL_URL_MAX bytes, which the caller has checked (asserted).
 * Errors:  E_INVALID and E_LIMIT name option and parameter, what was expected and, unless it may be
 *          a piece of a password, what came.
 * Source:  Connector/J 8 DefaultPropertySet.java, ConnectionUrlParser.java; MariaDB Connector/J 3
 *          SslMode.java; semantics.md 3.6.
 */
#ifndef NACRE_STORE_MYSQL_PARAMS_H
#define NACRE_STORE_MYSQL_PARAMS_H

#include <stdbool.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"
#include "store/mysql_target.h"

/* Read "KEY=VALUE&..." (clean text) into t, which holds defaults; of an error t is of no use. */
MUST_USE int mysql_params_parse(const char *key, struct span query, bool is_mariadb,
                                struct mysql_target *t, struct fail *fail);

#endif
