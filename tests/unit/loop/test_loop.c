#include "loop/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>
#include <uv.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/thread.h"

#define POSTERS 4
#define EACH 20000

struct letter {
    struct mail mail;
    unsigned from;
    unsigned number;
};

/* What an owner sees. */
struct owner {
    struct loop *loop;
    unsigned mails;
    unsigned turns;
    unsigned mails_in_turn;
    unsigned mails_in_turn_max;
    unsigned stop_after_mails;  /* 0: never */
    unsigned stop_after_turns;  /* 0: never */
    unsigned pause_after_mails; /* 0: never */
    unsigned dropped;
    unsigned next[POSTERS];
    uint64_t first_turn_ms;
    uint64_t last_turn_ms;
    uint64_t wait_ms; /* UINT64_MAX: no next turn wanted */
};

static void on_mail(void *self, struct mail *take_mail, struct now now)
{
    struct owner *o = self;
    struct letter *letter = CONTAINER_OF(take_mail, struct letter, mail);
    assert_int_equal(letter->number, o->next[letter->from]);
    assert_true(now.mono_ms > 0);
    o->next[letter->from]++;
    o->mails++;
    o->mails_in_turn++;
    if (o->mails == o->pause_after_mails) {
        loop_pause(o->loop);
    }
    if (o->mails == o->stop_after_mails) {
        loop_stop(o->loop);
    }
}

static uint64_t on_turn(void *self, struct now now)
{
    struct owner *o = self;
    if (o->turns == 0) {
        o->first_turn_ms = now.mono_ms;
    }
    o->last_turn_ms = now.mono_ms;
    o->turns++;
    if (o->mails_in_turn > o->mails_in_turn_max) {
        o->mails_in_turn_max = o->mails_in_turn;
    }
    o->mails_in_turn = 0;
    if (o->turns == o->stop_after_turns) {
        loop_stop(o->loop);
    }
    return o->wait_ms == UINT64_MAX ? UINT64_MAX : now.mono_ms + o->wait_ms;
}

static void on_drop(void *self, struct mail *take_mail)
{
    struct owner *o = self;
    struct letter *letter = CONTAINER_OF(take_mail, struct letter, mail);
    assert_int_equal(letter->number, o->next[letter->from]);
    o->next[letter->from]++;
    o->dropped++;
}

static const struct loop_ops ops = {.on_mail = on_mail, .on_turn = on_turn};

static void begin(struct owner *o)
{
    assert_int_equal(loop_create(&ops, o, &o->loop), 0);
}

static void end(struct owner *o)
{
    loop_destroy(o->loop, on_drop);
    o->loop = NULL;
}

static struct letter *letters_create(unsigned from, unsigned count)
{
    struct letter *letters = mem_zalloc(count, sizeof *letters);
    for (unsigned i = 0; i < count; i++) {
        letters[i].from = from;
        letters[i].number = i;
    }
    return letters;
}

struct poster {
    struct loop *loop;
    struct letter *letters;
};

static void *post_many(void *arg)
{
    struct poster *p = arg;
    for (unsigned i = 0; i < EACH; i++) {
        assert_int_equal(loop_post(p->loop, &p->letters[i].mail), 0);
    }
    return NULL;
}

static void test_loop__several_posters__everything_arrives_in_order(void **state)
{
    (void)state;
    struct owner o = {.wait_ms = UINT64_MAX, .stop_after_mails = POSTERS * EACH};
    begin(&o);
    struct poster posters[POSTERS];
    pthread_t threads[POSTERS];
    for (unsigned p = 0; p < POSTERS; p++) {
        posters[p] = (struct poster){o.loop, letters_create(p, EACH)};
        assert_int_equal(thread_start(&threads[p], post_many, &posters[p]), 0);
    }
    loop_run(o.loop);
    for (unsigned p = 0; p < POSTERS; p++) {
        assert_int_equal(pthread_join(threads[p], NULL), 0);
        assert_int_equal(o.next[p], EACH);
        mem_free(posters[p].letters);
    }
    assert_int_equal(o.mails, POSTERS * EACH);
    assert_true(o.mails_in_turn_max <= LOOP_BATCH_MAX);
    end(&o);
    assert_int_equal(o.dropped, 0);
}

static void test_loop__more_mail_than_a_batch__takes_further_turns_without_sleeping(void **state)
{
    (void)state;
    enum { COUNT = 2 * LOOP_BATCH_MAX + 1 };
    struct owner o = {.wait_ms = UINT64_MAX, .stop_after_mails = COUNT};
    begin(&o);
    struct letter *letters = letters_create(0, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(loop_post(o.loop, &letters[i].mail), 0);
    }
    /* No time is wanted and one wake-up was sent: a loop that slept in between would hang. */
    loop_run(o.loop);
    assert_int_equal(o.mails, COUNT);
    assert_int_equal(o.turns, 3);
    assert_int_equal(o.mails_in_turn_max, LOOP_BATCH_MAX);
    end(&o);
    mem_free(letters);
}

