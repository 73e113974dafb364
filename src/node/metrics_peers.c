#include "node/metrics_peers.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "cluster/membership.h"
#include "node/peering.h"
#include "node/peering_digest.h"
#include "node/peering_lease.h"
#include "node/peering_quorum.h"
#include "rpc/door.h"
#include "rpc/rpc.h"

enum series_type { GAUGE, COUNTER };

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

static void put_head(struct json_out *text, const char *name, enum series_type type,
                     const char *help)
{
    put(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
        type == GAUGE ? "gauge" : "counter");
}

static void put_series(struct json_out *text, const char *name, enum series_type type,
                       const char *help, uint64_t value)
{
    put_head(text, name, type, help);
    put(text, "%s %llu\n", name, (unsigned long long)value);
}

/* ---------------------------------------------------------------- strangers and the door */

struct door_row {
    const char *outcome;
    size_t offset; /* of its counter */
};

#define DOOR_ROW(outcome, field)                                                                   \
    {                                                                                              \
        outcome, offsetof(struct door_counters, field)                                             \
    }

static const struct door_row door_rows[] = {
    DOOR_ROW("client", plain),
    DOOR_ROW("peer", peers),
    DOOR_ROW("http1", http1),
    DOOR_ROW("tls", tls),
    DOOR_ROW("alien", alien),
    DOOR_ROW("gone", gone),
    DOOR_ROW("late", late),
    DOOR_ROW("crowded", crowded),
    DOOR_ROW("no_files", refused_files),
    DOOR_ROW("too_many_hellos", refused_rate),
    DOOR_ROW("not_ready", refused_ready),
};

static const char *const door_ports[DOOR_PORTS] = {
    [DOOR_CLIENTS] = "clients",
    [DOOR_PEERS] = "peers",
};

static void write_outcomes(const char *port, const struct door_counters *c, struct json_out *text)
{
    for (size_t i = 0; i < ARRAY_LEN(door_rows); i++) {
        const char *base = (const char *)c;
        const atomic_ulong *value = (const void *)(base + door_rows[i].offset);
        put(text, "nacre_door_connections_total{port=\"%s\",outcome=\"%s\"} %lu\n", port,
            door_rows[i].outcome, atomic_load(value));
    }
}

/* doors: by port; NULL: C-core listens there itself, or nobody does. */
static void write_doors(struct door *const *doors, struct json_out *text)
{
    put_head(text, "nacre_door_connections_total", COUNTER,
             "Connections to the gRPC ports, by what they turned out to be.");
    for (size_t i = 0; i < DOOR_PORTS; i++) {
        if (doors[i]) {
            write_outcomes(door_ports[i], door_counters(doors[i]), text);
        }
    }
    put_head(text, "nacre_door_undecided", GAUGE,
             "Connections that have not said yet what they are.");
    for (size_t i = 0; i < DOOR_PORTS; i++) {
        if (doors[i]) {
            put(text, "nacre_door_undecided{port=\"%s\"} %lu\n", door_ports[i],
                atomic_load(&door_counters(doors[i])->guests));
        }
    }
}

static void write_links(const struct links_counters *c, struct json_out *text)
{
    put_head(text, "nacre_peer_frames_total", COUNTER, "Frames between nodes.");
    put(text, "nacre_peer_frames_total{way=\"sent\"} %lu\n", atomic_load(&c->frames_sent));
    put(text, "nacre_peer_frames_total{way=\"received\"} %lu\n", atomic_load(&c->frames_received));
    put_head(text, "nacre_peer_bytes_total", COUNTER, "Bytes of these frames.");
    put(text, "nacre_peer_bytes_total{way=\"sent\"} %lu\n", atomic_load(&c->bytes_sent));
    put(text, "nacre_peer_bytes_total{way=\"received\"} %lu\n", atomic_load(&c->bytes_received));
    put_series(text, "nacre_peer_connects_total", COUNTER, "Streams to other nodes that came up.",
               atomic_load(&c->connects));
    put_series(text, "nacre_peer_disconnects_total", COUNTER, "Of these, ended.",
               atomic_load(&c->disconnects));
    put_series(text, "nacre_peer_dropped_frames_total", COUNTER,
               "Frames that a full queue did not take.", atomic_load(&c->dropped));
    put_head(text, "nacre_strangers_refused_total", COUNTER,
             "Who is no member and tried: keys at the handshake, streams at their first frame.");
    put(text, "nacre_strangers_refused_total{at=\"key\"} %lu\n", atomic_load(&c->refused_keys));
    put(text, "nacre_strangers_refused_total{at=\"frame\"} %lu\n", atomic_load(&c->refused_frames));
}

/* ---------------------------------------------------------------- members and elections */

