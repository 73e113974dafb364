#include "conn/peer.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"

/* The next key. Process-wide, because "never reused" is about the process: two edges (a second
 * port, tests) share one core. */
static _Atomic uint64_t next_key = 1;

static void copy_text(char *dst, size_t size, struct span text)
{
    size_t len = text.len < size - 1 ? text.len : size - 1;
    if (len > 0) {
        memcpy(dst, text.data, len);
    }
    dst[len] = '\0';
}

struct peer *peer_create(struct span remote_ip, uint16_t remote_port, int64_t wall_ms,
                         uint64_t mono_ms)
{
    struct peer *p = mem_zalloc(1, sizeof(*p));
    atomic_init(&p->refs, 1);
    atomic_init(&p->state, PEER_TRANSPORT);
    atomic_init(&p->active_ms, mono_ms);
    p->key = atomic_fetch_add_explicit(&next_key, 1, memory_order_relaxed);
    copy_text(p->remote_ip, sizeof(p->remote_ip), remote_ip);
    p->remote_port = remote_port;
    int len = snprintf(p->id, sizeof(p->id), "%" PRId64 "_%s_%u", wall_ms, p->remote_ip,
                       (unsigned)remote_port);
    ASSERT(len > 0);
    ASSERT((size_t)len < sizeof(p->id)); /* 20 + 1 + 63 + 1 + 5 digits fit */
    return p;
}

struct peer *peer_ref(struct peer *p)
{
    unsigned before = atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return p;
}

void peer_unref(struct peer *p)
{
    if (!p) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1) {
        mem_free(p);
    }
}
