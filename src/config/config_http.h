/* The configuration centre's HTTP routes, a row each, and what their files share.
 *
 * Several of Nacos's routes mean different things by a parameter (GET /v1/cs/configs is a read, a
 * search, an export ...): the row in the table is what the route means without one, and its decode
 * looks for a variant first, whose row then stands in for it (call->row).
 *
 * To add a route: its functions below, its row in config_http.c. To add a variant: the same, its
 * row in the route's list of variants.
 *
 * Thread:  the tables are constant; their functions run as row.h says. read_self: struct
 *          config_edge *, admit_self: struct config *.
 * Failure: below /v1/cs API_SHAPE_TEXT ("caused: M;"; the status is the fail's Nacos code), below
 *          /v2/cs API_SHAPE_V2. An answer below /v1/cs without a content_type of its own goes out
 *          as "application/json;charset=UTF-8", whatever it is, empty ones too (as Nacos's).
 * Source:  http-api.md 2, 3; golden/http/config-*.jsonl, checks.jsonl, sweep.jsonl.
 */
#ifndef NACRE_CONFIG_CONFIG_HTTP_H
#define NACRE_CONFIG_CONFIG_HTTP_H

#include "api/row.h"

/* The rows; the array is constant. */
const struct api_row *config_http_rows(size_t *ret_count);

#define HTTP_DECODE(name)                                                                          \
    int name(struct api_call *call, const struct api_params *p, struct fail *fail)
#define HTTP_READ(name)                                                                            \
    int name(void *self, struct api_call *call, struct now now, struct fail *fail)
#define HTTP_ADMIT(name)                                                                           \
    int name(void *self, struct api_call *call, struct now now, struct outbox *out,                \
             struct fail *fail)

/* config_http_item.c: one config: publish, read, remove, the end of a beta. */
HTTP_DECODE(config_http_decode_publish_v1);
HTTP_DECODE(config_http_decode_publish_v2);
HTTP_READ(config_http_read_publish);
HTTP_ADMIT(config_http_admit_publish);
HTTP_DECODE(config_http_decode_read_v1);
HTTP_DECODE(config_http_decode_read_v2);
HTTP_READ(config_http_read_item);
HTTP_ADMIT(config_http_admit_item);
HTTP_DECODE(config_http_decode_remove_v1);
HTTP_DECODE(config_http_decode_remove_v2);
HTTP_ADMIT(config_http_admit_remove);
HTTP_DECODE(config_http_decode_beta_stop);
HTTP_ADMIT(config_http_admit_beta_stop);

/* config_http_archive.c: export, import, clone. */
HTTP_DECODE(config_http_decode_export);
HTTP_DECODE(config_http_decode_export_v2);
HTTP_ADMIT(config_http_admit_export);
HTTP_DECODE(config_http_decode_import);
HTTP_READ(config_http_read_import);
HTTP_ADMIT(config_http_admit_import);
HTTP_DECODE(config_http_decode_clone);
HTTP_ADMIT(config_http_admit_clone);

/* config_http_search.c: searches, and one config as people see it. */
HTTP_DECODE(config_http_decode_search_accurate);
HTTP_DECODE(config_http_decode_search_blur);
HTTP_DECODE(config_http_decode_search_detail);
HTTP_ADMIT(config_http_admit_search);
HTTP_DECODE(config_http_decode_record);
HTTP_ADMIT(config_http_admit_record);
HTTP_ADMIT(config_http_admit_catalog);
HTTP_ADMIT(config_http_admit_beta);

/* config_http_history.c */
HTTP_DECODE(config_http_decode_history_list_v1);
HTTP_DECODE(config_http_decode_history_list_v2);
HTTP_ADMIT(config_http_admit_history_list);
HTTP_DECODE(config_http_decode_history_v1);
HTTP_DECODE(config_http_decode_history_v2);
HTTP_ADMIT(config_http_admit_history);
HTTP_ADMIT(config_http_admit_history_pair);
HTTP_DECODE(config_http_decode_previous_v1);
HTTP_DECODE(config_http_decode_previous_v2);
HTTP_ADMIT(config_http_admit_previous);
HTTP_DECODE(config_http_decode_history_configs_v1);
HTTP_DECODE(config_http_decode_history_configs_v2);
HTTP_ADMIT(config_http_admit_history_configs);

/* config_http_misc.c: removal by ids, capacity, health, operations. */
HTTP_DECODE(config_http_decode_remove_ids);
HTTP_ADMIT(config_http_admit_remove_ids);
HTTP_DECODE(config_http_decode_capacity);
HTTP_ADMIT(config_http_admit_capacity);
HTTP_DECODE(config_http_decode_capacity_set);
HTTP_READ(config_http_read_capacity_set);
HTTP_DECODE(config_http_decode_nothing);
HTTP_ADMIT(config_http_admit_health);
HTTP_DECODE(config_http_decode_derby);
HTTP_READ(config_http_read_derby);
HTTP_READ(config_http_read_local_cache);

/* config_http_listen.c: long polls, and who listens. */
HTTP_DECODE(config_http_decode_poll);
HTTP_ADMIT(config_http_admit_poll);
HTTP_DECODE(config_http_decode_who);
HTTP_DECODE(config_http_decode_watchers);
HTTP_ADMIT(config_http_admit_who);
HTTP_DECODE(config_http_decode_who_ip);
HTTP_DECODE(config_http_decode_watched);
HTTP_ADMIT(config_http_admit_who_ip);

#endif
