#include "cluster/digests.h"

#include <endian.h>
#include <string.h>

#include "base/assert.h"
#include "base/err.h"

/* ---------------------------------------------------------------- the ring */

void digests_init(struct digests *d, uint64_t self)
{
    *d = (struct digests){.self = self};
}

void digests_put(struct digests *d, uint64_t index, uint64_t digest)
{
    if (index <= d->newest.index) {
        digests_forget(d);
    }
    struct digest_at at = {index, digest};
    d->recent[index % DIGESTS_RECENT] = at;
    d->newest = at;
    if (index % DIGESTS_STEP == 0) {
        d->coarse[index / DIGESTS_STEP % DIGESTS_COARSE] = at;
        d->newest_coarse = at;
    }
}

void digests_forget(struct digests *d)
{
    memset(d->recent, 0, sizeof(d->recent));
    memset(d->coarse, 0, sizeof(d->coarse));
    d->newest = (struct digest_at){0};
    d->newest_coarse = (struct digest_at){0};
    d->asked = 0;
}

bool digests_find(const struct digests *d, uint64_t index, uint64_t *ret_digest)
{
    const struct digest_at *at = &d->recent[index % DIGESTS_RECENT];
    if (at->index != index && index % DIGESTS_STEP == 0) {
        at = &d->coarse[index / DIGESTS_STEP % DIGESTS_COARSE];
    }
    if (index == 0 || at->index != index) {
        return false;
    }
    *ret_digest = at->digest;
    return true;
}

size_t digests_newest(const struct digests *d, struct digest_at ret[2])
{
    size_t count = 0;
    if (d->newest.index > 0) {
        ret[count++] = d->newest;
    }
    if (d->newest_coarse.index > 0 && d->newest_coarse.index != d->newest.index) {
        ret[count++] = d->newest_coarse;
    }
    return count;
}

/* ---------------------------------------------------------------- the judge */

static struct digests_verdict nothing(void)
{
    return (struct digests_verdict){.word = DIGESTS_NOTHING};
}

void digests_lead(struct digests *d, bool leads)
{
    if (leads != d->leads) {
        d->asked = 0;
        d->told = 0;
    }
    d->leads = leads;
}

/* Nobody that was named is still on its way. */
static bool may_name(struct digests *d, uint64_t number, struct now now)
{
    if (d->told != 0 && now.mono_ms - d->told_ms > DIGESTS_TOLD_MS) {
        d->told = 0;
    }
    return d->told == 0 || d->told == number;
}

struct digests_verdict digests_on_report(struct digests *d, uint64_t from,
                                         const struct digest_at *list, size_t count, struct now now)
{
    for (size_t i = 0; d->leads && d->asked == 0 && i < count; i++) {
        uint64_t own = 0;
        if (!digests_find(d, list[i].index, &own)) {
            continue; /* one of us is far ahead */
        }
        if (own == list[i].digest) {
            d->told = d->told == from ? 0 : d->told;
            continue;
        }
        d->asked = list[i].index;
        d->asked_ms = now.mono_ms;
        d->said_count = 0;
        return (struct digests_verdict){.word = DIGESTS_ASK, .index = d->asked};
    }
    return nothing();
}

static bool is_voter(struct digests_voters voters, uint64_t number)
{
    for (size_t i = 0; i < voters.count; i++) {
        if (voters.list[i] == number) {
            return true;
        }
    }
    return false;
}

/* How many voters had this digest, this node included. */
static size_t votes(const struct digests *d, struct digests_voters voters, uint64_t own,
                    uint64_t digest)
{
    size_t count = own == digest && is_voter(voters, d->self);
    for (size_t i = 0; i < d->said_count; i++) {
        count += d->said[i].digest == digest && is_voter(voters, d->said[i].number);
    }
    return count;
}

/* The majority's digest, in *ret. False: there is none among what was said so far. */
static bool find_right(const struct digests *d, struct digests_voters voters, uint64_t own,
                       uint64_t *ret)
{
    size_t majority = voters.count / 2 + 1;
    *ret = own;
    if (votes(d, voters, own, own) >= majority) {
        return true;
    }
    for (size_t i = 0; i < d->said_count; i++) {
        if (votes(d, voters, own, d->said[i].digest) >= majority) {
            *ret = d->said[i].digest;
            return true;
        }
    }
    return false;
}

/* This node has diverged: who of those that are right shall lead. */
static struct digests_verdict yield(struct digests *d, struct digests_voters voters, uint64_t own,
                                    uint64_t right, struct now now)
{
    struct digests_verdict v = {
        .word = DIGESTS_YIELD, .index = d->asked, .theirs = own, .right = right};
    d->asked = 0;
    if (d->yield_ms != 0 && now.mono_ms - d->yield_ms < DIGESTS_YIELD_MS) {
        return nothing();
    }
    d->yield_ms = now.mono_ms;
    for (size_t i = 0; i < d->said_count && v.number == 0; i++) {
        bool fits = d->said[i].digest == right && is_voter(voters, d->said[i].number);
        v.number = fits ? d->said[i].number : 0;
    }
    return v;
}

