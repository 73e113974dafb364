#include "cluster/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/rand.h"

#define MUTATIONS 20000
#define PATH_ROOM 512

struct place {
    char dir[64];
    char key[PATH_ROOM];
    char cert[PATH_ROOM];
};

static int setup(void **state)
{
    struct place *p = mem_zalloc(1, sizeof(*p));
    snprintf(p->dir, sizeof(p->dir), "/tmp/nacre-identity-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->key, sizeof(p->key), "%s/node.key", p->dir);
    snprintf(p->cert, sizeof(p->cert), "%s/node.crt", p->dir);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    DIR *dir = opendir(p->dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
    (void)rmdir(p->dir);
    mem_free(p);
    return 0;
}

static void write_text(const char *path, const char *text)
{
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static struct identity open_ok(const struct place *p, bool is_new)
{
    struct identity i = {0};
    struct fail fail = {0};
    bool was_new = !is_new;
    if (identity_open(p->dir, &i, &was_new, &fail) != 0) {
        fail_msg("%s", fail.text);
    }
    assert_int_equal(was_new, is_new);
    return i;
}

/* It fails with err, and its text names what it should. Nothing was written to the outputs. */
static void open_fails(const struct place *p, int err, const char *text)
{
    struct identity i = {0};
    struct fail fail = {0};
    bool is_new = false;
    assert_int_equal(identity_open(p->dir, &i, &is_new, &fail), err);
    if (!strstr(fail.text, text)) {
        fail_msg("expected \"%s\" in: %s", text, fail.text);
    }
    assert_null(i.key_pem);
    assert_null(i.cert_pem);
    assert_false(is_new);
}

static unsigned mode_of(const char *path)
{
    struct stat st = {0};
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

/* A self-signed certificate as PEM, and OpenSSL's own answer to what its key's hash is. */
static char *make_pem(const char *kind, struct node_id *ret)
{
    EVP_PKEY *key = strcmp(kind, "RSA") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)
                    : strcmp(kind, "ED25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                                   : EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
    assert_non_null(key);
    X509 *cert = X509_new();
    assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), 7), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 1000);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    assert_true(X509_sign(cert, key, strcmp(kind, "ED25519") == 0 ? NULL : EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    char *pem = mem_strndup(data, (size_t)len);
    BIO_free(bio);
    unsigned char *der = NULL;
    int der_len = i2d_PUBKEY(key, &der);
    assert_true(der_len > 0);
    SHA256(der, (size_t)der_len, ret->bytes);
    OPENSSL_free(der);
    X509_free(cert);
    EVP_PKEY_free(key);
    return pem;
}

static void test_open__empty_directory__makes_one_and_keeps_it(void **state)
{
    const struct place *p = *state;
    struct identity first = open_ok(p, true);
    struct identity again = open_ok(p, false);
    assert_true(node_id_is_set(&first.id));
    assert_true(node_id_eq(&first.id, &again.id));
    assert_string_equal(first.key_pem, again.key_pem);
    assert_string_equal(first.cert_pem, again.cert_pem);
    identity_close(&first);
    identity_close(&again);
    assert_null(first.key_pem);
    assert_false(node_id_is_set(&first.id));
}

static void test_open__files__are_closed_to_others_and_leave_no_rest(void **state)
{
    const struct place *p = *state;
    mode_t umask_before = umask(0);
    struct identity i = open_ok(p, true);
    (void)umask(umask_before);
    identity_close(&i);
    assert_int_equal(mode_of(p->key), 0600);
    DIR *dir = opendir(p->dir);
    int files = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        files += entry->d_name[0] != '.';
    }
    closedir(dir);
    assert_int_equal(files, 2);
}

static void test_open__rest_of_a_crash__is_replaced(void **state)
{
    const struct place *p = *state;
    char rest[PATH_ROOM];
    snprintf(rest, sizeof(rest), "%s/node.key.new", p->dir);
    write_text(rest, "half a k");
    struct identity i = open_ok(p, true);
    identity_close(&i);
    assert_int_not_equal(access(rest, F_OK), 0);
}

static void test_open__two_directories__two_identities(void **state)
{
    struct identity a = open_ok(*state, true);
    void *other = NULL;
    assert_int_equal(setup(&other), 0);
    struct identity b = open_ok(other, true);
    assert_false(node_id_eq(&a.id, &b.id));
    assert_int_not_equal(node_id_number(&a.id), node_id_number(&b.id));
    identity_close(&a);
    identity_close(&b);
    (void)teardown(&other);
}

static void test_open__certificate_removed__is_made_again_from_the_key(void **state)
{
    const struct place *p = *state;
    struct identity first = open_ok(p, true);
    assert_int_equal(unlink(p->cert), 0);
    struct identity again = open_ok(p, false);
    assert_true(node_id_eq(&first.id, &again.id));
    assert_string_not_equal(first.cert_pem, again.cert_pem);
    identity_close(&first);
    identity_close(&again);
}

static void test_open__certificate__has_the_name_and_dates_that_peers_need(void **state)
{
    struct identity i = open_ok(*state, true);
    BIO *bio = BIO_new_mem_buf(i.cert_pem, -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(cert);
    assert_int_equal(X509_check_host(cert, NODE_PEER_NAME, 0, 0, NULL), 1);
    ASN1_TIME *time = ASN1_TIME_new();
    assert_int_equal(ASN1_TIME_set_string(time, "20000101000000Z"), 1);
    assert_int_equal(ASN1_TIME_compare(X509_get0_notBefore(cert), time), 0);
    assert_int_equal(ASN1_TIME_set_string(time, "99991231235959Z"), 1);
    assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(cert), time), 0);
    assert_int_equal(X509_verify(cert, X509_get0_pubkey(cert)), 1);
    assert_int_equal(X509_check_ca(cert), 0);
    ASN1_TIME_free(time);
    X509_free(cert);
    identity_close(&i);
}

static void test_open__key_open_to_others__is_refused(void **state)
{
    const struct place *p = *state;
    struct identity i = open_ok(p, true);
    identity_close(&i);
    static const mode_t modes[] = {0640, 0604, 0660, 0644, 0601};
    for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
        assert_int_equal(chmod(p->key, modes[m]), 0);
        open_fails(p, E_INVALID, "expected 0600");
    }
    assert_int_equal(chmod(p->key, 0400), 0);
    i = open_ok(p, false);
    identity_close(&i);
}

