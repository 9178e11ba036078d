#include "server/http.h"
#include "base/buf.h"
#include "server/answer.h"
#include "server/guard.h"
#include "server/question.h"
#include <stdio.h>
#include <sys/socket.h>

#define API "/api/v1/"

/* ui-static/README.md says how the UI lives with this. */
static const char content_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types lit-html";

struct request {
    bool begun, bad_target, too_large;
    struct urd_buf body;
};

void urd_http_init(struct urd_http *h, int port)
{
    *h = (struct urd_http){.port = port};
    pthread_mutex_init(&h->lock, NULL);
    for (int i = 0; i < URD_HTTP_MAX_CONNECTIONS; i++)
        h->slots[i].fd = -1;
}

void urd_http_deinit(struct urd_http *h)
{
    urd_files_deinit(&h->files);
    if (h->desk)
        urd_desk_close(h->desk);
    pthread_mutex_destroy(&h->lock);
}

/* ---- connections ---- */

static time_t now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static int fd_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *i =
        mhd.get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    return i ? i->connect_fd : -1;
}

/** Change the connection's slot: from one file descriptor (-1: a free slot) to another. */
static void set_slot(struct urd_http *h, int from, int to, bool answering)
{
    pthread_mutex_lock(&h->lock);
    for (int i = 0; i < URD_HTTP_MAX_CONNECTIONS; i++)
        if (h->slots[i].fd == from) {
            h->slots[i] = (struct urd_http_slot){to, answering, now_s()};
            break;
        }
    pthread_mutex_unlock(&h->lock);
}

void urd_http_connection(void *cls, struct MHD_Connection *c, void **socket_state,
                         enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        set_slot(cls, -1, fd_of(c), false);
    else
        set_slot(cls, fd_of(c), -1, false);
}

void urd_http_close_idle(struct urd_http *h)
{
    time_t now = now_s();
    pthread_mutex_lock(&h->lock);
    for (int i = 0; i < URD_HTTP_MAX_CONNECTIONS; i++) {
        struct urd_http_slot *s = &h->slots[i];
        if (s->fd >= 0 && !s->answering && now - s->since > URD_HTTP_HEADER_S)
            shutdown(s->fd, SHUT_RDWR); /* its thread sees the end and closes it */
    }
    pthread_mutex_unlock(&h->lock);
}

void *urd_http_begin(void *cls, const char *uri, struct MHD_Connection *c)
{
    struct request *r = urd_xcalloc(1, sizeof *r);
    r->bad_target = !urd_guard_target(uri);
    return r;
}

void urd_http_completed(void *cls, struct MHD_Connection *c, void **state,
                        enum MHD_RequestTerminationCode why)
{
    struct request *r = *state;
    set_slot(cls, fd_of(c), fd_of(c), false);
    if (!r)
        return;
    urd_buf_deinit(&r->body);
    free(r);
    *state = NULL;
}

/* ---- responses ---- */

/** Queue and let go of a response. */
static enum MHD_Result reply(struct MHD_Connection *c, unsigned status, struct MHD_Response *r,
                             const char *type, bool keep)
{
    mhd.add_response_header(r, "Content-Type", type);
    mhd.add_response_header(r, "X-Content-Type-Options", "nosniff");
    mhd.add_response_header(r, "Referrer-Policy", "no-referrer");
    mhd.add_response_header(r, "Cross-Origin-Resource-Policy", "same-origin");
    mhd.add_response_header(r, "Cross-Origin-Opener-Policy", "same-origin");
    mhd.add_response_header(r, "Content-Security-Policy", content_policy);
    mhd.add_response_header(r, "Cache-Control", keep ? "no-cache" : "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        mhd.add_response_header(r, "Allow", "GET, POST");
    enum MHD_Result ok = mhd.queue_response(c, status, r);
    mhd.destroy_response(r);
    return ok;
}

/** Takes value. */
static enum MHD_Result reply_json(struct MHD_Connection *c, unsigned status, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    json_decref(value);
    if (!text)
        return MHD_NO;
    return reply(c, status,
                 mhd.create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE),
                 "application/json", false);
}

