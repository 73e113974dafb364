/* A listening TCP socket.
 *
 * Thread:  any.
 * Limits:  LISTEN_BACKLOG connections wait for accept.
 */
#ifndef NACRE_HTTP_LISTEN_H
#define NACRE_HTTP_LISTEN_H

#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"

#define LISTEN_BACKLOG 4096

/* Bind and listen, non-blocking. address: NULL or "" for every address of both families (IPv4 only
 * where there is no IPv6), else a numeric address or a host name. port 0: the system picks;
 * *ret_port says which. E_INVALID  no such address   E_IO  it cannot be bound: address, port and
 * reason are in the text */
MUST_USE int listen_open(const char *address, uint16_t port, int *ret_fd, uint16_t *ret_port,
                         struct fail *fail);

#endif
