#include "node/node.h"

#include <errno.h>
#include <malloc.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/pins.h"
#include "config/config_http.h"
#include "config/config_rows.h"
#include "console/console.h"
#include "http/http.h"
#include "namespace/namespace_http.h"
#include "naming/naming_http.h"
#include "naming/naming_rows.h"
#include "node/cluster_rows.h"
#include "node/control.h"
#include "node/core.h"
#include "node/datadir.h"
#include "node/loader_rows.h"
#include "node/member_watch.h"
#include "node/peering.h"
#include "node/status.h"
#include "rpc/door.h"
#include "rpc/rpc.h"

/* File descriptors besides those of connections: libraries, log, lock, listeners, epoll sets. */
#define FILES_SPARE 256
#define CONNECTIONS_LEAST 64
#define PUSH_RETRY_MAX_MS 30000
#define GRPC_PORT_OFFSET 1000
#define HANDSHAKE_TIMEOUT_MS 15000
#define STREAMS_PER_CONN_MAX 1024
#define RECOVERY_SLICE_MS 100
#define RECOVERY_SLICES 10 /* a look at the list and a line of the log each second */
#define TIDY_EVICTIONS 4096
#define ARGS_MAX 600 /* more than cli.h lets through */
#define ARGS_BYTES_MAX 65536

enum {
    FEATURE_NAMING,
    FEATURE_CONFIG,
    FEATURE_NAMESPACE,
    FEATURE_STATUS,
    FEATURE_CLUSTER,
    FEATURE_LOADER,
    FEATURES
};

struct node {
    const struct options *options;
    struct datadir datadir;
    struct member_watch members;
    struct peering_options peers;
    struct core *core;
    struct rpc *rpc;
    struct http *http;
    struct control *control;
    struct status status;
    struct cluster_rows cluster;
    struct api_rows features[FEATURES];
    atomic_bool leaving;             /* clients are being sent to other nodes */
    atomic_bool ready;               /* the log of earlier lives is applied */
    sem_t recovered;                 /* posted once with it */
    unsigned long evictions_trimmed; /* when the heap was trimmed last */
    size_t connections_max;          /* what the file limit lets us take */
    size_t http_connections_max;
    char door_members[DOOR_MEMBERS_MAX][LINK_IP_MAX]; /* as the doors were told */
    size_t door_members_count;
    bool has_datadir, rpc_started, http_started;
};

/* Our connection limits must lie below the file limit: raise it as far as the system allows, and
 * take fewer connections where that is not enough. And not above what we want: connections that
 * never say anything are in no table of ours, and C-core keeps some 11 KB for each of them until
 * its handshake timeout; only the file limit bounds them (rpc/accept_guard.h). */
static int fit_connections(struct node *n, struct fail *fail)
{
    const struct options *o = n->options;
    uint64_t want = (uint64_t)o->connections_max + (uint64_t)o->http_connections_max + FILES_SPARE;
    struct rlimit limit = {0};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return fail_set(fail, E_IO, "cannot read the file limit: %s", strerror(errno));
    }
    struct rlimit raised = {.rlim_cur = want, .rlim_max = want};
    if (limit.rlim_max >= want) {
        raised.rlim_max = limit.rlim_max;
    }
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
        n->connections_max = (size_t)o->connections_max;
        n->http_connections_max = (size_t)o->http_connections_max;
        return 0;
    }
    /* Not allowed to raise it that far: all that is allowed, shared in the wanted proportion. */
    raised = (struct rlimit){.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    uint64_t have = setrlimit(RLIMIT_NOFILE, &raised) == 0 ? limit.rlim_max : limit.rlim_cur;
    if (have < FILES_SPARE + CONNECTIONS_LEAST) {
        return fail_set(fail, E_LIMIT,
                        "the limit of open files is %llu; at least %d are needed: raise it "
                        "(ulimit -n, LimitNOFILE)",
                        (unsigned long long)have, FILES_SPARE + CONNECTIONS_LEAST);
    }
    double share = (double)(have - FILES_SPARE) / (double)(want - FILES_SPARE);
    n->connections_max = (size_t)((double)o->connections_max * share);
    n->http_connections_max = (size_t)((double)o->http_connections_max * share);
    LOG_WARN("node",
             "event=file_limit files=%llu wanted=%llu connections_max=%zu http_connections_max=%zu "
             "hint=\"raise it with ulimit -n or LimitNOFILE\"",
             (unsigned long long)have, (unsigned long long)want, n->connections_max,
             n->http_connections_max);
    return 0;
}

static void on_ready(void *self)
{
    struct node *n = self;
    atomic_store(&n->ready, true);
    ASSERT(sem_post(&n->recovered) == 0);
}

/* The same program with the same arguments in the same process: what is open closes on exec, and
 * clients find another node meanwhile. */
