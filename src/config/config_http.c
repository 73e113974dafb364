/* The table of all HTTP routes of the configuration centre, and which variant of a route a request
 * means. */
#include "config/config_http.h"

#include "base/macros.h"

/* What a route means when this parameter has this value. */
struct variant {
    const char *param;
    const char *value;
    struct api_row row; /* path and methods are those of the route */
};

#define ROW(path, method, permission_, shape_, decode, read_, admit_)                              \
    {                                                                                              \
        .name = (path), .methods = (method), .permission = (permission_), .shape = (shape_),       \
        .decode_http = (decode), .read = (read_), .admit = (admit_)                                \
    }
#define V1 API_SHAPE_TEXT
#define V2 API_SHAPE_V2
#define READS API_CONFIG_READ
#define WRITES API_CONFIG_WRITE

/* What ends a list of variants. */
#define NO_MORE                                                                                    \
    {                                                                                              \
        0                                                                                          \
    }

/* Decode as the first variant whose parameter says so, else as the route's own meaning. */
static int choose(struct api_call *call, const struct api_params *p, const struct variant *list,
                  api_decode_http_fn otherwise, struct fail *fail)
{
    for (const struct variant *v = list; v->param; v++) {
        if (span_eq(params_get(p, v->param), span_str(v->value))) {
            call->row = &v->row;
            return v->row.decode_http(call, p, fail);
        }
    }
    return otherwise(call, p, fail);
}

#define CONFIGS "/v1/cs/configs"

static const struct variant configs_get[] = {
    {"search", "accurate",
     ROW(CONFIGS, API_GET, READS, V1, config_http_decode_search_accurate, NULL,
         config_http_admit_search)},
    {"search", "blur",
     ROW(CONFIGS, API_GET, READS, V1, config_http_decode_search_blur, NULL,
         config_http_admit_search)},
    {"show", "all",
     ROW(CONFIGS, API_GET, READS, V1, config_http_decode_record, NULL, config_http_admit_record)},
    {"beta", "true",
     ROW(CONFIGS, API_GET, READS, V1, config_http_decode_record, NULL, config_http_admit_beta)},
    {"export", "true",
     ROW(CONFIGS, API_GET, READS, V1, config_http_decode_export, NULL, config_http_admit_export)},
    {"exportV2", "true",
     ROW(CONFIGS, API_GET, READS, V1, config_http_decode_export_v2, NULL,
         config_http_admit_export)},
    NO_MORE,
};

static HTTP_DECODE(decode_configs_get)
{
    return choose(call, p, configs_get, config_http_decode_read_v1, fail);
}

static const struct variant configs_post[] = {
    {"import", "true",
     ROW(CONFIGS, API_POST, WRITES, V1, config_http_decode_import, config_http_read_import,
         config_http_admit_import)},
    {"clone", "true",
     ROW(CONFIGS, API_POST, WRITES, V1, config_http_decode_clone, NULL, config_http_admit_clone)},
    NO_MORE,
};

static HTTP_DECODE(decode_configs_post)
{
    return choose(call, p, configs_post, config_http_decode_publish_v1, fail);
}

static const struct variant configs_delete[] = {
    {"beta", "true",
     ROW(CONFIGS, API_DELETE, WRITES, V1, config_http_decode_beta_stop, NULL,
         config_http_admit_beta_stop)},
    {"delType", "ids",
     ROW(CONFIGS, API_DELETE, WRITES, V1, config_http_decode_remove_ids, NULL,
         config_http_admit_remove_ids)},
    NO_MORE,
};

static HTTP_DECODE(decode_configs_delete)
{
    return choose(call, p, configs_delete, config_http_decode_remove_v1, fail);
}

#define HISTORY "/v1/cs/history"

static const struct variant history_get[] = {
    {"search", "accurate",
     ROW(HISTORY, API_GET, READS, V1, config_http_decode_history_list_v1, NULL,
         config_http_admit_history_list)},
    NO_MORE,
};

static HTTP_DECODE(decode_history_get)
{
    return choose(call, p, history_get, config_http_decode_history_v1, fail);
}

