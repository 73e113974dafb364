#include "consensus/raft_conf.h"

#include <endian.h>
#include <string.h>

#include "base/assert.h"
#include "consensus/consensus.h"
#include "consensus/raft_driver.h"

#define VERSION 1 /* of libraft's encoding */

struct reader {
    struct span rest;
    bool is_bad;
};

static uint64_t take_number(struct reader *r, size_t len)
{
    uint64_t n = 0;
    if (r->rest.len < len) {
        r->is_bad = true;
        return 0;
    }
    memcpy(&n, r->rest.data, len);
    r->rest = span_of(r->rest.data + len, r->rest.len - len);
    return le64toh(n);
}

static struct span take_text(struct reader *r)
{
    const char *end = r->rest.len ? memchr(r->rest.data, 0, r->rest.len) : NULL;
    if (!end) {
        r->is_bad = true;
        return (struct span){0};
    }
    struct span text = span_of(r->rest.data, (size_t)(end - r->rest.data));
    r->rest = span_of(end + 1, r->rest.len - text.len - 1);
    return text;
}

/* A server as libraft would take it, and one that was not there before. */
static bool is_server(const struct raft_configuration *before, uint64_t id, struct span address,
                      uint64_t role)
{
    if (id == 0 || role > RAFT_SPARE || address.len == 0 || address.len > CONSENSUS_ADDRESS_MAX ||
        before->n >= RAFT_DRIVER_PEERS_MAX) {
        return false;
    }
    for (unsigned i = 0; i < before->n; i++) {
        const struct raft_server *s = &before->servers[i];
        if (s->id == id || span_eq(span_str(s->address), address)) {
            return false;
        }
    }
    return memchr(address.data, 0, address.len) == NULL;
}

bool raft_conf_add(struct raft_configuration *conf, uint64_t id, struct span address, uint64_t role)
{
    char text[CONSENSUS_ADDRESS_MAX + 1] = {0};
    if (!is_server(conf, id, address, role)) {
        return false;
    }
    memcpy(text, address.data, address.len);
    int err = raft_configuration_add(conf, id, text, (int)role);
    ASSERT(!err);
    return true;
}

bool raft_conf_is_encoded(struct span bytes)
{
    struct reader r = {.rest = bytes};
    struct raft_configuration conf = {0};
    raft_configuration_init(&conf);
    bool is_version = take_number(&r, 1) == VERSION;
    uint64_t n = take_number(&r, 8);
    bool is_good = is_version && !r.is_bad && n > 0 && n <= RAFT_DRIVER_PEERS_MAX;
    for (uint64_t i = 0; is_good && i < n; i++) {
        uint64_t id = take_number(&r, 8);
        struct span address = take_text(&r);
        uint64_t role = take_number(&r, 1);
        is_good = !r.is_bad && raft_conf_add(&conf, id, address, role);
    }
    raft_configuration_close(&conf);
    return is_good;
}
