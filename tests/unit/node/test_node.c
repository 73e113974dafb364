/* Start and stop: in order, all or nothing, with the reason. */
#include "node/node.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/thread.h"
#include "web.h"

#define GRPC_OFFSET 1000
#define PORT_TRIES 200
#define NOBODY 65534

/* A socket that listens on 127.0.0.1; port 0: any. -1 when the port is taken. */
static int listen_on(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    if (bind(fd, (struct sockaddr *)(void *)&at, sizeof(at)) != 0 || listen(fd, 1) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* A port P so that P and P + 1000 are free. Another process may be quicker; then a test that starts
 * on them fails with the reason, which is better than a wait. */
static uint16_t free_ports(void)
{
    static uint16_t next = 0;
    if (next == 0) {
        next = (uint16_t)(20000 + (unsigned)getpid() % 9000);
    }
    for (int i = 0; i < PORT_TRIES; i++) {
        uint16_t port = next++;
        int http = listen_on(port);
        int grpc = listen_on((uint16_t)(port + GRPC_OFFSET));
        if (http >= 0) {
            close(http);
        }
        if (grpc >= 0) {
            close(grpc);
        }
        if (http >= 0 && grpc >= 0) {
            return port;
        }
    }
    fail_msg("no free ports");
    return 0;
}

/* A node's options in a directory of its own. */
struct place {
    struct options options;
    char dir[64];
    char port[16];
};

static void place_open(struct place *p, uint16_t port, const char *dir, const char *context)
{
    memset(p, 0, sizeof(*p));
    if (dir) {
        snprintf(p->dir, sizeof(p->dir), "%s", dir);
    } else {
        snprintf(p->dir, sizeof(p->dir), "/tmp/nacre-node-XXXXXX");
        assert_non_null(mkdtemp(p->dir));
    }
    snprintf(p->port, sizeof(p->port), "%u", port);
    struct option_arg args[] = {
        {SPAN("server.port"), span_str(p->port)},
        {SPAN("server.address"), SPAN("127.0.0.1")},
        {SPAN("nacre.data"), span_str(p->dir)},
        {SPAN("nacre.stop.grace"), SPAN("200")},
        {SPAN("server.servlet.contextPath"), span_str(context ? context : "/nacos")},
    };
    struct options_source source = {.args = args, .args_count = ARRAY_LEN(args)};
    struct fail fail = {0};
    assert_int_equal(options_load(&p->options, &source, &fail), 0);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void place_close(struct place *p, bool keep_dir)
{
    if (!keep_dir) {
        assert_int_equal(nftw(p->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    }
    options_close(&p->options);
}

static struct node *start(const struct place *p)
{
    struct node *node = NULL;
    struct fail fail = {0};
    if (node_start(&p->options, &node, &fail) != 0) {
        fail_msg("%s", fail.text);
    }
    return node;
}

static void refuse(const struct place *p, int err, const char *words)
{
    struct node *node = NULL;
    struct fail fail = {0};
    int got = node_start(&p->options, &node, &fail);
    if (got != err || !strstr(fail.text, words)) {
        fail_msg("expected %s %s\ngot %s %s", err_name(err), words, err_name(got), fail.text);
    }
    assert_null(node);
}

static void expect_get(uint16_t port, const char *line, int status, const char *body)
{
    struct web_reply r = web_ask(port, line, "", NULL);
    assert_int_equal(r.status, status);
    if (!strstr(r.body, body)) {
        fail_msg("%s: expected \"%s\" in \"%s\"", line, body, r.body);
    }
    web_reply_close(&r);
}

static bool is_open(uint16_t port)
{
    int fd = web_open(port);
    if (fd < 0) {
        return false;
    }
    close(fd);
    return true;
}

/* ---------------------------------------------------------------- tests */

static void run_with_few_files(unsigned files, bool starts, const char *log, int fd)
{
    struct place p;
    place_open(&p, free_ports(), NULL, NULL);
    /* Who may raise every limit has none. */
    if (geteuid() == 0) {
        assert_int_equal(chown(p.dir, NOBODY, NOBODY), 0);
        assert_int_equal(setgid(NOBODY), 0);
        assert_int_equal(setuid(NOBODY), 0);
    }
    log_set_level(LOG_LEVEL_WARN);
    assert_int_equal(log_open(log, 1 << 20), 0);
    struct rlimit limit = {files, files};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (starts) {
        struct node *node = start(&p);
        expect_get(node_http_port(node), "GET /nacos/v1/console/health/readiness", 200, "OK");
        node_stop(node);
    } else {
        refuse(&p, E_LIMIT, "the limit of open files is 200; at least 320 are needed");
    }
    char text[4096] = "";
    assert_true(pread(fd, text, sizeof(text) - 1, 0) >= 0);
    assert_true(!starts || strstr(text, "event=file_limit files=2000 wanted=24352 "
                                        "connections_max=1447 http_connections_max=296"));
    place_close(&p, false);
}

/* In a child, as limits and identity stay with a process. First of all tests: gRPC dislikes forks.
 */
static void test_start__few_open_files__takes_fewer_connections_or_says_so(void **state)
{
    (void)state;
    static const struct {
        unsigned files;
        bool starts;
    } cases[] = {{200, false}, {2000, true}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char log[] = "/tmp/nacre-node-log-XXXXXX";
        int fd = mkstemp(log);
        assert_true(fd >= 0 && fchmod(fd, 0666) == 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            run_with_few_files(cases[i].files, cases[i].starts, log, fd);
            _exit(42);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        close(fd);
        unlink(log);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 42);
    }
}

static void test_start__serves_until_it_is_stopped(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, free_ports(), NULL, NULL);
    struct node *node = start(&p);
    uint16_t http = node_http_port(node);
    uint16_t grpc = node_grpc_port(node);
    assert_int_equal(http, p.options.server_port);
    assert_int_equal(grpc, http + GRPC_OFFSET);
    assert_true(is_open(grpc));
    expect_get(http, "GET /nacos/v1/console/health/readiness", 200, "OK");
    expect_get(http, "GET /nacos/v1/ns/instance/list?serviceName=a", 200, "\"hosts\":[]");
    expect_get(http, "GET /nacos/actuator/prometheus", 200, "nacre_http_requests_total");
    expect_get(http, "GET /nacos/", 200, "<");
    node_stop(node);
    assert_false(is_open(http));
    assert_false(is_open(grpc));
    place_close(&p, false);
}

/* The lock of the directory and the ports are free again at once. */
static void test_start__again_after_a_stop__works(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, free_ports(), NULL, NULL);
    for (int i = 0; i < 2; i++) {
        struct node *node = start(&p);
        expect_get(node_http_port(node), "GET /nacos/v1/console/health/readiness", 200, "OK");
        node_stop(node);
    }
    place_close(&p, false);
}

static void test_start__directory_in_use__names_the_other_node(void **state)
{
    (void)state;
    struct place one;
    struct place two;
    place_open(&one, free_ports(), NULL, NULL);
    struct node *node = start(&one);
    place_open(&two, free_ports(), one.dir, NULL);
    char words[128];
    snprintf(words, sizeof(words), "the data directory %s is in use by nacre pid %ld", one.dir,
             (long)getpid());
    refuse(&two, E_CONFLICT, words);
    assert_false(is_open((uint16_t)two.options.server_port));
    /* The first one is none the worse for it. */
    expect_get(node_http_port(node), "GET /nacos/v1/console/health/readiness", 200, "OK");
    node_stop(node);
    place_close(&two, true);
    place_close(&one, false);
}

static void test_start__ports_of_another_node__are_named(void **state)
{
    (void)state;
    struct place one;
    struct place two;
    place_open(&one, free_ports(), NULL, NULL);
    struct node *node = start(&one);
    place_open(&two, (uint16_t)one.options.server_port, NULL, NULL);
    char words[64];
    snprintf(words, sizeof(words), "cannot listen for gRPC on 127.0.0.1:%u", node_grpc_port(node));
    refuse(&two, E_IO, words);
    expect_get(node_http_port(node), "GET /nacos/v1/console/health/readiness", 200, "OK");
    node_stop(node);
    /* What failed has let its directory go. */
    node = start(&two);
    node_stop(node);
    place_close(&two, false);
    place_close(&one, false);
}

/* Only one of the two ports is taken: what was bound before is given back. */
static void test_start__one_port_taken__leaves_the_other_free(void **state)
{
    (void)state;
    struct place p;
    uint16_t port = free_ports();
    place_open(&p, port, NULL, NULL);
    int http = listen_on(port);
    assert_true(http >= 0);
    char words[64];
    snprintf(words, sizeof(words), "cannot listen on 127.0.0.1 port %u: Address already in use",
             port);
    refuse(&p, E_IO, words);
    assert_false(is_open((uint16_t)(port + GRPC_OFFSET)));
    close(http);
    int grpc = listen_on((uint16_t)(port + GRPC_OFFSET));
    assert_true(grpc >= 0);
    snprintf(words, sizeof(words), "cannot listen for gRPC on 127.0.0.1:%u", port + GRPC_OFFSET);
    refuse(&p, E_IO, words);
    assert_false(is_open(port));
    close(grpc);
    struct node *node = start(&p);
    node_stop(node);
    place_close(&p, false);
}

static void test_start__no_directory__says_why(void **state)
{
    (void)state;
    char file[] = "/tmp/nacre-node-file-XXXXXX";
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    struct place p;
    place_open(&p, free_ports(), file, NULL);
    refuse(&p, E_IO, file);
    place_close(&p, true);
    char below[64];
    snprintf(below, sizeof(below), "%s/data", file);
    place_open(&p, free_ports(), below, NULL);
    refuse(&p, E_IO, file);
    place_close(&p, true);
    close(fd);
    unlink(file);
}

static void test_start__no_such_address__says_so(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, free_ports(), NULL, NULL);
    p.options.server_address = "192.0.2.1";
    refuse(&p, E_IO, "192.0.2.1");
    place_close(&p, false);
}

static void test_context__another_or_none__is_where_the_routes_are(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, free_ports(), NULL, "/registry");
    struct node *node = start(&p);
    expect_get(node_http_port(node), "GET /registry/v1/console/health/liveness", 200, "OK");
    expect_get(node_http_port(node), "GET /nacos/v1/console/health/liveness", 404, "");
    node_stop(node);
    place_close(&p, false);
    place_open(&p, free_ports(), NULL, "/");
    node = start(&p);
    expect_get(node_http_port(node), "GET /v1/console/health/liveness", 200, "OK");
    node_stop(node);
    place_close(&p, false);
}

static void test_directory__is_closed_to_others(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, free_ports(), NULL, NULL);
    assert_int_equal(chmod(p.dir, 0755), 0);
    struct node *node = start(&p);
    struct stat seen = {0};
    assert_int_equal(stat(p.dir, &seen), 0);
    assert_int_equal(seen.st_mode & 0777, 0700);
    node_stop(node);
    place_close(&p, false);
}

