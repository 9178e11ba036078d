/* The verbs that ask: each makes a question in JSON, gives it to the engine, and prints the rows. */
#include "base/buf.h"
#include "cli/cli.h"
#include "cli/index.h"
#include "cli/options.h"
#include "query/ask.h"
#include "trace/trace.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct printer {
    bool json;
    void (*row)(json_t *row);
    uint64_t rows;
};

static int append(const char *text, size_t size, void *buf)
{
    urd_buf_put(buf, text, size);
    return 0;
}

/** At one go: jansson gives out a few bytes at a time, and each write to a FILE takes its lock. */
static void print_json(const json_t *j)
{
    static struct urd_buf line;
    line.size = 0;
    json_dump_callback(j, append, &line, JSON_COMPACT);
    urd_buf_u8(&line, '\n');
    fwrite(line.data, 1, line.size, stdout);
}

static urd_err *print_json_row(json_t *row)
{
    print_json(row);
    if (ferror(stdout)) /* head has seen enough */
        return URD_ERROR(URD_ERR_FAILED, "cannot write the answer");
    return NULL;
}

static urd_err *on_row(void *data, json_t *row)
{
    struct printer *p = data;
    p->rows++;
    if (p->json)
        return print_json_row(row);
    p->row(row);
    return NULL;
}

static const char *text(json_t *row, const char *field)
{
    const char *t = json_string_value(json_object_get(row, field));
    return t ? t : "";
}

static long long number(json_t *row, const char *field)
{
    return (long long)json_integer_value(json_object_get(row, field));
}

