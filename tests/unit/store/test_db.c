#include "store/db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/db_driver.h"

#include "../base/expect_abort.h"

/* A driver that does what the test says: two parameters, one column. */
struct fake {
    struct db db;
    int prepare_err;
    int bind_err;
    int step_err;
    int begin_err;
    int commit_err;
    int rollback_err;
    unsigned rows; /* left to give */
    bool is_null;
    unsigned prepared, finalized, stepped, reset, commits, rollbacks, destroyed;
    struct db_value bound[2];
};

static struct fake *fake_of(struct db *db)
{
    return CONTAINER_OF(db, struct fake, db);
}

static int give(int err, struct fail *fail)
{
    return err ? fail_set(fail, err, "the test says so") : 0;
}

static int fake_prepare(struct db *db, const struct db_stmt *stmt, struct db_query **ret_query,
                        struct fail *fail)
{
    struct fake *f = fake_of(db);
    if (f->prepare_err) {
        return give(f->prepare_err, fail);
    }
    struct db_query *q = mem_zalloc(1, sizeof *q);
    q->params = 2;
    q->columns = 1;
    q->is_write = strcmp(stmt->name, "write") == 0;
    f->prepared++;
    *ret_query = q;
    return 0;
}

static void fake_finalize(struct db_query *take_q)
{
    fake_of(take_q->db)->finalized++;
    mem_free(take_q);
}

static int fake_bind(struct db_query *q, unsigned at, const struct db_value *value,
                     struct fail *fail)
{
    struct fake *f = fake_of(q->db);
    f->bound[at] = *value;
    return give(f->bind_err, fail);
}

static int fake_step(struct db_query *q, bool *ret_has_row, struct fail *fail)
{
    struct fake *f = fake_of(q->db);
    f->stepped++;
    *ret_has_row = f->rows > 0;
    f->rows -= f->rows > 0;
    return give(f->step_err, fail);
}

static bool fake_column(struct db_query *q, unsigned at, struct db_value *ret)
{
    (void)at;
    ret->int64 = 7;
    ret->dbl = 0.5;
    ret->bytes = SPAN("seven");
    return fake_of(q->db)->is_null;
}

static void fake_reset(struct db_query *q)
{
    fake_of(q->db)->reset++;
}

static int64_t fake_changed(const struct db *db)
{
    (void)db;
    return 3;
}

static int64_t fake_last_id(const struct db *db)
{
    (void)db;
    return 42;
}

static int fake_begin(struct db *db, enum db_tx kind, struct fail *fail)
{
    (void)kind;
    return give(fake_of(db)->begin_err, fail);
}

static int fake_commit(struct db *db, struct fail *fail)
{
    fake_of(db)->commits++;
    return give(fake_of(db)->commit_err, fail);
}

static int fake_rollback(struct db *db)
{
    fake_of(db)->rollbacks++;
    return fake_of(db)->rollback_err;
}

static int fake_script(struct db *db, const char *sql, struct fail *fail)
{
    (void)sql;
    return give(fake_of(db)->step_err, fail);
}

static void fake_destroy(struct db *take_db)
{
    fake_of(take_db)->destroyed++;
}

static const struct db_ops fake_ops = {
    .name = "fake",
    .prepare = fake_prepare,
    .finalize = fake_finalize,
    .bind = fake_bind,
    .step = fake_step,
    .column = fake_column,
    .reset = fake_reset,
    .changed = fake_changed,
    .last_id = fake_last_id,
    .begin = fake_begin,
    .commit = fake_commit,
    .rollback = fake_rollback,
    .script = fake_script,
    .destroy = fake_destroy,
};

static const struct db_stmt read_stmt = {.name = "read"};
static const struct db_stmt write_stmt = {.name = "write"};

static struct fake fake;

static int setup(void **state)
{
    (void)state;
    fake = (struct fake){0};
    db_base_init(&fake.db, &fake_ops, 10000);
    return 0;
}

static struct db_query *start(const struct db_stmt *stmt)
{
    struct db_query *q = NULL;
    assert_int_equal(db_query(&fake.db, stmt, &q, NULL), 0);
    return q;
}

static struct db_query *start_bound(const struct db_stmt *stmt)
{
    struct db_query *q = start(stmt);
    db_bind_null(q);
    db_bind_null(q);
    return q;
}

static void expect(int err, int expected, const struct fail *fail, const char *text)
{
    assert_int_equal(err, expected);
    assert_int_equal(fail->code, expected);
    if (!strstr(fail->text, text)) {
        fail_msg("'%s' does not say '%s'", fail->text, text);
    }
}

