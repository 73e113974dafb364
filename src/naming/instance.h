/* Instances: what a client publishes (data) and the immutable, ready-encoded value made of it.
 *
 * Thread:  instance_create: core. instance_ref, instance_unref, reading: any.
 * Owns:    one allocation with all texts and the JSON.
 * Cost:    the JSON of an instance is written once, here; lists are put together from it.
 * Source:  grpc-sdk.md 5.4.2, key order of Nacos 2.5.1 api/.../naming/pojo/Instance.java as
 *          recorded.
 */
#ifndef NACRE_NAMING_INSTANCE_H
#define NACRE_NAMING_INSTANCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"

#define INSTANCE_METADATA_MAX 1024 /* pairs; the characters are bounded by name_check_instance */
#define INSTANCE_BATCH_MAX 10000   /* instances in one batch registration */
#define INSTANCE_WEIGHT_MAX 10000.0

struct instance_pair {
    struct span key;
    struct span value;
};

/* Plain data, borrowed from a request's arena or a decoded operation. cluster is never empty here
 * (DEFAULT); no two pairs of metadata have the same key. */
struct instance_data {
    struct span ip;
    struct span cluster;
    struct span instance_id;  /* empty: none */
    struct span service_name; /* as the client wrote it in here; only checked, never stored */
    const struct instance_pair *metadata;
    size_t metadata_count;
    double weight;
    int64_t port; /* as sent; 0..65535 after name_check_instance */
    bool healthy;
    bool enabled;
    bool ephemeral;
};

/* Immutable and counted. Everything a list needs, effective: what an operator set is already put
 * over it. */
struct instance {
    atomic_uint refs;
    uint16_t port;
    bool healthy;
    bool enabled;
    bool ephemeral;
    double weight;
    struct span ip;
    struct span cluster;
    struct span instance_id;
    struct span client; /* id of the client that publishes it */
    const struct instance_pair *metadata;
    size_t metadata_count;
    struct span json;   /* one host object of ServiceInfo.hosts */
    size_t healthy_off; /* where true or false of "healthy" begins in json */
    uint64_t digest;    /* naming_piece_instance */
};

/* Encode data as the instance of service grouped ("group@@name"), published by client; one
 * reference. */
MUST_USE struct instance *instance_create(const struct instance_data *data, struct span grouped,
                                          struct span client);

/* i as data for another instance; borrowed from i. */
struct instance_data instance_as_data(const struct instance *i);

/* One more reference; returns i. */
struct instance *instance_ref(struct instance *i);

/* One reference less; NULL is fine. */
void instance_unref(struct instance *i);

/* The value of a metadata key; empty span with NULL data when absent. */
struct span instance_metadata(const struct instance *i, const char *key);

/* A number of milliseconds from metadata (preserved.heart.beat.*, preserved.ip.delete.timeout),
 * dflt when absent or no number. */
int64_t instance_data_millis(const struct instance_data *d, const char *key, int64_t dflt);

/* The id that Nacos generates when the client sent none: "ip#port#cluster#grouped". raw_cluster: as
 * sent; NULL data gives "null". Generator snowflake needs an id from the caller: E_INVALID for an
 * unknown generator name is the caller's. */
struct span instance_id_simple(const struct instance_data *d, struct span raw_cluster,
                               struct span grouped, struct arena *arena);

#endif