/** Takes err. */
static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, urd_err *err)
{
    json_t *e = urd_answer_error(err);
    urd_err_free(err);
    return reply_json(c, status, json_pack("{s:o}", "error", e));
}

struct reader {
    struct urd_stream *stream;
    int fd;
};

static ssize_t read_answer(void *cls, uint64_t at, char *to, size_t max)
{
    struct reader *r = cls;
    ssize_t n = urd_stream_read(r->stream, to, max, r->fd);
    if (n > 0)
        return n;
    return n == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void reader_done(void *cls)
{
    struct reader *r = cls;
    urd_stream_reader_release(r->stream);
    free(r);
}

/** Takes question. */
static enum MHD_Result reply_answer(struct urd_http *h, struct MHD_Connection *c, json_t *question,
                                    bool moment_all)
{
    struct reader *r = urd_xcalloc(1, sizeof *r);
    *r = (struct reader){urd_stream_create(), fd_of(c)};
    enum urd_desk_lane lane = moment_all ? URD_LANE_QUICK : urd_question_lane(question);
    struct urd_answer_job *job = urd_answer_job_create(question, r->stream);
    urd_err *err =
        urd_desk_submit(h->desk, lane, moment_all ? urd_answer_moment_all : urd_answer_run, job);
    if (err) {
        urd_answer_job_destroy(job);
        reader_done(r);
        return refuse(c, MHD_HTTP_SERVICE_UNAVAILABLE, err);
    }
    return reply(
        c, MHD_HTTP_OK,
        mhd.create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, read_answer, r, reader_done),
        "application/x-ndjson", false);
}

static enum MHD_Result reply_file(struct urd_http *h, struct MHD_Connection *c, const char *url)
{
    const struct urd_file *f = urd_guard_path(url) ? urd_files_find(&h->files, url) : NULL;
    if (!f)
        return refuse(c, MHD_HTTP_NOT_FOUND, URD_ERROR(URD_ERR_QUESTION, "there is no such page"));
    const char *seen = mhd.lookup_connection_value(c, MHD_HEADER_KIND, "If-None-Match");
    bool same = seen && strcmp(seen, f->etag) == 0;
    struct MHD_Response *r =
        mhd.create_response_from_buffer(same ? 0 : f->size, f->bytes, MHD_RESPMEM_PERSISTENT);
    mhd.add_response_header(r, "ETag", f->etag);
    return reply(c, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, r, f->type, true);
}

/* ---- checks and routes ---- */

struct count {
    const char *name;
    int n;
};

static enum MHD_Result count_header(void *cls, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    struct count *c = cls;
    c->n += strcasecmp(key, c->name) == 0;
    return MHD_YES;
}

static const char *header(struct MHD_Connection *c, const char *name)
{
    return mhd.lookup_connection_value(c, MHD_HEADER_KIND, name);
}

/** NULL when the request may go on, otherwise why not and *ret_status. */
static urd_err *check(struct urd_http *h, struct MHD_Connection *c, const struct request *r,
                      const char *url, const char *method, unsigned *ret_status)
{
    bool post = strcmp(method, "POST") == 0, api = strncmp(url, API, strlen(API)) == 0;
    struct count hosts = {"Host", 0};
    mhd.get_connection_values(c, MHD_HEADER_KIND, count_header, &hosts);
    *ret_status = MHD_HTTP_FORBIDDEN;
    if (hosts.n != 1 || !urd_guard_host(header(c, "Host"), h->port))
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "this Host is not served here"),
                            "open http://127.0.0.1:%d/", h->port);
    if (!urd_guard_origin(header(c, "Origin"), h->port) ||
        ((api || post) && !urd_guard_fetch_site(header(c, "Sec-Fetch-Site"))))
        return URD_ERROR(URD_ERR_QUESTION, "a page of another site may not ask here");
    *ret_status = MHD_HTTP_METHOD_NOT_ALLOWED;
    if (!post && strcmp(method, "GET") != 0)
        return URD_ERROR(URD_ERR_QUESTION, "only GET and POST are understood");
    if (post && strcmp(url, API "ask") != 0)
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "only questions can be posted"),
                            "post to " API "ask");
    *ret_status = MHD_HTTP_BAD_REQUEST;
    if (r->bad_target)
        return URD_ERROR(URD_ERR_QUESTION,
                         "the address has a NUL or control character, or is too long");
    const char *type = header(c, "Content-Type");
    *ret_status = MHD_HTTP_UNSUPPORTED_MEDIA_TYPE;
    if (post && (!type || strncasecmp(type, "application/json", 16) != 0))
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "the body should be JSON"),
                            "send Content-Type: application/json");
    const char *length = header(c, "Content-Length");
    *ret_status = MHD_HTTP_CONTENT_TOO_LARGE;
    if (r->too_large || (length && strtoull(length, NULL, 10) > URD_HTTP_MAX_BODY))
        return URD_ERROR(URD_ERR_QUESTION, "a question is at most %u bytes long",
                         URD_HTTP_MAX_BODY);
    return NULL;
}

