/* Figures about other nodes: every series once with its head, and what a cluster says of itself. */
#include "node/metrics_peers.h"

#include "peering_rig.h"

static void write_now(struct core *core, void *arg)
{
    struct json_out *text = arg;
    static struct options plain;
    static atomic_bool ready;
    struct status status;
    status_init(&status, core, &plain, &ready);
    json_close(text);
    json_init(text, 4096);
    metrics_peers_write(&status, core->now, text);
}

/* The text, to be freed by the caller. */
static char *scrape(struct disk *d)
{
    struct json_out text;
    json_init(&text, 0);
    rig_look(d->core, write_now, &text);
    char *copy = mem_strndup(json_text(&text).data, json_text(&text).len);
    json_close(&text);
    return copy;
}

static void test_alone__has_the_log_and_no_peers(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    char *text = scrape(&d);
    assert_non_null(strstr(text, "\nnacre_log_leader 1\n"));
    assert_null(strstr(text, "nacre_peer_"));
    assert_null(strstr(text, "nacre_door_"));
    mem_free(text);
    disk_close(&d);
}

static void test_cluster__says_who_is_there(void **state)
{
    (void)state;
    set_up();
    begin_all();
    write_through(&disks[0], "a");
    expect(&disks[1], 1, 0);
    char *text = NULL;
    for (int i = 0; i < TRIES; i++) {
        mem_free(text);
        text = scrape(&disks[1]);
        if (strstr(text, "\nnacre_members_up 3\n")) {
            break;
        }
        nap();
    }
    assert_non_null(strstr(text, "\nnacre_members_up 3\n"));
    assert_non_null(strstr(text, "\nnacre_members 3\n"));
    assert_non_null(strstr(text, "\nnacre_members_in_log 3\n"));
    assert_non_null(strstr(text, "\nnacre_member_phase 4\n"));
    assert_non_null(strstr(text, "\nnacre_log_has_leader 1\n"));
    assert_non_null(strstr(text, "self=\"1\"} 1\n"));
    assert_non_null(strstr(text, "\nnacre_degraded 0\n"));
    assert_non_null(strstr(text, "\nnacre_registrations_degraded_total 0\n"));
    assert_non_null(strstr(text, "\nnacre_registrations_pending 0\n"));
    assert_non_null(strstr(text, "\nnacre_log_wait_seconds 0.000\n"));
    assert_non_null(strstr(text, "\nnacre_leaderless_seconds 0.000\n"));
    assert_null(strstr(text, "nacre_peer_connects_total 0\n"));
    assert_non_null(strstr(text, "nacre_strangers_refused_total{at=\"key\"}"));
    assert_non_null(strstr(text, "\nnacre_config_reads_degraded_total 0\n"));
    assert_non_null(strstr(text, "\nnacre_config_writes_waiting 0\n"));
    assert_non_null(strstr(text, "\nnacre_config_lease "));
    /* This node has no edge for clients, so the door is the peers' own. */
    const char *door =
        strstr(text, "nacre_door_connections_total{port=\"peers\",outcome=\"peer\"}");
    assert_int_equal(door != NULL, NACRE_FRONT_DOOR);
    assert_null(strstr(text, "port=\"clients\""));
    mem_free(text);
    close_all();
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone__has_the_log_and_no_peers),
        cmocka_unit_test(test_cluster__says_who_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
