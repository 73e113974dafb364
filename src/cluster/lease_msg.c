#include "cluster/lease_msg.h"

#include <endian.h>
#include <string.h>

#define PARTS_ALL                                                                                  \
    (LEASE_ROUND | LEASE_GRANT | LEASE_SAFE | LEASE_ACK | LEASE_APPLIED | LEASE_WANT | LEASE_NOW)
#define HEAD_BYTES 2
#define WORDS_MAX 12 /* term, and every field once, some in two parts */

/* The fields that follow the head for these parts, in their order. */
static size_t layout(struct lease_msg *m, unsigned parts, uint64_t *words[WORDS_MAX])
{
    size_t n = 0;
    words[n++] = &m->term;
    if (parts & LEASE_ROUND) {
        words[n++] = &m->round;
    }
    if (parts & LEASE_GRANT) {
        words[n++] = &m->life;
        words[n++] = &m->asked_at;
        words[n++] = &m->commit;
    }
    if (parts & LEASE_SAFE) {
        words[n++] = &m->safe;
    }
    if (parts & LEASE_ACK) {
        words[n++] = &m->round;
        words[n++] = &m->asked_at;
        words[n++] = &m->quiet_ms;
    }
    if (parts & LEASE_APPLIED) {
        words[n++] = &m->life;
        words[n++] = &m->applied;
    }
    return n;
}

struct buf *lease_msg_encode(const struct lease_msg *m)
{
    char bytes[HEAD_BYTES + WORDS_MAX * sizeof(uint64_t)];
    struct lease_msg copy = *m;
    uint64_t *words[WORDS_MAX];
    size_t count = layout(&copy, m->parts, words);
    size_t len = HEAD_BYTES;
    bytes[0] = LEASE_MSG_VERSION;
    bytes[1] = (char)m->parts;
    for (size_t i = 0; i < count; i++) {
        uint64_t wire = htole64(*words[i]);
        memcpy(bytes + len, &wire, sizeof(wire));
        len += sizeof(wire);
    }
    return buf_create(span_of(bytes, len));
}

int lease_msg_decode(struct span bytes, struct lease_msg *ret, struct fail *fail)
{
    if (bytes.len < HEAD_BYTES || bytes.data[0] != LEASE_MSG_VERSION) {
        return fail_set(fail, E_PARSE, "a lease frame of another version");
    }
    struct lease_msg m = {.parts = (uint8_t)bytes.data[1]};
    bool leads = m.parts & (LEASE_ROUND | LEASE_GRANT | LEASE_SAFE);
    bool follows = m.parts & (LEASE_ACK | LEASE_APPLIED);
    bool lacks = ((m.parts & LEASE_WANT) && !(m.parts & LEASE_ACK)) ||
                 ((m.parts & LEASE_NOW) && !(m.parts & LEASE_WANT));
    if ((m.parts & ~(unsigned)PARTS_ALL) != 0 || leads == follows || lacks) {
        return fail_set(fail, E_PARSE, "a lease frame with parts %u", m.parts);
    }
    uint64_t *words[WORDS_MAX];
    size_t count = layout(&m, m.parts, words);
    if (bytes.len != HEAD_BYTES + count * sizeof(uint64_t)) {
        return fail_set(fail, E_PARSE, "a lease frame of %zu bytes with parts %u", bytes.len,
                        m.parts);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t wire = 0;
        memcpy(&wire, bytes.data + HEAD_BYTES + i * sizeof(wire), sizeof(wire));
        *words[i] = le64toh(wire);
    }
    *ret = m;
    return 0;
}