static void test_stop__with_what_clients_left__ends_in_time(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, free_ports(), NULL, NULL);
    struct node *node = start(&p);
    uint16_t port = node_http_port(node);
    struct web_reply r =
        web_ask(port, "POST /nacos/v1/ns/instance", "", "serviceName=a&ip=10.0.0.1&port=80");
    assert_int_equal(r.status, 200);
    web_reply_close(&r);
    /* A connection that says nothing, one in the middle of a request, one to gRPC. */
    int idle = web_open(port);
    int half = web_open(port);
    int grpc = web_open(node_grpc_port(node));
    assert_true(idle >= 0 && half >= 0 && grpc >= 0);
    assert_true(web_send(half, "GET /nacos/v1/ns/ins", 20));
    node_stop(node);
    close(idle);
    close(half);
    close(grpc);
    place_close(&p, false);
}

/* Members that are not there: the node waits for them, and can be told to end meanwhile. */
static void test_start__waits_for_members__ends_when_asked_to(void **state)
{
    (void)state;
    struct place p;
    struct node *node = NULL;
    struct fail fail = {0};
    sigset_t term;
    sigset_t before;
    struct timespec none = {0};
    place_open(&p, free_ports(), NULL, NULL);
    p.options.members = "127.0.0.1:1,no-such-name.invalid:1";
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &term, &before), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(node_start(&p.options, &node, &fail), E_CLOSED);
    assert_null(node);
    assert_int_equal(sigtimedwait(&term, NULL, &none), SIGTERM);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    place_close(&p, false);
}

static void test_stop__nothing__is_fine(void **state)
{
    (void)state;
    node_stop(NULL);
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    log_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start__few_open_files__takes_fewer_connections_or_says_so),
        cmocka_unit_test(test_start__serves_until_it_is_stopped),
        cmocka_unit_test(test_start__again_after_a_stop__works),
        cmocka_unit_test(test_start__directory_in_use__names_the_other_node),
        cmocka_unit_test(test_start__ports_of_another_node__are_named),
        cmocka_unit_test(test_start__one_port_taken__leaves_the_other_free),
        cmocka_unit_test(test_start__no_directory__says_why),
        cmocka_unit_test(test_start__no_such_address__says_so),
        cmocka_unit_test(test_context__another_or_none__is_where_the_routes_are),
        cmocka_unit_test(test_directory__is_closed_to_others),
        cmocka_unit_test(test_stop__with_what_clients_left__ends_in_time),
        cmocka_unit_test(test_start__waits_for_members__ends_when_asked_to),
        cmocka_unit_test(test_stop__nothing__is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