/** Recorded text is not to be trusted with a terminal: there, control characters are shown as \xNN. */
static void print_recorded(const char *t)
{
    static int terminal = -1;
    if (terminal < 0)
        terminal = isatty(1);
    if (!terminal) {
        fputs(t, stdout);
        return;
    }
    for (; *t; t++) {
        unsigned char c = (unsigned char)*t;
        if ((c < 32 && c != '\n' && c != '\t') || c == 127)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
}

static const char *short_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void print_place(json_t *row)
{
    const char *function = text(row, "function"), *file = text(row, "file");
    printf("%s", *function ? function : "?");
    if (*file)
        printf(" (%s:%lld)", short_name(file), number(row, "line"));
    else if (*text(row, "module"))
        printf(" (%s)", text(row, "module"));
}

static void row_blame(json_t *row)
{
    const char *call = text(row, "syscall");
    printf("%-12s %s[%lld]  ", text(row, "moment"), text(row, "process"), number(row, "pid"));
    if (strcmp(call, "outside") == 0) {
        printf("which is not recorded");
    } else {
        if (*call)
            printf("%s() called by ", call);
        print_place(row);
    }
    printf("  %s -> %s\n", *text(row, "old") ? text(row, "old") : "?",
           *text(row, "new") ? text(row, "new") : "?");
}

static void row_reader(json_t *row)
{
    printf("%-12s %s[%lld]  ", text(row, "moment"), text(row, "process"), number(row, "pid"));
    print_place(row);
    printf("  %s\n", *text(row, "value") ? text(row, "value") : "?");
}

static void row_print(json_t *row)
{
    printf("%-12s ", text(row, "moment"));
    print_recorded(text(row, "text"));
    putchar('\n');
}

static void row_call(json_t *row)
{
    printf("%-12s %s(", text(row, "moment"), text(row, "function"));
    size_t i;
    json_t *arg, *args = json_object_get(row, "args");
    json_array_foreach(args, i, arg)
        printf("%s%s=%s", i ? ", " : "", text(arg, "name"), text(arg, "value"));
    printf(") = %s", *text(row, "returned") ? text(row, "returned") : "?");
    printf("  from %s", *text(row, "caller") ? text(row, "caller") : "?");
    if (*text(row, "file"))
        printf(" (%s:%lld)", short_name(text(row, "file")), number(row, "line"));
    printf("  %lld steps\n", number(row, "steps"));
}

static void row_line(json_t *row)
{
    printf("%-12s ", text(row, "moment"));
    print_place(row);
    printf("  pid %lld\n", number(row, "pid"));
}

static void row_stack(json_t *row)
{
    printf("#%-3lld ", number(row, "depth"));
    printf("%s(%s)", *text(row, "function") ? text(row, "function") : text(row, "pc"),
           text(row, "args"));
    if (*text(row, "file"))
        printf(" at %s:%lld", short_name(text(row, "file")), number(row, "line"));
    else if (*text(row, "module"))
        printf(" in %s", text(row, "module"));
    if (*text(row, "moment"))
        printf("  called at %s", text(row, "moment"));
    else if (json_is_true(json_object_get(row, "inlined")))
        printf("  inlined");
    putchar('\n');
}

static void print_frames(const char *title, json_t *stack)
{
    size_t i;
    json_t *frame;
    json_array_foreach(stack, i, frame)
    {
        printf("    %-9s ", i ? "" : title);
        print_place(frame);
        putchar('\n');
    }
}

static void row_owner(json_t *row)
{
    bool block = strcmp(text(row, "kind"), "block") == 0;
    printf("byte %lld of %s %s, %lld bytes%s%s\n", number(row, "offset"),
           block ? "a block at" : "a mapping at", text(row, "address"), number(row, "size"),
           *text(row, "name") ? ", " : "", text(row, "name"));
    if (*text(row, "moment"))
        printf("    %-9s by %s at %s, thread %lld\n", block ? "allocated" : "mapped",
               *text(row, "function") ? text(row, "function") : "?", text(row, "moment"),
               number(row, "tid"));
    print_frames("", json_object_get(row, "stack"));
    if (!*text(row, "freed"))
        return;
    bool before = strcmp(text(row, "state"), "freed") == 0;
    if (*text(row, "freed_call"))
        printf("    freed     by %s at %s, thread %lld%s\n", text(row, "freed_by"),
               text(row, "freed_call"), number(row, "freed_tid"),
               before ? ": a use now is a use after free" : "");
    else
        printf("    freed     before %s, by a call that was not seen\n", text(row, "freed"));
    print_frames("", json_object_get(row, "freed_stack"));
}

static void row_value(json_t *row)
{
    printf("%s = %s\n", text(row, "name"), text(row, "value"));
}

static void row_reg(json_t *row)
{
    printf("%-8s %s\n", text(row, "name"), text(row, "value"));
}

static void row_mem(json_t *row)
{
    const char *hex = text(row, "hex");
    printf("%s ", text(row, "address"));
    for (size_t i = 0; i < 32; i += 2)
        printf("%s%.2s", i == 16 ? "  " : " ", i < strlen(hex) ? hex + i : "  ");
    printf("  %s\n", text(row, "text"));
}

static void row_source(json_t *row)
{
    json_t *count = json_object_get(row, "count");
    if (json_is_integer(count) && json_integer_value(count))
        printf("%10lld", (long long)json_integer_value(count));
    else
        printf("%10s", json_is_integer(count) ? "-" : "");
    printf(" %6lld  %s\n", number(row, "line"), text(row, "text"));
}

static void row_event(json_t *row)
{
    printf("%-8lld %-8s %-7lld", number(row, "number"), text(row, "kind"), number(row, "tid"));
    if (*text(row, "syscall"))
        printf(" %s", text(row, "syscall"));
    if (json_is_integer(json_object_get(row, "result")))
        printf(" = %lld", number(row, "result"));
    if (json_is_integer(json_object_get(row, "signal")))
        printf(" signal %lld", number(row, "signal"));
    if (json_is_integer(json_object_get(row, "status")))
        printf(" status %lld", number(row, "status"));
    printf(" %s\n", text(row, "text"));
}

static void row_output(json_t *row)
{
    const char *t = text(row, "text");
    printf("%-12s %lld ", text(row, "moment"), number(row, "fd"));
    print_recorded(t);
    if (!*t || t[strlen(t) - 1] != '\n')
        putchar('\n');
}

static void row_any(json_t *row)
{
    const char *key;
    json_t *value;
    bool first = true;
    json_object_foreach(row, key, value)
    {
        if (!first)
            putchar('|');
        first = false;
        if (json_is_string(value))
            printf("%s", json_string_value(value));
        else if (!json_is_null(value)) {
            char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
            printf("%s", dump);
            free(dump);
        }
    }
    putchar('\n');
}

/** A caret under the wrong part of what was asked. */
static void show_caret(const urd_err *err, const char *question)
{
    if (!question || err->offset < 0 || (size_t)err->offset > strlen(question) ||
        strchr(question, '\n'))
        return;
    fprintf(stderr, "  %s\n  %*s^\n", question, (int)err->offset, "");
}

struct asking {
    const char *trace;
    bool json;
    struct urd_engine *engine;
};

static urd_err *open_engine(struct asking *g)
{
    URD_AUTO_FREE char *directory = NULL;
    URD_TRY(urd_trace_find(g->trace, &directory));
    return urd_query_open(directory, &g->engine);
}

static void close_engine(struct asking *g)
{
    urd_query_close(g->engine);
}

/** Ask; rows through `row`, or as JSON. *ret_summary is owned by the caller. */
static urd_err *ask(struct asking *g, json_t *question, void (*row)(json_t *), const char *shown,
                    uint64_t *ret_rows, json_t **ret_summary)
{
    struct printer p = {.json = g->json, .row = row};
    urd_err *err = urd_query_ask(g->engine, question, on_row, &p, ret_summary);
    json_decref(question);
    if (err)
        show_caret(err, shown);
    *ret_rows = p.rows;
    return err;
}

/** Of which part of the run the answer knows nothing. */
static void note_partial(json_t *summary)
{
    json_t *complete = json_object_get(summary, "complete"), *gap;
    size_t i;
    if (!json_is_true(json_object_get(complete, "partial")))
        return;
    fprintf(stderr, "urd: this answer is partial: the index does not cover");
    json_array_foreach(json_object_get(complete, "missing"), i, gap)
        fprintf(stderr, "%s %s to %s", i ? "," : "", text(gap, "from"), text(gap, "to"));
    if (json_is_true(json_object_get(complete, "indexing")))
        fprintf(stderr, " yet: urd index is running\n");
    else
        fprintf(stderr, "; to add it: %s\n", text(complete, "extend"));
}

static void note_truncated(json_t *summary, bool json)
{
    note_partial(summary);
    if (json_is_true(json_object_get(json_object_get(summary, "complete"), "truncated")) && !json)
        fprintf(stderr, "urd: there are more: raise --limit\n");
}

/** Index what the answer lacks, until it lacks nothing. A single write is looked for backwards: the last few segments come first, one by one.
 * Nobody has the index open while it is written, so it is left as one file. */
static urd_err *extend_for(struct asking *g, const json_t *question)
{
    enum { ONE_BY_ONE = 4 };
    bool one_write =
        strcmp(text((json_t *)question, "q"), "blame") == 0 && !json_object_get(question, "all");
    URD_AUTO_FREE char *directory = NULL;
    URD_TRY(urd_trace_find(g->trace, &directory));
    unsigned tries = 0;
    for (bool partial = true; partial; tries++) {
        json_t *summary = NULL;
        URD_TRY(open_engine(g));
        urd_err *err = urd_query_ask(g->engine, question, NULL, NULL, &summary);
        close_engine(g);
        URD_TRY(err);
        partial = json_is_true(json_object_get(json_object_get(summary, "complete"), "partial"));
        if (partial)
            err = cli_index_missing(directory, summary, one_write && tries < ONE_BY_ONE);
        json_decref(summary);
        URD_TRY(err);
    }
    return NULL;
}

/** What the simple verbs share: one question with fields from options and arguments. */
struct shape {
    const char *q, *usage;
    const char *fields[3]; /* names of positional arguments */
    unsigned needed;       /* how many of them must be there */
    unsigned shown;        /* which one carries offsets of errors */
    void (*row)(json_t *);
    bool rows_mean_found; /* no rows: exit status 1 */
    bool summary_is_answer;
};

static urd_err *ask_shape(const struct shape *s, int argc, char **argv, int *ret_status)
{
    struct asking g = {0};
    const char *at = NULL, *limit = NULL, *condition = NULL, *frame = NULL, *from = NULL,
               *kind = NULL, *name = NULL, *size = NULL;
    const char *order = NULL;
    bool all = false, fast = false, extend = false;
    int left;
    URD_TRY(cli_options(argc, argv,
                        (struct cli_option[]){{"-t", "--trace", &g.trace, NULL},
                                              {"--at", NULL, &at, NULL},
                                              {"--limit", "-n", &limit, NULL},
                                              {"--if", NULL, &condition, NULL},
                                              {"--frame", NULL, &frame, NULL},
                                              {"--all", NULL, NULL, &all},
                                              {"--json", NULL, NULL, &g.json},
                                              {"--from", NULL, &from, NULL},
                                              {"--kind", NULL, &kind, NULL},
                                              {"--name", NULL, &name, NULL},
                                              {"--size", NULL, &size, NULL},
                                              {"--fast", NULL, NULL, &fast},
                                              {"--order", NULL, &order, NULL},
                                              {"--extend", NULL, NULL, &extend},
                                              {0}},
                        s->usage, &left));
    if ((unsigned)left < s->needed || left > 3 || (left > 0 && !s->fields[left - 1]))
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "%s wants %s arguments", s->q,
                                      (unsigned)left < s->needed ? "more" : "fewer"),
                            "%s", s->usage);
    json_t *question = json_pack("{s:s}", "q", s->q);
    for (int i = 0; i < left; i++)
        json_object_set_new(question, s->fields[i], json_string(argv[1 + i]));
    const struct {
        const char *field, *value;
    } options[] = {{"at", at},       {"limit", limit}, {"if", condition},
                   {"frame", frame}, {"from", from},   {"kind", kind},
                   {"name", name},   {"size", size},   {"order", order}};
    for (unsigned i = 0; i < sizeof options / sizeof *options; i++)
        if (options[i].value)
            json_object_set_new(question, options[i].field, json_string(options[i].value));
    if (all)
        json_object_set_new(question, "all", json_true());
    if (fast)
        json_object_set_new(question, "fast", json_true());
    const char *shown = left > (int)s->shown ? argv[1 + s->shown] : NULL;
    urd_err *err = extend ? extend_for(&g, question) : NULL;
    if (err)
        show_caret(err, shown);
    else
        err = open_engine(&g);
    if (err) {
        json_decref(question);
        return err;
    }
    uint64_t rows = 0;
    json_t *summary = NULL;
    err = ask(&g, question, s->row, shown, &rows, &summary);
    if (!err && s->summary_is_answer) {
        if (g.json)
            err = print_json_row(summary);
        else
            row_any(summary);
    }
    if (!err) {
        note_truncated(summary, g.json);
        const char *no_blocks = json_string_value(json_object_get(summary, "blocks"));
        if (no_blocks && !g.json)
            fprintf(stderr, "urd: %s\n", no_blocks);
        const char *inlined = json_string_value(json_object_get(summary, "inlined"));
        if (inlined && !g.json)
            fprintf(stderr, "urd: %s\n", inlined);
        const char *nothing = json_string_value(json_object_get(summary, "nothing"));
        if (nothing && !g.json)
            fprintf(stderr, "urd: %s\n", nothing);
        if (s->rows_mean_found && !rows) {
            if (!nothing)
                fprintf(stderr, "urd: nothing found\n");
            *ret_status = 1;
        }
    }
    json_decref(summary);
    close_engine(&g);
    return err;
}

