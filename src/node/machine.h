/* How busy machine and process are.
 *
 * Thread:  any; a meter is its owner's.
 */
#ifndef NACRE_NODE_MACHINE_H
#define NACRE_NODE_MACHINE_H

#include <stdint.h>

#define MACHINE_LOOK_NS 1000000000u /* a look sooner than this after another says the same */

/* Embedded; zero-initialised: since the process began. */
struct cpu_meter {
    uint64_t used_ns;
    uint64_t at_ns;
    double share;
};

/* This process's share of one processor since the last look. */
double cpu_meter_look(struct cpu_meter *m);

/* Processes that run or want to, over the last minute; 0 when the system does not say. */
double machine_load(void);

#endif
