/* Namespaces over HTTP: the rows of v1 and v2.
 *
 * Thread:  the table is constant; decode: edge, admit: core. admit_self: struct namespaces *.
 * Answers: on core, reads too: a list is small, and nobody reads it often.
 * Source:  http-api.md 8.1, 8.2, 1.6; golden http/console.jsonl.
 */
#ifndef NACRE_NAMESPACE_NAMESPACE_HTTP_H
#define NACRE_NAMESPACE_NAMESPACE_HTTP_H

#include "api/row.h"
#include "namespace/namespace.h"

/* The rows; the array is constant. */
const struct api_row *namespace_http_rows(size_t *ret_count);

/* Answer the call whose operation was applied: err 0, or why it had no effect (E_CONFLICT: it
 * exists, which v1 calls false). Core. */
void namespace_http_answer(struct api_call *take_call, int err, const struct fail *why,
                           struct outbox *out);

#endif