#define SHAPE_VERB(name, ...)                                                                      \
    urd_err *cli_##name(int argc, char **argv, int *ret_status)                                    \
    {                                                                                              \
        return ask_shape(&(struct shape){__VA_ARGS__}, argc, argv, ret_status);                    \
    }

SHAPE_VERB(
    blame, "blame",
    "urd blame [-t TRACE] EXPR [--at MOMENT] [--all] [--frame N] [--limit N] [--extend] [--json]",
    {"expr"}, 1, 0, row_blame, true)
SHAPE_VERB(readers, "readers",
           "urd readers [-t TRACE] EXPR [--at MOMENT] [--all] [--frame N] [--limit N] [--json]",
           {"expr"}, 1, 0, row_reader, true)
SHAPE_VERB(print, "print",
           "urd print [-t TRACE] LOCATION 'text {expr} {expr:x}' [--if EXPR] [--limit N] "
           "[--extend] [--json]",
           {"location", "text"}, 2, 1, row_print, true)
SHAPE_VERB(calls, "calls", "urd calls [-t TRACE] FUNCTION [--limit N] [--fast] [--extend] [--json]",
           {"function"}, 1, 0, row_call, true)
SHAPE_VERB(lines, "lines", "urd lines [-t TRACE] FILE:LINE [--limit N] [--extend] [--json]",
           {"location"}, 1, 0, row_line, true)
