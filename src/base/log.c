#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"

static atomic_int level_max = LOG_LEVEL_INFO;

/* The sink: one of the three globals that style.md allows. lock guards fd, path, size, size_max. It
 * is held across write(2), so that the file is not turned over under a line that is being written.
 */
static struct {
    pthread_mutex_t lock;
    int fd;
    char *path; /* NULL: standard output */
    uint64_t size;
    uint64_t size_max;
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDOUT_FILENO};

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&level_max, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load_explicit(&level_max, memory_order_relaxed);
}

static int file_open(const char *path, uint64_t *ret_size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct stat st = {0};
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0) {
        *ret_size = (uint64_t)st.st_size;
    } else {
        *ret_size = 0;
    }
    return fd;
}

static void sink_set(int fd, char *take_path, uint64_t size, uint64_t size_max)
{
    ASSERT(pthread_mutex_lock(&sink.lock) == 0);
    int old_fd = sink.fd;
    char *old_path = sink.path;
    sink.fd = fd;
    sink.path = take_path;
    sink.size = size;
    sink.size_max = size_max;
    ASSERT(pthread_mutex_unlock(&sink.lock) == 0);
    if (old_path) {
        (void)close(old_fd);
        mem_free(old_path);
    }
}

int log_open(const char *path, uint64_t size_max)
{
    if (!path) {
        sink_set(STDOUT_FILENO, NULL, 0, 0);
        return 0;
    }
    uint64_t size = 0;
    int fd = file_open(path, &size);
    if (fd < 0) {
        return E_IO;
    }
    sink_set(fd, mem_strndup(path, strlen(path)), size, size_max);
    return 0;
}

/* Called with the lock. When the disk does not let us begin again, the old file goes on: a log over
 * its cap is better than none. */
static void sink_turn_over(void)
{
    char old[4096];
    int len = snprintf(old, sizeof old, "%s.1", sink.path);
    if (len < 0 || (size_t)len >= sizeof old || rename(sink.path, old) != 0) {
        return;
    }
    uint64_t size = 0;
    int fd = file_open(sink.path, &size);
    if (fd >= 0) {
        (void)close(sink.fd);
        sink.fd = fd;
        sink.size = size;
    }
}

static void sink_write(const char *line, size_t len)
{
    ASSERT(pthread_mutex_lock(&sink.lock) == 0);
    if (sink.path && sink.size > 0 && sink.size + len > sink.size_max) {
        sink_turn_over();
    }
    ssize_t written = -1;
    do {
        written = write(sink.fd, line, len);
    } while (written < 0 && errno == EINTR);
    if (written > 0) {
        sink.size += (uint64_t)written;
    }
    ASSERT(pthread_mutex_unlock(&sink.lock) == 0);
}

/* False when the site has had its lines of this second. *ret_dropped: how many it lost before this
 * one. */
static bool site_admit(struct log_site *site, uint64_t now_s, unsigned *ret_dropped)
{
    uint64_t second = atomic_load_explicit(&site->second, memory_order_relaxed);
    if (second != now_s && atomic_compare_exchange_strong(&site->second, &second, now_s)) {
        atomic_store(&site->count, 0);
    }
    if (atomic_fetch_add(&site->count, 1) >= LOG_SITE_PER_SECOND) {
        atomic_fetch_add(&site->dropped, 1);
        return false;
    }
    *ret_dropped = atomic_exchange(&site->dropped, 0);
    return true;
}

/* One event is one line, and a client's bytes do not steer a terminal: C0, DEL and C1 (two bytes in
 * UTF-8) become spaces. */
static void no_controls(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        unsigned char next = i + 1 < len ? (unsigned char)text[i + 1] : 0;
        if (c < 0x20 || c == 0x7F) {
            text[i] = ' ';
        } else if (c == 0xC2 && next >= 0x80 && next < 0xA0) {
            text[i] = ' ';
            text[i + 1] = ' ';
        }
    }
}

static size_t put_head(char *line, size_t size, enum log_level level, const char *subsystem)
{
    static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG"};
    int64_t now_ms = clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm = {0};
    (void)gmtime_r(&seconds, &tm);
    int len = snprintf(line, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s %.64s ",
                       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                       tm.tm_sec, (int)(now_ms % 1000), names[level], subsystem);
    ASSERT(len > 0);
    ASSERT((size_t)len < size);
    return (size_t)len;
}

void log_write(struct log_site *site, enum log_level level, const char *subsystem, const char *fmt,
               ...)
{
    unsigned dropped = 0;
    if (!site_admit(site, clock_mono_ms() / 1000 + 1, &dropped)) {
        return;
    }
    char line[LOG_LINE_MAX];
    char tail[32] = "";
    if (dropped > 0) {
        (void)snprintf(tail, sizeof tail, " dropped=%u", dropped);
    }
    size_t head = put_head(line, sizeof line, level, subsystem);
    size_t size =
        sizeof line - head - strlen(tail) - 1; /* text and its NUL, then tail and newline */
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line + head, size, fmt, args);
    va_end(args);
    size_t used = len > 0 ? (size_t)len : 0;
    if (used >= size) {
        used = utf8_cut(line + head, size - 1);
    }
    no_controls(line + head, used);
    used += head;
    memcpy(line + used, tail, strlen(tail));
    used += strlen(tail);
    line[used++] = '\n';
    sink_write(line, used);
}
