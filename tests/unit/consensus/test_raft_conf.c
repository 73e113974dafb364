#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/consensus.h"
#include "consensus/raft_conf.h"
#include "consensus/raft_driver.h"

static struct raft_configuration members(unsigned n)
{
    static const char *const names[] = {"one:9849", "two:9849", "three:9849"};
    struct raft_configuration conf = {0};
    raft_configuration_init(&conf);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(
            raft_configuration_add(&conf, i + 1, names[i], i < 2 ? RAFT_VOTER : RAFT_SPARE), 0);
    }
    return conf;
}

static void test_configuration__as_libraft_writes_it__is_read_and_cut_ones_are_not(void **state)
{
    (void)state;
    struct raft_configuration conf = members(3);
    struct raft_buffer bytes = {0};
    assert_int_equal(raft_configuration_encode(&conf, &bytes), 0);
    assert_true(raft_conf_is_encoded(span_of(bytes.base, bytes.len)));
    for (size_t len = 0; len + 8 <= bytes.len; len++) {
        assert_false(raft_conf_is_encoded(span_of(bytes.base, len)));
    }
    ((char *)bytes.base)[0] = 2;
    assert_false(raft_conf_is_encoded(span_of(bytes.base, bytes.len)));
    raft_free(bytes.base);
    raft_configuration_close(&conf);
}

static void test_add__what_libraft_would_not_take__is_refused(void **state)
{
    (void)state;
    struct raft_configuration conf = members(1);
    char longest[CONSENSUS_ADDRESS_MAX + 1];
    memset(longest, 'a', sizeof longest);
    assert_false(raft_conf_add(&conf, 0, SPAN("a"), RAFT_VOTER));
    assert_false(raft_conf_add(&conf, 1, SPAN("a"), RAFT_VOTER));
    assert_false(raft_conf_add(&conf, 2, SPAN("one:9849"), RAFT_VOTER));
    assert_false(raft_conf_add(&conf, 2, SPAN(""), RAFT_VOTER));
    assert_false(raft_conf_add(&conf, 2, SPAN("a\0b"), RAFT_VOTER));
    assert_false(raft_conf_add(&conf, 2, SPAN("a"), RAFT_SPARE + 1));
    assert_false(raft_conf_add(&conf, 2, span_of(longest, sizeof longest), RAFT_VOTER));
    assert_int_equal(conf.n, 1);
    assert_true(raft_conf_add(&conf, 2, span_of(longest, sizeof longest - 1), RAFT_SPARE));
    for (uint64_t id = 3; id <= RAFT_DRIVER_PEERS_MAX; id++) {
        assert_true(raft_conf_add(&conf, id, span_of(longest, (size_t)id), RAFT_VOTER));
    }
    assert_false(raft_conf_add(&conf, 99, SPAN("z"), RAFT_VOTER));
    raft_configuration_close(&conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configuration__as_libraft_writes_it__is_read_and_cut_ones_are_not),
        cmocka_unit_test(test_add__what_libraft_would_not_take__is_refused),
    };
    return cmocka_run_group_tests_name("consensus.raft_conf", tests, NULL, NULL);
}
