/* The engine runs on a thread of its own: ptrace belongs to a thread, and whoever asks may be any. */
#include "query/allocations.h"
#include "base/log.h"
#include "indexer/store.h"
#include <pthread.h>
#include <stdio.h>

struct engine_thread {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct request *request;
    bool stop;
};

struct request {
    const json_t *question;
    urd_row_fn row;
    void *data;
    json_t *summary;
    urd_err *err;
    bool done;
};

enum { RECORDED, INDEXED };

static const struct {
    const char *name;
    question_fn fn;
    int relies_on;
} questions[] = {
#define URD_QUESTION(name, fn, relies_on) {#name, fn, relies_on},
#include "query/questions.def"
#undef URD_QUESTION
};

const char *question_text(const struct answer *a, const char *field)
{
    const char *text = json_string_value(json_object_get(a->question, field));
    return text && *text ? text : NULL;
}

int64_t question_number(const struct answer *a, const char *field, int64_t otherwise)
{
    json_t *v = json_object_get(a->question, field);
    if (json_is_integer(v))
        return json_integer_value(v);
    const char *text = json_string_value(v);
    return text && *text ? strtoll(text, NULL, 0) : otherwise;
}

bool question_flag(const struct answer *a, const char *field)
{
    json_t *v = json_object_get(a->question, field);
    const char *text = json_string_value(v);
    return json_is_true(v) || (text && (strcmp(text, "1") == 0 || strcmp(text, "true") == 0));
}

urd_err *question_need(const struct answer *a, const char *field, const char **ret)
{
    *ret = question_text(a, field);
    if (!*ret)
        URD_WRONG("the question '%s' needs '%s'", question_text(a, "q"), field);
    return NULL;
}

urd_err *question_moment(struct answer *a, struct urd_moment *ret)
{
    const char *at = question_text(a, "at");
    if (!at || strcmp(at, "end") == 0)
        return engine_default_moment(a->engine, ret);
    if (strcmp(at, "start") == 0) {
        *ret = (struct urd_moment){1, 0};
        return NULL;
    }
    if (at[0] == '@') { /* a clock, as a place on the timeline is */
        URD_TRY(need_index(a->engine));
        int64_t clock = strtoll(at + 1, NULL, 10), end = a->engine->index->end;
        *ret = urd_index_moment(a->engine->index, clock < 0 ? 0 : clock > end ? end : clock);
        return NULL;
    }
    URD_TRY(urd_moment_parse(at, ret));
    if (ret->event > urd_trace_event_count(a->engine->trace))
        URD_WRONG("there is no event %llu; the trace ends with event %llu",
                  (unsigned long long)ret->event,
                  (unsigned long long)urd_trace_event_count(a->engine->trace));
    int64_t clock;
    if (a->engine->index)
        URD_TRY(urd_index_clock(a->engine->index, *ret, &clock));
    return NULL;
}

urd_err *need_index(struct urd_engine *e)
{
    if (!e->index && urd_store_is_written(e->directory))
        return urd_err_hint(
            URD_ERROR(URD_ERR_QUESTION, "this trace is being indexed, and not far enough yet"),
            "ask again when the coarse level is there: a fraction of the way");
    if (!e->index)
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "this trace is not indexed yet"),
                            "run: urd index -t %s", e->directory);
    return NULL;
}

/** The command that fills the gap; malloc'ed. */
static char *extending(const struct urd_engine *e, const struct urd_index_gap *g)
{
    return urd_xprintf("urd index -t %s --from %llu:%llu --to %llu:%llu", e->directory,
                       (unsigned long long)g->from.event, (unsigned long long)g->from.steps,
                       (unsigned long long)g->to.event, (unsigned long long)g->to.steps);
}

urd_err *need_whole_index(struct urd_engine *e, const char *what)
{
    URD_TRY(need_index(e));
    if (e->index->n_gaps)
        return urd_err_hint(
            URD_ERROR(URD_ERR_QUESTION, "only a part of the run is indexed: %s", what),
            "run: urd index -t %s", e->directory);
    return NULL;
}

json_t *json_gap(const struct urd_index_gap *g)
{
    return json_pack("{s:o, s:o, s:I, s:I}", "from", json_moment(g->from), "to", json_moment(g->to),
                     "from_clock", (json_int_t)g->first + 1, "to_clock", (json_int_t)g->end);
}

