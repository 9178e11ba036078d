/*
 * All that a move of the UI needs, in one request: the place, the stack, the source with what ran,
 * the values.
 *
 * Each part is a line, in the order in which a person looks for it:
 *   {"part":{"name":"place","summary":{...}}}
 *   {"part":{"name":"stack","rows":[...],"summary":{...}}}
 *   {"part":{"name":"lines","summary":{...,"lines":N},"text":[...],"counts":[...],"in_call":[LINE...]}}
 *   {"part":{"name":"code","rows":[...],"summary":{...}}}      instead of or after "lines": there
 * is no source
 *   {"part":{"name":"vars","rows":[...],"summary":{...}}}      registers when the frame has no
 * variables
 *   {"part":{"name":"children EXPR","rows":[...],"summary":{...}}}  for each line of `expand`
 *   {"summary":{"at":...,"frame":N}}
 * A part that fails has "error" and the others go on; without a place there is nothing to go on
 * with. `have` names the path whose text and counts the page holds already: they are then left out,
 * since they do not depend on the moment, and a move within a large file stays small.
 */
#include "server/answer.h"
#include "base/buf.h"

#define MAX_EXPAND 20 /* open values */

struct asked {
    json_t *question; /* of the request: at, frame, with, file, have */
    struct urd_engine *engine;
    struct urd_stream *stream;
    const char *at; /* borrowed from place */
    json_t *place;
};

static urd_err *collect(void *data, json_t *row)
{
    json_array_append_new(data, urd_answer_plain(row));
    return NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static bool wanted(const struct asked *a, const char *part)
{
    const char *with = text_of(a->question, "with");
    size_t size = strlen(part);
    if (!with)
        return true;
    for (const char *at = with; *at; at += strcspn(at, ","), at += *at == ',')
        if (strncmp(at, part, size) == 0 && (at[size] == ',' || !at[size]))
            return true;
    return false;
}

/** The question's fields, with the moment made exact and the frame copied. Takes `fields`. */
static json_t *at_moment(const struct asked *a, json_t *fields)
{
    json_object_set_new(fields, "at", json_string(a->at));
    json_t *frame = json_object_get(a->question, "frame");
    if (frame)
        json_object_set(fields, "frame", frame);
    return fields;
}

/** Ask and collect. On failure of the question *ret_part has "error"; an error returned is the
 * stream's. */
static urd_err *ask_part(struct asked *a, const char *name, json_t *question, json_t **ret_part)
{
    if (urd_stream_abandoned(a->stream)) {
        json_decref(question);
        URD_FAIL("whoever asked is gone");
    }
    json_t *rows = json_array(), *summary = NULL;
    json_t *part = json_pack("{s:s,s:o}", "name", name, "rows", rows);
    urd_err *err = urd_query_ask(a->engine, question, collect, rows, &summary);
    if (err)
        json_object_set_new(part, "error", urd_answer_error(err));
    else
        json_object_set_new(part, "summary", urd_answer_plain(summary));
    urd_err_free(err);
    json_decref(summary);
    json_decref(question);
    *ret_part = part;
    return NULL;
}

static urd_err *send_part(struct asked *a, const char *name, json_t *question)
{
    json_t *part;
    URD_TRY(ask_part(a, name, question, &part));
    return urd_answer_line(a->stream, "part", part);
}

/** Rows of `source` turned into columns. */
static void lines_to_columns(json_t *part, bool have)
{
    json_t *rows = json_object_get(part, "rows");
    json_t *text = json_array(), *counts = json_array(), *in_call = json_array();
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        json_t *count = json_object_get(row, "count"), *line = json_object_get(row, "text");
        json_array_append_new(text, line ? json_incref(line) : json_string(""));
        json_array_append_new(counts, count ? json_incref(count) : json_null());
        if (json_is_true(json_object_get(row, "in_call")))
            json_array_append(in_call, json_object_get(row, "line"));
    }
    json_object_set_new(json_object_get(part, "summary"), "lines",
                        json_integer((json_int_t)json_array_size(rows)));
    json_object_del(part, "rows");
    if (!have) {
        json_object_set(part, "text", text);
        json_object_set(part, "counts", counts);
    }
    json_decref(text);
    json_decref(counts);
    json_object_set_new(part, "in_call", in_call);
}

static urd_err *send_lines(struct asked *a)
{
    const char *file = text_of(a->question, "file");
    if (!file)
        file = text_of(a->place, "file");
    bool found = false;
    if (file) {
        json_t *part;
        URD_TRY(ask_part(a, "lines",
                         at_moment(a, json_pack("{s:s,s:s}", "q", "source", "file", file)), &part));
        json_t *summary = json_object_get(part, "summary");
        if (summary) {
            const char *path = text_of(summary, "path"), *have = text_of(a->question, "have");
            found = json_is_true(json_object_get(summary, "found"));
            lines_to_columns(part, path && have && strcmp(path, have) == 0);
        }
        URD_TRY(urd_answer_line(a->stream, "part", part));
    }
    json_t *pc = json_object_get(a->place, "pc");
    if (found || !pc)
        return NULL;
    return send_part(a, "code", at_moment(a, json_pack("{s:s,s:O}", "q", "disassemble", "pc", pc)));
}

