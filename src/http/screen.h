/* Screening: what is answered without a row: a browser's preflight, a node that is not ready,
 * OPTIONS, the console's files, and paths and methods that nobody takes.
 *
 * Thread:  the connection's edge thread.
 * Source:  http-api.md 1.1, 1.2, 1.3, 8.5.
 */
#ifndef NACRE_HTTP_SCREEN_H
#define NACRE_HTTP_SCREEN_H

#include "http/request.h"

/* Decide the answer, or leave the request undecided: then r->route.row takes it. */
void screen_request(struct request *r);

#endif
