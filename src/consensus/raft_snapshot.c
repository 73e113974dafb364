#include "consensus/raft_snapshot.h"

#include <endian.h>

#include "base/assert.h"
#include "consensus/consensus.h"
#include "consensus/crc32c.h"

#define MAGIC "NACRESNP"
#define VERSION 1
#define HEAD_BYTES 16       /* magic, version, checksum */
#define CHUNK_HEAD_BYTES 16 /* length, number, last, checksum */

static void put_u32(char *at, uint32_t n)
{
    n = htole32(n);
    memcpy(at, &n, sizeof n);
}

static uint32_t get_u32(const char *at)
{
    uint32_t n = 0;
    memcpy(&n, at, sizeof n);
    return le32toh(n);
}

static void *must(void *memory)
{
    ASSERT(memory); /* out of memory ends the process, as in base/mem.h */
    return memory;
}

/* Where the head of chunk i stands in its buffer: the first one comes after the file's own. */
static size_t head_at(unsigned i)
{
    return i == 0 ? HEAD_BYTES : 0;
}

static void add_chunk(struct consensus_sink *s)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->bufs = must(raft_realloc(s->bufs, s->cap * sizeof *s->bufs));
    }
    size_t head = head_at(s->count);
    char *base = must(raft_malloc(head + CHUNK_HEAD_BYTES + RAFT_SNAPSHOT_CHUNK_BYTES));
    if (head > 0) {
        memcpy(base, MAGIC, 8);
        put_u32(base + 8, VERSION);
        put_u32(base + 12, crc32c(0, base, 12));
    }
    s->bufs[s->count++] = (struct raft_buffer){base, head + CHUNK_HEAD_BYTES};
    s->fill = 0;
}

/* The last chunk is as long as it will be. */
static void seal_chunk(struct consensus_sink *s, bool is_last)
{
    unsigned i = s->count - 1;
    char *head = (char *)s->bufs[i].base + head_at(i);
    put_u32(head, (uint32_t)s->fill);
    put_u32(head + 4, i);
    put_u32(head + 8, is_last);
    uint32_t crc = crc32c(0, head, 12);
    put_u32(head + 12, crc32c(crc, head + CHUNK_HEAD_BYTES, s->fill));
    s->bufs[i].len = head_at(i) + CHUNK_HEAD_BYTES + s->fill;
}

int consensus_sink_write(struct consensus_sink *s, struct span bytes)
{
    if (bytes.len > RAFT_SNAPSHOT_BYTES_MAX - s->total) {
        return E_LIMIT;
    }
    s->total += bytes.len;
    while (bytes.len > 0) {
        if (s->count == 0) {
            add_chunk(s);
        } else if (s->fill == RAFT_SNAPSHOT_CHUNK_BYTES) {
            seal_chunk(s, false);
            add_chunk(s);
        }
        size_t room = RAFT_SNAPSHOT_CHUNK_BYTES - s->fill;
        size_t n = bytes.len < room ? bytes.len : room;
        char *data = (char *)s->bufs[s->count - 1].base + head_at(s->count - 1) + CHUNK_HEAD_BYTES;
        memcpy(data + s->fill, bytes.data, n);
        s->fill += n;
        bytes = span_of(bytes.data + n, bytes.len - n);
    }
    return 0;
}

void raft_snapshot_finish(struct consensus_sink *s, struct raft_buffer **ret_bufs, unsigned *ret_n)
{
    if (s->count == 0) {
        add_chunk(s);
    }
    seal_chunk(s, true);
    *ret_bufs = s->bufs;
    *ret_n = s->count;
    *s = (struct consensus_sink){0};
}

void raft_snapshot_drop(struct consensus_sink *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        raft_free(s->bufs[i].base);
    }
    raft_free(s->bufs);
    *s = (struct consensus_sink){0};
}

/* The data of the chunk at the front of *rest, which is cut off. False when it is not whole. */
static bool take_chunk(struct span *rest, struct span *ret_data)
{
    if (rest->len < CHUNK_HEAD_BYTES) {
        return false;
    }
    size_t len = get_u32(rest->data);
    if (len > RAFT_SNAPSHOT_CHUNK_BYTES || len > rest->len - CHUNK_HEAD_BYTES) {
        return false;
    }
    *ret_data = span_of(rest->data + CHUNK_HEAD_BYTES, len);
    *rest = span_of(ret_data->data + len, rest->len - CHUNK_HEAD_BYTES - len);
    return true;
}

static int check_head(struct span bytes, struct fail *fail)
{
    if (bytes.len < HEAD_BYTES || memcmp(bytes.data, MAGIC, 8) != 0 ||
        get_u32(bytes.data + 12) != crc32c(0, bytes.data, 12)) {
        return fail_set(fail, E_PARSE, "the snapshot's first %d bytes are damaged", HEAD_BYTES);
    }
    if (get_u32(bytes.data + 8) != VERSION) {
        return fail_set(fail, E_PARSE, "the snapshot is of version %u, expected %d",
                        get_u32(bytes.data + 8), VERSION);
    }
    return 0;
}

int raft_snapshot_open(struct span bytes, struct consensus_source *ret, struct fail *fail)
{
    int err = check_head(bytes, fail);
    if (err) {
        return err;
    }
    struct consensus_source source = {.rest =
                                          span_of(bytes.data + HEAD_BYTES, bytes.len - HEAD_BYTES)};
    struct span rest = source.rest;
    bool is_last = false;
    for (uint32_t i = 0; !is_last; i++) {
        const char *head = rest.data;
        struct span data = {0};
        size_t at = bytes.len - rest.len;
        if (!take_chunk(&rest, &data) || get_u32(head + 4) != i || get_u32(head + 8) > 1 ||
            get_u32(head + 12) != crc32c(crc32c(0, head, 12), data.data, data.len)) {
            return fail_set(fail, E_PARSE,
                            "the snapshot is damaged or cut short at byte %zu of %zu", at,
                            bytes.len);
        }
        is_last = get_u32(head + 8) == 1;
        source.left += data.len;
    }
    if (rest.len > 0) {
        return fail_set(fail, E_PARSE, "the snapshot has %zu bytes after its end", rest.len);
    }
    *ret = source;
    return 0;
}

int consensus_source_read(struct consensus_source *s, void *dst, size_t len)
{
    if (len > s->left) {
        return E_PARSE;
    }
    s->left -= len;
    for (char *at = dst; len > 0;) {
        if (s->chunk.len == 0) {
            bool is_whole = take_chunk(&s->rest, &s->chunk);
            ASSERT(is_whole); /* checked when it was opened */
            continue;
        }
        size_t n = len < s->chunk.len ? len : s->chunk.len;
        memcpy(at, s->chunk.data, n);
        s->chunk = span_of(s->chunk.data + n, s->chunk.len - n);
        at += n;
        len -= n;
    }
    return 0;
}

uint64_t consensus_source_left(const struct consensus_source *s)
{
    return s->left;
}
