#include "base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static void fail_format(struct fail *fail, const char *fmt, va_list args) PRINTF_LIKE(2, 0);

static void fail_format(struct fail *fail, const char *fmt, va_list args)
{
    static const char dots[] = "...";
    int len = vsnprintf(fail->text, sizeof fail->text, fmt, args);
    if (len < 0) {
        fail->text[0] = '\0';
        return;
    }
    if ((size_t)len < sizeof fail->text) {
        return;
    }
    size_t keep = utf8_cut(fail->text, sizeof fail->text - sizeof dots);
    memcpy(fail->text + keep, dots, sizeof dots);
}

int fail_set(struct fail *fail, int err, const char *fmt, ...)
{
    if (fail) {
        fail->code = err;
        fail->nacos = 0;
        fail->v2 = 0;
        va_list args;
        va_start(args, fmt);
        fail_format(fail, fmt, args);
        va_end(args);
    }
    return err;
}

int fail_set_codes(struct fail *fail, int err, int nacos, int v2, const char *fmt, ...)
{
    if (fail) {
        fail->code = err;
        fail->nacos = nacos;
        fail->v2 = v2;
        va_list args;
        va_start(args, fmt);
        fail_format(fail, fmt, args);
        va_end(args);
    }
    return err;
}

const char *fail_text(const struct fail *fail)
{
    if (!fail) {
        return err_text(E_INTERNAL);
    }
    return fail->text[0] ? fail->text : err_text(fail->code);
}

int fail_nacos(const struct fail *fail)
{
    return fail->nacos ? fail->nacos : err_nacos(fail->code);
}
