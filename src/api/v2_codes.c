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
