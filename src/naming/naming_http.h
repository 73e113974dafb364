/* The registry's HTTP routes, a row each, and what their files share.
 *
 * Thread:  the table is constant; its functions run as row.h says. read_self: struct view *,
 *          admit_self: struct naming *.
 * Source:  http-api.md 4, 5.
 */
#ifndef NACRE_NAMING_NAMING_HTTP_H
#define NACRE_NAMING_NAMING_HTTP_H

#include "api/row.h"
#include "naming/naming_form.h"
#include "naming/naming_msg.h"

/* The rows; the array is constant. */
const struct api_row *naming_http_rows(size_t *ret_count);

#define HTTP_DECODE(name)                                                                          \
    int name(struct api_call *call, const struct api_params *p, struct fail *fail)
#define HTTP_READ(name)                                                                            \
    int name(void *self, struct api_call *call, struct now now, struct fail *fail)
#define HTTP_ADMIT(name)                                                                           \
    int name(void *self, struct api_call *call, struct now now, struct outbox *out,                \
             struct fail *fail)

/* naming_http_list.c: reading instances and lists. */
HTTP_DECODE(http_decode_list_v1);
HTTP_DECODE(http_decode_list_v2);
HTTP_READ(http_read_list);
HTTP_ADMIT(http_admit_list);
HTTP_DECODE(http_decode_detail_v1);
HTTP_DECODE(http_decode_detail_v2);
HTTP_READ(http_read_detail);
HTTP_ADMIT(http_admit_detail);

/* naming_http_service.c: service records and names. */
HTTP_DECODE(http_decode_service_create_v1);
HTTP_DECODE(http_decode_service_create_v2);
HTTP_DECODE(http_decode_service_update_v1);
HTTP_DECODE(http_decode_service_update_v2);
HTTP_ADMIT(http_admit_service_put);
HTTP_DECODE(http_decode_service_v1);
HTTP_DECODE(http_decode_service_v2);
HTTP_ADMIT(http_admit_service_remove);
HTTP_ADMIT(http_admit_service_get);
HTTP_DECODE(http_decode_names_v1);
HTTP_DECODE(http_decode_names_v2);
HTTP_ADMIT(http_admit_names);

/* naming_http_console.c: what the page shows. */
HTTP_DECODE(http_decode_catalog);
HTTP_ADMIT(http_admit_catalog);
HTTP_DECODE(http_decode_catalog_instances);
HTTP_ADMIT(http_admit_catalog_instances);
HTTP_DECODE(http_decode_nothing);
HTTP_ADMIT(http_admit_clients);
HTTP_DECODE(http_decode_client);
HTTP_ADMIT(http_admit_client);
HTTP_ADMIT(http_admit_client_publishes);
HTTP_ADMIT(http_admit_client_subscribes);
HTTP_DECODE(http_decode_subscribers);
HTTP_ADMIT(http_admit_subscribers);
HTTP_ADMIT(http_admit_removals);

#define HTTP_CLUSTERS_MAX 1000

/* The distinct cluster names among the first scan_max instances shown, at most HTTP_CLUSTERS_MAX.
 * The array is the caller's (mem_free), the names are borrowed from the instances. */
struct service_seen;
size_t http_cluster_names(const struct service_seen *seen, size_t scan_max,
                          struct span **ret_names);

/* A service of either version: what most routes decode. */
struct http_service {
    struct service_name service;
    enum form_version version;
};

#endif
