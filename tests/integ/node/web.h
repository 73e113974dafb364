/* HTTP for tests: requests as text over a socket, one response at a time.
 *
 * Every wait ends after WEB_WAIT_MS.
 */
#ifndef NACRE_TESTS_NODE_WEB_H
#define NACRE_TESTS_NODE_WEB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEB_WAIT_MS 5000

/* status 0: the server closed without an answer. Free with web_reply_close. */
struct web_reply {
    int status;
    char *head;
    char *body; /* NUL-terminated; "" when there is none */
    size_t body_len;
};

/* Free what a reply holds. */
void web_reply_close(struct web_reply *r);

/* Connect to 127.0.0.1:port. -1 when refused. */
int web_open(uint16_t port);

/* Send all of it; false when the server closed. */
bool web_send(int fd, const char *bytes, size_t len);

/* Read one response. */
struct web_reply web_read(int fd);

/* Read at most cap bytes, until the end of the stream or a reset; *ret_ended says that it came. */
size_t web_read_all(int fd, char *dst, size_t cap, bool *ret_ended);

/* Send a request on an open connection and read its response. line: "GET /path"; headers: lines
 * with their ends, or ""; body: NULL for none, otherwise sent with its length as a form. */
struct web_reply web_talk(int fd, const char *line, const char *headers, const char *body);

/* web_talk on a connection of its own. */
struct web_reply web_ask(uint16_t port, const char *line, const char *headers, const char *body);

/* What the node holds (operator metrics). */
struct figures {
    long services;
    long instances;
    long clients;
    long subscriptions;
};
struct figures figures_read(uint16_t port);

#endif
