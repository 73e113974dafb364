/* Listening-Configs: what a 1.x client says that it has.
 *
 *   value = 1*(dataId ^2 group ^2 md5 [^2 tenant] ^1)      ^2 is byte 2, ^1 byte 1
 *
 * It is URL-decoded once more than its form, so that clients may send the control characters raw,
 * once or twice encoded. The last ^1 may be missing.
 *
 * Thread:  any (edge).
 * Limits:  LISTEN_CONTEXTS_MAX entries.
 * Source:  http-api.md 2.4; Nacos 2.5.1 config/.../utils/MD5Util.java,
 *          ConfigListenerHttpParamExtractor.java; golden http/longpoll.jsonl.
 */
#ifndef NACRE_CONFIG_CONFIG_PROBE_H
#define NACRE_CONFIG_CONFIG_PROBE_H

#include "base/arena.h"
#include "base/fail.h"
#include "config/listen.h"

/* Decode value into a list in the arena. DIFF(listen-error): what is malformed is a 400; Nacos's
 * filter fails with the container's 500.
 * E_INVALID  "invalid probeModify" (blank, or an entry without three or four words), "invalid
 * protocol, too much listener"   E_PARAM  a key that the parameter check refuses   E_TOO_LARGE  the
 * arena is full */
MUST_USE int config_probe_decode(struct span value, struct arena *arena,
                                 struct listen_context **ret_list, size_t *ret_count,
                                 struct fail *fail);

#endif
