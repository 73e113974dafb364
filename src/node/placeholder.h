/* ${NAME} and ${NAME:default} in the values of a properties file, filled in from the environment.
 *
 * Thread:  any; no state.
 * Limits:  PLACEHOLDER_DEPTH_MAX defaults within defaults, PLACEHOLDER_TEXT_MAX bytes of result.
 * Source:  Spring's property placeholders, as Nacos's own application.properties uses them.
 */
#ifndef NACRE_NODE_PLACEHOLDER_H
#define NACRE_NODE_PLACEHOLDER_H

#include "base/json_out.h"
#include "base/span.h"

#define PLACEHOLDER_DEPTH_MAX 8
#define PLACEHOLDER_TEXT_MAX 65536

/* The value of a variable in environment ("NAME=value" texts, NULL at the end; may be NULL),
 * borrowed; data is NULL when it is not there. */
struct span environment_get(char *const *environment, struct span name);

/* Append value to text with each placeholder replaced by the environment's value, else by its
 * default, which may hold placeholders too; one without either, not closed, or nested too deep
 * stays as it is. Stops once text is over PLACEHOLDER_TEXT_MAX, which the caller looks at. */
void placeholder_resolve(char *const *environment, struct span value, struct json_out *text);

#endif
