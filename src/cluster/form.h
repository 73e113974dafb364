/* A first configuration: who a new cluster is made of, and its digest, which members promise to
 * each other before one of them makes it real.
 *
 * Each member is named with the generation of its promises. A node that takes a promise back raises
 * its generation, so a configuration that contains the old one can no longer gather every member's
 * promise (membership_first.c says why that is enough).
 *
 * Thread:  any; functions of their arguments. Plain data.
 * Limits:  MEMBERS_MAX members.
 */
#ifndef NACRE_CLUSTER_FORM_H
#define NACRE_CLUSTER_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/identity.h"
#include "cluster/members.h"
#include "cluster/pins.h"

struct form_member {
    struct node_id id;
    uint64_t generation; /* never 0 */
    char host[MEMBER_HOST_MAX + 1];
    uint16_t port; /* main */
};

/* Sorted by number: the same on all nodes. count 0: none. */
struct form {
    size_t count;
    struct form_member list[MEMBERS_MAX];
};

/* Put a member in its place. False: its id, number or address is there already, or there is no
 * room. */
bool form_join(struct form *f, const struct form_member *member);

/* NULL when it is none of them. */
const struct form_member *form_find(const struct form *f, const struct node_id *id);

/* Of all that it says. */
void form_digest(const struct form *f, uint8_t dst[FORM_BYTES]);

/* The id of the cluster that it makes: the digest's first bytes. */
bool form_makes(const struct form *f, const uint8_t cluster_id[CLUSTER_ID_BYTES]);

/* Not all zero. */
bool form_digest_is_set(const uint8_t digest[FORM_BYTES]);

#endif