static void write_members(const struct peering *peers, struct now now, struct json_out *text)
{
    struct membership_status list[MEMBERS_MAX];
    size_t count = membership_status(peering_membership(peers), list, MEMBERS_MAX, now);
    size_t up = 0;
    size_t servers = 0;
    put_head(text, "nacre_member_up", GAUGE, "1: this node reaches the member.");
    for (size_t i = 0; i < count; i++) {
        char address[MEMBER_ADDRESS_MAX + 1];
        member_address(list[i].host, list[i].port, address);
        put(text, "nacre_member_up{member=\"%s\",self=\"%d\"} %d\n", address, list[i].is_self,
            list[i].is_up);
        up += list[i].is_up;
        servers += list[i].is_server;
    }
    put_series(text, "nacre_members", GAUGE, "Members, listed or of the log.", count);
    put_series(text, "nacre_members_up", GAUGE, "Members that this node reaches, itself included.",
               up);
    put_series(text, "nacre_members_in_log", GAUGE, "Members that the log has.", servers);
    put_series(text, "nacre_member_phase", GAUGE,
               "0 looking, 1 forming, 2 waiting, 3 joining, 4 member, 5 refused.",
               membership_phase(peering_membership(peers)));
}

static void write_digest(const struct peering *peers, struct json_out *text)
{
    put_series(text, "nacre_state_divergence_total", COUNTER,
               "Times that a node's state was found to be not what the log says; each is an error.",
               atomic_load(peering_digest_counter(peers)));
}

static void write_log(const struct consensus_state *log, struct json_out *text)
{
    put_series(text, "nacre_log_term", GAUGE, "Term of the log.", log->term);
    put_series(text, "nacre_log_commit_index", GAUGE, "Last index that a majority has.",
               log->commit_index);
    put_series(text, "nacre_log_leader", GAUGE, "1: this node leads.",
               log->role == CONSENSUS_LEADER);
    put_series(text, "nacre_log_has_leader", GAUGE, "1: this node knows who leads.",
               log->leader_id != 0 || log->role == CONSENSUS_LEADER);
    put_series(text, "nacre_log_refused_messages_total", COUNTER,
               "Messages of members that were malformed or under a wrong name.",
               log->refused_messages);
}

static void write_leases(const struct peering *peers, struct now now, struct json_out *text)
{
    struct peering_lease_figures f = peering_lease_figures(peers, now);
    put_series(text, "nacre_config_lease", GAUGE,
               "1: this node may answer reads of configs by itself.", f.has_lease);
    put_series(text, "nacre_config_reads_held_total", COUNTER,
               "Reads that waited for a lease, or until every node had the version.", f.reads_held);
    put_series(text, "nacre_config_reads_waiting", GAUGE, "Of these, still waiting.",
               f.reads_waiting);
    put_series(text, "nacre_config_reads_degraded_total", COUNTER,
               "Reads answered without a lease: another node may have had something newer.",
               f.reads_degraded);
    put_series(text, "nacre_config_writes_waiting", GAUGE,
               "Answers of writes that wait until every node that answers reads has them.",
               f.writes_waiting);
    put_series(text, "nacre_config_writes_late_total", COUNTER,
               "Of these, given because a node that was lost could not answer reads any more.",
               f.writes_late);
}

static void write_pending(const struct status *s, const struct peering *peers, struct now now,
                          struct json_out *text)
{
    struct peering_pending_figures f = peering_pending_figures(peers, now);
    const struct naming_counters *naming = naming_counters(core_naming(s->core));
    put_series(text, "nacre_degraded", GAUGE,
               "1: the log does not take registrations in time, so this node shows them itself.",
               f.is_degraded);
    put_series(text, "nacre_registrations_degraded_total", COUNTER,
               "Registrations that were answered before a majority had them.",
               atomic_load(&naming->shown));
    put_series(text, "nacre_registrations_vain_total", COUNTER,
               "Of these, had no effect in the log: the service was of the other kind by then.",
               atomic_load(&naming->shown_vain));
    put_series(text, "nacre_registrations_pending", GAUGE,
               "Changes of the registry that are shown and not in the log.", f.shown);
    put_head(text, "nacre_log_wait_seconds", GAUGE,
             "How long this node's oldest change waits for the log.");
    put(text, "nacre_log_wait_seconds %.3f\n", (double)f.oldest_ms / 1000);
    put_head(text, "nacre_leaderless_seconds", GAUGE, "For how long nobody has led.");
    put(text, "nacre_leaderless_seconds %.3f\n", (double)peering_leaderless_ms(peers, now) / 1000);
}

void metrics_peers_write(const struct status *s, struct now now, struct json_out *text)
{
    const struct peering *peers = core_peering(s->core);
    struct door *doors[DOOR_PORTS] = {
        [DOOR_CLIENTS] = s->rpc ? rpc_door(s->rpc) : NULL,
        [DOOR_PEERS] = peers ? peering_door(peers) : NULL,
    };
    struct consensus_state log = core_log_state(s->core);
    write_log(&log, text);
    if (doors[DOOR_CLIENTS] || doors[DOOR_PEERS]) {
        write_doors(doors, text);
    }
    if (peers) {
        write_links(peering_counters(peers), text);
        write_members(peers, now, text);
        write_digest(peers, text);
        write_leases(peers, now, text);
        write_pending(s, peers, now, text);
    }
}
