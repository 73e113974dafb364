#include "bench/h1conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/clock.h"
#include "fake_http.h"
#include "fake_socket.h"

struct fixture {
    struct poller *poller;
    struct fake_http fake;
    struct h1conn conn;
    unsigned done;
    int err;
    int status;
    char body[64];
    char text[256];
};

static void on_done(void *self, int err, int status, struct span body, const struct fail *fail)
{
    struct fixture *f = self;
    f->done++;
    f->err = err;
    f->status = status;
    size_t len = body.len < sizeof(f->body) - 1 ? body.len : sizeof(f->body) - 1;
    memcpy(f->body, body.data ? body.data : "", len);
    f->body[len] = '\0';
    if (err) {
        strncpy(f->text, fail_text(fail), sizeof(f->text) - 1);
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct fail fail;
    if (poller_create(&f->poller, &fail)) {
        return -1;
    }
    fake_http_open(&f->fake, f->poller);
    h1conn_init(&f->conn, f->poller, f->fake.address, on_done, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    h1conn_close(&f->conn);
    fake_http_close(&f->fake);
    poller_destroy(f->poller);
    free(f);
    return 0;
}

/* Send and wait for done. */
static void ask(struct fixture *f)
{
    struct fail fail;
    unsigned before = f->done;
    uint64_t until_ns = clock_mono_ns() + UINT64_C(5000000000);
    assert_int_equal(h1conn_send(&f->conn, SPAN("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), &fail), 0);
    while (f->done == before && clock_mono_ns() < until_ns) {
        poller_turn(f->poller, until_ns);
    }
    assert_int_equal(f->done, before + 1);
}

static void test_send__keeps_the_connection(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 3; i++) {
        ask(f);
        assert_int_equal(f->err, 0);
        assert_int_equal(f->status, 200);
        assert_string_equal(f->body, "ok");
    }
    assert_int_equal(f->fake.opened, 1);
    assert_int_equal(f->fake.requests, 3);
}

static void test_send__opens_again_after_a_polite_close(void **state)
{
    struct fixture *f = *state;
    f->fake.response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    f->fake.closes = true;
    ask(f);
    ask(f);
    assert_int_equal(f->err, 0);
    assert_int_equal(f->fake.opened, 2);
}

static void test_send__opens_again_after_a_silent_close(void **state)
{
    struct fixture *f = *state;
    f->fake.closes = true;
    ask(f);
    assert_int_equal(f->err, 0);
    uint64_t until_ns = clock_mono_ns() + UINT64_C(5000000000);
    while (f->conn.state != H1CONN_CLOSED && clock_mono_ns() < until_ns) {
        poller_turn(f->poller, until_ns);
    }
    ask(f);
    assert_int_equal(f->err, 0);
    assert_int_equal(f->fake.opened, 2);
}

static void test_done__no_answer_is_an_error(void **state)
{
    struct fixture *f = *state;
    f->fake.drops = true;
    ask(f);
    assert_int_equal(f->err, E_CLOSED);
    assert_non_null(strstr(f->text, "closed by the server"));
    f->fake.drops = false;
    ask(f);
    assert_int_equal(f->err, 0);
}

static void test_done__garbage_is_an_error(void **state)
{
    struct fixture *f = *state;
    f->fake.response = "garbage\r\n";
    ask(f);
    assert_int_equal(f->err, E_PARSE);
    assert_int_equal(f->conn.state, H1CONN_CLOSED);
}

/* More bytes than the response has: they would be taken for the next one. */
static void test_done__surplus_bytes_end_the_connection(void **state)
{
    struct fixture *f = *state;
    f->fake.response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokxx";
    ask(f);
    assert_int_equal(f->err, 0);
    assert_int_equal(f->conn.state, H1CONN_CLOSED);
}

static void test_send__nobody_listens(void **state)
{
    struct fixture *f = *state;
    (void)close(f->fake.listen.fd);
    ask(f);
    assert_int_equal(f->err, E_CLOSED);
    assert_non_null(strstr(f->text, "refused"));
    unsigned port = 0;
    f->fake.listen.fd = fake_listen(&port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_send__keeps_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_send__opens_again_after_a_polite_close, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_send__opens_again_after_a_silent_close, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_done__no_answer_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_done__garbage_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_done__surplus_bytes_end_the_connection, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_send__nobody_listens, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
