/* On a loop with its workers, and played: the same comes of it. */
#include "consensus/raft_companion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <uv.h>

#include "base/err.h"

struct bed {
    char dir[64];
    char out[128], in[128];
    uv_loop_t loop;
    struct raft_companion *c;
    int make_err;
    unsigned woken;
    /* what came out */
    bool is_made;
    int err, fd;
    uint64_t bytes;
};

static struct bed bed;

static int make(void *self, const char *path, const atomic_bool *is_stopping)
{
    struct bed *b = self;
    FILE *f = b->make_err ? NULL : fopen(path, "we");
    if (!f) {
        return b->make_err;
    }
    int written = fputs(atomic_load(is_stopping) ? "" : "the tables", f);
    return fclose(f) == 0 && written >= 0 ? 0 : E_IO;
}

static void wake(void *self)
{
    ((struct bed *)self)->woken++;
}

static void on_made(void *arg, int err, int take_fd, uint64_t bytes)
{
    struct bed *b = arg;
    b->is_made = true;
    b->err = err;
    b->fd = take_fd;
    b->bytes = bytes;
}

static void begin_bed(bool is_played)
{
    bed = (struct bed){.fd = -1};
    snprintf(bed.dir, sizeof(bed.dir), "/tmp/nacre-companion-XXXXXX");
    assert_non_null(mkdtemp(bed.dir));
    snprintf(bed.out, sizeof(bed.out), "%s/out", bed.dir);
    snprintf(bed.in, sizeof(bed.in), "%s/in", bed.dir);
    assert_int_equal(uv_loop_init(&bed.loop), 0);
    bed.c = raft_companion_create(&(struct raft_companion_options){
        .loop = is_played ? NULL : &bed.loop,
        .outgoing = bed.out,
        .incoming = bed.in,
        .make = make,
        .make_self = &bed,
        .wake = wake,
        .wake_self = &bed,
    });
}

static int setup(void **state)
{
    (void)state;
    begin_bed(false);
    return 0;
}

