/* A file that is part of the program: console/ embeds it, http/ serves it, and neither knows the
 * other.
 *
 * Thread:  any; constants only.
 */
#ifndef NACRE_API_ASSET_H
#define NACRE_API_ASSET_H

#include <stddef.h>

/* Plain data. */
struct http_asset {
    const char *path; /* below the context: "/", "/app.js" */
    const char *content_type;
    const unsigned char *data;
    size_t len;
};

#endif
