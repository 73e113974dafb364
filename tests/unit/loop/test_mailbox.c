#include "loop/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/thread.h"

struct letter {
    struct mail mail;
    unsigned from;
    unsigned number;
};

static void post(struct mailbox *m, struct letter *letter, bool was_empty)
{
    bool ret_was_empty = !was_empty;
    assert_int_equal(mailbox_post(m, &letter->mail, &ret_was_empty), 0);
    assert_int_equal(ret_was_empty, was_empty);
}

static void test_mailbox_drain__oldest_first(void **state)
{
    (void)state;
    struct mailbox m;
    mailbox_init(&m, 10);
    assert_null(mailbox_drain(&m));
    assert_true(mailbox_is_empty(&m));
    struct letter letters[3] = {0};
    post(&m, &letters[0], true);
    assert_false(mailbox_is_empty(&m));
    post(&m, &letters[1], false);
    post(&m, &letters[2], false);
    struct mail *all = mailbox_drain(&m);
    for (size_t i = 0; i < 3; i++) {
        assert_ptr_equal(all, &letters[i].mail);
        all = all->next;
    }
    assert_null(all);
    assert_null(mailbox_drain(&m));
    post(&m, &letters[0], true);
    assert_ptr_equal(mailbox_drain(&m), &letters[0].mail);
    mailbox_close(&m);
}

static void test_mailbox_post__full__is_refused(void **state)
{
    (void)state;
    struct mailbox m;
    mailbox_init(&m, 2);
    struct letter letters[3] = {0};
    bool was_empty = false;
    post(&m, &letters[0], true);
    post(&m, &letters[1], false);
    assert_int_equal(mailbox_post(&m, &letters[2].mail, &was_empty), E_LIMIT);
    assert_ptr_equal(mailbox_drain(&m), &letters[0].mail);
    post(&m, &letters[2], true);
    assert_ptr_equal(mailbox_drain(&m), &letters[2].mail);
    mailbox_close(&m);
}

static void test_mailbox_post__shut__is_refused_but_what_waits_stays(void **state)
{
    (void)state;
    struct mailbox m;
    mailbox_init(&m, 2);
    struct letter letters[2] = {0};
    bool was_empty = false;
    post(&m, &letters[0], true);
    mailbox_shut(&m);
    assert_int_equal(mailbox_post(&m, &letters[1].mail, &was_empty), E_CLOSED);
    assert_ptr_equal(mailbox_drain(&m), &letters[0].mail);
    mailbox_close(&m);
}

#define POSTERS 4
#define EACH 5000

static struct letter many[POSTERS][EACH];
static struct mailbox shared;

static void *post_many(void *arg)
{
    struct letter *letters = arg;
    for (unsigned i = 0; i < EACH; i++) {
        bool was_empty = false;
        letters[i].number = i;
        assert_int_equal(mailbox_post(&shared, &letters[i].mail, &was_empty), 0);
    }
    return NULL;
}

static void test_mailbox__several_posters__each_ones_order_is_kept(void **state)
{
    (void)state;
    mailbox_init(&shared, (size_t)POSTERS * EACH);
    pthread_t threads[POSTERS];
    for (unsigned p = 0; p < POSTERS; p++) {
        for (unsigned i = 0; i < EACH; i++) {
            many[p][i].from = p;
        }
        assert_int_equal(thread_start(&threads[p], post_many, many[p]), 0);
    }
    unsigned next[POSTERS] = {0};
    for (unsigned got = 0; got < POSTERS * EACH;) {
        for (struct mail *m = mailbox_drain(&shared); m; m = m->next, got++) {
            struct letter *letter = CONTAINER_OF(m, struct letter, mail);
            assert_int_equal(letter->number, next[letter->from]);
            next[letter->from]++;
        }
    }
    for (unsigned p = 0; p < POSTERS; p++) {
        assert_int_equal(pthread_join(threads[p], NULL), 0);
    }
    mailbox_close(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mailbox_drain__oldest_first),
        cmocka_unit_test(test_mailbox_post__full__is_refused),
        cmocka_unit_test(test_mailbox_post__shut__is_refused_but_what_waits_stays),
        cmocka_unit_test(test_mailbox__several_posters__each_ones_order_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
