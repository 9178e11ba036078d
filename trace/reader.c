#include "trace/format.h"
#include "trace/info.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#define MAX_RAW_BYTES (1u << 30)

struct chunk {
    uint64_t offset, first_event;
    uint32_t n_records, raw_bytes, stored_bytes;
};

struct urd_trace {
    char *directory;
    const uint8_t *data, *clones;
    size_t size, clones_size;
    struct urd_trace_info info;
    struct chunk *chunks; /* those of events */
    size_t n_chunks, cap_chunks;
    struct urd_trace_file *files;
    size_t n_files, cap_files;
    uint64_t n_events;
    char *torn;
};

struct urd_trace_reader {
    struct urd_trace *trace;
    struct urd_codec codec;
    struct urd_buf raw;
    struct urd_cursor cursor;
    size_t next_chunk;
    uint32_t left; /* records of this chunk */
    uint64_t number;
    struct urd_event event;
};

static uint64_t chunk_checksum(const uint8_t *chunk, const struct urd_chunk_header *h)
{
    XXH3_state_t *state = XXH3_createState();
    struct urd_chunk_header zeroed = *h;
    zeroed.checksum = 0;
    XXH3_64bits_reset(state);
    XXH3_64bits_update(state, &zeroed, offsetof(struct urd_chunk_header, checksum));
    XXH3_64bits_update(state, chunk + sizeof *h, h->stored_bytes);
    uint64_t sum = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return sum;
}

static urd_err *unpack(const struct urd_trace *t, uint64_t offset, uint32_t stored, uint32_t raw,
                       struct urd_buf *out)
{
    out->size = 0;
    urd_buf_reserve(out, raw + 1);
    size_t n =
        ZSTD_decompress(out->data, raw, t->data + offset + sizeof(struct urd_chunk_header), stored);
    if (ZSTD_isError(n) || n != raw)
        URD_FAIL("the chunk at byte %llu of %s/trace.urd is damaged", (unsigned long long)offset,
                 t->directory);
    out->size = n;
    return NULL;
}

static urd_err *read_files(struct urd_trace *t, const struct urd_buf *raw, uint32_t n)
{
    struct urd_cursor in = urd_cursor(raw->data, raw->size);
    for (uint32_t i = 0; i < n; i++) {
        struct urd_trace_file f = {0};
        char *hash = urd_cursor_text(&in);
        f.path = urd_cursor_text(&in);
        f.size = urd_cursor_varint(&in);
        bool ok = in.ok && hash && strlen(hash) == 32 && !strchr(hash, '/');
        if (ok)
            memcpy(f.hash, hash, 33);
        free(hash);
        if (!ok) {
            free(f.path);
            URD_FAIL("the list of files in %s/trace.urd is damaged", t->directory);
        }
        URD_PUSH(t->files, t->n_files, t->cap_files) = f;
    }
    return NULL;
}

/** One chunk at *offset; false in *ret_whole when it is torn or damaged. */
static urd_err *scan_chunk(struct urd_trace *t, uint64_t *offset, struct urd_buf *raw,
                           bool *ret_whole)
{
    *ret_whole = false;
    struct urd_chunk_header h;
    if (t->size - *offset < sizeof h)
        return NULL;
    memcpy(&h, t->data + *offset, sizeof h);
    if (h.magic != URD_TRACE_MAGIC || h.stored_bytes > t->size - *offset - sizeof h ||
        h.raw_bytes > MAX_RAW_BYTES || chunk_checksum(t->data + *offset, &h) != h.checksum)
        return NULL;
    if (h.version < URD_TRACE_OLDEST || h.version > URD_TRACE_VERSION)
        return urd_err_hint(URD_ERROR(URD_ERR_FAILED,
                                      "%s was written in format %u; this urd reads %u to %u",
                                      t->directory, h.version, URD_TRACE_OLDEST, URD_TRACE_VERSION),
                            "use the urd that recorded it");
    bool first = *offset == 0;
    if (first != (h.kind == URD_CHUNK_HEADER))
        return NULL;
    if (h.kind == URD_CHUNK_EVENTS) {
        if (h.first_event != t->n_events + 1)
            return NULL;
        URD_PUSH(t->chunks, t->n_chunks, t->cap_chunks) =
            (struct chunk){*offset, h.first_event, h.n_records, h.raw_bytes, h.stored_bytes};
        t->n_events += h.n_records;
    } else {
        URD_TRY(unpack(t, *offset, h.stored_bytes, h.raw_bytes, raw));
        if (h.kind == URD_CHUNK_HEADER)
            URD_TRY(urd_trace_info_decode(raw->data, raw->size, &t->info));
        else
            URD_TRY(read_files(t, raw, h.n_records));
    }
    *offset += sizeof h + h.stored_bytes;
    *ret_whole = true;
    return NULL;
}

