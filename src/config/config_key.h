/* Keys of configs: (tenant, group, dataId), and what they may look like.
 *
 * Thread:  any; no state.
 * Tenant:  the default namespace is the empty string here and in the tables; "", "public" and
 *          "null" (any case), however they are sent, are one (DIFF(public-tenant): Nacos misses
 * some ways). Listeners keep the spelling they came with (listen.h). Source: semantics.md 2.1, 2.2;
 * http-api.md 2.1; Nacos 2.5.1 config/.../utils/ParamUtils.java, GroupKey2.java,
 * common/.../paramcheck.
 */
#ifndef NACRE_CONFIG_CONFIG_KEY_H
#define NACRE_CONFIG_CONFIG_KEY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/fail.h"
#include "base/span.h"
#include "view/view.h"

#define CONFIG_DATA_ID_MAX 256 /* characters; ASCII by the parameter check, so bytes too */
#define CONFIG_GROUP_MAX 128
#define CONFIG_TENANT_MAX 64

/* Plain data, borrowed. */
struct config_key {
    struct span tenant; /* "" for the default namespace */
    struct span group;
    struct span data_id;
};

/* The tenant as it is kept: "" for "", blank, "public", "null" in any case. */
struct span config_tenant(struct span as_sent);

/* Nothing but what Java calls white space (String.isBlank); "" and not sent are blank. */
bool config_is_blank(struct span s);

/* Characters as Java counts them: UTF-16 units; what is no UTF-8 counts as one per U+FFFD. */
size_t config_chars(struct span s);

/* The same config. */
bool config_key_eq(const struct config_key *a, const struct config_key *b);

/* What keys may look like: the parameter check first (E_PARAM, the bare text of http-api.md 1.6;
 * gRPC rows put "Param check invalid:" before it), then config's own (E_INVALID "invalid dataId :
 * x", "invalid group : x", "invalid tenant"; v2 20002; v2_names: "invalid namespaceId"). */
MUST_USE int config_key_check(const struct config_key *k, bool v2_names, struct fail *fail);

/* The view's key, written to dst; it never equals one of a service. The key passed config_key_check
 * (asserted: it fits). */
struct span config_key_view(const struct config_key *k, char dst[VIEW_KEY_MAX]);

/* "dataId+group" or "dataId+group+tenant", with + and % of the parts escaped, in the arena. */
struct span config_key_text(const struct config_key *k, struct arena *arena);

/* A tag: 1..16 of letters, digits, _-.: */
MUST_USE int config_tag_check(struct span tag, struct fail *fail);

#endif
