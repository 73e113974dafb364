#include "node/filebytes.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/assert.h"

static void digest_begin(struct filebytes *f)
{
    f->digest = EVP_MD_CTX_new();
    ASSERT(f->digest != NULL);
    int ok = EVP_DigestInit_ex(f->digest, EVP_sha256(), NULL);
    ASSERT(ok == 1);
}

static void digest_add(struct filebytes *f, const void *bytes, size_t len)
{
    int ok = EVP_DigestUpdate(f->digest, bytes, len);
    ASSERT(ok == 1);
    f->bytes += len;
}

static void digest_end(struct filebytes *f, unsigned char out[FILEBYTES_DIGEST])
{
    unsigned len = 0;
    int ok = EVP_DigestFinal_ex(f->digest, out, &len);
    ASSERT(ok == 1);
    ASSERT(len == FILEBYTES_DIGEST);
}

static int set_path(struct filebytes *f, const char *path, struct fail *fail)
{
    *f = (struct filebytes){0};
    if (strlen(path) + sizeof(".part") > sizeof(f->path)) {
        return fail_set(fail, E_TOO_LARGE, "the file name is too long: %.100s...", path);
    }
    memcpy(f->path, path, strlen(path) + 1);
    return 0;
}

static void part_name(const struct filebytes *f, char dst[FILEBYTES_PATH_MAX + 8])
{
    snprintf(dst, FILEBYTES_PATH_MAX + 8, "%s.part", f->path);
}

int filebytes_create(struct filebytes *f, const char *path, struct fail *fail)
{
    char part[FILEBYTES_PATH_MAX + 8];
    int err = set_path(f, path, fail);
    if (err) {
        return err;
    }
    part_name(f, part);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return fail_set(fail, errno == ENOSPC ? E_FULL : E_IO, "cannot write %s: %s", part,
                        strerror(errno));
    }
    f->file = fdopen(fd, "w");
    ASSERT(f->file != NULL);
    digest_begin(f);
    return 0;
}

static int write_bytes(void *self, struct span bytes, struct fail *fail)
{
    struct filebytes *f = self;
    if (bytes.len && fwrite(bytes.data, 1, bytes.len, f->file) != bytes.len) {
        return fail_set(fail, errno == ENOSPC ? E_FULL : E_IO, "cannot write %s.part: %s", f->path,
                        strerror(errno));
    }
    if (bytes.len) {
        digest_add(f, bytes.data, bytes.len);
    }
    return 0;
}

struct byte_sink filebytes_sink(struct filebytes *f)
{
    return (struct byte_sink){f, write_bytes};
}

/* The name is in the folder for good only when the folder is on disk too. */
static int sync_folder(const char *path)
{
    char copy[FILEBYTES_PATH_MAX];
    snprintf(copy, sizeof(copy), "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    int failed = fsync(fd);
    (void)close(fd);
    return failed;
}

int filebytes_finish(struct filebytes *f, bool with_digest, struct fail *fail)
{
    char part[FILEBYTES_PATH_MAX + 8];
    unsigned char digest[FILEBYTES_DIGEST];
    part_name(f, part);
    digest_end(f, digest);
    bool ok = !with_digest || fwrite(digest, 1, sizeof(digest), f->file) == sizeof(digest);
    ok = ok && fflush(f->file) == 0 && fsync(fileno(f->file)) == 0 && rename(part, f->path) == 0 &&
         sync_folder(f->path) == 0;
    int err = 0;
    if (!ok) {
        err = fail_set(fail, errno == ENOSPC ? E_FULL : E_IO, "cannot write %s: %s", f->path,
                       strerror(errno));
        (void)unlink(part);
    }
    filebytes_close(f);
    return err;
}

void filebytes_drop(struct filebytes *f)
{
    if (f->file) {
        char part[FILEBYTES_PATH_MAX + 8];
        part_name(f, part);
        (void)unlink(part);
        filebytes_close(f);
    }
}

int filebytes_open(struct filebytes *f, const char *path, struct fail *fail)
{
    int err = set_path(f, path, fail);
    if (err) {
        return err;
    }
    f->file = fopen(path, "re");
    if (!f->file) {
        return fail_set(fail, errno == ENOENT ? E_NOT_FOUND : E_IO, "cannot read %s: %s", path,
                        strerror(errno));
    }
    digest_begin(f);
    return 0;
}

static int read_bytes(void *self, void *dst, size_t len, struct fail *fail)
{
    struct filebytes *f = self;
    if (fread(dst, 1, len, f->file) != len) {
        if (ferror(f->file)) {
            return fail_set(fail, E_IO, "cannot read %s: %s", f->path, strerror(errno));
        }
        return fail_set(fail, E_PARSE, "%s ends too early: it was cut", f->path);
    }
    digest_add(f, dst, len);
    return 0;
}

struct byte_source filebytes_source(struct filebytes *f)
{
    return (struct byte_source){f, read_bytes};
}

int filebytes_verify(struct filebytes *f, struct fail *fail)
{
    unsigned char computed[FILEBYTES_DIGEST];
    unsigned char written[FILEBYTES_DIGEST];
    char more = 0;
    digest_end(f, computed);
    if (fread(written, 1, sizeof(written), f->file) != sizeof(written)) {
        return fail_set(fail, E_CORRUPT, "%s ends too early: it was cut", f->path);
    }
    if (CRYPTO_memcmp(computed, written, sizeof(computed)) != 0) {
        return fail_set(fail, E_CORRUPT, "%s is damaged: its checksum is another one", f->path);
    }
    if (fread(&more, 1, 1, f->file) != 0) {
        return fail_set(fail, E_CORRUPT, "%s is damaged: something follows its end", f->path);
    }
    return 0;
}

void filebytes_close(struct filebytes *f)
{
    if (f->file) {
        (void)fclose(f->file);
        f->file = NULL;
    }
    EVP_MD_CTX_free(f->digest);
    f->digest = NULL;
}