static void test_db_query__a_second_time__is_not_prepared_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct db_query *q = start_bound(&read_stmt);
        bool has_row = true;
        assert_int_equal(db_step(q, &has_row, NULL), 0);
        assert_false(has_row);
        db_done(q);
    }
    assert_int_equal(fake.prepared, 1);
    assert_int_equal(fake.reset, 3);
    db_destroy(&fake.db);
    assert_int_equal(fake.finalized, 1);
    assert_int_equal(fake.destroyed, 1);
}

static void test_db_bind__values__arrive_in_order(void **state)
{
    (void)state;
    struct db_query *q = start(&read_stmt);
    db_bind_int64(q, -5);
    db_bind_text(q, SPAN("abc"));
    assert_int_equal(fake.bound[0].type, DB_INT64);
    assert_int_equal(fake.bound[0].int64, -5);
    assert_int_equal(fake.bound[1].type, DB_TEXT);
    assert_true(span_eq(fake.bound[1].bytes, SPAN("abc")));
    db_done(q);
    q = start(&read_stmt);
    db_bind_double(q, 2.5);
    db_bind_blob(q, SPAN("\0\1"));
    assert_int_equal(fake.bound[0].type, DB_DOUBLE);
    assert_true(fake.bound[0].dbl > 2.4);
    assert_int_equal(fake.bound[1].type, DB_BLOB);
    db_done(q);
    db_destroy(&fake.db);
}

static void test_db_bind__too_large__is_told_by_the_step(void **state)
{
    (void)state;
    struct db_query *q = start(&read_stmt);
    db_bind_text(q, span_of("", (size_t)DB_VALUE_BYTES_MAX + 1));
    db_bind_null(q);
    bool has_row = false;
    struct fail fail = {0};
    expect(db_step(q, &has_row, &fail), E_TOO_LARGE, &fail, "read: value 1 has 16777217 bytes");
    assert_int_equal(fake.stepped, 0);
    db_done(q);
    /* And it is forgotten by the next use. */
    q = start_bound(&read_stmt);
    assert_int_equal(db_step(q, &has_row, NULL), 0);
    db_done(q);
    db_destroy(&fake.db);
}

static void test_db_bind__the_driver_refuses__the_first_reason_stays(void **state)
{
    (void)state;
    fake.bind_err = E_TOO_LARGE;
    struct db_query *q = start(&read_stmt);
    db_bind_null(q);
    fake.bind_err = E_INTERNAL;
    db_bind_null(q);
    bool has_row = false;
    struct fail fail = {0};
    expect(db_step(q, &has_row, &fail), E_TOO_LARGE, &fail, "the test says so");
    db_done(q);
    db_destroy(&fake.db);
}

static void test_db_col__null__reads_as_zero_and_empty(void **state)
{
    (void)state;
    fake.rows = 1;
    fake.is_null = true;
    struct db_query *q = start_bound(&read_stmt);
    bool has_row = false;
    assert_int_equal(db_step(q, &has_row, NULL), 0);
    assert_true(has_row);
    assert_true(db_col_is_null(q, 0));
    assert_int_equal(db_col_int64(q, 0), 0);
    assert_true(db_col_double(q, 0) < 0.1);
    assert_true(span_empty(db_col_text(q, 0)));
    assert_true(span_empty(db_col_blob(q, 0)));
    fake.is_null = false;
    assert_false(db_col_is_null(q, 0));
    assert_int_equal(db_col_int64(q, 0), 7);
    assert_true(db_col_double(q, 0) > 0.4);
    assert_true(span_eq(db_col_text(q, 0), SPAN("seven")));
    assert_true(span_eq(db_col_blob(q, 0), SPAN("seven")));
    db_done(q);
    db_destroy(&fake.db);
}

static void test_db_step__more_rows_than_the_limit__ends_there(void **state)
{
    (void)state;
    fake.rows = DB_ROWS_MAX;
    struct db_query *q = start_bound(&read_stmt);
    bool has_row = true;
    unsigned rows = 0;
    while (has_row) {
        assert_int_equal(db_step(q, &has_row, NULL), 0);
        rows += has_row;
    }
    assert_int_equal(rows, DB_ROWS_MAX);
    db_done(q);
    fake.rows = DB_ROWS_MAX + 1;
    q = start_bound(&read_stmt);
    int err = 0;
    struct fail fail = {0};
    for (rows = 0; !(err = db_step(q, &has_row, &fail)); rows++) {
    }
    assert_int_equal(rows, DB_ROWS_MAX);
    expect(err, E_LIMIT, &fail, "more than 65536 rows");
    db_done(q);
    db_destroy(&fake.db);
}

