/* Intake: what a row is given, from a request that is completely here.
 *
 * Thread:  the connection's edge thread.
 * Source:  http-api.md 1.1 (parameter sources, merging), 4.0.
 */
#ifndef NACRE_HTTP_INTAKE_H
#define NACRE_HTTP_INTAKE_H

#include "http/request.h"

/* Fill params (parameters, headers, raw body) and the call's caller. Spans live as long as the
 * request. E_PARSE  a broken multipart body   E_INVALID  more than API_PARAMS_MAX */
MUST_USE int intake_read(struct request *r, struct api_params *params, struct fail *fail);

#endif
