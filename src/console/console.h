/* The console: one page, its style and its script, embedded in the program.
 *
 * Thread:  any; constants only.
 */
#ifndef NACRE_CONSOLE_CONSOLE_H
#define NACRE_CONSOLE_CONSOLE_H

#include <stddef.h>

#include "api/asset.h"

/* The files with their paths below the context; *ret_count says how many. Static. */
const struct http_asset *console_assets(size_t *ret_count);

#endif
