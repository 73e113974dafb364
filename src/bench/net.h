/* Sockets of the generator: a name to an address once, and connections to it that do not block.
 *
 * Thread:  any.
 */
#ifndef NACRE_BENCH_NET_H
#define NACRE_BENCH_NET_H

#include <netdb.h>

#include "base/fail.h"
#include "base/macros.h"

/* Look up host (name, IPv4 or IPv6) and port; the first address counts. Free it with freeaddrinfo.
 * E_NOT_FOUND: no such host. */
MUST_USE int net_resolve(const char *host, unsigned port, struct addrinfo **ret, struct fail *fail);

/* A non-blocking socket without delay that is connecting to address. E_LIMIT: no descriptor left;
 * E_IO: refused at once. */
MUST_USE int net_connect(const struct addrinfo *address, int *ret_fd, struct fail *fail);

/* The outcome of a connect once the socket is writable: 0 or an errno. */
int net_connect_error(int fd);

/* Raise the limit of open descriptors to the hard limit; says whether wanted fit into it. E_LIMIT
 * names the limit. */
MUST_USE int net_allow_sockets(unsigned wanted, struct fail *fail);

#endif
