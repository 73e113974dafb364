/* Snapshot: the applied state of the registry as bytes, and back.
 *
 * What stands in it is the replicated half of state.h, all of it, and nothing of this node alone: a
 * registry that loads a snapshot and applies what follows equals one that applied everything.
 * Format: a version, then protobuf messages behind their kind and length
 * (proto/naming_snapshot.proto) in an order that load can apply one by one; unknown kinds are
 * skipped. Equal states have equal snapshots, on every node.
 *
 * Thread:  collect, load: core (load while the log is replayed: also main before the core runs).
 *          write, free: any one thread.
 * Limits:  a message of NAMING_SNAPSHOT_MESSAGE_MAX bytes; load refuses more.
 * Cost:    collect takes a reference per instance and copies the names of services and clients.
 */
#ifndef NACRE_NAMING_NAMING_SNAPSHOT_H
#define NACRE_NAMING_NAMING_SNAPSHOT_H

#include "base/stream.h"
#include "naming/naming.h"

#define NAMING_SNAPSHOT_MAGIC 0x5352434Eu /* "NCRS" */
#define NAMING_SNAPSHOT_VERSION 1
#define NAMING_SNAPSHOT_MESSAGE_MAX (16u << 20)

struct naming_snapshot;

/* The state as it is now, by references to immutable values and copies of small texts. */
MUST_USE struct naming_snapshot *naming_snapshot_collect(struct naming *n);

/* Encode it, in pieces of at most a megabyte or one message. What the sink says. */
MUST_USE int naming_snapshot_write(const struct naming_snapshot *s, const struct byte_sink *sink,
                                   struct fail *fail);

/* NULL is fine. */
void naming_snapshot_free(struct naming_snapshot *s);

/* Become what the snapshot says, in place of all that is applied; what this node alone knows
 * (subscribers, attached connections) stays. Every subscriber's push is armed, every view entry
 * spoiled; while the log is replayed that is naming_recovered's. On an error the state is undefined
 * and may only be destroyed.
 * E_PARSE  damaged, or of a newer version: what and where */
MUST_USE int naming_snapshot_load(struct naming *n, const struct byte_source *source,
                                  struct now now, struct fail *fail);

#endif
