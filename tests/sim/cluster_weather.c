/* What goes wrong while it storms, as the seed has it. */
#include "cluster_world.h"

#include "base/assert.h"

#define STORM_GAP_MS 700 /* between two things that happen, on average half of it */
#define DOUBT_MS 20000   /* after trouble of a node: an owner's grace and a margin */

static struct node *any_node(struct world *w)
{
    return &w->nodes[world_random(w, w->count)];
}

void weather_doubt(struct node *n, uint64_t for_ms)
{
    uint64_t until = n->w->now_ms + for_ms + DOUBT_MS;
    n->doubt_ms = until > n->doubt_ms ? until : n->doubt_ms;
}

void weather_crash(struct node *n, uint64_t down_ms)
{
    world_note(n->w, "weather: node %u crashes", n->place);
    node_crash(n);
    n->up_ms = n->w->now_ms + down_ms;
    weather_doubt(n, down_ms);
}

static void crash_one(struct world *w)
{
    struct node *n = any_node(w);
    if (n->core) {
        weather_crash(n, 10 + world_random(w, world_chance(w, 80) ? 1500 : 6000));
    }
}

static void crash_all(struct world *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        weather_crash(&w->nodes[i], 10 + world_random(w, 1000));
    }
}

void weather_pause(struct node *n, uint64_t ms)
{
    struct world *w = n->w;
    world_note(w, "weather: node %u stands still for %llu ms", n->place, (unsigned long long)ms);
    n->paused_ms = n->paused_ms > w->now_ms + ms ? n->paused_ms : w->now_ms + ms;
    weather_doubt(n, ms);
}

static void pause_one(struct world *w)
{
    struct node *n = any_node(w);
    uint64_t ms = 50 + world_random(w, world_chance(w, 70) ? 800 : 6000);
    if (n->core) {
        weather_pause(n, ms);
    }
}

void weather_join(struct world *w)
{
    world_note(w, "weather: all links heal");
    for (unsigned from = 0; from < w->count; from++) {
        for (unsigned to = 0; to < w->count; to++) {
            w->weather.is_cut[from][to] = false;
        }
        weather_doubt(&w->nodes[from], 0);
    }
}

/* A part of the nodes is cut off, both ways or one way. */
static void cut_some(struct world *w)
{
    uint64_t side = world_random(w, 1u << w->count);
    bool is_one_way = world_chance(w, 30);
    world_note(w, "weather: side %llu is cut off%s", (unsigned long long)side,
               is_one_way ? ", one way" : "");
    for (unsigned from = 0; from < w->count; from++) {
        for (unsigned to = 0; to < w->count; to++) {
            bool is_out = (side >> from & 1) == 1 && (side >> to & 1) == 0;
            bool is_in = (side >> from & 1) == 0 && (side >> to & 1) == 1;
            w->weather.is_cut[from][to] = is_out || (is_in && !is_one_way);
        }
        weather_doubt(&w->nodes[from], 0);
    }
}

static void reset_link(struct world *w)
{
    struct node *n = any_node(w);
    struct link *l = &n->net.links[world_random(w, w->count)];
    if (n->core && l->state == LINK_UP) {
        net_break(n, l, "weather");
    }
}

static void change_air(struct world *w)
{
    w->weather.latency_min_ms = (unsigned)world_random(w, 4);
    w->weather.latency_max_ms =
        w->weather.latency_min_ms + (unsigned)world_random(w, world_chance(w, 80) ? 20 : 200);
    w->weather.loss_percent = world_chance(w, 50) ? (unsigned)world_random(w, 6) : 0;
    world_note(w, "weather: latency %u to %u ms, loss %u %%", w->weather.latency_min_ms,
               w->weather.latency_max_ms, w->weather.loss_percent);
}

static void change_disk(struct world *w)
{
    struct node *n = any_node(w);
    struct raft_memory_faults *f = raft_memory_faults(n->disk);
    f->delay_min_ms = (unsigned)world_random(w, 3);
    f->delay_max_ms = f->delay_min_ms + (unsigned)world_random(w, world_chance(w, 80) ? 10 : 400);
    f->is_full = world_chance(w, 10);
    n->db_delay_ms = (unsigned)world_random(w, world_chance(w, 80) ? 10 : 600);
    f->stop_at_meta = world_chance(w, 25) ? 1 + (unsigned)world_random(w, 3) : 0;
    if (f->is_full || f->delay_max_ms > 100 || f->stop_at_meta > 0) {
        weather_doubt(n, 0);
    }
    world_note(w, "weather: disk of node %u: %u to %u ms%s, tables %u ms", n->place,
               f->delay_min_ms, f->delay_max_ms, f->is_full ? ", full" : "", n->db_delay_ms);
}

void weather_mend(struct world *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        *raft_memory_faults(w->nodes[i].disk) = (struct raft_memory_faults){.delay_max_ms = 2};
        w->nodes[i].db_delay_ms = 2;
    }
}

static void set_clock(struct world *w)
{
    struct node *n = any_node(w);
    n->wall_offset_ms = (int64_t)world_random(w, 20000) - 10000;
    world_note(w, "weather: clock of node %u is %lld ms off", n->place,
               (long long)n->wall_offset_ms);
}

static void storm(struct world *w, void *arg, uint64_t number)
{
    static void (*const kinds[])(struct world *) = {
        crash_one,  crash_one,    crash_one,    pause_one,    pause_one,    cut_some,
        cut_some,   weather_join, weather_join, weather_join, reset_link,   reset_link,
        change_air, change_air,   change_disk,  change_disk,  weather_mend, set_clock,
    };
    (void)arg;
    (void)number;
    if (w->is_calm) {
        return;
    }
    if (world_chance(w, 3)) {
        crash_all(w);
    } else {
        kinds[world_random(w, ARRAY_LEN(kinds))](w);
    }
    world_after(w, 1 + world_random(w, STORM_GAP_MS), storm, NULL, 0);
}

void weather_begin(struct world *w)
{
    world_after(w, 1, storm, NULL, 0);
}

void weather_calm(struct world *w)
{
    w->is_calm = true;
    weather_join(w);
    weather_mend(w);
    w->weather.latency_min_ms = 1;
    w->weather.latency_max_ms = 3;
    w->weather.loss_percent = 0;
    for (unsigned i = 0; i < w->count; i++) {
        struct node *n = &w->nodes[i];
        n->up_ms = n->up_ms < w->now_ms ? n->up_ms : w->now_ms;
    }
}

bool weather_is_over(const struct world *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        if (w->nodes[i].paused_ms > w->now_ms) {
            return false;
        }
    }
    return w->is_calm;
}
