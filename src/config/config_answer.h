/* Answers of reads: one chosen version as a ConfigQueryResponse or as an HTTP response.
 *
 * Thread:  any (edge for the view's reads, core after a load). The bytes of content are shared, not
 *          copied, where the form allows it (HTTP v1; gRPC when nothing in them needs escaping).
 * Source:  grpc-sdk.md 5.3.1; http-api.md 2.2, 3.1.
 */
#ifndef NACRE_CONFIG_CONFIG_ANSWER_H
#define NACRE_CONFIG_CONFIG_ANSWER_H

#include "api/call.h"
#include "config/config_value.h"

/* The version's content is in memory (asserted). */
void config_answer_rpc(struct api_call *call, const struct config_choice *choice);

/* Not found as SDKs know it: resultCode 500, errorCode 300, "config data not exist". */
int config_not_found_rpc(struct fail *fail);

/* 200 with content and headers (http-api.md 2.2); v2: inside the v2 envelope (3.1). */
void config_answer_http(struct api_call *call, const struct config_choice *choice, bool v2);

/* 404 as clients know it: "config data not exist" and a line end; v2: 20004 in the envelope. It is
 * an answer, no failure. */
void config_not_found_http(struct api_call *call, bool v2);

#endif
