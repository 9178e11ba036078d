#include "server/answer.h"
#include "base/buf.h"
#include <stdio.h>

#define SAFE_INTEGER (1ll << 53)

struct urd_answer_job *urd_answer_job_create(json_t *question, struct urd_stream *stream)
{
    struct urd_answer_job *job = urd_xcalloc(1, sizeof *job);
    *job = (struct urd_answer_job){question, stream};
    return job;
}

void urd_answer_job_destroy(struct urd_answer_job *job)
{
    json_decref(job->question);
    urd_stream_writer_release(job->stream);
    free(job);
}

static bool is_clock(const char *key)
{
    static const char *const names[] = {"clock",     "clock_end", "start_clock",
                                        "end_clock", "time_ns",   "return_clock"};
    for (size_t i = 0; key && i < sizeof names / sizeof *names; i++)
        if (strcmp(key, names[i]) == 0)
            return true;
    return false;
}

static json_t *plain(const char *key, json_t *v)
{
    if (json_is_integer(v)) {
        json_int_t n = json_integer_value(v);
        if (!is_clock(key) && n <= SAFE_INTEGER && n >= -SAFE_INTEGER)
            return json_incref(v);
        char text[32];
        snprintf(text, sizeof text, "%lld", (long long)n);
        return json_string(text);
    }
    if (json_is_array(v)) {
        json_t *copy = json_array();
        size_t i;
        json_t *item;
        json_array_foreach(v, i, item) json_array_append_new(copy, plain(NULL, item));
        return copy;
    }
    if (json_is_object(v)) {
        json_t *copy = json_object();
        const char *k;
        json_t *item;
        json_object_foreach(v, k, item) json_object_set_new_nocheck(copy, k, plain(k, item));
        return copy;
    }
    return json_incref(v);
}

json_t *urd_answer_plain(json_t *value)
{
    return plain(NULL, value);
}

json_t *urd_answer_error(const urd_err *err)
{
    static const char *const kinds[] = {"", "nothing", "question", "failed"};
    int kind = err->kind >= 1 && err->kind <= 3 ? (int)err->kind : 3;
    json_t *e = json_pack("{s:s?,s:s?,s:s?,s:s}", "message", err->message, "what_to_do", err->hint,
                          "suggest", err->suggest, "kind", kinds[kind]);
    if (!e) /* recorded bytes that are not UTF-8 got into the text */
        e = json_pack("{s:s,s:s}", "message", "an error whose text is not UTF-8", "kind",
                      kinds[kind]);
    json_object_set_new(e, "offset", err->offset >= 0 ? json_integer(err->offset) : json_null());
    return e;
}

urd_err *urd_answer_line(struct urd_stream *s, const char *key, json_t *value)
{
    URD_AUTO_FREE char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(value);
    if (!text)
        URD_FAIL("an answer that is not JSON");
    URD_AUTO_FREE char *line = urd_xprintf("{\"%s\":%s}\n", key, text);
    URD_TRY(urd_stream_write(s, line, strlen(line)));
    return NULL;
}

static urd_err *write_row(void *data, json_t *row)
{
    struct urd_answer_job *job = data;
    return urd_answer_line(job->stream, "row", urd_answer_plain(row));
}

/** The last line; nobody may be there to read it. */
static void write_last(struct urd_stream *s, const char *key, json_t *value)
{
    urd_err_free(urd_answer_line(s, key, value));
}

void urd_answer_run(void *data, struct urd_engine *engine, urd_err *err)
{
    struct urd_answer_job *job = data;
    if (!err && !urd_stream_abandoned(job->stream)) {
        json_t *summary = NULL;
        err = urd_query_ask(engine, job->question, write_row, job, &summary);
        if (!err) {
            write_last(job->stream, "summary", urd_answer_plain(summary));
            json_decref(summary);
        }
    }
    if (err)
        write_last(job->stream, "error", urd_answer_error(err));
    urd_err_free(err);
    urd_answer_job_destroy(job);
}
