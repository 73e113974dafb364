#include "rpc/peer_unknown.h"

#include "links_rig.h"

static void test_unknown__many_at_once__are_answered_and_counted(void **state)
{
    (void)state;
    struct node *a = node_open();
    struct node *member = node_open();
    node_start(a, 0);
    node_list(a, 0, rig_free_port(), 0, &member->identity.id);
    node_apply(a);
    static const char *const methods[] = {"/Request/request", "/nacre.Peer/Frame", "/", ""};
    struct raw_call *calls[ARRAY_LEN(methods)];
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        calls[i] = raw_open(a->port, &member->identity, methods[i]);
    }
    unsigned long unimplemented = 0;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        unimplemented += raw_status(calls[i], NULL) == GRPC_STATUS_UNIMPLEMENTED;
        raw_close(calls[i]);
    }
    assert_true(unimplemented >= 2); /* an empty path does not get that far */
    SOON(1000, links_counters(a->links)->refused_frames >= 2);
    uint64_t begun_ms = clock_mono_ms();
    node_close(a);
    assert_true(clock_mono_ms() - begun_ms < 3000);
    node_close(member);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown__many_at_once__are_answered_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
