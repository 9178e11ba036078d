/* A chunk is compressed and written with one write(2) at the end of the file, so that whatever kills the recorder leaves whole
 * chunks and at most one torn one at the end. */
#include "trace/chunks.h"
#include "base/log.h"
#include "trace/format.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#define WORTH_A_THREAD                                                                             \
    (256u << 10) /* bytes in a chunk: a program that makes so many events goes on so */

void urd_chunks_init(struct urd_chunks *c, int fd, const char *directory)
{
    *c = (struct urd_chunks){.fd = fd, .directory = directory};
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->changed, NULL);
}

void urd_chunks_deinit(struct urd_chunks *c)
{
    if (c->threaded) {
        pthread_mutex_lock(&c->mutex);
        c->ending = true;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->mutex);
        pthread_join(c->thread, NULL);
    }
    urd_err_free(c->err);
    pthread_mutex_destroy(&c->mutex);
    pthread_cond_destroy(&c->changed);
    urd_buf_deinit(&c->stored);
    if (c->fd >= 0)
        close(c->fd);
}

static urd_err *write_whole(struct urd_chunks *c, const void *data, size_t size)
{
    if (c->failed)
        URD_FAIL("an earlier part of the trace could not be written");
    const uint8_t *p = data;
    off_t start = (off_t)c->bytes;
    while (size) {
        ssize_t n = write(c->fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int saved = n < 0 ? errno : ENOSPC;
            c->failed = true;
            if (ftruncate(c->fd, start) != 0)
                urd_log(1, "cannot cut the torn chunk off");
            errno = saved;
            return urd_err_hint(urd_err_make(URD_ERR_FAILED, saved, __func__, __FILE__, __LINE__,
                                             "cannot write the trace in %s", c->directory),
                                "what was recorded so far replays; free some space, or record "
                                "elsewhere with -o DIR");
        }
        p += n;
        size -= (size_t)n;
        c->bytes += (uint64_t)n;
    }
    return NULL;
}

static urd_err *write_chunk(struct urd_chunks *c, const struct urd_chunk *k)
{
    struct urd_buf *out = &c->stored;
    size_t bound = ZSTD_compressBound(k->raw.size);
    out->size = 0;
    urd_buf_reserve(out, sizeof(struct urd_chunk_header) + bound);
    size_t stored = ZSTD_compress(out->data + sizeof(struct urd_chunk_header), bound, k->raw.data,
                                  k->raw.size, 1);
    if (ZSTD_isError(stored))
        URD_FAIL("zstd: %s", ZSTD_getErrorName(stored));
    struct urd_chunk_header h = {.magic = URD_TRACE_MAGIC,
                                 .version = URD_TRACE_VERSION,
                                 .kind = k->kind,
                                 .first_event = k->first_event,
                                 .n_records = k->n_records,
                                 .raw_bytes = (uint32_t)k->raw.size,
                                 .stored_bytes = (uint32_t)stored};
    memcpy(out->data, &h, sizeof h);
    XXH3_state_t *state = XXH3_createState();
    XXH3_64bits_reset(state);
    XXH3_64bits_update(state, out->data, offsetof(struct urd_chunk_header, checksum));
    XXH3_64bits_update(state, out->data + sizeof h, stored);
    h.checksum = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    memcpy(out->data, &h, sizeof h);
    return write_whole(c, out->data, sizeof h + stored);
}

static void take_first(struct urd_chunks *c)
{
    urd_buf_deinit(&c->queue[0].raw);
    memmove(c->queue, c->queue + 1, --c->n * sizeof *c->queue);
    pthread_cond_broadcast(&c->changed);
}

static void *write_queued(void *arg)
{
    struct urd_chunks *c = arg;
    pthread_mutex_lock(&c->mutex);
    for (;;) {
        while (!c->n && !c->ending)
            pthread_cond_wait(&c->changed, &c->mutex);
        if (!c->n)
            break;
        struct urd_chunk k = c->queue[0];
        pthread_mutex_unlock(&c->mutex);
        urd_err *err = write_chunk(c, &k);
        pthread_mutex_lock(&c->mutex);
        if (!c->err)
            c->err = err;
        else
            urd_err_free(err);
        take_first(c);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

/** Off the core that the recorder shares with its subject; its signals are the recorder's. */
static void start_thread(struct urd_chunks *c)
{
    sigset_t all, before;
    cpu_set_t cores;
    pthread_attr_t attributes;
    memset(&cores, 0xff, sizeof cores);
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setaffinity_np(&attributes, sizeof cores, &cores);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    c->threaded = pthread_create(&c->thread, &attributes, write_queued, c) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

static urd_err *take_error(struct urd_chunks *c)
{
    urd_err *err = c->err;
    c->err = NULL;
    return err;
}

urd_err *urd_chunks_put(struct urd_chunks *c, uint16_t kind, uint64_t first_event,
                        uint32_t n_records, struct urd_buf *raw)
{
    struct urd_chunk k = {kind, n_records, first_event, *raw};
    *raw = (struct urd_buf){0};
    if (!c->threaded && k.raw.size >= WORTH_A_THREAD)
        start_thread(c);
    if (!c->threaded) {
        urd_err *err = write_chunk(c, &k);
        *raw = k.raw; /* its room is used again */
        raw->size = 0;
        return err;
    }
    pthread_mutex_lock(&c->mutex);
    while (c->n == URD_CHUNKS_QUEUED)
        pthread_cond_wait(&c->changed, &c->mutex);
    c->queue[c->n++] = k;
    pthread_cond_broadcast(&c->changed);
    urd_err *err = take_error(c);
    pthread_mutex_unlock(&c->mutex);
    return err;
}

urd_err *urd_chunks_wait(struct urd_chunks *c)
{
    if (!c->threaded)
        return NULL;
    pthread_mutex_lock(&c->mutex);
    while (c->n)
        pthread_cond_wait(&c->changed, &c->mutex);
    urd_err *err = take_error(c);
    pthread_mutex_unlock(&c->mutex);
    return err;
}
