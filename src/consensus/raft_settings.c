#include "consensus/raft_settings.h"

#include "base/rand.h"

#define CAPACITY_PARTS 8 /* of a segment: less prepared room than one part counts as none */

static void fill(unsigned *at, unsigned usual)
{
    if (*at == 0) {
        *at = usual;
    }
}

struct consensus_raft_options raft_settings(const struct consensus_raft_options *options)
{
    struct consensus_raft_options o = *options;
    o.id = o.id ? o.id : 1;
    o.address = o.address ? o.address : "local";
    o.snapshot_bytes = o.snapshot_bytes ? o.snapshot_bytes : CONSENSUS_SNAPSHOT_BYTES;
    o.segment_bytes = o.segment_bytes ? o.segment_bytes : RAFT_DISK_SEGMENT_BYTES;
    o.seed = o.seed ? o.seed : (unsigned)rand_u64();
    fill(&o.snapshot_entries, CONSENSUS_SNAPSHOT_ENTRIES);
    fill(&o.trailing_entries, CONSENSUS_TRAILING_ENTRIES);
    fill(&o.election_ms, CONSENSUS_ELECTION_MS);
    fill(&o.heartbeat_ms, CONSENSUS_HEARTBEAT_MS);
    return o;
}

struct raft_disk_options raft_settings_disk(const struct consensus_raft_options *filled,
                                            const struct raft_configuration *first)
{
    return (struct raft_disk_options){
        .dir = filled->dir,
        .loop = filled->loop,
        .id = filled->id,
        .address = filled->address,
        .is_first_voter = !filled->is_joining,
        .first = first->n > 0 ? first : NULL,
        .is_recovering = filled->is_recovering,
        .segment_bytes = filled->segment_bytes,
    };
}

struct raft_driver_options raft_settings_driver(const struct consensus_raft_options *filled)
{
    return (struct raft_driver_options){
        .id = filled->id,
        .address = filled->address,
        .seed = filled->seed,
        .election_ms = filled->election_ms,
        .heartbeat_ms = filled->heartbeat_ms,
        .capacity_kib_min = raft_settings_capacity_kib(filled),
        .snapshot_entries = filled->snapshot_entries,
        .snapshot_bytes = filled->snapshot_bytes,
        .trailing = filled->trailing_entries,
    };
}

unsigned short raft_settings_capacity_kib(const struct consensus_raft_options *filled)
{
    return (unsigned short)(filled->segment_bytes / 1024 / CAPACITY_PARTS);
}