static const struct api_row routes[] = {
    ROW("/v1/cs/configs/listener", API_POST, READS, V1, config_http_decode_poll, NULL,
        config_http_admit_poll),
    ROW("/v1/cs/configs/listener", API_GET, READS, V1, config_http_decode_who, NULL,
        config_http_admit_who),
    ROW("/v1/cs/listener", API_GET, READS, V1, config_http_decode_who_ip, NULL,
        config_http_admit_who_ip),
    /* DIFF(watchers-need-read): Nacos shows these two to everybody. */
    ROW("/v1/cs/communication/configWatchers", API_GET, READS, V1, config_http_decode_watchers,
        NULL, config_http_admit_who),
    ROW("/v1/cs/communication/watcherConfigs", API_GET, READS, V1, config_http_decode_watched, NULL,
        config_http_admit_who_ip),
    ROW(CONFIGS, API_POST, WRITES, V1, decode_configs_post, config_http_read_publish,
        config_http_admit_publish),
    ROW(CONFIGS, API_GET, READS, V1, decode_configs_get, config_http_read_item,
        config_http_admit_item),
    ROW(CONFIGS, API_DELETE, WRITES, V1, decode_configs_delete, NULL, config_http_admit_remove),
    ROW("/v2/cs/config", API_POST, WRITES, V2, config_http_decode_publish_v2,
        config_http_read_publish, config_http_admit_publish),
    ROW("/v2/cs/config", API_GET, READS, V2, config_http_decode_read_v2, config_http_read_item,
        config_http_admit_item),
    ROW("/v2/cs/config", API_DELETE, WRITES, V2, config_http_decode_remove_v2, NULL,
        config_http_admit_remove),
    ROW("/v1/cs/configs/catalog", API_GET, READS, V1, config_http_decode_record, NULL,
        config_http_admit_catalog),
    ROW("/v2/cs/config/searchDetail", API_GET, READS, V2, config_http_decode_search_detail, NULL,
        config_http_admit_search),
    ROW(HISTORY, API_GET, READS, V1, decode_history_get, NULL, config_http_admit_history),
    ROW("/v1/cs/history/previous", API_GET, READS, V1, config_http_decode_previous_v1, NULL,
        config_http_admit_previous),
    ROW("/v1/cs/history/configs", API_GET, READS, V1, config_http_decode_history_configs_v1, NULL,
        config_http_admit_history_configs),
    ROW("/v2/cs/history", API_GET, READS, V2, config_http_decode_history_v2, NULL,
        config_http_admit_history),
    ROW("/v2/cs/history/list", API_GET, READS, V2, config_http_decode_history_list_v2, NULL,
        config_http_admit_history_list),
    ROW("/v2/cs/history/detail", API_GET, READS, V2, config_http_decode_history_v2, NULL,
        config_http_admit_history_pair),
    ROW("/v2/cs/history/previous", API_GET, READS, V2, config_http_decode_previous_v2, NULL,
        config_http_admit_previous),
    ROW("/v2/cs/history/configs", API_GET, READS, V2, config_http_decode_history_configs_v2, NULL,
        config_http_admit_history_configs),
    ROW("/v1/cs/capacity", API_GET, API_OPEN, V1, config_http_decode_capacity, NULL,
        config_http_admit_capacity),
    ROW("/v1/cs/capacity", API_POST, API_OPEN, V1, config_http_decode_capacity_set,
        config_http_read_capacity_set, NULL),
    ROW("/v1/cs/health", API_GET, API_OPEN, V1, config_http_decode_nothing, NULL,
        config_http_admit_health),
    ROW("/v1/cs/ops/derby", API_GET, READS, V1, config_http_decode_derby, config_http_read_derby,
        NULL),
    ROW("/v1/cs/ops/localCache", API_POST, WRITES, V1, config_http_decode_nothing,
        config_http_read_local_cache, NULL),
};

const struct api_row *config_http_rows(size_t *ret_count)
{
    *ret_count = ARRAY_LEN(routes);
    return routes;
}
