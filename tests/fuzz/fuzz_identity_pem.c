/* A peer's certificate: refused, or read to the id that OpenSSL, which decodes the key, comes to.
 */
#include "fuzz.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "cluster/identity.h"

/* OpenSSL may write a key shorter than it read it (lengths with leading zeros). Then the bytes that
 * it wrote are nowhere in the certificate, and the ids may differ: both are of this one key. */
static void compare(X509 *cert, const struct node_id *id)
{
    unsigned char *whole = NULL;
    unsigned char *key = NULL;
    int whole_len = i2d_X509(cert, &whole);
    int key_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &key);
    if (whole_len > 0 && key_len > 0 && memmem(whole, (size_t)whole_len, key, (size_t)key_len)) {
        struct node_id expected;
        SHA256(key, (size_t)key_len, expected.bytes);
        REQUIRE(node_id_eq(id, &expected));
    }
    OPENSSL_free(whole);
    OPENSSL_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct node_id id = {0};
    int err = identity_of_pem(span_of((const char *)data, size), &id);
    REQUIRE(err == 0 || err == E_PARSE);
    REQUIRE(err == 0 || !node_id_is_set(&id));
    if (err || size > NODE_PEM_MAX) {
        return 0;
    }
    BIO *bio = BIO_new_mem_buf(data, (int)size);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (cert) {
        compare(cert, &id);
    }
    X509_free(cert);
    ERR_clear_error();
    return 0;
}
