#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void assert_fail(const char *file, int line, const char *what)
{
    char text[512];
    int len = snprintf(text, sizeof text, "%s:%d: assertion failed: %s\n", file, line, what);
    if (len > 0) {
        size_t size = (size_t)len < sizeof text ? (size_t)len : sizeof text - 1;
        /* Nothing can be done about a closed standard error: the abort is the message. */
        ssize_t written = write(STDERR_FILENO, text, size);
        (void)written;
    }
    abort();
}
