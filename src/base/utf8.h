/* UTF-8: where it may be cut, and how far it is valid.
 *
 * Thread:  any; pure functions.
 */
#ifndef NACRE_BASE_UTF8_H
#define NACRE_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The longest length <= len at which s can be cut without splitting a character. s holds more than
 * len bytes or ends there. */
size_t utf8_cut(const char *s, size_t len);

/* The length of the well-formed character at s (1 to 4), when *ret_valid; otherwise how many bytes
 * (1 to 3) one U+FFFD stands for, as Java's decoder counts (Unicode 15, table 3-7). left: bytes
 * from s on, at least 1. */
size_t utf8_step(const char *s, size_t left, bool *ret_valid);

/* True when all len bytes are well-formed. */
bool utf8_valid(const char *s, size_t len);

#endif
