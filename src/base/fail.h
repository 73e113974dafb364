/* The reason of a failure in words, for the person or client that will read it.
 *
 * Thread:  owned by the caller, usually on the stack; no sharing.
 * Limits:  FAIL_TEXT_MAX bytes; longer text is cut at a UTF-8 boundary and ends in "...".
 */
#ifndef NACRE_BASE_FAIL_H
#define NACRE_BASE_FAIL_H

#include "base/err.h"
#include "base/macros.h"

#define FAIL_TEXT_MAX 512

/* Plain data. code: an enum err; nacos: overrides err_nacos(code) when not 0; v2: Nacos v2
 * ErrorCode when not 0. */
struct fail {
    int code;
    int nacos;
    int v2;
    char text[FAIL_TEXT_MAX];
};

/* Record why, and return err, so that callers write `return fail_set(fail, E_INVALID, "port %d
 * ...", p)`. fail may be NULL (nobody asks). Say what was expected, what was found, where. Client
 * bytes only through %.*s. */
int fail_set(struct fail *fail, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As fail_set, with a Nacos error code and a v2 ErrorCode (http-api.md 1.4) that differ from the
 * table's; 0 = the table's. */
int fail_set_codes(struct fail *fail, int err, int nacos, int v2, const char *fmt, ...)
    PRINTF_LIKE(5, 6);

/* The text, or the default text of the code when none was set; never NULL. */
const char *fail_text(const struct fail *fail);

/* The Nacos error code to send. */
int fail_nacos(const struct fail *fail);

#endif
