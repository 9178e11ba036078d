#include "indexer/store.h"
#include "base/log.h"
#include "indexer/schema.h"
#include "indexer/writes.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct urd_store {
    sqlite3 *db;
    char *lock_path;
    int lock_fd; /* locked; -1: not */
    bool shared; /* with those who ask */
    pthread_mutex_t lock;
    sqlite3_stmt *segment, *write, *flow, *touched, *calls;
    sqlite3_stmt *read, *read_segment; /* made when needed */
};

urd_err *urd_store_failed(sqlite3 *db, const char *what)
{
    urd_err *err = URD_ERROR(URD_ERR_FAILED, "%s: %s", what, sqlite3_errmsg(db));
    int code = sqlite3_errcode(db);
    if (code == SQLITE_FULL)
        urd_err_hint(err, "the disk is full: free some space and run urd index again, it goes on");
    else if (code == SQLITE_BUSY)
        urd_err_hint(err, "another urd has this index locked: wait for it");
    else if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        urd_err_hint(err, "the index is damaged: remove index.urd and run urd index again");
    return err;
}

urd_err *urd_store_exec(struct urd_store *s, const char *sql)
{
    if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return urd_store_failed(s->db, "cannot write the index");
    return NULL;
}

static urd_err *prepare(struct urd_store *s, const char *sql, sqlite3_stmt **ret)
{
    if (sqlite3_prepare_v2(s->db, sql, -1, ret, NULL) != SQLITE_OK)
        return urd_store_failed(s->db, "cannot prepare a statement of the index");
    return NULL;
}

static void store_cleanup(struct urd_store **s)
{
    urd_store_close(*s);
}

static urd_err *check_version(struct urd_store *s)
{
    sqlite3_stmt *q;
    URD_TRY(prepare(s, "SELECT value FROM meta WHERE key = 'version'", &q));
    urd_err *err = NULL;
    if (sqlite3_step(q) == SQLITE_ROW &&
        strcmp((const char *)sqlite3_column_text(q, 0), URD_INDEX_VERSION))
        err =
            urd_err_hint(URD_ERROR(URD_ERR_FAILED, "the index is of version %s, this urd makes %s",
                                   sqlite3_column_text(q, 0), URD_INDEX_VERSION),
                         "use the newer urd, or remove index.urd from the trace's directory and "
                         "index again");
    sqlite3_finalize(q);
    return err;
}

uint64_t urd_store_number(struct urd_store *s, const char *key)
{
    sqlite3_stmt *q;
    uint64_t n = 0;
    if (sqlite3_prepare_v2(s->db, "SELECT value FROM meta WHERE key = ?", -1, &q, NULL) ==
        SQLITE_OK) {
        sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
        if (sqlite3_step(q) == SQLITE_ROW)
            n = (uint64_t)sqlite3_column_int64(q, 0);
    }
    sqlite3_finalize(q);
    return n;
}

urd_err *urd_store_share(struct urd_store *s)
{
    /* the lock is given up when something is read; in WAL who asks does not wait for who writes, nor the other way round */
    sqlite3_busy_timeout(s->db, 60000); /* a question that is under way ends */
    if (!s->shared)
        URD_TRY(urd_store_exec(
            s, "PRAGMA locking_mode=NORMAL; SELECT count(*) FROM meta; PRAGMA journal_mode=WAL;"));
    s->shared = true;
    return NULL;
}

static struct flock whole_file(int type)
{
    return (struct flock){.l_type = (short)type, .l_whence = SEEK_SET};
}

