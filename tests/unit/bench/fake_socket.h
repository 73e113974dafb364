/* A listening socket on a free port of 127.0.0.1, for the servers of these tests. */
#ifndef NACRE_TESTS_FAKE_SOCKET_H
#define NACRE_TESTS_FAKE_SOCKET_H

/* Non-blocking; asserts that the system gives one. The caller closes it. */
int fake_listen(unsigned *ret_port);

#endif
