#include "bench/procstat.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/span.h"

#define PROC_TEXT_MAX 8192

/* The next of several words, and the rest behind it. */
static struct span next_word(struct span *rest)
{
    *rest = span_trim(*rest);
    return span_cut(rest, ' ');
}

static int parse_number(struct span word, uint64_t *ret)
{
    long long n = 0;
    if (!span_int(word, &n) || n < 0) {
        return E_PARSE;
    }
    *ret = (uint64_t)n;
    return 0;
}

int procstat_parse_ticks(const char *text, uint64_t *ret_ticks)
{
    const char *after = strrchr(text, ')');
    struct span rest = span_str(after ? after + 1 : "");
    uint64_t user = 0;
    uint64_t system = 0;
    /* state is field 3 and the first behind the name; utime and stime are 14 and 15. */
    for (unsigned field = 3; field < 14; field++) {
        (void)next_word(&rest);
    }
    if (parse_number(next_word(&rest), &user) || parse_number(next_word(&rest), &system)) {
        return E_PARSE;
    }
    *ret_ticks = user + system;
    return 0;
}

int procstat_parse_rss(const char *text, uint64_t *ret_kb)
{
    static const char key[] = "VmRSS:";
    const char *line = strstr(text, key);
    if (!line) {
        return E_PARSE;
    }
    struct span rest = span_str(line + sizeof(key) - 1);
    struct span value = span_trim(span_cut(&rest, '\n'));
    return parse_number(next_word(&value), ret_kb);
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
    struct procstat server = {0};
    int err = procstat_read(m->pid, &server, fail);
    if (err) {
        return err;
    }
    ret->has_server = true;
    ret->server_cpu_ns = server.cpu_ns - m->server.cpu_ns;
    ret->server_rss_kb = server.rss_kb;
    return 0;
}
