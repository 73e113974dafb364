/* A configuration centre without log and tables, for those who listen: versions are set by hand,
 * and what react would do follows at once.
 *
 * Thread:  the test's, which is core.
 */
#ifndef NACRE_TESTS_LISTEN_BED_H
#define NACRE_TESTS_LISTEN_BED_H

#include "config/listen.h"
#include "config/poll.h"

struct listen_bed {
    struct config c;
    struct outbox out;
    struct now now;
};

/* Options: repetitions after 1, 3, 10 s, three at most; 20000 listens, 100 polls. */
void bed_open(struct listen_bed *b);
void bed_close(struct listen_bed *b);

/* A connection from an address, with a tag or NULL. */
void bed_connect(struct listen_bed *b, uint64_t conn, const char *ip, const char *tag);

/* Publish (content) or remove (NULL) the formal version of a dataId of DEFAULT_GROUP; listeners
 * and polls hear of it. */
struct item *bed_set(struct listen_bed *b, const char *tenant, const char *data_id,
                     const char *content);

/* As bed_set for one gray version. name "beta" or "tag_x". */
struct item *bed_set_gray(struct listen_bed *b, const char *data_id, const char *name,
                          const char *rule, const char *content);

/* A cold formal version. */
struct item *bed_set_cold(struct listen_bed *b, const char *data_id, const char *content);

/* The hex md5 of a text, in static memory (of the last eight calls); "" for NULL. */
const char *bed_md5(const char *content);

/* An entry as the decoders make it. tenant NULL: not sent. */
struct listen_context bed_context(const char *tenant, const char *data_id, const char *md5);

/* Pushes in the outbox so far, and forget them. Each is "type json -> conn conn". */
size_t bed_pushes(struct listen_bed *b, char (*ret_texts)[512], size_t max);

/* Let time pass to the next deadline of listeners and run their turn; returns how many ms passed.
 */
uint64_t bed_next_notice(struct listen_bed *b);

#endif
