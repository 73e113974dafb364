/* Runs seeds FIRST to LAST with NODES nodes, or, with churn, NODES of SIM_NODES_MAX at first: a
 * minute of bad weather, then calm, and at the end everybody agrees, nothing acknowledged is
 * missing, and writes go through. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "sim_world.h"

#define STORM_MS 60000
#define CALM_MS 20000

static void check_end(struct sim_world *w, uint64_t acked_before)
{
    if (w->acked == acked_before) {
        sim_fail(w, "no write went through after everything was well again");
    }
    for (unsigned i = 0; i < w->count; i++) {
        const struct sim_node *n = &w->nodes[i];
        if (w->is_churning && !sim_is_member(w, n)) {
            continue;
        }
        if (n->applied < w->acked_last || n->applied != w->chosen_last) {
            sim_fail(w, "node %u has applied %llu of %llu", i + 1, (unsigned long long)n->applied,
                     (unsigned long long)w->chosen_last);
        }
        if (!raft_driver_state(n->driver).is_ready) {
            sim_fail(w, "node %u is not ready", i + 1);
        }
    }
}

static void run_seed(struct sim_world *w, uint64_t seed, unsigned nodes, bool is_churning)
{
    sim_init(w, seed, nodes, is_churning);
    for (unsigned i = 0; i < STORM_MS; i++) {
        sim_disturb(w);
        if (is_churning && sim_random(w, 1000) == 0) {
            sim_churn(w);
        }
        if (sim_random(w, 8) == 0) {
            sim_submit(w);
        }
        sim_step(w);
    }
    sim_heal(w);
    uint64_t acked = w->acked;
    for (unsigned i = 0; i < CALM_MS; i++) {
        if (i < CALM_MS - 2000 && sim_random(w, 8) == 0) {
            sim_submit(w);
        }
        sim_step(w);
    }
    check_end(w, acked);
}

int main(int argc, char **argv)
{
    bool is_churning = argc == 5 && strcmp(argv[4], "churn") == 0;
    if (argc != 4 && !is_churning) {
        fprintf(stderr, "usage: sim_consensus FIRST LAST NODES [churn]\n");
        return 2;
    }
    thread_become(THREAD_CORE, "core");
    uint64_t first = strtoull(argv[1], NULL, 10);
    uint64_t last = strtoull(argv[2], NULL, 10);
    unsigned nodes = (unsigned)strtoul(argv[3], NULL, 10);
    const char *seeds = getenv("NACRE_SIM_SEEDS");
    if (seeds && first != last) {
        last = first + strtoull(seeds, NULL, 10) - 1;
    }
    static struct sim_world w;
    uint64_t acked = 0;
    uint64_t crashes = 0;
    uint64_t restores = 0;
    uint64_t changes = 0;
    uint64_t wipes = 0;
    for (uint64_t seed = first; seed <= last; seed++) {
        run_seed(&w, seed, nodes, is_churning);
        acked += w.acked;
        crashes += w.crashes;
        restores += w.restores;
        changes += w.changes;
        wipes += w.wipes;
        sim_close(&w);
    }
    printf("%llu seeds, %u nodes: %llu acknowledged writes, %llu crashes, %llu restores\n",
           (unsigned long long)(last - first + 1), nodes, (unsigned long long)acked,
           (unsigned long long)crashes, (unsigned long long)restores);
    if (is_churning) {
        printf("%llu changes of members, %llu nodes wiped\n", (unsigned long long)changes,
               (unsigned long long)wipes);
    }
    return 0;
}
