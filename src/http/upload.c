#include "http/upload.h"

#include <string.h>

#include "base/mem.h"
#include "http/http.h"

#define UPLOAD_FIRST 4096u

/* Room for size bytes. Doubling keeps the copies few; what a client only announces costs nothing.
 */
static int reserve(struct upload *u, size_t size, struct fail *fail)
{
    size_t cap = u->cap ? u->cap : UPLOAD_FIRST;
    while (cap < size) {
        cap *= 2;
    }
    if (cap == u->cap) {
        return 0;
    }
    size_t more = cap - u->cap;
    if (atomic_fetch_add(u->total, more) + more > UPLOAD_TOTAL_MAX) {
        atomic_fetch_sub(u->total, more);
        return fail_set(fail, E_LIMIT, "too many large requests at once");
    }
    u->data = mem_realloc(u->data, cap, 1);
    u->cap = cap;
    return 0;
}

int upload_add(struct upload *u, struct span piece, atomic_size_t *total, struct fail *fail)
{
    u->total = total;
    if (piece.len > HTTP_FORM_MAX - u->len) {
        return fail_set(fail, E_TOO_LARGE, "the request body is over %u bytes", HTTP_FORM_MAX);
    }
    int err = reserve(u, u->len + piece.len, fail);
    if (err) {
        return err;
    }
    memcpy(u->data + u->len, piece.data, piece.len);
    u->len += piece.len;
    return 0;
}

void upload_close(struct upload *u)
{
    if (u->cap > 0) {
        atomic_fetch_sub(u->total, u->cap);
    }
    mem_free(u->data);
    *u = (struct upload){0};
}
