/* Looking parameters up. A request has few, so a walk is faster than any table. */
#include "api/params.h"

#include "base/macros.h"

static struct span find(const struct api_param *list, unsigned count, const char *name)
{
    struct span wanted = span_str(name);
    for (unsigned i = 0; i < count; i++) {
        if (span_eq(list[i].name, wanted)) {
            struct span value = list[i].value;
            return value.data ? value : SPAN("");
        }
    }
    return (struct span){0};
}

struct span params_get(const struct api_params *p, const char *name)
{
    return find(p->list, p->count, name);
}

/* The helper's view of a value: absent and blank are the same, the rest is trimmed. */
static struct span trimmed(const struct api_params *p, const char *name)
{
    return span_trim(params_get(p, name));
}

struct span params_or(const struct api_params *p, const char *name, struct span dflt)
{
    struct span value = trimmed(p, name);
    return span_empty(value) ? dflt : value;
}

struct span params_header(const struct api_params *p, const char *name)
{
    return find(p->headers, p->headers_count, name);
}

int params_require(const struct api_params *p, const char *name, struct span *ret,
                   struct fail *fail)
{
    struct span value = trimmed(p, name);
    if (span_empty(value)) {
        return fail_set(fail, E_MISSING, "Param '%s' is required.", name);
    }
    *ret = value;
    return 0;
}

void params_bool(const struct api_params *p, const char *name, bool *ret)
{
    static const char *const yes[] = {"true", "y", "yes", "on", "t"};
    struct span value = trimmed(p, name);
    if (span_empty(value)) {
        return;
    }
    bool found = false;
    for (size_t i = 0; i < ARRAY_LEN(yes) && !found; i++) {
        found = span_ieq(value, span_str(yes[i]));
    }
    *ret = found;
}

static int no_number(struct fail *fail, struct span value)
{
    return fail_set(fail, E_INVALID, "For input string: \"%.*s\"", SPAN_ARG(value));
}

int params_int(const struct api_params *p, const char *name, int64_t min, int64_t max, int64_t *ret,
               struct fail *fail)
{
    struct span value = trimmed(p, name);
    if (span_empty(value)) {
        return 0;
    }
    long long number = 0;
    if (!span_int(value, &number) || number < min || number > max) {
        return no_number(fail, value);
    }
    *ret = number;
    return 0;
}

int params_double(const struct api_params *p, const char *name, double *ret, struct fail *fail)
{
    struct span value = trimmed(p, name);
    if (span_empty(value)) {
        return 0;
    }
    double number = 0;
    if (!span_double(value, &number)) {
        return no_number(fail, value);
    }
    *ret = number;
    return 0;
}
