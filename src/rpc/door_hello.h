/* The name that a TLS client asks for: the server_name of a ClientHello, read without OpenSSL,
 * because the connection belongs to nobody yet.
 *
 * Thread:  any; a pure function.
 * Limits:  DOOR_HELLO_MAX bytes, one TLS record. A hello that is cut into several records is
 * refused: no library does that to one of this size, and we would have to keep its bytes. Source:
 * RFC 8446 4.1.2, 5.1 (record and ClientHello), RFC 6066 3 (server_name).
 */
#ifndef NACRE_RPC_DOOR_HELLO_H
#define NACRE_RPC_DOOR_HELLO_H

#include "base/span.h"

#define DOOR_HELLO_HEAD 5
#define DOOR_HELLO_MAX (DOOR_HELLO_HEAD + (16 << 10))

enum door_hello {
    DOOR_HELLO_MORE, /* what is there may become one */
    DOOR_HELLO_DONE, /* whole and well formed */
    DOOR_HELLO_BAD,  /* no ClientHello, whatever follows */
};

/* Judge what has arrived so far; seen may be cut at DOOR_HELLO_MAX. With DOOR_HELLO_DONE *ret_name
 * is the name asked for, inside seen, empty when there is none; else it is not written. */
enum door_hello door_hello_read(struct span seen, struct span *ret_name);

#endif