SHAPE_VERB(stack, "stack", "urd stack [-t TRACE] [--at MOMENT] [--json]", {"at"}, 0, 0, row_stack,
           true)
SHAPE_VERB(mem, "mem", "urd mem [-t TRACE] ADDRESS|EXPR [SIZE] [--at MOMENT] [--json]",
           {"address", "size"}, 1, 0, row_mem, true)
SHAPE_VERB(owner, "owner", "urd owner [-t TRACE] ADDRESS|EXPR [--at MOMENT] [--frame N] [--json]",
           {"address"}, 1, 0, row_owner, true)
SHAPE_VERB(reg, "reg", "urd reg [-t TRACE] [--at MOMENT] [--frame N] [--json]", {"at"}, 0, 0,
           row_reg, true)
SHAPE_VERB(values, "values", "urd values [-t TRACE] [--at MOMENT] [--frame N] [--json]", {"at"}, 0,
           0, row_value, true)
SHAPE_VERB(source, "source", "urd source [-t TRACE] [FILE] [--at MOMENT] [--json]", {"file"}, 0, 0,
           row_source, true)
SHAPE_VERB(sql, "sql", "urd sql [-t TRACE] 'SELECT ...' [--limit N] [--json]", {"sql"}, 1, 0,
           row_any, false)