static void test_open__certificate_of_another_key__is_refused(void **state)
{
    const struct place *p = *state;
    struct identity i = open_ok(p, true);
    identity_close(&i);
    struct node_id other;
    char *pem = make_pem("P-256", &other);
    write_text(p->cert, pem);
    open_fails(p, E_CORRUPT, "node.crt does not belong to the key beside it");
    mem_free(pem);
    assert_int_equal(unlink(p->cert), 0);
    i = open_ok(p, false);
    identity_close(&i);
}

static void test_open__broken_files__are_told_by_name_and_changed_by_nobody(void **state)
{
    const struct place *p = *state;
    struct identity i = open_ok(p, true);
    static const char *const broken[] = {"", "\n", "rubbish", "-----BEGIN CERTIFICATE-----\n",
                                         "-----BEGIN CERTIFICATE-----\nAAAA\n"
                                         "-----END CERTIFICATE-----\n"};
    for (size_t b = 0; b < ARRAY_LEN(broken); b++) {
        write_text(p->cert, broken[b]);
        open_fails(p, E_CORRUPT, "node.crt is no PEM certificate");
    }
    write_text(p->cert, i.cert_pem);
    write_text(p->key, "");
    open_fails(p, E_CORRUPT, "node.key is empty");
    write_text(p->key, "rubbish");
    open_fails(p, E_CORRUPT, "node.key is no PEM private key");
    write_text(p->key, i.cert_pem);
    open_fails(p, E_CORRUPT, "node.key is no PEM private key");
    write_text(p->key, i.key_pem);
    struct identity again = open_ok(p, false);
    assert_true(node_id_eq(&again.id, &i.id));
    identity_close(&i);
    identity_close(&again);
}

