#include "node/metrics.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "config/config.h"
#include "http/http.h"
#include "namespace/namespace.h"
#include "node/metrics_peers.h"
#include "rpc/rpc.h"
#include "store/table_writer.h"

/* What the series are computed from, gathered once. */
struct figures {
    struct naming_stats naming;
    const struct naming_counters *counters;
    const struct rpc_counters *rpc;
    const struct http_counters *http;
    struct consensus_state log;
    struct config_stats config;
    const struct config_counters *config_counters;       /* NULL: this core has no configs */
    const struct namespace_counters *namespace_counters; /* as config_counters */
    struct table_writer_stats tables;
    size_t connections;
    uint64_t uptime_ms;
};

enum series_type { GAUGE, COUNTER };

/* One line: series, its labels, and where the value comes from. */
struct series {
    const char *name;
    const char *labels; /* without braces; "" for none */
    enum series_type type;
    const char *help;
    double (*value)(const struct figures *f);
};

static double service_count(const struct figures *f)
{
    return (double)f->naming.services;
}
static double ip_count(const struct figures *f)
{
    return (double)f->naming.instances;
}
static double subscriber_count(const struct figures *f)
{
    return (double)f->naming.subscriptions;
}
static double max_push_cost(const struct figures *f)
{
    return atomic_load(&f->counters->push_acks)
               ? (double)atomic_load(&f->counters->push_cost_max_ms)
               : -1;
}
static double avg_push_cost(const struct figures *f)
{
    unsigned long acks = atomic_load(&f->counters->push_acks);
    return acks ? (double)atomic_load(&f->counters->push_cost_ms) / (double)acks : -1;
}
static double leader_status(const struct figures *f)
{
    return f->log.role == CONSENSUS_LEADER;
}
static double total_push(const struct figures *f)
{
    return (double)atomic_load(&f->counters->pushes);
}
static double push_acks(const struct figures *f)
{
    return (double)atomic_load(&f->counters->push_acks);
}
static double push_cost(const struct figures *f)
{
    return (double)atomic_load(&f->counters->push_cost_ms);
}
static double failed_push(const struct figures *f)
{
    return (double)atomic_load(&f->counters->push_failures);
}
static double empty_push(const struct figures *f)
{
    return (double)atomic_load(&f->counters->empty_pushes);
}
static double pending_push(const struct figures *f)
{
    return (double)f->naming.pushes_pending;
}
static double zero(const struct figures *f)
{
    (void)f;
    return 0;
}
static double connections(const struct figures *f)
{
    return (double)f->connections;
}
static double publisher_v1(const struct figures *f)
{
    return (double)f->naming.http_clients;
}
static double publisher_v2(const struct figures *f)
{
    return (double)f->naming.connection_clients;
}
static double push_given_up(const struct figures *f)
{
    return (double)atomic_load(&f->counters->push_given_up);
}
static double registrations(const struct figures *f)
{
    return (double)atomic_load(&f->counters->registrations);
}
static double beats(const struct figures *f)
{
    return (double)atomic_load(&f->counters->beats);
}

/* A figure of one expression. */
#define FIGURE(name, expression)                                                                   \
    static double name(const struct figures *f)                                                    \
    {                                                                                              \
        return (double)(expression);                                                               \
    }