/** How complete an answer is: torn traces, rows that were left out, what is not indexed. */
static urd_err *completeness(const struct urd_engine *e, const struct answer *a, json_t **ret)
{
    const char *torn = urd_trace_torn(e->trace);
    URD_AUTO_FREE struct urd_index_gap *gaps = NULL;
    uint32_t n = 0;
    if (e->index && a->indexed)
        URD_TRY(urd_index_missing(e->index, &a->needs, &gaps, &n));
    json_t *c = json_pack("{s:s, s:b, s:b}", "covers", torn ? torn : "all of the run", "truncated",
                          a->truncated, "partial", n > 0);
    *ret = c;
    if (!n)
        return NULL;
    json_t *missing = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(missing, json_gap(&gaps[i]));
    json_object_set_new(c, "missing", missing);
    URD_AUTO_FREE char *all = urd_xprintf("urd index -t %s", e->directory);
    URD_AUTO_FREE char *one = extending(e, &gaps[n - 1]);
    json_object_set_new(c, "extend", json_string(n == 1 ? one : all));
    json_object_set_new(c, "indexing", json_boolean(urd_store_is_written(e->directory)));
    json_object_set_new(c, "covers", json_string("a part of the run: the rest is not indexed"));
    return NULL;
}

/** How a call went on that was left where nothing is indexed is not known, whatever ran there. */
static bool ends_at_gap(void *data, uint32_t space, const struct urd_call *call)
{
    struct answer *a = data;
    const struct urd_index *x = a->engine->index;
    for (uint32_t i = 0; call->abandoned && i < x->n_gaps; i++)
        if (x->gaps[i].first + 1 == call->end)
            URD_PUSH(a->needed_gaps, a->needs.n_also, a->cap_needed_gaps) = x->gaps[i];
    a->needs.also = a->needed_gaps;
    return true;
}

urd_err *question_needs_ends(struct answer *a, const struct location *l)
{
    for (uint32_t i = 0; a->engine->index->n_gaps && i < l->n; i++)
        URD_TRY(urd_index_calls(a->engine->index, l->pcs[i].space, l->pcs[i].pc, ends_at_gap, a));
    return NULL;
}

urd_err *question_needs_code(struct answer *a, const struct location *l, bool calls)
{
    a->needed_code = urd_xcalloc(l->n + 1, sizeof *a->needed_code);
    for (uint32_t i = 0; i < l->n; i++)
        a->needed_code[i] =
            (struct urd_coarse_range){l->pcs[i].space, l->pcs[i].pc, l->pcs[i].pc + 1};
    a->needs.kind = URD_NEEDS_CODE;
    a->needs.code = a->needed_code;
    a->needs.n_code = l->n;
    return calls ? question_needs_ends(a, l) : NULL;
}

json_t *json_moment(struct urd_moment m)
{
    char text[48];
    snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)m.event,
             (unsigned long long)m.steps);
    return json_string(text);
}

json_t *json_hex(uint64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "0x%llx", (unsigned long long)v);
    return json_string(text);
}

json_t *json_text(const char *text, size_t size)
{
    json_t *plain = json_stringn(text, size);
    if (plain)
        return plain;
    struct urd_buf b = {0};
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x80)
            urd_buf_u8(&b, c);
        else
            urd_buf_printf(&b, "\\x%02x", c);
    }
    json_t *escaped = json_stringn((char *)b.data, b.size);
    urd_buf_deinit(&b);
    return escaped;
}

json_t *json_bytes(const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char small[64];
    URD_AUTO_FREE char *heap = 2 * size > sizeof small ? urd_xrealloc(NULL, 2 * size) : NULL;
    char *text = heap ? heap : small;
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    return json_stringn(text, 2 * size);
}

urd_err *answer_row(struct answer *a, json_t *row, bool *ret_full)
{
    urd_err *err = a->row ? a->row(a->data, row) : NULL;
    json_decref(row);
    a->rows++;
    if (ret_full)
        *ret_full = a->limit && a->rows >= a->limit;
    return err;
}

