#include "consensus/raft_guard.h"

#include <string.h>

#include "base/assert.h"

void raft_guard_commit(struct raft_append_entries *append, uint64_t commit_index)
{
    uint64_t last = append->prev_log_index + append->n_entries;
    if (last < commit_index && append->leader_commit > commit_index) {
        append->leader_commit = commit_index;
    }
}

static void free_entries(struct raft_append_entries *append)
{
    if (append->n_entries > 0) {
        raft_free(append->entries[0].batch);
    }
    raft_free(append->entries);
    append->entries = NULL;
    append->n_entries = 0;
}

void raft_guard_skip(struct raft_append_entries *append, uint64_t snapshot_index,
                     uint64_t snapshot_term)
{
    ASSERT(append->prev_log_index < snapshot_index);
    uint64_t before = snapshot_index - append->prev_log_index;
    if (append->n_entries > before) {
        append->n_entries -= (unsigned)before;
        memmove(append->entries, append->entries + before,
                append->n_entries * sizeof *append->entries);
    } else {
        free_entries(append);
    }
    append->prev_log_index = snapshot_index;
    append->prev_log_term = snapshot_term;
}

static void *must(void *memory)
{
    ASSERT(memory); /* out of memory ends the process, as in base/mem.h */
    return memory;
}

/* Entries [from, to) with memory of their own. */
static struct raft_append_entries cut(const struct raft_append_entries *whole, unsigned from,
                                      unsigned to)
{
    struct raft_append_entries part = *whole;
    size_t bytes = 0;
    for (unsigned i = from; i < to; i++) {
        bytes += whole->entries[i].buf.len;
    }
    part.n_entries = to - from;
    part.entries = must(raft_malloc(part.n_entries * sizeof *part.entries));
    char *batch = must(raft_malloc(bytes + 1));
    char *at = batch;
    for (unsigned i = 0; i < part.n_entries; i++) {
        part.entries[i] = whole->entries[from + i];
        if (part.entries[i].buf.len > 0) {
            memcpy(at, part.entries[i].buf.base, part.entries[i].buf.len);
        }
        part.entries[i].buf.base = at;
        part.entries[i].batch = batch;
        at += part.entries[i].buf.len;
    }
    if (from > 0) {
        part.prev_log_index = whole->prev_log_index + from;
        part.prev_log_term = whole->entries[from - 1].term;
    }
    return part;
}

static unsigned next_cut(const struct raft_append_entries *append, unsigned from)
{
    for (unsigned i = from + 1; i < append->n_entries; i++) {
        if (append->entries[i].type == RAFT_CHANGE) {
            return i;
        }
    }
    return append->n_entries;
}

unsigned raft_guard_split(struct raft_append_entries *take, struct raft_append_entries *ret,
                          unsigned max)
{
    ASSERT(max > 0);
    if (next_cut(take, 0) == take->n_entries) {
        ret[0] = *take;
        return 1;
    }
    unsigned n = 0;
    for (unsigned from = 0; from < take->n_entries && n < max; n++) {
        unsigned to = next_cut(take, from);
        ret[n] = cut(take, from, to);
        from = to;
    }
    free_entries(take);
    return n;
}

bool raft_guard_leads(const struct raft_message *message, uint64_t term)
{
    return (message->type == RAFT_APPEND_ENTRIES && message->append_entries.term == term) ||
           (message->type == RAFT_INSTALL_SNAPSHOT && message->install_snapshot.term == term);
}

void raft_guard_free(struct raft_message *message)
{
    if (message->type == RAFT_APPEND_ENTRIES) {
        free_entries(&message->append_entries);
    } else if (message->type == RAFT_INSTALL_SNAPSHOT) {
        raft_configuration_close(&message->install_snapshot.conf);
        raft_free(message->install_snapshot.data.base);
        message->install_snapshot.data = (struct raft_buffer){0};
    }
}
