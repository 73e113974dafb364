#include "node/core_digest.h"

#include "config/config_digest.h"
#include "namespace/namespace.h"
#include "naming/naming_digest.h"
#include "node/core_state.h"

/* Sums add up to a sum: no two parts have a kind of piece in common. */
bool core_digest(const struct core *c, uint64_t *ret_index, uint64_t *ret_digest)
{
    if (c->tables && c->entry_index < tables_index(c->tables)) {
        return false;
    }
    uint64_t sum = naming_digest(c->naming);
    if (c->tables) {
        sum += config_digest(c->config) + namespace_digest(c->namespaces);
    }
    if (c->peers) {
        sum += owners_digest(peering_owners(c->peers));
    }
    *ret_index = c->entry_index;
    *ret_digest = sum;
    return true;
}