SHAPE_VERB(events, "events",
           "urd events [-t TRACE] [--from N] [--kind KIND] [--name SYSCALL] [--limit N] [--json]",
           {"from"}, 0, 0, row_event, true)
SHAPE_VERB(outputs, "outputs", "urd outputs [-t TRACE] [--limit N] [--json]", {0}, 0, 0, row_output,
           true)

static void row_disassembly(json_t *row)
{
    printf("%s %s  %-40s", json_is_true(json_object_get(row, "current")) ? "=>" : "  ",
           text(row, "pc"), text(row, "text"));
    print_place(row);
    putchar('\n');
}

SHAPE_VERB(disassemble, "disassemble", "urd disassemble [-t TRACE] [--at MOMENT] [--json]", {"at"},
           0, 0, row_disassembly, true)

urd_err *cli_eval(int argc, char **argv, int *ret_status)
{
    const char *usage = "urd eval [-t TRACE] EXPR [--at MOMENT] [--frame N] [--json]";
    struct asking g = {0};
    const char *at = NULL, *frame = NULL;
    int left;
    URD_TRY(cli_options(argc, argv,
                        (struct cli_option[]){{"-t", "--trace", &g.trace, NULL},
                                              {"--at", NULL, &at, NULL},
                                              {"--frame", NULL, &frame, NULL},
                                              {"--json", NULL, NULL, &g.json},
                                              {0}},
                        usage, &left));
    if (left != 1)
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "eval wants one expression"), "%s", usage);
    URD_TRY(open_engine(&g));
    json_t *question = json_pack("{s:s, s:s}", "q", "eval", "expr", argv[1]), *summary = NULL;
    if (at)
        json_object_set_new(question, "at", json_string(at));
    if (frame)
        json_object_set_new(question, "frame", json_string(frame));
    uint64_t rows;
    urd_err *err = ask(&g, question, row_any, argv[1], &rows, &summary);
    if (!err && g.json)
        err = print_json_row(summary);
    else if (!err)
        printf("%s\n", text(summary, "value"));
    json_decref(summary);
    close_engine(&g);
    return err;
}

