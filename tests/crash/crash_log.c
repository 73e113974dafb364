/* A process appends under load and is killed; the next one must find everything that was
 * acknowledged. Between two kills the files are damaged in a copy: the log starts with all
 * acknowledged entries, or refuses with one sentence. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/thread.h"
#include "log_bed.h"

#define OUTSTANDING 200
#define DAMAGES 8
#define REFUSED 3 /* exit codes of a child that opened a damaged log */

/* Shared with the children. */
struct shared {
    uint64_t proposed;
    uint64_t acked;
    char words[512];
};

static struct shared *shared;
static struct log_bed bed;
static uint64_t random_state;

static uint64_t next_random(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % n;
}

static void die(const char *what)
{
    fprintf(stderr, "crash_log: %s\n", what);
    exit(1);
}

static bool is_ready(const struct log_bed *b)
{
    return consensus_state(b->log).is_ready;
}

/* Values are 0, 1, 2 ... in the order proposed. */
static void check_found(uint64_t acked)
{
    for (unsigned i = 0; i < bed.count; i++) {
        if (bed.values[i] != i) {
            die("an entry is missing or twice");
        }
    }
    if (bed.count < acked) {
        fprintf(stderr, "crash_log: %u entries found, %llu acknowledged\n", bed.count,
                (unsigned long long)acked);
        exit(1);
    }
}

static void set_options(const char *dir)
{
    bed.options = (struct consensus_raft_options){
        .snapshot_entries = 400, .trailing_entries = 50, .segment_bytes = 256u << 10};
    (void)snprintf(bed.dir, sizeof bed.dir, "%s", dir);
}

/* The child: start, check, append until killed. A byte to fd per acknowledged batch. */
static void append_for_ever(const char *dir, int fd)
{
    struct fail fail = {0};
    set_options(dir);
    if (log_bed_open(&bed, &fail) != 0) {
        die(fail_text(&fail));
    }
    if (!log_bed_until(&bed, is_ready)) {
        die("not ready");
    }
    check_found(shared->acked);
    uint64_t next = bed.count;
    unsigned answered = 0;
    for (;;) {
        unsigned n = 1 + (unsigned)(next % OUTSTANDING);
        for (unsigned i = 0; i < n; i++) {
            if (log_bed_propose(&bed, next, 8 + (size_t)(next * 37 % 900), &fail) != 0) {
                die(fail_text(&fail));
            }
            shared->proposed = ++next;
        }
        answered += n;
        if (!log_bed_answered(&bed, answered) || bed.rejected > 0) {
            die("not answered");
        }
        shared->acked = bed.count;
        if (write(fd, "", 1) != 1) {
            die("the parent is gone");
        }
    }
}

static void kill_once(const char *dir)
{
    int pipes[2];
    ASSERT(pipe(pipes) == 0);
    pid_t child = fork();
    ASSERT(child >= 0);
    if (child == 0) {
        (void)close(pipes[0]);
        append_for_ever(dir, pipes[1]);
    }
    (void)close(pipes[1]);
    uint64_t rounds = 1 + next_random(40);
    char byte = 0;
    while (rounds > 0 && read(pipes[0], &byte, 1) == 1) {
        rounds--;
    }
    /* A moment more, so that the kill does not always follow an answer. */
    for (uint64_t i = next_random(200000); i > 0; i--) {
        __asm__ volatile("" ::: "memory");
    }
    int status = 0;
    (void)kill(child, SIGKILL);
    ASSERT(waitpid(child, &status, 0) == child);
    (void)close(pipes[0]);
    if (!WIFSIGNALED(status) || rounds > 0) {
        die("the child ended by itself");
    }
}

/* ---------------------------------------------------------------- damage */

static void run(const char *fmt, const char *a, const char *b)
{
    char command[512];
    (void)snprintf(command, sizeof command, "%s '%s' '%s'", fmt, a, b);
    ASSERT(system(command) == 0);
}

