#include "http/screen.h"

/* The node's readiness is the first filter of Nacos's naming. */
static bool is_ready(const struct request *r)
{
    if (atomic_load(r->http->options.ready)) {
        return true;
    }
    return !route_below(SPAN("/v1/ns"), r->target.below) &&
           !route_below(SPAN("/v2/ns"), r->target.below);
}

static bool is_preflight(const struct request *r)
{
    return r->method == ROUTE_OPTIONS && request_header(r, "Origin") &&
           request_header(r, "Access-Control-Request-Method");
}

static void answer_preflight(struct request *r)
{
    bool below_cs = route_below(SPAN("/v1/cs"), r->target.below);
    r->answer = (struct answer){
        .status = 200,
        .flags = ANSWER_PREFLIGHT | ANSWER_NO_CSP,
        .content_type =
            below_cs ? "application/json;charset=UTF-8" : NULL, /* the filter's preset */
    };
    r->decided = true;
}

static void answer_asset(struct request *r, const struct http_asset *asset)
{
    r->answer = (struct answer){
        .status = 200, .flags = ANSWER_REVALIDATE, .content_type = asset->content_type};
    struct span data = span_of((const char *)asset->data, asset->len);
    body_add_buf(&r->answer.body, buf_create(data));
    r->decided = true;
}

/* The context itself leads to its page, as a servlet container has it: relative links of the page
 * need the slash. */
static void answer_context(struct request *r)
{
    struct span path = arena_printf(&r->call.arena, "%.*s/", SPAN_ARG(r->http->context));
    r->answer = (struct answer){.status = 302, .location = path.data};
    r->decided = true;
}

/* Paths that are no rows: the console's files. */
static void find_asset(struct request *r)
{
    const struct http_options *options = &r->http->options;
    if (!r->target.inside || (r->method != API_GET && r->method != ROUTE_HEAD)) {
        return;
    }
    if (span_empty(r->target.below) && options->assets_count > 0) {
        answer_context(r);
        return;
    }
    for (size_t i = 0; i < options->assets_count; i++) {
        if (span_eq(span_str(options->assets[i].path), r->target.below)) {
            answer_asset(r, &options->assets[i]);
            return;
        }
    }
}

void screen_request(struct request *r)
{
    if (is_preflight(r)) {
        answer_preflight(r);
        return;
    }
    if (!is_ready(r)) {
        answer_not_ready(&r->answer);
        request_refuse(r);
        return;
    }
    bool below_ns = route_below(SPAN("/v1/ns"), r->target.below);
    if (r->method == ROUTE_OPTIONS && r->route.other_row && !below_ns) {
        r->answer = (struct answer){.status = 200, .allow = r->route.methods};
        r->decided = true;
        return;
    }
    if (!r->route.other_row) {
        find_asset(r);
    }
    /* Nacos's naming filter looks methods up by name and knows no HEAD. */
    bool unknown = !r->route.row || (r->method == ROUTE_HEAD && below_ns);
    if (!r->decided && unknown) {
        answer_no_row(&r->answer, r->route.other_row, &r->asked);
        request_refuse(r);
    }
}
