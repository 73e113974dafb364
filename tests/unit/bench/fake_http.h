/* An HTTP/1.1 server for the tests of src/bench, inside the test's own poller: every request
 * gets the text back that the test has set for its kind.
 *
 * Thread:  the test's.
 */
#ifndef NACRE_TESTS_FAKE_HTTP_H
#define NACRE_TESTS_FAKE_HTTP_H

#include <netdb.h>
#include <stdbool.h>

#include "bench/bytes.h"
#include "bench/poller.h"

#define FAKE_HTTP_CONNS 64

/* The responses, closes and drops are the test's to set. */
struct fake_http {
    const char *response;      /* NULL: 200 ok */
    const char *beat_response; /* to requests that name /beat; NULL: response */
    const char *post_response; /* to a POST; NULL: response */
    bool closes;               /* close the connection after each response */
    bool drops;                /* close it instead of answering */
    struct poller *poller;
    struct poll_watch listen;
    struct addrinfo *address;
    unsigned port;
    unsigned opened;
    unsigned requests;
    unsigned posts;
    struct bytes last; /* the last request */
    struct fake_http_conn {
        struct poll_watch watch;
        struct fake_http *fake;
        struct bytes in;
    } conn[FAKE_HTTP_CONNS];
};

/* Listen. Asserts that it can. */
void fake_http_open(struct fake_http *f, struct poller *p);

/* Close everything and free. */
void fake_http_close(struct fake_http *f);

#endif
