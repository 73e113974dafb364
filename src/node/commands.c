#include "node/commands.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/mem.h"
#include "node/backup.h"
#include "node/control.h"
#include "wire/json_in.h"

#define ANSWER_MAX (4u << 20)
#define IMPORT_TIMEOUT_S 600L

/* The node has another working directory. */
static int absolute(const char *file, char dst[PATH_MAX * 2], struct fail *fail)
{
    char cwd[PATH_MAX];
    if (file[0] == '/') {
        snprintf(dst, PATH_MAX * 2, "%s", file);
        return 0;
    }
    if (!getcwd(cwd, sizeof(cwd))) {
        return fail_set(fail, E_IO, "the current directory is gone; give an absolute file name");
    }
    snprintf(dst, PATH_MAX * 2, "%s/%s", cwd, file);
    return 0;
}

static int run_backup(const struct cli *cli, const struct options *options, struct fail *fail)
{
    char file[PATH_MAX * 2];
    char command[PATH_MAX * 2 + 16];
    int err = absolute(cli->operand, file, fail);
    if (err) {
        return err;
    }
    snprintf(command, sizeof(command), "backup %s", file);
    return control_ask(options->data_dir, command, stdout, fail);
}

static int run_restore(const struct cli *cli, const struct options *options, struct fail *fail)
{
    char about[BACKUP_ABOUT_MAX] = "";
    if (!cli->check_only) {
        return backup_restore(cli->operand, options->data_dir, stdout, fail);
    }
    int err = backup_check(cli->operand, about, fail);
    if (!err) {
        printf("%s is a whole backup\n%s", cli->operand, about);
    }
    return err;
}

/* ---------------------------------------------------------------- import, through the node's API
 */

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

static int post_import(CURL *curl, const struct cli *cli, const char *url, struct answer *answer,
                       struct fail *fail)
{
    char reason[CURL_ERROR_SIZE] = "";
    curl_mime *form = curl_mime_init(curl);
    curl_mimepart *part = curl_mime_addpart(form);
    int err = 0;
    curl_mime_name(part, "file");
    if (curl_mime_filedata(part, cli->operand) != CURLE_OK) {
        err = fail_set(fail, E_NOT_FOUND, "cannot read %s", cli->operand);
        goto out;
    }
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_MIMEPOST, form);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, IMPORT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK) {
        err = fail_set(fail, E_IO, "%s: %s; does the node run there? (--port, --address)", url,
                       reason[0] ? reason : curl_easy_strerror(code));
    }
out:
    curl_mime_free(form);
    return err;
}

static int run_import(const struct cli *cli, const struct options *options, struct fail *fail)
{
    char url[4096];
    const char *host = options->server_address;
    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0) {
        host = "127.0.0.1";
    }
    bool is_v6 = strchr(host, ':') != NULL;
    CURL *curl = curl_easy_init();
    if (!curl) {
        return fail_set(fail, E_IO, "libcurl cannot be used here");
    }
    char *namespace_id = curl_easy_escape(curl, cli->namespace_id ? cli->namespace_id : "", 0);
    char *policy = curl_easy_escape(curl, cli->policy ? cli->policy : "ABORT", 0);
    snprintf(url, sizeof(url),
             "http://%s%s%s:%lld%s/v1/cs/configs?import=true&namespace=%s&policy=%s",
             is_v6 ? "[" : "", host, is_v6 ? "]" : "", (long long)options->server_port,
             options->context_path, namespace_id, policy);
    struct answer answer = {0};
    int err = post_import(curl, cli, url, &answer, fail);
    if (!err) {
        err = judge(&answer, fail);
    }
    mem_free(answer.text);
    curl_free(namespace_id);
    curl_free(policy);
    curl_easy_cleanup(curl);
    return err;
}

int commands_run(const struct cli *cli, const struct options *options, struct fail *fail)
{
    switch (cli->command) {
    case CLI_BACKUP:
        return run_backup(cli, options, fail);
    case CLI_RESTORE:
        return run_restore(cli, options, fail);
    case CLI_IMPORT:
        return run_import(cli, options, fail);
    case CLI_SERVER:
    case CLI_HELP:
    case CLI_VERSION:
        break;
    }
    return fail_set(fail, E_INTERNAL, "no such command");
}