static void test_db_step__time_is_over__is_refused(void **state)
{
    (void)state;
    fake.rows = 2;
    struct db_query *q = start_bound(&read_stmt);
    bool has_row = false;
    assert_int_equal(db_step(q, &has_row, NULL), 0);
    q->deadline_ms = 1; /* long ago */
    struct fail fail = {0};
    expect(db_step(q, &has_row, &fail), E_TIMEOUT, &fail, "more than 10000 ms");
    db_done(q);
    db_destroy(&fake.db);
}

static void test_db_limit_time__none__never_ends(void **state)
{
    (void)state;
    assert_int_equal(db_limit_time(&fake.db, 0), 10000);
    struct db_query *q = start_bound(&read_stmt);
    bool has_row = false;
    assert_int_equal(db_step(q, &has_row, NULL), 0);
    assert_true(q->deadline_ms == UINT64_MAX);
    db_done(q);
    db_destroy(&fake.db);
}

static void test_tx__error__breaks_it_until_its_end(void **state)
{
    (void)state;
    assert_int_equal(db_begin(&fake.db, DB_TX_WRITE, NULL), 0);
    struct db_query *q = start_bound(&write_stmt);
    fake.step_err = E_FULL;
    struct fail fail = {0};
    expect(db_exec(q, NULL, &fail), E_FULL, &fail, "the test says so");
    fake.step_err = 0;
    fail = (struct fail){0};
    expect(db_query(&fake.db, &write_stmt, &q, &fail), E_FULL, &fail, "the test says so");
    expect(db_script(&fake.db, "x", &fail), E_FULL, &fail, "the test says so");
    expect(db_commit(&fake.db, &fail), E_FULL, &fail, "the test says so");
    assert_int_equal(fake.commits, 0);
    assert_int_equal(fake.rollbacks, 1);
    assert_true(db_is_idle(&fake.db));
    /* The next one is whole. */
    int64_t changed = 0;
    assert_int_equal(db_begin(&fake.db, DB_TX_WRITE, NULL), 0);
    assert_int_equal(db_exec(start_bound(&write_stmt), &changed, NULL), 0);
    assert_int_equal(changed, 3);
    assert_int_equal(db_last_id(&fake.db), 42);
    assert_int_equal(db_commit(&fake.db, NULL), 0);
    assert_int_equal(fake.commits, 1);
    db_destroy(&fake.db);
}

static void test_tx__constraint__does_not_break_it(void **state)
{
    (void)state;
    assert_int_equal(db_begin(&fake.db, DB_TX_WRITE, NULL), 0);
    fake.step_err = E_CONFLICT;
    struct fail fail = {0};
    expect(db_exec(start_bound(&write_stmt), NULL, &fail), E_CONFLICT, &fail, "");
    fake.step_err = 0;
    assert_int_equal(db_exec(start_bound(&write_stmt), NULL, NULL), 0);
    assert_int_equal(db_commit(&fake.db, NULL), 0);
    db_destroy(&fake.db);
}

static void test_db_commit__fails__is_rolled_back_and_over(void **state)
{
    (void)state;
    assert_int_equal(db_begin(&fake.db, DB_TX_WRITE, NULL), 0);
    assert_int_equal(db_in_tx(&fake.db), DB_TX_WRITE);
    fake.commit_err = E_FULL;
    struct fail fail = {0};
    expect(db_commit(&fake.db, &fail), E_FULL, &fail, "the test says so");
    assert_int_equal(fake.rollbacks, 1);
    assert_int_equal(db_in_tx(&fake.db), DB_TX_NONE);
    db_rollback(&fake.db); /* nothing is open: nothing happens */
    assert_int_equal(fake.rollbacks, 1);
    db_destroy(&fake.db);
}

static void test_db_begin__fails__none_is_open(void **state)
{
    (void)state;
    fake.begin_err = E_BUSY;
    struct fail fail = {0};
    expect(db_begin(&fake.db, DB_TX_WRITE, &fail), E_BUSY, &fail, "");
    assert_true(db_is_idle(&fake.db));
    fake.begin_err = 0;
    assert_int_equal(db_begin(&fake.db, DB_TX_READ, NULL), 0);
    db_rollback(&fake.db);
    db_destroy(&fake.db);
}

static void test_db__gone__stays_gone(void **state)
{
    (void)state;
    fake.step_err = E_GONE;
    struct db_query *q = start_bound(&read_stmt);
    bool has_row = false;
    assert_int_equal(db_step(q, &has_row, NULL), E_GONE);
    db_done(q);
    fake.step_err = 0;
    struct fail fail = {0};
    expect(db_query(&fake.db, &read_stmt, &q, &fail), E_GONE, &fail, "lost");
    expect(db_begin(&fake.db, DB_TX_READ, &fail), E_GONE, &fail, "lost");
    db_destroy(&fake.db);
}

