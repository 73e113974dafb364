/* Configurations that come from outside: libraft takes them as its own and does not look where
 * their bytes end.
 *
 * Thread:  any; functions of their arguments.
 * Limits:  RAFT_DRIVER_PEERS_MAX servers, CONSENSUS_ADDRESS_MAX bytes an address.
 */
#ifndef NACRE_CONSENSUS_RAFT_CONF_H
#define NACRE_CONSENSUS_RAFT_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "consensus/raft_lib.h"

/* Add a server. False, and nothing is added: an id of 0, an address that is empty, too long or has
 * a NUL in it, no role of libraft's, either of them there already, or the configuration is full. */
bool raft_conf_add(struct raft_configuration *conf, uint64_t id, struct span address,
                   uint64_t role);

/* Whether libraft can read these bytes of a configuration entry. */
bool raft_conf_is_encoded(struct span bytes);

#endif
