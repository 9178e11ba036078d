#include "server/stream.h"
#include "base/buf.h"
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define TICK_MS  50
#define STALL_MS 30000

struct urd_stream {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t start, used; /* ring of URD_STREAM_BYTES */
    bool ended, abandoned;
    int owners;
    char bytes[URD_STREAM_BYTES];
};

static atomic_bool all_stopped;

void urd_stream_stop_all(void)
{
    atomic_store(&all_stopped, true);
}

struct urd_stream *urd_stream_create(void)
{
    struct urd_stream *s = urd_xrealloc(NULL, sizeof *s);
    memset(s, 0, offsetof(struct urd_stream, bytes));
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    s->owners = 2;
    return s;
}

static void release(struct urd_stream *s, bool *flag)
{
    pthread_mutex_lock(&s->lock);
    *flag = true;
    bool last = --s->owners == 0;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (!last)
        return;
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void urd_stream_writer_release(struct urd_stream *s)
{
    release(s, &s->ended);
}

void urd_stream_reader_release(struct urd_stream *s)
{
    release(s, &s->abandoned);
}

/** Wait for a change, at most one tick: closed sockets and the end of the server are polled for. */
static void wait_a_tick(struct urd_stream *s)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += TICK_MS * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_nsec -= 1000000000L;
        t.tv_sec++;
    }
    pthread_cond_timedwait(&s->changed, &s->lock, &t);
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool urd_stream_abandoned(struct urd_stream *s)
{
    pthread_mutex_lock(&s->lock);
    bool gone = s->abandoned || atomic_load(&all_stopped);
    pthread_mutex_unlock(&s->lock);
    return gone;
}

static size_t put(struct urd_stream *s, const char *from, size_t size)
{
    size_t room = URD_STREAM_BYTES - s->used;
    size_t end = (s->start + s->used) % URD_STREAM_BYTES;
    size_t n = size < room ? size : room;
    if (n > URD_STREAM_BYTES - end)
        n = URD_STREAM_BYTES - end;
    memcpy(s->bytes + end, from, n);
    s->used += n;
    return n;
}

urd_err *urd_stream_write(struct urd_stream *s, const void *data, size_t size)
{
    const char *from = data;
    urd_err *err = NULL;
    uint64_t since = 0;
    pthread_mutex_lock(&s->lock);
    while (size && !err) {
        if (s->abandoned || atomic_load(&all_stopped)) {
            err = URD_ERROR(URD_ERR_FAILED, "whoever asked is gone");
        } else if (s->used == URD_STREAM_BYTES) {
            uint64_t now = now_ms();
            since = since ? since : now;
            if (now - since > STALL_MS)
                err = URD_ERROR(URD_ERR_FAILED, "nobody read the answer for %d s", STALL_MS / 1000);
            else
                wait_a_tick(s);
        } else {
            size_t n = put(s, from, size);
            from += n;
            size -= n;
            since = 0;
            pthread_cond_broadcast(&s->changed);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return err;
}

/** Has the other end of the socket closed, or shut down its sending side? */
static bool peer_gone(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    return fd >= 0 && poll(&p, 1, 0) > 0 &&
           (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
}

ssize_t urd_stream_read(struct urd_stream *s, char *to, size_t max, int fd)
{
    ssize_t got = -2;
    pthread_mutex_lock(&s->lock);
    while (got == -2) {
        if (atomic_load(&all_stopped)) {
            got = -1;
        } else if (s->used) {
            size_t n = s->used < max ? s->used : max;
            if (n > URD_STREAM_BYTES - s->start)
                n = URD_STREAM_BYTES - s->start;
            memcpy(to, s->bytes + s->start, n);
            s->start = (s->start + n) % URD_STREAM_BYTES;
            s->used -= n;
            got = (ssize_t)n;
            pthread_cond_broadcast(&s->changed);
        } else if (s->ended) {
            got = 0;
        } else {
            wait_a_tick(s);
            if (!s->used && !s->ended && peer_gone(fd))
                got = -1;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return got;
}
