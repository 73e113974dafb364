/* Pieces of protobuf messages that operations and snapshots share: names, instances, pairs; and
 * protobuf-c on an arena.
 *
 * Thread:  any; no state.
 * Owns:    nothing: packed messages borrow the texts, unpacked values borrow the message, both live
 *          in the caller's arena.
 */
#ifndef NACRE_NAMING_NAMING_PACK_H
#define NACRE_NAMING_NAMING_PACK_H

#include "base/arena.h"
#include "base/fail.h"
#include "naming/name.h"
#include "naming_op.pb-c.h"

/* s as protobuf-c wants it, which only reads it. */
ProtobufCBinaryData naming_pack_span(struct span s);

/* The other way round. */
struct span naming_unpack_span(ProtobufCBinaryData d);

/* The message of a name. */
Nacre__ServiceName naming_pack_name(const struct service_name *n);

/* Empty where the message is missing. */
struct service_name naming_unpack_name(const Nacre__ServiceName *m);

/* Messages of pairs. */
Nacre__Pair **naming_pack_pairs(const struct instance_pair *pairs, size_t count,
                                struct arena *arena);

/* NULL: too many for the arena. */
const struct instance_pair *naming_unpack_pairs(Nacre__Pair **list, size_t count,
                                                struct arena *arena);

/* Fill m from an instance. */
void naming_pack_instance(Nacre__Instance *m, const struct instance_data *d, struct arena *arena);

/* What m says; whether it is ephemeral is its service's. E_LIMIT  too much for the arena */
MUST_USE int naming_unpack_instance(const Nacre__Instance *m, bool ephemeral, struct arena *arena,
                                    struct instance_data *ret);

/* An allocator for unpack: what does not fit fails the unpacking, nothing is freed. */
ProtobufCAllocator naming_pack_allocator(struct arena *arena);

#endif