/* Must not ask for the passphrase on the terminal, either. */
static void test_open__key_with_a_passphrase__is_refused(void **state)
{
    const struct place *p = *state;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    FILE *file = fopen(p->key, "w");
    assert_non_null(file);
    assert_int_equal(chmod(p->key, 0600), 0);
    unsigned char secret[] = "secret";
    assert_int_equal(
        PEM_write_PKCS8PrivateKey(file, key, EVP_aes_128_cbc(), (char *)secret, 6, NULL, NULL), 1);
    fclose(file);
    EVP_PKEY_free(key);
    open_fails(p, E_CORRUPT, "without a passphrase");
}

static void test_open__certificate_without_key__is_no_new_identity(void **state)
{
    const struct place *p = *state;
    struct identity i = open_ok(p, true);
    identity_close(&i);
    assert_int_equal(unlink(p->key), 0);
    open_fails(p, E_CORRUPT, "restore the key");
    assert_int_not_equal(access(p->key, F_OK), 0);
}

static void test_open__what_is_no_file__is_refused(void **state)
{
    const struct place *p = *state;
    struct place nowhere = {.dir = "/tmp/nacre-identity-none"};
    open_fails(&nowhere, E_IO, "cannot open the data directory");
    assert_int_equal(mkdir(p->key, 0700), 0);
    open_fails(p, E_IO, "is no regular file");
    assert_int_equal(rmdir(p->key), 0);
    assert_int_equal(mkfifo(p->key, 0600), 0);
    open_fails(p, E_IO, "is no regular file");
    assert_int_equal(unlink(p->key), 0);
    assert_int_equal(symlink("/etc/hostname", p->key), 0);
    open_fails(p, E_IO, "cannot open");
}

static void test_open__users_own_ed25519_key__is_taken(void **state)
{
    const struct place *p = *state;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    FILE *file = fopen(p->key, "w");
    assert_non_null(file);
    assert_int_equal(chmod(p->key, 0600), 0);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    struct node_id expected;
    SHA256(der, (size_t)len, expected.bytes);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    struct identity i = open_ok(p, false);
    assert_true(node_id_eq(&i.id, &expected));
    identity_close(&i);
}

static void test_of_pem__every_kind_of_key__equals_openssl(void **state)
{
    (void)state;
    static const char *const kinds[] = {"P-256", "P-384", "ED25519", "RSA"};
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct node_id expected = {0};
        struct node_id got = {0};
        char *pem = make_pem(kinds[k], &expected);
        assert_int_equal(identity_of_pem(span_str(pem), &got), 0);
        assert_true(node_id_eq(&got, &expected));
        mem_free(pem);
    }
}

static void test_of_pem__cut_anywhere__is_refused(void **state)
{
    (void)state;
    struct node_id id = {0};
    char *pem = make_pem("P-256", &id);
    size_t whole = strlen(pem) - 1; /* the last newline may miss */
    for (size_t len = 0; len < whole; len++) {
        char *part = mem_strndup(pem, len);
        assert_int_equal(identity_of_pem(span_of(part, len), &id), E_PARSE);
        mem_free(part);
    }
    assert_int_equal(identity_of_pem(span_of(pem, whole), &id), 0);
    mem_free(pem);
}

static void test_of_pem__no_certificate__is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "-----END CERTIFICATE----------BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE----------END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nA===\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\n====\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nAA=A\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\n-A==\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nMIAw\n-----END CERTIFICATE-----",
        "-----BEGIN PRIVATE KEY-----\nMIAw\n-----END PRIVATE KEY-----",
    };
    struct node_id id = {0};
    for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
        assert_int_equal(identity_of_pem(span_str(texts[t]), &id), E_PARSE);
    }
    assert_false(node_id_is_set(&id));
}

