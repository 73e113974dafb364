/* The configuration centre's gRPC request types, a row each.
 *
 * Thread:  the table is constant; its functions run as row.h says. read_self: const struct
 *          config_edge *, admit_self: struct config *.
 */
#ifndef NACRE_CONFIG_CONFIG_ROWS_H
#define NACRE_CONFIG_CONFIG_ROWS_H

#include "api/row.h"

/* The rows; the array is constant. */
const struct api_row *config_rpc_rows(size_t *ret_count);

#endif
