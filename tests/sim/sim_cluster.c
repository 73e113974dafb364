/* Runs seeds FIRST to LAST: whole cores in a storm, then calm, in which everything must come right.
 * With "loud" what happens is told as it does. --scenario FILE NAME: what a file tells.
 * --break NAME SEED: something is falsified, and that has to be found.
 */
#include "cluster_world.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/thread.h"

#define PEACE_MS 4000 /* a cluster is made before anything happens to it */
#define STORM_MS 15000
#define LEADER_MS 5000 /* after the storm somebody leads */
#define HEAL_MS 8000   /* and all have found each other (MEMBERSHIP_HIDE_MS, links' pauses) */
#define WRITES_MS 4000 /* after that whatever is written goes through */
#define QUIET_MS 45000 /* after that everything is right */
#define STEP_MS 50
#define BREAK_SEEDS 10 /* one of them has the occasion */

static void wait_for_leader(struct world *w)
{
    uint64_t begin = w->now_ms;
    while (!world_leader(w)) {
        world_run(w, w->now_ms + STEP_MS);
        if (w->now_ms - begin > LEADER_MS) {
            world_fail(w, "nobody leads %d ms after the storm", LEADER_MS);
        }
    }
}

static void calm_down(struct world *w)
{
    const char *what = NULL;
    weather_calm(w);
    while (!weather_is_over(w)) {
        world_run(w, w->now_ms + STEP_MS);
    }
    wait_for_leader(w);
    world_run(w, w->now_ms + HEAL_MS);
    w->healed_ms = w->now_ms;
    world_run(w, w->now_ms + WRITES_MS);
    w->is_quiet = true;
    break_beliefs(w);
    uint64_t begin = w->now_ms;
    while ((what = check_calm(w)) != NULL) {
        world_run(w, w->now_ms + STEP_MS);
        if (w->now_ms - begin > QUIET_MS) {
            world_fail(w, "%d ms after the last write: %s", QUIET_MS, what);
        }
    }
}

static void run_seed(struct world *w, uint64_t seed, const char *dir)
{
    world_open(w, seed, dir);
    world_run(w, PEACE_MS + world_random(w, 2000));
    weather_begin(w);
    world_run(w, w->now_ms + STORM_MS / 2 + world_random(w, STORM_MS));
    calm_down(w);
    check_history(w);
}

/* As run_seed, with what a scenario tells in place of a storm. */
static void run_scenario(struct world *w, const char *path, const char *name, const char *dir)
{
    struct script *script = script_read(path, name);
    world_open(w, script_seed(script), dir);
    world_run(w, PEACE_MS);
    script_begin(w, script);
    while (!script_is_over(script)) {
        world_run(w, w->now_ms + STEP_MS);
    }
    calm_down(w);
    check_history(w);
    world_close(w);
    script_free(script);
}

static char base[64]; /* where the nodes' tables are, until the end */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void remove_base(void)
{
    (void)nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_base(void)
{
    const char *under = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(base, sizeof(base), "%s/nacre-sim-XXXXXX", under);
    ASSERT(mkdtemp(base) != NULL);
    ASSERT(atexit(remove_base) == 0);
}

/* In place of libc's: the key of the hashes is the same in each process, so what depends on it (who
 * shares a place in a table) is in a replay as it was. */
ssize_t getrandom(void *bytes, size_t len, unsigned flags)
{
    (void)flags;
    memset(bytes, 0x5a, len);
    return (ssize_t)len;
}

/* Nobody else opens these tables: a lock is a system call that changes nothing. */
static void use_no_locks(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find("unix-excl");
    ASSERT(vfs != NULL);
    ASSERT(sqlite3_vfs_register(vfs, 1) == SQLITE_OK);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: sim_cluster FIRST [LAST] [loud] | --scenario FILE NAME [loud] | "
                        "--break NAME SEED\n");
        return 2;
    }
    thread_become(THREAD_CORE, "core");
    static struct world w;
    w.is_loud = strcmp(argv[argc - 1], "loud") == 0;
    log_set_level(w.is_loud ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR);
    make_base();
    use_no_locks();
    if (argc > 3 && strcmp(argv[1], "--break") == 0) {
        w.falsehood = break_named(argv[2]);
        for (uint64_t i = 0; i < BREAK_SEEDS; i++) {
            run_seed(&w, strtoull(argv[3], NULL, 10) + i, base);
            world_close(&w);
        }
        printf("nothing was found\n");
        return 0;
    }
    if (argc > 3 && strcmp(argv[1], "--scenario") == 0) {
        run_scenario(&w, argv[2], argv[3], base);
        return 0;
    }
    uint64_t first = strtoull(argv[1], NULL, 10);
    uint64_t last = argc > 2 ? strtoull(argv[2], NULL, 10) : first;
    last = last < first ? first : last;
    const char *seeds = getenv("NACRE_SIM_SEEDS");
    if (seeds && first != last) {
        last = first + strtoull(seeds, NULL, 10) - 1;
    }
    uint64_t writes = 0;
    uint64_t reads = 0;
    uint64_t degraded = 0;
    uint64_t crashes = 0;
    uint64_t hash = 0;
    for (uint64_t seed = first; seed <= last; seed++) {
        run_seed(&w, seed, base);
        writes += w.writes_done;
        reads += w.reads_done;
        degraded += w.reads_degraded;
        crashes += w.crashes;
        hash = hash * 31 + w.hash;
        world_close(&w);
    }
    printf("%llu seeds: %llu acknowledged writes, %llu reads (%llu degraded), %llu crashes, "
           "hash %016llx\n",
           (unsigned long long)(last - first + 1), (unsigned long long)writes,
           (unsigned long long)reads, (unsigned long long)degraded, (unsigned long long)crashes,
           (unsigned long long)hash);
    return 0;
}
