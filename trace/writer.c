/* What goes into chunks: events as they come, files when they are first mapped. */
#include "trace/chunks.h"
#include "trace/format.h"
#include "trace/info.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define CHUNK_RAW_BYTES (512u << 10)

struct urd_trace_writer {
    char *directory;
    struct urd_chunks chunks;
    struct urd_codec codec;
    struct urd_buf raw;
    uint32_t n_records;
    uint64_t first_event, events, file_bytes;
    struct urd_map files; /* hash low 64 -> index + 1 */
    uint32_t n_files;
    int clones; /* file descriptor; -1: nothing was cloned yet */
    uint64_t clones_bytes;
    uint64_t unclonable;  /* device + 1 of which nothing can be cloned to here */
    struct urd_map known; /* (dev, ino, size, mtime) hash -> index + 1: not read twice */
};

static void writer_free(struct urd_trace_writer *w)
{
    urd_chunks_deinit(&w->chunks);
    urd_codec_deinit(&w->codec);
    urd_buf_deinit(&w->raw);
    urd_map_deinit(&w->files);
    urd_map_deinit(&w->known);
    if (w->clones >= 0)
        close(w->clones);
    free(w->directory);
    free(w);
}

static void writer_cleanup(struct urd_trace_writer **w)
{
    if (*w)
        writer_free(*w);
}

urd_err *urd_trace_create(const char *directory, const struct urd_trace_info *info,
                          struct urd_trace_writer **ret)
{
    URD_CLEANUP(writer_cleanup) struct urd_trace_writer *w = urd_xcalloc(1, sizeof *w);
    w->directory = strdup(directory);
    w->clones = -1;
    urd_chunks_init(&w->chunks, -1, w->directory);
    w->first_event = 1;
    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        return urd_err_hint(urd_err_make(URD_ERR_FAILED, errno, __func__, __FILE__, __LINE__,
                                         "cannot make the trace directory %s", directory),
                            "choose another one with -o DIR");
    URD_AUTO_FREE char *files = urd_xprintf("%s/files", directory);
    if (mkdir(files, 0777) != 0 && errno != EEXIST)
        URD_FAIL_ERRNO("cannot make %s", files);
    URD_AUTO_FREE char *path = urd_xprintf("%s/trace.urd", directory);
    int fd = w->chunks.fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_APPEND, 0666);
    if (fd < 0 && errno == EEXIST)
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "%s already holds a trace", directory),
                            "give another directory with -o, or remove that one");
    if (fd < 0)
        URD_FAIL_ERRNO("cannot make %s", path);
    struct urd_buf raw = {0};
    urd_trace_info_encode(info, &raw);
    urd_err *err = urd_chunks_put(&w->chunks, URD_CHUNK_HEADER, 0, 1, &raw);
    urd_buf_deinit(&raw);
    URD_TRY(err);
    *ret = w;
    w = NULL;
    return NULL;
}

urd_err *urd_trace_flush(struct urd_trace_writer *w)
{
    if (!w->n_records)
        return NULL;
    uint32_t n = w->n_records;
    uint64_t first = w->first_event;
    w->n_records = 0;
    w->first_event = w->events + 1;
    urd_codec_reset(&w->codec);
    URD_TRY(urd_chunks_put(&w->chunks, URD_CHUNK_EVENTS, first, n, &w->raw));
    return NULL;
}

static urd_err *count_event(struct urd_trace_writer *w)
{
    w->n_records++;
    w->events++;
    if (w->raw.size >= CHUNK_RAW_BYTES)
        URD_TRY(urd_trace_flush(w));
    return NULL;
}

urd_err *urd_trace_append(struct urd_trace_writer *w, const struct urd_event *e)
{
    urd_codec_encode(&w->codec, e, &w->raw);
    return count_event(w);
}

urd_err *urd_trace_append_call(struct urd_trace_writer *w, const struct urd_trace_call *k,
                               bool *ret_done)
{
    *ret_done = urd_codec_encode_call(&w->codec, k, &w->raw);
    return *ret_done ? count_event(w) : NULL;
}

