/* A seeded 64-bit hash for tables whose keys come from clients (flooding-safe by the random process
 * seed).
 *
 * Thread:  any.
 */
#ifndef NACRE_BASE_HASH_H
#define NACRE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* SipHash-like quality is wanted: a keyed hash of len bytes, the same within one process. */
uint64_t hash_bytes(const void *data, size_t len);

/* hash_bytes of several parts one after another, with their borders: ("a","bc") differs from
 * ("ab","c"). */
uint64_t hash_more(uint64_t hash, const void *data, size_t len);

/* SipHash-1-3 under a key of the caller's choice: what the two above are made of; here for its
 * test. */
uint64_t hash_keyed(uint64_t key0, uint64_t key1, const void *data, size_t len);

/* For uthash: include this header before uthash.h so that its tables use the keyed hash. */
#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = (unsigned)hash_bytes((keyptr), (keylen)))

#endif
