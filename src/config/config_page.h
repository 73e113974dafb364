/* Pages and numbers of people's requests over HTTP: how they are asked for, and the frame around
 * what is found.
 *
 * Thread:  decoding: edge. Writing: any.
 * Limits:  CONFIG_PAGE_BYTES_MAX of one page's contents (E_TOO_LARGE, 400: ask for less a page).
 *          DIFF(bounded-searches): Nacos has none; REPO_PATTERN_MAX, REMOVE_IDS_MAX as well.
 * Source:  http-api.md 1.3, 1.5; golden/http/config-search.jsonl, config-history.jsonl.
 */
#ifndef NACRE_CONFIG_CONFIG_PAGE_H
#define NACRE_CONFIG_CONFIG_PAGE_H

#include "base/json_out.h"
#include "config/config_form.h"

#define CONFIG_PAGE_BYTES_MAX (64u << 20)

/* A number as its route declares it. Plain data. */
struct config_number {
    const char *name;
    const char *type; /* Java's: "int", "Integer", "Long" */
    bool is_required; /* else absent or blank leaves the value */
    int64_t min, max; /* of the type */
};

#define CONFIG_NUMBER_INT .min = INT32_MIN, .max = INT32_MAX
#define CONFIG_NUMBER_LONG .min = INT64_MIN, .max = INT64_MAX

/* Read it. E_MISSING as config_form_require; E_INVALID with Spring's text of a wrong type, 400 in
 * v1. In v2 that answer is no failure but a body of its own (500, code 30000 and the text as its
 * message), so there 0 is returned and call->row is one that answers so: the caller looks at
 * config_number_refused and returns at once. */
MUST_USE int config_number(struct api_call *call, const struct api_params *p,
                           enum config_form_style style, const struct config_number *n,
                           int64_t *ret, struct fail *fail);
bool config_number_refused(const struct api_call *call);

/* dataId and group (required, may be empty) and the tenant (as it is kept) of a request that only
 * looks. E_PARAM: the parameter check; E_MISSING as config_form_require. */
MUST_USE int config_page_names(const struct api_params *p, enum config_form_style style,
                               struct config_key *ret, struct fail *fail);

/* Which page. Plain data. */
struct config_page {
    int64_t no;   /* from 1 */
    int64_t size; /* at least 1 */
};

/* pageNo and pageSize as declared by a route: required ("int"), or with their defaults 1 and 100
 * ("Integer"). What config_number says. */
MUST_USE int config_page_decode(struct api_call *call, const struct api_params *p,
                                enum config_form_style style, bool is_required,
                                struct config_page *ret, struct fail *fail);

/* "pageNo and pageSize must be greater than zero". E_INVALID, v2 20002 */
MUST_USE int config_page_check(const struct config_page *page, struct fail *fail);

/* How many rows come before the page. */
uint64_t config_page_offset(const struct config_page *page);

/* {"totalCount", "pageNumber", "pagesAvailable", "pageItems":[ ... and its end. */
void config_page_begin(struct json_out *j, const struct config_page *page, uint64_t total);
void config_page_end(struct json_out *j);

/* E_TOO_LARGE when the page is over CONFIG_PAGE_BYTES_MAX already. */
MUST_USE int config_page_bytes(const struct json_out *j, struct fail *fail);

/* A key with a string, or null when data is NULL. */
void config_json_text(struct json_out *j, const char *key, struct span s);

/* A key with a number as a string: ids, which browsers would round. */
void config_json_id(struct json_out *j, const char *key, uint64_t id);

/* A key with a time as Jackson writes it: "2024-05-13T11:24:45.123+00:00". */
void config_json_time(struct json_out *j, const char *key, int64_t ms);

#endif
