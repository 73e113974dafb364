/* Admit: a request, on the node that took it, becomes an operation for the log, or is refused with
 * the reason. gRPC rows, HTTP rows and imports come through here.
 *
 * Thread:  core only; config_publish_check: any (rows call it in decode, on the edge).
 * Return:  API_LATER (the operation is proposed; config_commit answers waiting), or a negative code
 *          with fail set.
 * Source:  semantics.md 2.2 (limits and texts); Nacos 2.5.1 config/.../utils/ParamUtils.java.
 */
#ifndef NACRE_CONFIG_ADMIT_H
#define NACRE_CONFIG_ADMIT_H

#include "api/row.h"
#include "config/config_op.h"
#include "config/state.h"

/* Who acts, for the history. Plain data. */
struct config_actor {
    struct span user;
    struct span ip;
};

/* A publish as its face read it, before the checks that all faces share. Plain data, borrowed. */
struct config_form {
    struct config_key key; /* the tenant as sent */
    struct span content;
    struct span beta_ips; /* not blank: the beta version */
    struct span tag;      /* not blank: this tag's version */
    struct span type, app_name, tags, desc, use, effect, schema, encrypted_key, cas_md5;
    bool v2_names; /* texts name the parameters as the v2 API does */
};

/* Check a form with Nacos's limits and texts, in Nacos's order, and make the publish of it (md5
 * computed; gray name and rule set; spans borrowed, or in the arena). content_chars_max: option
 * maxContent. content over CONFIG_CONTENT_BYTES_MAX bytes, NUL in it or invalid UTF-8 are E_INVALID
 * with a text that says so (MySQL could not keep them). */
MUST_USE int config_form_check(const struct config_form *form, uint32_t content_chars_max,
                               struct arena *arena, struct config_publish *ret, struct fail *fail);

/* Propose one publish. What table_writer_trouble says; E_LIMIT  CONFIG_ITEMS_MAX. A CAS or a gray
 * version too many that is certain to fail is still left to apply. */
int config_admit_publish(struct config *c, const struct config_publish *p,
                         const struct config_actor *who, struct api_call *waiting, struct now now,
                         struct outbox *out, struct fail *fail);

/* Propose the removal of the formal version (gray_name "") or a gray one; success also when there
 * is none (then API_ANSWERED at once, nothing is proposed). */
int config_admit_remove(struct config *c, const struct config_key *key, struct span gray_name,
                        const struct config_actor *who, struct api_call *waiting, struct now now,
                        struct outbox *out, struct fail *fail);

/* Propose publishes [0, count) as one operation (import, clone). */
int config_admit_import(struct config *c, const struct config_publish *list, size_t count,
                        enum config_policy policy, const struct config_actor *who,
                        struct api_call *waiting, struct now now, struct outbox *out,
                        struct fail *fail);

#endif
