/* Hand an answer to libmicrohttpd: headers that every response has, and a body that is never
 * copied.
 *
 * Thread:  the connection's edge thread.
 * Source:  http-api.md 1.1 (CORS, headers of every response); golden/http/config-v1.jsonl case
 * OPTIONS.
 */
#ifndef NACRE_HTTP_SEND_H
#define NACRE_HTTP_SEND_H

#include <microhttpd.h>

#include "http/answer.h"

/* Queue the answer; takes its body. MHD_NO when the connection can take none: it is closed then. */
enum MHD_Result send_answer(struct MHD_Connection *connection, struct answer *take_answer);

#endif
