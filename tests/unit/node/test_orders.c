/* What a person asks of three nodes, through any of them. */
#include "node/orders.h"

#include "node/ask.h"
#include "peering_rig.h"

static void ignore(void *arg, struct span text)
{
    (void)arg;
    (void)text;
}

static bool stay(void *arg)
{
    (void)arg;
    return false;
}

/* Ask through a node: 0 or the code, and the words. */
static int ask(struct disk *d, enum query_kind kind, const char *address, char words[8192])
{
    struct query q = {.kind = kind};
    struct fail fail = {0};
    struct buf *text = NULL;
    static const struct ask_listener listener = {ignore, stay, NULL};
    snprintf(q.address, sizeof(q.address), "%s", address);
    int err = ask_core(d->core, &q, &listener, &text, &fail);
    snprintf(words, 8192, "%.*s", err ? (int)strlen(fail.text) : (int)text->len,
             err ? fail.text : text->data);
    buf_unref(text);
    return err;
}

/* One that knows who leads and reaches it. */
static unsigned a_follower(void)
{
    unsigned i = (leader() + 1) % NODES;
    write_through(&disks[i], "a");
    return i;
}

static const char *address_of(unsigned node, char dst[MEMBER_ADDRESS_MAX + 1])
{
    member_address("127.0.0.1", options[node].port, dst);
    return dst;
}

static void test_alone__shows_itself_and_refuses_orders(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    char words[8192];
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    assert_int_equal(ask(&d, QUERY_MEMBERS, "", words), 0);
    assert_non_null(strstr(words, "This node is alone"));
    assert_int_equal(ask(&d, QUERY_TRANSFER, "", words), E_INVALID);
    assert_non_null(strstr(words, "this node is alone"));
    disk_close(&d);
}

static void test_transfer__through_a_follower__another_leads(void **state)
{
    (void)state;
    char words[8192];
    char to[MEMBER_ADDRESS_MAX + 1];
    char there[MEMBER_ADDRESS_MAX + 1];
    set_up();
    begin_all();
    unsigned old = leader();
    unsigned next = (old + 1) % NODES;
    unsigned third = (old + 2) % NODES;
    for (unsigned i = 0; i < NODES; i++) {
        write_through(&disks[i], "a"); /* everybody knows who leads */
    }
    assert_int_equal(ask(&disks[third], QUERY_TRANSFER, address_of(next, to), words), 0);
    snprintf(there, sizeof(there), "%s", to);
    assert_non_null(strstr(words, "leads now"));
    assert_non_null(strstr(words, there));
    assert_int_equal(ask(&disks[next], QUERY_TRANSFER, to, words), E_INVALID);
    assert_non_null(strstr(words, "leads already"));
    assert_int_equal(ask(&disks[old], QUERY_TRANSFER, "127.0.0.1:1", words), E_INVALID);
    assert_non_null(strstr(words, "no member that votes"));
    assert_int_equal(ask(&disks[old], QUERY_REMOVE, to, words), E_INVALID);
    assert_non_null(strstr(words, "hand leadership over first"));
    assert_int_equal(ask(&disks[old], QUERY_ADD, to, words), E_INVALID);
    assert_non_null(strstr(words, "is a member already"));
    assert_int_equal(ask(&disks[old], QUERY_ADD, "a:1,b:2", words), E_INVALID);
    assert_non_null(strstr(words, "expected one address"));
    assert_int_equal(ask(&disks[old], QUERY_MEMBERS, "", words), 0);
    snprintf(there, sizeof(there), "leader %.200s", to);
    assert_non_null(strstr(words, there));
    assert_non_null(strstr(words, "3 of 3 members that vote are up; 1 more may fail."));
    close_all();
}

static void test_remove__through_a_follower__and_the_last_quorum_is_kept(void **state)
{
    (void)state;
    char words[8192];
    char address[MEMBER_ADDRESS_MAX + 1];
    set_up();
    begin_all();
    unsigned head = leader();
    unsigned next = (head + 1) % NODES;
    unsigned third = (head + 2) % NODES;
    for (unsigned i = 0; i < NODES; i++) {
        write_through(&disks[i], "a");
    }
    disk_stop(&disks[third]);
    int err = ask(&disks[next], QUERY_REMOVE, address_of(third, address), words);
    assert_int_equal(err, 0);
    assert_non_null(strstr(words, "is no member any more"));
    assert_int_equal(ask(&disks[head], QUERY_REMOVE, address_of(third, address), words), E_INVALID);
    assert_non_null(strstr(words, "is no member"));
    close_all();
}

