/* More connections than there is room for: the program as a child process, so that its limit of
 * open files is its own. Whoever is connected must not notice. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "bad.h"
#include "rig.h"

#define CROWD 10000
#define STEPS 25
#define CHILD_FILES 20000
#define CLIENTS_AT_400 119 /* what node.c makes of 400 files and the default limits */
#define FILES_OWN 300      /* descriptors of this process besides the crowd's */
#define PUSH_MS 5000       /* long: the machine may be busy */
#define NAME "\"namespace\":\"n\",\"groupName\":\"G\",\"serviceName\":\"seen\""

/* Raise our own limit; how many sockets fit. */
static unsigned room_for(unsigned wanted)
{
    struct rlimit limit = {0};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t files = wanted + FILES_OWN;
    if (limit.rlim_cur < files) {
        limit.rlim_cur = files < limit.rlim_max ? files : limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
    unsigned room = (unsigned)limit.rlim_cur - FILES_OWN;
    if (room < wanted) {
        printf("    the limit of open files leaves %u of %u sockets\n", room, wanted);
    }
    return room < wanted ? room : wanted;
}

/* Connections that say nothing. Plain data. */
struct crowd {
    int *fds;
    size_t count;
};

static void crowd_come(struct crowd *crowd, uint16_t port, unsigned count)
{
    crowd->fds = realloc(crowd->fds, (crowd->count + count) * sizeof(int));
    for (unsigned i = 0; i < count; i++) {
        int fd = web_open(port);
        assert_true(fd >= 0);
        crowd->fds[crowd->count++] = fd;
    }
}

static void crowd_go(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        (void)close(crowd->fds[i]);
    }
    free(crowd->fds);
    *crowd = (struct crowd){0};
}

/* How many of them the server has closed by now. */
static size_t crowd_refused(const struct crowd *crowd)
{
    size_t refused = 0;
    for (size_t i = 0; i < crowd->count; i++) {
        char bytes[512];
        ssize_t got = 1;
        while (got > 0) { /* words of a refusal come before its end */
            got = recv(crowd->fds[i], bytes, sizeof(bytes), MSG_DONTWAIT | MSG_PEEK);
            if (got > 0) {
                (void)recv(crowd->fds[i], bytes, sizeof(bytes), MSG_DONTWAIT);
            }
        }
        refused += got == 0 || (got < 0 && errno != EAGAIN);
    }
    return refused;
}

/* Clients that came before, and one that watches the other. */
struct regulars {
    struct child child;
    struct guest guest;
    struct guest watcher;
    unsigned round;
};

static void ask_fine(const struct guest *g, const char *type, const char *body)
{
    struct client_reply r = client_ask(g->client, type, body);
    assert_int_equal(r.status, GRPC_STATUS_OK);
    assert_non_null(strstr(r.message.json, "\"errorCode\":0"));
    client_reply_close(&r);
}

static void regulars_come(struct regulars *r, const char *const *settings, unsigned files)
{
    *r = (struct regulars){.child = child_start(settings, files)};
    r->guest = guest_open(r->child.grpc, r->child.http);
    r->watcher = guest_open(r->child.grpc, r->child.http);
    ask_fine(&r->watcher, "SubscribeServiceRequest", "{" NAME ",\"subscribe\":true}");
}

/* They register, find, deregister, and are told of it at once. */
static void regulars_are_undisturbed(struct regulars *r)
{
    char body[300];
    char part[64];
    unsigned port = 1000 + r->round++;
    (void)snprintf(body, sizeof(body),
                   "{" NAME ",\"type\":\"registerInstance\",\"instance\":{\"ip\":\"10.0.0.1\","
                   "\"port\":%u}}",
                   port);
    (void)snprintf(part, sizeof(part), "\"port\":%u,", port);
    assert_true(child_alive(&r->child));
    assert_true(guest_is_well(&r->guest));
    assert_true(guest_is_well(&r->watcher));
    ask_fine(&r->guest, "InstanceRequest", body);
    uint64_t until = now_ms() + PUSH_MS;
    for (;;) {
        uint64_t now = now_ms();
        assert_true(now < until);
        const struct client_message *m = client_stream_next(r->watcher.stream, (int)(until - now));
        assert_non_null(m);
        (void)client_stream_ack(r->watcher.stream, client_json_text(m->json, "requestId"));
        if (strstr(m->json, part)) {
            break;
        }
    }
    assert_false(client_stream_ended(r->guest.stream, 0));
    assert_false(client_stream_ended(r->watcher.stream, 0));
}

static void regulars_go(struct regulars *r)
{
    guest_close(&r->guest);
    guest_close(&r->watcher);
    child_stop(&r->child);
}

static void wait_files(const struct child *c, size_t at_most)
{
    uint64_t until = now_ms() + 10000;
    while (child_files(c) > at_most) {
        assert_true(wait_a_little(until));
    }
}

static void expect_open(const struct child *c)
{
    struct guest fresh = guest_open(c->grpc, c->http);
    assert_true(guest_is_well(&fresh));
    guest_close(&fresh);
}

