#include "bench/load.h"

#include "base/assert.h"
#include "base/clock.h"

#define NS_PER_MS UINT64_C(1000000)

enum phase { PHASE_WARMUP, PHASE_MEASURE, PHASE_DRAIN };

struct load {
    struct poller *poller;
    const struct load_config *config;
    struct load_result *result;
    struct load_slot *free;
    struct load_slot **free_end;
    struct poll_timer timer;
    enum phase phase;
    unsigned busy;
    unsigned retired;
    uint64_t issued;
    uint64_t answered;
    uint64_t begin_ns; /* of the warm-up */
    uint64_t end_ns;   /* POLLER_NEVER when a count ends the run */
    struct meter meter;
    int err;
    struct fail *fail;
};

static void put_free(struct load *l, struct load_slot *slot)
{
    slot->next_free = NULL;
    *l->free_end = slot;
    l->free_end = &slot->next_free;
}

static struct load_slot *take_free(struct load *l)
{
    struct load_slot *slot = l->free;
    l->free = slot->next_free;
    if (!l->free) {
        l->free_end = &l->free;
    }
    return slot;
}

/* When request number n of an open loop is due. */
static uint64_t due_ns(const struct load *l, uint64_t n)
{
    return l->begin_ns + (uint64_t)((double)n * 1e9 / l->config->rate);
}

/* Send from free slots what is due now. */
static void pump(struct load *l)
{
    bool open_loop = l->config->rate > 0;
    while (l->free && l->phase != PHASE_DRAIN) {
        if (l->config->count > 0 && l->issued >= l->config->count) {
            return;
        }
        uint64_t now_ns = clock_mono_ns();
        uint64_t start_ns = now_ns;
        if (open_loop) {
            start_ns = due_ns(l, l->issued);
            if (start_ns > now_ns || start_ns >= l->end_ns) {
                return;
            }
        }
        struct load_slot *slot = take_free(l);
        slot->start_ns = start_ns;
        slot->number = l->issued;
        if (l->config->send(l->config->self, slot)) {
            slot->retired = true;
            l->retired++;
            continue;
        }
        slot->busy = true;
        l->busy++;
        l->issued++;
    }
}

static void begin_measure(struct load *l)
{
    l->phase = PHASE_MEASURE;
    l->err = meter_begin(&l->meter, l->config->pid, l->fail);
}

static void end_measure(struct load *l)
{
    struct load_result *r = l->result;
    l->phase = PHASE_DRAIN;
    int err = meter_end(&l->meter, &r->usage, l->fail);
    l->err = l->err ? l->err : err;
    if (l->config->rate > 0) {
        uint64_t due = (uint64_t)((double)(l->end_ns - l->begin_ns) / 1e9 * l->config->rate);
        r->unsent = due > l->issued ? due - l->issued : 0;
    }
}

static uint64_t next_wake(const struct load *l)
{
    uint64_t at_ns = l->phase == PHASE_WARMUP ? l->begin_ns + l->config->warmup_ns : l->end_ns;
    if (l->phase == PHASE_DRAIN) {
        return POLLER_NEVER;
    }
    if (l->config->rate > 0 && l->free) {
        uint64_t due = due_ns(l, l->issued);
        at_ns = due < at_ns ? due : at_ns;
    }
    return at_ns;
}

static void on_timer(struct poll_timer *timer, uint64_t now_ns)
{
    struct load *l = CONTAINER_OF(timer, struct load, timer);
    if (l->phase == PHASE_WARMUP && now_ns >= l->begin_ns + l->config->warmup_ns) {
        begin_measure(l);
    }
    if (l->phase == PHASE_MEASURE && now_ns >= l->end_ns) {
        end_measure(l);
    }
    pump(l);
    timer->at_ns = next_wake(l);
}

static void count_error(struct load_result *r, int err, const struct fail *fail)
{
    if (r->errors++ == 0) {
        (void)fail_set(&r->first_error, err, "%s", fail_text(fail));
    }
}

void load_done(struct load_slot *slot, int err, const struct fail *fail)
{
    struct load *l = slot->load;
    struct load_result *r = l->result;
    ASSERT(slot->busy);
    slot->busy = false;
    l->busy--;
    l->answered++;
    if (err) {
        count_error(r, err, fail);
    } else if (l->phase == PHASE_MEASURE) {
        uint64_t now_ns = poller_now(l->poller);
        histogram_add(&r->latency, now_ns > slot->start_ns ? now_ns - slot->start_ns : 0);
        r->completed++;
    }
    if (l->config->count > 0 && l->answered >= l->config->count && l->phase == PHASE_MEASURE) {
        end_measure(l);
    }
    put_free(l, slot);
    pump(l);
    l->timer.at_ns = next_wake(l);
}

static void load_begin(struct load *l)
{
    l->begin_ns = clock_mono_ns();
    l->end_ns = l->config->count > 0 ? POLLER_NEVER
                                     : l->begin_ns + l->config->warmup_ns + l->config->run_ns;
    l->free_end = &l->free;
    for (unsigned i = 0; i < l->config->slot_count; i++) {
        *l->config->slots[i] = (struct load_slot){.load = l};
        put_free(l, l->config->slots[i]);
    }
    l->timer.fn = on_timer;
    poller_know(l->poller, &l->timer);
    if (l->config->warmup_ns == 0) {
        begin_measure(l);
    }
    pump(l);
    l->timer.at_ns = next_wake(l);
}

/* Answers that are still under way when the measured part ends; what never comes is an error. */
static void drain(struct load *l)
{
    uint64_t until_ns = clock_mono_ns() + LOAD_DRAIN_MS * NS_PER_MS;
    while (l->busy > 0 && clock_mono_ns() < until_ns) {
        poller_turn(l->poller, until_ns);
    }
    if (l->busy > 0) {
        struct fail fail;
        (void)fail_set(&fail, E_TIMEOUT, "no answer within %d ms of the end", LOAD_DRAIN_MS);
        count_error(l->result, E_TIMEOUT, &fail);
        l->result->errors += l->busy - 1;
    }
}

int load_run(struct poller *poller, const struct load_config *config, struct load_result *ret,
             struct fail *fail)
{
    struct load l = {.poller = poller, .config = config, .result = ret, .fail = fail};
    *ret = (struct load_result){0};
    load_begin(&l);
    while (l.phase != PHASE_DRAIN && l.retired < config->slot_count && !l.err) {
        poller_turn(poller, POLLER_NEVER);
    }
    if (l.phase == PHASE_MEASURE) {
        end_measure(&l);
    }
    l.phase = PHASE_DRAIN;
    drain(&l);
    poller_forget(poller, &l.timer);
    if (!l.err && l.retired == config->slot_count) {
        l.err = fail_set(fail, E_CLOSED, "all connections were lost; the first error was: %s",
                         fail_text(&ret->first_error));
    }
    return l.err;
}
