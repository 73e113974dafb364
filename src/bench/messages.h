/* The few Nacos requests that the generator sends, as gRPC frames and as HTTP/1.1 requests.
 *
 * Instance number i has the address 10.x.y.z:8080 made of i, so instances are distinct and a run
 * can be repeated. Numbers that change from request to request (service, revision) have a fixed
 * width and are patched with frame_patch.
 *
 * Thread:  any. The frames are the caller's.
 * Source:  grpc-sdk.md 8.1 (C01, C04, C10, C13), 8.3 (N01, N05, N12, N14, N19), http-api.md 4.1.
 */
#ifndef NACRE_BENCH_MESSAGES_H
#define NACRE_BENCH_MESSAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "bench/frame.h"

/* Where the generator's services and configs live. Plain data, borrowed strings: letters, digits
 * and
 * "._-:" only, as options.c checks. */
struct msg_place {
    const char *namespace_id;
    const char *group;
    const char *service; /* services, and dataIds, are <service>-0000000000, -0000000001, ... */
};

#define MSG_HTTP_MAX 1024
#define MSG_HOST_MAX 128

/* ServerCheckRequest. */
void msg_server_check(struct frame *f);

/* ConnectionSetupRequest of a client that wants to be told the server's abilities (Java 2.3 and
 * later). module: "naming" or "config", what the client is for. */
void msg_setup(struct frame *f, const char *module);

/* HealthCheckRequest. */
void msg_health_check(struct frame *f);

/* The answer to a push: the response class of this type with the push's requestId. */
void msg_ack(struct frame *f, const char *type, struct span request_id);

/* InstanceRequest: registerInstance or deregisterInstance of one ephemeral instance. */
void msg_instance(struct frame *f, const struct msg_place *place, bool reg, uint64_t service,
                  uint64_t instance);

/* BatchInstanceRequest: instances 0 to count - 1 of one service. */
void msg_batch(struct frame *f, const struct msg_place *place, uint64_t service, uint64_t count);

/* ServiceQueryRequest. */
void msg_query(struct frame *f, const struct msg_place *place, uint64_t service);

/* SubscribeServiceRequest with subscribe true. */
void msg_subscribe(struct frame *f, const struct msg_place *place, uint64_t service);

/* Where the number of the service begins in a frame that names one, for frame_patch. */
size_t msg_service_offset(const struct frame *f, const struct msg_place *place);

/* Where the revision begins in the metadata of msg_instance's registration, for frame_patch. */
size_t msg_revision_offset(const struct frame *f);

/* The revision that a push body carries in an instance's metadata; false when it has none. */
bool msg_revision(struct span body, uint64_t *ret);

/* The quoted text that follows marker, empty when there is none. */
struct span msg_quoted_after(struct span body, struct span marker);

/* The requestId of a push body; empty when it has none. */
struct span msg_request_id(struct span body);

/* HTTP: register an ephemeral instance. Writes to dst (MSG_HTTP_MAX bytes), returns the request's
 * length. */
size_t msg_http_register(char *dst, const char *host, const struct msg_place *place,
                         uint64_t service, uint64_t instance);

/* HTTP: a light beat for the same instance. */
size_t msg_http_beat(char *dst, const char *host, const struct msg_place *place, uint64_t service,
                     uint64_t instance);

#endif