static void on_restart(void *self)
{
    char line[ARGS_BYTES_MAX];
    char *argv[ARGS_MAX + 1];
    size_t argc = 0;
    (void)self;
    FILE *args = fopen("/proc/self/cmdline", "re");
    size_t len = args ? fread(line, 1, sizeof(line) - 1, args) : 0;
    line[len] = '\0';
    for (size_t at = 0; at < len && argc < ARGS_MAX; at += strlen(line + at) + 1) {
        argv[argc++] = line + at;
    }
    argv[argc] = NULL;
    if (argc > 0) {
        (void)execv("/proc/self/exe", argv);
    }
    LOG_ERROR("node", "event=fatal reason=\"cannot start again: %s\"", strerror(errno));
    _exit(1);
}

/* Log and disk contradict each other or do not answer: nothing that is said from now on could be
 * kept, so nothing is said. */
static void on_fatal(void *self, const struct fail *why)
{
    (void)self;
    LOG_ERROR("node",
              "event=fatal reason=\"%s\" meaning=\"the node ends, so that it acknowledges "
              "nothing that it cannot keep\"",
              fail_text(why));
    _exit(1);
}

static enum membership_repin repin_of(const char *name)
{
    if (strcmp(name, "secret") == 0) {
        return MEMBERSHIP_REPIN_SECRET;
    }
    return strcmp(name, "never") == 0 ? MEMBERSHIP_REPIN_NEVER : MEMBERSHIP_REPIN_AUTO;
}

static enum peering_registration registration_of(const char *name)
{
    if (strcmp(name, "local") == 0) {
        return PEERING_LOCAL;
    }
    return strcmp(name, "strict") == 0 ? PEERING_STRICT : PEERING_QUORUM;
}

static void set_peers(struct node *n, struct core_options *core)
{
    const struct options *o = n->options;
    /* One entry is a node alone, but for a cluster that was made so small by edits of the list. */
    bool is_left = n->members.list.count == 1 && pins_are_there(o->data_dir);
    if (n->members.list.count < 2 && !is_left) {
        return;
    }
    n->peers = (struct peering_options){
        .dir = o->data_dir,
        .bind = o->server_address,
        .port = (uint16_t)o->server_port,
        .list = &n->members.list,
        .secret = o->cluster_secret,
        .repin = repin_of(o->cluster_repin),
        .registration = registration_of(o->naming_registration),
        .is_forced = o->cluster_force,
        .is_read_local = strcmp(o->config_read, "local") == 0,
    };
    core->peers = &n->peers;
}

static struct core_options make_core_options(struct node *n)
{
    const struct options *o = n->options;
    return (struct core_options){
        .naming =
            {
                .push_window_ms = (uint32_t)o->push_window_ms,
                .push_window_max_ms = (uint32_t)o->push_window_max_ms,
                .push_ack_timeout_ms = (uint32_t)o->push_ack_timeout_ms,
                .push_retry_ms = (uint32_t)o->push_retry_ms,
                .push_retry_max_ms = PUSH_RETRY_MAX_MS,
                .push_tries_max = (uint32_t)o->push_tries_max,
                .subscribe_push_ms = 500,
                .beat_timeout_ms = 15000,
                .beat_delete_ms = 30000,
                .beat_interval_ms = 5000,
                .expire_instances = o->expire_instances,
                .empty_service_ms = (uint32_t)o->empty_service_ms,
                .clean_interval_ms = (uint32_t)o->clean_interval_ms,
                .overlay_expire_ms = (uint32_t)o->overlay_expire_ms,
                .restart_grace_ms = (uint32_t)o->restart_grace_ms,
            },
        .conn =
            {
                .max_total = n->connections_max,
                .max_per_ip = (size_t)o->connections_max_per_ip,
                .persistent_by_grpc = true,
            },
        .config =
            {
                .memory_bytes_max = (uint64_t)o->config_memory_max,
                .content_chars_max = (uint32_t)o->config_content_max,
                .gray_max = (uint32_t)o->config_gray_max,
                .history_days = (uint32_t)o->config_history_days,
                .notify_retry_ms = 1000,
                .notify_tries_max = (uint32_t)o->config_notify_tries,
                .poll_hold_least_ms = 10000,
                .polls_max = (uint32_t)o->config_polls_max,
                .listens_max = (uint32_t)o->config_listens_max,
            },
        .dir = o->data_dir,
        .snapshot_entries = (unsigned)o->log_snapshot_entries,
        .on_ready = on_ready,
        .on_restart = on_restart,
        .on_fatal = on_fatal,
        .self = n,
    };
}

