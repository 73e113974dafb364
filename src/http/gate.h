/* The gate: how many connections there are, in all and from one address.
 *
 * Thread:  any; one mutex, held for a table look-up.
 * Limits:  max connections, per_ip_max from one address.
 */
#ifndef NACRE_HTTP_GATE_H
#define NACRE_HTTP_GATE_H

#include <stdbool.h>

#include <sys/socket.h>

#include "base/macros.h"

enum gate_answer { GATE_OPEN, GATE_FULL, GATE_FULL_FOR_IP };

struct gate;

/* An empty gate; both limits are at least 1. */
MUST_USE struct gate *gate_create(unsigned max, unsigned per_ip_max);

/* Forget everybody and free; NULL is fine. */
void gate_destroy(struct gate *g);

/* Count a connection from addr in, when there is room. */
MUST_USE enum gate_answer gate_enter(struct gate *g, const struct sockaddr *addr);

/* Count a connection out that gate_enter let in. */
void gate_leave(struct gate *g, const struct sockaddr *addr);

/* How many are in. */
unsigned gate_count(struct gate *g);

/* True when both are the same address, whatever their ports. An IPv4 address inside IPv6 is that
 * IPv4 address. */
bool gate_same_ip(const struct sockaddr *a, const struct sockaddr *b);

#endif
