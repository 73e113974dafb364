/* A whole node in the test's process, on free ports and a directory of its own; or the program
 * itself as a child, for tests that use up what a process may have.
 *
 * Thread:  the test's, which becomes THREAD_MAIN.
 */
#ifndef NACRE_TESTS_NODE_RIG_H
#define NACRE_TESTS_NODE_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct rig;

/* Start a node. settings: "key=value", ended by NULL; may be NULL. */
struct rig *rig_start(const char *const *settings);

/* Stop it in order and start it again on what it left, on other ports. settings of rig_start still
 * exist. */
void rig_restart(struct rig *r);

/* Its data directory. */
const char *rig_dir(const struct rig *r);

/* Stop it and remove its directory. */
void rig_stop(struct rig *r);

uint16_t rig_http(const struct rig *r);
uint16_t rig_grpc(const struct rig *r);

/* A node as a child process. Plain data. */
struct child {
    pid_t pid;
    uint16_t http;
    uint16_t grpc;
    char dir[64];
};

/* Start the program and wait until it is ready. files: its limit of open files. */
struct child child_start(const char *const *settings, unsigned files);

/* True while it runs. */
bool child_alive(const struct child *c);

/* How many descriptors it has open. */
size_t child_files(const struct child *c);

/* SIGTERM; the test fails unless it ends by itself with exit code 0. */
void child_stop(struct child *c);

/* Milliseconds of the monotonic clock. */
uint64_t now_ms(void);

/* For loops that wait for a condition: let others run for a moment. False when the time is out. */
bool wait_a_little(uint64_t until_ms);

#endif
