/* Scenarios: what goes wrong, told step by step, with the clients of a seed. */
#include "cluster_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define STEPS_MAX 32
#define WORDS_MAX 6
#define LINE_BYTES 256

struct step {
    uint64_t at_ms; /* since the begin */
    bool is_after_ack;
    unsigned count;
    char words[WORDS_MAX][24];
};

struct script {
    uint64_t seed;
    unsigned count;
    unsigned next;
    uint64_t begin_ms;
    uint64_t acked;  /* writes, when a step began to wait for one; UINT64_MAX: none waits */
    struct node *it; /* the node that was named last */
    struct step steps[STEPS_MAX];
};

/* ---------------------------------------------------------------- reading */

static NORETURN void refuse(const char *line)
{
    fprintf(stderr, "scenarios: \"%s\" cannot be understood\n", line);
    exit(2);
}

/* "MS [after-ack] VERB ..." */
static void read_step(struct script *s, char *line)
{
    char *rest = NULL;
    if (s->count == STEPS_MAX) {
        refuse(line);
    }
    struct step *step = &s->steps[s->count++];
    for (char *word = strtok_r(line, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
        if (strcmp(word, "after-ack") == 0) {
            step->is_after_ack = true;
            continue;
        }
        if (step->count == WORDS_MAX) {
            refuse(word);
        }
        (void)snprintf(step->words[step->count++], sizeof(step->words[0]), "%s", word);
    }
    if (step->count < 2) {
        refuse(step->words[0]);
    }
    step->at_ms = strtoull(step->words[0], NULL, 10);
}

/* The scenario's own lines; false: the file has none of that name. */
static bool read_lines(FILE *file, const char *name, struct script *s)
{
    char line[LINE_BYTES];
    size_t len = strlen(name);
    bool is_found = false;
    bool is_ours = false;
    while (fgets(line, sizeof(line), file)) {
        if (line[0] == '#' || line[0] == '\n') {
            continue;
        }
        if (line[0] != ' ') {
            is_ours = strncmp(line, name, len) == 0 && line[len] == ':';
            is_found = is_found || is_ours;
            s->seed = is_ours ? strtoull(line + len + 1, NULL, 10) : s->seed;
        } else if (is_ours) {
            read_step(s, line);
        }
    }
    return is_found && s->count > 0;
}

struct script *script_read(const char *path, const char *name)
{
    struct script *s = mem_zalloc(1, sizeof(*s));
    s->acked = UINT64_MAX;
    FILE *file = fopen(path, "re");
    bool is_read = file && read_lines(file, name, s);
    if (file) {
        (void)fclose(file);
    }
    if (!is_read) {
        fprintf(stderr, "%s has no scenario %s\n", path, name);
        exit(2);
    }
    return s;
}

uint64_t script_seed(const struct script *s)
{
    return s->seed;
}

bool script_is_over(const struct script *s)
{
    return s->next == s->count;
}

void script_free(struct script *s)
{
    mem_free(s);
}

/* ---------------------------------------------------------------- doing */

static const char *word(const struct step *step, unsigned n)
{
    return n < step->count ? step->words[n] : "";
}

static uint64_t number(const struct step *step, unsigned n)
{
    return strtoull(word(step, n), NULL, 10);
}

/* The node that a step names. */
static struct node *find_node(struct world *w, struct script *s, const struct step *step)
{
    const char *name = word(step, 2);
    struct node *leader = world_leader(w);
    if (!leader) {
        world_fail(w, "the scenario needs a leader");
    }
    if (strcmp(name, "leader") == 0) {
        s->it = leader;
    } else if (strcmp(name, "follower") == 0) {
        s->it = &w->nodes[(leader->place + 1) % w->count];
    } else if (strcmp(name, "other") == 0) { /* the follower that "follower" is not */
        s->it = &w->nodes[(leader->place + 2) % w->count];
    } else if (strcmp(name, "it") != 0 || !s->it) {
        refuse(name);
    }
    return s->it;
}

/* Nothing comes from the node, or to it. */
static void cut(struct node *n, bool is_out_only)
{
    struct world *w = n->w;
    world_note(w, "scenario: node %u is cut off%s", n->place, is_out_only ? ", one way" : "");
    for (unsigned i = 0; i < w->count; i++) {
        w->weather.is_cut[n->place][i] = i != n->place;
        w->weather.is_cut[i][n->place] = i != n->place && !is_out_only;
        weather_doubt(&w->nodes[i], 0);
    }
}

static void do_cut(struct node *n, uint64_t ms)
{
    (void)ms;
    cut(n, false);
}

static void do_mute(struct node *n, uint64_t ms)
{
    (void)ms;
    cut(n, true);
}

static void do_full(struct node *n, uint64_t ms)
{
    (void)ms;
    raft_memory_faults(n->disk)->is_full = true;
    weather_doubt(n, 0);
}

static void do_slow(struct node *n, uint64_t ms)
{
    raft_memory_faults(n->disk)->delay_max_ms = (unsigned)ms;
    n->db_delay_ms = (unsigned)ms;
    weather_doubt(n, 0);
}

static void do_stop_at_vote(struct node *n, uint64_t ms)
{
    (void)ms;
    raft_memory_faults(n->disk)->stop_at_meta = 1;
    weather_doubt(n, 0);
}

static void do_clock(struct node *n, uint64_t ms)
{
    n->wall_offset_ms = (int64_t)ms - 10000; /* words have no sign */
}

/* Another leads than the node that was named last. */
static void do_must_not_lead(struct node *n, uint64_t ms)
{
    (void)ms;
    const struct node *leader = world_leader(n->w);
    if (!leader || leader == n) {
        world_fail(n->w, "the scenario expects another leader than node %u", n->place);
    }
}

static void crash_all(struct world *w, uint64_t down_ms)
{
    for (unsigned i = 0; i < w->count; i++) {
        weather_crash(&w->nodes[i], down_ms);
    }
}

static void run_step(struct world *w, struct script *s, const struct step *step)
{
    static const struct verb {
        const char *name;
        void (*run)(struct node *n, uint64_t ms);
    } verbs[] = {
        {"cut", do_cut},
        {"mute", do_mute},
        {"full", do_full},
        {"slow", do_slow},
        {"stop-at-vote", do_stop_at_vote},
        {"clock", do_clock},
        {"crash", weather_crash},
        {"pause", weather_pause},
        {"must-not-lead", do_must_not_lead},
    };
    const char *name = word(step, 1);
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (strcmp(name, verbs[i].name) == 0) {
            verbs[i].run(find_node(w, s, step), number(step, 3));
            return;
        }
    }
    if (strcmp(name, "crash-all") == 0) {
        crash_all(w, number(step, 2));
    } else if (strcmp(name, "join") == 0) {
        weather_join(w);
    } else if (strcmp(name, "mend") == 0) {
        weather_mend(w);
    } else if (strcmp(name, "end") != 0) {
        refuse(name);
    }
}

/* It is its time, and what it waits for has happened. */
static bool is_due(struct world *w, struct script *s, const struct step *step)
{
    if (w->now_ms < s->begin_ms + step->at_ms) {
        return false;
    }
    if (step->is_after_ack && s->acked == UINT64_MAX) {
        s->acked = w->writes_done;
    }
    if (step->is_after_ack && w->writes_done == s->acked) {
        return false;
    }
    s->acked = UINT64_MAX;
    return true;
}

static void on_step(struct world *w, void *arg, uint64_t number_)
{
    struct script *s = arg;
    (void)number_;
    if (w->is_closing) {
        return;
    }
    while (!script_is_over(s) && is_due(w, s, &s->steps[s->next])) {
        run_step(w, s, &s->steps[s->next++]);
    }
    if (!script_is_over(s)) {
        world_after(w, 1, on_step, s, 0);
    }
}

void script_begin(struct world *w, struct script *s)
{
    s->begin_ms = w->now_ms;
    world_after(w, 1, on_step, s, 0);
}