/* Posts from inside the loop while the rest of an earlier batch is still in hand. */
struct late {
    struct owner owner; /* first: on_turn and on_drop see an owner */
    struct letter extra;
};

static void on_mail_post_late(void *self, struct mail *take_mail, struct now now)
{
    struct late *late = self;
    if (late->owner.mails == LOOP_BATCH_MAX + 1) {
        late->extra = (struct letter){.from = 1};
        assert_int_equal(loop_post(late->owner.loop, &late->extra.mail), 0);
    }
    on_mail(self, take_mail, now);
}

static void test_loop__mail_that_comes_during_the_rest_of_a_batch__is_not_forgotten(void **state)
{
    (void)state;
    enum { COUNT = LOOP_BATCH_MAX + 10 };
    const struct loop_ops late_ops = {.on_mail = on_mail_post_late, .on_turn = on_turn};
    struct late late = {.owner = {.wait_ms = UINT64_MAX, .stop_after_mails = COUNT + 1}};
    assert_int_equal(loop_create(&late_ops, &late, &late.owner.loop), 0);
    struct letter *letters = letters_create(0, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(loop_post(late.owner.loop, &letters[i].mail), 0);
    }
    loop_run(late.owner.loop);
    assert_int_equal(late.owner.mails, COUNT + 1);
    end(&late.owner);
    mem_free(letters);
}

static void test_loop__time_alone__brings_turns(void **state)
{
    (void)state;
    struct owner o = {.wait_ms = 5, .stop_after_turns = 4};
    begin(&o);
    loop_run(o.loop);
    assert_int_equal(o.turns, 4);
    assert_int_equal(o.mails, 0);
    /* Three waits of 5 ms; a turn that comes a little early asks again. */
    assert_true(o.last_turn_ms - o.first_turn_ms >= 12);
    end(&o);
}

static void test_loop__wanted_time_has_passed__turns_again_at_once(void **state)
{
    (void)state;
    struct owner o = {.wait_ms = 0, .stop_after_turns = 100};
    begin(&o);
    loop_run(o.loop);
    assert_int_equal(o.turns, 100);
    end(&o);
}

static void test_loop_run__begins_with_a_turn(void **state)
{
    (void)state;
    struct owner o = {.wait_ms = UINT64_MAX, .stop_after_turns = 1};
    begin(&o);
    loop_run(o.loop);
    assert_int_equal(o.turns, 1);
    end(&o);
}

static void *stop(void *arg)
{
    loop_stop(arg);
    return NULL;
}

static void test_loop_stop__from_another_thread__leaves_run(void **state)
{
    (void)state;
    struct owner o = {.wait_ms = UINT64_MAX};
    begin(&o);
    pthread_t thread;
    assert_int_equal(thread_start(&thread, stop, o.loop), 0);
    loop_run(o.loop);
    assert_int_equal(pthread_join(thread, NULL), 0);
    end(&o);
}

static void test_loop_pause__goes_on_where_it_was(void **state)
{
    (void)state;
    struct owner o = {.wait_ms = UINT64_MAX, .pause_after_mails = 2, .stop_after_mails = 4};
    begin(&o);
    struct letter *letters = letters_create(0, 4);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(loop_post(o.loop, &letters[i].mail), 0);
    }
    assert_true(loop_run(o.loop));
    assert_int_equal(o.mails, 2);
    for (unsigned i = 2; i < 4; i++) {
        assert_int_equal(loop_post(o.loop, &letters[i].mail), 0); /* nothing is refused meanwhile */
    }
    assert_false(loop_run(o.loop));
    assert_int_equal(o.mails, 4);
    end(&o);
    mem_free(letters);
}

static void test_loop_stop__before_run__leaves_run(void **state)
{
    (void)state;
    struct owner o = {.wait_ms = UINT64_MAX};
    begin(&o);
    loop_stop(o.loop);
    loop_run(o.loop);
    end(&o);
}

static void test_loop_post__after_stop__is_refused(void **state)
{
    (void)state;
    struct owner o = {.wait_ms = UINT64_MAX};
    begin(&o);
    struct letter letter = {0};
    loop_stop(o.loop);
    assert_int_equal(loop_post(o.loop, &letter.mail), E_CLOSED);
    end(&o);
}