/* A file of the log, newest names more often. */
static bool pick_file(const char *dir, char *ret, size_t size)
{
    char inner[256];
    (void)snprintf(inner, sizeof inner, "%s/log", dir);
    struct dirent **names = NULL;
    int n = scandir(inner, &names, NULL, alphasort);
    ASSERT(n > 2);
    int k = 2 + (int)next_random((uint64_t)n - 2);
    (void)snprintf(ret, size, "%s/%s", inner, names[k]->d_name);
    for (int i = 0; i < n; i++) {
        free(names[i]);
    }
    free(names);
    return true;
}

/* Bytes up to the last that is not zero. */
static off_t used_bytes(int fd, off_t size)
{
    char byte = 0;
    while (size > 0 && pread(fd, &byte, 1, size - 1) == 1 && byte == 0) {
        size--;
    }
    return size;
}

static const char *damage(const char *path)
{
    int fd = open(path, O_RDWR);
    ASSERT(fd >= 0);
    struct stat st = {0};
    ASSERT(fstat(fd, &st) == 0);
    off_t used = used_bytes(fd, st.st_size);
    off_t at = used > 0 ? (off_t)next_random((uint64_t)used) : 0;
    const char *how = "cut";
    char byte = 0;
    char zeros[4096] = {0};
    switch (next_random(3)) {
    case 0:
        ASSERT(ftruncate(fd, at) == 0);
        break;
    case 1:
        how = "bit";
        if (used > 0) {
            ASSERT(pread(fd, &byte, 1, at) == 1);
            byte = (char)(byte ^ (1 << next_random(8)));
            ASSERT(pwrite(fd, &byte, 1, at) == 1);
        }
        break;
    default:
        how = "torn";
        ASSERT(pwrite(fd, zeros, sizeof zeros, at) == (ssize_t)sizeof zeros);
        break;
    }
    (void)close(fd);
    return how;
}

static void open_damaged(const char *dir)
{
    struct fail fail = {0};
    set_options(dir);
    if (log_bed_open(&bed, &fail) != 0) {
        (void)snprintf(shared->words, sizeof shared->words, "%s", fail_text(&fail));
        exit(REFUSED);
    }
    if (!log_bed_until(&bed, is_ready)) {
        die("a damaged log hangs");
    }
    check_found(shared->acked);
    exit(0);
}

static void damage_once(const char *dir, unsigned *refused)
{
    char copy[160];
    char path[600];
    (void)snprintf(copy, sizeof copy, "%s.copy", dir);
    run("cp -a", dir, copy);
    (void)pick_file(copy, path, sizeof path);
    const char *how = damage(path);
    pid_t child = fork();
    ASSERT(child >= 0);
    if (child == 0) {
        open_damaged(copy);
    }
    int status = 0;
    ASSERT(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != REFUSED)) {
        fprintf(stderr, "crash_log: %s after %s, status %d\n", path, how, status);
        exit(1);
    }
    if (WEXITSTATUS(status) == REFUSED) {
        (*refused)++;
        if (strstr(shared->words, copy) == NULL) {
            fprintf(stderr, "crash_log: a sentence without the directory: %s\n", shared->words);
            exit(1);
        }
    }
    run("rm -rf", copy, copy);
}

int main(int argc, char **argv)
{
    const char *more = getenv("NACRE_CRASH_ROUNDS");
    unsigned rounds = (unsigned)strtoul(more ? more : argc > 1 ? argv[1] : "25", NULL, 10);
    const char *seed = getenv("NACRE_CRASH_SEED");
    random_state = seed ? strtoull(seed, NULL, 10) : clock_now().mono_ms * 2 + 1;
    printf("crash_log: NACRE_CRASH_SEED=%llu\n", (unsigned long long)random_state);
    (void)fflush(stdout);
    thread_become(THREAD_CORE, "core");
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT(shared != MAP_FAILED);
    log_bed_init(&bed);
    char dir[sizeof bed.dir];
    (void)snprintf(dir, sizeof dir, "%s", bed.dir);
    unsigned refused = 0;
    for (unsigned i = 0; i < rounds; i++) {
        kill_once(dir);
        for (unsigned k = 0; k < DAMAGES; k++) {
            damage_once(dir, &refused);
        }
    }
    printf("%u kills, %llu entries acknowledged, %u damages, %u refused, none lost\n", rounds,
           (unsigned long long)shared->acked, rounds * DAMAGES, refused);
    log_bed_close(&bed);
    return 0;
}
