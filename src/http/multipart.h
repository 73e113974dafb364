/* Bodies of type multipart/form-data, which are here completely: fields become parameters, the
 * first file is kept as it is.
 *
 * Strict where leniency would guess: lines end in CRLF, every part says its name, the closing
 * boundary is there. Not unpacked: filename*, parts within parts, transfer encodings (refused).
 * libmicrohttpd's post processor was not taken: it hands parts out in pieces through a buffer whose
 * size bounds header lines, and cuts silently what does not fit.
 *
 * Thread:  edge, one at a time.
 * Owns:    nothing: names and values point into the body, which is not changed.
 * Limits:  MULTIPART_PARTS_MAX parts, MULTIPART_HEAD_MAX bytes of headers in one, the body itself
 * as any other (upload.h). Source:  RFC 7578 4, RFC 2046 5.1; http-api.md 1.1 (multipart fields
 * count as parameters).
 */
#ifndef NACRE_HTTP_MULTIPART_H
#define NACRE_HTTP_MULTIPART_H

#include "api/params.h"
#include "base/arena.h"
#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

#define MULTIPART_PARTS_MAX API_PARAMS_MAX
#define MULTIPART_HEAD_MAX 4096
#define MULTIPART_BOUNDARY_MAX 70 /* RFC 2046 5.1.1 */

/* What was in a body. Plain data. */
struct multipart {
    struct api_param *list; /* fields, in their order */
    unsigned count;
    struct span file_field; /* the name of the first file's part; data NULL: there was none */
    struct span file_name;  /* what it is called */
    struct span file;
};

/* The boundary that a Content-Type value names. E_PARSE  none, or not 1 to 70 characters */
MUST_USE int multipart_boundary(struct span content_type, struct span *ret, struct fail *fail);

/* Take body apart; list comes from the arena. E_PARSE  with what is wrong and in which part
 * E_INVALID  more than MULTIPART_PARTS_MAX parts */
MUST_USE int multipart_read(struct span body, struct span boundary, struct arena *arena,
                            struct multipart *ret, struct fail *fail);

#endif
