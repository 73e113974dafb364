/* A running HTTP edge with a core of its own, and a client that speaks raw bytes.
 *
 * Rows below /nacos:
 *   /v1/ns/echo      every method; answers on the edge what it was given, as JSON
 *   /v1/cs/own       GET; on the edge, with headers of its own; as=v2, as=admin: another row
 * answers /v1/ns/core      GET PUT POST; the core answers "ok" /v1/ns/later     GET; the core keeps
 * the call until rig_release /v1/ns/fail      GET; fails with code, http, v2, nacos, text   (also
 * /v2/fail, /v1/console/fail and /v1/cs/fail in their shapes) /v1/ns/parts     GET; answers a body
 * of three slices, n bytes each /v1/console/open GET; "OK" /v1/admin        GET; needs API_ADMIN
 */
#ifndef NACRE_TEST_RIG_H
#define NACRE_TEST_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/http.h"

struct rig;

/* What a test may want otherwise; zero: the rig's default. */
struct rig_options {
    unsigned connections_max;
    unsigned per_ip_max;
    uint32_t idle_timeout_ms;
    bool not_ready;
    int post_error; /* the core refuses mail with this code */
    api_permit_fn permit;
    const char *context; /* NULL: "/nacos" */
};

struct rig *rig_start(const struct rig_options *options);

/* Stop the edge (unless stopped), then the core. */
void rig_stop(struct rig *rig);

/* http_stop alone, while the core runs. */
void rig_stop_edge(struct rig *rig, uint32_t grace_ms);

/* Wait until the core keeps n calls. False after five seconds. */
bool rig_wait_held(struct rig *rig, size_t n);

/* Let all kept calls be answered "late", from the calling thread; returns how many. */
size_t rig_release(struct rig *rig);

uint16_t rig_port(const struct rig *rig);
const struct http_counters *rig_counters(const struct rig *rig);

/* A response. body and head are NUL-terminated; free with reply_close. status 0: the connection
 * ended without one. */
struct reply {
    int status;
    char *head;
    char *body;
    size_t body_len;
};

void reply_close(struct reply *r);

/* The value of a header, in the thread's static memory until its next call; NULL when absent. */
const char *reply_header(const struct reply *r, const char *name);

/* A connected socket with a five-second time-out for each read and write; -1 when refused. */
int client_open(uint16_t port);

/* Send all len bytes; false when the server closed. */
bool client_send(int fd, const char *bytes, size_t len);

/* Read one response; head_only: the request was HEAD. */
struct reply client_read(int fd, bool head_only);

/* True when the server has closed the connection (end of stream or reset) within five seconds. */
bool client_closed(int fd);

/* Everything in one: connect, send, read one response, close. */
struct reply ask(const struct rig *rig, const char *request);

/* ask with "METHOD path HTTP/1.1", a Host header, and headers ("A: b\r\n" or "") and body (NULL:
 * none; its length is announced). */
struct reply ask_with(const struct rig *rig, const char *line, const char *headers,
                      const char *body);

#endif