#define CONFIG_COUNTER(name)                                                                       \
    FIGURE(config_##name, f->config_counters ? atomic_load(&f->config_counters->name) : 0)

FIGURE(bad_ops, atomic_load(&f->counters->bad_ops) +
                    (f->config_counters ? atomic_load(&f->config_counters->bad_ops) : 0) +
                    (f->namespace_counters ? atomic_load(&f->namespace_counters->bad_ops) : 0))
FIGURE(config_count, f->config.configs)
FIGURE(config_gray_count, f->config.gray)
FIGURE(config_listens, f->config.listens)
FIGURE(config_polls, f->config.polls)
FIGURE(config_bytes, f->config.content_bytes)
CONFIG_COUNTER(publishes)
CONFIG_COUNTER(removes)
CONFIG_COUNTER(cas_failures)
CONFIG_COUNTER(notifies)
CONFIG_COUNTER(notify_repeats)
CONFIG_COUNTER(notify_given_up)
CONFIG_COUNTER(loads)
CONFIG_COUNTER(load_failures)
CONFIG_COUNTER(evictions)
CONFIG_COUNTER(refused)
FIGURE(tables_behind, f->tables.index_applied > f->tables.index_written
                          ? f->tables.index_applied - f->tables.index_written
                          : 0)
FIGURE(tables_bytes, f->tables.bytes_waiting)
FIGURE(tables_transactions, f->tables.transactions)
FIGURE(tables_retries, f->tables.retries)
FIGURE(log_last, f->log.last_index)
FIGURE(log_snapshot, f->log.snapshot_index)
FIGURE(log_broken, f->log.broken_entries)
FIGURE(log_full, f->log.is_full)
#define NAMING_COUNTER(name) FIGURE(naming_##name, atomic_load(&f->counters->name))
NAMING_COUNTER(beats_told)
NAMING_COUNTER(beats_heard)
NAMING_COUNTER(beats_untold)
NAMING_COUNTER(taken_over)
NAMING_COUNTER(restored)
static double rpc_refused(const struct figures *f)
{
    return f->rpc ? (double)atomic_load(&f->rpc->refused) : 0;
}
static double rpc_push_drops(const struct figures *f)
{
    return f->rpc ? (double)atomic_load(&f->rpc->push_drops) : 0;
}
static double http_requests(const struct figures *f)
{
    return f->http ? (double)atomic_load(&f->http->requests) : 0;
}
static double http_failures(const struct figures *f)
{
    return f->http ? (double)atomic_load(&f->http->failures) : 0;
}
static double http_refused(const struct figures *f)
{
    return f->http ? (double)atomic_load(&f->http->refused) : 0;
}
static double http_open(const struct figures *f)
{
    return f->http ? (double)atomic_load(&f->http->open) : 0;
}
static double log_applied(const struct figures *f)
{
    return (double)f->log.applied_index;
}
static double uptime(const struct figures *f)
{
    return (double)f->uptime_ms / 1000.0;
}
static double cpu_seconds(const struct figures *f)
{
    (void)f;
    struct timespec t = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static double resident_bytes(const struct figures *f)
{
    (void)f;
    char line[128] = "";
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm) {
        if (!fgets(line, sizeof(line), statm)) {
            line[0] = '\0';
        }
        fclose(statm);
    }
    /* "size resident shared ..." in pages */
    struct span rest = span_str(line);
    (void)span_cut(&rest, ' ');
    long long pages = 0;
    (void)span_int(span_cut(&rest, ' '), &pages);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

#define MONITOR(name, fn)                                                                          \
    {                                                                                              \
        "nacos_monitor", "module=\"naming\",name=\"" name "\"", GAUGE, "", fn                      \
    }
#define MONITOR_CONFIG(name, fn)                                                                   \
    {                                                                                              \
        "nacos_monitor", "module=\"config\",name=\"" name "\"", GAUGE, "", fn                      \
    }

/* Rows of one series stand together: Prometheus wants it so. */
static const struct series all_series[] = {
    MONITOR("serviceCount", service_count),
    MONITOR("domCount", service_count),
    MONITOR("ipCount", ip_count),
    MONITOR("subscriberCount", subscriber_count),
    MONITOR("maxPushCost", max_push_cost),
    MONITOR("avgPushCost", avg_push_cost),
    MONITOR("leaderStatus", leader_status),
    MONITOR("totalPush", total_push),
    MONITOR("totalPushCountForAvg", push_acks),
    MONITOR("totalPushCostForAvg", push_cost),
    MONITOR("failedPush", failed_push),
    MONITOR("emptyPush", empty_push),
    MONITOR("pushPendingTaskCount", pending_push),
    MONITOR("serviceSubscribedEventQueueSize", zero),
    MONITOR("serviceChangedEventQueueSize", zero),
    MONITOR("longConnection", connections),
    {"nacos_monitor", "module=\"core\",name=\"longConnection\"", GAUGE, "", connections},
    MONITOR_CONFIG("configCount", config_count),
    MONITOR_CONFIG("publish", config_publishes),
    MONITOR_CONFIG("longPolling", config_polls),
    MONITOR_CONFIG("notifyClientTask", config_notifies),
    MONITOR_CONFIG("notifyTask", zero),
    MONITOR_CONFIG("dumpTask", zero),
    MONITOR_CONFIG("longConnection", connections),
    {"nacos_config_subscriber", "version=\"v1\"", GAUGE, "", config_polls},
    {"nacos_config_subscriber", "version=\"v2\"", GAUGE, "", config_listens},
    {"nacos_naming_subscriber", "version=\"v1\"", GAUGE, "", zero},
    {"nacos_naming_subscriber", "version=\"v2\"", GAUGE, "", subscriber_count},
    {"nacos_naming_publisher", "version=\"v1\"", GAUGE, "", publisher_v1},
    {"nacos_naming_publisher", "version=\"v2\"", GAUGE, "", publisher_v2},
    {"process_uptime_seconds", "", GAUGE, "Seconds since the node started.", uptime},
    {"process_cpu_seconds_total", "", COUNTER, "CPU time of the process.", cpu_seconds},
    {"process_resident_memory_bytes", "", GAUGE, "Resident memory.", resident_bytes},
    {"nacre_registrations_total", "", COUNTER, "Registrations applied.", registrations},
    {"nacre_beats_total", "", COUNTER, "HTTP beats taken.", beats},
    {"nacre_push_given_up_total", "", COUNTER, "Pushes not acked after all tries.", push_given_up},
    {"nacre_push_dropped_total", "", COUNTER, "Pushes whose stream was gone or over its limit.",
     rpc_push_drops},
    {"nacre_rpc_refused_total", "", COUNTER,
     "Calls of unknown type, without registration, or before the node was ready.", rpc_refused},
    {"nacre_http_requests_total", "", COUNTER, "HTTP requests.", http_requests},
    {"nacre_http_failures_total", "", COUNTER, "HTTP requests answered with an error.",
     http_failures},
    {"nacre_http_refused_total", "", COUNTER, "HTTP requests without a route or over a limit.",
     http_refused},
    {"nacre_http_connections", "", GAUGE, "Open HTTP connections.", http_open},
    {"nacre_beats_told_total", "", COUNTER, "Beats passed on to the node that owns the instance.",
     naming_beats_told},
    {"nacre_beats_heard_total", "", COUNTER, "Beats passed on by other nodes.", naming_beats_heard},
    {"nacre_beats_untold_total", "", COUNTER, "Beats that did not fit into a frame.",
     naming_beats_untold},
    {"nacre_clients_taken_over_total", "", COUNTER, "HTTP clients taken over from a lost node.",
     naming_taken_over},
    {"nacre_clients_restored_total", "", COUNTER,
     "Clients put back after this node had been given up.", naming_restored},
    {"nacre_config_gray_versions", "", GAUGE, "Beta and tag versions.", config_gray_count},
    {"nacre_config_memory_bytes", "", GAUGE, "Config contents in memory.", config_bytes},
    {"nacre_config_evictions_total", "", COUNTER, "Contents that left memory for the budget.",
     config_evictions},
    {"nacre_config_loads_total", "", COUNTER, "Contents read back from the tables.", config_loads},
    {"nacre_config_load_failures_total", "", COUNTER, "Contents that could not be read back.",
     config_load_failures},
    {"nacre_config_publishes_total", "", COUNTER, "Publishes applied.", config_publishes},
    {"nacre_config_removes_total", "", COUNTER, "Removals applied.", config_removes},
    {"nacre_config_cas_failures_total", "", COUNTER, "Publishes whose md5 was not the stored one.",
     config_cas_failures},
    {"nacre_config_refused_total", "", COUNTER,
     "Writes refused because the tables could not follow.", config_refused},
    {"nacre_config_notices_total", "", COUNTER, "Change notices sent.", config_notifies},
    {"nacre_config_notice_repeats_total", "", COUNTER, "Of these, repetitions.",
     config_notify_repeats},
    {"nacre_config_notices_given_up_total", "", COUNTER,
     "Listeners whose connection was closed because they did not react.", config_notify_given_up},
    {"nacre_tables_entries_behind", "", GAUGE, "Applied entries that the tables lack.",
     tables_behind},
    {"nacre_tables_bytes_waiting", "", GAUGE, "Bytes that wait for the tables.", tables_bytes},
    {"nacre_tables_transactions_total", "", COUNTER, "Transactions of the log's changes.",
     tables_transactions},
    {"nacre_tables_retries_total", "", COUNTER, "Of these, tried again.", tables_retries},
    {"nacre_log_last_index", "", GAUGE, "Last index of the log.", log_last},
    {"nacre_log_snapshot_index", "", GAUGE, "Where the log was cut last.", log_snapshot},
    {"nacre_log_broken_entries_total", "", COUNTER, "Entries that could not be read.", log_broken},
    {"nacre_log_full", "", GAUGE, "1: the disk has no room for the log.", log_full},
    {"nacre_log_applied_index", "", GAUGE, "Last applied index of the log.", log_applied},
    {"nacre_log_bad_operations_total", "", COUNTER,
     "Operations of the log that were damaged or unknown and became no-ops.", bad_ops},
};

static void put(struct json_out *text, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(struct json_out *text, const char *fmt, ...)
{
    char line[512];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    ASSERT(len >= 0 && (size_t)len < sizeof(line));
    json_bytes(text, span_of(line, (size_t)len));
}

static void write_table(const struct figures *f, struct json_out *text)
{
    const char *last = "";
    for (size_t i = 0; i < ARRAY_LEN(all_series); i++) {
        const struct series *s = &all_series[i];
        if (strcmp(s->name, last) != 0) {
            put(text, "# HELP %s %s\n# TYPE %s %s\n", s->name, s->help, s->name,
                s->type == GAUGE ? "gauge" : "counter");
            last = s->name;
        }
        bool labelled = s->labels[0] != '\0';
        put(text, "%s%s%s%s %.17g\n", s->name, labelled ? "{" : "", s->labels, labelled ? "}" : "",
            s->value(f));
    }
}

static void write_removals(const struct naming_counters *c, struct json_out *text)
{
    put(text, "# HELP nacre_removals_total Instances removed, by reason.\n"
              "# TYPE nacre_removals_total counter\n");
    for (unsigned i = 1; i < ARRAY_LEN(c->removals); i++) {
        put(text, "nacre_removals_total{reason=\"%s\"} %lu\n", removal_text((enum removal_reason)i),
            atomic_load(&c->removals[i]));
    }
}

/* grpc_server_requests as Nacos names it: one summary per request type and outcome. */
static void write_requests(const struct rpc *rpc, struct json_out *text)
{
    size_t count = 0;
    const struct rpc_row_stats *rows = rpc ? rpc_row_stats(rpc, &count) : NULL;
    put(text, "# HELP grpc_server_requests_seconds Requests of clients, by type.\n"
              "# TYPE grpc_server_requests_seconds summary\n");
    for (size_t i = 0; i < count; i++) {
        unsigned long ok = atomic_load(&rows[i].ok);
        unsigned long failed = atomic_load(&rows[i].failed);
        char labels[256];
        snprintf(labels, sizeof(labels), "module=\"core\",requestClass=\"%s\"", rows[i].type);
        put(text, "grpc_server_requests_seconds_count{%s,success=\"true\"} %lu\n", labels, ok);
        put(text, "grpc_server_requests_seconds_count{%s,success=\"false\"} %lu\n", labels, failed);
        put(text, "grpc_server_requests_seconds_sum{%s} %.9f\n", labels,
            (double)atomic_load(&rows[i].nanos) / 1e9);
    }
}

void metrics_write(const struct status *s, struct now now, struct json_out *text)
{
    struct figures f = {
        .naming = naming_stats(core_naming(s->core)),
        .counters = naming_counters(core_naming(s->core)),
        .rpc = s->rpc ? rpc_counters(s->rpc) : NULL,
        .http = s->http ? http_counters(s->http) : NULL,
        .log = core_log_state(s->core),
        .connections = conn_count(core_conns(s->core)),
        .uptime_ms = (clock_mono_ns() - s->started_ns) / 1000000u,
    };
    if (core_config(s->core)) {
        f.config = config_stats(core_config(s->core));
        f.config_counters = config_counters(core_config(s->core));
        f.namespace_counters = namespace_counters(core_namespaces(s->core));
        f.tables = table_writer_stats(core_tables(s->core));
    }
    write_table(&f, text);
    write_removals(f.counters, text);
    write_requests(s->rpc, text);
    metrics_peers_write(s, now, text);
}
