/* What is in the trace: its events, tasks, outputs, sources; the timeline. */
#include "query/engine.h"
#include "indexer/store.h"
#include "query/call_counts.h"
#include "indexer/store.h"
#include "record/record.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void finding_of(struct answer *a, const struct urd_event *e, struct urd_moment at)
{
    char text[128];
    const char *kind = "exit";
    if (WIFSIGNALED(e->status)) {
        kind = "signal";
        snprintf(text, sizeof text, "killed by signal %d (%s)", WTERMSIG(e->status),
                 strsignal(WTERMSIG(e->status)));
    } else if (WEXITSTATUS(e->status)) {
        snprintf(text, sizeof text, "exit status %d", WEXITSTATUS(e->status));
    } else {
        json_object_set_new(a->summary, "finding", json_null());
        return;
    }
    json_object_set_new(
        a->summary, "finding",
        json_pack("{s:s, s:s, s:o}", "kind", kind, "text", text, "at", json_moment(at)));
}

/** Processes that are not recorded and write to memory of those that are: name, pid, how often a change was seen. */
static void note_outside(json_t *outside, const struct urd_event *ev)
{
    if (ev->kind != URD_EVENT_MEMORY || !*ev->text)
        return;
    size_t i;
    json_t *known;
    json_array_foreach(outside, i, known) if (json_integer_value(json_object_get(known, "pid")) ==
                                              ev->other_tid) break;
    if (i == json_array_size(outside))
        json_array_append_new(outside, json_pack("{s:o, s:i, s:i}", "process",
                                                 json_text(ev->text, strlen(ev->text)), "pid",
                                                 ev->other_tid, "changes", 0));
    known = json_array_get(outside, i);
    json_int_t n = json_integer_value(json_object_get(known, "changes"));
    json_object_set_new(known, "changes", json_integer(n + !ev->status));
}

urd_err *q_info(struct answer *a)
{
    struct urd_engine *e = a->engine;
    const struct urd_trace_info *i = urd_trace_get_info(e->trace);
    json_t *s = a->summary, *argv = json_array();
    for (int k = 0; k < i->argc; k++)
        json_array_append_new(argv, json_text(i->argv[k], strlen(i->argv[k])));
    URD_AUTO_FREE char *real = realpath(e->directory, NULL); /* `latest` is a link */
    const char *name = real ? strrchr(real, '/') : NULL;
    json_object_set_new(s, "name", json_string(name && name[1] ? name + 1 : e->directory));
    json_object_set_new(s, "directory", json_string(e->directory));
    json_object_set_new(s, "argv", argv);
    json_object_set_new(s, "cwd", json_text(i->cwd, strlen(i->cwd)));
    json_object_set_new(s, "host", json_string(i->host));
    json_object_set_new(s, "kernel", json_string(i->kernel));
    json_object_set_new(s, "cpu", json_string(i->cpu));
    json_object_set_new(s, "core", json_integer(i->core));
    json_object_set_new(s, "started", json_integer(i->started_unix));
    json_object_set_new(s, "events", json_integer((json_int_t)urd_trace_event_count(e->trace)));
    json_object_set_new(s, "bytes", json_integer((json_int_t)urd_trace_bytes(e->trace)));
    json_object_set_new(s, "files", json_integer(urd_trace_file_count(e->trace)));
    json_object_set_new(
        s, "torn", urd_trace_torn(e->trace) ? json_string(urd_trace_torn(e->trace)) : json_null());
    json_object_set_new(s, "indexed", json_boolean(e->index != NULL));
    json_t *missing = json_array();
    for (uint32_t i = 0; e->index && i < e->index->n_gaps; i++)
        json_array_append_new(missing, json_gap(&e->index->gaps[i]));
    json_object_set_new(s, "missing", missing);
    json_object_set_new(s, "indexing", json_boolean(urd_store_is_written(e->directory)));
    json_object_set_new(s, "clock_end", e->index ? json_integer(e->index->end) : json_null());
    struct urd_moment end;
    URD_TRY(engine_default_moment(e, &end));
    json_object_set_new(s, "end", json_moment(end));
    if (question_flag(a, "brief")) /* what may change */
        return NULL;
    json_object_set_new(s, "finding", json_null());
    struct urd_trace_reader *r;
    URD_TRY(urd_trace_read_from(e->trace, 1, &r));
    const struct urd_event *ev = NULL;
    urd_err *err;
    uint64_t counts[URD_EVENT_KINDS] = {0}, last_ns = 0, tasks = 0, cuts = 0, counted = 0;
    URD_CLEANUP(call_counts_deinit) struct call_counts calls = {0};
    int32_t first = 0;
    json_t *outside = json_array();
    while (!(err = urd_trace_next(r, &ev)) && ev) {
        first = first ? first : ev->tid;
        note_outside(outside, ev);
        counts[ev->kind]++;
        last_ns = ev->time_ns;
        tasks += ev->kind == URD_EVENT_START || ev->number == 1;
        cuts += ev->cut != NULL;
        counted += ev->cut && ev->cut->counted;
        call_counts_add(&calls, ev);
        if (ev->kind == URD_EVENT_EXIT && ev->tid == first)
            finding_of(a, ev, end);
    }
    urd_trace_reader_close(r);
    json_object_set_new(s, "outside", outside);
    call_counts_tell(&calls, e->trace, s);
    json_object_set_new(s, "cuts", json_integer((json_int_t)cuts));
    json_object_set_new(s, "counted", json_integer((json_int_t)counted));
    json_object_set_new(s, "tasks", json_integer((json_int_t)tasks));
    json_object_set_new(s, "time_ns", json_integer((json_int_t)last_ns));
    return err;
}

