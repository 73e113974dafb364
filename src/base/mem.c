#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static void *mem_check(void *ptr)
{
    if (!ptr) {
        assert_fail(__FILE__, __LINE__, "out of memory");
    }
    return ptr;
}

void *mem_alloc(size_t size)
{
    return mem_check(malloc(size ? size : 1));
}

/* count * size, at least 1: an allocator may answer size 0 with NULL. */
static size_t mem_size(size_t count, size_t size)
{
    size_t all = 0;
    if (__builtin_mul_overflow(count, size, &all)) {
        assert_fail(__FILE__, __LINE__, "size overflow");
    }
    return all ? all : 1;
}

void *mem_zalloc(size_t count, size_t size)
{
    return mem_check(calloc(1, mem_size(count, size)));
}

void *mem_realloc(void *ptr, size_t count, size_t size)
{
    return mem_check(realloc(ptr, mem_size(count, size)));
}

char *mem_strndup(const char *s, size_t len)
{
    ASSERT(len < SIZE_MAX);
    char *copy = mem_alloc(len + 1);
    if (len > 0) {
        memcpy(copy, s, len);
    }
    copy[len] = '\0';
    return copy;
}

void mem_free(void *ptr)
{
    free(ptr);
}
