#include "base/rand.h"

#include <errno.h>
#include <sys/random.h>

#include "base/assert.h"

void rand_bytes(void *dst, size_t len)
{
    char *at = dst;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        ASSERT(got > 0);
        at += got;
        len -= (size_t)got;
    }
}

uint64_t rand_u64(void)
{
    uint64_t n = 0;
    rand_bytes(&n, sizeof n);
    return n;
}
