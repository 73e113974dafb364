/* What a run found, for people and for scripts.
 *
 * Thread:  one owner. Prints to the stream it is given.
 */
#ifndef NACRE_BENCH_REPORT_H
#define NACRE_BENCH_REPORT_H

#include <stdio.h>

#include "bench/load.h"
#include "bench/options.h"

#define REPORT_EXTRA_MAX 16

/* Embedded by the scenario (large: on the heap). result: as load_run fills it, or filled by the
 * scenario. */
struct report {
    const struct options *options;
    struct load_result result;
    const char *unit; /* what was counted: "requests", "pushes" */
    unsigned extras;
    struct {
        const char *name; /* lower_case with its unit at the end */
        double value;
    } extra[REPORT_EXTRA_MAX];
};

/* Add a named value; asserted: there is room. name: a literal. */
void report_add(struct report *r, const char *name, double value);

/* Count an error of the scenario's own. */
void report_error(struct report *r, int err, const char *text);

/* Print as lines of text, or with --json as one JSON object on one line. */
void report_print(const struct report *r, FILE *out);

#endif
