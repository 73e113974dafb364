#include "consensus/batch.h"

#include "base/mem.h"

#define COOKIES_FIRST 64

void batch_add(struct batch *b, unsigned kind, struct span op, void *cookie)
{
    if (b->entry.count == b->cookies_cap) {
        b->cookies_cap = b->cookies_cap ? b->cookies_cap * 2 : COOKIES_FIRST;
        b->cookies = mem_realloc(b->cookies, b->cookies_cap, sizeof *b->cookies);
    }
    b->cookies[b->entry.count] = cookie;
    entry_add(&b->entry, kind, op);
}

void batch_reset(struct batch *b, size_t keep_max)
{
    entry_reset(&b->entry, keep_max);
}

void batch_close(struct batch *b)
{
    entry_close(&b->entry);
    mem_free(b->cookies);
    *b = (struct batch){0};
}