static void list_features(struct node *n)
{
    struct api_rows *naming = &n->features[FEATURE_NAMING];
    naming->rpc = naming_rpc_rows(&naming->rpc_count);
    naming->http = naming_http_rows(&naming->http_count);
    naming->read_self = core_view(n->core);
    naming->admit_self = core_naming(n->core);
    struct api_rows *config = &n->features[FEATURE_CONFIG];
    config->rpc = config_rpc_rows(&config->rpc_count);
    config->http = config_http_rows(&config->http_count);
    config->read_self = core_config_edge(n->core);
    config->admit_self = core_config(n->core);
    struct api_rows *namespaces = &n->features[FEATURE_NAMESPACE];
    namespaces->http = namespace_http_rows(&namespaces->http_count);
    namespaces->admit_self = core_namespaces(n->core);
    struct api_rows *cluster = &n->features[FEATURE_CLUSTER];
    n->cluster = (struct cluster_rows){n->core, n->options};
    cluster->http = cluster_http_rows(&cluster->http_count);
    cluster->admit_self = &n->cluster;
    struct api_rows *loader = &n->features[FEATURE_LOADER];
    loader->http = loader_http_rows(&loader->http_count);
    loader->admit_self = &n->cluster;
    struct api_rows *status = &n->features[FEATURE_STATUS];
    status->http = status_rows(&status->http_count);
    status->read_self = &n->status;
    status->admit_self = &n->status;
}

static int start_rpc(struct node *n, struct fail *fail)
{
    const struct options *o = n->options;
    struct rpc_options options = {
        .bind = o->server_address,
        .port = (uint16_t)(o->server_port + GRPC_PORT_OFFSET),
        .receive_max_bytes = (size_t)o->grpc_receive_max,
        .keepalive_ms = (uint32_t)o->grpc_keepalive_ms,
        .keepalive_timeout_ms = (uint32_t)o->grpc_keepalive_timeout_ms,
        .handshake_timeout_ms = HANDSHAKE_TIMEOUT_MS,
        .streams_per_conn_max = STREAMS_PER_CONN_MAX,
        .features = n->features,
        .features_count = FEATURES,
        .core = core_port(n->core),
        .ready = &n->ready,
        .leaving = &n->leaving,
    };
    int err = rpc_create(&options, &n->rpc, fail);
    if (err) {
        return err;
    }
    n->status.rpc = n->rpc;
    err = core_start(n->core, n->rpc, fail);
    if (err) {
        return err;
    }
    if (rpc_door(n->rpc)) {
        door_set_peer(rpc_door(n->rpc), core_peer_way(n->core));
    }
    err = rpc_start(n->rpc, fail);
    n->rpc_started = err == 0;
    return err;
}

static int start_http(struct node *n, struct fail *fail)
{
    const struct options *o = n->options;
    struct http_options options = {
        .bind = o->server_address,
        .port = (uint16_t)o->server_port,
        .context_path = o->context_path,
        .connections_max = (unsigned)n->http_connections_max,
        .connections_per_ip_max = (unsigned)o->http_connections_max_per_ip,
        .idle_timeout_ms = (uint32_t)o->http_idle_timeout_ms,
        .features = n->features,
        .features_count = FEATURES,
        .core = core_port(n->core),
        .ready = &n->ready,
    };
    options.assets = console_assets(&options.assets_count);
    int err = http_create(&options, &n->http, fail);
    if (err) {
        return err;
    }
    n->status.http = n->http;
    err = http_start(n->http, fail);
    n->http_started = err == 0;
    return err;
}

static int start_all(struct node *n, struct fail *fail)
{
    int err = datadir_open(&n->datadir, n->options->data_dir, fail);
    if (err) {
        return err;
    }
    n->has_datadir = true;
    err = fit_connections(n, fail);
    if (err) {
        return err;
    }
    err = member_watch_open(&n->members, n->options, clock_mono_ms(), fail);
    if (err) {
        return err;
    }
    struct core_options core = make_core_options(n);
    set_peers(n, &core);
    err = core_create(&core, &n->core, fail);
    if (err) {
        return err;
    }
    status_init(&n->status, n->core, n->options, &n->ready);
    list_features(n);
    err = start_rpc(n, fail);
    if (err) {
        return err;
    }
    return start_http(n, fail);
}

