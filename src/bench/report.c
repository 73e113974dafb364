#include "bench/report.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/json_out.h"

#define BUSY_PERCENT 90.0

void report_add(struct report *r, const char *name, double value)
{
    ASSERT(r->extras < REPORT_EXTRA_MAX);
    r->extra[r->extras].name = name;
    r->extra[r->extras].value = value;
    r->extras++;
}

void report_error(struct report *r, int err, const char *text)
{
    if (r->result.errors++ == 0) {
        (void)fail_set(&r->result.first_error, err, "%s", text);
    }
}

static double seconds(const struct report *r)
{
    return (double)r->result.usage.elapsed_ns / 1e9;
}

static double rate(const struct report *r)
{
    return seconds(r) > 0 ? (double)r->result.completed / seconds(r) : 0;
}

/* Microseconds of CPU per counted thing. */
static double per_item_us(const struct report *r, uint64_t cpu_ns)
{
    return r->result.completed ? (double)cpu_ns / 1e3 / (double)r->result.completed : 0;
}

static double percent_of_core(const struct report *r, uint64_t cpu_ns)
{
    return seconds(r) > 0 ? (double)cpu_ns / 1e9 / seconds(r) * 100 : 0;
}

static double quantile_us(const struct report *r, double q)
{
    return (double)histogram_quantile(&r->result.latency, q) / 1e3;
}

static void json_number(struct json_out *j, const char *key, double value)
{
    char text[40];
    int len = snprintf(text, sizeof(text), "%.3f", value);
    json_key(j, key);
    json_raw(j, span_of(text, (size_t)len));
}

static void print_json(const struct report *r, FILE *out)
{
    const struct load_result *res = &r->result;
    struct json_out j;
    json_init(&j, 0);
    json_object(&j);
    json_kstr(&j, "command", span_str(command_name(r->options->command)));
    json_kint(&j, "connections", r->options->connections);
    json_kint(&j, "inflight", r->options->inflight);
    json_number(&j, "seconds", seconds(r));
    json_kint(&j, "completed", (int64_t)res->completed);
    json_kint(&j, "errors", (int64_t)res->errors);
    json_kstr(&j, "first_error",
              res->errors ? span_str(fail_text(&res->first_error)) : (struct span){0});
    json_number(&j, "rate_per_s", rate(r));
    if (res->latency.count > 0) {
        json_number(&j, "mean_us", histogram_mean(&res->latency) / 1e3);
        json_number(&j, "p50_us", quantile_us(r, 0.5));
        json_number(&j, "p99_us", quantile_us(r, 0.99));
        json_number(&j, "p999_us", quantile_us(r, 0.999));
        json_number(&j, "max_us", quantile_us(r, 1));
    }
    if (res->usage.has_server) {
        json_number(&j, "server_cpu_us", per_item_us(r, res->usage.server_cpu_ns));
        json_number(&j, "server_cpu_percent", percent_of_core(r, res->usage.server_cpu_ns));
        json_kint(&j, "server_rss_kb", (int64_t)res->usage.server_rss_kb);
    }
    json_number(&j, "generator_cpu_us", per_item_us(r, res->usage.self_cpu_ns));
    json_number(&j, "generator_cpu_percent", percent_of_core(r, res->usage.self_cpu_ns));
    for (unsigned i = 0; i < r->extras; i++) {
        json_number(&j, r->extra[i].name, r->extra[i].value);
    }
    json_object_end(&j);
    (void)fprintf(out, "%.*s\n", SPAN_ARG(json_text(&j)));
    json_close(&j);
}

static void print_head(const struct report *r, FILE *out)
{
    const struct options *o = r->options;
    (void)fprintf(out, "%s: ", command_name(o->command));
    if (o->command == CMD_SUBSCRIBE) {
        (void)fprintf(out, "%u subscribers, a change every %u ms", o->subscribers, o->interval_ms);
    } else if (o->command == CMD_LISTEN_TO_NOTIFY) {
        (void)fprintf(out, "%u listeners, %u configs changed every %u ms", o->subscribers,
                      o->configs, o->interval_ms);
    } else {
        (void)fprintf(out, "%u connections x %u in flight", o->connections, o->inflight);
    }
    if (o->rate > 0) {
        (void)fprintf(out, ", open loop at %.0f/s", o->rate);
    }
    (void)fprintf(out, ", %.2f s\n", seconds(r));
}

static void print_usage(const struct report *r, FILE *out)
{
    const struct usage *u = &r->result.usage;
    double self = percent_of_core(r, u->self_cpu_ns);
    if (u->has_server) {
        (void)fprintf(out, "  server     %.1f us CPU each, %.1f %% of a core, RSS %.1f MB\n",
                      per_item_us(r, u->server_cpu_ns), percent_of_core(r, u->server_cpu_ns),
                      (double)u->server_rss_kb / 1024);
    }
    (void)fprintf(out, "  generator  %.1f us CPU each, %.1f %% of a core\n",
                  per_item_us(r, u->self_cpu_ns), self);
    if (self >= BUSY_PERCENT) {
        (void)fprintf(out, "  note       the generator itself was busy: the rate may be its limit, "
                           "not the server's\n");
    }
}

static void print_text(const struct report *r, FILE *out)
{
    const struct load_result *res = &r->result;
    print_head(r, out);
    if (res->completed > 0) {
        (void)fprintf(out, "  rate       %.0f %s/s (%" PRIu64 ")\n", rate(r), r->unit,
                      res->completed);
    }
    if (res->latency.count > 0) {
        (void)fprintf(out, "  latency    p50 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, max %.3f ms\n",
                      quantile_us(r, 0.5) / 1e3, quantile_us(r, 0.99) / 1e3,
                      quantile_us(r, 0.999) / 1e3, quantile_us(r, 1) / 1e3);
    }
    (void)fprintf(out, "  errors     %" PRIu64 "%s%s\n", res->errors, res->errors ? ": " : "",
                  res->errors ? fail_text(&res->first_error) : "");
    if (res->unsent > 0) {
        (void)fprintf(out,
                      "  note       %" PRIu64 " requests were due and never sent: the server does "
                      "not keep up, or more connections are needed\n",
                      res->unsent);
    }
    print_usage(r, out);
    for (unsigned i = 0; i < r->extras; i++) {
        (void)fprintf(out, "  %s %.3f\n", r->extra[i].name, r->extra[i].value);
    }
}

void report_print(const struct report *r, FILE *out)
{
    if (r->options->json) {
        print_json(r, out);
    } else {
        print_text(r, out);
    }
}
