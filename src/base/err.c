#include "base/err.h"

#include <stddef.h>

#include "base/macros.h"

struct err_row {
    const char *name;
    const char *text;
    int nacos;
    int http;
};

/* Indexed by the negated code; 0 is no error. */
static const struct err_row rows[] = {[0] = {"E_OK", "ok", 0, 200},
#define X(name, value, text, nacos, http) [-(value)] = {#name, text, nacos, http},
                                      ERR_MAP(X)
#undef X
};

static const struct err_row *err_find(int err)
{
    static const struct err_row unknown = {"E_UNKNOWN", "unknown error", 500, 500};
    if (err > 0 || err <= -(int)ARRAY_LEN(rows) || !rows[-err].name) {
        return &unknown;
    }
    return &rows[-err];
}

const char *err_name(int err)
{
    return err_find(err)->name;
}

const char *err_text(int err)
{
    return err_find(err)->text;
}

int err_nacos(int err)
{
    return err_find(err)->nacos;
}

int err_http(int err)
{
    return err_find(err)->http;
}
