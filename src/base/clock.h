/* The two clocks, read at the edges only: the core is handed times.
 *
 * Thread:  any.
 */
#ifndef NACRE_BASE_CLOCK_H
#define NACRE_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds since an arbitrary start, never going back: for time-outs and intervals. */
uint64_t clock_mono_ms(void);

/* Nanoseconds of the same clock: for measuring. */
uint64_t clock_mono_ns(void);

/* Milliseconds since 1970 UTC: for what people and clients read. */
int64_t clock_wall_ms(void);

/* The earlier of two times of one clock; UINT64_MAX: never. For deadlines of several parts. */
static inline uint64_t clock_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* An instant of both clocks: what the core is handed with each command. Plain data. */
struct now {
    uint64_t mono_ms;
    int64_t wall_ms;
};

/* Both clocks now. */
struct now clock_now(void);

#endif
