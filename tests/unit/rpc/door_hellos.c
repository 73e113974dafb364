#include "door_hellos.h"

#include <string.h>

#include "base/assert.h"

#define RECORD_HEAD 5
#define MESSAGE_HEAD 4

struct hello hello_of_openssl(const char *name, int version, const char *alpn)
{
    struct hello h = {0};
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    ASSERT(ctx != NULL);
    if (version) {
        ASSERT(SSL_CTX_set_min_proto_version(ctx, version) == 1);
        ASSERT(SSL_CTX_set_max_proto_version(ctx, version) == 1);
    }
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out); /* takes both */
    SSL_set_connect_state(ssl);
    if (name) {
        ASSERT(SSL_set_tlsext_host_name(ssl, name) == 1);
    }
    if (alpn) {
        unsigned char list[32] = {(unsigned char)strlen(alpn)};
        memcpy(list + 1, alpn, list[0]);
        ASSERT(SSL_set_alpn_protos(ssl, list, 1u + list[0]) == 0);
    }
    ASSERT(SSL_do_handshake(ssl) < 0); /* wants the server's answer */
    int got = BIO_read(out, h.bytes, sizeof(h.bytes));
    ASSERT(got > 0);
    h.len = (size_t)got;
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return h;
}

static void put(struct hello *h, size_t number, size_t width)
{
    for (size_t i = width; i-- > 0;) {
        h->bytes[h->len++] = (uint8_t)(number >> (8 * i));
    }
}

static void put_zeros(struct hello *h, size_t count)
{
    memset(h->bytes + h->len, 0, count);
    h->len += count;
}

struct hello hello_made(const struct hello_parts *parts)
{
    struct hello h = {.len = RECORD_HEAD + MESSAGE_HEAD};
    put(&h, 0x0303, 2);
    put_zeros(&h, 32);
    put(&h, parts->session_len, 1);
    put_zeros(&h, parts->session_len);
    size_t ciphers = parts->ciphers_len ? parts->ciphers_len : 2;
    put(&h, ciphers, 2);
    put_zeros(&h, ciphers);
    put(&h, parts->no_compression ? 0 : 1, 1);
    put_zeros(&h, parts->no_compression ? 0 : 1);
    if (!parts->no_extensions) {
        put(&h, parts->extensions_len, 2);
        if (parts->extensions_len) {
            memcpy(h.bytes + h.len, parts->extensions, parts->extensions_len);
        }
        h.len += parts->extensions_len;
        put_zeros(&h, parts->trailing);
    }
    size_t len = h.len;
    h.len = 0;
    put(&h, 0x160301, 3);
    put(&h, len - RECORD_HEAD, 2);
    put(&h, 1, 1);
    put(&h, len - RECORD_HEAD - MESSAGE_HEAD, 3);
    h.len = len;
    return h;
}
