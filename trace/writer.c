/* Appending chunks. A chunk is compressed and written with one write(2) at the end of the file, so that
 * whatever kills the recorder leaves whole chunks and at most one torn one at the end. */
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
#include <zstd.h>

#define CHUNK_RAW_BYTES (512u << 10)

struct urd_trace_writer {
    char *directory;
    int fd;
    struct urd_codec codec;
    struct urd_buf raw, stored;
    uint32_t n_records;
    uint64_t first_event, events, bytes, file_bytes;
    struct urd_map files; /* hash low 64 -> index + 1 */
    uint32_t n_files;
    struct urd_map known; /* (dev, ino, size, mtime) hash -> index + 1: not read twice */
    bool failed;          /* a chunk could not be written whole: nothing may follow it */
};

static urd_err *write_whole(struct urd_trace_writer *w, const void *data, size_t size)
{
    if (w->failed)
        URD_FAIL("an earlier part of the trace could not be written");
    const uint8_t *p = data;
    off_t start = (off_t)w->bytes;
    while (size) {
        ssize_t n = write(w->fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int saved = n < 0 ? errno : ENOSPC;
            w->failed = true;
            if (ftruncate(w->fd, start) != 0)
                urd_log(1, "cannot cut the torn chunk off");
            errno = saved;
            return urd_err_hint(urd_err_make(URD_ERR_FAILED, saved, __func__, __FILE__, __LINE__,
                                             "cannot write the trace in %s", w->directory),
                                "what was recorded so far replays; free some space, or record "
                                "elsewhere with -o DIR");
        }
        p += n;
        size -= (size_t)n;
        w->bytes += (uint64_t)n;
    }
    return NULL;
}

static urd_err *write_chunk(struct urd_trace_writer *w, uint16_t kind, uint64_t first,
                            uint32_t n_records, const struct urd_buf *raw)
{
    struct urd_buf *out = &w->stored;
    size_t bound = ZSTD_compressBound(raw->size);
    out->size = 0;
    urd_buf_reserve(out, sizeof(struct urd_chunk_header) + bound);
    size_t stored =
        ZSTD_compress(out->data + sizeof(struct urd_chunk_header), bound, raw->data, raw->size, 1);
    if (ZSTD_isError(stored))
        URD_FAIL("zstd: %s", ZSTD_getErrorName(stored));
    struct urd_chunk_header h = {.magic = URD_TRACE_MAGIC,
                                 .version = URD_TRACE_VERSION,
                                 .kind = kind,
                                 .first_event = first,
                                 .n_records = n_records,
                                 .raw_bytes = (uint32_t)raw->size,
                                 .stored_bytes = (uint32_t)stored};
    memcpy(out->data, &h, sizeof h);
    XXH3_state_t *state = XXH3_createState();
    XXH3_64bits_reset(state);
    XXH3_64bits_update(state, out->data, offsetof(struct urd_chunk_header, checksum));
    XXH3_64bits_update(state, out->data + sizeof h, stored);
    h.checksum = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    memcpy(out->data, &h, sizeof h);
    return write_whole(w, out->data, sizeof h + stored);
}

static void writer_free(struct urd_trace_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    urd_codec_deinit(&w->codec);
    urd_buf_deinit(&w->raw);
    urd_buf_deinit(&w->stored);
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
    w->fd = -1;
    w->directory = strdup(directory);
    w->first_event = 1;
    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        return urd_err_hint(urd_err_make(URD_ERR_FAILED, errno, __func__, __FILE__, __LINE__,
                                         "cannot make the trace directory %s", directory),
                            "choose another one with -o DIR");
    URD_AUTO_FREE char *files = urd_xprintf("%s/files", directory);
    if (mkdir(files, 0777) != 0 && errno != EEXIST)
        URD_FAIL_ERRNO("cannot make %s", files);
    URD_AUTO_FREE char *path = urd_xprintf("%s/trace.urd", directory);
    w->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_APPEND, 0666);
    if (w->fd < 0 && errno == EEXIST)
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "%s already holds a trace", directory),
                            "give another directory with -o, or remove that one");
    if (w->fd < 0)
        URD_FAIL_ERRNO("cannot make %s", path);
    struct urd_buf raw = {0};
    urd_trace_info_encode(info, &raw);
    urd_err *err = write_chunk(w, URD_CHUNK_HEADER, 0, 1, &raw);
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
    urd_err *err = write_chunk(w, URD_CHUNK_EVENTS, first, n, &w->raw);
    w->raw.size = 0;
    urd_codec_reset(&w->codec);
    URD_TRY(err);
    return NULL;
}

urd_err *urd_trace_append(struct urd_trace_writer *w, const struct urd_event *e)
{
    urd_codec_encode(&w->codec, e, &w->raw);
    w->n_records++;
    w->events++;
    if (w->raw.size >= CHUNK_RAW_BYTES)
        URD_TRY(urd_trace_flush(w));
    return NULL;
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
    err = write_chunk(w, URD_CHUNK_FILES, w->events + 1, 1, &raw);
    urd_buf_deinit(&raw);
    URD_TRY(err);
    *known = ++w->n_files;
    w->file_bytes += size;
    *ret = w->n_files;
    return NULL;
}

urd_err *urd_trace_store_file(struct urd_trace_writer *w, int fd, const char *path, uint32_t *ret)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        URD_FAIL_ERRNO("cannot look at the mapped file %s", path);
    uint64_t id[] = {st.st_dev,
                     st.st_ino,
                     (uint64_t)st.st_size,
                     (uint64_t)st.st_mtim.tv_sec,
                     (uint64_t)st.st_mtim.tv_nsec,
                     (uint64_t)st.st_ctim.tv_sec,
                     (uint64_t)st.st_ctim.tv_nsec};
    uint64_t *slot = urd_map_get(&w->known, XXH3_64bits(id, sizeof id));
    if (slot) {
        *ret = (uint32_t)*slot;
        return NULL;
    }
    URD_TRY(store_content(w, fd, path, (uint64_t)st.st_size, ret));
    *urd_map_put(&w->known, XXH3_64bits(id, sizeof id)) = *ret;
    return NULL;
}

uint64_t urd_trace_written_events(const struct urd_trace_writer *w)
{
    return w->events;
}

uint64_t urd_trace_written_bytes(const struct urd_trace_writer *w)
{
    return w->bytes + w->file_bytes;
}

urd_err *urd_trace_finish(struct urd_trace_writer *w)
{
    urd_err *err = urd_trace_flush(w);
    writer_free(w);
    URD_TRY(err);
    return NULL;
}
