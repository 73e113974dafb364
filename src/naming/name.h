/* Names: how a service is named, and what names, addresses and metadata may look like.
 *
 * Thread:  any; no state.
 * Limits:  the parameter check of Nacos (grpc-sdk.md 5.1, semantics.md 1.15); always on, it also
 *          bounds our tables.
 * Source:  Nacos 2.5.1 common/.../paramcheck/ParamCheckRule.java, DefaultParamChecker.java;
 *          api/.../naming/utils/NamingUtils.java.
 */
#ifndef NACRE_NAMING_NAME_H
#define NACRE_NAMING_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/fail.h"
#include "base/span.h"
#include "naming/instance.h"
#include "view/view.h"

#define NAME_NAMESPACE_MAX 64
#define NAME_GROUP_MAX 128
#define NAME_SERVICE_MAX 512
#define NAME_SERVICE_BYTES_MAX 800 /* so that the view's key of a service fits VIEW_KEY_MAX */
#define NAME_CLUSTER_MAX 64
#define NAME_IP_MAX 128
#define NAME_METADATA_MAX 1024    /* characters of all keys and values */
#define NAME_INSTANCE_ID_MAX 2048 /* bytes */

/* Plain data, borrowed. namespace_id is never empty: "" was mapped to "public". */
struct service_name {
    struct span namespace_id;
    struct span group;
    struct span name;
};

/* The same service. */
bool service_name_eq(const struct service_name *a, const struct service_name *b);

/* The view's key of a service, written to dst. The name passed name_check. */
struct span service_name_key(const struct service_name *n, char dst[VIEW_KEY_MAX]);

/* "group@@name" in the arena. */
struct span service_name_grouped(const struct service_name *n, struct arena *arena);

/* Fill n from a request: a blank or absent namespace becomes "public". With split (HTTP v1) "g@@s"
 * in service names the group too, and a blank group becomes DEFAULT_GROUP; without it group and
 * service are taken as sent. Spans are borrowed from the arguments. */
void service_name_fill(struct service_name *n, struct span namespace_id, struct span group,
                       struct span service, bool split);

/* The parameter check of a service's three parts.
 * E_PARAM    the bare `Param '...' is illegal, ...`; the gRPC rows put "Param check invalid:"
 *            before it
 * E_INVALID  blank name or group, with Nacos's text (code 500 over gRPC is in fail) */
MUST_USE int name_check(const struct service_name *n, struct fail *fail);

/* A comma list of cluster names: each up to 64 of [0-9A-Za-z-_]. Empty passes. E_PARAM. */
MUST_USE int name_check_clusters(struct span clusters, struct fail *fail);

/* service_name (left empty by requests where Nacos does not look at it), ip, port, cluster and
 * metadata of an instance as the parameter check sees them. port is given as it was sent.
 * E_PARAM. */
MUST_USE int name_check_instance(const struct instance_data *i, struct fail *fail);

/* The failure of metadata with more pairs than it may have characters. E_PARAM. */
MUST_USE int name_refuse_metadata(struct fail *fail);

/* What registration checks beyond that: cluster [0-9a-zA-Z-]+, beat times in the metadata, weight
 * 0..10000 (DIFF(weight-range): Nacos does not check it over gRPC). Codes 400 and v2 21001
 * (weight), 21004 (instance). */
MUST_USE int name_check_registration(const struct instance_data *i, struct fail *fail);

/* True when cluster is in the comma list, or the list is blank. */
bool name_cluster_in(struct span clusters, struct span cluster);

#endif