static urd_err *scan(struct urd_trace *t)
{
    uint64_t offset = 0;
    struct urd_buf raw = {0};
    urd_err *err = NULL;
    while (offset < t->size) {
        bool whole;
        err = scan_chunk(t, &offset, &raw, &whole);
        if (err)
            break;
        if (!whole) {
            t->torn =
                urd_xprintf("the trace is cut off or damaged after event %llu (byte %llu of %llu)",
                            (unsigned long long)t->n_events, (unsigned long long)offset,
                            (unsigned long long)t->size);
            break;
        }
    }
    urd_buf_deinit(&raw);
    return err;
}

/** What large reads gave; most traces have none. */
static urd_err *map_clones(struct urd_trace *t)
{
    URD_AUTO_FREE char *path = urd_xprintf("%s/clones", t->directory);
    URD_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 && errno == ENOENT)
        return NULL;
    if (fd < 0 || fstat(fd, &st) != 0)
        URD_FAIL_ERRNO("cannot read %s", path);
    if (!st.st_size)
        return NULL;
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        URD_FAIL_ERRNO("cannot map %s", path);
    t->clones = data;
    t->clones_size = (size_t)st.st_size;
    return NULL;
}

static void trace_cleanup(struct urd_trace **t)
{
    urd_trace_close(*t);
}

