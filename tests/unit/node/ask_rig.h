/* Ask a row of a core over its HTTP form, as the edge would.
 *
 * Thread:  the test's own.
 */
#ifndef NACRE_TESTS_NODE_ASK_RIG_H
#define NACRE_TESTS_NODE_ASK_RIG_H

#include "api/params.h"
#include "disk_rig.h"
#include "node/core_state.h"

#define ASK_TEXT_MAX 8192
#define ASK_PARAMS_MAX 4

struct ask {
    int err;
    int v2;                  /* of a failure; 0 otherwise */
    char text[ASK_TEXT_MAX]; /* the body, or the reason */
};

static inline const struct api_row *ask_row(const struct api_row *rows, size_t count,
                                            const char *path)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, path) == 0) {
            return &rows[i];
        }
    }
    fail_msg("no row %s", path);
    return NULL;
}

/* query: "a=1&b=2", as the edge has decoded it already. */
static inline void ask(struct disk *d, const struct api_row *row, const char *query,
                       struct ask *ret)
{
    struct options options = {.server_address = "0.0.0.0", .server_port = 8848};
    struct cluster_rows self = {d->core, &options};
    struct api_param list[ASK_PARAMS_MAX];
    struct api_params params = {.list = list};
    struct span rest = span_str(query);
    while (!span_empty(rest)) {
        struct span value = span_cut(&rest, '&');
        struct span key = span_cut(&value, '=');
        assert_true(params.count < ASK_PARAMS_MAX);
        list[params.count++] = (struct api_param){key, value};
    }
    struct rig_call c;
    struct fail fail = {0};
    memset(ret, 0, sizeof(*ret));
    rig_call_open(&c, row, &self);
    ret->err = row->decode_http(&c.call, &params, &fail);
    if (ret->err) {
        ret->v2 = fail.v2;
        snprintf(ret->text, ASK_TEXT_MAX, "%s", fail_text(&fail));
    } else {
        rig_post(d->core, &c);
        assert_int_equal(rig_wait(&c), 1);
        ret->err = c.call.reply.fail.code;
        assert_true(body_len(&c.call.reply.body) < ASK_TEXT_MAX);
        body_copy(&c.call.reply.body, ret->text);
    }
    rig_call_close(&c);
}

#endif
