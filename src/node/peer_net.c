#include "node/peer_net.h"

static void destroy(void *self)
{
    links_destroy(self);
}

static int start(void *self, struct fail *fail)
{
    return links_start(self, fail);
}

static void stop(void *self, uint32_t grace_ms)
{
    links_stop(self, grace_ms);
}

static struct door_way *way(void *self)
{
    return links_way(self);
}

static struct door *door(const void *self)
{
    return links_door(self);
}

static void set_members(void *self, const struct link_member *list, size_t count)
{
    links_set_members(self, list, count);
}

static int send_frame(void *self, unsigned slot, unsigned kind, struct body *take_body)
{
    return links_send(self, slot, kind, take_body);
}

static size_t addresses(void *self, char (*ret)[LINK_IP_MAX], size_t max)
{
    return links_addresses(self, ret, max);
}

static const struct links_counters *counters(const void *self)
{
    return links_counters(self);
}

static const struct peer_net_ops ops = {
    .destroy = destroy,
    .start = start,
    .stop = stop,
    .way = way,
    .door = door,
    .set_members = set_members,
    .send = send_frame,
    .addresses = addresses,
    .counters = counters,
};

static int create(void *self, const struct links_options *options, struct peer_net *ret,
                  struct fail *fail)
{
    struct links *links = NULL;
    (void)self;
    int err = links_create(options, &links, fail);
    if (!err) {
        *ret = (struct peer_net){&ops, links};
    }
    return err;
}

const struct peer_net_maker peer_net_links = {.create = create};
