/* Requests of the configuration centre, as gRPC frames and as HTTP/1.1 requests.
 *
 * Config number i has the dataId <service>-0000000000 and so on (msg_place). A content begins with
 * a revision of FRAME_DIGITS digits, which is what a reader checks, and goes on in lines of
 * letters.
 *
 * Thread:  any. The frames are the caller's.
 * Source:  grpc-sdk.md 5.3, 8.2; http-api.md 2.1, 2.2.
 */
#ifndef NACRE_BENCH_MESSAGES_CONFIG_H
#define NACRE_BENCH_MESSAGES_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "bench/bytes.h"
#include "bench/frame.h"
#include "bench/messages.h"

#define MSG_CONTENT_LEAST FRAME_DIGITS
#define MSG_MD5_LEN 32

/* ConfigPublishRequest with a content of so many bytes, at least MSG_CONTENT_LEAST. */
void msg_config_publish(struct frame *f, const struct msg_place *place, uint64_t config,
                        size_t content_bytes);

/* ConfigQueryRequest. */
void msg_config_query(struct frame *f, const struct msg_place *place, uint64_t config);

/* ConfigBatchListenRequest for one config, md5 "" for none. */
void msg_config_listen(struct frame *f, const struct msg_place *place, uint64_t config,
                       struct span md5);

/* Where the number of the config begins, for frame_patch. */
size_t msg_config_offset(const struct frame *f, const struct msg_place *place);

/* Where the revision begins in the content of msg_config_publish, for frame_patch. */
size_t msg_content_offset(const struct frame *f);

/* The revision with which the content of a ConfigQueryResponse begins; false when it has none. */
bool msg_content_revision(struct span body, uint64_t *ret);

/* The md5 of a ConfigQueryResponse: 32 characters, or empty when it has none. */
struct span msg_config_md5(struct span body);

/* True when a ConfigChangeBatchListenResponse says that something has changed. */
bool msg_config_changed(struct span body);

/* HTTP: GET /nacos/v1/cs/configs. Writes to dst (MSG_HTTP_MAX bytes), returns the request's length.
 */
size_t msg_http_config_get(char *dst, const char *host, const struct msg_place *place,
                           uint64_t config);

/* HTTP: the publish, with the config's number as revision. Replaces what dst held. */
void msg_http_config_publish(struct bytes *dst, const char *host, const struct msg_place *place,
                             uint64_t config, size_t content_bytes);

#endif