/** The next part of the file, from *at on, that is no hole: *at .. *ret_end. *at becomes size when there is none. */
static void next_data(int fd, uint64_t size, uint64_t *at, uint64_t *ret_end)
{
    off_t data = lseek(fd, (off_t)*at, SEEK_DATA);
    if (data >= 0) {
        off_t hole = lseek(fd, data, SEEK_HOLE);
        *at = (uint64_t)data < size ? (uint64_t)data : size;
        *ret_end = hole < 0 || (uint64_t)hole > size ? size : (uint64_t)hole;
        return;
    }
    *at = errno == ENXIO ? size : *at; /* or the file system does not know */
    *ret_end = size;
}

static urd_err *write_all(int out, const uint8_t *data, uint64_t from, uint64_t to,
                          const char *part)
{
    while (from < to) {
        ssize_t n = pwrite(out, data + from, to - from, (off_t)from);
        if (n <= 0)
            return urd_err_hint(urd_err_make(URD_ERR_FAILED, errno, __func__, __FILE__, __LINE__,
                                             "cannot keep a mapped file in %s", part),
                                "free some space, or record elsewhere with -o DIR");
        from += (uint64_t)n;
    }
    return NULL;
}

/** Copy fd's content to path unless it is there: by reflink where the file system can. Holes stay holes. */
static urd_err *copy_content(int fd, uint64_t size, const uint8_t *data, const char *path,
                             uint64_t *ret_bytes)
{
    *ret_bytes = 0;
    if (access(path, F_OK) == 0)
        return NULL;
    URD_AUTO_FREE char *part = urd_xprintf("%s.part", path);
    URD_AUTO_CLOSE int out = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (out < 0)
        URD_FAIL_ERRNO("cannot make %s", part);
    bool cloned = ioctl(out, FICLONE, fd) == 0;
    if (!cloned && ftruncate(out, (off_t)size) != 0)
        URD_FAIL_ERRNO("cannot make %s of %llu bytes", part, (unsigned long long)size);
    for (uint64_t at = 0, end; at < size; at = end) {
        next_data(fd, size, &at, &end);
        if (!cloned)
            URD_TRY(write_all(out, data, at, end, part));
        *ret_bytes += end - at;
    }
    if (rename(part, path) != 0)
        URD_FAIL_ERRNO("cannot rename %s", part);
    return NULL;
}

static bool open_clones(struct urd_trace_writer *w)
{
    if (w->clones >= 0)
        return true;
    URD_AUTO_FREE char *path = urd_xprintf("%s/clones", w->directory);
    w->clones = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return w->clones >= 0;
}

/** Nothing is in them: a trace without clones has no such file. */
static void remove_clones(struct urd_trace_writer *w)
{
    URD_AUTO_FREE char *path = urd_xprintf("%s/clones", w->directory);
    unlink(path);
    close(w->clones);
    w->clones = -1;
}

bool urd_trace_may_clone(const struct urd_trace_writer *w, const struct stat *st)
{
    return w->unclonable != st->st_dev + 1;
}

bool urd_trace_clone(struct urd_trace_writer *w, int fd, uint64_t offset, uint64_t size,
                     uint64_t *ret_at)
{
    struct stat st, own;
    if (fstat(fd, &st) != 0 || !urd_trace_may_clone(w, &st) || !open_clones(w) ||
        fstat(w->clones, &own) != 0)
        return false;
    /* whole blocks, but for the last one of a file (man 2 FICLONERANGE) */
    uint64_t block = (uint64_t)(st.st_blksize > own.st_blksize ? st.st_blksize : own.st_blksize);
    uint64_t start = offset / block * block, end = (offset + size + block - 1) / block * block;
    uint64_t to = (w->clones_bytes + block - 1) / block * block;
    if (end > (uint64_t)st.st_size)
        end = (uint64_t)st.st_size;
    if (end < offset + size)
        return false;
    struct file_clone_range range = {
        .src_fd = fd, .src_offset = start, .src_length = end - start, .dest_offset = to};
    if (ioctl(w->clones, FICLONERANGE, &range) != 0) {
        urd_log(1, "cannot clone a part of a file: %s", strerror(errno));
        if (errno == EXDEV || errno == EOPNOTSUPP || errno == ENOTTY || errno == EINVAL)
            w->unclonable = st.st_dev + 1;
        if (!w->clones_bytes)
            remove_clones(w);
        return false;
    }
    w->clones_bytes = to + (end - start);
    *ret_at = to + (offset - start);
    return true;
}