/** The file goes with the one who made it: whoever has locked a file that is gone tries again. */
static urd_err *lock_index(struct urd_store *s)
{
    for (;;) {
        s->lock_fd = open(s->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (s->lock_fd < 0)
            URD_FAIL_ERRNO("cannot make %s", s->lock_path);
        struct flock l = whole_file(F_WRLCK);
        if (fcntl(s->lock_fd, F_OFD_SETLK, &l) != 0) {
            close(s->lock_fd);
            s->lock_fd = -1;
            return urd_err_hint(
                URD_ERROR(URD_ERR_FAILED, "another urd is indexing this trace"),
                "questions are answered meanwhile, from what is there; or wait for it");
        }
        struct stat mine, there;
        if (fstat(s->lock_fd, &mine) == 0 && stat(s->lock_path, &there) == 0 &&
            mine.st_ino == there.st_ino)
            return NULL;
        close(s->lock_fd);
    }
}

bool urd_store_is_written(const char *directory)
{
    URD_AUTO_FREE char *path = urd_xprintf("%s/index.lock", directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct flock l = whole_file(F_WRLCK);
    bool held = fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
    close(fd);
    return held;
}

void urd_store_hold(struct urd_store *s)
{
    pthread_mutex_lock(&s->lock);
}

void urd_store_release(struct urd_store *s)
{
    pthread_mutex_unlock(&s->lock);
}

/** An index that an older urd made is made anew: all of it follows from the trace. Who has it open goes on reading what is gone. With the lock. */
static urd_err *forget_older(const char *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    int version = 0;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE key = 'version'", -1, &q, NULL) ==
            SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW)
        version = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    if (!version || version >= atoi(URD_INDEX_VERSION))
        return NULL;
    urd_warn("the index was made by an older urd (version %d): it is made anew", version);
    static const char *const ends[] = {"-wal", "-shm", "-journal", ""}; /* the file itself last */
    for (unsigned i = 0; i < sizeof ends / sizeof *ends; i++) {
        URD_AUTO_FREE char *file = urd_xprintf("%s%s", path, ends[i]);
        if (unlink(file) != 0 && errno != ENOENT)
            URD_FAIL_ERRNO("cannot remove %s", file);
    }
    return NULL;
}

urd_err *urd_store_open(const char *directory, struct urd_store **ret)
{
    URD_CLEANUP(store_cleanup) struct urd_store *s = urd_xcalloc(1, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    s->lock_fd = -1;
    s->lock_path = urd_xprintf("%s/index.lock", directory);
    URD_TRY(lock_index(s));
    URD_AUTO_FREE char *path = urd_xprintf("%s/index.urd", directory);
    URD_TRY(forget_older(path));
    if (sqlite3_open(path, &s->db) != SQLITE_OK)
        return urd_store_failed(s->db, "cannot open the index");
    sqlite3_busy_timeout(s->db, 2000);
    URD_TRY(urd_store_exec(s, "PRAGMA page_size=16384; PRAGMA synchronous=OFF; "
                              "PRAGMA cache_size=-65536;"));
    if (urd_store_number(s, "complete") != 1)
        URD_TRY(urd_store_exec(s, "PRAGMA journal_mode=TRUNCATE; PRAGMA locking_mode=EXCLUSIVE;"));
    URD_TRY(urd_store_exec(s, URD_INDEX_SCHEMA));
    URD_TRY(check_version(s));
    URD_TRY(
        urd_store_exec(s, "INSERT OR IGNORE INTO meta VALUES('version', '" URD_INDEX_VERSION "')"));
    URD_TRY(prepare(s,
                    "INSERT INTO segments(id,start_event,start_steps,end_event,end_steps,steps,"
                    "n_writes,event_steps,blocks,joins,pages,ran) "
                    "VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
                    &s->segment));
    URD_TRY(prepare(s, "INSERT INTO writes VALUES(?,?,?,?,?,?,?)", &s->write));
    URD_TRY(prepare(s, "INSERT INTO flow VALUES(?,?,?,?,?,?,?,?,?,?,?)", &s->flow));
    URD_TRY(prepare(s, "INSERT INTO touched VALUES(?,?,?,?)", &s->touched));
    URD_TRY(prepare(s, "INSERT INTO calls VALUES(?,?,?,?,?)", &s->calls));
    *ret = s;
    s = NULL;
    return NULL;
}

/** So that it can be read where nothing can be written. As long as others have it open that cannot be; they soon have not, or it stays. */
static void leave_wal(struct urd_store *s)
{
    for (unsigned tries = 0; tries < 20; tries++) {
        if (sqlite3_exec(s->db, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL) == SQLITE_OK)
            return;
        usleep(20000);
    }
}

void urd_store_close(struct urd_store *s)
{
    if (!s)
        return;
    sqlite3_finalize(s->segment);
    sqlite3_finalize(s->write);
    sqlite3_finalize(s->flow);
    sqlite3_finalize(s->touched);
    sqlite3_finalize(s->calls);
    sqlite3_finalize(s->read);
    sqlite3_finalize(s->read_segment);
    if (s->lock_fd >= 0)
        leave_wal(s);
    sqlite3_close(s->db);
    if (s->lock_fd >= 0) {
        unlink(s->lock_path);
        close(s->lock_fd);
    }
    free(s->lock_path);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

sqlite3 *urd_store_db(struct urd_store *s)
{
    return s->db;
}

struct urd_store_blob urd_store_keep(struct urd_store_segment *g, const void *data, size_t size)
{
    struct urd_store_blob b = {g->bytes.size, size};
    urd_buf_put(&g->bytes, data, size);
    return b;
}

urd_err *urd_store_keep_page_row(void *segment, const struct urd_page_row *row)
{
    struct urd_store_segment *g = segment;
    struct urd_store_write w = {
        .space = row->space, .page = row->page, .first = row->first, .n = row->n};
    memcpy(w.words, row->words, 64);
    w.data = urd_store_keep(g, row->data, row->size);
    URD_PUSH(g->writes, g->n_write_rows, g->cap_write_rows) = w;
    return NULL;
}

void urd_store_segment_deinit(struct urd_store_segment *g)
{
    urd_buf_deinit(&g->bytes);
    free(g->writes);
    free(g->flow);
    free(g->touched);
    free(g->calls);
    *g = (struct urd_store_segment){0};
}

static void bind_blob(sqlite3_stmt *q, int i, const struct urd_store_segment *g,
                      struct urd_store_blob b)
{
    sqlite3_bind_blob64(q, i, g->bytes.data + b.at, b.size, SQLITE_STATIC);
}

static bool run(sqlite3_stmt *q)
{
    bool ok = sqlite3_step(q) == SQLITE_DONE;
    sqlite3_reset(q);
    return ok;
}

static bool put_page_rows(sqlite3_stmt *q, const struct urd_store_segment *g)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < g->n_write_rows; i++) {
        const struct urd_store_write *w = &g->writes[i];
        sqlite3_bind_int64(q, 1, w->space);
        sqlite3_bind_int64(q, 2, (int64_t)w->page);
        sqlite3_bind_int64(q, 3, g->id);
        sqlite3_bind_int64(q, 4, (int64_t)w->first);
        sqlite3_bind_int64(q, 5, w->n);
        sqlite3_bind_blob(q, 6, w->words, 64, SQLITE_STATIC);
        bind_blob(q, 7, g, w->data);
        ok = run(q);
    }
    return ok;
}

static bool put_read_rows(struct urd_store *s, const struct urd_store_segment *g)
{
    sqlite3_bind_int64(s->read_segment, 1, g->id);
    sqlite3_bind_int64(s->read_segment, 2, (int64_t)g->steps);
    return put_page_rows(s->read, g) && run(s->read_segment);
}

static bool put_rows(struct urd_store *s, const struct urd_store_segment *g)
{
    bool ok = put_page_rows(s->write, g);
    for (uint32_t i = 0; ok && i < g->n_flow; i++) {
        const struct urd_store_flow *f = &g->flow[i];
        const int64_t numbers[] = {
            g->id, i, f->tid, f->space, (int64_t)f->first, (int64_t)f->steps, f->blocks};
        for (int k = 0; k < 7; k++)
            sqlite3_bind_int64(s->flow, k + 1, numbers[k]);
        bind_blob(s->flow, 8, g, f->cover);
        bind_blob(s->flow, 9, g, f->stack);
        bind_blob(s->flow, 10, g, f->data);
        bind_blob(s->flow, 11, g, f->stores);
        ok = run(s->flow);
    }
    for (uint32_t i = 0; ok && i < g->n_touched; i++) {
        const struct urd_store_touched *t = &g->touched[i];
        sqlite3_bind_int64(s->touched, 1, t->space);
        sqlite3_bind_int64(s->touched, 2, (int64_t)t->page);
        sqlite3_bind_int64(s->touched, 3, g->id);
        bind_blob(s->touched, 4, g, t->data);
        ok = run(s->touched);
    }
    for (uint32_t i = 0; ok && i < g->n_calls; i++) {
        const struct urd_store_calls *c = &g->calls[i];
        sqlite3_bind_int64(s->calls, 1, c->space);
        sqlite3_bind_int64(s->calls, 2, (int64_t)c->entry);
        sqlite3_bind_int64(s->calls, 3, g->id);
        sqlite3_bind_int64(s->calls, 4, c->n);
        bind_blob(s->calls, 5, g, c->data);
        ok = run(s->calls);
    }
    const int64_t numbers[] = {g->id,
                               (int64_t)g->start.event,
                               (int64_t)g->start.steps,
                               (int64_t)g->end.event,
                               (int64_t)g->end.steps,
                               (int64_t)g->steps,
                               (int64_t)g->n_writes};
    for (int k = 0; k < 7; k++)
        sqlite3_bind_int64(s->segment, k + 1, numbers[k]);
    bind_blob(s->segment, 8, g, g->event_steps);
    for (int k = 9; k <= 12; k++)
        sqlite3_bind_null(s->segment, k);
    if (g->counted) {
        if (g->pages.size)
            bind_blob(s->segment, 11, g, g->pages);
        if (g->ran.size)
            bind_blob(s->segment, 12, g, g->ran);
    } else {
        bind_blob(s->segment, 9, g, g->blocks);
        bind_blob(s->segment, 10, g, g->joins);
    }
    return ok && run(s->segment);
}

/** In one transaction. */
static urd_err *put(struct urd_store *s, const struct urd_store_segment *g,
                    bool (*rows)(struct urd_store *s, const struct urd_store_segment *g))
{
    urd_err *err = NULL;
    bool ok = sqlite3_exec(s->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK && rows(s, g) &&
              sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
    if (!ok) {
        err = urd_store_failed(s->db, "cannot write a segment of the index");
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return err;
}

urd_err *urd_store_put_segment(struct urd_store *s, const struct urd_store_segment *g)
{
    pthread_mutex_lock(&s->lock);
    urd_err *err = put(s, g, put_rows);
    pthread_mutex_unlock(&s->lock);
    return err;
}

urd_err *urd_store_put_reads(struct urd_store *s, const struct urd_store_segment *g)
{
    pthread_mutex_lock(&s->lock);
    urd_err *err = NULL;
    if (!s->read)
        err = prepare(s, "INSERT INTO reads VALUES(?,?,?,?,?,?,?)", &s->read);
    if (!err && !s->read_segment)
        err = prepare(s, "INSERT INTO read_segments(id, steps) VALUES(?,?)", &s->read_segment);
    if (!err)
        err = put(s, g, put_read_rows);
    pthread_mutex_unlock(&s->lock);
    return err;
}
