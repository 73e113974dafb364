/* Error codes: one table with name, default text, Nacos error code and HTTP status.
 *
 * Thread:  any; constants only.
 * Use:     fallible functions return 0 or one of these negative codes. Text for people travels in
 *          struct fail.
 * E_PARAM: the parameter check (http-api.md 1.6): over HTTP the bare text and CRLF, over gRPC
 *          after "Param check invalid:".
 * Source:  Nacos 2.5.1 api/.../exception/NacosException.java (codes), http-api.md 1.3 (HTTP status
 *          per cause).
 */
#ifndef NACRE_BASE_ERR_H
#define NACRE_BASE_ERR_H

/* X(name, value, default text, Nacos code, HTTP status). Values never change: logs and tests name
 * them. */
#define ERR_MAP(X)                                                                                 \
    X(E_PARSE, -1, "malformed input", 502, 400)                                                    \
    X(E_INVALID, -2, "invalid parameter", 400, 400)                                                \
    X(E_NOT_FOUND, -3, "not found", 404, 404)                                                      \
    X(E_CONFLICT, -4, "conflict", 409, 409)                                                        \
    X(E_LIMIT, -5, "a limit is reached", 503, 503)                                                 \
    X(E_FORBIDDEN, -6, "no right", 403, 403)                                                       \
    X(E_STARTING, -7, "Server is starting,please try later.", 300, 503)                            \
    X(E_UNREGISTERED, -8, "Connection is unregistered.", 301, 400)                                 \
    X(E_NO_HANDLER, -9, "RequestHandler Not Found", 302, 501)                                      \
    X(E_CLIENT_GONE, -10, "client disconnected", -401, 400)                                        \
    X(E_CLOSED, -11, "closed", 500, 503)                                                           \
    X(E_IO, -12, "input/output error", 500, 500)                                                   \
    X(E_TIMEOUT, -13, "timed out", 500, 503)                                                       \
    X(E_INTERNAL, -14, "server error", 500, 500)                                                   \
    X(E_METHOD, -15, "method not allowed", 501, 501)                                               \
    X(E_MISSING, -16, "a required parameter is missing", 400, 400)                                 \
    X(E_UNSUPPORTED, -17, "not supported", 302, 501)                                               \
    X(E_TOO_LARGE, -18, "too large", 400, 413)                                                     \
    X(E_NOT_LEADER, -19, "not the leader", 500, 503)                                               \
    X(E_PARAM, -20, "a parameter is illegal", 400, 400)                                            \
    X(E_BUSY, -21, "somebody else holds it", 500, 503)                                             \
    X(E_FULL, -22, "the disk is full", 500, 503)                                                   \
    X(E_CORRUPT, -23, "stored data is damaged", 500, 500)                                          \
    X(E_GONE, -24, "the database is away", 500, 503)

enum err {
    E_OK = 0,
#define X(name, value, text, nacos, http) name = value,
    ERR_MAP(X)
#undef X
};

/* The name of a code, for logs ("E_PARSE"); "E_UNKNOWN" for a value outside the table. */
const char *err_name(int err);

/* The default text of a code; "unknown error" for a value outside the table. */
const char *err_text(int err);

/* Nacos's errorCode for a code; 500 for a value outside the table, 0 for 0. */
int err_nacos(int err);

/* The HTTP status for a code; 500 for a value outside the table, 200 for 0. */
int err_http(int err);

#endif
