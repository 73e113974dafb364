/* Clients of the registry, whole: requests over gRPC and HTTP, one after the other, decoded,
 * admitted, committed and answered; connections that come and go; time that passes. The invariants
 * of the state are checked after every turn (tests/lib/naming_harness.c), and what is answered is
 * JSON.
 *
 * Input: lines. The first byte chooses what it is: 'a' and up a gRPC request with its JSON, 'A' and
 * up an HTTP route with its query, '0' to '3' the connection of the gRPC requests that follow, '-'
 * its end,
 * '+' seconds. */
#include "fuzz.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "naming/naming_http.h"
#include "naming/naming_rows.h"
#include "naming_calls.h"
#include "wire/json_in.h"

#define LINES_MAX 48
#define CONNECTIONS 4

struct world {
    struct story story;
    uint64_t conns[CONNECTIONS];
    unsigned conn;
};

static void check_answer(struct answer *a, bool is_json)
{
    if (a->err) {
        fuzz_check_fail(a->err, &a->fail);
    } else if (is_json && !strstr(a->text, "\\u0000")) {
        struct cJSON *doc = NULL;
        struct span text = span_str(a->text);
        REQUIRE(utf8_valid(text.data, text.len));
        REQUIRE(json_in_parse(text, &doc, NULL) == 0);
        json_in_free(doc);
    }
    answer_free(a);
}

static void play_rpc(struct world *w, unsigned choice, struct span body)
{
    size_t count = 0;
    const struct api_row *rows = naming_rpc_rows(&count);
    struct answer a = call_rpc_span(&w->story, w->conns[w->conn], rows[choice % count].name, body);
    check_answer(&a, true);
}

static void play_http(struct world *w, unsigned choice, struct span query)
{
    size_t count = 0;
    const struct api_row *rows = naming_http_rows(&count);
    const struct api_row *row = &rows[choice % count];
    size_t params = 1;
    for (size_t i = 0; i < query.len; i++) {
        params += query.data[i] == '&';
    }
    if (params > API_PARAMS_MAX) {
        return; /* the edge refuses it */
    }
    char *text = mem_strndup(query.data ? query.data : "", query.len);
    struct answer a = call_http(&w->story, row->methods, row->name, text);
    check_answer(&a, strcmp(a.text, "ok") != 0);
    mem_free(text);
}

static void play(struct world *w, struct span line)
{
    unsigned choice = fuzz_byte(&line);
    if (choice >= 'a') {
        play_rpc(w, choice - 'a', line);
    } else if (choice >= 'A') {
        play_http(w, choice - 'A', line);
    } else if (choice >= '0' && choice < '0' + CONNECTIONS) {
        w->conn = choice - '0';
    } else if (choice == '-') {
        story_disconnect(&w->story, w->conns[w->conn], REMOVAL_CONNECTION_CLOSED);
        w->conns[w->conn] = story_connect(&w->story, "10.0.0.1");
    } else if (choice == '+') {
        story_advance(&w->story, 1000u * (fuzz_byte(&line) % 64));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of((const char *)data, size);
    struct naming_options options = story_options();
    struct world w = {0};
    story_begin(&w.story, &options);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        w.conns[i] = story_connect(&w.story, "10.0.0.1");
    }
    for (int i = 0; i < LINES_MAX && rest.len > 0; i++) {
        play(&w, fuzz_cut(&rest, '\n'));
    }
    story_end(&w.story);
    return 0;
}
