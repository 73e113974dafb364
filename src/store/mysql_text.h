/* The text of JDBC URLs: what is escaped in it, what may be repeated of it.
 *
 * Thread:  any; pure.
 * Errors:  name the option (key) and the part (what), and never repeat a value: it may be a
 * password. Source:  Connector/J 8 ConnectionUrlParser.java (decode), Java's URLDecoder.
 */
#ifndef NACRE_STORE_MYSQL_TEXT_H
#define NACRE_STORE_MYSQL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

#define MYSQL_TEXT_SHOWN 80 /* bytes of a value in a sentence */

/* True when c is in text. */
bool mysql_text_has(struct span text, char c);

/* Step over prefix, whose case does not matter. False when text does not begin with it. */
bool mysql_text_skip(struct span *text, struct span prefix);

/* True for UTF-8 without control characters: it can stand in a line of a log. */
bool mysql_text_is_clean(struct span text);

/* True for letters, digits, "-", "_" and ".", at least one: names of hosts and parameters. */
bool mysql_text_is_name(struct span text);

/* As much of text as a sentence repeats. */
struct span mysql_text_shown(struct span text);

/* Undo %XX, and "+" for a blank. dst has room for text.len + 1 bytes. False when an escape is
 * broken or what comes out is not clean; dst is then of no use. */
bool mysql_text_decode(struct span text, char *dst);

/* Copy text to dst of size bytes.
 * E_LIMIT  it has size bytes or more; dst is untouched */
MUST_USE int mysql_text_put(struct fail *fail, const char *key, const char *what, struct span text,
                            char *dst, size_t size);

/* E_INVALID, with words for what mysql_text_decode refused. */
int mysql_text_refuse(struct fail *fail, const char *key, const char *what);

#endif