static void print_counts(const char *title, json_t *counts)
{
    const char *key;
    json_t *count;
    printf("%-9s", title);
    json_object_foreach(counts, key, count)
        printf(" %s %lld", key, (long long)json_integer_value(count));
    printf("\n");
}

/** Where the calls come from that stopped the program most. */
static void print_sites(json_t *sites)
{
    size_t i;
    json_t *site;
    json_array_foreach(sites, i, site)
        printf("%-9s %8lld %s from %s+%#llx\n", i ? "" : "sites", number(site, "count"),
               text(site, "syscall"), text(site, "file"), number(site, "offset"));
}

urd_err *cli_info(int argc, char **argv, int *ret_status)
{
    struct asking g = {0};
    int left;
    URD_TRY(cli_options(argc, argv,
                        (struct cli_option[]){{"-t", "--trace", &g.trace, NULL},
                                              {"--json", NULL, NULL, &g.json},
                                              {0}},
                        "urd info [-t TRACE] [--json]", &left));
    if (left > 0 && !g.trace)
        g.trace = argv[1];
    URD_TRY(open_engine(&g));
    json_t *s = NULL;
    uint64_t rows;
    urd_err *err = ask(&g, json_pack("{s:s}", "q", "info"), row_any, NULL, &rows, &s);
    if (!err && g.json) {
        err = print_json_row(s);
    } else if (!err) {
        char *argv_text = json_dumps(json_object_get(s, "argv"), 0);
        time_t started = (time_t)number(s, "started");
        char when[64];
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime(&started));
        printf("trace     %s\nprogram   %s\nin        %s\nrecorded  %s on %s (%s, %s), core %lld, "
               "%.3f s\n"
               "events    %lld, tasks %lld, files %lld, %.1f MB\nindexed   %s\n",
               text(s, "directory"), argv_text, text(s, "cwd"), when, text(s, "host"),
               text(s, "kernel"), text(s, "cpu"), number(s, "core"),
               (double)number(s, "time_ns") / 1e9, number(s, "events"), number(s, "tasks"),
               number(s, "files"), (double)number(s, "bytes") / 1e6,
               json_array_size(json_object_get(s, "missing")) ? "in part"
               : json_is_true(json_object_get(s, "indexed"))  ? "yes"
                                                              : "no: urd index");
        free(argv_text);
        json_t *gap;
        size_t k;
        json_array_foreach(json_object_get(s, "missing"), k, gap)
            printf("%-9s %s to %s\n", k ? "" : "missing", text(gap, "from"), text(gap, "to"));
        json_t *finding = json_object_get(s, "finding");
        if (json_is_object(finding))
            printf("finding   %s at %s\n", text(finding, "text"), text(finding, "at"));
        if (*text(s, "torn"))
            printf("torn      %s\n", text(s, "torn"));
        size_t i;
        json_t *who;
        json_array_foreach(json_object_get(s, "outside"), i, who)
            printf("outside   %s (process %lld), which is not recorded, writes to its memory: %lld "
                   "changes seen\n",
                   text(who, "process"), number(who, "pid"), number(who, "changes"));
        print_counts("calls", json_object_get(s, "syscalls"));
        printf("cuts      %lld places in the middle of a computation, %lld told by a count of "
               "branches\n",
               number(s, "cuts"), number(s, "counted"));
        printf("fast      %lld calls did not stop the program\n", number(s, "fast"));
        print_counts("stopped", json_object_get(s, "stopped"));
        printf("answered  %lld instructions like RDTSC and RDRAND, %lld of them by a stop\n",
               number(s, "instructions_answered"), number(s, "instructions_stopped"));
        print_sites(json_object_get(s, "sites"));
    }
    json_decref(s);
    close_engine(&g);
    return err;
}

