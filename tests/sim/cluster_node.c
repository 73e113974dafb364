/* Nodes: whole cores on played disks and clocks, that start, stop as a machine does, and come back.
 */
#include "cluster_world.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "node/effects.h"
#include "store/db_worker.h"

#define MONO_FIRST_MS 1000000
#define WALL_FIRST_MS 1700000000000
#define TURNS_MAX 50 /* of one node in one millisecond */
#define SNAPSHOT_ENTRIES 60
#define TRAILING_ENTRIES 20
#define MILLION 1000000

/* ---------------------------------------------------------------- time */

static uint64_t mono_ms(const struct node *n)
{
    int64_t drift = (int64_t)n->w->now_ms * n->drift_ppm / MILLION;
    return (uint64_t)(MONO_FIRST_MS + (int64_t)n->w->now_ms + drift);
}

struct now node_now(const struct node *n)
{
    return (struct now){mono_ms(n), WALL_FIRST_MS + (int64_t)n->w->now_ms + n->wall_offset_ms};
}

/* The world's time at which the node's clock says so, or a little later. */
static uint64_t world_ms(const struct node *n, uint64_t mono)
{
    if (mono == UINT64_MAX) {
        return UINT64_MAX;
    }
    uint64_t now = mono_ms(n);
    if (mono <= now) {
        return n->w->now_ms;
    }
    uint64_t wait = mono - now;
    return n->w->now_ms + (n->drift_ppm > 0 ? wait - wait / 1000 : wait + wait / 1000);
}

