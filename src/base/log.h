/* The log: one line per event, key=value pairs, to standard output or to one capped file.
 *
 * Thread:  any; a line is written whole.
 * Limits:  LOG_LINE_MAX bytes a line (longer ones are cut); a call site writes at most
 *          LOG_SITE_PER_SECOND lines a second, and the next one says how many were dropped.
 * Rule:    no secrets, no bodies above DEBUG. ERROR means that an operator should act. Features do
 *          not log: they emit effects.
 */
#ifndef NACRE_BASE_LOG_H
#define NACRE_BASE_LOG_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/macros.h"

#define LOG_LINE_MAX 2048
#define LOG_SITE_PER_SECOND 20

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* One call site's rate limit; a static of the macros below. */
struct log_site {
    _Atomic uint64_t second;
    atomic_uint count;
    atomic_uint dropped;
};

/* Lines above this level are not written. Default INFO. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Write to path (created 0600, appended) instead of standard output; at size_max bytes it is
 * renamed to path.1 and begun again. NULL path: back to standard output. E_IO when it cannot be
 * opened (errno is kept). */
MUST_USE int log_open(const char *path, uint64_t size_max);

/* One line: time, level, subsystem, then the formatted text. */
void log_write(struct log_site *site, enum log_level level, const char *subsystem, const char *fmt,
               ...) PRINTF_LIKE(4, 5);

#define LOG_AT(level, subsystem, ...)                                                              \
    do {                                                                                           \
        static struct log_site log_site_;                                                          \
        if ((level) <= log_get_level()) {                                                          \
            log_write(&log_site_, (level), (subsystem), __VA_ARGS__);                              \
        }                                                                                          \
    } while (0)
#define LOG_ERROR(subsystem, ...) LOG_AT(LOG_LEVEL_ERROR, subsystem, __VA_ARGS__)
#define LOG_WARN(subsystem, ...) LOG_AT(LOG_LEVEL_WARN, subsystem, __VA_ARGS__)
#define LOG_INFO(subsystem, ...) LOG_AT(LOG_LEVEL_INFO, subsystem, __VA_ARGS__)
#define LOG_DEBUG(subsystem, ...) LOG_AT(LOG_LEVEL_DEBUG, subsystem, __VA_ARGS__)

#endif
