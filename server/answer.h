/**
 * Answers as they leave: rows, summary or error, each a line of JSON (NDJSON) in a stream.
 *
 * PURPOSE  Run questions on an engine's thread and write what comes.
 * NOT      HTTP.
 * OWNS     A job owns its question and the writing end of its stream.
 * FORMAT   docs/API.md.
 */
#ifndef URD_SERVER_ANSWER_H
#define URD_SERVER_ANSWER_H
#include "query/ask.h"
#include "server/stream.h"

struct urd_answer_job {
    json_t *question;
    struct urd_stream *stream;
};

/** Take both; either is released by the job. */
struct urd_answer_job *urd_answer_job_create(json_t *question, struct urd_stream *stream);
void urd_answer_job_destroy(struct urd_answer_job *job);

/** urd_job_fn of one question: {"row":..}... then {"summary":..} or {"error":..}. */
void urd_answer_run(void *job, struct urd_engine *engine, urd_err *err);
/** urd_job_fn of moment-all: {"part":..}... then {"summary":..} or {"error":..}; see moment_all.c.
 */
void urd_answer_moment_all(void *job, struct urd_engine *engine, urd_err *err);

/** Write {"key": value} and a newline. Takes value. */
urd_err *urd_answer_line(struct urd_stream *s, const char *key, json_t *value) URD_MUST_USE;
/** message, what_to_do, offset, suggest, kind. */
json_t *urd_answer_error(const urd_err *err);
/** Numbers that JavaScript cannot hold, and all clocks, as decimal strings. Returns a new
 * reference. */
json_t *urd_answer_plain(json_t *value);
#endif
