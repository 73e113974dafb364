#include "rpc/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *peer, const char *ip, unsigned port)
{
    struct address a = address_parse(span_str(peer));
    assert_string_equal(a.ip, ip);
    assert_int_equal(a.port, port);
}

static void test_parse__ipv4__is_address_and_port(void **state)
{
    (void)state;
    expect("ipv4:10.0.0.7:51234", "10.0.0.7", 51234);
    expect("ipv4:127.0.0.1:0", "127.0.0.1", 0);
    expect("ipv4:127.0.0.1:65535", "127.0.0.1", 65535);
}

static void test_parse__ipv6__loses_brackets_and_percents(void **state)
{
    (void)state;
    expect("ipv6:%5B::1%5D:41856", "::1", 41856);
    expect("ipv6:[2001:db8::7]:1", "2001:db8::7", 1);
    expect("ipv6:%5bfe80::1%25eth0%5d:9", "fe80::1%eth0", 9);
}

static void test_parse__other_forms__are_kept_as_they_are(void **state)
{
    (void)state;
    expect("unix:", "unix:", 0);
    expect("fd:9", "fd:9", 0);
    expect("unknown", "unknown", 0);
    expect("", "", 0);
}

static void test_parse__broken__never_reads_past_the_end(void **state)
{
    (void)state;
    expect("ipv4:", "", 0);
    expect("ipv4::", ":", 0);
    expect("ipv4:1.2.3.4:70000", "1.2.3.4:70000", 0);
    expect("ipv4:1.2.3.4:x", "1.2.3.4:x", 0);
    expect("ipv6:%", "%", 0);
    expect("ipv6:%5", "%5", 0);
    expect("ipv6:%zz:1", "%zz", 1);
    expect("ipv6:[:1", "[", 1);
}

static void test_parse__over_long__is_cut(void **state)
{
    (void)state;
    char peer[400];
    memset(peer, '1', sizeof(peer));
    memcpy(peer, "ipv4:", 5);
    struct address a = address_parse(span_of(peer, sizeof(peer)));
    assert_int_equal(strlen(a.ip), ADDRESS_IP_MAX - 1);
    memset(peer, 'q', sizeof(peer));
    a = address_parse(span_of(peer, sizeof(peer)));
    assert_int_equal(strlen(a.ip), ADDRESS_IP_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse__ipv4__is_address_and_port),
        cmocka_unit_test(test_parse__ipv6__loses_brackets_and_percents),
        cmocka_unit_test(test_parse__other_forms__are_kept_as_they_are),
        cmocka_unit_test(test_parse__broken__never_reads_past_the_end),
        cmocka_unit_test(test_parse__over_long__is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
