/* What the fuzz targets share.
 *
 * Thread:  libFuzzer's only one.
 * Rule:    REQUIRE states what must hold for every input; a failure is a finding, as a crash is.
 */
#ifndef NACRE_TESTS_FUZZ_H
#define NACRE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/span.h"

/* libFuzzer calls it with every input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Something that must hold for every input. */
#define REQUIRE(cond)                                                                              \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Read every byte of s: AddressSanitizer says whether they all belong to something that lives. */
static inline void fuzz_touch(struct span s)
{
    static volatile unsigned char sink;
    for (size_t i = 0; i < s.len; i++) {
        sink = (unsigned char)(sink ^ (unsigned char)s.data[i]);
    }
}

/* A failure has a code of the table and words for the one who sent the input. */
static inline void fuzz_check_fail(int err, const struct fail *fail)
{
    REQUIRE(err < 0);
    REQUIRE(fail->code == err);
    REQUIRE(strcmp(err_name(err), "E_UNKNOWN") != 0);
    REQUIRE(fail_text(fail)[0] != '\0');
    REQUIRE(strlen(fail_text(fail)) < FAIL_TEXT_MAX);
}

/* Cut what comes before the first sep off *rest; all of it when there is none. */
static inline struct span fuzz_cut(struct span *rest, char sep)
{
    struct span whole = *rest;
    const char *at = whole.len ? memchr(whole.data, sep, whole.len) : NULL;
    if (!at) {
        *rest = (struct span){0};
        return whole;
    }
    size_t len = (size_t)(at - whole.data);
    *rest = span_of(at + 1, whole.len - len - 1);
    return span_of(whole.data, len);
}

/* The first byte of *rest, taken off; 0 when it is empty. */
static inline unsigned fuzz_byte(struct span *rest)
{
    if (rest->len == 0) {
        return 0;
    }
    unsigned byte = (unsigned char)rest->data[0];
    *rest = span_of(rest->data + 1, rest->len - 1);
    return byte;
}

#endif
