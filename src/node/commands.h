/* The commands beside the server: cluster, backup, restore, import.
 *
 * Thread:  main. Each prints what it did to standard output and returns 0, or a negative code with
 *          the reason.
 */
#ifndef NACRE_NODE_COMMANDS_H
#define NACRE_NODE_COMMANDS_H

#include "node/cli.h"

/* Run cli->command, one of those beside the server, with the options that the server on this
 * machine would have (data directory, port, context path). */
MUST_USE int commands_run(const struct cli *cli, const struct options *options, struct fail *fail);

#endif
