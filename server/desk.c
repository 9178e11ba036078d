#include "server/desk.h"
#include "base/buf.h"
#include <errno.h>
#include <pthread.h>
#include <time.h>

#define MAX_WAITING   256
#define CLOSE_GRACE_S 5

struct job {
    struct job *next;
    urd_job_fn fn;
    void *data;
};

struct counter {
    struct urd_desk *desk;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *first, **last;
    int waiting;
    bool started, opened, stop;
    urd_err *open_err; /* taken by urd_desk_open, for the first counter */
};

struct urd_desk {
    char *directory;
    int n;
    struct counter counters[URD_LANES];
};

static struct job *take(struct counter *c)
{
    pthread_mutex_lock(&c->lock);
    while (!c->first && !c->stop)
        pthread_cond_wait(&c->changed, &c->lock);
    struct job *j = c->first;
    if (j) {
        c->first = j->next;
        if (!c->first)
            c->last = &c->first;
        c->waiting--;
    }
    pthread_mutex_unlock(&c->lock);
    return j;
}

static void *serve(void *data)
{
    struct counter *c = data;
    struct urd_engine *engine = NULL;
    bool first = c == &c->desk->counters[0];
    if (first) {
        urd_err *err = urd_query_open(c->desk->directory, &engine);
        pthread_mutex_lock(&c->lock);
        c->opened = true;
        c->open_err = err;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
        if (err)
            return NULL;
    }
    struct job *j;
    while ((j = take(c))) {
        pthread_mutex_lock(&c->lock);
        bool stop = c->stop;
        pthread_mutex_unlock(&c->lock);
        urd_err *err = NULL;
        if (stop)
            err = URD_ERROR(URD_ERR_FAILED, "the server is stopping");
        else if (!engine)
            err = urd_query_open(c->desk->directory, &engine);
        j->fn(j->data, err ? NULL : engine, err);
        free(j);
    }
    if (engine)
        urd_query_close(engine);
    return NULL;
}

static urd_err *start(struct counter *c)
{
    int error = pthread_create(&c->thread, NULL, serve, c);
    if (error) {
        errno = error;
        URD_FAIL_ERRNO("starting a thread for the query engine");
    }
    c->started = true;
    return NULL;
}

urd_err *urd_desk_open(const char *trace_directory, int engines, struct urd_desk **ret)
{
    struct urd_desk *d = urd_xcalloc(1, sizeof *d);
    d->directory = strdup(trace_directory);
    d->n = engines > 1 ? URD_LANES : 1;
    for (int i = 0; i < URD_LANES; i++) {
        struct counter *c = &d->counters[i];
        c->desk = d;
        c->last = &c->first;
        pthread_mutex_init(&c->lock, NULL);
        pthread_cond_init(&c->changed, NULL);
    }
    struct counter *c = &d->counters[0];
    urd_err *err = start(c);
    if (!err) {
        pthread_mutex_lock(&c->lock);
        while (!c->opened)
            pthread_cond_wait(&c->changed, &c->lock);
        err = c->open_err;
        pthread_mutex_unlock(&c->lock);
    }
    if (err) {
        urd_desk_close(d);
        return urd_err_hop(err, __func__, __FILE__, __LINE__);
    }
    *ret = d;
    return NULL;
}

void urd_desk_close(struct urd_desk *d)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSE_GRACE_S;
    bool all = true;
    for (int i = 0; i < URD_LANES; i++) {
        struct counter *c = &d->counters[i];
        pthread_mutex_lock(&c->lock);
        c->stop = true;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
    }
    for (int i = 0; i < URD_LANES; i++)
        if (d->counters[i].started &&
            pthread_timedjoin_np(d->counters[i].thread, NULL, &until) != 0)
            all = false;
    if (!all)
        return; /* its thread still uses the desk; the process is about to end */
    for (int i = 0; i < URD_LANES; i++) {
        pthread_mutex_destroy(&d->counters[i].lock);
        pthread_cond_destroy(&d->counters[i].changed);
    }
    free(d->directory);
    free(d);
}

urd_err *urd_desk_submit(struct urd_desk *d, enum urd_desk_lane lane, urd_job_fn fn, void *data)
{
    struct counter *c = &d->counters[(int)lane < d->n ? (int)lane : 0];
    urd_err *err = NULL;
    pthread_mutex_lock(&c->lock);
    if (c->stop)
        err = URD_ERROR(URD_ERR_FAILED, "the server is stopping");
    else if (c->waiting >= MAX_WAITING)
        err = urd_err_hint(URD_ERROR(URD_ERR_FAILED, "%d questions wait already", c->waiting),
                           "ask again in a moment");
    else if (!c->started)
        err = start(c);
    if (!err) {
        struct job *j = urd_xcalloc(1, sizeof *j);
        j->fn = fn;
        j->data = data;
        *c->last = j;
        c->last = &j->next;
        c->waiting++;
        pthread_cond_broadcast(&c->changed);
    }
    pthread_mutex_unlock(&c->lock);
    return err;
}
