#include "cluster/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/rand.h"

#define KEY_NAME "node.key"
#define CERT_NAME "node.crt"
#define KEY_TMP KEY_NAME ".new"
#define CERT_TMP CERT_NAME ".new"
#define SERIAL_BYTES 16

#define PEM_BEGIN "-----BEGIN CERTIFICATE-----"
#define PEM_END "-----END CERTIFICATE-----"

/* DER tags on the way to the public key (RFC 5280 4.1). */
#define DER_SEQUENCE 0x30
#define DER_INTEGER 0x02
#define DER_VERSION 0xa0

/* Ids */

bool node_id_eq(const struct node_id *a, const struct node_id *b)
{
    return memcmp(a->bytes, b->bytes, NODE_ID_BYTES) == 0;
}

bool node_id_is_set(const struct node_id *id)
{
    static const struct node_id none;
    return !node_id_eq(id, &none);
}

uint64_t node_id_number(const struct node_id *id)
{
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(number); i++) {
        number = number << 8 | id->bytes[i];
    }
    return number ? number : 1;
}

void node_id_text(const struct node_id *id, char dst[NODE_ID_TEXT + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < NODE_ID_BYTES; i++) {
        dst[2 * i] = digits[id->bytes[i] >> 4];
        dst[2 * i + 1] = digits[id->bytes[i] & 15];
    }
    dst[NODE_ID_TEXT] = '\0';
}

/* The id of a certificate, found by walking its DER: decoding the key costs a hundred times as much
 * and tells nothing more (peer-security.md 2). */

/* DER that is still to be read. */
struct der {
    const uint8_t *at;
    const uint8_t *end;
};

/* Take one element of the wanted tag off d: its content, and all of it with its header. False when
 * it is not there or not whole. Lengths of up to 3 bytes: more does not fit NODE_PEM_MAX. */
static bool der_take(struct der *d, uint8_t tag, struct der *ret_content, struct der *ret_whole)
{
    const uint8_t *at = d->at;
    if (d->end - at < 2 || at[0] != tag) {
        return false;
    }
    size_t len = at[1];
    at += 2;
    if (len & 0x80) {
        size_t digits = len & 0x7f;
        if (digits == 0 || digits > 3 || (size_t)(d->end - at) < digits) {
            return false;
        }
        for (len = 0; digits > 0; digits--) {
            len = len << 8 | *at++;
        }
    }
    if ((size_t)(d->end - at) < len) {
        return false;
    }
    *ret_content = (struct der){at, at + len};
    *ret_whole = (struct der){d->at, at + len};
    d->at = at + len;
    return true;
}

/* Certificate -> tbsCertificate -> past version, serial, algorithm, issuer, validity, subject ->
 * subjectPublicKeyInfo. */
static bool find_public_key(struct der cert, struct der *ret_key)
{
    static const uint8_t before[] = {DER_INTEGER, DER_SEQUENCE, DER_SEQUENCE, DER_SEQUENCE,
                                     DER_SEQUENCE};
    struct der outer;
    struct der tbs;
    struct der skipped;
    struct der whole;
    if (!der_take(&cert, DER_SEQUENCE, &outer, &whole) || cert.at != cert.end ||
        !der_take(&outer, DER_SEQUENCE, &tbs, &whole)) {
        return false;
    }
    (void)der_take(&tbs, DER_VERSION, &skipped, &whole); /* version 1 leaves it out */
    for (size_t i = 0; i < sizeof(before); i++) {
        if (!der_take(&tbs, before[i], &skipped, &whole)) {
            return false;
        }
    }
    return der_take(&tbs, DER_SEQUENCE, &skipped, ret_key);
}

static bool is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/' || c == '=';
}

/* The lines between BEGIN and END as DER. dst has room for NODE_PEM_MAX. Returns its length, 0 when
 * it is none. */