urd_err *urd_trace_open(const char *directory, struct urd_trace **ret)
{
    URD_AUTO_FREE char *path = urd_xprintf("%s/trace.urd", directory);
    URD_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return urd_err_hint(urd_err_make(URD_ERR_FAILED, errno, __func__, __FILE__, __LINE__,
                                         "there is no trace in %s", directory),
                            "record one with: urd record PROGRAM; list them with: urd ls");
    URD_CLEANUP(trace_cleanup) struct urd_trace *t = urd_xcalloc(1, sizeof *t);
    t->directory = strdup(directory);
    struct stat st;
    if (fstat(fd, &st) != 0)
        URD_FAIL_ERRNO("cannot look at %s", path);
    t->size = (size_t)st.st_size;
    if (t->size) {
        void *data = mmap(NULL, t->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            URD_FAIL_ERRNO("cannot map %s", path);
        t->data = data;
    }
    URD_TRY(map_clones(t));
    URD_TRY(scan(t));
    if (!t->info.version)
        return urd_err_hint(
            URD_ERROR(URD_ERR_FAILED, "%s is not a trace, or its header is damaged", path),
            "nothing of it can be replayed; record again");
    if (!t->n_events)
        return urd_err_hint(
            URD_ERROR(URD_ERR_FAILED, "the trace in %s has no events", directory),
            "its recording was killed before anything ran, or all of it is damaged");
    *ret = t;
    t = NULL;
    return NULL;
}

void urd_trace_close(struct urd_trace *t)
{
    if (!t)
        return;
    if (t->data)
        munmap((void *)t->data, t->size);
    if (t->clones)
        munmap((void *)t->clones, t->clones_size);
    urd_trace_info_deinit(&t->info);
    for (size_t i = 0; i < t->n_files; i++)
        free(t->files[i].path);
    free(t->files);
    free(t->chunks);
    free(t->torn);
    free(t->directory);
    free(t);
}

const struct urd_trace_info *urd_trace_get_info(const struct urd_trace *t)
{
    return &t->info;
}

const char *urd_trace_directory(const struct urd_trace *t)
{
    return t->directory;
}

uint64_t urd_trace_event_count(const struct urd_trace *t)
{
    return t->n_events;
}

const char *urd_trace_torn(const struct urd_trace *t)
{
    return t->torn;
}

uint64_t urd_trace_bytes(const struct urd_trace *t)
{
    uint64_t bytes = t->size + t->clones_size;
    for (size_t i = 0; i < t->n_files; i++)
        bytes += t->files[i].size;
    return bytes;
}

const struct urd_trace_file *urd_trace_file(const struct urd_trace *t, uint32_t index)
{
    return index < t->n_files ? &t->files[index] : NULL;
}

uint32_t urd_trace_file_count(const struct urd_trace *t)
{
    return (uint32_t)t->n_files;
}

char *urd_trace_file_path(const struct urd_trace *t, uint32_t index)
{
    return index < t->n_files ? urd_xprintf("%s/files/%s", t->directory, t->files[index].hash)
                              : NULL;
}

static urd_err *next_chunk(struct urd_trace_reader *r)
{
    const struct chunk *c = &r->trace->chunks[r->next_chunk++];
    URD_TRY(unpack(r->trace, c->offset, c->stored_bytes, c->raw_bytes, &r->raw));
    r->cursor = urd_cursor(r->raw.data, r->raw.size);
    r->left = c->n_records;
    r->number = c->first_event;
    urd_codec_reset(&r->codec);
    return NULL;
}

static void reader_cleanup(struct urd_trace_reader **r)
{
    urd_trace_reader_close(*r);
}

urd_err *urd_trace_read_from(struct urd_trace *t, uint64_t event, struct urd_trace_reader **ret)
{
    if (event < 1 || event > t->n_events + 1)
        URD_WRONG("there is no event %llu; the trace has events 1 to %llu",
                  (unsigned long long)event, (unsigned long long)t->n_events);
    URD_CLEANUP(reader_cleanup) struct urd_trace_reader *r = urd_xcalloc(1, sizeof *r);
    r->trace = t;
    r->codec.clones = t->clones;
    r->codec.clones_bytes = t->clones_size;
    size_t low = 0, high = t->n_chunks; /* the first chunk that begins after event */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (t->chunks[middle].first_event <= event)
            low = middle + 1;
        else
            high = middle;
    }
    r->next_chunk = low - 1;
    URD_TRY(next_chunk(r));
    while (r->number < event && r->left) {
        const struct urd_event *e;
        URD_TRY(urd_trace_next(r, &e));
    }
    *ret = r;
    r = NULL;
    return NULL;
}

urd_err *urd_trace_next(struct urd_trace_reader *r, const struct urd_event **ret)
{
    if (!r->left) {
        if (r->next_chunk >= r->trace->n_chunks) {
            *ret = NULL;
            return NULL;
        }
        URD_TRY(next_chunk(r));
    }
    URD_TRY(urd_codec_decode(&r->codec, &r->cursor, &r->event));
    for (uint32_t i = 0; i < r->event.n_map_ops; i++)
        if (r->event.map_ops[i].file > r->trace->n_files)
            URD_FAIL("event %llu names a file that the trace does not have",
                     (unsigned long long)r->number);
    r->event.number = r->number++;
    r->left--;
    *ret = &r->event;
    return NULL;
}

void urd_trace_reader_close(struct urd_trace_reader *r)
{
    if (!r)
        return;
    urd_codec_deinit(&r->codec);
    urd_buf_deinit(&r->raw);
    free(r);
}
