#include "cluster/watch.h"

void watch_init(struct watch *w, uint64_t self, uint32_t grace_ms)
{
    *w = (struct watch){.self = self, .grace_ms = grace_ms};
}

void watch_lead(struct watch *w, bool is_leading, struct now now)
{
    if (is_leading && !w->is_leading) {
        w->leading_since_ms = now.mono_ms;
        for (size_t i = 0; i < w->count; i++) {
            w->list[i].proposed_ms = 0;
        }
    }
    w->is_leading = is_leading;
}

/* Its place; made when there is room. SIZE_MAX: there is none. */
static size_t place(struct watch *w, uint64_t id)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->list[i].id == id) {
            return i;
        }
    }
    if (w->count == OWNERS_MAX) {
        return SIZE_MAX;
    }
    w->list[w->count].id = id;
    w->list[w->count].heard_ms = 0;
    w->list[w->count].proposed_ms = 0;
    return w->count++;
}

void watch_heard(struct watch *w, uint64_t id, struct now now)
{
    size_t at = place(w, id);
    if (at != SIZE_MAX) {
        w->list[at].heard_ms = now.mono_ms;
    }
}

bool watch_speak(struct watch *w, struct now now)
{
    if (now.mono_ms < w->alive_next_ms) {
        return false;
    }
    w->alive_next_ms = now.mono_ms + WATCH_ALIVE_MS;
    return true;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

const struct owner *watch_lost(struct watch *w, const struct owners *owners, struct now now)
{
    if (!w->is_leading) {
        return NULL;
    }
    for (size_t i = 0; i < owners->count; i++) {
        const struct owner *owner = &owners->list[i];
        if (owner->is_expired || owner->id == w->self) {
            continue;
        }
        size_t at = place(w, owner->id);
        if (at == SIZE_MAX) {
            continue;
        }
        uint64_t heard = later(w->list[at].heard_ms, w->leading_since_ms);
        uint64_t due = later(heard, w->list[at].proposed_ms) + w->grace_ms;
        if (now.mono_ms > due) {
            w->list[at].proposed_ms = now.mono_ms;
            return owner;
        }
    }
    return NULL;
}

uint64_t watch_silence_ms(const struct watch *w, uint64_t id, struct now now)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->list[i].id == id && w->list[i].heard_ms > 0) {
            return now.mono_ms > w->list[i].heard_ms ? now.mono_ms - w->list[i].heard_ms : 0;
        }
    }
    return UINT64_MAX;
}

uint64_t watch_deadline(const struct watch *w)
{
    return w->alive_next_ms;
}
