#include "rpc/peer_places.h"

#include <string.h>

#include "rpc/door_guests.h"

void peer_places_add(struct peer_places *p, const struct node_id *id, struct span peer)
{
    struct address at = address_parse(peer);
    struct door_ip ignored;
    struct peer_place *place = &p->list[0];
    if (!door_ip_parse(at.ip, &ignored)) {
        return;
    }
    for (size_t i = 0; i < PLACES_MAX; i++) {
        struct peer_place *other = &p->list[i];
        if (node_id_eq(&other->id, id) && strcmp(other->ip, at.ip) == 0) {
            place = other;
            break;
        }
        place = other->order < place->order ? other : place;
    }
    place->id = *id;
    memcpy(place->ip, at.ip, sizeof(place->ip));
    place->order = ++p->last;
}

static bool is_in(const char *ip, char (*list)[ADDRESS_IP_MAX], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], ip) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_one_of(const struct node_id *id, const struct node_id *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (node_id_is_set(&ids[i]) && node_id_eq(&ids[i], id)) {
            return true;
        }
    }
    return false;
}

size_t peer_places_of(const struct peer_places *p, const struct node_id *ids, size_t count,
                      char (*ret)[ADDRESS_IP_MAX], size_t max)
{
    size_t found = 0;
    for (size_t i = 0; i < PLACES_MAX && found < max; i++) {
        const struct peer_place *place = &p->list[i];
        if (place->order != 0 && is_one_of(&place->id, ids, count) &&
            !is_in(place->ip, ret, found)) {
            memcpy(ret[found++], place->ip, sizeof(place->ip));
        }
    }
    return found;
}
