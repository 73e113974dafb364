#include "consensus/raft_log.h"

#include <endian.h>

#include "base/assert.h"
#include "base/mem.h"

#define HEAD_BYTES sizeof(uint64_t)
#define RING_FIRST 256

static struct raft_block *block_alloc(size_t len)
{
    ASSERT(len % 8 == 0);
    struct raft_block *b = mem_alloc(sizeof *b + len);
    b->refs = 1;
    b->len = len;
    return b;
}

struct raft_block *raft_block_wrap(struct span bytes)
{
    size_t len = HEAD_BYTES + (bytes.len + 7) / 8 * 8;
    struct raft_block *b = block_alloc(len);
    uint64_t head = htole64(bytes.len);
    memcpy(b->bytes, &head, sizeof head);
    if (bytes.len > 0) {
        memcpy(b->bytes + HEAD_BYTES, bytes.data, bytes.len);
    }
    memset(b->bytes + HEAD_BYTES + bytes.len, 0, len - HEAD_BYTES - bytes.len);
    return b;
}

struct raft_block *raft_block_copy(const void *raw, size_t len)
{
    struct raft_block *b = block_alloc((len + 7) / 8 * 8);
    if (len > 0) {
        memcpy(b->bytes, raw, len);
    }
    memset(b->bytes + len, 0, b->len - len);
    return b;
}

struct raft_block *raft_block_ref(struct raft_block *b)
{
    b->refs++;
    return b;
}

void raft_block_unref(struct raft_block *b)
{
    if (!b) {
        return;
    }
    ASSERT(b->refs > 0);
    if (--b->refs == 0) {
        mem_free(b);
    }
}

bool raft_block_open(const struct raft_block *b, struct span *ret)
{
    if (b->len < HEAD_BYTES) {
        return false;
    }
    uint64_t len = 0;
    memcpy(&len, b->bytes, sizeof len);
    len = le64toh(len);
    if (len > b->len - HEAD_BYTES || b->len - HEAD_BYTES - len >= 8) {
        return false;
    }
    *ret = span_of(b->bytes + HEAD_BYTES, (size_t)len);
    return true;
}

static struct raft_slot *slot_at(const struct raft_log *l, uint64_t index)
{
    return &l->ring[index & (l->cap - 1)];
}

void raft_log_start(struct raft_log *l, uint64_t snapshot_index, uint64_t snapshot_term,
                    uint64_t start)
{
    ASSERT(l->count == 0);
    ASSERT(start >= 1);
    ASSERT(start <= snapshot_index + 1);
    l->first = start;
    l->released = start - 1;
    l->snapshot_index = snapshot_index;
    l->snapshot_term = snapshot_term;
}

void raft_log_close(struct raft_log *l)
{
    for (size_t i = 0; i < l->count; i++) {
        raft_block_unref(slot_at(l, l->first + i)->block);
    }
    mem_free(l->ring);
    *l = (struct raft_log){0};
}

static void grow(struct raft_log *l)
{
    size_t cap = l->cap ? l->cap * 2 : RING_FIRST;
    struct raft_slot *ring = mem_zalloc(cap, sizeof *ring);
    for (size_t i = 0; i < l->count; i++) {
        uint64_t index = l->first + i;
        ring[index & (cap - 1)] = *slot_at(l, index);
    }
    mem_free(l->ring);
    l->ring = ring;
    l->cap = cap;
}

void raft_log_append(struct raft_log *l, uint64_t term, enum raft_entry_type type,
                     struct raft_block *take_block)
{
    ASSERT(term > 0);
    if (l->first == 0) {
        l->first = 1;
    }
    if (l->count == l->cap) {
        grow(l);
    }
    *slot_at(l, l->first + l->count) = (struct raft_slot){term, type, take_block};
    l->count++;
}

void raft_log_truncate(struct raft_log *l, uint64_t index)
{
    ASSERT(index >= l->first);
    while (l->count > 0 && l->first + l->count > index) {
        l->count--;
        raft_block_unref(slot_at(l, l->first + l->count)->block);
    }
}

const struct raft_slot *raft_log_get(const struct raft_log *l, uint64_t index)
{
    if (index < l->first || index >= l->first + l->count) {
        return NULL;
    }
    return slot_at(l, index);
}

uint64_t raft_log_last(const struct raft_log *l)
{
    return l->count > 0 ? l->first + l->count - 1 : l->snapshot_index;
}

uint64_t raft_log_term(const struct raft_log *l, uint64_t index)
{
    const struct raft_slot *slot = raft_log_get(l, index);
    if (slot) {
        return slot->term;
    }
    return index > 0 && index == l->snapshot_index ? l->snapshot_term : 0;
}

static void drop_before(struct raft_log *l, uint64_t first)
{
    while (l->count > 0 && l->first < first) {
        raft_block_unref(slot_at(l, l->first)->block);
        l->first++;
        l->count--;
    }
    if (l->released < l->first - 1) {
        l->released = l->first - 1;
    }
}

void raft_log_snapshot(struct raft_log *l, uint64_t index, unsigned trailing)
{
    uint64_t term = raft_log_term(l, index);
    ASSERT(term > 0);
    l->snapshot_index = index;
    l->snapshot_term = term;
    if (index > trailing) {
        drop_before(l, index - trailing + 1);
    }
}

void raft_log_restore(struct raft_log *l, uint64_t index, uint64_t term)
{
    raft_log_truncate(l, l->first);
    l->first = index + 1;
    l->released = index;
    l->snapshot_index = index;
    l->snapshot_term = term;
}

void raft_log_release(struct raft_log *l, uint64_t index)
{
    while (l->released < index && l->released < raft_log_last(l)) {
        l->released++;
        if (!raft_log_get(l, l->released)) {
            continue;
        }
        struct raft_slot *slot = slot_at(l, l->released);
        raft_block_unref(slot->block);
        slot->block = NULL;
    }
}

unsigned raft_log_held(const struct raft_log *l, uint64_t index, unsigned max, uint64_t max_bytes)
{
    uint64_t bytes = 0;
    unsigned held = 0;
    while (held < max && index > l->released) {
        const struct raft_slot *slot = raft_log_get(l, index);
        if (!slot || !slot->block || bytes + slot->block->len > max_bytes) {
            break;
        }
        bytes += slot->block->len;
        held++;
        index--;
    }
    return held;
}
