/* Tables of bad requests: what is sent, what must come back.
 *
 * Texts hold <N:text>, which stands for N times text: <513:x>. A row that fails is printed with
 * what came, so that one run shows all that fail.
 */
#ifndef NACRE_TESTS_NODE_BAD_H
#define NACRE_TESTS_NODE_BAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "grpc_client.h"
#include "web.h"

/* A connection that talks to a node, and a service of its own to show that it still can. */
struct guest {
    struct client *client;
    struct client_stream *stream;
    uint16_t http;
};

/* Connect and set up. */
struct guest guest_open(uint16_t grpc, uint16_t http);

/* Leave. */
void guest_close(struct guest *g);

/* Register, find by query, deregister a good instance on this connection. False and a printed
 * reason when that does not go as it should. */
bool guest_is_well(const struct guest *g);

/* One bad text and what it is answered. */
struct bad {
    const char *text;
    int code;         /* errorCode; 0: a success. 502 always comes as ErrorResponse */
    const char *part; /* of the answer's body */
};

/* How the texts of a table become requests: # in around is replaced by the text. */
struct play {
    const char *type;
    const char *reply; /* type of the answer */
    const char *around;
};

/* Send every row. After each: the guest is well, and the node holds what it held before. Returns
 * how many rows failed. */
size_t bad_play(const struct guest *g, const struct play *play, const struct bad *rows,
                size_t count);

/* text with its <N:text> replaced; free it. */
char *expand(const char *text);

#endif