static struct digests_verdict judge(struct digests *d, struct digests_voters voters, struct now now)
{
    uint64_t own = 0;
    uint64_t right = 0;
    if (!digests_find(d, d->asked, &own)) {
        d->asked = 0;
        return nothing();
    }
    if (!find_right(d, voters, own, &right)) {
        return nothing();
    }
    if (right != own) {
        return yield(d, voters, own, right, now);
    }
    for (size_t i = 0; i < d->said_count; i++) {
        if (d->said[i].digest == right || !may_name(d, d->said[i].number, now)) {
            continue;
        }
        struct digests_verdict v = {.word = DIGESTS_TELL,
                                    .index = d->asked,
                                    .number = d->said[i].number,
                                    .theirs = d->said[i].digest,
                                    .right = right};
        d->told = v.number;
        d->told_index = v.index;
        d->told_ms = now.mono_ms;
        d->asked = 0;
        return v;
    }
    return nothing(); /* who differs has not answered yet */
}

struct digests_verdict digests_on_answer(struct digests *d, uint64_t from, struct digest_at at,
                                         struct digests_voters voters, struct now now)
{
    if (!d->leads || d->asked == 0 || at.index != d->asked || from == d->self) {
        return nothing();
    }
    for (size_t i = 0; i < d->said_count; i++) {
        if (d->said[i].number == from) {
            return nothing();
        }
    }
    if (d->said_count < DIGESTS_MEMBERS_MAX) {
        d->said[d->said_count].number = from;
        d->said[d->said_count].digest = at.digest;
        d->said_count++;
    }
    return judge(d, voters, now);
}

struct digests_verdict digests_turn(struct digests *d, struct digests_voters voters, struct now now)
{
    if (d->asked == 0 || now.mono_ms < d->asked_ms + DIGESTS_CASE_MS) {
        return nothing();
    }
    uint64_t own = 0;
    uint64_t right = 0;
    struct digests_verdict v = {.word = DIGESTS_SPLIT, .index = d->asked};
    bool is_known = digests_find(d, d->asked, &own);
    bool is_judged = is_known && find_right(d, voters, own, &right);
    bool is_said = d->split_ms != 0 && now.mono_ms - d->split_ms < DIGESTS_SPLIT_MS;
    d->asked = 0;
    for (size_t i = 0; i < d->said_count; i++) {
        if (d->said[i].digest != own) {
            v.number = d->said[i].number;
            v.theirs = d->said[i].digest;
        }
    }
    if (!is_known || is_judged || is_said || v.number == 0) {
        return nothing();
    }
    d->split_ms = now.mono_ms;
    v.right = own;
    return v;
}

uint64_t digests_deadline(const struct digests *d)
{
    return d->asked != 0 ? d->asked_ms + DIGESTS_CASE_MS : UINT64_MAX;
}

/* ---------------------------------------------------------------- frames */

/* u32 format, u32 DIGEST_VERSION, u32 kind, u32 count; then u64 index, u64 digest each; all
 * little-endian. */
#define FORMAT 1
#define HEAD_WORDS 4
#define HEAD_BYTES (HEAD_WORDS * sizeof(uint32_t))
#define ITEM_BYTES (2 * sizeof(uint64_t))

struct buf *digests_encode(const struct digests_frame *frame)
{
    ASSERT(frame->count <= DIGESTS_FRAME_ITEMS);
    char bytes[HEAD_BYTES + DIGESTS_FRAME_ITEMS * ITEM_BYTES];
    uint32_t head[HEAD_WORDS] = {htole32(FORMAT), htole32(DIGEST_VERSION),
                                 htole32((uint32_t)frame->kind), htole32((uint32_t)frame->count)};
    memcpy(bytes, head, sizeof(head));
    size_t len = sizeof(head);
    for (size_t i = 0; i < frame->count; i++, len += ITEM_BYTES) {
        uint64_t item[2] = {htole64(frame->list[i].index), htole64(frame->list[i].digest)};
        memcpy(bytes + len, item, sizeof(item));
    }
    return buf_create(span_of(bytes, len));
}

/* How many digests a frame of this kind has. */
static bool is_count_of(uint32_t kind, uint32_t count)
{
    switch (kind) {
    case DIGESTS_REPORT:
        return count == 1 || count == 2;
    case DIGESTS_QUESTION:
    case DIGESTS_ANSWER:
        return count == 1;
    case DIGESTS_DIVERGED:
        return count == 2;
    default:
        return false;
    }
}

int digests_decode(struct span bytes, struct digests_frame *ret)
{
    uint32_t head[HEAD_WORDS];
    if (bytes.len < sizeof(head)) {
        return E_PARSE;
    }
    memcpy(head, bytes.data, sizeof(head));
    uint32_t kind = le32toh(head[2]);
    uint32_t count = le32toh(head[3]);
    if (le32toh(head[0]) != FORMAT || le32toh(head[1]) != DIGEST_VERSION) {
        return E_UNSUPPORTED;
    }
    if (!is_count_of(kind, count) || bytes.len != sizeof(head) + count * ITEM_BYTES) {
        return E_PARSE;
    }
    ret->kind = (enum digests_frame_kind)kind;
    ret->count = count;
    for (size_t i = 0; i < count; i++) {
        uint64_t item[2];
        memcpy(item, bytes.data + sizeof(head) + i * ITEM_BYTES, sizeof(item));
        ret->list[i] = (struct digest_at){le64toh(item[0]), le64toh(item[1])};
    }
    return 0;
}