static urd_err *answer(struct urd_engine *e, struct request *r)
{
    const char *name = json_string_value(json_object_get(r->question, "q"));
    if (!name)
        URD_WRONG("a question is a JSON object with a text 'q'");
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        if (strcmp(questions[i].name, name) != 0)
            continue;
        struct answer a = {.engine = e,
                           .question = r->question,
                           .row = r->row,
                           .data = r->data,
                           .summary = json_object(),
                           .indexed = questions[i].relies_on == INDEXED,
                           .needs = {.from = INT64_MIN, .to = INT64_MAX}};
        a.limit = (uint64_t)question_number(&a, "limit", 0);
        urd_err *err = e->index ? NULL : urd_index_open(e->directory, &e->index);
        if (!err && e->index)
            err = urd_index_hold(e->index);
        if (!err)
            err = questions[i].fn(&a);
        json_t *complete = NULL;
        if (!err && !(err = completeness(e, &a, &complete)))
            json_object_set_new(a.summary, "complete", complete);
        free(a.needed_code);
        free(a.needed_gaps);
        if (e->index)
            urd_index_release(e->index);
        if (err) {
            json_decref(a.summary);
            return err;
        }
        json_object_set_new(a.summary, "rows", json_integer((json_int_t)a.rows));
        r->summary = a.summary;
        return NULL;
    }
    URD_WRONG("there is no question '%s'", name);
}

static void close_all(struct urd_engine *e)
{
    engine_live_close(e);
    if (e->tables)
        sqlite3_close_v2(e->tables);
    engine_allocations_close(e);
    urd_index_close(e->index);
    for (unsigned i = 0; i < e->n_images; i++)
        urd_debuginfo_image_destroy(e->images[i].image);
    for (uint32_t i = 0; i < urd_trace_file_count(e->trace); i++)
        if (e->modules[i])
            urd_debuginfo_module_close(e->modules[i]);
    free(e->modules);
    for (size_t i = 0; i < e->demangled.capacity; i++) {
        struct urd_map_slot *slot = &e->demangled.slots[i];
        if (slot->used == 1 && slot->value != slot->key)
            free((void *)(uintptr_t)slot->value);
    }
    urd_map_deinit(&e->demangled);
    free(e->module_failed);
    e->modules = NULL;
}

static void *run(void *data)
{
    struct urd_engine *e = data;
    struct engine_thread *t = e->thread;
    pthread_mutex_lock(&t->lock);
    while (!t->stop) {
        if (!t->request || t->request->done) {
            pthread_cond_wait(&t->changed, &t->lock);
            continue;
        }
        struct request *r = t->request;
        pthread_mutex_unlock(&t->lock);
        r->err = answer(e, r);
        pthread_mutex_lock(&t->lock);
        r->done = true;
        pthread_cond_broadcast(&t->changed);
    }
    pthread_mutex_unlock(&t->lock);
    close_all(e); /* live replays belong to this thread */
    return NULL;
}

urd_err *urd_query_open(const char *directory, struct urd_engine **ret)
{
    struct urd_trace *trace;
    URD_TRY(urd_trace_open(directory, &trace));
    struct urd_engine *e = urd_xcalloc(1, sizeof *e);
    e->directory = strdup(directory);
    e->trace = trace;
    e->modules = urd_xcalloc(urd_trace_file_count(trace) + 1, sizeof *e->modules);
    e->module_failed = urd_xcalloc(urd_trace_file_count(trace) + 1, sizeof *e->module_failed);
    e->thread = urd_xcalloc(1, sizeof *e->thread);
    pthread_mutex_init(&e->thread->lock, NULL);
    pthread_cond_init(&e->thread->changed, NULL);
    if (pthread_create(&e->thread->thread, NULL, run, e) != 0) {
        urd_trace_close(trace);
        free(e);
        URD_FAIL("cannot start the engine's thread");
    }
    *ret = e;
    return NULL;
}

void urd_query_close(struct urd_engine *e)
{
    if (!e)
        return;
    pthread_mutex_lock(&e->thread->lock);
    e->thread->stop = true;
    pthread_cond_broadcast(&e->thread->changed);
    pthread_mutex_unlock(&e->thread->lock);
    pthread_join(e->thread->thread, NULL);
    urd_trace_close(e->trace);
    free(e->thread);
    free(e->directory);
    free(e);
}

urd_err *urd_query_ask(struct urd_engine *e, const json_t *question, urd_row_fn row, void *data,
                       json_t **ret_summary)
{
    struct engine_thread *t = e->thread;
    struct request r = {.question = question, .row = row, .data = data};
    pthread_mutex_lock(&t->lock);
    while (t->request)
        pthread_cond_wait(&t->changed, &t->lock);
    t->request = &r;
    pthread_cond_broadcast(&t->changed);
    while (!r.done)
        pthread_cond_wait(&t->changed, &t->lock);
    t->request = NULL;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    if (r.err)
        return r.err;
    *ret_summary = r.summary;
    return NULL;
}