static json_t *event_row(const struct urd_event *ev, bool with_args)
{
    json_t *row = json_object();
    json_object_set_new(row, "number", json_integer((json_int_t)ev->number));
    json_object_set_new(row, "kind", json_string(urd_event_kind_name(ev->kind)));
    json_object_set_new(row, "pid", json_integer(ev->pid));
    json_object_set_new(row, "tid", json_integer(ev->tid));
    const char *name = ev->syscall >= 0 ? urd_record_syscall_name(ev->syscall) : NULL;
    json_object_set_new(row, "syscall",
                        name               ? json_string(name)
                        : ev->syscall >= 0 ? json_integer(ev->syscall)
                                           : json_null());
    bool returned = ev->kind == URD_EVENT_SYSCALL || ev->kind == URD_EVENT_SYSCALL_EXIT;
    json_object_set_new(row, "result",
                        returned ? json_integer((json_int_t)ev->after.rax) : json_null());
    json_object_set_new(row, "signal", ev->signal ? json_integer(ev->signal) : json_null());
    json_object_set_new(row, "status",
                        ev->kind == URD_EVENT_EXIT ? json_integer(ev->status) : json_null());
    json_object_set_new(row, "moment", json_moment((struct urd_moment){ev->number, 0}));
    json_object_set_new(row, "time_ns", json_integer((json_int_t)ev->time_ns));
    json_object_set_new(
        row, "text", ev->text && *ev->text ? json_text(ev->text, strlen(ev->text)) : json_null());
    if (with_args && ev->syscall >= 0) {
        const uint64_t args[6] = {ev->before.rdi, ev->before.rsi, ev->before.rdx,
                                  ev->before.r10, ev->before.r8,  ev->before.r9};
        json_t *list = json_array();
        for (unsigned i = 0; i < 6; i++)
            json_array_append_new(list, json_hex(args[i]));
        json_object_set_new(row, "args", list);
    }
    return row;
}

static urd_err *each_event(struct answer *a, bool syscalls)
{
    const char *kind = question_text(a, "kind"), *name = question_text(a, "name");
    struct urd_trace_reader *r;
    int64_t from = question_number(a, "from", 1);
    URD_TRY(urd_trace_read_from(a->engine->trace, from > 0 ? (uint64_t)from : 1, &r));
    const struct urd_event *ev = NULL;
    urd_err *err;
    bool full = false;
    while (!(err = urd_trace_next(r, &ev)) && ev && !full) {
        bool is_call = ev->syscall >= 0 && ev->kind != URD_EVENT_SYSCALL_ENTER;
        const char *call = ev->syscall >= 0 ? urd_record_syscall_name(ev->syscall) : NULL;
        if ((syscalls && !is_call) || (kind && strcmp(kind, urd_event_kind_name(ev->kind)) != 0) ||
            (name && (!call || strcmp(call, name) != 0)))
            continue;
        err = answer_row(a, event_row(ev, syscalls), &full);
        if (err)
            break;
    }
    a->truncated = full;
    urd_trace_reader_close(r);
    return err;
}

