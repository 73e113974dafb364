#include "rig.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "node/node.h"
#include "node/options.h"
#include "web.h"

#define SETTINGS_MAX 16
#define STARTS_MAX 50
#define READY_MS 15000
#define STOP_MS 20000
#define GRPC_OFFSET 1000
/* Below the range from which the kernel takes the ports of clients. */
#define PORT_FIRST 10000
#define PORT_COUNT 20000

struct rig {
    struct options options;
    struct node *node;
    const char *const *settings;
    char dir[64];
    char texts[SETTINGS_MAX + 3][256];
};

uint64_t now_ms(void)
{
    return clock_mono_ms();
}

bool wait_a_little(uint64_t until_ms)
{
    (void)poll(NULL, 0, 5);
    return now_ms() < until_ms;
}

static bool is_free(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(fd >= 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    bool free_now = bind(fd, (struct sockaddr *)(void *)&at, sizeof(at)) == 0;
    (void)close(fd);
    return free_now;
}

/* A port with a free one GRPC_OFFSET above it. Another process may still be quicker. */
static uint16_t pick_port(void)
{
    static unsigned step;
    for (int i = 0; i < PORT_COUNT; i++) {
        unsigned at = ((unsigned)getpid() * 37u + step++ * 3u) % PORT_COUNT;
        uint16_t port = (uint16_t)(PORT_FIRST + at);
        if (is_free(port) && is_free((uint16_t)(port + GRPC_OFFSET))) {
            return port;
        }
    }
    ASSERT(!"no port is free");
    return 0;
}

static void make_dir(char dir[64])
{
    (void)snprintf(dir, 64, "/tmp/nacre-node-XXXXXX");
    ASSERT(mkdtemp(dir) != NULL);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void remove_dir(const char *dir)
{
    ASSERT(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

static void load(struct rig *r, const char *const *settings, uint16_t port)
{
    struct option_arg args[SETTINGS_MAX + 3];
    size_t count = 0;
    (void)snprintf(r->texts[count++], sizeof(r->texts[0]), "server.port=%u", port);
    (void)snprintf(r->texts[count++], sizeof(r->texts[0]), "server.address=127.0.0.1");
    (void)snprintf(r->texts[count++], sizeof(r->texts[0]), "nacre.data=%s", r->dir);
    for (; settings && *settings; settings++) {
        ASSERT(count < SETTINGS_MAX);
        (void)snprintf(r->texts[count++], sizeof(r->texts[0]), "%s", *settings);
    }
    for (size_t i = 0; i < count; i++) {
        struct span rest = span_str(r->texts[i]);
        args[i].key = span_cut(&rest, '=');
        args[i].value = rest;
    }
    struct options_source source = {.args = args, .args_count = count};
    struct fail fail = {0};
    if (options_load(&r->options, &source, &fail) != 0) {
        (void)fprintf(stderr, "%s\n", fail_text(&fail));
        ASSERT(!"options that load");
    }
}

/* Other processes may be quicker with a port. */
static void start(struct rig *r)
{
    struct fail fail = {0};
    for (int i = 0; i < STARTS_MAX; i++) {
        load(r, r->settings, pick_port());
        if (node_start(&r->options, &r->node, &fail) == 0) {
            return;
        }
        options_close(&r->options);
    }
    (void)fprintf(stderr, "%s\n", fail_text(&fail));
    ASSERT(!"a node that starts");
}

struct rig *rig_start(const char *const *settings)
{
    if (thread_kind() == THREAD_NONE) {
        thread_become(THREAD_MAIN, "test");
        log_set_level(LOG_LEVEL_ERROR);
    }
    struct rig *r = calloc(1, sizeof(*r));
    make_dir(r->dir);
    r->settings = settings;
    start(r);
    return r;
}

void rig_restart(struct rig *r)
{
    node_stop(r->node);
    options_close(&r->options);
    start(r);
}

const char *rig_dir(const struct rig *r)
{
    return r->dir;
}

void rig_stop(struct rig *r)
{
    node_stop(r->node);
    options_close(&r->options);
    remove_dir(r->dir);
    free(r);
}

uint16_t rig_http(const struct rig *r)
{
    return node_http_port(r->node);
}

uint16_t rig_grpc(const struct rig *r)
{
    return node_grpc_port(r->node);
}

/* The command line of a child. Plain data. */
struct command {
    char *argv[8 + 2 * SETTINGS_MAX];
    char texts[SETTINGS_MAX][256];
    char words[5][16];
    char port[16];
    char data[64];
};

static void make_command(struct command *m, const struct child *c, const char *const *settings)
{
    static char program[256];
    const char *other = getenv("NACRE_PROGRAM"); /* another build, to compare */
    (void)snprintf(program, sizeof(program), "%s", other ? other : NACRE_PROGRAM);
    static const char *const words[] = {"server", "--port", "--data", "-D"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        (void)snprintf(m->words[i], sizeof(m->words[i]), "%s", words[i]);
    }
    (void)snprintf(m->port, sizeof(m->port), "%u", c->http);
    memcpy(m->data, c->dir, sizeof(m->data));
    size_t argc = 0;
    m->argv[argc++] = program;
    m->argv[argc++] = m->words[0];
    m->argv[argc++] = m->words[1];
    m->argv[argc++] = m->port;
    m->argv[argc++] = m->words[2];
    m->argv[argc++] = m->data;
    for (size_t i = 0; settings && settings[i] && i < SETTINGS_MAX; i++) {
        (void)snprintf(m->texts[i], sizeof(m->texts[i]), "%s", settings[i]);
        m->argv[argc++] = m->words[3];
        m->argv[argc++] = m->texts[i];
    }
    m->argv[argc] = NULL;
}

/* In the child, between fork and exec: only what is safe beside other threads. */
static void become_server(const struct command *m, unsigned files)
{
    struct rlimit limit = {.rlim_cur = files, .rlim_max = files};
    if (chdir(m->data) == 0) {
        int log = open("out", O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (log >= 0 && dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0 &&
            close(log) == 0 && setrlimit(RLIMIT_NOFILE, &limit) == 0) {
            (void)execv(m->argv[0], m->argv);
        }
    }
    _exit(127);
}

static bool is_ready(const struct child *c)
{
    struct web_reply r = web_ask(c->http, "GET /nacos/v1/console/health/readiness", "", NULL);
    bool ready = r.status == 200;
    web_reply_close(&r);
    return ready;
}

struct child child_start(const char *const *settings, unsigned files)
{
    struct child c = {0};
    make_dir(c.dir);
    c.http = pick_port();
    c.grpc = (uint16_t)(c.http + GRPC_OFFSET);
    struct command *command = calloc(1, sizeof(*command));
    make_command(command, &c, settings);
    /* A flood makes and frees much that is not ours to check: let it be quick. */
    ASSERT(setenv("ASAN_OPTIONS", "quarantine_size_mb=8:malloc_context_size=1", 0) == 0);
    c.pid = fork();
    ASSERT(c.pid >= 0);
    if (c.pid == 0) {
        become_server(command, files);
    }
    free(command);
    uint64_t until = now_ms() + READY_MS;
    while (!is_ready(&c)) {
        ASSERT(child_alive(&c));
        ASSERT(wait_a_little(until));
    }
    return c;
}

bool child_alive(const struct child *c)
{
    return waitpid(c->pid, NULL, WNOHANG) == 0;
}

size_t child_files(const struct child *c)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)c->pid);
    DIR *d = opendir(path);
    size_t count = 0;
    while (d && readdir(d)) {
        count++;
    }
    if (d) {
        (void)closedir(d);
    }
    return count > 2 ? count - 2 : 0;
}

void child_stop(struct child *c)
{
    ASSERT(kill(c->pid, SIGTERM) == 0);
    int status = 0;
    uint64_t until = now_ms() + STOP_MS;
    while (waitpid(c->pid, &status, WNOHANG) == 0) {
        ASSERT(wait_a_little(until));
    }
    ASSERT(WIFEXITED(status));
    ASSERT(WEXITSTATUS(status) == 0);
    remove_dir(c->dir);
}