static bool is_asked_to_stop(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

/* A slice of the wait: true when the log is applied. */
static bool is_recovered(struct node *n)
{
    struct timespec until = {0};
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += RECOVERY_SLICE_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    return sem_timedwait(&n->recovered, &until) == 0;
}

/* Requests are answered "starting" until the log is applied; whoever started the node waits. With
 * members that takes as long as they take: their list may be mended meanwhile. */
static int await_recovery(struct node *n, struct fail *fail)
{
    for (unsigned slices = 1; !is_recovered(n); slices++) {
        if (is_asked_to_stop()) {
            return fail_set(fail, E_CLOSED, "stopped before it was ready");
        }
        if (slices % RECOVERY_SLICES == 0) {
            node_tick(n);
            LOG_INFO("node", "event=recovering since_s=%u meaning=\"%s\"", slices / RECOVERY_SLICES,
                     core_peering(n->core) ? "members are being found, the log is being applied"
                                           : "the log is being applied");
        }
    }
    return 0;
}

int node_start(const struct options *options, struct node **ret_node, struct fail *fail)
{
    uint64_t begun = clock_mono_ns();
    struct node *n = mem_zalloc(1, sizeof(*n));
    n->options = options;
    ASSERT(sem_init(&n->recovered, 0, 0) == 0);
    int err = start_all(n, fail);
    if (err) {
        node_stop(n);
        return err;
    }
    err = control_start(options->data_dir, n->core, &n->control, fail);
    if (!err) {
        err = await_recovery(n, fail);
    }
    if (err) {
        node_stop(n);
        return err;
    }
    LOG_INFO("node",
             "event=ready http=%u grpc=%u data=%s context=%s version=" NACRE_VERSION
             " started_in_ms=%.1f",
             node_http_port(n), node_grpc_port(n), options->data_dir, options->context_path,
             (double)(clock_mono_ns() - begun) / 1e6);
    (void)malloc_trim(0); /* what only the start needed */
    LOG_WARN("node", "event=open_access authentication=off "
                     "meaning=\"everyone who reaches these ports may read and change everything\"");
    *ret_node = n;
    return 0;
}

/* Clients go to other nodes, and are served until they have. */
static void send_away(struct node *n)
{
    if (core_peering(n->core)) {
        atomic_store(&n->leaving, true);
        if (rpc_door(n->rpc)) {
            door_set_plain(rpc_door(n->rpc), NULL); /* who comes now tries another node at once */
        }
    }
    core_say_goodbye(n->core);
}

void node_stop(struct node *take_node)
{
    struct node *n = take_node;
    if (!n) {
        return;
    }
    uint32_t grace = (uint32_t)n->options->stop_grace_ms;
    if (atomic_load(&n->ready)) {
        LOG_INFO("node", "event=stopping grace_ms=%u", grace);
        send_away(n);
        atomic_store(&n->ready, false);
    }
    control_stop(n->control);
    if (n->rpc && rpc_door(n->rpc)) {
        door_set_peer(rpc_door(n->rpc), NULL);
    }
    if (n->rpc_started) {
        rpc_stop(n->rpc, grace);
    }
    if (n->http_started) {
        http_stop(n->http, grace);
    }
    if (n->core) {
        core_stop(n->core);
    }
    if (n->http) {
        http_destroy(n->http);
    }
    if (n->rpc) {
        rpc_destroy(n->rpc);
    }
    core_destroy(n->core);
    if (n->has_datadir) {
        datadir_close(&n->datadir);
    }
    ASSERT(sem_destroy(&n->recovered) == 0);
    mem_free(n);
}

/* Contents that left memory leave holes between others that stay: only a trim of the whole heap
 * gives those back. It holds the heap's lock for some milliseconds, so not without need. */
static void trim(struct node *n)
{
    const struct config *config = core_config(n->core);
    unsigned long evictions =
        config ? atomic_load(&config_counters(config)->evictions) : n->evictions_trimmed;
    if (evictions - n->evictions_trimmed >= TIDY_EVICTIONS) {
        n->evictions_trimmed = evictions;
        (void)malloc_trim(0);
    }
}

/* Members' handshakes at the front doors are not limited. One of the doors may be missing only when
 * the other is: both ask the same C-core. */
static void tell_doors(struct node *n)
{
    struct door *door = n->rpc_started ? rpc_door(n->rpc) : NULL;
    const struct peering *peers = core_peering(n->core);
    char ips[DOOR_MEMBERS_MAX][LINK_IP_MAX] = {{0}};
    const char *list[DOOR_MEMBERS_MAX];
    struct door *own = peers ? peering_door(peers) : NULL;
    if (!door || !own) {
        return;
    }
    size_t count = peering_addresses(peers, ips, DOOR_MEMBERS_MAX);
    if (count == n->door_members_count && memcmp(ips, n->door_members, sizeof(ips)) == 0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = ips[i];
    }
    (void)door_set_members(door, list, count);
    (void)door_set_members(own, list, count);
    memcpy(n->door_members, ips, sizeof(ips));
    n->door_members_count = count;
}

void node_tick(struct node *n)
{
    const struct member_list *list = member_watch_look(&n->members, clock_mono_ms());
    if (list && core_set_members(n->core, list) != 0) {
        LOG_WARN("cluster", "event=members_wait meaning=\"this node was started without members; "
                            "restart it to make it one of a cluster\"");
    }
    tell_doors(n);
    trim(n);
}

uint16_t node_http_port(const struct node *n)
{
    return http_port(n->http);
}

uint16_t node_grpc_port(const struct node *n)
{
    return rpc_port(n->rpc);
}
