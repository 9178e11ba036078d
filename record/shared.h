/**
 * Memory that processes share: objects, and the calls that change their content from outside.
 *
 * PURPOSE  Give each piece of shared memory a number, so that a replay makes it once for all processes; find out when a
 *          call writes into a file that somebody has mapped, and add what it wrote to the events.
 * NOT      What is written through mappings: a replay does that again. What processes outside of the recording do (outside.h).
 *
 * The design, with what was not done, is docs/shared-memory.md.
 */
#ifndef URD_RECORD_SHARED_H
#define URD_RECORD_SHARED_H
#include "base/tracee.h"
#include "record/recorder.h"
#include <sys/stat.h>

/** A file that was mapped, or a System V segment. */
struct shared_object {
    uint32_t id; /* 0: mapped privately by the replay, as nobody writes through these mappings */
    bool
        copied; /* there are mappings that are copies in the replay: private ones, or those of number 0 */
    bool changed;              /* by a call, since the first of them was made */
    uint64_t dev, ino;         /* as stat says; ino 0: no file */
    uint64_t map_dev, map_ino; /* as /proc/PID/maps says; not always the same (overlayfs, btrfs) */
    uint64_t size;             /* of the file, as the replay knows it, bytes */
};

/** The object that is this file; NULL: none. */
struct shared_object *shared_find(struct recorder *r, const struct stat *st);
/**
 * A shared mapping was made. fd_link is the file's /proc/PID/fd/N, or NULL for memory without a file; is_segment
 * for shmat. Sets op->object and op->file, adds the operation and, where it is not in a stored file, the content.
 */
urd_err *shared_mapped(struct recorder *r, struct task *t, struct urd_map_op *op,
                       const char *fd_link, bool is_segment) URD_MUST_USE;
/** A file was mapped privately (*op is in the builder already): what calls will write to it is to be seen there. */
void shared_copied(struct recorder *r, struct task *t, const struct urd_map_op *op,
                   const char *fd_link);
/** Pages of t's were dropped. Those of private mappings are what their files are now; adds what the replay does not have. */
void shared_dropped(struct recorder *r, struct task *t, uint64_t start, uint64_t end);
/** Is it a shared mapping of this object? */
bool shared_is_of(const struct shared_object *o, const struct urd_map_line *m);
/**
 * After the event of a mapping: it is the first one that can write to a file which others had mapped only for reading, and which the
 * replay had copies of. Those become the object, by events of their processes.
 */
urd_err *shared_opened(struct recorder *r, struct task *t, uint64_t mapped_at) URD_MUST_USE;
/** At the exit of a call that writes to files: what it changed in mappings, of this task. */
urd_err *shared_written(struct recorder *r, struct task *t, int64_t result) URD_MUST_USE;
/** After that call's event: what it changed in mappings of others, as events of theirs. */
urd_err *shared_written_others(struct recorder *r, struct task *t) URD_MUST_USE;
#endif
