/* The control socket: DIR/control.sock, by which commands on this machine talk to the running node.
 * Who may open it is the file system's business (the directory is 0700, the socket 0600).
 *
 * One line asks ("backup /path/of/file", "cluster members"), lines answer: "progress TEXT", then
 * "done TEXT" or "error TEXT"; then the connection ends.
 *
 * Thread:  control_start, control_stop: main. The server has a thread of its own, and each command
 *          one while it runs. control_ask: any, of another process.
 * Limits:  CONTROL_LINE_MAX bytes a line, CONTROL_IDLE_S for a client that does not speak,
 *          CONTROL_SESSIONS_MAX commands at a time, one backup among them.
 */
#ifndef NACRE_NODE_CONTROL_H
#define NACRE_NODE_CONTROL_H

#include <stdio.h>

#include "base/fail.h"
#include "base/macros.h"

#define CONTROL_FILE "control.sock"
#define CONTROL_LINE_MAX 8192
#define CONTROL_IDLE_S 5
#define CONTROL_SESSIONS_MAX 8

struct core;
struct control;

/* Listen in the data directory (which this node has locked). E_IO */
MUST_USE int control_start(const char *dir, struct core *core, struct control **ret,
                           struct fail *fail);

/* Ends what runs as soon as it can be, and the thread. NULL is fine. */
void control_stop(struct control *take_control);

/* Send a command to the node of a directory and print its progress to say; the text of "done" is
 * the last line printed. E_NOT_FOUND  no node runs there   otherwise the node's "error" text */
MUST_USE int control_ask(const char *dir, const char *command, FILE *say, struct fail *fail);

#endif
