/* Leases of whole nodes, played against each other. */
#include "cluster/lease.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lease_sim.h"

#define SEEDS 1000 /* two seconds; a long run: LEASE_SIM_FIRST, LEASE_SIM_SEEDS */

static void test_reads__under_drift_loss_stops_cuts_and_elections__never_go_back(void **state)
{
    (void)state;
    const char *first = getenv("LEASE_SIM_FIRST");
    const char *count = getenv("LEASE_SIM_SEEDS");
    uint64_t from = first ? strtoull(first, NULL, 10) : 0;
    uint64_t seeds = count ? strtoull(count, NULL, 10) : SEEDS;
    struct lease_sim_result sum = {0};
    for (uint64_t seed = from; seed < from + seeds; seed++) {
        struct lease_sim_result r = lease_sim_run(seed);
        if (r.is_broken) {
            fail_msg("seed %llu: %s", (unsigned long long)seed, r.why);
        }
        sum.reads += r.reads;
        sum.refused += r.refused;
        sum.answered += r.answered;
        sum.answered_late += r.answered_late;
        sum.elections += r.elections;
    }
    print_message("%llu seeds: %llu reads, %llu refused, %llu writes answered, %llu of them late, "
                  "%llu elections\n",
                  (unsigned long long)seeds, (unsigned long long)sum.reads,
                  (unsigned long long)sum.refused, (unsigned long long)sum.answered,
                  (unsigned long long)sum.answered_late, (unsigned long long)sum.elections);
    /* A cluster that refuses everything keeps its promise, too. */
    assert_true(sum.reads > sum.refused / 2);
    assert_true(sum.elections > seeds);
    assert_true(sum.answered > sum.answered_late * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads__under_drift_loss_stops_cuts_and_elections__never_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
