#include "base/hash.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>

#include "base/assert.h"
#include "base/rand.h"

/* SipHash-1-3 (Aumasson, Bernstein 2012; one compression and three finalisation rounds, as Rust's
 * and Ruby's tables use it). No Debian library offers it per call: OpenSSL's SIPHASH costs a
 * fetched EVP_MAC_CTX and three virtual calls for each key. */
struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

uint64_t hash_keyed(uint64_t key0, uint64_t key1, const void *data, size_t len)
{
    const unsigned char *at = data;
    struct sip s = {key0 ^ 0x736f6d6570736575u, key1 ^ 0x646f72616e646f6du,
                    key0 ^ 0x6c7967656e657261u, key1 ^ 0x7465646279746573u};
    uint64_t word = 0;
    for (size_t left = len; left >= 8; left -= 8, at += 8) {
        memcpy(&word, at, 8);
        sip_word(&s, le64toh(word));
    }
    word = (uint64_t)len << 56;
    for (size_t i = 0; i < len % 8; i++) {
        word |= (uint64_t)at[i] << (8 * i);
    }
    sip_word(&s, word);
    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static uint64_t seed[2];

static void seed_draw(void)
{
    rand_bytes(seed, sizeof seed);
}

uint64_t hash_more(uint64_t hash, const void *data, size_t len)
{
    ASSERT(pthread_once(&seed_once, seed_draw) == 0);
    /* The hash so far is part of the key and the length is part of the hash, so the borders between
     * parts count. */
    return hash_keyed(seed[0] ^ hash, seed[1], data, len);
}

uint64_t hash_bytes(const void *data, size_t len)
{
    return hash_more(0, data, len);
}
