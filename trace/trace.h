/**
 * Writing and reading a trace.
 *
 * PURPOSE  The directory of format.h: append events and files; read events in order from any event.
 * NOT      What events mean.
 * OWNS     Writer and reader own their files; an event that was read is valid until the next read.
 */
#ifndef URD_TRACE_TRACE_H
#define URD_TRACE_TRACE_H
#include "trace/codec.h"
#include "trace/event.h"
#include <sys/stat.h>

/** A mapped file that the trace keeps. */
struct urd_trace_file {
    char hash[33]; /* hex of XXH3-128 of the content */
    char *path;    /* where it was when it was mapped */
    uint64_t size; /* bytes */
};

/** The header chunk: how the recording was made. Texts are malloc'ed and owned by the info. */
struct urd_trace_info {
    char **argv;
    int argc;
    char *cwd, *host, *kernel, *cpu, *version;
    int core;             /* the subject was pinned to it */
    int64_t started_unix; /* seconds */
    uint64_t xfeatures;   /* XCR0 */
    uint32_t n_cpuid;     /* CPUID as the recorded core answers it */
    struct urd_cpuid {
        uint32_t leaf, subleaf, eax, ebx, ecx, edx;
    } * cpuid;
    bool former_stacks; /* checksums leave out what is left of the stacks of threads that have ended */
    bool handlers_stacks; /* ... and of those that handlers had for themselves */
    bool counted; /* it may have cuts that are counted (trace/cut.h) */
};
void urd_trace_info_deinit(struct urd_trace_info *info);
/** Answer CPUID as the recorded CPU did; false when that leaf was not written down. */
bool urd_trace_info_cpuid(const struct urd_trace_info *info, uint32_t leaf, uint32_t subleaf,
                          struct urd_cpuid *ret);
struct urd_runtime_cpuid;
/** What a runtime region can answer of it: URD_RUNTIME_CPUIDS at most. The number of them. */
uint32_t urd_trace_info_table(const struct urd_trace_info *info, struct urd_runtime_cpuid *ret);

struct urd_trace_writer;
/** Make `directory` (it must not hold a trace yet) and write the header chunk. */
urd_err *urd_trace_create(const char *directory, const struct urd_trace_info *info,
                          struct urd_trace_writer **ret) URD_MUST_USE;
/** Append; e->number is ignored: events are numbered in order from 1. */
urd_err *urd_trace_append(struct urd_trace_writer *w, const struct urd_event *e) URD_MUST_USE;
/** ... an event that is a call, in a fraction of the time. False in *ret_done: it is not appended, and must be as a whole event. */
urd_err *urd_trace_append_call(struct urd_trace_writer *w, const struct urd_trace_call *k,
                               bool *ret_done) URD_MUST_USE;
/** Keep a file's content, once for all files that are equal. fd is read from its start; the result is index + 1, as map_op.file wants. */
urd_err *urd_trace_store_file(struct urd_trace_writer *w, int fd, const char *path,
                              uint32_t *ret) URD_MUST_USE;
/** The index + 1 of a file that was kept already and has not changed since; 0: none. */
uint32_t urd_trace_known_file(const struct urd_trace_writer *w, const struct stat *st);
/** Did the file change long enough ago for its next change to have other times (mtime, ctime)? */
bool urd_trace_is_settled(const struct stat *st);
/** Is it worth trying urd_trace_clone? Not when nothing of the file's device could be cloned to the trace before. */
bool urd_trace_may_clone(const struct urd_trace_writer *w, const struct stat *st);
/**
 * Keep size bytes of fd from offset on without copying them, where the file system can: *ret_at is their place in the trace's clones. False:
 * it cannot. Nothing is said of a file that changes meanwhile.
 */
bool urd_trace_clone(struct urd_trace_writer *w, int fd, uint64_t offset, uint64_t size,
                     uint64_t *ret_at);
/** Write out what is buffered as a chunk of its own. A failure may be reported later. */
urd_err *urd_trace_flush(struct urd_trace_writer *w) URD_MUST_USE;
/** ... and wait until all is written. */
urd_err *urd_trace_sync(struct urd_trace_writer *w) URD_MUST_USE;
uint64_t urd_trace_written_events(const struct urd_trace_writer *w);
uint64_t urd_trace_written_bytes(const struct urd_trace_writer *w);
/** Flush and close. Also frees w when it fails. */
urd_err *urd_trace_finish(struct urd_trace_writer *w) URD_MUST_USE;

struct urd_trace;
/** Open a trace; a torn or damaged tail is left out (urd_trace_torn says so). */
urd_err *urd_trace_open(const char *directory, struct urd_trace **ret) URD_MUST_USE;
void urd_trace_close(struct urd_trace *t);
const struct urd_trace_info *urd_trace_get_info(const struct urd_trace *t);
const char *urd_trace_directory(const struct urd_trace *t);
/** Number of events: they are 1..count. */
uint64_t urd_trace_event_count(const struct urd_trace *t);
/** Why the trace ends before its end, or NULL when it is whole. */
const char *urd_trace_torn(const struct urd_trace *t);
uint64_t urd_trace_bytes(const struct urd_trace *t);

/** A place in the events. Several may read one trace; one thread each. */
struct urd_trace_reader;
urd_err *urd_trace_read_from(struct urd_trace *t, uint64_t event,
                             struct urd_trace_reader **ret) URD_MUST_USE;
/** The next event; *ret is NULL at the end. */
urd_err *urd_trace_next(struct urd_trace_reader *r, const struct urd_event **ret) URD_MUST_USE;
void urd_trace_reader_close(struct urd_trace_reader *r);

/** A stored file by map_op.file - 1. All are known once urd_trace_open has returned. */
const struct urd_trace_file *urd_trace_file(const struct urd_trace *t, uint32_t index);
uint32_t urd_trace_file_count(const struct urd_trace *t);
/** malloc'ed path of the stored content. */
char *urd_trace_file_path(const struct urd_trace *t, uint32_t index);

/** The trace directory for `name`: a path, or a name under $URD_HOME; NULL: latest. malloc'ed. */
urd_err *urd_trace_find(const char *name, char **ret) URD_MUST_USE;
/** $URD_HOME or ~/.local/share/urd. malloc'ed. */
char *urd_trace_home(void);
#endif
