/* Form decoding: one parser for query strings and urlencoded bodies, so that both behave alike.
 *
 * Thread:  edge, one at a time.
 * Owns:    nothing: names and values point into the text, which is decoded in place, or into the
 * arena. Limits:  API_PARAMS_MAX parameters in all. Source:  http-api.md 1.1 (decoding, order);
 * Tomcat 9 Parameters.processParameters (what is skipped, as the comments below say).
 */
#ifndef NACRE_HTTP_FORM_H
#define NACRE_HTTP_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "api/params.h"
#include "base/arena.h"
#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

/* Embedded by its owner: the parameters in the order of their arrival. */
struct form {
    struct api_param *list;
    unsigned count;
    unsigned cap;
    struct arena *arena;
};

/* Room for the parameters that query and body can hold (either may be empty). */
void form_init(struct form *f, struct arena *arena, struct span query, struct span body);

/* Add text's parameters. len bytes at text are overwritten and must live as long as the parameters
 * are used. A parameter without a name or with a broken %-sequence is left out; without '=' its
 * value is "". Bytes that are no UTF-8 stay as they are: a row that stores text refuses them, one
 * that answers JSON writes U+FFFD. E_INVALID   more than API_PARAMS_MAX */
MUST_USE int form_add(struct form *f, char *text, size_t len, struct fail *fail);

/* Decode %XX (and + as a blank when plus is set) in place; *ret_len becomes the new length.
 * False on a broken sequence: the text is then half decoded and of no use. */
bool form_decode(char *text, size_t len, bool plus, size_t *ret_len);

#endif
