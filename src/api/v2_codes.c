/* The v2 table as code: the compiler makes a search of it. */
#include "api/v2_codes.h"

const char *v2_code_text(int code)
{
    switch (code) {
#define X(name, number, text)                                                                      \
    case name:                                                                                     \
        return text;
        V2_CODE_MAP(X)
#undef X
    default:
        return "server error";
    }
}

void v2_begin(struct json_out *j)
{
    rest_begin(j, V2_SUCCESS, v2_code_text(V2_SUCCESS));
}

void v2_end(struct json_out *j)
{
    rest_end(j);
}

void rest_begin(struct json_out *j, int code, const char *message)
{
    json_object(j);
    json_kint(j, "code", code);
    json_key(j, "message");
    if (message) {
        json_str(j, span_str(message));
    } else {
        json_null(j);
    }
    json_key(j, "data");
}

void rest_end(struct json_out *j)
{
    json_object_end(j);
}