static void test_loop_destroy__what_still_waits__is_dropped_in_order(void **state)
{
    (void)state;
    enum { COUNT = LOOP_BATCH_MAX + 100 };
    struct owner o = {.wait_ms = UINT64_MAX, .stop_after_mails = 10};
    begin(&o);
    struct letter *letters = letters_create(0, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(loop_post(o.loop, &letters[i].mail), 0);
    }
    loop_run(o.loop);
    assert_int_equal(o.mails, LOOP_BATCH_MAX);
    end(&o);
    assert_int_equal(o.dropped, 100);
    mem_free(letters);
}

static void test_loop_post__full__is_refused(void **state)
{
    (void)state;
    struct owner o = {.wait_ms = UINT64_MAX};
    begin(&o);
    struct letter *letters = letters_create(0, LOOP_MAIL_MAX + 1);
    for (unsigned i = 0; i < LOOP_MAIL_MAX; i++) {
        assert_int_equal(loop_post(o.loop, &letters[i].mail), 0);
    }
    assert_int_equal(loop_post(o.loop, &letters[LOOP_MAIL_MAX].mail), E_LIMIT);
    end(&o);
    assert_int_equal(o.dropped, LOOP_MAIL_MAX);
    mem_free(letters);
}

/* Wants one fixed time, whatever mail comes in between. */
struct fixed {
    struct owner owner; /* first: on_mail and on_drop see an owner */
    struct letter letters[3];
    uint64_t due_ms;
};

static uint64_t on_turn_fixed(void *self, struct now now)
{
    struct fixed *f = self;
    unsigned turn = f->owner.turns;
    if (turn == 0) {
        f->due_ms = now.mono_ms + 50;
    }
    if (turn < ARRAY_LEN(f->letters)) {
        f->letters[turn].number = turn;
        assert_int_equal(loop_post(f->owner.loop, &f->letters[turn].mail), 0);
    }
    f->owner.turns++;
    if (now.mono_ms >= f->due_ms) {
        loop_stop(f->owner.loop);
    }
    return f->due_ms;
}

static void test_loop__mail_before_the_wanted_time__does_not_move_it(void **state)
{
    (void)state;
    const struct loop_ops fixed_ops = {.on_mail = on_mail, .on_turn = on_turn_fixed};
    struct fixed f = {0};
    assert_int_equal(loop_create(&fixed_ops, &f, &f.owner.loop), 0);
    loop_run(f.owner.loop);
    assert_int_equal(f.owner.mails, ARRAY_LEN(f.letters));
    assert_true(clock_mono_ms() >= f.due_ms);
    /* One to learn the time, three for mail, one at the time, and room for early ones. */
    assert_in_range(f.owner.turns, 5, 8);
    end(&f.owner);
}

static void test_loop_create__no_file_descriptors__is_refused(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct loop *l = NULL;
    int err = loop_create(&ops, NULL, &l);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(err, E_IO);
    assert_null(l);
}

static void test_loop_destroy__null_or_never_run__is_fine(void **state)
{
    (void)state;
    struct owner o = {0};
    loop_destroy(NULL, NULL);
    begin(&o);
    assert_non_null(loop_uv(o.loop));
    loop_destroy(o.loop, NULL);
}

/* Its first turn sets a timer of libuv's. */
struct woken {
    struct owner owner; /* first: on_mail and on_drop see an owner */
    uv_timer_t timer;
};

static void wake_and_close(uv_timer_t *timer)
{
    struct woken *w = CONTAINER_OF(timer, struct woken, timer);
    loop_wake(w->owner.loop);
    uv_close((uv_handle_t *)timer, NULL);
}

/* Not before the loop runs: a thread that is held up until the timer is due would have its wake-up
 * answered by the first turn, and wait for a second for good. */
static uint64_t on_turn_timer(void *self, struct now now)
{
    struct woken *w = self;
    if (w->owner.turns == 0) {
        assert_int_equal(uv_timer_start(&w->timer, wake_and_close, 1, 0), 0);
    }
    return on_turn(self, now);
}

static void test_wake__from_a_callback_of_libuv__brings_a_turn(void **state)
{
    (void)state;
    const struct loop_ops woken_ops = {.on_mail = on_mail, .on_turn = on_turn_timer};
    struct woken w = {.owner = {.wait_ms = UINT64_MAX, .stop_after_turns = 2}};
    assert_int_equal(loop_create(&woken_ops, &w, &w.owner.loop), 0);
    assert_int_equal(uv_timer_init(loop_uv(w.owner.loop), &w.timer), 0);
    loop_run(w.owner.loop);
    assert_int_equal(w.owner.turns, 2);
    loop_destroy(w.owner.loop, NULL);
}