struct parameters {
    json_t *question;
    urd_err *err;
};

static enum MHD_Result take_parameter(void *cls, enum MHD_ValueKind kind, const char *key,
                                      size_t key_size, const char *value, size_t size)
{
    struct parameters *p = cls;
    p->err = urd_question_parameter(p->question, key, key_size, value, size);
    return p->err ? MHD_NO : MHD_YES;
}

static enum MHD_Result route_api(struct urd_http *h, struct MHD_Connection *c, const char *name)
{
    if (!*name)
        return reply_json(c, MHD_HTTP_OK, urd_question_list());
    bool ask = strcmp(name, "ask") == 0, moment_all = strcmp(name, "moment-all") == 0;
    const char *suggest;
    if (!ask && !moment_all && !urd_question_known(name, &suggest)) {
        urd_err *err =
            urd_err_at(URD_ERROR(URD_ERR_QUESTION, "there is no such question"), 0, suggest);
        return refuse(c, MHD_HTTP_NOT_FOUND, urd_err_hint(err, "GET " API " lists them"));
    }
    struct parameters p = {.question = json_object()};
    if (!ask)
        json_object_set_new(p.question, "q", json_string(name));
    mhd.get_connection_values_n(c, MHD_GET_ARGUMENT_KIND, take_parameter, &p);
    if (!p.err && !json_is_string(json_object_get(p.question, "q")))
        p.err = urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "the parameter q is missing"),
                             "for example " API "ask?q=info");
    if (p.err) {
        json_decref(p.question);
        return refuse(c, MHD_HTTP_BAD_REQUEST, p.err);
    }
    return reply_answer(h, c, p.question, moment_all);
}

static enum MHD_Result route_post(struct urd_http *h, struct MHD_Connection *c,
                                  const struct request *r)
{
    json_t *question;
    urd_err *err = urd_question_body((const char *)r->body.data, r->body.size, &question);
    if (err)
        return refuse(c, MHD_HTTP_BAD_REQUEST, err);
    return reply_answer(h, c, question, false);
}

enum MHD_Result urd_http_handle(void *cls, struct MHD_Connection *c, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **state)
{
    struct urd_http *h = cls;
    struct request *r = *state;
    unsigned status;
    if (!r->begun) {
        r->begun = true;
        urd_err *err = check(h, c, r, url, method, &status);
        return err ? refuse(c, status, err) : MHD_YES;
    }
    if (*upload_size) {
        if (r->body.size + *upload_size > URD_HTTP_MAX_BODY)
            r->too_large = true; /* chunked, without a length; swallowed to its end, then refused */
        else
            urd_buf_put(&r->body, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    set_slot(h, fd_of(c), fd_of(c), true);
    if (r->too_large)
        return refuse(
            c, MHD_HTTP_CONTENT_TOO_LARGE,
            URD_ERROR(URD_ERR_QUESTION, "a question is at most %u bytes long", URD_HTTP_MAX_BODY));
    if (strcmp(method, "POST") == 0)
        return route_post(h, c, r);
    if (strncmp(url, API, strlen(API)) == 0)
        return route_api(h, c, url + strlen(API));
    return reply_file(h, c, url);
}