urd_err *q_events(struct answer *a)
{
    return each_event(a, false);
}

urd_err *q_syscalls(struct answer *a)
{
    return each_event(a, true);
}

urd_err *q_outputs(struct answer *a)
{
    struct urd_trace_reader *r;
    URD_TRY(urd_trace_read_from(a->engine->trace, 1, &r));
    const struct urd_event *ev = NULL;
    const struct urd_index *x = a->engine->index;
    urd_err *err;
    bool full = false;
    while (!(err = urd_trace_next(r, &ev)) && ev && !full) {
        if (!ev->output)
            continue;
        /* the moment at which it was printed is before the call: there one sees who prints and what */
        int64_t clock = x && ev->number <= x->n_events ? x->events[ev->number].clock - 1 : -1;
        struct urd_moment m = clock >= 0 && ev->flags & URD_EVENT_RAN
                                  ? urd_index_moment(x, clock)
                                  : (struct urd_moment){ev->number, 0};
        json_t *row = json_pack("{s:o, s:i, s:i, s:i, s:o, s:I, s:I}", "moment", json_moment(m),
                                "fd", ev->output, "pid", ev->pid, "tid", ev->tid, "text",
                                json_text((const char *)ev->output_data, ev->output_size), "size",
                                (json_int_t)ev->output_size, "event", (json_int_t)ev->number);
        json_object_set_new(row, "clock", clock >= 0 ? json_integer(clock) : json_null());
        err = answer_row(a, row, &full);
        if (err)
            break;
    }
    a->truncated = full;
    urd_trace_reader_close(r);
    return err;
}

static json_t *clock_or_null(const struct urd_index *x, sqlite3_stmt *q, int column)
{
    if (sqlite3_column_type(q, column) == SQLITE_NULL)
        return json_null();
    uint64_t event = (uint64_t)sqlite3_column_int64(q, column);
    return event <= x->n_events ? json_integer(x->events[event].clock) : json_null();
}

