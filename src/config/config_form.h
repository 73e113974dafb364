/* Requests of the configuration centre as HTTP parameters: what v1 and v2 routes share.
 *
 * Names differ: v1 says tenant, config_tags, src_user; v2 says namespaceId, configTags, srcUser.
 * DIFF(config-names): either is taken where the version's own is absent; a v1 publish with
 * namespaceId would otherwise land in the default namespace.
 *
 * Thread:  edge; spans point into the parameters or the call's arena.
 * Limits:  CONFIG_FORM_IP_MAX bytes of a forwarded address; the rest as config_key_check and
 *          config_form_check say.
 * Source:  http-api.md 1.3, 2.1, 2.2, 3.1; golden/http/config-v1.jsonl, config-v2.jsonl,
 *          sweep.jsonl.
 */
#ifndef NACRE_CONFIG_CONFIG_FORM_H
#define NACRE_CONFIG_CONFIG_FORM_H

#include "api/call.h"
#include "api/params.h"
#include "config/admit.h"

#define CONFIG_FORM_IP_MAX 50 /* longer ones are nobody's address: the next source is asked */

/* How a route names parameters and says what is missing (golden http/sweep.jsonl). */
enum config_form_style {
    CONFIG_FORM_V1,          /* HTTP 500 "Required request parameter 'x' for method ..." */
    CONFIG_FORM_V2,          /* a form object (POST): blank is missing too; v2 10000 "Required
                                parameter 'x' type String is not present" */
    CONFIG_FORM_V2_DECLARED, /* v2 10000 "Required request parameter 'x' for method ..." */
};

/* True when names and answers are those of v2. */
static inline bool config_form_is_v2(enum config_form_style style)
{
    return style != CONFIG_FORM_V1;
}

/* A required parameter, as it was sent (may be empty, but in CONFIG_FORM_V2). type: Java's name of
 * it ("String"). E_MISSING with the style's text and status. */
MUST_USE int config_form_require(const struct api_params *p, enum config_form_style style,
                                 const char *name, const char *type, struct span *ret,
                                 struct fail *fail);

/* The tenant as it was sent: the first that is not blank of tenant and namespaceId (v2: the other
 * way round); "" when none is. config_tenant makes it the one that is kept. */
struct span config_form_tenant(const struct api_params *p, enum config_form_style style);

/* dataId and group (required) and the tenant (as it is kept), checked by config_key_check. What the
 * parameter check refuses wins over what is missing, as in Nacos. */
MUST_USE int config_form_key(const struct api_params *p, enum config_form_style style,
                             struct config_key *ret, struct fail *fail);

/* Hand a refusal of config_form_check or config_tag_check on: gRPC gives some of them the code 500,
 * HTTP all of them 400. Returns err. */
int config_form_refused(int err, struct fail *fail);

/* Parameter tag, checked: "" when absent or blank. DIFF(long-tags): Nacos publishes tags of 13 to
 * 16 characters and fails to read them. */
MUST_USE int config_form_tag(const struct api_params *p, struct span *ret, struct fail *fail);

/* All of a publish, with the headers betaIps and casMd5; its key and content are there, the rest is
 * config_form_check's to judge. */
MUST_USE int config_form_publish(const struct api_params *p, enum config_form_style style,
                                 struct config_form *ret, struct fail *fail);

/* Whose request it is: the first element of X-Forwarded-For, X-Real-IP, the socket's address. */
struct span config_form_client_ip(const struct api_call *call, const struct api_params *p);

/* Who acts: src_user (srcUser), else username. */
struct config_actor config_form_actor(const struct api_call *call, const struct api_params *p,
                                      enum config_form_style style);

/* Who reads: address, the named tag, and the tag of the caller. */
struct config_reader config_form_reader(const struct api_call *call, const struct api_params *p,
                                        struct span tag);

#endif
