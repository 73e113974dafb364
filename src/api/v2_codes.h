/* Nacos's v2 error codes: the number in fail.v2 and the text that stands beside it as "message";
 * and the envelope {"code","message","data"} that stands around answers.
 *
 * Thread:  any.
 * Source:  http-api.md 1.4, 1.5; Nacos 2.5.1 api/.../model/v2/ErrorCode.java. The odd words
 * ("version version") are Nacos's.
 */
#ifndef NACRE_API_V2_CODES_H
#define NACRE_API_V2_CODES_H

#include "base/json_out.h"

/* X(name, code, text). Clients compare the numbers and show the texts: neither changes. */
#define V2_CODE_MAP(X)                                                                             \
    X(V2_SUCCESS, 0, "success")                                                                    \
    X(V2_PARAMETER_MISSING, 10000, "parameter missing")                                            \
    X(V2_ACCESS_DENIED, 10001, "access denied")                                                    \
    X(V2_DATA_ACCESS_ERROR, 10002, "data access error")                                            \
    X(V2_TENANT_PARAM_ERROR, 20001, "'tenant' parameter error")                                    \
    X(V2_PARAMETER_VALIDATE_ERROR, 20002, "parameter validate error")                              \
    X(V2_MEDIA_TYPE_ERROR, 20003, "MediaType Error")                                               \
    X(V2_RESOURCE_NOT_FOUND, 20004, "resource not found")                                          \
    X(V2_RESOURCE_CONFLICT, 20005, "resource conflict")                                            \
    X(V2_CONFIG_LISTENER_IS_NULL, 20006, "config listener is null")                                \
    X(V2_CONFIG_LISTENER_ERROR, 20007, "config listener error")                                    \
    X(V2_INVALID_DATA_ID, 20008, "invalid dataId")                                                 \
    X(V2_PARAMETER_MISMATCH, 20009, "parameter mismatch")                                          \
    X(V2_GRAY_OVER_MAX, 20010, "config gray version version over max count")                       \
    X(V2_GRAY_RULE_FORMAT_INVALID, 20011, "config gray rule format invalid")                       \
    X(V2_GRAY_RULE_VERSION_INVALID, 20012, "config gray rule version invalid")                     \
    X(V2_GRAY_NAME_UNKNOWN, 20013, "config gray name not recognized")                              \
    X(V2_OVER_CLUSTER_QUOTA, 5031, "cluster capacity reach quota")                                 \
    X(V2_OVER_GROUP_QUOTA, 5032, "group capacity reach quota")                                     \
    X(V2_OVER_TENANT_QUOTA, 5033, "tenant capacity reach quota")                                   \
    X(V2_OVER_MAX_SIZE, 5034, "config content size is over limit")                                 \
    X(V2_SERVICE_NAME_ERROR, 21000, "service name error")                                          \
    X(V2_WEIGHT_ERROR, 21001, "weight error")                                                      \
    X(V2_INSTANCE_METADATA_ERROR, 21002, "instance metadata error")                                \
    X(V2_INSTANCE_NOT_FOUND, 21003, "instance not found")                                          \
    X(V2_INSTANCE_ERROR, 21004, "instance error")                                                  \
    X(V2_SERVICE_METADATA_ERROR, 21005, "service metadata error")                                  \
    X(V2_SELECTOR_ERROR, 21006, "selector error")                                                  \
    X(V2_SERVICE_ALREADY_EXIST, 21007, "service already exist")                                    \
    X(V2_SERVICE_NOT_EXIST, 21008, "service not exist")                                            \
    X(V2_SERVICE_DELETE_FAILURE, 21009, "service delete failure")                                  \
    X(V2_HEALTHY_PARAM_MISS, 21010, "healthy param miss")                                          \
    X(V2_HEALTH_CHECK_RUNNING, 21011, "health check still running")                                \
    X(V2_ILLEGAL_NAMESPACE, 22000, "illegal namespace")                                            \
    X(V2_NAMESPACE_NOT_EXIST, 22001, "namespace not exist")                                        \
    X(V2_NAMESPACE_ALREADY_EXIST, 22002, "namespace already exist")                                \
    X(V2_ILLEGAL_STATE, 23000, "illegal state")                                                    \
    X(V2_NODE_INFO_ERROR, 23001, "node info error")                                                \
    X(V2_NODE_DOWN_FAILURE, 23002, "node down failure")                                            \
    X(V2_SERVER_ERROR, 30000, "server error")

enum v2_code {
#define X(name, code, text) name = code,
    V2_CODE_MAP(X)
#undef X
};

/* The text of a code; the text of V2_SERVER_ERROR for a number outside the table. */
const char *v2_code_text(int code);

/* The success envelope of v2 as bytes, for answers that stand in shared ones. */
#define V2_HEAD "{\"code\":0,\"message\":\"success\",\"data\":"
#define V2_TAIL "}"

/* V2_HEAD: one value follows, then v2_end. */
void v2_begin(struct json_out *j);
void v2_end(struct json_out *j);

/* The same with any code: {"code":200,"message":null,"data": of the console and of some v1 config
 * routes. message NULL: null. One value follows, then rest_end. */
void rest_begin(struct json_out *j, int code, const char *message);
void rest_end(struct json_out *j);

#endif
