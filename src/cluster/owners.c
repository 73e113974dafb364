#include "cluster/owners.h"

#include <endian.h>
#include <string.h>

#include "base/assert.h"
#include "base/digest.h"

#define WORDS 4 /* of an owner as bytes */
/* Stands in the digest of all nodes. */
#define PIECE_OWNER 301

/* Where id is or would be. */
static size_t place_of(const struct owners *o, uint64_t id)
{
    size_t at = 0;
    while (at < o->count && o->list[at].id < id) {
        at++;
    }
    return at;
}

static struct owner *find(struct owners *o, uint64_t id)
{
    size_t at = place_of(o, id);
    return at < o->count && o->list[at].id == id ? &o->list[at] : NULL;
}

const struct owner *owners_find(const struct owners *o, uint64_t id)
{
    size_t at = place_of(o, id);
    return at < o->count && o->list[at].id == id ? &o->list[at] : NULL;
}

enum owners_verdict owners_take(struct owners *o, uint64_t id, uint64_t epoch, uint64_t prev,
                                uint64_t seq)
{
    struct owner *owner = find(o, id);
    if (!owner || owner->epoch != epoch || owner->is_expired) {
        return OWNERS_STALE;
    }
    if (seq <= owner->last_seq) {
        return OWNERS_TWICE;
    }
    if (prev > owner->last_seq) {
        return OWNERS_GAP;
    }
    owner->last_seq = seq;
    return OWNERS_TAKE;
}

bool owners_up(struct owners *o, uint64_t id, uint64_t epoch)
{
    struct owner *owner = find(o, id);
    if (owner) {
        if (epoch <= owner->epoch) {
            return false;
        }
        *owner = (struct owner){.id = id, .epoch = epoch};
        return true;
    }
    if (o->count == OWNERS_MAX || id == 0 || epoch == 0) {
        return false;
    }
    size_t at = place_of(o, id);
    memmove(&o->list[at + 1], &o->list[at], (o->count - at) * sizeof(o->list[0]));
    o->list[at] = (struct owner){.id = id, .epoch = epoch};
    o->count++;
    return true;
}

bool owners_expire(struct owners *o, uint64_t id, uint64_t epoch)
{
    struct owner *owner = find(o, id);
    if (!owner || owner->epoch != epoch || owner->is_expired) {
        return false;
    }
    owner->is_expired = true;
    return true;
}

void owners_forget(struct owners *o, uint64_t id)
{
    size_t at = place_of(o, id);
    if (at < o->count && o->list[at].id == id) {
        o->count--;
        memmove(&o->list[at], &o->list[at + 1], (o->count - at) * sizeof(o->list[0]));
    }
}

uint64_t owners_digest(const struct owners *o)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < o->count; i++) {
        const struct owner *owner = &o->list[i];
        uint64_t d = digest_number(digest_number(PIECE_OWNER, owner->id), owner->epoch);
        sum += digest_number(digest_number(d, owner->last_seq), owner->is_expired);
    }
    return sum;
}

int owners_save(const struct owners *o, const struct byte_sink *sink, struct fail *fail)
{
    uint64_t words[1 + OWNERS_MAX * WORDS];
    size_t n = 0;
    words[n++] = htole64(o->count);
    for (size_t i = 0; i < o->count; i++) {
        const struct owner *owner = &o->list[i];
        words[n++] = htole64(owner->id);
        words[n++] = htole64(owner->epoch);
        words[n++] = htole64(owner->last_seq);
        words[n++] = htole64(owner->is_expired);
    }
    return sink->write(sink->self, span_of((const char *)words, n * sizeof(words[0])), fail);
}

int owners_load(struct owners *o, const struct byte_source *source, struct fail *fail)
{
    uint64_t count = 0;
    struct owners fresh = {0};
    int err = source->read(source->self, &count, sizeof(count), fail);
    if (err) {
        return err;
    }
    count = le64toh(count);
    if (count > OWNERS_MAX) {
        return fail_set(fail, E_PARSE, "%llu owners: expected at most %d",
                        (unsigned long long)count, OWNERS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t words[WORDS];
        err = source->read(source->self, words, sizeof(words), fail);
        if (err) {
            return err;
        }
        uint64_t id = le64toh(words[0]);
        if (!owners_up(&fresh, id, le64toh(words[1])) || le64toh(words[3]) > 1) {
            return fail_set(fail, E_PARSE, "owner %zu is damaged", i);
        }
        struct owner *owner = find(&fresh, id);
        ASSERT(owner); /* owners_up made it */
        owner->last_seq = le64toh(words[2]);
        owner->is_expired = le64toh(words[3]) == 1;
    }
    *o = fresh;
    return 0;
}
