/* Backup files: the whole state of a node in one file, and back.
 *
 * A file is sections (sections.h): ABOUT, NAMING, DATABASE; then 32 bytes of SHA-256 over all that
 * is before. Naming is the registry at one entry, the database the tables at that entry or a later
 * one; the two share nothing, so a node restored from them has never been in a state that it could
 * not have been in.
 * Restored, they are what is below the log's first entry: DIR/config.db with applied index 0 and
 * DIR/base.snapshot, with no log beside them.
 *
 * Thread:  backup_write: one of its own (it blocks on disk and core). Others: main, no node runs on
 *          the directory (locked).
 * Files:   appear under their name only when complete and on disk (FILE.part before), mode 0600.
 */
#ifndef NACRE_NODE_BACKUP_H
#define NACRE_NODE_BACKUP_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "base/fail.h"
#include "base/macros.h"

#define BACKUP_BASE_FILE "base.snapshot"
#define BACKUP_ABOUT_MAX 1024

struct core;

/* Called now and then with the bytes of the database copied, and of how many. */
typedef void (*backup_progress_fn)(void *arg, uint64_t done, uint64_t total);

/* Write the running node's state to file. *ret_bytes: its size. E_CONFLICT  file exists */
MUST_USE int backup_write(struct core *core, const char *file, backup_progress_fn progress,
                          void *arg, uint64_t *ret_bytes, struct fail *fail);

/* Read it whole: digest, sections. about (may be NULL): its ABOUT text, NUL-terminated.
 * E_CORRUPT, E_PARSE  with what is wrong */
MUST_USE int backup_check(const char *file, char about[BACKUP_ABOUT_MAX], struct fail *fail);

/* Check file and put what it holds into the directory, which is made if needed and holds neither
 * log nor tables (E_CONFLICT). One line a step to say. */
MUST_USE int backup_restore(const char *file, const char *dir, FILE *say, struct fail *fail);

/* A copy of the database file at tables as it is now, at copy; given up when *is_stopping. Any
 * thread that may block. As db_sqlite_backup. */
MUST_USE int backup_copy_tables(const char *tables, const char *copy,
                                const atomic_bool *is_stopping, struct fail *fail);

/* At start: load DIR/base.snapshot into the core's registry if it is there. */
MUST_USE int backup_load_base(struct core *core, const char *dir, struct fail *fail);

/* The log has a snapshot of its own: the base is history. Missing is fine. */
void backup_drop_base(const char *dir);

#endif
