#include "console/console.h"

#include <console_web.h>

#include "base/macros.h"

#define HTML "text/html;charset=UTF-8"
#define CSS "text/css;charset=UTF-8"
#define SCRIPT "text/javascript;charset=UTF-8"

static const struct http_asset assets[] = {
    {"/", HTML, web_index_html, sizeof(web_index_html)},
    {"/index.html", HTML, web_index_html, sizeof(web_index_html)},
    {"/console.css", CSS, web_console_css, sizeof(web_console_css)},
    {"/console.js", SCRIPT, web_console_js, sizeof(web_console_js)},
};

const struct http_asset *console_assets(size_t *ret_count)
{
    *ret_count = ARRAY_LEN(assets);
    return assets;
}