static int setup_played(void **state)
{
    (void)state;
    begin_bed(true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (bed.c && bed.fd >= 0) {
        raft_companion_close(bed.c, bed.fd);
    }
    raft_companion_destroy(bed.c);
    assert_int_equal(uv_loop_close(&bed.loop), 0);
    (void)unlink(bed.in);
    return rmdir(bed.dir); /* nothing else lies there */
}

/* Until nothing is under way. */
static void run(void)
{
    (void)uv_run(&bed.loop, UV_RUN_DEFAULT);
}

static void expect_in(const char *text)
{
    char have[256] = "";
    FILE *f = fopen(bed.in, "re");
    if (!text) {
        assert_null(f);
        return;
    }
    assert_non_null(f);
    size_t n = fread(have, 1, sizeof(have) - 1, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(n, strlen(text));
    assert_string_equal(have, text);
}

static void test_make__gives_an_open_file_without_a_name(void **state)
{
    char text[32] = "";
    (void)state;
    raft_companion_make(bed.c, on_made, &bed);
    run();
    assert_true(bed.is_made);
    assert_int_equal(bed.err, 0);
    assert_int_equal(bed.bytes, 10);
    assert_int_equal(pread(bed.fd, text, sizeof(text), 0), 10);
    assert_string_equal(text, "the tables");
    assert_int_not_equal(access(bed.out, F_OK), 0);
}

static void test_make__fails__says_so_and_may_be_tried_again(void **state)
{
    (void)state;
    bed.make_err = E_FULL;
    raft_companion_make(bed.c, on_made, &bed);
    run();
    assert_true(bed.is_made);
    assert_int_equal(bed.err, E_FULL);
    assert_int_equal(bed.fd, -1);
    bed.make_err = 0;
    raft_companion_make(bed.c, on_made, &bed);
    run();
    assert_int_equal(bed.err, 0);
}

static void test_write__appears_only_when_it_is_whole(void **state)
{
    (void)state;
    raft_companion_begin(bed.c);
    assert_true(raft_companion_write(bed.c, SPAN("one ")));
    assert_true(raft_companion_write(bed.c, SPAN("two")));
    run();
    assert_int_equal(raft_companion_state(bed.c).written, 7);
    assert_false(raft_companion_state(bed.c).is_done);
    expect_in(NULL);
    raft_companion_end(bed.c);
    run();
    assert_true(raft_companion_state(bed.c).is_done);
    assert_int_equal(raft_companion_state(bed.c).err, 0);
    expect_in("one two");
}

static void test_begin_again__forgets_and_replaces(void **state)
{
    (void)state;
    raft_companion_begin(bed.c);
    assert_true(raft_companion_write(bed.c, SPAN("old")));
    raft_companion_end(bed.c);
    run();
    raft_companion_begin(bed.c);
    assert_true(raft_companion_write(bed.c, SPAN("never")));
    raft_companion_begin(bed.c); /* the other one is perhaps being written */
    assert_int_equal(raft_companion_state(bed.c).written, 0);
    assert_true(raft_companion_write(bed.c, SPAN("new")));
    run();
    expect_in("old"); /* until there is another whole one */
    raft_companion_end(bed.c);
    run();
    assert_int_equal(raft_companion_state(bed.c).written, 3);
    expect_in("new");
}

static void test_drop__leaves_nothing(void **state)
{
    (void)state;
    raft_companion_begin(bed.c);
    assert_true(raft_companion_write(bed.c, SPAN("some")));
    raft_companion_drop(bed.c);
    run();
    assert_int_equal(raft_companion_state(bed.c).written, 0);
    assert_false(raft_companion_state(bed.c).is_done);
    expect_in(NULL);
}

static void test_write__cannot_be_written__is_said_until_the_next_begin(void **state)
{
    char part[160];
    (void)state;
    snprintf(part, sizeof(part), "%s.part", bed.in);
    assert_int_equal(mkdir(part, 0700), 0);
    raft_companion_begin(bed.c);
    assert_true(raft_companion_write(bed.c, SPAN("some")));
    raft_companion_end(bed.c);
    run();
    assert_int_equal(raft_companion_state(bed.c).err, E_IO);
    assert_false(raft_companion_state(bed.c).is_done);
    assert_int_equal(rmdir(part), 0);
    raft_companion_begin(bed.c);
    assert_int_equal(raft_companion_state(bed.c).err, 0);
    assert_true(raft_companion_write(bed.c, SPAN("some")));
    raft_companion_end(bed.c);
    run();
    expect_in("some");
}

static void test_write__too_much_waits__is_refused(void **state)
{
    (void)state;
    unsigned taken = 0;
    raft_companion_begin(bed.c);
    while (taken < 100 && raft_companion_write(bed.c, SPAN("x"))) {
        taken++;
    }
    assert_in_range(taken, RAFT_COMPANION_QUEUE - 1, RAFT_COMPANION_QUEUE + 1);
    run();
    assert_int_equal(raft_companion_state(bed.c).written, taken);
    assert_true(raft_companion_write(bed.c, SPAN("x")));
    assert_true(bed.woken > 0);
}

static void test_large__is_synced_on_its_way(void **state)
{
    static char block[1 << 20];
    struct stat st = {0};
    (void)state;
    raft_companion_begin(bed.c);
    for (unsigned i = 0; i < 20; i++) {
        assert_true(raft_companion_write(bed.c, span_of(block, sizeof(block))));
        run();
    }
    raft_companion_end(bed.c);
    run();
    assert_int_equal(stat(bed.in, &st), 0);
    assert_int_equal(st.st_size, 20 << 20);
}

static void test_destroy__waits_for_what_is_under_way(void **state)
{
    (void)state;
    raft_companion_make(bed.c, on_made, &bed);
    raft_companion_begin(bed.c);
    assert_true(raft_companion_write(bed.c, SPAN("some")));
    raft_companion_destroy(bed.c);
    bed.c = NULL;
    assert_true(bed.is_made);
    if (bed.fd >= 0) {
        assert_int_equal(close(bed.fd), 0);
    }
}

#define BOTH(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, setup, teardown),                                        \
    {                                                                                              \
#test "__played", test, setup_played, teardown, NULL                                       \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_make__gives_an_open_file_without_a_name),
        BOTH(test_make__fails__says_so_and_may_be_tried_again),
        BOTH(test_write__appears_only_when_it_is_whole),
        BOTH(test_begin_again__forgets_and_replaces),
        BOTH(test_drop__leaves_nothing),
        BOTH(test_write__cannot_be_written__is_said_until_the_next_begin),
        cmocka_unit_test_setup_teardown(test_write__too_much_waits__is_refused, setup, teardown),
        BOTH(test_large__is_synced_on_its_way),
        BOTH(test_destroy__waits_for_what_is_under_way),
    };
    return cmocka_run_group_tests_name("consensus.raft_companion", tests, NULL, NULL);
}
