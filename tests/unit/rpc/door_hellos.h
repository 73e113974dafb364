/* ClientHellos for tests: real ones from OpenSSL, and ones put together with chosen faults.
 *
 * Thread: the test's.
 */
#ifndef NACRE_TESTS_RPC_DOOR_HELLOS_H
#define NACRE_TESTS_RPC_DOOR_HELLOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

/* Plain data, with room behind the hello. */
struct hello {
    uint8_t bytes[4096];
    size_t len;
};

/* What OpenSSL's client sends first. name: server_name, NULL for none; version: TLS1_2_VERSION or
 * TLS1_3_VERSION, or 0 for both; alpn: one protocol, or NULL. */
struct hello hello_of_openssl(const char *name, int version, const char *alpn);

/* Zero: a well-formed one without extensions in its list. */
struct hello_parts {
    uint8_t session_len;
    size_t ciphers_len; /* 0: two bytes */
    bool no_compression;
    bool no_extensions; /* not even their length */
    const uint8_t *extensions;
    size_t extensions_len;
    size_t trailing; /* bytes behind the extensions, inside the message */
};
struct hello hello_made(const struct hello_parts *parts);

#endif
