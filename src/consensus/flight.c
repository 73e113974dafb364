#include "consensus/flight.h"

#include "base/mem.h"

void flights_add(struct flights *f, struct flight *take_flight)
{
    take_flight->next = NULL;
    if (!f->head) {
        f->tail = &f->head;
    }
    *f->tail = take_flight;
    f->tail = &take_flight->next;
}

struct flight *flights_take(struct flights *f)
{
    struct flight *first = f->head;
    f->head = first->next;
    return first;
}

struct flight *flights_room(struct flights *f, size_t op_len, size_t max)
{
    struct flight *last = NULL;
    for (struct flight *at = f->head; at; at = at->next) {
        last = at;
    }
    if (last && last->batch.entry.len + op_len <= max) {
        return last;
    }
    struct flight *fresh = mem_zalloc(1, sizeof *fresh);
    flights_add(f, fresh);
    return fresh;
}

void flight_destroy(struct flight *flight)
{
    batch_close(&flight->batch);
    mem_free(flight);
}
