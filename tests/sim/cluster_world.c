#include "cluster_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define EVENTS_FIRST 256

/* ---------------------------------------------------------------- what happened */

void world_note(struct world *w, const char *fmt, ...)
{
    char *line = w->trail[w->trail_count++ % TRAIL_LINES];
    int len = snprintf(line, TRAIL_WIDTH, "%8llu ", (unsigned long long)w->now_ms);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line + len, TRAIL_WIDTH - (size_t)len, fmt, args);
    va_end(args);
    for (const char *at = line; *at; at++) {
        w->hash = (w->hash ^ (uint8_t)*at) * 0x100000001b3u;
    }
    if (w->is_loud) {
        fprintf(stderr, "%s\n", line);
    }
}

void world_fail(struct world *w, const char *fmt, ...)
{
    if (!w->is_loud) {
        uint64_t first = w->trail_count > TRAIL_LINES ? w->trail_count - TRAIL_LINES : 0;
        for (uint64_t i = first; i < w->trail_count; i++) {
            fprintf(stderr, "%s\n", w->trail[i % TRAIL_LINES]);
        }
    }
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "sim: seed %llu, at %llu ms: ", (unsigned long long)w->seed,
            (unsigned long long)w->now_ms);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\nreplay: sim_cluster %llu\n", (unsigned long long)w->seed);
    va_end(args);
    exit(1);
}

/* ---------------------------------------------------------------- chance */

uint64_t world_random(struct world *w, uint64_t n)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (w->random >> 11) % n;
}

bool world_chance(struct world *w, unsigned percent)
{
    return world_random(w, 100) < percent;
}

uint64_t world_number(struct world *w)
{
    return ++w->numbers;
}

struct buf *world_flatten(struct body *take_body)
{
    size_t len = body_len(take_body);
    char *bytes = mem_alloc(len + 1);
    body_copy(take_body, bytes);
    body_close(take_body);
    bytes[len] = '\0'; /* texts are read as such */
    return buf_take(bytes, len);
}

/* ---------------------------------------------------------------- events */

static bool is_before(const struct event *a, const struct event *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void swap(struct event *a, struct event *b)
{
    struct event kept = *a;
    *a = *b;
    *b = kept;
}

void world_after(struct world *w, uint64_t ms, event_fn fn, void *arg, uint64_t number)
{
    if (w->events_count == w->events_cap) {
        w->events_cap = w->events_cap ? 2 * w->events_cap : EVENTS_FIRST;
        w->events = mem_realloc(w->events, w->events_cap, sizeof(*w->events));
    }
    size_t at = w->events_count++;
    w->events[at] = (struct event){w->now_ms + ms, w->order++, fn, arg, number};
    while (at > 0 && is_before(&w->events[at], &w->events[(at - 1) / 2])) {
        swap(&w->events[at], &w->events[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static struct event take_event(struct world *w)
{
    struct event first = w->events[0];
    w->events[0] = w->events[--w->events_count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++) {
            if (child < w->events_count && is_before(&w->events[child], &w->events[least])) {
                least = child;
            }
        }
        if (least == at) {
            return first;
        }
        swap(&w->events[at], &w->events[least]);
        at = least;
    }
}

static void run_events(struct world *w)
{
    while (w->events_count > 0 && w->events[0].due_ms <= w->now_ms) {
        struct event e = take_event(w);
        e.fn(w, e.arg, e.number);
    }
}

/* ---------------------------------------------------------------- time */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_ms(const struct world *w, uint64_t until_ms)
{
    uint64_t at = earlier(until_ms, net_next(w));
    if (w->events_count > 0) {
        at = earlier(at, w->events[0].due_ms);
    }
    for (unsigned i = 0; i < w->count; i++) {
        at = earlier(at, node_next(&w->nodes[i]));
    }
    return at > w->now_ms ? at : w->now_ms + 1;
}

void world_run(struct world *w, uint64_t until_ms)
{
    while (w->now_ms < until_ms) {
        run_events(w);
        net_run(w);
        for (unsigned i = 0; i < w->count; i++) {
            node_run(&w->nodes[i]);
        }
        w->now_ms = next_ms(w, until_ms);
        w->steps++;
    }
}

/* ---------------------------------------------------------------- life */

void world_open(struct world *w, uint64_t seed, const char *dir)
{
    char(*trail)[TRAIL_WIDTH] = w->trail ? w->trail : mem_zalloc(TRAIL_LINES, TRAIL_WIDTH);
    bool is_loud = w->is_loud;
    enum falsehood falsehood = w->falsehood;
    *w = (struct world){.seed = seed,
                        .falsehood = falsehood,
                        .random = seed * 0x9e3779b97f4a7c15u + 11,
                        .now_ms = 1000,
                        .hash = 0xcbf29ce484222325u,
                        .trail = trail,
                        .is_loud = is_loud};
    for (unsigned i = 0; i < 8; i++) {
        (void)world_random(w, 2); /* neighbouring seeds begin alike */
    }
    w->entries = mem_zalloc(ENTRIES_MAX, sizeof(*w->entries));
    w->count = world_chance(w, 15) ? 5 : 3;
    char text[256] = "";
    struct fail fail = {0};
    for (unsigned i = 0; i < w->count; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof(text) - len, "10.0.0.%u:8848,", i + 1);
    }
    ASSERT(members_parse("sim", span_str(text), 8848, &w->list, &fail) == 0);
    w->weather = (struct weather){.latency_min_ms = 1, .latency_max_ms = 2};
    for (unsigned i = 0; i < w->count; i++) {
        node_init(w, i, dir);
        w->nodes[i].up_ms = w->now_ms + world_random(w, 300);
    }
    naming_begin(w);
    config_begin(w);
}

void world_close(struct world *w)
{
    w->is_closing = true;
    for (unsigned i = 0; i < w->naming_count; i++) {
        conn_end(w, &w->naming[i].conn);
    }
    for (unsigned i = 0; i < w->config_count; i++) {
        conn_end(w, &w->config[i].conn);
    }
    for (unsigned i = 0; i < w->count; i++) {
        node_close(&w->nodes[i]);
    }
    while (w->events_count > 0) { /* each frees what it carries */
        struct event e = take_event(w);
        e.fn(w, e.arg, e.number);
    }
    ASSERT(!w->calls);
    for (unsigned i = 0; i < KEYS_MAX; i++) {
        mem_free(w->keys_seen[i].values);
    }
    mem_free(w->events);
    mem_free(w->ops);
    mem_free(w->entries);
}