/** Without variables (no debug information) the registers are what there is to see. */
static urd_err *add_registers(struct asked *a, json_t *rows)
{
    json_t *part, *row;
    size_t i;
    URD_TRY(ask_part(a, "reg", at_moment(a, json_pack("{s:s}", "q", "reg")), &part));
    json_array_foreach(json_object_get(part, "rows"), i, row)
    {
        const char *name = text_of(row, "name");
        json_t *fields = json_pack("{s:s,s:s,s:s,s:b}", "type", "", "status", "ok", "kind",
                                   "register", "has_children", 0);
        json_object_set_new(fields, "expr", json_sprintf("$%s", name ? name : ""));
        json_object_update_missing(row, fields);
        json_decref(fields);
        json_array_append(rows, row);
    }
    json_decref(part);
    return NULL;
}

static urd_err *send_values(struct asked *a)
{
    json_t *part;
    URD_TRY(ask_part(a, "vars", at_moment(a, json_pack("{s:s}", "q", "values")), &part));
    json_t *rows = json_object_get(part, "rows");
    urd_err *err = NULL;
    if (!json_array_size(rows) && !json_object_get(part, "error"))
        err = add_registers(a, rows);
    if (err) {
        json_decref(part);
        return err;
    }
    return urd_answer_line(a->stream, "part", part);
}

/** The values that are open in the page: each line of `expand` is an expression. */
static urd_err *send_children(struct asked *a)
{
    const char *at = text_of(a->question, "expand");
    for (int n = 0; at && *at && n < MAX_EXPAND; n++) {
        size_t size = strcspn(at, "\n");
        URD_AUTO_FREE char *expr = strndup(at, size);
        URD_AUTO_FREE char *name = urd_xprintf("children %s", expr);
        URD_TRY(send_part(a, name,
                          at_moment(a, json_pack("{s:s,s:s}", "q", "children", "expr", expr))));
        at += size + (at[size] == '\n');
    }
    return NULL;
}

/** The place of a frame is that of the stack's row: file, line, function and pc of the call under
 * way. */
static void take_frame(struct asked *a, json_t *stack)
{
    static const char *const fields[] = {"function", "file", "line", "pc", "module"};
    json_int_t frame = json_integer_value(json_object_get(a->question, "frame"));
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(stack, "rows"), i, row)
    {
        if (json_integer_value(json_object_get(row, "depth")) != frame)
            continue;
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) {
            json_t *v = json_object_get(row, fields[k]);
            json_object_set_new(a->place, fields[k], v ? json_incref(v) : json_null());
        }
    }
}

/** Place and stack; the place of an outer frame needs the stack first. */
static urd_err *send_place(struct asked *a)
{
    json_t *stack = NULL;
    bool outer = json_integer_value(json_object_get(a->question, "frame")) > 0;
    urd_err *err = NULL;
    if (outer || wanted(a, "stack"))
        err = ask_part(a, "stack", json_pack("{s:s,s:s}", "q", "stack", "at", a->at), &stack);
    if (!err && outer)
        take_frame(a, stack);
    if (!err && wanted(a, "place"))
        err = urd_answer_line(a->stream, "part",
                              json_pack("{s:s,s:O}", "name", "place", "summary", a->place));
    if (!err && wanted(a, "stack"))
        err = urd_answer_line(a->stream, "part", json_incref(stack));
    json_decref(stack);
    return err;
}

static urd_err *send_all(struct asked *a)
{
    json_t *question = json_pack("{s:s}", "q", "moment");
    json_t *at = json_object_get(a->question, "at"), *frame = json_object_get(a->question, "frame");
    if (at)
        json_object_set(question, "at", at);
    if (frame)
        json_object_set(question, "frame", frame);
    json_t *ignored = json_array(), *summary = NULL;
    urd_err *err = urd_query_ask(a->engine, question, collect, ignored, &summary);
    json_decref(question);
    json_decref(ignored);
    if (err)
        return urd_err_hop(err, __func__, __FILE__, __LINE__);
    a->place = urd_answer_plain(summary);
    json_decref(summary);
    a->at = text_of(a->place, "at");
    if (!a->at)
        URD_FAIL("the engine gave a place without a moment");
    URD_TRY(send_place(a));
    if (wanted(a, "lines"))
        URD_TRY(send_lines(a));
    if (wanted(a, "vars"))
        URD_TRY(send_values(a));
    URD_TRY(send_children(a));
    return urd_answer_line(
        a->stream, "summary",
        json_pack("{s:s,s:O*}", "at", a->at, "frame", json_object_get(a->question, "frame")));
}

void urd_answer_moment_all(void *data, struct urd_engine *engine, urd_err *err)
{
    struct urd_answer_job *job = data;
    struct asked a = {.question = job->question, .engine = engine, .stream = job->stream};
    if (!err && !urd_stream_abandoned(job->stream))
        err = send_all(&a);
    if (err)
        urd_err_free(urd_answer_line(job->stream, "error", urd_answer_error(err)));
    urd_err_free(err);
    json_decref(a.place);
    urd_answer_job_destroy(job);
}