static void test_db_rollback__fails__the_connection_is_gone(void **state)
{
    (void)state;
    assert_int_equal(db_begin(&fake.db, DB_TX_WRITE, NULL), 0);
    fake.rollback_err = E_IO;
    db_rollback(&fake.db);
    struct fail fail = {0};
    expect(db_begin(&fake.db, DB_TX_READ, &fail), E_GONE, &fail, "lost");
    db_destroy(&fake.db);
}

static void test_db_cancel__all_that_follows__is_closed(void **state)
{
    (void)state;
    assert_int_equal(db_begin(&fake.db, DB_TX_WRITE, NULL), 0);
    struct db_query *q = start_bound(&read_stmt);
    db_cancel(&fake.db);
    bool has_row = false;
    struct fail fail = {0};
    expect(db_step(q, &has_row, &fail), E_CLOSED, &fail, "being closed");
    db_done(q);
    expect(db_commit(&fake.db, &fail), E_CLOSED, &fail, "being closed");
    assert_int_equal(fake.rollbacks, 1);
    expect(db_begin(&fake.db, DB_TX_READ, &fail), E_CLOSED, &fail, "being closed");
    db_destroy(&fake.db);
}

static void test_db_query__wrong_sql__is_an_error_not_an_abort(void **state)
{
    (void)state;
    fake.prepare_err = E_INTERNAL;
    struct db_query *q = NULL;
    struct fail fail = {0};
    expect(db_query(&fake.db, &read_stmt, &q, &fail), E_INTERNAL, &fail, "");
    assert_true(db_is_idle(&fake.db));
    db_destroy(&fake.db);
    db_destroy(NULL);
}

static void test_db_destroy__open_transaction__is_rolled_back(void **state)
{
    (void)state;
    assert_int_equal(db_begin(&fake.db, DB_TX_WRITE, NULL), 0);
    db_destroy(&fake.db);
    assert_int_equal(fake.rollbacks, 1);
    assert_int_equal(fake.destroyed, 1);
}

static void write_outside_of_a_transaction(void)
{
    (void)start(&write_stmt);
}

static void step_with_unbound_parameters(void)
{
    bool has_row = false;
    (void)!db_step(start(&read_stmt), &has_row, NULL);
}

static void read_a_column_without_a_row(void)
{
    (void)db_col_int64(start_bound(&read_stmt), 0);
}

static void run_a_statement_twice_at_once(void)
{
    (void)start(&read_stmt);
    (void)start(&read_stmt);
}

static void commit_with_an_open_query(void)
{
    (void)!db_begin(&fake.db, DB_TX_READ, NULL);
    (void)start(&read_stmt);
    (void)!db_commit(&fake.db, NULL);
}

static void test_db__our_own_mistakes__abort(void **state)
{
    (void)state;
    assert_true(aborts(write_outside_of_a_transaction));
    assert_true(aborts(step_with_unbound_parameters));
    assert_true(aborts(read_a_column_without_a_row));
    assert_true(aborts(run_a_statement_twice_at_once));
    assert_true(aborts(commit_with_an_open_query));
    db_destroy(&fake.db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_db_query__a_second_time__is_not_prepared_again, setup),
        cmocka_unit_test_setup(test_db_bind__values__arrive_in_order, setup),
        cmocka_unit_test_setup(test_db_bind__too_large__is_told_by_the_step, setup),
        cmocka_unit_test_setup(test_db_bind__the_driver_refuses__the_first_reason_stays, setup),
        cmocka_unit_test_setup(test_db_col__null__reads_as_zero_and_empty, setup),
        cmocka_unit_test_setup(test_db_step__more_rows_than_the_limit__ends_there, setup),
        cmocka_unit_test_setup(test_db_step__time_is_over__is_refused, setup),
        cmocka_unit_test_setup(test_db_limit_time__none__never_ends, setup),
        cmocka_unit_test_setup(test_tx__error__breaks_it_until_its_end, setup),
        cmocka_unit_test_setup(test_tx__constraint__does_not_break_it, setup),
        cmocka_unit_test_setup(test_db_commit__fails__is_rolled_back_and_over, setup),
        cmocka_unit_test_setup(test_db_begin__fails__none_is_open, setup),
        cmocka_unit_test_setup(test_db__gone__stays_gone, setup),
        cmocka_unit_test_setup(test_db_rollback__fails__the_connection_is_gone, setup),
        cmocka_unit_test_setup(test_db_cancel__all_that_follows__is_closed, setup),
        cmocka_unit_test_setup(test_db_query__wrong_sql__is_an_error_not_an_abort, setup),
        cmocka_unit_test_setup(test_db_destroy__open_transaction__is_rolled_back, setup),
        cmocka_unit_test_setup(test_db__our_own_mistakes__abort, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
