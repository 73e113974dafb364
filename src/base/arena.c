#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"

/* Small requests fit the first block; blocks double, so that a large request needs few. */
#define ARENA_BLOCK_FIRST 1024
#define ARENA_BLOCK_MAX (64u << 10)
#define ARENA_ALIGN alignof(max_align_t)

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data */
    alignas(max_align_t) char data[];
};

/* Under AddressSanitizer what was not handed out is poisoned, so that it sees overruns inside a
 * block. */
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#endif
#ifdef ARENA_POISON
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

void arena_close(struct arena *a)
{
    struct arena_block *next = NULL;
    for (struct arena_block *b = a->head; b; b = next) {
        next = b->next;
        ASAN_UNPOISON_MEMORY_REGION(b->data, b->size);
        mem_free(b);
    }
    arena_init(a, a->max);
}

void arena_reset(struct arena *a)
{
    struct arena_block *kept = a->head;
    if (!kept || kept->size > ARENA_KEEP_MAX) {
        arena_close(a);
        return;
    }
    struct arena rest = {.head = kept->next, .max = a->max};
    arena_close(&rest);
    kept->next = NULL;
    ASAN_POISON_MEMORY_REGION(kept->data, kept->size);
    *a = (struct arena){
        .head = kept, .at = kept->data, .end = kept->data + kept->size, .max = a->max};
}

static struct arena_block *block_create(size_t size)
{
    struct arena_block *b = mem_alloc(sizeof *b + size);
    b->next = NULL;
    b->size = size;
    ASAN_POISON_MEMORY_REGION(b->data, size);
    return b;
}

/* A block for one large piece goes behind the head, which keeps its room. */
static char *arena_large(struct arena *a, size_t step)
{
    struct arena_block *b = block_create(step);
    if (!a->head) {
        a->head = b;
        a->at = a->end = b->data + step;
        return b->data;
    }
    b->next = a->head->next;
    a->head->next = b;
    return b->data;
}

static char *arena_more(struct arena *a, size_t step)
{
    size_t size = a->head ? a->head->size * 2 : ARENA_BLOCK_FIRST;
    if (size > ARENA_BLOCK_MAX) {
        size = ARENA_BLOCK_MAX;
    }
    if (step > size / 2) {
        return arena_large(a, step);
    }
    struct arena_block *b = block_create(size);
    b->next = a->head;
    a->head = b;
    a->at = b->data + step;
    a->end = b->data + size;
    return b->data;
}

/* size bytes that are not initialised; NULL past limit. */
static char *arena_grab(struct arena *a, size_t size, size_t limit)
{
    if (size > limit || limit - size < ARENA_ALIGN) {
        return NULL;
    }
    size_t step = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    step = step ? step : ARENA_ALIGN;
    if (a->used > limit || step > limit - a->used) {
        return NULL;
    }
    a->used += step;
    char *piece = a->at;
    if (a->at && step <= (size_t)(a->end - a->at)) {
        a->at += step;
    } else {
        piece = arena_more(a, step);
    }
    ASAN_UNPOISON_MEMORY_REGION(piece, size);
    return piece;
}

void *arena_try(struct arena *a, size_t size)
{
    char *piece = arena_grab(a, size, a->max);
    if (piece) {
        memset(piece, 0, size);
    }
    return piece;
}

/* For sizes that are already bounded. */
static char *arena_must(struct arena *a, size_t size)
{
    size_t limit = a->max < SIZE_MAX - ARENA_SPARE ? a->max + ARENA_SPARE : SIZE_MAX;
    char *piece = arena_grab(a, size, limit);
    ASSERT(piece);
    return piece;
}

void *arena_alloc(struct arena *a, size_t size)
{
    char *piece = arena_must(a, size);
    memset(piece, 0, size);
    return piece;
}

char *arena_str(struct arena *a, struct span s)
{
    ASSERT(s.len < SIZE_MAX);
    char *copy = arena_must(a, s.len + 1);
    if (s.len > 0) {
        memcpy(copy, s.data, s.len);
    }
    copy[s.len] = '\0';
    return copy;
}

struct span arena_span(struct arena *a, struct span s)
{
    return span_of(arena_str(a, s), s.len);
}

struct span arena_printf(struct arena *a, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    ASSERT(len >= 0);
    if ((size_t)len < sizeof text) {
        return arena_span(a, span_of(text, (size_t)len));
    }
    char *copy = arena_must(a, (size_t)len + 1);
    va_start(args, fmt);
    int again = vsnprintf(copy, (size_t)len + 1, fmt, args);
    va_end(args);
    ASSERT(again == len);
    return span_of(copy, (size_t)len);
}
