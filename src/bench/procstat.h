/* What a process has used: CPU time and resident memory, from /proc.
 *
 * Thread:  any.
 * Source:  proc(5): /proc/PID/stat fields 14 and 15 in clock ticks (10 ms here), VmRSS of
 * /proc/PID/status.
 */
#ifndef NACRE_BENCH_PROCSTAT_H
#define NACRE_BENCH_PROCSTAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"

/* Plain data. */
struct procstat {
    uint64_t cpu_ns; /* user and system time of all threads since the process began */
    uint64_t rss_kb;
};

/* Read both for one process. E_NOT_FOUND: no such process; E_PARSE: /proc says something else than
 * expected. */
MUST_USE int procstat_read(int pid, struct procstat *ret, struct fail *fail);

/* Parse the text of /proc/PID/stat: the sum of utime and stime, in clock ticks. The command's name
 * may hold spaces and brackets. */
MUST_USE int procstat_parse_ticks(const char *text, uint64_t *ret_ticks);

/* Parse the text of /proc/PID/status: VmRSS in kB. */
MUST_USE int procstat_parse_rss(const char *text, uint64_t *ret_kb);

/* What was used between two instants by the server and by this process. Plain data. */
struct usage {
    bool has_server; /* a pid was given: the next two are valid */
    uint64_t server_cpu_ns;
    uint64_t server_rss_kb; /* at the end */
    uint64_t self_cpu_ns;
    uint64_t elapsed_ns;
};

/* The first instant; embedded by its owner. */
struct meter {
    int pid;
    struct procstat server;
    uint64_t self_cpu_ns;
    uint64_t begin_ns;
};

/* Read the counters. pid 0: only this process. The errors of procstat_read. */
MUST_USE int meter_begin(struct meter *m, int pid, struct fail *fail);

/* Read them again and fill *ret with the differences. The errors of procstat_read; elapsed and self
 * are filled even then. */
MUST_USE int meter_end(const struct meter *m, struct usage *ret, struct fail *fail);

#endif