/* ---- batch ---- */

static urd_err *keep_row(void *data, json_t *row)
{
    json_array_append(data, row);
    return NULL;
}

static json_t *error_json(const urd_err *err)
{
    json_t *e = json_pack("{s:s, s:i}", "message", err->message, "kind", err->kind);
    json_object_set_new(e, "what_to_do", err->hint ? json_string(err->hint) : json_null());
    json_object_set_new(e, "offset", err->offset >= 0 ? json_integer(err->offset) : json_null());
    json_object_set_new(e, "suggest", err->suggest ? json_string(err->suggest) : json_null());
    return e;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/** One line in, one line out: {"question", "rows", "summary", "ms"} or {"question", "error", "ms"}. */
static bool batch_line(struct asking *g, const char *line, size_t size)
{
    json_error_t je;
    json_t *out = json_object(), *question = json_loadb(line, size, 0, &je);
    double started = now_ms();
    urd_err *err = NULL;
    json_t *rows = json_array(), *summary = NULL;
    if (!json_is_object(question))
        err = urd_err_at(URD_ERROR(URD_ERR_QUESTION, "the line is no JSON object: %s", je.text),
                         je.position, NULL);
    else
        err = urd_query_ask(g->engine, question, keep_row, rows, &summary);
    json_object_set_new(out, "question", question ? question : json_stringn_nocheck(line, size));
    if (err) {
        json_object_set_new(out, "error", error_json(err));
        json_decref(rows);
    } else {
        json_object_set_new(out, "rows", rows);
        json_object_set_new(out, "summary", summary);
    }
    json_object_set_new(out, "ms", json_real(now_ms() - started));
    bool ok = !err;
    urd_err_free(err);
    print_json(out);
    fflush(stdout);
    json_decref(out);
    return ok;
}

urd_err *cli_batch(int argc, char **argv, int *ret_status)
{
    struct asking g = {0};
    int left;
    const char *usage =
        "urd batch [-t TRACE] FILE   (- for standard input; one JSON question a line)";
    URD_TRY(cli_options(argc, argv,
                        (struct cli_option[]){{"-t", "--trace", &g.trace, NULL},
                                              {"--json", NULL, NULL, &g.json},
                                              {0}},
                        usage, &left));
    if (left != 1)
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "batch wants one file"), "%s", usage);
    FILE *f = strcmp(argv[1], "-") == 0 ? stdin : fopen(argv[1], "re");
    if (!f)
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "cannot open '%s'", argv[1]), "%s", usage);
    urd_err *err = open_engine(&g);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    while (!err && (n = getline(&line, &capacity, f)) > 0) {
        while (n && strchr(" \t\r\n", line[n - 1]))
            n--;
        if (n && !batch_line(&g, line, (size_t)n))
            *ret_status = 1;
    }
    free(line);
    if (f != stdin)
        fclose(f);
    close_engine(&g);
    return err;
}
