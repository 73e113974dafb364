#include "base/clock.h"

#include <time.h>

#include "base/assert.h"

static struct timespec clock_read(clockid_t id)
{
    struct timespec t = {0};
    ASSERT(clock_gettime(id, &t) == 0);
    return t;
}

uint64_t clock_mono_ms(void)
{
    return clock_mono_ns() / 1000000u;
}

uint64_t clock_mono_ns(void)
{
    struct timespec t = clock_read(CLOCK_MONOTONIC);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int64_t clock_wall_ms(void)
{
    struct timespec t = clock_read(CLOCK_REALTIME);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct now clock_now(void)
{
    return (struct now){.mono_ms = clock_mono_ms(), .wall_ms = clock_wall_ms()};
}
