/* Clients: found by id, kept while anything holds them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "naming_bed.h"

#define A SPAN("10.0.0.1:80#true")

static void test_obtain__same_id__same_client(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_null(client_find(b.naming, A));
    char id[] = "10.0.0.1:80#true";
    struct client *c = client_obtain(b.naming, span_str(id), CLIENT_HTTP);
    id[0] = 'x'; /* the id is the client's own */
    assert_ptr_equal(client_find(b.naming, A), c);
    assert_ptr_equal(client_obtain(b.naming, A, CLIENT_PERSISTENT), c);
    assert_int_equal(c->kind, CLIENT_HTTP);
    assert_int_equal(naming_stats(b.naming).http_clients, 1);
    assert_int_equal(naming_stats(b.naming).persistent_clients, 0);
    assert_null(client_find(b.naming, (struct span){0}));
    assert_null(client_find(b.naming, SPAN("10.0.0.1:80#tru")));
    assert_true(client_release(b.naming, c));
    assert_null(client_find(b.naming, A));
    assert_int_equal(naming_stats(b.naming).http_clients, 0);
    bed_end(&b);
}

static void test_release__publishing__is_kept(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_register(&b, "10.0.0.1:80#true", "demo", "10.0.0.1", 80), 0);
    struct client *c = client_find(b.naming, A);
    assert_non_null(c);
    assert_false(client_release(b.naming, c));
    assert_ptr_equal(client_find(b.naming, A), c);
    bed_end(&b);
}

static void test_release__connection_attached__is_kept(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    struct now now = {1, BED_TIME_MS};
    struct naming_conn conn = {
        .conn = 7, .id = SPAN("1_10.0.0.1_2"), .client_ip = SPAN("10.0.0.1")};
    naming_conn_open(b.naming, &conn, now);
    struct client *c = client_of_conn(b.naming, 7);
    assert_non_null(c);
    assert_ptr_equal(client_find(b.naming, SPAN("1_10.0.0.1_2")), c);
    assert_null(client_of_conn(b.naming, 8));
    assert_false(client_release(b.naming, c));
    /* It stays over everything that it published, too. */
    assert_int_equal(bed_register(&b, "1_10.0.0.1_2", "demo", "10.0.0.1", 80), 0);
    assert_int_equal(bed_unpublish(&b, "1_10.0.0.1_2", "demo"), 0);
    assert_ptr_equal(client_of_conn(b.naming, 7), c);
    bed_end(&b);
}

static void test_publication_find__of_this_client_and_service(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_register(&b, "10.0.0.1:80#true", "demo", "10.0.0.1", 80), 0);
    assert_int_equal(bed_register(&b, "10.0.0.1:80#true", "more", "10.0.0.1", 80), 0);
    assert_int_equal(bed_register(&b, "10.0.0.2:80#true", "other", "10.0.0.2", 80), 0);
    const struct client *c = client_find(b.naming, A);
    const struct publication *p = publication_find(c, bed_service(&b, "demo"));
    assert_non_null(p);
    assert_ptr_equal(p->client, c);
    assert_ptr_equal(p->service, bed_service(&b, "demo"));
    assert_ptr_not_equal(publication_find(c, bed_service(&b, "more")), p);
    assert_null(publication_find(c, bed_service(&b, "other")));
    bed_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_obtain__same_id__same_client),
        cmocka_unit_test(test_release__publishing__is_kept),
        cmocka_unit_test(test_release__connection_attached__is_kept),
        cmocka_unit_test(test_publication_find__of_this_client_and_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
