#include "tls_server.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <grpc/grpc_security.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/thread.h"

#define WAIT_MS 5000

struct tls_server {
    struct door_way way;
    grpc_server *server;
    grpc_completion_queue *cq;
    pthread_t thread;
};

/* PEM as a string of its own. */
static char *text_of(BIO *take_bio)
{
    char *data = NULL;
    long len = BIO_get_mem_data(take_bio, &data);
    char *text = calloc(1, (size_t)len + 1);
    memcpy(text, data, (size_t)len);
    BIO_free(take_bio);
    return text;
}

static void make_certificate(char **ret_key, char **ret_cert)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    ASSERT(key && cert);
    X509_NAME *name = X509_get_subject_name(cert);
    ASSERT(X509_set_version(cert, 2) == 1);
    ASSERT(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1);
    ASSERT(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                      (const unsigned char *)"peer.nacre.internal", -1, -1,
                                      0) == 1);
    ASSERT(X509_set_issuer_name(cert, name) == 1);
    ASSERT(X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL);
    ASSERT(X509_gmtime_adj(X509_getm_notAfter(cert), 3600) != NULL);
    ASSERT(X509_set_pubkey(cert, key) == 1);
    ASSERT(X509_sign(cert, key, EVP_sha256()) > 0);
    BIO *key_out = BIO_new(BIO_s_mem());
    BIO *cert_out = BIO_new(BIO_s_mem());
    ASSERT(PEM_write_bio_PrivateKey(key_out, key, NULL, NULL, 0, NULL, NULL) == 1);
    ASSERT(PEM_write_bio_X509(cert_out, cert) == 1);
    *ret_key = text_of(key_out);
    *ret_cert = text_of(cert_out);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void *serve(void *arg)
{
    struct tls_server *s = arg;
    /* No call is ever asked for, so the only thing that comes is the end of the server. */
    (void)grpc_completion_queue_next(s->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    return NULL;
}

struct tls_server *tls_server_start(void)
{
    struct tls_server *s = calloc(1, sizeof(*s));
    s->way.name = DOOR_WAY_PEER;
    grpc_arg arg = door_way_arg(&s->way);
    grpc_channel_args args = {.num_args = 1, .args = &arg};
    s->server = grpc_server_create(&args, NULL);
    s->cq = grpc_completion_queue_create_for_next(NULL);
    grpc_server_register_completion_queue(s->server, s->cq, NULL);
    char *key = NULL;
    char *cert = NULL;
    make_certificate(&key, &cert);
    grpc_ssl_pem_key_cert_pair pair = {.private_key = key, .cert_chain = cert};
    grpc_server_credentials *creds = grpc_ssl_server_credentials_create(NULL, &pair, 1, 0, NULL);
    struct fail fail = {0};
    ASSERT(door_way_open(&s->way, s->server, creds, &fail) == 0);
    grpc_server_credentials_release(creds);
    free(key);
    free(cert);
    grpc_server_start(s->server);
    ASSERT(thread_start(&s->thread, serve, s) == 0);
    return s;
}

struct door_way *tls_server_way(struct tls_server *s)
{
    return &s->way;
}

void tls_server_stop(struct tls_server *s)
{
    grpc_server_shutdown_and_notify(s->server, s->cq, NULL);
    grpc_server_cancel_all_calls(s->server);
    ASSERT(pthread_join(s->thread, NULL) == 0); /* with the tag */
    grpc_server_destroy(s->server);
    grpc_completion_queue_shutdown(s->cq);
    (void)grpc_completion_queue_next(s->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_completion_queue_destroy(s->cq);
    free(s);
}

static SSL *make_client(SSL_CTX *ctx, const char *name)
{
    SSL *ssl = SSL_new(ctx);
    ASSERT(ssl != NULL);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    if (name) {
        ASSERT(SSL_set_tlsext_host_name(ssl, name) == 1);
    }
    ASSERT(SSL_set_alpn_protos(ssl, (const unsigned char *)"\x02h2", 3) == 0);
    return ssl;
}

struct tls_hello tls_hello(const char *name)
{
    struct tls_hello hello = {0};
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = make_client(ctx, name);
    ASSERT(SSL_do_handshake(ssl) < 0);
    int got = BIO_read(SSL_get_wbio(ssl), hello.bytes, sizeof(hello.bytes));
    ASSERT(got > 0);
    hello.len = (size_t)got;
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return hello;
}

/* What OpenSSL wants to say. False when the other end is closed. */
static bool flush(SSL *ssl, int fd, bool slowly)
{
    char bytes[4096];
    int got = 0;
    while ((got = BIO_read(SSL_get_wbio(ssl), bytes, sizeof(bytes))) > 0) {
        int step = slowly ? 1 : got;
        for (int at = 0; at < got; at += step) {
            if (send(fd, bytes + at, (size_t)step, MSG_NOSIGNAL) != step) {
                return false;
            }
            (void)poll(NULL, 0, slowly && at % 16 == 0);
        }
    }
    return true;
}

/* What the other end says, to OpenSSL. False when it is closed, or the time is up. */
static bool fill(SSL *ssl, int fd, uint64_t until_ms)
{
    char bytes[4096];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t now_ms = clock_mono_ms();
    if (now_ms >= until_ms || poll(&p, 1, (int)(until_ms - now_ms)) <= 0) {
        return false;
    }
    ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
    return got > 0 && BIO_write(SSL_get_rbio(ssl), bytes, (int)got) == got;
}

bool tls_says_hello(int fd, const char *name, bool slowly)
{
    static const char words[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    uint64_t until_ms = clock_mono_ms() + WAIT_MS;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = make_client(ctx, name);
    bool going = true;
    bool done = false;
    while (going && !(done = SSL_do_handshake(ssl) == 1)) {
        going = flush(ssl, fd, slowly) && fill(ssl, fd, until_ms);
    }
    going = done && SSL_write(ssl, words, sizeof(words) - 1) > 0 && flush(ssl, fd, false);
    unsigned char head[9] = {0};
    int got = -1;
    while (going && (got = SSL_read(ssl, head, sizeof(head))) <= 0) {
        going = fill(ssl, fd, until_ms);
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return got == (int)sizeof(head) && head[3] == 4;
}