/* ---------------------------------------------------------------- its directory */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void empty_dir(const char *dir)
{
    if (access(dir, F_OK) == 0) {
        ASSERT(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
    }
}

static void make_dir(struct node *n)
{
    empty_dir(n->dir);
    ASSERT(mkdir(n->dir, 0700) == 0);
}

/* ---------------------------------------------------------------- life */

static void new_identity(struct node *n)
{
    uint64_t x = n->w->seed * 0x9e3779b97f4a7c15u + n->place * 1000u + ++n->identity;
    for (unsigned i = 0; i < NODE_ID_BYTES; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        n->id.bytes[i] = (uint8_t)(x >> 32);
    }
}

void node_init(struct world *w, unsigned place, const char *dir)
{
    struct node *n = &w->nodes[place];
    n->w = w;
    n->place = place;
    n->db_delay_ms = 2;
    (void)snprintf(n->dir, sizeof(n->dir), "%s/n%u", dir, place);
    n->drift_ppm = (int64_t)world_random(w, 1001) - 500;
    n->wall_offset_ms = (int64_t)world_random(w, 4000) - 2000;
    n->disk = raft_memory_create(w->seed * 8 + place);
    raft_memory_faults(n->disk)->delay_max_ms = 2;
    new_identity(n);
    make_dir(n);
}

void node_close(struct node *n)
{
    node_crash(n);
    raft_memory_destroy(n->disk);
    empty_dir(n->dir);
}

static void on_ready(void *self)
{
    struct node *n = self;
    n->is_ready = true;
    world_note(n->w, "node %u ready", n->place);
}

static void on_restart(void *self)
{
    struct node *n = self;
    n->wants_restart = true;
}

/* In a real node the process ends in here. */
static void on_fatal(void *self, const struct fail *why)
{
    struct node *n = self;
    if (!n->is_dead) {
        n->is_dead = true;
        n->why = *why;
    }
}

static struct naming_options naming_options(void)
{
    return (struct naming_options){
        .push_window_ms = 10,
        .push_window_max_ms = 500,
        .push_ack_timeout_ms = 2000,
        .push_retry_ms = 500,
        .push_retry_max_ms = 2000,
        .push_tries_max = 4,
        .subscribe_push_ms = 500,
        .beat_timeout_ms = 15000,
        .beat_delete_ms = 30000,
        .beat_interval_ms = 5000,
        .expire_instances = true,
        .empty_service_ms = 20000,
        .clean_interval_ms = 20000,
        .overlay_expire_ms = 20000,
        .restart_grace_ms = 5000,
    };
}

static struct config_options config_options(void)
{
    return (struct config_options){
        .memory_bytes_max = 1u << 20,
        .content_chars_max = 10485760,
        .gray_max = 10,
        .notify_retry_ms = 500,
        .notify_tries_max = 50,
        .poll_hold_least_ms = 10000,
        .polls_max = 100,
        .listens_max = 1000,
    };
}

static void fill_seed(struct node *n, uint8_t seed[PEERING_SEED_BYTES])
{
    for (unsigned i = 0; i < PEERING_SEED_BYTES; i++) {
        seed[i] = (uint8_t)world_random(n->w, 256);
    }
}

void node_boot(struct node *n)
{
    struct world *w = n->w;
    uint8_t seed[PEERING_SEED_BYTES];
    struct fail fail = {0};
    const struct peer_net_maker net = {n, net_create};
    const struct effects_edge edge = {n, edge_perform};
    raft_memory_faults(n->disk)->stop_at_meta = 0;
    raft_memory_faults(n->disk)->is_stopped = false;
    fill_seed(n, seed);
    raft_memory_run(n->disk, mono_ms(n));
    const struct core_played played = {
        .disk = n->disk,
        .now = node_now(n),
        .seed = (unsigned)world_random(w, 1u << 30) + 1,
        .trailing_entries = TRAILING_ENTRIES,
        .on_apply = check_apply,
        .self = n,
    };
    const struct peering_options peers = {
        .dir = n->dir,
        .bind = "",
        .port = 8848,
        .list = &w->list,
        .secret = "",
        .no_second_port = true,
        .net = &net,
        .id = &n->id,
        .seed = seed,
    };
    const struct core_options options = {
        .naming = naming_options(),
        .conn = {.persistent_by_grpc = true},
        .config = config_options(),
        .dir = n->dir,
        .snapshot_entries = SNAPSHOT_ENTRIES,
        .peers = &peers,
        .played = &played,
        .on_ready = on_ready,
        .on_restart = on_restart,
        .on_fatal = on_fatal,
        .self = n,
    };
    n->boot = ++w->boots;
    n->is_ready = false;
    n->is_dead = false;
    n->wants_restart = false;
    n->next_ms = 0;
    n->db_ms[0] = 0;
    n->db_ms[1] = 0;
    n->entry_index = 0;
    world_note(w, "node %u starts", n->place);
    if (core_create(&options, &n->core, &fail) != 0 || core_begin(n->core, &edge, &fail) != 0) {
        world_fail(w, "node %u does not start: %s", n->place, fail_text(&fail));
    }
}

void node_crash(struct node *n)
{
    struct core *core = n->core;
    if (!core) {
        return;
    }
    n->core = NULL; /* whatever its end says, nobody hears it */
    n->is_ready = false;
    raft_memory_crash(n->disk);
    core_stop(core);
    core_destroy(core);
    conn_node_down(n->w, n->place);
    n->w->crashes++;
}

/* ---------------------------------------------------------------- turns */

/* When what waits for the database will be done. */
static void time_db(struct node *n)
{
    struct db_worker_stats stats = db_worker_stats(core_db_worker(n->core));
    bool waits[2] = {stats.reads_waiting > 0, stats.writes_waiting > 0};
    for (unsigned lane = 0; lane < 2; lane++) {
        if (waits[lane] && n->db_ms[lane] == 0) {
            n->db_ms[lane] = n->w->now_ms + world_random(n->w, n->db_delay_ms + 1);
        }
    }
}

static void run_db(struct node *n)
{
    for (unsigned lane = 0; lane < 2; lane++) {
        if (n->db_ms[lane] != 0 && n->db_ms[lane] <= n->w->now_ms) {
            n->db_ms[lane] = 0;
            (void)db_worker_step(core_db_worker(n->core), lane == 1, mono_ms(n));
        }
    }
}

/* Its machine stopped in a write of term or vote. */
static void end_stopped(struct node *n)
{
    world_note(n->w, "node %u stops in a write of its term or vote", n->place);
    node_crash(n);
    n->up_ms = n->w->now_ms + 10 + world_random(n->w, 1500);
    weather_doubt(n, n->up_ms - n->w->now_ms);
}

/* The process has ended itself. */
static void end_dead(struct node *n)
{
    if (raft_memory_faults(n->disk)->is_stopped) {
        end_stopped(n);
        return;
    }
    if (!n->wants_restart) {
        world_fail(n->w, "node %u ends: %s", n->place, fail_text(&n->why));
    }
    world_note(n->w, "node %u starts again by itself", n->place);
    node_crash(n);
    n->up_ms = n->w->now_ms + 5;
}

void node_run(struct node *n)
{
    struct world *w = n->w;
    if (n->paused_ms > w->now_ms) {
        return;
    }
    if (!n->core) {
        if (n->up_ms > w->now_ms) {
            return;
        }
        node_boot(n);
    }
    raft_memory_run(n->disk, mono_ms(n));
    run_db(n);
    unsigned turns = 0;
    while (!n->is_dead && turns < TURNS_MAX && core_due(n->core) <= mono_ms(n)) {
        core_step(n->core, node_now(n));
        if (!n->is_dead) {
            check_turn(n);
        }
        turns++;
    }
    if (n->is_dead) {
        end_dead(n);
        return;
    }
    if (turns > 0) {
        time_db(n);
    }
    n->next_ms = world_ms(n, core_due(n->core));
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t node_next(const struct node *n)
{
    if (n->paused_ms > n->w->now_ms) {
        return n->paused_ms;
    }
    if (!n->core) {
        return n->up_ms;
    }
    uint64_t at = core_due(n->core) == 0 ? n->w->now_ms : n->next_ms;
    at = earlier(at, world_ms(n, raft_memory_next(n->disk)));
    for (unsigned lane = 0; lane < 2; lane++) {
        at = n->db_ms[lane] ? earlier(at, n->db_ms[lane]) : at;
    }
    return at;
}

struct node *world_leader(struct world *w)
{
    struct node *best = NULL;
    uint64_t term = 0;
    for (unsigned i = 0; i < w->count; i++) {
        struct node *n = &w->nodes[i];
        struct consensus_state s = {0};
        if (n->core) {
            s = core_log_state(n->core);
        }
        if (n->core && s.role == CONSENSUS_LEADER && s.term > term) {
            best = n;
            term = s.term;
        }
    }
    return best;
}