urd_err *q_tasks(struct answer *a)
{
    URD_TRY(need_index(a->engine));
    struct urd_index *x = a->engine->index;
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(x->db,
                           "SELECT pid, tid, parent, start_event, end_event, status FROM tasks "
                           "ORDER BY start_event",
                           -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(x->db, "cannot read the index");
    urd_err *err = NULL;
    while (!err && sqlite3_step(q) == SQLITE_ROW) {
        json_t *row = json_pack("{s:i, s:i, s:i, s:s}", "pid", sqlite3_column_int(q, 0), "tid",
                                sqlite3_column_int(q, 1), "parent", sqlite3_column_int(q, 2),
                                "name", engine_process_name(a->engine, sqlite3_column_int(q, 1)));
        struct urd_moment start = {(uint64_t)sqlite3_column_int64(q, 3), 0},
                          end = {(uint64_t)sqlite3_column_int64(q, 4), 0};
        json_object_set_new(row, "start", json_moment(start));
        json_object_set_new(
            row, "end", sqlite3_column_type(q, 4) == SQLITE_NULL ? json_null() : json_moment(end));
        json_object_set_new(row, "start_clock", clock_or_null(x, q, 3));
        json_object_set_new(row, "end_clock", clock_or_null(x, q, 4));
        json_object_set_new(row, "status",
                            sqlite3_column_type(q, 5) == SQLITE_NULL
                                ? json_null()
                                : json_integer(sqlite3_column_int(q, 5)));
        err = answer_row(a, row, NULL);
    }
    sqlite3_finalize(q);
    return err;
}

/* ---- sources ---- */

struct source_counts {
    struct urd_engine *e;
    struct urd_line *lines;
    size_t n_lines;
    struct urd_module *module;
    struct urd_map by_address; /* start of a row -> its index + 1 */
    uint64_t *total;  /* by row: executions of its first instruction, in all segments and spaces */
    uint64_t *counts; /* by line, the largest of its rows */
    bool *has_code, *in_call;
    unsigned n;
    struct urd_map bias_of; /* space -> bias + 1 */
};

static void count_pc(void *data, uint32_t space, uint64_t pc, uint64_t count)
{
    struct source_counts *c = data;
    uint64_t *bias = urd_map_get(&c->bias_of, space);
    if (!bias)
        return;
    uint64_t address = pc - (*bias - 1);
    /* lines are sorted by line, then address: an execution of a line is one of the first instruction of a row */
    uint64_t *at = urd_map_get(&c->by_address, address);
    for (size_t i = at ? *at - 1 : c->n_lines; i < c->n_lines && c->lines[i].start == address;
         i++) {
        if (i && c->lines[i - 1].line == c->lines[i].line && c->lines[i - 1].end == address)
            continue; /* goes on from the row before */
        c->total[i] += count;
        if (c->total[i] > c->counts[c->lines[i].line])
            c->counts[c->lines[i].line] = c->total[i];
    }
}

static bool path_ends_with(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return m <= n && strcmp(path + n - m, suffix) == 0 &&
           (m == n || suffix[0] == '/' || path[n - m - 1] == '/');
}

static const char *find_source(struct urd_engine *e, const char *file, struct urd_module **ret)
{
    for (uint32_t i = 0; i < urd_trace_file_count(e->trace); i++) {
        struct urd_module *m = engine_module(e, i);
        size_t n = 0;
        const struct urd_source *sources = m ? urd_debuginfo_sources(m, &n) : NULL;
        for (size_t k = 0; k < n; k++)
            if (path_ends_with(sources[k].path, file)) {
                *ret = m;
                return sources[k].path;
            }
    }
    return NULL;
}

static void find_biases(struct source_counts *c)
{
    sqlite3_stmt *q;
    struct code_mapping code;
    if (sqlite3_prepare_v2(c->e->index->db, ENGINE_CODE_MAPPINGS, -1, &q, NULL) != SQLITE_OK)
        return;
    while (sqlite3_step(q) == SQLITE_ROW)
        if (engine_code_mapping(c->e, q, &code) && code.module == c->module)
            *urd_map_put(&c->bias_of, code.space) = code.bias + 1;
    sqlite3_finalize(q);
}

struct marking {
    struct source_counts *c;
    const struct urd_index_pc *pcs;
    uint64_t bias;
};

static bool mark_line(void *data, int64_t clock, int32_t tid, uint32_t which)
{
    struct marking *m = data;
    uint64_t address = m->pcs[which].pc - m->bias;
    uint64_t *at = urd_map_get(&m->c->by_address, address);
    if (at)
        m->c->in_call[m->c->lines[*at - 1].line] = true;
    return true;
}

/** Lines of the frame's function that ran since its call began. */
static urd_err *mark_in_call(struct source_counts *c, struct urd_moment m, uint32_t space,
                             int32_t tid, uint64_t pc)
{
    struct urd_engine *e = c->e;
    int64_t clock;
    struct urd_call_stack stack;
    URD_TRY(urd_index_clock(e->index, m, &clock));
    uint64_t *bias = urd_map_get(&c->bias_of, space);
    const struct urd_function *f =
        bias && pc ? urd_debuginfo_function_at(c->module, pc - (*bias - 1)) : NULL;
    if (!f)
        return NULL;
    struct urd_index_place place = {.space = space};
    URD_TRY(urd_index_stack(e->index, clock, tid, &stack));
    int64_t since = 0; /* the innermost call of this function that is open */
    for (uint32_t i = stack.n; i-- > 0 && !since;)
        if (stack.frames[i].callee >= f->entry + *bias - 1 &&
            stack.frames[i].callee < f->end + *bias - 1)
            since = stack.frames[i].entry;
    free(stack.frames);
    if (clock - since > 2000000)
        since = clock - 2000000; /* enough to see, and soon done */
    struct urd_index_pc *pcs = NULL;
    uint32_t n = 0, capacity = 0;
    for (size_t i = 0; f && i < c->n_lines; i++)
        if (c->lines[i].start >= f->entry && c->lines[i].start < f->end)
            URD_PUSH(pcs, n, capacity) =
                (struct urd_index_pc){place.space, c->lines[i].start + *bias - 1};
    struct marking marking = {c, pcs, *bias - 1};
    urd_err *err =
        n ? urd_index_executions(e->index, pcs, n, since, clock + 1, false, mark_line, &marking)
          : NULL;
    free(pcs);
    return err;
}

static urd_err *open_source(struct urd_engine *e, const char *path, char **ret, size_t *ret_size)
{
    *ret = NULL;
    URD_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > 1 << 26)
        return NULL;
    char *text = urd_xrealloc(NULL, (size_t)st.st_size + 1);
    ssize_t n = read(fd, text, (size_t)st.st_size);
    *ret = text;
    *ret_size = n > 0 ? (size_t)n : 0;
    text[*ret_size] = 0;
    return NULL;
}

