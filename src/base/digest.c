#include "base/digest.h"

#include <string.h>

#include "base/hash.h"

/* Any constant: all nodes have it. */
#define KEY 0x6e616372652d6469u

uint64_t digest_bytes(uint64_t so_far, struct span bytes)
{
    return hash_keyed(so_far, KEY, bytes.data ? bytes.data : "", bytes.len);
}

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014): every bit of both moves every bit. */
uint64_t digest_number(uint64_t so_far, uint64_t number)
{
    uint64_t z = so_far * 0xd1342543de82ef95u + number + 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint64_t digest_double(uint64_t so_far, double number)
{
    uint64_t bits = 0;
    memcpy(&bits, &number, sizeof(bits));
    return digest_number(so_far, bits);
}
