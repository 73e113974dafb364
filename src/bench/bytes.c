#include "bench/bytes.h"

#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define BYTES_CAP_MIN 256

void bytes_append(struct bytes *b, const void *data, size_t len)
{
    ASSERT(len <= SIZE_MAX / 4);
    if (len == 0) {
        return;
    }
    if (b->cap - b->len < len) {
        size_t cap = b->cap ? b->cap : BYTES_CAP_MIN;
        while (cap - b->len < len) {
            cap *= 2;
        }
        b->data = mem_realloc(b->data, cap, 1);
        b->cap = cap;
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

void bytes_drop(struct bytes *b, size_t len)
{
    ASSERT(len <= b->len);
    b->len -= len;
    if (b->len > 0) {
        memmove(b->data, b->data + len, b->len);
    }
}

void bytes_clear(struct bytes *b)
{
    b->len = 0;
}

void bytes_close(struct bytes *b)
{
    mem_free(b->data);
    *b = (struct bytes){0};
}