static urd_err *source_rows(struct answer *a, struct source_counts *c, char *text, size_t size,
                            unsigned last_line)
{
    unsigned line = 1;
    bool full = false;
    for (size_t at = 0; (at < size || (!text && line <= last_line)) && !full; line++) {
        char *end = text ? memchr(text + at, '\n', size - at) : NULL;
        size_t n = text ? (end ? (size_t)(end - text) : size) - at : 0;
        json_t *row = json_object();
        bool code = line < c->n && c->has_code[line];
        json_object_set_new(row, "line", json_integer(line));
        json_object_set_new(row, "text", text ? json_text(text + at, n) : json_string(""));
        json_object_set_new(row, "count",
                            code && a->engine->index ? json_integer((json_int_t)c->counts[line])
                                                     : json_null());
        json_object_set_new(row, "in_call", json_boolean(line < c->n && c->in_call[line]));
        URD_TRY(answer_row(a, row, &full));
        at += n + 1;
    }
    return NULL;
}

urd_err *q_source(struct answer *a)
{
    struct urd_engine *e = a->engine;
    const char *file = question_text(a, "file");
    URD_AUTO_FREE char *chosen = NULL;
    struct urd_moment m;
    URD_TRY(question_moment(a, &m));
    struct place_name here = NO_PLACE; /* where the moment's frame is */
    uint32_t here_space = 0;
    int32_t here_tid = 0;
    uint64_t here_pc = 0;
    struct urd_session *s;
    struct frame_state f;
    URD_TRY(engine_seek(e, m, &s));
    struct urd_task *t = live_task(s);
    if (t) {
        URD_TRY(frame_open(e, s, t, m.event, &f));
        int64_t number = question_number(a, "frame", -1);
        const struct urd_frame *frame = number < 0 ? frame_default(&f) : NULL;
        if (number >= 0)
            URD_TRY(frame_numbered(e, &f, m, (unsigned)number, &frame));
        if (frame) {
            engine_name_level(e, t->space, m.event, frame->pc, frame->is_caller, frame->level,
                              &here);
            here_space = t->space;
            here_tid = t->tid;
            here_pc = frame->pc - frame->is_caller;
        }
        frame_close(&f);
    }
    if (!file && !here.file[0])
        return urd_err_hint(URD_ERROR(URD_ERR_NOTHING, "no source is known for this place"),
                            "compile with -g; the question 'disassemble' shows its instructions");
    if (!file)
        file = chosen = strdup(here.file);
    struct source_counts c = {.e = e};
    const char *path = find_source(e, file, &c.module);
    if (!path)
        return urd_err_hint(
            urd_err_at(URD_ERROR(URD_ERR_QUESTION, "no source file '%s' belongs to this run", file),
                       0, NULL),
            "the question 'files' lists them");
    urd_debuginfo_file_lines(c.module, path, &c.lines, &c.n_lines);
    for (size_t i = 0; i < c.n_lines; i++)
        c.n = c.lines[i].line + 1 > c.n ? c.lines[i].line + 1 : c.n;
    c.counts = urd_xcalloc(c.n + 1, sizeof *c.counts);
    c.has_code = urd_xcalloc(c.n + 1, 1);
    c.in_call = urd_xcalloc(c.n + 1, 1);
    c.total = urd_xcalloc(c.n_lines + 1, sizeof *c.total);
    for (size_t i = 0; i < c.n_lines; i++)
        if (c.lines[i].is_stmt) {
            c.has_code[c.lines[i].line] = true;
            *urd_map_put(&c.by_address, c.lines[i].start) = i + 1;
        }
    urd_err *err = NULL;
    if (e->index) {
        find_biases(&c);
        err = urd_index_counts(e->index, count_pc, &c);
        if (!err)
            err = mark_in_call(&c, m, here_space, here_tid, here_pc);
    }
    char *text;
    size_t size = 0;
    if (!err)
        err = open_source(e, path, &text, &size);
    if (!err) {
        json_object_set_new(a->summary, "found", json_boolean(text != NULL));
        err = source_rows(a, &c, text, size, c.n);
        free(text);
    }
    struct stat source_st;
    bool differs = stat(path, &source_st) == 0 &&
                   source_st.st_mtime > urd_trace_get_info(e->trace)->started_unix;
    json_object_set_new(a->summary, "differs",
                        json_boolean(differs)); /* changed since the recording */
    const char *name = strrchr(path, '/');
    json_object_set_new(a->summary, "file", json_string(name ? name + 1 : path));
    json_object_set_new(a->summary, "path", json_string(path));
    json_object_set_new(a->summary, "current_line",
                        strcmp(here.file, path) == 0 ? json_integer(here.line) : json_null());
    json_object_set_new(a->summary, "language", json_string("c"));
    free(c.lines);
    free(c.counts);
    free(c.total);
    urd_map_deinit(&c.by_address);
    free(c.has_code);
    free(c.in_call);
    urd_map_deinit(&c.bias_of);
    return err;
}