static struct now at_ms(uint64_t mono_ms)
{
    return (struct now){.mono_ms = mono_ms};
}

static void test_loop_step__each_is_a_turn_at_the_time_it_is_given(void **state)
{
    (void)state;
    struct owner o = {.wait_ms = 30};
    o.loop = loop_create_stepped(&ops, &o);
    assert_null(loop_uv(o.loop));
    assert_int_equal(loop_due(o.loop), 0); /* the first turn needs no message */
    assert_false(loop_step(o.loop, at_ms(1000)));
    assert_int_equal(loop_due(o.loop), 1030);
    struct letter *letters = letters_create(0, 1);
    assert_int_equal(loop_post(o.loop, &letters[0].mail), 0);
    assert_int_equal(loop_due(o.loop), 0);
    assert_false(loop_step(o.loop, at_ms(1010)));
    assert_int_equal(o.mails, 1);
    assert_int_equal(loop_due(o.loop), 1040);
    loop_wake(o.loop);
    assert_int_equal(loop_due(o.loop), 0);
    assert_int_equal(o.turns, 2);
    assert_int_equal(o.last_turn_ms, 1010);
    end(&o);
    mem_free(letters);
}

static void test_loop_step__more_than_a_batch__wants_another_at_once(void **state)
{
    (void)state;
    enum { COUNT = LOOP_BATCH_MAX + 1 };
    struct owner o = {.wait_ms = UINT64_MAX};
    o.loop = loop_create_stepped(&ops, &o);
    struct letter *letters = letters_create(0, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(loop_post(o.loop, &letters[i].mail), 0);
    }
    assert_false(loop_step(o.loop, at_ms(1)));
    assert_int_equal(o.mails, LOOP_BATCH_MAX);
    assert_int_equal(loop_due(o.loop), 0);
    assert_false(loop_step(o.loop, at_ms(1)));
    assert_int_equal(o.mails, COUNT);
    end(&o);
    assert_int_equal(o.dropped, 0);
    mem_free(letters);
}

static void test_loop_step__pause_and_stop(void **state)
{
    (void)state;
    struct owner o = {.wait_ms = UINT64_MAX, .pause_after_mails = 1, .stop_after_mails = 2};
    o.loop = loop_create_stepped(&ops, &o);
    struct letter *letters = letters_create(0, 3);
    assert_int_equal(loop_post(o.loop, &letters[0].mail), 0);
    assert_true(loop_step(o.loop, at_ms(1)));
    assert_false(loop_step(o.loop, at_ms(2)));
    assert_int_equal(loop_post(o.loop, &letters[1].mail), 0);
    assert_false(loop_step(o.loop, at_ms(3)));
    assert_int_equal(o.turns, 3);
    assert_int_equal(loop_post(o.loop, &letters[2].mail), E_CLOSED);
    assert_int_equal(loop_due(o.loop), UINT64_MAX);
    assert_false(loop_step(o.loop, at_ms(4)));
    assert_int_equal(o.turns, 3);
    end(&o);
    mem_free(letters);
}

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop__several_posters__everything_arrives_in_order),
        cmocka_unit_test(test_loop__more_mail_than_a_batch__takes_further_turns_without_sleeping),
        cmocka_unit_test(test_loop__mail_that_comes_during_the_rest_of_a_batch__is_not_forgotten),
        cmocka_unit_test(test_loop__time_alone__brings_turns),
        cmocka_unit_test(test_wake__from_a_callback_of_libuv__brings_a_turn),
        cmocka_unit_test(test_loop__wanted_time_has_passed__turns_again_at_once),
        cmocka_unit_test(test_loop_run__begins_with_a_turn),
        cmocka_unit_test(test_loop_step__each_is_a_turn_at_the_time_it_is_given),
        cmocka_unit_test(test_loop_step__more_than_a_batch__wants_another_at_once),
        cmocka_unit_test(test_loop_step__pause_and_stop),
        cmocka_unit_test(test_loop_stop__from_another_thread__leaves_run),
        cmocka_unit_test(test_loop_pause__goes_on_where_it_was),
        cmocka_unit_test(test_loop_stop__before_run__leaves_run),
        cmocka_unit_test(test_loop_post__after_stop__is_refused),
        cmocka_unit_test(test_loop_destroy__what_still_waits__is_dropped_in_order),
        cmocka_unit_test(test_loop_post__full__is_refused),
        cmocka_unit_test(test_loop__mail_before_the_wanted_time__does_not_move_it),
        cmocka_unit_test(test_loop_create__no_file_descriptors__is_refused),
        cmocka_unit_test(test_loop_destroy__null_or_never_run__is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
