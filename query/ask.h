/**
 * The one door to the query engine: a question in JSON, rows in JSON.
 *
 * PURPOSE  The command line, batch files, the HTTP server and the UI all ask through here, so that a question
 *          has one spelling and one answer everywhere.
 * NOT      Formatting for people; parsing command lines.
 * OWNS     An engine owns the open trace, its index, debug information and live replays. One thread at a time.
 * FORMAT   docs/API.md lists the questions, their fields and their rows.
 */
#ifndef URD_QUERY_ASK_H
#define URD_QUERY_ASK_H
#include "base/err.h"
#include <jansson.h>

struct urd_engine;

/** Open the trace in `directory`. The index may be missing: questions that need it say so. */
urd_err *urd_query_open(const char *directory, struct urd_engine **ret) URD_MUST_USE;
void urd_query_close(struct urd_engine *e);

/** Takes one row (borrowed). An error it returns stops the question and is passed on. */
typedef urd_err *(*urd_row_fn)(void *data, json_t *row);

/**
 * Ask. Rows are given to `row` as they are found. *ret_summary (owned by the caller) is an object that always has
 * "complete": {"covers": text, "truncated": bool}, and what belongs to the whole answer rather than to a row.
 * URD_ERR_QUESTION: the question is wrong (err->offset points into its text).
 */
urd_err *urd_query_ask(struct urd_engine *e, const json_t *question, urd_row_fn row, void *data,
                       json_t **ret_summary) URD_MUST_USE;
#endif