static size_t decode_pem(struct span pem, uint8_t *dst)
{
    const char *begin = memmem(pem.data, pem.len, PEM_BEGIN, sizeof(PEM_BEGIN) - 1);
    if (!begin) {
        return 0;
    }
    begin += sizeof(PEM_BEGIN) - 1;
    size_t left = pem.len - (size_t)(begin - pem.data);
    const char *end = memmem(begin, left, PEM_END, sizeof(PEM_END) - 1);
    if (!end) {
        return 0;
    }
    char text[NODE_PEM_MAX];
    size_t len = 0;
    for (const char *at = begin; at < end; at++) {
        if (is_base64(*at)) {
            text[len++] = *at;
        } else if (*at != '\n' && *at != '\r') {
            return 0;
        }
    }
    if (len == 0 || len % 4 != 0) {
        return 0;
    }
    size_t pads = (size_t)(text[len - 1] == '=') + (size_t)(text[len - 2] == '=');
    if (memchr(text, '=', len - pads)) {
        return 0;
    }
    int bytes = EVP_DecodeBlock(dst, (const unsigned char *)text, (int)len);
    return bytes > (int)pads ? (size_t)bytes - pads : 0;
}

int identity_of_pem(struct span pem, struct node_id *ret)
{
    if (span_empty(pem) || pem.len > NODE_PEM_MAX) {
        return E_PARSE;
    }
    uint8_t bytes[NODE_PEM_MAX];
    size_t len = decode_pem(pem, bytes);
    struct der key;
    if (len == 0 || !find_public_key((struct der){bytes, bytes + len}, &key)) {
        return E_PARSE;
    }
    (void)SHA256(key.at, (size_t)(key.end - key.at), ret->bytes);
    return 0;
}

/* Files */

static const char *openssl_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "no reason given";
}

/* The file as text; *ret stays NULL when it does not exist. secret: it must be closed to others. */
static int read_file(int dir, const char *path, const char *name, bool secret, char **ret,
                     struct fail *fail)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        return 0;
    }
    if (fd < 0) {
        return fail_set(fail, E_IO, "cannot open %s/%s: %s", path, name, strerror(errno));
    }
    int err = 0;
    char *text = NULL;
    size_t len = 0;
    struct stat st = {0};
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        err = fail_set(fail, E_IO, "%s/%s is no regular file", path, name);
        goto out;
    }
    if (secret && (st.st_mode & 077) != 0) {
        err = fail_set(fail, E_INVALID,
                       "%s/%s is open to others (mode %04o, expected 0600): somebody may have read "
                       "it; chmod 600 it, or remove it and %s for a new identity",
                       path, name, (unsigned)st.st_mode & 07777, CERT_NAME);
        goto out;
    }
    text = mem_zalloc(1, NODE_PEM_MAX + 1);
    while (len < NODE_PEM_MAX) {
        ssize_t n = read(fd, text + len, NODE_PEM_MAX - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            err = fail_set(fail, E_IO, "cannot read %s/%s: %s", path, name, strerror(errno));
            goto out;
        }
        if (n == 0) {
            break;
        }
        len += (size_t)n;
    }
    *ret = text;
    text = NULL;
out:
    if (text) {
        OPENSSL_cleanse(text, NODE_PEM_MAX);
        mem_free(text);
    }
    close(fd);
    return err;
}

/* Write name under tmp, sync it, and only then give it its name, which nobody had when we looked;
 * the directory is this process's alone (node/datadir.h). */
