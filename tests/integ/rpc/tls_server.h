/* A TLS server behind the door's way for peers, and the client's side of it by OpenSSL.
 *
 * Thread: the test's; the server has one of its own.
 */
#ifndef NACRE_TESTS_RPC_TLS_SERVER_H
#define NACRE_TESTS_RPC_TLS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/door_way.h"

struct tls_server;

/* With a certificate made for it. grpc_init must have been called. */
struct tls_server *tls_server_start(void);
struct door_way *tls_server_way(struct tls_server *s);

/* No door may have its way any more. */
void tls_server_stop(struct tls_server *s);

/* The first message of a TLS client, alone. Plain data. */
struct tls_hello {
    uint8_t bytes[2048];
    size_t len;
};
struct tls_hello tls_hello(const char *name);

/* Do the whole TLS handshake over fd and read the server's SETTINGS: true when all that worked
 * within five seconds. slowly: the hello goes out a byte at a time. */
bool tls_says_hello(int fd, const char *name, bool slowly);

#endif
