/* What an update brings for the disk: entries, or a snapshot that arrived whole. */
#include "consensus/raft_driver_state.h"

#include "base/assert.h"
#include "base/mem.h"

/* ---------------------------------------------------------------- entries */

struct append {
    struct raft_driver *d;
    uint64_t index;
    unsigned n;
    struct raft_entry *entries;
    struct raft_block **blocks;
};

static void append_free(struct append *a)
{
    for (unsigned i = 0; i < a->n; i++) {
        raft_block_unref(a->blocks[i]);
    }
    mem_free(a->blocks);
    mem_free(a->entries);
    mem_free(a);
}

/* Rule 7: report only what is still in the log with the same term, and nothing while a snapshot is
 * being installed. */
static void on_appended(void *arg, int status)
{
    struct append *a = arg;
    struct raft_driver *d = a->d;
    unsigned n = 0;
    while (n < a->n && raft_log_term(&d->log, a->index + n) == a->entries[n].term) {
        n++;
    }
    uint64_t last = a->index + n - 1;
    append_free(a);
    if (status != 0) {
        if (status != RAFT_CANCELED) {
            raft_die(d, "writing entries", status);
        }
        return;
    }
    if (n == 0 || d->is_installing || last <= d->raft.last_stored) {
        return;
    }
    raft_queue(d, RAFT_PERSISTED_ENTRIES)->event.persisted_entries.index = last;
    raft_run(d);
}

/* The block of an entry that libraft gave back: ours from submit, else copied out of the batch. */
static struct raft_block *take_block(struct raft_driver *d, const struct raft_entry *entry)
{
    if (d->submitting && entry->batch == d->submitting->bytes) {
        return raft_block_ref(d->submitting);
    }
    return raft_block_copy(entry->buf.base, entry->buf.len);
}

/* libraft gave the bytes of an update's entries away. Those of submit are the block's. */
static void free_batch(const struct raft_driver *d, const struct raft_update *update)
{
    void *bytes = update->entries.batch[0].batch;
    if (!d->submitting || bytes != d->submitting->bytes) {
        raft_free(bytes);
    }
}

int raft_write_entries(struct raft_driver *d, const struct raft_update *update)
{
    const struct raft_entry *batch = update->entries.batch;
    unsigned n = update->entries.n;
    uint64_t index = update->entries.index;
    raft_log_truncate(&d->log, index);
    struct append *a = mem_zalloc(1, sizeof *a);
    *a = (struct append){d, index, n, mem_zalloc(n, sizeof *a->entries),
                         mem_zalloc(n, sizeof(struct raft_block *))};
    for (unsigned i = 0; i < n; i++) {
        struct raft_block *block = take_block(d, &batch[i]);
        a->blocks[i] = raft_block_ref(block);
        a->entries[i] = (struct raft_entry){
            .term = batch[i].term, .type = batch[i].type, .buf = {block->bytes, block->len}};
        d->bytes_since += block->len;
        raft_log_append(&d->log, batch[i].term, batch[i].type, block);
    }
    free_batch(d, update);
    const struct raft_storage *s = &d->options.storage;
    int err = s->ops->truncate(s->self, index);
    if (!err) {
        err = s->ops->append(s->self, index, a->entries, n, on_appended, a);
    }
    if (err) {
        append_free(a);
    }
    return err;
}

/* ---------------------------------------------------------------- snapshots that arrive */

static void on_installed(void *arg, int status)
{
    struct raft_driver *d = arg;
    d->is_installing = false;
    if (status != 0) {
        raft_configuration_close(&d->install_meta.configuration);
        raft_free(d->install.base);
        if (status != RAFT_CANCELED) {
            raft_die(d, "writing a snapshot", status);
        }
        return;
    }
    raft_free(d->restore.base);
    d->restore = d->install;
    d->restore_index = d->install_meta.index;
    d->restore_term = d->install_meta.term;
    d->is_restoring = true;
    struct pending *p = raft_queue(d, RAFT_PERSISTED_SNAPSHOT);
    p->event.persisted_snapshot.metadata = d->install_meta;
    p->event.persisted_snapshot.last = true;
    d->scanned = d->install_meta.index;
    d->bytes_since = 0;
    raft_run(d);
}

int raft_write_snapshot(struct raft_driver *d, const struct raft_update *update)
{
    ASSERT(!d->is_taking);
    d->is_installing = true;
    d->install_meta = update->snapshot.metadata;
    d->install = update->snapshot.chunk;
    raft_log_restore(&d->log, d->install_meta.index, d->install_meta.term);
    d->taken = (struct raft_snapshot){
        .index = d->install_meta.index,
        .term = d->install_meta.term,
        .configuration = d->install_meta.configuration,
        .configuration_index = d->install_meta.configuration_index,
        .bufs = &d->install,
        .n_bufs = 1,
    };
    const struct raft_storage *s = &d->options.storage;
    return s->ops->put_snapshot(s->self, &d->taken, 0, on_installed, d);
}

/* ---------------------------------------------------------------- neither */

void raft_drop_brought(const struct raft_driver *d, const struct raft_update *update)
{
    if (update->flags & RAFT_UPDATE_ENTRIES) {
        free_batch(d, update);
    }
    if (update->flags & RAFT_UPDATE_SNAPSHOT) {
        struct raft_configuration members = update->snapshot.metadata.configuration;
        raft_configuration_close(&members);
        raft_free(update->snapshot.chunk.base);
    }
}
