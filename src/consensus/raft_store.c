#include "consensus/raft_store.h"

#include "base/assert.h"
#include "base/clock.h"
#include "consensus/consensus.h"

/* The first configuration of an empty played disk, as raft_disk writes one. */
static void begin(struct raft_memory *m, const struct raft_disk_options *o)
{
    if (o->first) {
        raft_memory_bootstrap(m, o->first);
        return;
    }
    if (!o->is_first_voter) {
        raft_memory_make(m);
        return;
    }
    struct raft_configuration alone = {0};
    raft_configuration_init(&alone);
    ASSERT(raft_configuration_add(&alone, o->id, o->address, RAFT_VOTER) == 0);
    raft_memory_bootstrap(m, &alone);
    raft_configuration_close(&alone);
}

int raft_store_open(struct raft_store *s, const struct raft_disk_options *options,
                    struct raft_memory *played, struct raft_loaded *ret_loaded, struct fail *fail)
{
    if (!played) {
        return raft_disk_open(options, &s->disk, ret_loaded, fail);
    }
    if (!raft_memory_is_made(played)) {
        begin(played, options);
    }
    if (raft_memory_last(played) < raft_memory_mark(played)) {
        return fail_set(fail, E_IO, "the played disk ends at entry %llu and had reached %llu",
                        (unsigned long long)raft_memory_last(played),
                        (unsigned long long)raft_memory_mark(played));
    }
    s->played = played;
    raft_memory_load(played, ret_loaded);
    return 0;
}

void raft_store_close(struct raft_store *s)
{
    raft_disk_close(s->disk);
    if (s->played) {
        raft_memory_crash(s->played);
    }
    *s = (struct raft_store){0};
}

struct raft_storage raft_store_storage(const struct raft_store *s)
{
    return s->played ? raft_memory_storage(s->played) : raft_disk_storage(s->disk);
}

bool raft_store_has_room_for(const struct raft_store *s, size_t len)
{
    return s->played || raft_disk_has_room_for(s->disk, len);
}

bool raft_store_is_full(const struct raft_store *s)
{
    return s->played ? raft_memory_faults(s->played)->is_full : raft_disk_is_full(s->disk);
}

uint64_t raft_store_now_ms(const struct raft_store *s)
{
    return s->played ? raft_memory_now_ms(s->played) : clock_mono_ms();
}

bool consensus_played_is_begun(const struct raft_memory *played)
{
    return raft_memory_is_made(played);
}
