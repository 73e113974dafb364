#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <endian.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

/* SipHash-1-3 by OpenSSL. */
static uint64_t reference(uint64_t key0, uint64_t key1, const void *data, size_t len)
{
    uint64_t key[2] = {htole64(key0), htole64(key1)};
    unsigned c_rounds = 1;
    unsigned d_rounds = 3;
    size_t size = 8;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_C_ROUNDS, &c_rounds),
                           OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_D_ROUNDS, &d_rounds),
                           OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                           OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    assert_int_equal(EVP_MAC_init(ctx, (const unsigned char *)key, sizeof key, params), 1);
    assert_int_equal(EVP_MAC_update(ctx, data, len), 1);
    unsigned char out[8];
    size_t out_len = 0;
    assert_int_equal(EVP_MAC_final(ctx, out, &out_len, sizeof out), 1);
    assert_int_equal(out_len, 8);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    uint64_t hash = 0;
    memcpy(&hash, out, sizeof hash);
    return le64toh(hash);
}

static void test_hash_keyed__all_lengths__is_siphash_1_3(void **state)
{
    (void)state;
    unsigned char data[100];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (unsigned char)(i * 7);
    }
    for (size_t len = 0; len <= sizeof data; len++) {
        uint64_t mine = hash_keyed(0x0706050403020100u, 0x0f0e0d0c0b0a0908u, data, len);
        assert_true(mine == reference(0x0706050403020100u, 0x0f0e0d0c0b0a0908u, data, len));
    }
}

static void test_hash_bytes__same_bytes__same_hash(void **state)
{
    (void)state;
    char a[] = "0123456789";
    char b[] = "x0123456789"; /* at another alignment */
    assert_true(hash_bytes(a, 10) == hash_bytes(b + 1, 10));
    assert_true(hash_bytes(a, 10) != hash_bytes(a, 9));
    assert_true(hash_bytes(NULL, 0) == hash_bytes(a, 0));
}

static void test_hash_bytes__is_keyed(void **state)
{
    (void)state;
    assert_true(hash_bytes("abc", 3) != hash_keyed(0, 0, "abc", 3));
}

static void test_hash_more__borders_count(void **state)
{
    (void)state;
    uint64_t a = hash_more(hash_bytes("a", 1), "bc", 2);
    uint64_t b = hash_more(hash_bytes("ab", 2), "c", 1);
    uint64_t c = hash_more(hash_bytes("abc", 3), "", 0);
    assert_true(a != b);
    assert_true(b != c);
    assert_true(c != hash_bytes("abc", 3));
    assert_true(a == hash_more(hash_bytes("a", 1), "bc", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_keyed__all_lengths__is_siphash_1_3),
        cmocka_unit_test(test_hash_bytes__same_bytes__same_hash),
        cmocka_unit_test(test_hash_bytes__is_keyed),
        cmocka_unit_test(test_hash_more__borders_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
