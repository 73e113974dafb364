/* Three cores that find each other over real links, write through any of them, and lose one. */
#include "node/peering.h"

#include "disk_rig.h"
#include "node/core_state.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define NODES 3
#define TRIES 200
#define PORT_FIRST 30000
#define PORT_STEP 10

static struct disk disks[NODES];
static struct member_list list;
static struct peering_options options[NODES];

static bool is_free(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    (void)inet_pton(AF_INET, "127.0.0.1", &at.sin_addr);
    bool ok = bind(fd, (struct sockaddr *)(void *)&at, sizeof(at)) == 0;
    (void)close(fd);
    return ok;
}

/* Main ports whose peer ports (+ 1001, + 1000) are free. */
static uint16_t pick(void)
{
    static unsigned step;
    for (int i = 0; i < 1000; i++) {
        uint16_t port =
            (uint16_t)(PORT_FIRST + ((unsigned)getpid() * 7u + step++) % 2500 * PORT_STEP);
        if (is_free((uint16_t)(port + 1000)) && is_free((uint16_t)(port + 1001))) {
            return port;
        }
    }
    fail_msg("no port is free");
    return 0;
}

static void set_up(void)
{
    char text[256] = "";
    uint16_t ports[NODES];
    struct fail fail = {0};
    for (unsigned i = 0; i < NODES; i++) {
        ports[i] = pick();
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "127.0.0.1:%u,", ports[i]);
    }
    assert_int_equal(members_parse("test", span_str(text), 8848, &list, &fail), 0);
    for (unsigned i = 0; i < NODES; i++) {
        disk_init(&disks[i]);
        options[i] = (struct peering_options){
            .dir = disks[i].dir,
            .bind = "127.0.0.1",
            .port = ports[i],
            .list = &list,
            .secret = "",
            .no_second_port = true,
        };
        disks[i].peers = &options[i];
    }
}

static void begin_all(void)
{
    struct fail fail = {0};
    for (unsigned i = 0; i < NODES; i++) {
        assert_int_equal(disk_begin(&disks[i], &fail), 0);
    }
    for (unsigned i = 0; i < NODES; i++) {
        disk_await(&disks[i]);
    }
}

static void close_all(void)
{
    for (unsigned i = 0; i < NODES; i++) {
        disk_close(&disks[i]);
    }
}

static void nap(void)
{
    struct timespec t = {.tv_nsec = 50 * 1000 * 1000};
    (void)nanosleep(&t, NULL);
}

/* Until this node has so many configs and instances; others hear of them within moments. */
static void expect(struct disk *d, size_t configs, size_t instances)
{
    struct disk_sight s = {0};
    for (int i = 0; i < TRIES; i++) {
        s = disk_look(d);
        if (s.configs == configs && s.instances == instances) {
            return;
        }
        nap();
    }
    fail_msg("wanted %zu configs and %zu instances, found %zu and %zu", configs, instances,
             s.configs, s.instances);
}

static unsigned leader(void)
{
    for (int i = 0; i < TRIES; i++) {
        for (unsigned n = 0; n < NODES; n++) {
            if (disks[n].core && disk_look(&disks[n]).log.role == CONSENSUS_LEADER) {
                return n;
            }
        }
        nap();
    }
    fail_msg("nobody leads");
    return 0;
}

/* A write that may meet an election: the node holds it until somebody leads. */
static void write_through(struct disk *d, const char *data_id)
{
    for (int i = 0; i < TRIES && disk_publish(d, data_id, "content") != 0; i++) {
        nap();
    }
}

static void test_cluster__writes_through_any_node_are_on_all(void **state)
{
    (void)state;
    set_up();
    begin_all();
    for (unsigned i = 0; i < NODES; i++) {
        char id[8];
        snprintf(id, sizeof(id), "d%u", i);
        write_through(&disks[i], id);
        disk_register(&disks[i], 1 + i);
    }
    for (unsigned i = 0; i < NODES; i++) {
        expect(&disks[i], NODES, NODES);
    }
    close_all();
}

static void test_leader__stops__another_leads_and_it_catches_up(void **state)
{
    (void)state;
    struct fail fail = {0};
    set_up();
    begin_all();
    write_through(&disks[0], "before");
    unsigned old = leader();
    expect(&disks[old], 1, 0);
    disk_stop(&disks[old]);
    unsigned other = (old + 1) % NODES;
    write_through(&disks[other], "away");
    disk_register(&disks[other], 7);
    expect(&disks[(old + 2) % NODES], 2, 1);
    assert_int_equal(disk_begin(&disks[old], &fail), 0);
    disk_await(&disks[old]);
    expect(&disks[old], 2, 1);
    close_all();
}

static void test_all__stop_and_start__nothing_is_lost(void **state)
{
    (void)state;
    set_up();
    begin_all();
    write_through(&disks[1], "a");
    disk_register(&disks[2], 9);
    for (unsigned i = 0; i < NODES; i++) {
        expect(&disks[i], 1, 1);
    }
    for (unsigned i = 0; i < NODES; i++) {
        disk_stop(&disks[i]);
    }
    begin_all();
    for (unsigned i = 0; i < NODES; i++) {
        expect(&disks[i], 1, 1);
    }
    write_through(&disks[2], "b");
    expect(&disks[0], 2, 1);
    close_all();
}

static void test_quorum__lost__config_writes_are_refused_with_the_reason(void **state)
{
    (void)state;
    set_up();
    begin_all();
    write_through(&disks[0], "a");
    expect(&disks[1], 1, 0);
    disk_stop(&disks[0]);
    disk_stop(&disks[2]);
    /* What came before the loss was noticed is refused when it lasts; what comes then, at once. */
    assert_int_equal(disk_publish(&disks[1], "b", "x"), E_NOT_LEADER);
    assert_int_equal(disk_publish(&disks[1], "b", "x"), E_NOT_LEADER);
    expect(&disks[1], 1, 0); /* reads go on */
    close_all();
}

static void test_directory__of_a_member__is_refused_alone_and_the_other_way_round(void **state)
{
    (void)state;
    struct fail fail = {0};
    set_up();
    begin_all();
    for (unsigned i = 0; i < NODES; i++) {
        disk_stop(&disks[i]);
        disks[i].peers = NULL;
    }
    assert_int_equal(disk_begin(&disks[0], &fail), E_CONFLICT);
    assert_non_null(strstr(fail.text, "a member of a cluster"));
    close_all();
    disk_init(&disks[0]);
    disks[0].peers = NULL;
    assert_int_equal(disk_start(&disks[0], &fail), 0);
    disk_stop(&disks[0]);
    options[0].dir = disks[0].dir;
    disks[0].peers = &options[0];
    assert_int_equal(disk_begin(&disks[0], &fail), E_CONFLICT);
    assert_non_null(strstr(fail.text, "a node that was alone"));
    disk_close(&disks[0]);
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cluster__writes_through_any_node_are_on_all),
        cmocka_unit_test(test_leader__stops__another_leads_and_it_catches_up),
        cmocka_unit_test(test_all__stop_and_start__nothing_is_lost),
        cmocka_unit_test(test_quorum__lost__config_writes_are_refused_with_the_reason),
        cmocka_unit_test(test_directory__of_a_member__is_refused_alone_and_the_other_way_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