static void test_of_pem__too_large__is_refused(void **state)
{
    (void)state;
    struct node_id id = {0};
    char *pem = make_pem("P-256", &id);
    size_t len = NODE_PEM_MAX + 1;
    char *large = mem_alloc(len);
    memset(large, '\n', len);
    memcpy(large, pem, strlen(pem));
    assert_int_equal(identity_of_pem(span_of(large, len - 1), &id), 0);
    assert_int_equal(identity_of_pem(span_of(large, len), &id), E_PARSE);
    mem_free(large);
    mem_free(pem);
}

/* Only what they say about memory is checked here; fuzz_identity_pem compares with OpenSSL. */
static void test_of_pem__mutated__never_reads_outside(void **state)
{
    (void)state;
    struct node_id id = {0};
    char *pem = make_pem("P-256", &id);
    size_t len = strlen(pem);
    for (int i = 0; i < MUTATIONS; i++) {
        char *changed = mem_strndup(pem, len);
        uint64_t r = rand_u64();
        for (unsigned n = 0; n <= (r & 3); n++, r >>= 16) {
            changed[rand_u64() % len] = "AQgw/+=8\n-x"[(r >> 2) % 11];
        }
        int err = identity_of_pem(span_of(changed, len), &id);
        assert_true(err == 0 || err == E_PARSE);
        mem_free(changed);
    }
    mem_free(pem);
}

static void test_id__text_number_and_none(void **state)
{
    (void)state;
    struct node_id id = {0};
    assert_false(node_id_is_set(&id));
    assert_int_equal(node_id_number(&id), 1);
    id.bytes[31] = 0xa5;
    assert_true(node_id_is_set(&id));
    assert_int_equal(node_id_number(&id), 1);
    id.bytes[0] = 0x80;
    id.bytes[7] = 0x02;
    assert_true(node_id_number(&id) == 0x8000000000000002u);
    char text[NODE_ID_TEXT + 1];
    node_id_text(&id, text);
    assert_int_equal(strlen(text), NODE_ID_TEXT);
    assert_memory_equal(text, "8000000000000002", 16);
    assert_string_equal(text + 62, "a5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH_PLACE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        WITH_PLACE(test_open__empty_directory__makes_one_and_keeps_it),
        WITH_PLACE(test_open__files__are_closed_to_others_and_leave_no_rest),
        WITH_PLACE(test_open__rest_of_a_crash__is_replaced),
        WITH_PLACE(test_open__two_directories__two_identities),
        WITH_PLACE(test_open__certificate_removed__is_made_again_from_the_key),
        WITH_PLACE(test_open__certificate__has_the_name_and_dates_that_peers_need),
        WITH_PLACE(test_open__key_open_to_others__is_refused),
        WITH_PLACE(test_open__certificate_of_another_key__is_refused),
        WITH_PLACE(test_open__broken_files__are_told_by_name_and_changed_by_nobody),
        WITH_PLACE(test_open__key_with_a_passphrase__is_refused),
        WITH_PLACE(test_open__certificate_without_key__is_no_new_identity),
        WITH_PLACE(test_open__what_is_no_file__is_refused),
        WITH_PLACE(test_open__users_own_ed25519_key__is_taken),
        cmocka_unit_test(test_of_pem__every_kind_of_key__equals_openssl),
        cmocka_unit_test(test_of_pem__cut_anywhere__is_refused),
        cmocka_unit_test(test_of_pem__no_certificate__is_refused),
        cmocka_unit_test(test_of_pem__too_large__is_refused),
        cmocka_unit_test(test_of_pem__mutated__never_reads_outside),
        cmocka_unit_test(test_id__text_number_and_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
