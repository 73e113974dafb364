/* A few raw HTTP/2 frames, for what no gRPC client would do.
 *
 * Thread: the test's. Reads have a deadline.
 */
#ifndef NACRE_TESTS_RPC_RAW_H
#define NACRE_TESTS_RPC_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAW_SETTINGS 4
#define RAW_PING 6
#define RAW_GOAWAY 7

/* The two halves of raw_open. */
int raw_socket(void);
bool raw_connect(int fd, uint16_t port);

/* A TCP connection to 127.0.0.1:port; -1 when refused. */
int raw_open(uint16_t port);

/* Send bytes; false when the other side has closed. */
bool raw_send(int fd, const void *bytes, size_t len);

/* The client's preface and empty SETTINGS. */
bool raw_hello(int fd);

/* One PING with this number as its content. */
bool raw_ping(int fd, uint64_t number);

/* Read frames for ms; returns how many of type came, -1 when the server closed the connection. */
int raw_count(int fd, unsigned type, int ms);

/* True when the server closes the connection within ms, whatever it says before. */
bool raw_closed(int fd, int ms);

#endif
