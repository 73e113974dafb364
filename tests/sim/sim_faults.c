#include "sim_world.h"

static void crash_one(struct sim_world *w)
{
    struct sim_node *n = &w->nodes[sim_random(w, w->count)];
    if (n->driver) {
        sim_crash(n);
        n->up_at_ms = w->now_ms + 10 + sim_random(w, 4000);
    }
}

static void crash_all(struct sim_world *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        sim_crash(&w->nodes[i]);
        w->nodes[i].up_at_ms = w->now_ms + 10 + sim_random(w, 500);
    }
}

/* A part of the nodes is cut off, both ways or one way. */
static void cut_some(struct sim_world *w)
{
    uint64_t side = sim_random(w, 1u << w->count);
    bool is_one_way = sim_random(w, 3) == 0;
    for (unsigned from = 0; from < w->count; from++) {
        for (unsigned to = 0; to < w->count; to++) {
            bool is_a_to_b = (side >> from & 1) == 1 && (side >> to & 1) == 0;
            bool is_b_to_a = (side >> from & 1) == 0 && (side >> to & 1) == 1;
            w->weather.is_cut[from][to] = is_a_to_b || (is_b_to_a && !is_one_way);
        }
    }
}

static void join_all(struct sim_world *w)
{
    for (unsigned from = 0; from < w->count; from++) {
        for (unsigned to = 0; to < w->count; to++) {
            w->weather.is_cut[from][to] = false;
        }
    }
}

static void change_weather(struct sim_world *w)
{
    w->weather.loss_percent = (unsigned)sim_random(w, 7);
    w->weather.duplicate_percent = (unsigned)sim_random(w, 4);
    w->weather.latency_max_ms = (unsigned)sim_random(w, 30);
    w->weather.is_unordered = w->seed % 2 == 0;
}

static void change_disk(struct sim_world *w)
{
    struct raft_memory_faults *faults = raft_memory_faults(w->nodes[sim_random(w, w->count)].disk);
    faults->delay_min_ms = (unsigned)sim_random(w, 3);
    faults->delay_max_ms =
        faults->delay_min_ms + (unsigned)sim_random(w, sim_random(w, 5) == 0 ? 300 : 10);
    faults->is_full = sim_random(w, 8) == 0;
}

static void transfer(struct sim_world *w)
{
    struct sim_node *n = sim_leader(w);
    if (n && w->count > 1) {
        (void)!raft_driver_transfer(n->driver, 0, NULL);
    }
}

bool sim_is_member(struct sim_world *w, const struct sim_node *n)
{
    const struct sim_node *leader = sim_leader(w);
    return leader && raft_member_find(raft_driver_members(leader->driver), n->id);
}

/* Its owner takes the node for a new one from here on: nobody has its old name any more. */
static void wipe(struct sim_world *w, struct sim_node *n)
{
    sim_crash(n);
    raft_memory_destroy(n->disk);
    n->id += SIM_IDS;
    n->disk = raft_memory_create(w->seed * 8 + n->id);
    memset(w->vote_of[(n->id - 1) % SIM_IDS], 0, sizeof w->vote_of[0]);
    n->up_at_ms = w->now_ms + 10 + sim_random(w, 500);
    w->wipes++;
}

void sim_churn(struct sim_world *w)
{
    struct sim_node *leader = sim_leader(w);
    struct sim_node *n = &w->nodes[sim_random(w, w->count)];
    if (!leader) {
        return;
    }
    if (sim_is_member(w, n)) {
        w->changes += raft_member_change(&leader->member, leader->driver, CONSENSUS_REMOVE, n->id,
                                         NULL, NULL) == 0;
        return;
    }
    if (sim_random(w, 4) == 0 && !raft_driver_is_changing(leader->driver)) {
        wipe(w, n);
        return;
    }
    w->changes += raft_member_change(&leader->member, leader->driver, CONSENSUS_ADD, n->id,
                                     n->address, NULL) == 0;
}

void sim_disturb(struct sim_world *w)
{
    switch (sim_random(w, 3000)) {
    case 0:
    case 1:
        crash_one(w);
        break;
    case 2:
        if (sim_random(w, 4) == 0) {
            crash_all(w);
        }
        break;
    case 3:
        cut_some(w);
        break;
    case 4:
    case 5:
        join_all(w);
        break;
    case 6:
        change_weather(w);
        break;
    case 7:
    case 8:
        change_disk(w);
        break;
    case 9:
        transfer(w);
        break;
    default:
        break;
    }
}

void sim_heal(struct sim_world *w)
{
    join_all(w);
    w->weather = (struct sim_weather){.latency_max_ms = 5};
    for (unsigned i = 0; i < w->count; i++) {
        *raft_memory_faults(w->nodes[i].disk) = (struct raft_memory_faults){.delay_max_ms = 3};
        w->nodes[i].up_at_ms = 0;
    }
}
