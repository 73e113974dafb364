#include "cluster/cluster_op.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster_op.pb-c.h"

static struct buf *pack(const Nacre__ClusterOp *m)
{
    size_t len = nacre__cluster_op__get_packed_size(m);
    char *bytes = mem_alloc(len);
    nacre__cluster_op__pack(m, (uint8_t *)bytes);
    return buf_take(bytes, len);
}

struct buf *cluster_op_encode(const struct cluster_op *op)
{
    Nacre__ClusterOp m = NACRE__CLUSTER_OP__INIT;
    Nacre__OwnerUp up = NACRE__OWNER_UP__INIT;
    Nacre__OwnerExpire expire = NACRE__OWNER_EXPIRE__INIT;
    Nacre__OwnerForget forget = NACRE__OWNER_FORGET__INIT;
    m.version = CLUSTER_OP_VERSION;
    m.time_ms = op->time_ms;
    switch (op->kind) {
    case CLUSTER_OWNER_UP:
        up.owner = op->owner;
        up.epoch = op->epoch;
        m.op_case = NACRE__CLUSTER_OP__OP_OWNER_UP;
        m.owner_up = &up;
        return pack(&m);
    case CLUSTER_OWNER_EXPIRE:
        expire.owner = op->owner;
        expire.epoch = op->epoch;
        m.op_case = NACRE__CLUSTER_OP__OP_OWNER_EXPIRE;
        m.owner_expire = &expire;
        return pack(&m);
    case CLUSTER_OWNER_FORGET:
        forget.owner = op->owner;
        m.op_case = NACRE__CLUSTER_OP__OP_OWNER_FORGET;
        m.owner_forget = &forget;
        return pack(&m);
    }
    ASSERT(!"a kind outside the enum");
    return NULL;
}

static int take(const Nacre__ClusterOp *m, struct cluster_op *ret, struct fail *fail)
{
    struct cluster_op op = {.time_ms = m->time_ms, .epoch = 1};
    switch (m->op_case) {
    case NACRE__CLUSTER_OP__OP_OWNER_UP:
        op.kind = CLUSTER_OWNER_UP;
        op.owner = m->owner_up->owner;
        op.epoch = m->owner_up->epoch;
        break;
    case NACRE__CLUSTER_OP__OP_OWNER_EXPIRE:
        op.kind = CLUSTER_OWNER_EXPIRE;
        op.owner = m->owner_expire->owner;
        op.epoch = m->owner_expire->epoch;
        break;
    case NACRE__CLUSTER_OP__OP_OWNER_FORGET:
        op.kind = CLUSTER_OWNER_FORGET;
        op.owner = m->owner_forget->owner;
        break;
    default:
        return fail_set(fail, E_PARSE, "an operation of the cluster of an unknown kind");
    }
    if (op.owner == 0 || op.epoch == 0) {
        return fail_set(fail, E_PARSE, "an operation of the cluster about nobody");
    }
    *ret = op;
    return 0;
}

int cluster_op_decode(struct span bytes, struct cluster_op *ret, struct fail *fail)
{
    if (bytes.len > CLUSTER_OP_BYTES_MAX) {
        return fail_set(fail, E_PARSE, "an operation of the cluster of %zu bytes", bytes.len);
    }
    Nacre__ClusterOp *m = nacre__cluster_op__unpack(NULL, bytes.len, (const uint8_t *)bytes.data);
    if (!m || m->version != CLUSTER_OP_VERSION) {
        int err = fail_set(fail, E_PARSE,
                           "an operation of the cluster is damaged, or of a newer "
                           "version");
        if (m) {
            nacre__cluster_op__free_unpacked(m, NULL);
        }
        return err;
    }
    int err = take(m, ret, fail);
    nacre__cluster_op__free_unpacked(m, NULL);
    return err;
}
