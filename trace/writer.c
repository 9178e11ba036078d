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
    struct urd_map known; /* (dev, ino, size, mtime) hash -> index + 1: not read twice */
};

static void writer_free(struct urd_trace_writer *w)
{
    urd_chunks_deinit(&w->chunks);
    urd_codec_deinit(&w->codec);
    urd_buf_deinit(&w->raw);
    urd_map_deinit(&w->files);
    urd_map_deinit(&w->known);
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

/** Copy fd's content to path unless it is there: by reflink where the file system can. */
static urd_err *copy_content(int fd, uint64_t size, const void *data, const char *path)
{
    if (access(path, F_OK) == 0)
        return NULL;
    URD_AUTO_FREE char *part = urd_xprintf("%s.part", path);
    URD_AUTO_CLOSE int out = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (out < 0)
        URD_FAIL_ERRNO("cannot make %s", part);
    if (ioctl(out, FICLONE, fd) != 0) {
        for (uint64_t done = 0; done < size;) {
            ssize_t n = write(out, (const char *)data + done, size - done);
            if (n <= 0)
                return urd_err_hint(urd_err_make(URD_ERR_FAILED, errno, __func__, __FILE__,
                                                 __LINE__, "cannot keep a mapped file in %s", part),
                                    "free some space, or record elsewhere with -o DIR");
            done += (uint64_t)n;
        }
    }
    if (rename(part, path) != 0)
        URD_FAIL_ERRNO("cannot rename %s", part);
    return NULL;
}

static urd_err *store_content(struct urd_trace_writer *w, int fd, const char *path, uint64_t size,
                              uint32_t *ret)
{
    void *data = NULL;
    if (size) {
        data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            URD_FAIL_ERRNO("cannot read the mapped file %s", path);
    }
    XXH128_hash_t hash = XXH3_128bits(data, size);
    uint64_t *known = urd_map_put(&w->files, hash.low64);
    if (*known) {
        if (data)
            munmap(data, size);
        *ret = (uint32_t)*known;
        return NULL;
    }
    URD_AUTO_FREE char *name = urd_xprintf("%016llx%016llx", (unsigned long long)hash.high64,
                                           (unsigned long long)hash.low64);
    URD_AUTO_FREE char *to = urd_xprintf("%s/files/%s", w->directory, name);
    urd_err *err = copy_content(fd, size, data, to);
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
    w->file_bytes += size;
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
    *ret = urd_trace_known_file(w, &st);
    if (*ret)
        return NULL;
    URD_TRY(store_content(w, fd, path, (uint64_t)st.st_size, ret));
    *urd_map_put(&w->known, key_of(&st)) = *ret;
    return NULL;
}

uint64_t urd_trace_written_events(const struct urd_trace_writer *w)
{
    return w->events;
}

uint64_t urd_trace_written_bytes(const struct urd_trace_writer *w)
{
    return w->chunks.bytes + w->file_bytes;
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
