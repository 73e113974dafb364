#include "base/thread.h"

#include <signal.h>
#include <stdio.h>

#include "base/err.h"

static _Thread_local enum thread_kind my_kind = THREAD_NONE;

void thread_become(enum thread_kind kind, const char *name)
{
    char cut[16]; /* the kernel's limit */
    (void)snprintf(cut, sizeof cut, "%s", name);
    my_kind = kind;
    ASSERT(pthread_setname_np(pthread_self(), cut) == 0);
}

enum thread_kind thread_kind(void)
{
    return my_kind;
}

int thread_start(pthread_t *ret_thread, void *(*fn)(void *), void *arg)
{
    sigset_t all;
    sigset_t before;
    ASSERT(sigfillset(&all) == 0);
    /* A new thread inherits the mask of the one that starts it. */
    ASSERT(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, fn, arg);
    ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (failed) {
        return E_LIMIT;
    }
    *ret_thread = thread;
    return 0;
}
