#include "bench/procstat.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"

#define PROC_TEXT_MAX 8192

int procstat_parse_ticks(const char *text, uint64_t *ret_ticks)
{
    const char *after = strrchr(text, ')');
    uint64_t user = 0;
    uint64_t system = 0;
    if (!after ||
        sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
               &user, &system) != 2) {
        return E_PARSE;
    }
    *ret_ticks = user + system;
    return 0;
}

int procstat_parse_rss(const char *text, uint64_t *ret_kb)
{
    const char *line = strstr(text, "VmRSS:");
    uint64_t kb = 0;
    if (!line || sscanf(line, "VmRSS: %" SCNu64 " kB", &kb) != 1) {
        return E_PARSE;
    }
    *ret_kb = kb;
    return 0;
}

/* One small file of /proc, NUL-terminated. */
static int proc_text(int pid, const char *name, char *dst, size_t size, struct fail *fail)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    FILE *file = fopen(path, "re");
    if (!file) {
        return fail_set(fail, E_NOT_FOUND, "--pid %d: cannot read %s: %s", pid, path,
                        strerror(errno));
    }
    size_t len = fread(dst, 1, size - 1, file);
    dst[len] = '\0';
    (void)fclose(file);
    return 0;
}

int procstat_read(int pid, struct procstat *ret, struct fail *fail)
{
    char text[PROC_TEXT_MAX];
    uint64_t ticks = 0;
    uint64_t rss_kb = 0;
    int err = proc_text(pid, "stat", text, sizeof(text), fail);
    if (err) {
        return err;
    }
    if (procstat_parse_ticks(text, &ticks)) {
        return fail_set(fail, E_PARSE, "/proc/%d/stat: utime and stime not found", pid);
    }
    err = proc_text(pid, "status", text, sizeof(text), fail);
    if (err) {
        return err;
    }
    if (procstat_parse_rss(text, &rss_kb)) {
        return fail_set(fail, E_PARSE, "/proc/%d/status: VmRSS not found (has it ended?)", pid);
    }
    uint64_t per_second = (uint64_t)sysconf(_SC_CLK_TCK);
    *ret =
        (struct procstat){.cpu_ns = ticks * (UINT64_C(1000000000) / per_second), .rss_kb = rss_kb};
    return 0;
}

static uint64_t timeval_ns(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_usec * 1000U;
}

static uint64_t self_cpu_ns(void)
{
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_SELF, &usage);
    return timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime);
}

int meter_begin(struct meter *m, int pid, struct fail *fail)
{
    *m = (struct meter){.pid = pid};
    int err = pid > 0 ? procstat_read(pid, &m->server, fail) : 0;
    m->self_cpu_ns = self_cpu_ns();
    m->begin_ns = clock_mono_ns();
    return err;
}

int meter_end(const struct meter *m, struct usage *ret, struct fail *fail)
{
    *ret = (struct usage){.elapsed_ns = clock_mono_ns() - m->begin_ns,
                          .self_cpu_ns = self_cpu_ns() - m->self_cpu_ns};
    if (m->pid <= 0) {
        return 0;
    }
    struct procstat server;
    int err = procstat_read(m->pid, &server, fail);
    if (err) {
        return err;
    }
    ret->has_server = true;
    ret->server_cpu_ns = server.cpu_ns - m->server.cpu_ns;
    ret->server_rss_kb = server.rss_kb;
    return 0;
}
