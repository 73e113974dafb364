/* Requests of the registry as HTTP forms: the parameters that v1 and v2 routes share.
 *
 * Thread:  edge; everything decoded lives in the call's arena.
 * Source:  http-api.md 1.6, 4.0, 4.1, 5.1. v1 and v2 differ in the text of what is missing and in
 *          the shape of answers.
 */
#ifndef NACRE_NAMING_NAMING_FORM_H
#define NACRE_NAMING_NAMING_FORM_H

#include <stdbool.h>

#include "api/call.h"
#include "api/params.h"
#include "naming/name.h"

/* How a route reads its parameters and answers; Nacos has two ways to say what is missing in either
 * version (golden http/sweep.jsonl has each route's). */
enum form_version {
    FORM_V1,          /* its naming helper: "Param 'x' is required." */
    FORM_V1_DECLARED, /* declared in the method: "Parameter 'x' is missing" */
    FORM_V2,          /* a form object: "Required parameter 'x' type T is not present" */
    FORM_V2_DECLARED, /* "Required request parameter 'x' for method parameter type T ..." */
};

/* True when the answers are those of v2. */
static inline bool form_is_v2(enum form_version version)
{
    return version == FORM_V2 || version == FORM_V2_DECLARED;
}

/* A required, trimmed parameter. E_MISSING with the version's text; type is Java's name of it
 * ("String"). */
MUST_USE int form_require(const struct api_params *p, enum form_version version, const char *name,
                          const char *type, struct span *ret, struct fail *fail);

/* serviceName (required, "G@@S" allowed), groupName, namespaceId; checked. */
MUST_USE int form_name(const struct api_params *p, enum form_version version,
                       struct service_name *ret, struct fail *fail);

/* ip, port, clusterName (or cluster): the address of an instance; checked. */
MUST_USE int form_address(const struct api_params *p, enum form_version version,
                          struct instance_data *ret, struct fail *fail);

/* form_address and weight, enabled, healthy, ephemeral, metadata; checked. */
MUST_USE int form_instance(const struct api_params *p, enum form_version version,
                           struct arena *arena, struct instance_data *ret, struct fail *fail);

/* metadata: a JSON object, or k=v,k=v; blank: none. A later key wins over the same one before.
 * E_INVALID  "metadata format incorrect:<text>", or over INSTANCE_METADATA_MAX pairs */
MUST_USE int form_metadata(struct span text, struct arena *arena,
                           const struct instance_pair **ret_pairs, size_t *ret_count,
                           struct fail *fail);

/* Answer "ok" in the version's shape. */
void form_answer_ok(struct api_call *call, enum form_version version);

#endif
