#include "bench/scenario_idle.h"

#include "base/clock.h"
#include "base/mem.h"
#include "bench/fleet.h"
#include "bench/procstat.h"

static void hold(struct scenario *s, double hold_s)
{
    uint64_t until_ns = clock_mono_ns() + (uint64_t)(hold_s * 1e9);
    while (clock_mono_ns() < until_ns) {
        poller_turn(s->poller, until_ns);
    }
}

static int measure(struct scenario *s, struct fleet *fleet, const struct procstat *before,
                   struct fail *fail)
{
    const struct options *o = s->options;
    struct report *r = &s->report;
    struct meter meter;
    hold(s, o->warmup_s);
    int err = meter_begin(&meter, o->pid, fail);
    if (err) {
        return err;
    }
    hold(s, o->seconds);
    err = meter_end(&meter, &r->result.usage, fail);
    if (err) {
        return err;
    }
    if (r->result.usage.has_server) {
        double grown = (double)r->result.usage.server_rss_kb - (double)before->rss_kb;
        report_add(r, "rss_kb_before", (double)before->rss_kb);
        report_add(r, "rss_kb_per_connection", grown / o->connections);
    }
    for (unsigned i = 0; i < fleet->lost; i++) {
        report_error(r, fleet->why.code, fail_text(&fleet->why));
    }
    return 0;
}

int scenario_idle(struct scenario *s, struct fail *fail)
{
    const struct options *o = s->options;
    struct procstat before = {0};
    int err = o->pid > 0 ? procstat_read(o->pid, &before, fail) : 0;
    if (err) {
        return err;
    }
    struct fleet *fleet = mem_zalloc(1, sizeof(*fleet));
    s->report.unit = "connections";
    fleet_init(fleet, s->poller, s->address, false);
    uint64_t begin_ns = clock_mono_ns();
    err = fleet_open(fleet, o->connections, fail);
    if (!err) {
        report_add(&s->report, "open_s", (double)(clock_mono_ns() - begin_ns) / 1e9);
        err = measure(s, fleet, &before, fail);
    }
    fleet_close(fleet);
    mem_free(fleet);
    return err;
}