static void expect_ready(const struct child *c)
{
    struct web_reply w = web_ask(c->http, "GET /nacos/v1/console/health/readiness", "", NULL);
    assert_int_equal(w.status, 200);
    web_reply_close(&w);
}

/* Two thirds on the gRPC port, one on the HTTP port, a few at a time so that a delay is seen. */
static void test_half_open__ten_thousand__nobody_notices_and_they_are_forgotten(void **state)
{
    (void)state;
    unsigned step = room_for(CROWD) / (3 * STEPS);
    struct regulars r;
    struct crowd rpc = {0};
    struct crowd web = {0};
    regulars_come(&r, NULL, CHILD_FILES);
    size_t before = child_files(&r.child);
    for (unsigned i = 0; i < STEPS; i++) {
        crowd_come(&rpc, r.child.grpc, 2 * step);
        crowd_come(&web, r.child.http, step);
        regulars_are_undisturbed(&r);
    }
    expect_open(&r.child);
    expect_ready(&r.child);
    crowd_go(&rpc);
    crowd_go(&web);
    wait_files(&r.child, before + 5);
    regulars_are_undisturbed(&r);
    regulars_go(&r);
}

static void wait_refused(const struct crowd *crowd, size_t at_least)
{
    uint64_t until = now_ms() + CLIENT_WAIT_MS;
    while (crowd_refused(crowd) < at_least) {
        assert_true(wait_a_little(until));
    }
}

/* A connection that nobody has room for: it is told, and ended. */
static void expect_refusal(uint16_t grpc)
{
    char words[256] = "";
    bool ended = false;
    int fd = web_open(grpc);
    assert_true(fd >= 0);
    size_t len = web_read_all(fd, words, sizeof(words), &ended);
    assert_true(ended);
    assert_non_null(memmem(words, len, "too many connections", 20));
    (void)close(fd);
}

static void test_file_limit__reached_on_both_ports__refuses_and_recovers(void **state)
{
    (void)state;
    (void)room_for(2000);
    struct regulars r;
    regulars_come(&r, NULL, 400);
    size_t before = child_files(&r.child);
    for (int round = 0; round < 3; round++) {
        struct crowd rpc = {0};
        struct crowd web = {0};
        crowd_come(&rpc, r.child.grpc, 600);
        crowd_come(&web, r.child.http, 600);
        regulars_are_undisturbed(&r);
        expect_refusal(r.child.grpc);
        wait_refused(&rpc, 600 - 400);
        wait_refused(&web, 600 - 64); /* the silent ones make room for new ones */
        expect_ready(&r.child);
        regulars_are_undisturbed(&r);
        crowd_go(&rpc);
        crowd_go(&web);
        wait_files(&r.child, before + 5);
        expect_open(&r.child);
        regulars_are_undisturbed(&r);
    }
    regulars_go(&r);
}

/* However many files the system allows: what never registers is in no table. */
static void test_silent_connections__are_bounded_by_the_limits_of_connections(void **state)
{
    static const char *const settings[] = {"nacre.connections.max=100",
                                           "nacre.http.connections.max=50", NULL};
    (void)state;
    struct regulars r;
    struct crowd rpc = {0};
    regulars_come(&r, settings, CHILD_FILES);
    crowd_come(&rpc, r.child.grpc, 800);
    wait_refused(&rpc, 800 - (100 + 50 + 256));
    expect_refusal(r.child.grpc);
    expect_ready(&r.child);
    regulars_are_undisturbed(&r);
    crowd_go(&rpc);
    regulars_go(&r);
}

/* Registered clients up to the limit that the node gave itself: the reason is in their status, and
 * there is still room for HTTP. */
static void test_file_limit__of_registered_clients__is_told_by_the_node(void **state)
{
    (void)state;
    struct regulars r;
    regulars_come(&r, NULL, 400);
    struct guest guests[CLIENTS_AT_400];
    size_t count = 0;
    for (; count < CLIENTS_AT_400 - 2; count++) {
        guests[count] = guest_open(r.child.grpc, r.child.http);
    }
    struct client *c = client_open(r.child.grpc, NULL);
    struct client_stream *s = client_stream_open(c, true);
    assert_true(client_stream_send(s, "ConnectionSetupRequest", "{}"));
    const char *why = NULL;
    assert_int_equal(client_stream_status(s, &why), GRPC_STATUS_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(why, "(nacre.connections.max)"));
    client_stream_close(s);
    client_close(c);
    expect_ready(&r.child);
    regulars_are_undisturbed(&r);
    while (count > 0) {
        guest_close(&guests[--count]);
    }
    regulars_go(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_open__ten_thousand__nobody_notices_and_they_are_forgotten),
        cmocka_unit_test(test_file_limit__reached_on_both_ports__refuses_and_recovers),
        cmocka_unit_test(test_silent_connections__are_bounded_by_the_limits_of_connections),
        cmocka_unit_test(test_file_limit__of_registered_clients__is_told_by_the_node),
    };
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
