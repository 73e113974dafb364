#include "config/config_form.h"

/* The first of two parameters that is not blank; absent (data NULL) only when both are. */
static struct span either(const struct api_params *p, const char *own, const char *other)
{
    struct span first = params_get(p, own);
    if (!config_is_blank(first)) {
        return first;
    }
    struct span second = params_get(p, other);
    return config_is_blank(second) && first.data ? first : second;
}

/* v1's name first in v1, v2's in v2. */
static struct span named(const struct api_params *p, enum config_form_style style, const char *v1,
                         const char *v2)
{
    return config_form_is_v2(style) ? either(p, v2, v1) : either(p, v1, v2);
}

int config_form_require(const struct api_params *p, enum config_form_style style, const char *name,
                        const char *type, struct span *ret, struct fail *fail)
{
    struct span value = params_get(p, name);
    if (value.data && (style != CONFIG_FORM_V2 || !config_is_blank(value))) {
        *ret = value;
        return 0;
    }
    if (style == CONFIG_FORM_V2) {
        return fail_set(fail, E_MISSING, "Required parameter '%s' type %s is not present", name,
                        type);
    }
    return fail_set_codes(fail, E_MISSING, style == CONFIG_FORM_V1 ? 500 : 0, 0,
                          "Required request parameter '%s' for method parameter type %s is not "
                          "present",
                          name, type);
}

struct span config_form_tenant(const struct api_params *p, enum config_form_style style)
{
    struct span tenant = named(p, style, "tenant", "namespaceId");
    return config_is_blank(tenant) ? SPAN("") : tenant;
}

/* The two names of a config are there. Nacos's filter has looked at what was sent before its
 * controller misses anything: *ret_bad is what config_key_check says to the rest. */
static int require_names(const struct api_params *p, enum config_form_style style,
                         struct config_key *key, int *ret_bad, struct fail *fail)
{
    key->data_id = params_get(p, "dataId");
    key->group = params_get(p, "group");
    *ret_bad = config_key_check(key, config_form_is_v2(style), fail);
    if (*ret_bad == E_PARAM) {
        return E_PARAM;
    }
    int err = config_form_require(p, style, "dataId", "String", &key->data_id, fail);
    return err ? err : config_form_require(p, style, "group", "String", &key->group, fail);
}

int config_form_key(const struct api_params *p, enum config_form_style style,
                    struct config_key *ret, struct fail *fail)
{
    struct config_key key = {.tenant = config_tenant(config_form_tenant(p, style))};
    int bad = 0;
    int err = require_names(p, style, &key, &bad, fail);
    if (err || bad) {
        return err ? err : bad;
    }
    *ret = key;
    return 0;
}

int config_form_refused(int err, struct fail *fail)
{
    if (err == E_INVALID && fail) {
        fail->nacos = 0;
    }
    return err;
}

int config_form_tag(const struct api_params *p, struct span *ret, struct fail *fail)
{
    struct span tag = params_get(p, "tag");
    if (config_is_blank(tag)) {
        *ret = SPAN("");
        return 0;
    }
    tag = span_trim(tag);
    int err = config_form_refused(config_tag_check(tag, fail), fail);
    if (!err) {
        *ret = tag;
    }
    return err;
}

int config_form_publish(const struct api_params *p, enum config_form_style style,
                        struct config_form *ret, struct fail *fail)
{
    struct config_form form = {
        .key.tenant = config_form_tenant(p, style),
        .beta_ips = params_header(p, "betaips"),
        .tag = params_get(p, "tag"),
        .type = params_get(p, "type"),
        .app_name = params_get(p, "appName"),
        .tags = named(p, style, "config_tags", "configTags"),
        .desc = params_get(p, "desc"),
        .use = params_get(p, "use"),
        .effect = params_get(p, "effect"),
        .schema = params_get(p, "schema"),
        .encrypted_key = params_get(p, "encryptedDataKey"),
        .cas_md5 = params_header(p, "casmd5"),
        .v2_names = config_form_is_v2(style),
    };
    int bad = 0;
    int err = require_names(p, style, &form.key, &bad, fail);
    if (!err) {
        err = config_form_require(p, style, "content", "String", &form.content, fail);
    }
    if (!err) {
        *ret = form;
    }
    return err;
}

static bool is_address(struct span s)
{
    return !span_empty(s) && s.len <= CONFIG_FORM_IP_MAX;
}

struct span config_form_client_ip(const struct api_call *call, const struct api_params *p)
{
    struct span forwarded = params_header(p, "x-forwarded-for");
    struct span first = span_trim(span_cut(&forwarded, ','));
    if (is_address(first)) {
        return first;
    }
    struct span real = span_trim(params_header(p, "x-real-ip"));
    return is_address(real) ? real : call->caller.remote_ip;
}

struct config_actor config_form_actor(const struct api_call *call, const struct api_params *p,
                                      enum config_form_style style)
{
    struct span user = named(p, style, "src_user", "srcUser");
    return (struct config_actor){
        .user = config_is_blank(user) ? params_get(p, "username") : user,
        .ip = config_form_client_ip(call, p),
    };
}

struct config_reader config_form_reader(const struct api_call *call, const struct api_params *p,
                                        struct span tag)
{
    return (struct config_reader){
        .client_ip = config_form_client_ip(call, p),
        .tag = tag,
        .auto_tag = span_trim(params_header(p, "vipserver-tag")),
    };
}
