/* The options of a log on disk, filled in, and what of them its parts are given.
 *
 * Thread:  any: no state.
 */
#ifndef NACRE_CONSENSUS_RAFT_SETTINGS_H
#define NACRE_CONSENSUS_RAFT_SETTINGS_H

#include "consensus/consensus.h"
#include "consensus/raft_disk.h"
#include "consensus/raft_driver.h"

/* The same with the defaults in place of zeros (consensus.h), and a seed. */
struct consensus_raft_options raft_settings(const struct consensus_raft_options *options);

/* For the disk: all but on_fail and self. Borrows options and first. */
struct raft_disk_options raft_settings_disk(const struct consensus_raft_options *filled,
                                            const struct raft_configuration *first);

/* For the driver: all but storage, wire, clock, ops and self. */
struct raft_driver_options raft_settings_driver(const struct consensus_raft_options *filled);

/* Less room than this on the disk counts as none. */
unsigned short raft_settings_capacity_kib(const struct consensus_raft_options *filled);

#endif