static int write_file(int dir, const char *path, const char *names[2], struct span text,
                      struct fail *fail)
{
    const char *tmp = names[0];
    const char *name = names[1];
    if (unlinkat(dir, tmp, 0) != 0 && errno != ENOENT) {
        return fail_set(fail, E_IO, "cannot remove %s/%s: %s", path, tmp, strerror(errno));
    }
    int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return fail_set(fail, E_IO, "cannot make %s/%s: %s", path, tmp, strerror(errno));
    }
    bool ok = fchmod(fd, 0600) == 0; /* whatever the umask */
    for (size_t done = 0; ok && done < text.len;) {
        ssize_t n = write(fd, text.data + done, text.len - done);
        ok = n > 0 || (n < 0 && errno == EINTR);
        done += n > 0 ? (size_t)n : 0;
    }
    ok = ok && fsync(fd) == 0;
    ok = ok && renameat(dir, tmp, dir, name) == 0 && fsync(dir) == 0;
    int err = ok ? 0 : fail_set(fail, E_IO, "cannot write %s/%s: %s", path, name, strerror(errno));
    close(fd);
    (void)unlinkat(dir, tmp, 0);
    return err;
}

/* Key and certificate */

/* Instead of OpenSSL's own, which would ask on the terminal. The type is OpenSSL's. */
/* NOLINTNEXTLINE(readability-non-const-parameter) */
static int no_passphrase(char *dst, int size, int is_writing, void *arg)
{
    (void)dst;
    (void)size;
    (void)is_writing;
    (void)arg;
    return -1;
}

static EVP_PKEY *parse_key(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    ASSERT(bio != NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    return key;
}

static X509 *parse_cert(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    ASSERT(bio != NULL);
    X509 *cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    return cert;
}

/* What was written to bio as text of our own; frees bio. */
static char *take_bio(BIO *take_bio)
{
    char *data = NULL;
    long len = BIO_get_mem_data(take_bio, &data);
    char *text = mem_strndup(data, (size_t)len);
    OPENSSL_cleanse(data, (size_t)len);
    BIO_free(take_bio);
    return text;
}

static bool add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

static bool set_serial(X509 *cert)
{
    uint8_t bytes[SERIAL_BYTES];
    rand_bytes(bytes, sizeof(bytes));
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, all of its bytes */
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return ok;
}

/* Dates that hold on every clock: a node must start with a wrong one (peer-security.md 1). */
static bool fill_cert(X509 *cert, EVP_PKEY *key)
{
    X509_NAME *name = X509_get_subject_name(cert);
    const unsigned char *cn = (const unsigned char *)NODE_PEER_NAME;
    bool is_plain = EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
    return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, cn, -1, -1, 0) == 1 &&
           X509_set_issuer_name(cert, name) == 1 &&
           ASN1_TIME_set_string(X509_getm_notBefore(cert), "20000101000000Z") == 1 &&
           ASN1_TIME_set_string(X509_getm_notAfter(cert), "99991231235959Z") == 1 &&
           X509_set_pubkey(cert, key) == 1 &&
           add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(cert, NID_key_usage, "critical,digitalSignature") &&
           add_extension(cert, NID_subject_alt_name, "DNS:" NODE_PEER_NAME) &&
           X509_sign(cert, key, is_plain ? NULL : EVP_sha256()) > 0;
}

/* A self-signed certificate around the key, as PEM. */
static int make_cert(EVP_PKEY *key, char **ret, struct fail *fail)
{
    int err = 0;
    X509 *cert = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    ASSERT(cert != NULL);
    ASSERT(bio != NULL);
    if (!fill_cert(cert, key) || PEM_write_bio_X509(bio, cert) != 1) {
        err = fail_set(fail, E_CORRUPT, "cannot make a certificate from %s: %s", KEY_NAME,
                       openssl_reason());
        goto out;
    }
    *ret = take_bio(bio);
    bio = NULL;
out:
    BIO_free(bio);
    X509_free(cert);
    return err;
}

static int make_key(int dir, const char *path, char **ret, struct fail *fail)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    ASSERT(bio != NULL);
    if (!key || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
        int err = fail_set(fail, E_INTERNAL, "cannot make a key: %s", openssl_reason());
        BIO_free(bio);
        EVP_PKEY_free(key);
        return err;
    }
    EVP_PKEY_free(key);
    char *text = take_bio(bio);
    const char *names[2] = {KEY_TMP, KEY_NAME};
    int err = write_file(dir, path, names, span_str(text), fail);
    if (err) {
        OPENSSL_cleanse(text, strlen(text));
        mem_free(text);
        return err;
    }
    *ret = text;
    return 0;
}