urd_err *q_files(struct answer *a)
{
    for (uint32_t i = 0; i < urd_trace_file_count(a->engine->trace); i++) {
        struct urd_module *m = engine_module(a->engine, i);
        size_t n = 0;
        const struct urd_source *sources = m ? urd_debuginfo_sources(m, &n) : NULL;
        for (size_t k = 0; k < n; k++) {
            const char *name = strrchr(sources[k].path, '/');
            URD_TRY(
                answer_row(a,
                           json_pack("{s:o, s:o, s:s}", "file",
                                     json_text(name ? name + 1 : sources[k].path,
                                               strlen(name ? name + 1 : sources[k].path)),
                                     "path", json_text(sources[k].path, strlen(sources[k].path)),
                                     "module", urd_debuginfo_module_name(m)),
                           NULL));
        }
    }
    return NULL;
}

static bool contains(const char *text, const char *part)
{
    return text && strstr(text, part);
}

urd_err *q_search(struct answer *a)
{
    const char *text;
    bool full = false;
    URD_TRY(question_need(a, "text", &text));
    if (!a->limit)
        a->limit = 50;
    for (uint32_t i = 0; i < urd_trace_file_count(a->engine->trace) && !full; i++) {
        struct urd_module *m = engine_module(a->engine, i);
        size_t n = 0;
        if (!m || !urd_debuginfo_module_has_lines(m))
            continue;
        const struct urd_function *f = urd_debuginfo_functions(m, &n);
        for (size_t k = 0; k < n && !full; k++)
            if (!f[k].inlined && contains(f[k].qualified, text))
                URD_TRY(answer_row(a,
                                   json_pack("{s:s, s:s, s:s, s:i}", "kind", "function", "name",
                                             f[k].qualified, "file", f[k].file ? f[k].file : "",
                                             "line", (int)f[k].line),
                                   &full));
        const struct urd_variable *const *g = urd_debuginfo_globals(m, &n);
        for (size_t k = 0; k < n && !full; k++)
            if (contains(g[k]->name, text))
                URD_TRY(answer_row(a,
                                   json_pack("{s:s, s:s, s:s, s:i}", "kind", "global", "name",
                                             g[k]->name, "file", g[k]->file ? g[k]->file : "",
                                             "line", (int)g[k]->line),
                                   &full));
        const struct urd_source *s = urd_debuginfo_sources(m, &n);
        for (size_t k = 0; k < n && !full; k++)
            if (contains(s[k].path, text))
                URD_TRY(answer_row(a,
                                   json_pack("{s:s, s:s, s:s, s:i}", "kind", "file", "name",
                                             s[k].path, "file", s[k].path, "line", 1),
                                   &full));
    }
    a->truncated = full;
    return NULL;
}

/* ---- the timeline ---- */

struct lane {
    int32_t tid;
    json_t *spans;
    int64_t from, to;
};

