#include "node/machine.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

#define NS_PER_S 1000000000u

double cpu_meter_look(struct cpu_meter *m)
{
    struct timespec cpu = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    uint64_t used = (uint64_t)cpu.tv_sec * NS_PER_S + (uint64_t)cpu.tv_nsec;
    uint64_t at = clock_mono_ns();
    if (at - m->at_ns > MACHINE_LOOK_NS) {
        m->share = (double)(used - m->used_ns) / (double)(at - m->at_ns);
        m->used_ns = used;
        m->at_ns = at;
    }
    return m->share;
}

double machine_load(void)
{
    double load[1] = {0};
    return getloadavg(load, 1) == 1 ? load[0] : 0;
}
