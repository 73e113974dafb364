/* Whether a node is in touch with a quorum, and who is missing. */
#include "node/peering_quorum.h"

#include "node/status.h"
#include "peering_rig.h"

struct quorum_sight {
    int err;
    struct fail fail;
    uint64_t leaderless_ms;
};

static void look_quorum(struct core *core, void *arg)
{
    struct quorum_sight *s = arg;
    s->leaderless_ms = peering_leaderless_ms(core->peers, core->now);
    s->err = peering_check_quorum(core->peers, core->now, &s->fail);
}

static struct quorum_sight sight(struct disk *d)
{
    struct quorum_sight s = {0};
    rig_look(d->core, look_quorum, &s);
    return s;
}

/* Until it says so. */
static struct quorum_sight await(struct disk *d, int err)
{
    struct quorum_sight s = {0};
    for (int i = 0; i < TRIES; i++) {
        s = sight(d);
        if (s.err == err) {
            return s;
        }
        nap();
    }
    fail_msg("wanted %d, found %d %s", err, s.err, fail_text(&s.fail));
    return s;
}

static const char *address_of(unsigned node, char dst[MEMBER_ADDRESS_MAX + 1])
{
    member_address("127.0.0.1", options[node].port, dst);
    return dst;
}

/* What the readiness row answers, asked on core. */
static void ask_readiness(struct core *core, void *arg)
{
    char *text = arg;
    static struct options plain;
    static atomic_bool ready = true;
    struct status status;
    struct api_call call = {0};
    struct outbox out = {0};
    struct fail fail = {0};
    size_t count = 0;
    const struct api_row *rows = status_rows(&count);
    status_init(&status, core, &plain, &ready);
    arena_init(&call.arena, API_ARENA_MAX);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, "/v1/console/health/readiness") == 0) {
            call.row = &rows[i];
        }
    }
    assert_int_equal(call.row->read(&status, &call, core->now, &fail), API_TO_CORE);
    assert_int_equal(call.row->admit(&status, &call, core->now, &out, &fail), API_ANSWERED);
    int len = snprintf(text, FAIL_TEXT_MAX, "%d ", call.reply.http_status);
    assert_true(body_len(&call.reply.body) + (size_t)len < FAIL_TEXT_MAX);
    text[(size_t)len + body_len(&call.reply.body)] = '\0';
    body_copy(&call.reply.body, text + len);
    body_close(&call.reply.body);
    arena_close(&call.arena);
    outbox_close(&out);
}

static void test_quorum__lost__the_missing_are_named__and_back(void **state)
{
    (void)state;
    char address[MEMBER_ADDRESS_MAX + 1];
    char text[FAIL_TEXT_MAX];
    struct fail fail = {0};
    set_up();
    begin_all();
    for (unsigned i = 0; i < NODES; i++) { /* followers are ready, too */
        (void)await(&disks[i], 0);
        rig_look(disks[i].core, ask_readiness, text);
        assert_string_equal(text, "0 OK");
    }
    assert_int_equal(sight(&disks[leader()]).leaderless_ms, 0);
    disk_stop(&disks[0]);
    disk_stop(&disks[2]);
    struct quorum_sight s = await(&disks[1], E_NOT_LEADER);
    assert_true(s.leaderless_ms > PEERING_LEADERLESS_MS);
    assert_ptr_equal(strstr(s.fail.text, "no quorum: missing 127.0.0.1:"), s.fail.text);
    assert_non_null(strstr(s.fail.text, address_of(0, address)));
    assert_non_null(strstr(s.fail.text, address_of(2, address)));
    assert_null(strstr(s.fail.text, address_of(1, address)));
    assert_non_null(strstr(s.fail.text, " since "));
    rig_look(disks[1].core, ask_readiness, text);
    assert_ptr_equal(strstr(text, "500 no quorum: missing 127.0.0.1:"), text);
    assert_int_equal(disk_begin(&disks[0], &fail), 0);
    disk_await(&disks[0]);
    s = await(&disks[1], 0);
    rig_look(disks[1].core, ask_readiness, text);
    assert_string_equal(text, "0 OK");
    close_all();
}

/* A node that has not found its members yet says what it waits for. */
static void test_cluster__not_formed__says_what_it_waits_for(void **state)
{
    (void)state;
    struct fail fail = {0};
    set_up();
    assert_int_equal(disk_begin(&disks[0], &fail), 0);
    struct quorum_sight s = await(&disks[0], E_NOT_LEADER);
    assert_ptr_equal(strstr(s.fail.text, "no quorum: waits for all members"), s.fail.text);
    for (unsigned i = 1; i < NODES; i++) {
        assert_int_equal(disk_begin(&disks[i], &fail), 0);
    }
    (void)await(&disks[0], 0);
    close_all();
}

/* What a node knew to be committed when it stopped is served without the others. */
static void test_restart__without_the_others__serves_what_it_knew(void **state)
{
    (void)state;
    struct fail fail = {0};
    set_up();
    begin_all();
    write_through(&disks[0], "a");
    disk_register(&disks[1], 7);
    expect(&disks[1], 1, 1);
    expect(&disks[2], 1, 1);
    for (unsigned i = 0; i < NODES; i++) {
        disk_stop(&disks[i]);
    }
    assert_int_equal(disk_begin(&disks[1], &fail), 0);
    disk_await(&disks[1]);
    expect(&disks[1], 1, 1);
    assert_int_equal(sight(&disks[1]).err, E_NOT_LEADER);
    assert_int_equal(disk_publish(&disks[1], "b", "x"), E_NOT_LEADER);
    assert_int_equal(disk_begin(&disks[0], &fail), 0);
    (void)await(&disks[1], 0);
    disk_await(&disks[0]);
    write_through(&disks[1], "b");
    expect(&disks[0], 2, 1);
    expect(&disks[1], 2, 1);
    close_all();
}

/* A node without a log waits for the others: it has nothing to serve. */
static void test_restart__empty_without_the_others__serves_nothing(void **state)
{
    (void)state;
    struct fail fail = {0};
    set_up();
    assert_int_equal(disk_begin(&disks[0], &fail), 0);
    (void)await(&disks[0], E_NOT_LEADER);
    int ready = 0;
    assert_int_equal(sem_getvalue(&disks[0].ready, &ready), 0);
    assert_int_equal(ready, 0);
    close_all();
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quorum__lost__the_missing_are_named__and_back),
        cmocka_unit_test(test_cluster__not_formed__says_what_it_waits_for),
        cmocka_unit_test(test_restart__without_the_others__serves_what_it_knew),
        cmocka_unit_test(test_restart__empty_without_the_others__serves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