static void end_span(struct lane *l)
{
    if (l->to > l->from)
        json_array_append_new(l->spans,
                              json_pack("[I, I]", (json_int_t)l->from, (json_int_t)l->to));
    l->from = l->to = -1;
}

urd_err *q_timeline(struct answer *a)
{
    struct urd_engine *e = a->engine;
    URD_TRY(need_index(e));
    struct urd_index *x = e->index;
    int64_t from = question_number(a, "from", 0), to = question_number(a, "to", x->end);
    int64_t buckets = question_number(a, "buckets", 600);
    if (to <= from)
        to = from + 1;
    if (buckets < 1 || buckets > 10000)
        buckets = 600;
    int64_t width = (to - from + buckets - 1) / buckets;
    struct lane *lanes = NULL;
    uint32_t n = 0, capacity = 0;
    json_int_t *events = urd_xcalloc((size_t)buckets, sizeof *events),
               *outputs = urd_xcalloc((size_t)buckets, sizeof *outputs);
    for (uint64_t i = 1; i <= x->n_events; i++) {
        const struct urd_index_event *ev = &x->events[i];
        int64_t start = i > 1 ? x->events[i - 1].clock : 0, end = ev->clock;
        if (end >= from && end < to)
            events[(end - from) / width]++;
        if (!(ev->flags & URD_EVENT_RAN) || end <= from || start >= to || end == start)
            continue;
        start = start < from ? from : start;
        end = end > to ? to : end;
        uint32_t k = 0;
        while (k < n && lanes[k].tid != ev->tid)
            k++;
        if (k == n)
            URD_PUSH(lanes, n, capacity) = (struct lane){ev->tid, json_array(), -1, -1};
        struct lane *l = &lanes[k];
        if (l->from >= 0 && start - l->to > width)
            end_span(l);
        if (l->from < 0)
            l->from = start;
        l->to = end;
    }
    json_t *tasks = json_array();
    for (uint32_t k = 0; k < n; k++) {
        end_span(&lanes[k]);
        json_array_append_new(tasks, json_pack("{s:i, s:s, s:o}", "tid", lanes[k].tid, "name",
                                               engine_process_name(e, lanes[k].tid), "spans",
                                               lanes[k].spans));
    }
    free(lanes);
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(x->db, "SELECT clock FROM outputs", -1, &q, NULL) == SQLITE_OK)
        while (sqlite3_step(q) == SQLITE_ROW) {
            int64_t clock = sqlite3_column_int64(q, 0);
            if (clock >= from && clock <= to)
                outputs[clock == to ? buckets - 1 : (clock - from) / width]++;
        }
    sqlite3_finalize(q);
    json_t *busy = json_array(), *event_list = json_array(), *output_list = json_array();
    for (int64_t i = 0; i < buckets; i++) {
        json_array_append_new(busy, json_integer(events[i]));
        if (events[i])
            json_array_append_new(
                event_list,
                json_pack("{s:I, s:o, s:I}", "clock", (json_int_t)(from + i * width), "moment",
                          json_moment(urd_index_moment(x, from + i * width)), "count", events[i]));
        if (outputs[i])
            json_array_append_new(
                output_list,
                json_pack("{s:I, s:o, s:I}", "clock", (json_int_t)(from + i * width), "moment",
                          json_moment(urd_index_moment(x, from + i * width)), "count", outputs[i]));
    }
    free(events);
    free(outputs);
    json_object_set_new(a->summary, "from", json_integer(from));
    json_object_set_new(a->summary, "to", json_integer(to));
    json_object_set_new(a->summary, "tasks", tasks);
    json_object_set_new(a->summary, "buckets", busy);
    json_object_set_new(a->summary, "events", event_list);
    json_object_set_new(a->summary, "outputs", output_list);
    if (question_text(a, "at")) {
        struct urd_moment m;
        int64_t clock;
        URD_TRY(question_moment(a, &m));
        URD_TRY(urd_index_clock(x, m, &clock));
        json_object_set_new(a->summary, "clock", json_integer(clock));
    }
    if (question_text(a, "clock")) /* scrubbing: which moment is that? */
        json_object_set_new(a->summary, "moment",
                            json_moment(urd_index_moment(x, question_number(a, "clock", 0))));
    return NULL;
}
