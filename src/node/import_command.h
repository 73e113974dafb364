/* nacre import FILE: give an export zip to the running node, through its HTTP API.
 *
 * Thread:  main of the command. Blocks until the node has answered.
 * Limits:  600 s; an answer of 4 MiB.
 * Source:  http-api.md 2 (POST /v1/cs/configs?import=true).
 */
#ifndef NACRE_NODE_IMPORT_COMMAND_H
#define NACRE_NODE_IMPORT_COMMAND_H

#include "base/fail.h"
#include "base/macros.h"
#include "node/cli.h"
#include "node/options.h"

/* Print the node's answer; fails when it refused.
 * E_NOT_FOUND  no such file   E_IO  no answer, or no libcurl   E_INVALID  refused: the node's words
 * E_PARSE  the answer is none of a node */
MUST_USE int import_command(const struct cli *cli, const struct options *options,
                            struct fail *fail);

#endif