static void test_nobody_leads__members_are_shown_and_orders_say_so(void **state)
{
    (void)state;
    char words[8192];
    char address[MEMBER_ADDRESS_MAX + 1];
    set_up();
    begin_all();
    write_through(&disks[0], "a");
    disk_stop(&disks[1]);
    disk_stop(&disks[2]);
    for (int i = 0; i < TRIES && disk_look(&disks[0]).log.leader_id != 0; i++) {
        nap();
    }
    assert_int_equal(ask(&disks[0], QUERY_MEMBERS, "", words), 0);
    assert_non_null(strstr(words, "no leader"));
    assert_int_equal(ask(&disks[0], QUERY_REMOVE, address_of(1, address), words), E_INVALID);
    assert_non_null(strstr(words, "nobody leads now"));
    close_all();
}

struct told {
    enum answer_state state;
    char words[8192];
};

static void on_told(void *arg, const struct answer *a)
{
    struct told *t = arg;
    t->state = a->state;
    snprintf(t->words, sizeof(t->words), "%.*s", (int)a->text.len, a->text.data);
}

static void ask_and_wait_in_vain(struct core *core, void *arg)
{
    struct told *t = arg;
    struct query q = {.kind = QUERY_MEMBERS};
    struct now later = core->now;
    orders_ask(core, &q, on_told, t, core->now);
    assert_int_equal(t->state, 0); /* the leader is asked */
    later.mono_ms += ORDERS_MEMBERS_MS;
    queries_turn(core, later);
    assert_int_equal(t->state, ANSWER_DONE);
}

static void test_leader__does_not_answer__members_are_shown_as_a_follower_sees_them(void **state)
{
    (void)state;
    static const struct api_row row = {.name = "once", .admit = rig_admit_look};
    static struct told t;
    char self[MEMBER_ADDRESS_MAX + 1];
    char part[MEMBER_ADDRESS_MAX + 16];
    set_up();
    begin_all();
    unsigned i = a_follower();
    struct rig_look look = {ask_and_wait_in_vain, disks[i].core, &t};
    struct rig_call c;
    rig_call_open(&c, &row, &look);
    rig_post(disks[i].core, &c);
    assert_int_equal(rig_wait(&c), 1);
    rig_call_close(&c);
    snprintf(part, sizeof(part), "as %.200s sees it", address_of(i, self));
    assert_non_null(strstr(t.words, part));
    close_all();
}

static void begin_add(struct core *core, void *arg)
{
    struct fail fail = {0};
    (void)arg;
    assert_int_equal(
        membership_order_add(peering_members(core->peers), "127.0.0.1", 1, core->now, &fail), 0);
    core->orders = (struct orders){.query = {.kind = QUERY_ADD, .address = "127.0.0.1:1"},
                                   .from = UINT64_MAX, /* who asked is gone */
                                   .begun_ms = core->now.mono_ms - ORDERS_WAIT_MS};
}

static void is_idle(struct core *core, void *arg)
{
    *(bool *)arg = core->orders.query.kind == 0;
}

static void test_add__of_nobody__is_given_up(void **state)
{
    (void)state;
    char words[8192];
    bool idle = false;
    set_up();
    begin_all();
    unsigned head = leader();
    write_through(&disks[head], "a");
    rig_look(disks[head].core, begin_add, NULL);
    for (int i = 0; i < TRIES && !idle; i++) {
        rig_look(disks[head].core, is_idle, &idle);
    }
    assert_true(idle);
    assert_int_equal(ask(&disks[head], QUERY_REMOVE, "127.0.0.1:1", words), E_INVALID);
    assert_non_null(strstr(words, "is no member"));
    close_all();
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone__shows_itself_and_refuses_orders),
        cmocka_unit_test(test_transfer__through_a_follower__another_leads),
        cmocka_unit_test(test_remove__through_a_follower__and_the_last_quorum_is_kept),
        cmocka_unit_test(test_nobody_leads__members_are_shown_and_orders_say_so),
        cmocka_unit_test(test_leader__does_not_answer__members_are_shown_as_a_follower_sees_them),
        cmocka_unit_test(test_add__of_nobody__is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
