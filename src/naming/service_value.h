/* The immutable value of a service that readers and pushes share, and ServiceInfo made from it.
 *
 * Thread:  service_value_build: core. Everything else: any, the value never changes.
 * Owns:    a reference to each instance; the ready-made hosts array.
 * Cost:    build copies the instances' JSON once (O(n)); service_info_body around the whole list
 *          copies no host.
 * Source:  grpc-sdk.md 5.4.1, 5.4.2; semantics.md 1.6 (selection, protection).
 */
#ifndef NACRE_NAMING_SERVICE_VALUE_H
#define NACRE_NAMING_SERVICE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "naming/name.h"
#include "view/view.h"

#define SERVICE_CACHE_MILLIS 10000

struct service_value {
    struct view_value base;      /* first */
    struct instance **instances; /* all, disabled ones too, in registration order */
    size_t count;
    size_t healthy; /* of the enabled ones */
    size_t enabled;
    bool ephemeral;
    bool has_record; /* explicit service record: protection applies */
    double protect_threshold;
    bool protecting;   /* healthy/enabled <= threshold, enabled > 0, has_record */
    struct buf *hosts; /* "[...]" of the enabled instances, protection applied */
};

struct service;

/* Put the value together from the service's pieces; one reference. */
MUST_USE struct service_value *service_value_build(const struct service *s);

/* The same by hand: room for max instances, of which the caller puts count with a reference each
 * into the list; then the end. */
MUST_USE struct service_value *service_value_begin(const struct service *s, size_t max);
void service_value_end(struct service_value *v);

/* A number of what readers see in it, whatever the order; another list has another one. */
uint64_t service_value_digest(const struct service_value *v);

/* What a reader wants. Plain data. */
struct service_query {
    struct span clusters; /* comma list, echoed as it is; empty: all */
    bool healthy_only;
    bool grouped_name; /* HTTP: "name" is group@@name */
};

/* What stands around a list. Plain data. */
struct service_frame {
    int64_t stamp; /* lastRefTime */
    struct span head;
    struct span tail;
};

/* head + ServiceInfo + tail as a body. v NULL: no such service, empty hosts. The whole list shares
 * v's bytes; a filtered one is built. */
void service_info_body(const struct service_value *v, const struct service_name *n,
                       const struct service_query *q, const struct service_frame *f,
                       struct body *ret);

#endif