/** Of the size, and of all that is no hole with where it is. */
static XXH128_hash_t hash_content(int fd, const uint8_t *data, uint64_t size)
{
    XXH3_state_t *state = XXH3_createState();
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, &size, sizeof size);
    for (uint64_t at = 0, end; at < size; at = end) {
        next_data(fd, size, &at, &end);
        XXH3_128bits_update(state, &at, sizeof at);
        XXH3_128bits_update(state, data + at, end - at);
    }
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    return hash;
}

static urd_err *store_content(struct urd_trace_writer *w, int fd, const char *path, uint64_t size,
                              uint32_t *ret)
{
    void *data = NULL;
    if (size) {
        data = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
        if (data == MAP_FAILED)
            URD_FAIL_ERRNO("cannot read the mapped file %s", path);
    }
    XXH128_hash_t hash = hash_content(fd, data, size);
    uint64_t *known = urd_map_put(&w->files, hash.low64), bytes;
    if (*known) {
        if (data)
            munmap(data, size);
        *ret = (uint32_t)*known;
        return NULL;
    }
    URD_AUTO_FREE char *name = urd_xprintf("%016llx%016llx", (unsigned long long)hash.high64,
                                           (unsigned long long)hash.low64);
    URD_AUTO_FREE char *to = urd_xprintf("%s/files/%s", w->directory, name);
    urd_err *err = copy_content(fd, size, data, to, &bytes);
    if (data)
        munmap(data, size);
    URD_TRY(err);
    struct urd_buf raw = {0};
    urd_buf_text(&raw, name);
    urd_buf_text(&raw, path);
    urd_buf_varint(&raw, size);
    err = urd_chunks_put(&w->chunks, URD_CHUNK_FILES, w->events + 1, 1, &raw);
    urd_buf_deinit(&raw);
    URD_TRY(err);
    *known = ++w->n_files;
    w->file_bytes += bytes;
    *ret = w->n_files;
    return NULL;
}

static uint64_t key_of(const struct stat *st)
{
    uint64_t id[] = {st->st_dev,
                     st->st_ino,
                     (uint64_t)st->st_size,
                     (uint64_t)st->st_mtim.tv_sec,
                     (uint64_t)st->st_mtim.tv_nsec,
                     (uint64_t)st->st_ctim.tv_sec,
                     (uint64_t)st->st_ctim.tv_nsec};
    return XXH3_64bits(id, sizeof id);
}

/* They advance with the kernel's tick, at least 100 times a second. */
bool urd_trace_is_settled(const struct stat *st)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (now.tv_sec - st->st_ctim.tv_sec) * 1000 +
               (now.tv_nsec - st->st_ctim.tv_nsec) / 1000000 >
           20;
}

uint32_t urd_trace_known_file(const struct urd_trace_writer *w, const struct stat *st)
{
    const uint64_t *slot = urd_map_get(&w->known, key_of(st));
    return slot ? (uint32_t)*slot : 0;
}

urd_err *urd_trace_store_file(struct urd_trace_writer *w, int fd, const char *path, uint32_t *ret)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        URD_FAIL_ERRNO("cannot look at the mapped file %s", path);
    URD_TRY(store_content(w, fd, path, (uint64_t)st.st_size, ret));
    if (urd_trace_is_settled(&st))
        *urd_map_put(&w->known, key_of(&st)) = *ret;
    return NULL;
}

uint64_t urd_trace_written_events(const struct urd_trace_writer *w)
{
    return w->events;
}

uint64_t urd_trace_written_bytes(const struct urd_trace_writer *w)
{
    return w->chunks.bytes + w->file_bytes + w->clones_bytes;
}

urd_err *urd_trace_sync(struct urd_trace_writer *w)
{
    URD_TRY(urd_trace_flush(w));
    URD_TRY(urd_chunks_wait(&w->chunks));
    return NULL;
}

urd_err *urd_trace_finish(struct urd_trace_writer *w)
{
    urd_err *err = urd_trace_sync(w);
    writer_free(w);
    URD_TRY(err);
    return NULL;
}