/* The key as it stands in the file, or a new one. */
static int open_key(int dir, const char *path, char **ret_pem, bool *ret_is_new, struct fail *fail)
{
    int err = read_file(dir, path, KEY_NAME, true, ret_pem, fail);
    if (err || *ret_pem) {
        return err;
    }
    struct stat st = {0};
    if (fstatat(dir, CERT_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        return fail_set(fail, E_CORRUPT,
                        "%s/%s is missing, but %s is there: restore the key, or remove %s to make "
                        "this a new node, which its cluster then has to take in anew",
                        path, KEY_NAME, CERT_NAME, CERT_NAME);
    }
    err = make_key(dir, path, ret_pem, fail);
    *ret_is_new = err == 0;
    return err;
}

/* The certificate as it stands in the file, or made from the key. */
static int open_cert(int dir, const char *path, EVP_PKEY *key, char **ret_pem, struct fail *fail)
{
    int err = read_file(dir, path, CERT_NAME, false, ret_pem, fail);
    if (err || *ret_pem) {
        return err;
    }
    err = make_cert(key, ret_pem, fail);
    if (err) {
        return err;
    }
    const char *names[2] = {CERT_TMP, CERT_NAME};
    return write_file(dir, path, names, span_str(*ret_pem), fail);
}

static int check_pair(const char *path, const char *cert_pem, EVP_PKEY *key, struct node_id *ret,
                      struct fail *fail)
{
    X509 *cert = parse_cert(cert_pem);
    bool is_pair = cert && X509_check_private_key(cert, key) == 1;
    bool is_read = cert != NULL;
    X509_free(cert);
    if (is_pair && identity_of_pem(span_str(cert_pem), ret) == 0) {
        return 0;
    }
    return fail_set(
        fail, E_CORRUPT, "%s/%s %s: remove it, it is made again from %s", path, CERT_NAME,
        is_read ? "does not belong to the key beside it" : "is no PEM certificate", KEY_NAME);
}

static int open_in(int dir, const char *path, struct identity *i, bool *ret_is_new,
                   struct fail *fail)
{
    int err = open_key(dir, path, &i->key_pem, ret_is_new, fail);
    if (err) {
        return err;
    }
    ASSERT(i->key_pem != NULL);
    EVP_PKEY *key = parse_key(i->key_pem);
    if (!key) {
        return fail_set(fail, E_CORRUPT,
                        "%s/%s %s: restore it, or remove it and %s to make this a new node, which "
                        "its cluster then has to take in anew",
                        path, KEY_NAME,
                        i->key_pem[0] ? "is no PEM private key without a passphrase" : "is empty",
                        CERT_NAME);
    }
    err = open_cert(dir, path, key, &i->cert_pem, fail);
    if (err == 0) {
        err = check_pair(path, i->cert_pem, key, &i->id, fail);
    }
    EVP_PKEY_free(key);
    return err;
}

int identity_open(const char *path, struct identity *ret, bool *ret_is_new, struct fail *fail)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return fail_set(fail, E_IO, "cannot open the data directory %s: %s", path, strerror(errno));
    }
    struct identity made = {0};
    bool is_new = false;
    int err = open_in(dir, path, &made, &is_new, fail);
    close(dir);
    ERR_clear_error(); /* what was refused here must not be blamed on the next user of OpenSSL */
    if (err) {
        identity_close(&made);
        return err;
    }
    *ret = made;
    *ret_is_new = is_new;
    return 0;
}

void identity_close(struct identity *i)
{
    if (i->key_pem) {
        OPENSSL_cleanse(i->key_pem, strlen(i->key_pem));
    }
    mem_free(i->key_pem);
    mem_free(i->cert_pem);
    *i = (struct identity){0};
}
