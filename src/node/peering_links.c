/* What the way to the others says, on its own threads, made mail for the core. */
#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"
#include "node/peering_state.h"

#define FRAMES_MAX 65536 /* of peers that wait for core; more are dropped, and come again */

static void post(struct peering *p, struct peer_mail *take_mail)
{
    struct core_port port = core_port(p->core);
    take_mail->mail.kind = CORE_PEER;
    if (port.post(port.self, &take_mail->mail) != 0) {
        peering_drop_mail(
            &take_mail->mail); /* the node stops: frames alone cannot fill its mailbox */
    }
}

static void on_frame(void *self, const struct node_id *from, unsigned kind, struct buf *take_bytes)
{
    struct peering *p = self;
    if (atomic_fetch_add(&p->frames_waiting, 1) >= FRAMES_MAX) {
        atomic_fetch_sub(&p->frames_waiting, 1);
        buf_unref(take_bytes);
        return;
    }
    struct peer_mail *m = mem_zalloc(1, sizeof(*m));
    m->event = EVENT_FRAME;
    m->id = *from;
    m->kind = kind;
    m->bytes = take_bytes;
    post(self, m);
}

static void on_up(void *self, unsigned slot, const struct node_id *id, uint64_t number)
{
    struct peer_mail *m = mem_zalloc(1, sizeof(*m));
    (void)number;
    m->event = EVENT_UP;
    m->slot = slot;
    m->id = *id;
    post(self, m);
}

static void on_down(void *self, unsigned slot, const char *why)
{
    struct peer_mail *m = mem_zalloc(1, sizeof(*m));
    m->event = EVENT_DOWN;
    m->slot = slot;
    snprintf(m->why, sizeof(m->why), "%s", why);
    post(self, m);
}

static void on_learned(void *self, unsigned slot, const struct node_id *id)
{
    struct peer_mail *m = mem_zalloc(1, sizeof(*m));
    m->event = EVENT_LEARNED;
    m->slot = slot;
    m->id = *id;
    post(self, m);
}

static void on_self(void *self, unsigned slot)
{
    struct peer_mail *m = mem_zalloc(1, sizeof(*m));
    m->event = EVENT_SELF;
    m->slot = slot;
    post(self, m);
}

void peering_set_list(struct peering *p, const struct member_list *list)
{
    struct peer_mail *m = mem_zalloc(1, sizeof(*m));
    m->event = EVENT_LIST;
    m->list = mem_alloc(sizeof(*m->list));
    *m->list = *list;
    post(p, m);
}

static const struct links_ops links_ops = {on_frame, on_up, on_down, on_learned, on_self};

void peering_drop_mail(struct core_mail *take_mail)
{
    struct peer_mail *m = CONTAINER_OF(take_mail, struct peer_mail, mail);
    buf_unref(m->bytes);
    mem_free(m->list);
    mem_free(m);
}

/* What goes out to the others, and what they are told by whom. */
int peering_create_net(struct peering *p, const struct peering_options *o, struct fail *fail)
{
    const struct peer_net_maker *maker = o->net ? o->net : &peer_net_links;
    struct links_options links = {
        .identity = &p->identity,
        .bind = o->bind,
        .port = (uint16_t)(o->port + PEERING_PORT_OFFSET),
        .ops = &links_ops,
        .self = p,
    };
    return maker->create(maker->self, &links, &p->net, fail);
}
