#include "node/import_command.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define CURL_DISABLE_TYPECHECK /* its macros would take the names of the calls below */
#include <curl/curl.h>

#include "base/assert.h"
#include "base/mem.h"
#include "wire/json_in.h"

#define ANSWER_MAX (4u << 20)
#define IMPORT_TIMEOUT_S 600L
#define LIBRARY "libcurl.so.4"

/* libcurl is loaded when it is used: it brings Kerberos, LDAP and ten more libraries, and every
 * server would carry a megabyte and a half of them. X(member, function) */
#define CURL_MAP(X)                                                                                \
    X(easy_init, curl_easy_init)                                                                   \
    X(easy_cleanup, curl_easy_cleanup)                                                             \
    X(easy_escape, curl_easy_escape)                                                               \
    X(easy_setopt, curl_easy_setopt)                                                               \
    X(easy_perform, curl_easy_perform)                                                             \
    X(easy_strerror, curl_easy_strerror)                                                           \
    X(mime_init, curl_mime_init)                                                                   \
    X(mime_addpart, curl_mime_addpart)                                                             \
    X(mime_name, curl_mime_name)                                                                   \
    X(mime_filedata, curl_mime_filedata)                                                           \
    X(mime_free, curl_mime_free)                                                                   \
    X(free_text, curl_free)

struct curl {
    void *library;
    CURL *handle;
#define X(member, function) __typeof__(function) *member;
    CURL_MAP(X)
#undef X
};

static void curl_close(struct curl *c)
{
    if (c->handle) {
        c->easy_cleanup(c->handle);
    }
    if (c->library) {
        (void)dlclose(c->library);
    }
}

static int curl_open(struct curl *c, struct fail *fail)
{
    c->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!c->library) {
        return fail_set(fail, E_IO, "an import needs libcurl, which cannot be loaded: %s",
                        dlerror());
    }
    bool is_whole = true;
    void *found = NULL;
#define X(member, function)                                                                        \
    found = dlsym(c->library, #function);                                                          \
    memcpy(&c->member, &found, sizeof(found)); /* C has no cast from data to code */               \
    is_whole = is_whole && found;
    CURL_MAP(X)
#undef X
    c->handle = is_whole ? c->easy_init() : NULL;
    if (!c->handle) {
        curl_close(c);
        return fail_set(fail, E_IO, LIBRARY " of this machine cannot be used");
    }
    return 0;
}

struct answer {
    char *text;
    size_t len;
};

static size_t on_answer(char *bytes, size_t size, size_t count, void *arg)
{
    struct answer *a = arg;
    size_t len = size * count;
    if (a->len + len > ANSWER_MAX) {
        return 0;
    }
    a->text = mem_realloc(a->text, a->len + len + 1, 1);
    memcpy(a->text + a->len, bytes, len);
    a->len += len;
    a->text[a->len] = '\0';
    return len;
}

/* {"code":200,"message":...,"data":{...}}: people get the answer as it is, scripts the exit code.
 */
static int judge(const struct answer *a, struct fail *fail)
{
    struct cJSON *doc = NULL;
    struct span text = span_of(a->text, a->len);
    int64_t code = 0;
    if (json_in_object(text, &doc, fail) != 0) {
        return fail_set(fail, E_PARSE, "the node answered: %.300s", a->text ? a->text : "");
    }
    int err = json_in_int(doc, "code", 0, INT32_MAX, &code, fail);
    json_in_free(doc);
    if (!err && code != 200) {
        err = fail_set(fail, E_INVALID, "the node refused: %.400s", a->text);
    }
    if (!err) {
        printf("%.*s\n", SPAN_ARG(text));
    }
    return err;
}

static int post_import(const struct curl *c, const struct cli *cli, const char *url,
                       struct answer *answer, struct fail *fail)
{
    char reason[CURL_ERROR_SIZE] = "";
    curl_mime *form = c->mime_init(c->handle);
    curl_mimepart *part = c->mime_addpart(form);
    int err = 0;
    c->mime_name(part, "file");
    if (c->mime_filedata(part, cli->operand) != CURLE_OK) {
        err = fail_set(fail, E_NOT_FOUND, "cannot read %s", cli->operand);
        goto out;
    }
    c->easy_setopt(c->handle, CURLOPT_URL, url);
    c->easy_setopt(c->handle, CURLOPT_MIMEPOST, form);
    c->easy_setopt(c->handle, CURLOPT_WRITEFUNCTION, on_answer);
    c->easy_setopt(c->handle, CURLOPT_WRITEDATA, answer);
    c->easy_setopt(c->handle, CURLOPT_ERRORBUFFER, reason);
    c->easy_setopt(c->handle, CURLOPT_TIMEOUT, IMPORT_TIMEOUT_S);
    c->easy_setopt(c->handle, CURLOPT_PROTOCOLS_STR, "http");
    c->easy_setopt(c->handle, CURLOPT_PROXY, "");
    CURLcode code = c->easy_perform(c->handle);
    if (code != CURLE_OK) {
        err = fail_set(fail, E_IO, "%s: %s; does the node run there? (--port, --address)", url,
                       reason[0] ? reason : c->easy_strerror(code));
    }
out:
    c->mime_free(form);
    return err;
}

int import_command(const struct cli *cli, const struct options *options, struct fail *fail)
{
    char url[4096];
    const char *host = options->server_address;
    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0) {
        host = "127.0.0.1";
    }
    bool is_v6 = strchr(host, ':') != NULL;
    struct curl c = {0};
    int err = curl_open(&c, fail);
    if (err) {
        return err;
    }
    ASSERT(c.easy_escape);
    char *namespace_id = c.easy_escape(c.handle, cli->namespace_id ? cli->namespace_id : "", 0);
    char *policy = c.easy_escape(c.handle, cli->policy ? cli->policy : "ABORT", 0);
    snprintf(url, sizeof(url),
             "http://%s%s%s:%lld%s/v1/cs/configs?import=true&namespace=%s&policy=%s",
             is_v6 ? "[" : "", host, is_v6 ? "]" : "", (long long)options->server_port,
             options->context_path, namespace_id, policy);
    struct answer answer = {0};
    err = post_import(&c, cli, url, &answer, fail);
    if (!err) {
        err = judge(&answer, fail);
    }
    mem_free(answer.text);
    c.free_text(namespace_id);
    c.free_text(policy);
    curl_close(&c);
    return err;
}
