#include "cli/cli.h"
#include "cli/index.h"
#include "cli/options.h"
#include "indexer/index.h"
#include "query/ask.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void show_progress(void *data, uint64_t done, uint64_t total, uint64_t steps)
{
    fprintf(stderr, "\rurd: indexed %3.0f%%, %.3g instructions",
            100.0 * (double)done / (double)total, (double)steps);
}

static void close_trace(struct urd_trace **t)
{
    urd_trace_close(*t);
}

/** 800M, 4G, 500000K, or bytes. */
static bool read_size(const char *text, uint64_t *ret)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (text[0] < '0' || text[0] > '9' || !n || n > UINT64_MAX >> 34 ||
        (*end && (!shift || end[1])))
        return false;
    *ret = (uint64_t)n << shift;
    return true;
}

/** `start` and `end` are moments here too. */
static urd_err *read_scope(const struct urd_trace *trace, const char *from, const char *to,
                           struct urd_index_part *ret)
{
    uint64_t last = urd_trace_event_count(trace);
    ret->to = (struct urd_moment){UINT64_MAX, 0};
    if (from && strcmp(from, "start") != 0)
        URD_TRY(urd_moment_parse(from, &ret->from));
    if (to && strcmp(to, "end") != 0)
        URD_TRY(urd_moment_parse(to, &ret->to));
    if (ret->from.event > last || (to && ret->to.event != UINT64_MAX && ret->to.event > last))
        URD_WRONG("the trace ends with event %llu", (unsigned long long)last);
    if (urd_moment_compare(ret->from, ret->to) >= 0)
        URD_WRONG("--from has to be before --to");
    return NULL;
}

static void close_engine(struct urd_engine **e)
{
    urd_query_close(*e);
}

static void show_done(bool terminal)
{
    if (terminal)
        fprintf(stderr, "\r\033[K");
}

/** What complete.missing names, within `in`. Free *ret. */
static urd_err *missing_parts(json_t *summary, const struct urd_index_part *in, bool last_segment,
                              struct urd_index_part **ret, uint32_t *ret_n)
{
    json_t *missing = json_object_get(json_object_get(summary, "complete"), "missing");
    size_t n = json_array_size(missing);
    *ret = urd_xcalloc(n + 1, sizeof **ret);
    *ret_n = 0;
    for (size_t i = last_segment && n ? n - 1 : 0; i < n; i++) {
        struct urd_index_part p;
        const json_t *m = json_array_get(missing, i);
        URD_TRY(urd_moment_parse(json_string_value(json_object_get(m, "from")), &p.from));
        URD_TRY(urd_moment_parse(json_string_value(json_object_get(m, "to")), &p.to));
        if (last_segment) /* whatever ends there */
            p.from = p.to.steps ? (struct urd_moment){p.to.event, p.to.steps - 1}
                                : (struct urd_moment){p.to.event - 1, UINT64_MAX};
        if (in && urd_moment_compare(p.from, in->from) < 0)
            p.from = in->from;
        if (in && urd_moment_compare(p.to, in->to) > 0)
            p.to = in->to;
        if (urd_moment_compare(p.from, p.to) < 0)
            (*ret)[(*ret_n)++] = p;
    }
    return NULL;
}

urd_err *cli_index_missing(const char *directory, json_t *summary, bool last_segment)
{
    URD_CLEANUP(close_trace) struct urd_trace *trace = NULL;
    URD_TRY(urd_trace_open(directory, &trace));
    struct urd_index_part *parts;
    bool terminal = isatty(2);
    struct urd_index_options o = {.progress = terminal ? show_progress : NULL};
    struct urd_index_summary s;
    urd_err *err = missing_parts(summary, NULL, last_segment, &parts, &o.n_parts);
    o.parts = parts;
    if (!err)
        err = urd_index_build(trace, &o, &s);
    show_done(terminal);
    free(parts);
    return err;
}

static urd_err *ask_where(const char *directory, const char *function, const char *module,
                          json_t **ret_summary)
{
    URD_CLEANUP(close_engine) struct urd_engine *engine = NULL;
    URD_TRY(urd_query_open(directory, &engine));
    json_t *question =
        json_pack("{s:s, s:s*, s:s*}", "q", "where", "function", function, "module", module);
    urd_err *err = urd_query_ask(engine, question, NULL, NULL, ret_summary);
    json_decref(question);
    return err;
}

/** Of a function or module: the coarse level tells where it ran, and that is indexed. Then it is seen which calls go on where that ends: so once more. */
static urd_err *build_where(struct urd_trace *trace, const char *directory,
                            struct urd_index_options *o, const char *function, const char *module,
                            struct urd_index_summary *ret)
{
    struct urd_index_options now = *o;
    struct urd_index_summary sum = {.was_there = true};
    URD_AUTO_FREE struct urd_index_part *parts = NULL;
    now.coarse = true;
    do {
        URD_TRY(urd_index_build(trace, &now, ret));
        sum.was_there &= ret->was_there;
        sum.wall_s += ret->wall_s;
        sum.cpu_s += ret->cpu_s;
        json_t *summary;
        URD_TRY(ask_where(directory, function, module, &summary));
        free(parts);
        parts = NULL;
        urd_err *err =
            missing_parts(summary, o->n_parts ? o->parts : NULL, false, &parts, &now.n_parts);
        json_decref(summary);
        URD_TRY(err);
        now.coarse = false;
        now.parts = parts;
    } while (now.n_parts);
    ret->was_there = sum.was_there;
    ret->wall_s = sum.wall_s;
    ret->cpu_s = sum.cpu_s;
    return NULL;
}

urd_err *cli_index(int argc, char **argv, int *ret_status)
{
    const char *usage =
        "urd index [-t TRACE] [-j N] [--from MOMENT] [--to MOMENT] [--function NAME] "
        "[--module NAME] [--coarse] [--memory SIZE] [--reads] [--json]";
    const char *name = NULL, *jobs = NULL, *segment_ms = NULL, *processor = NULL,
               *follow_after = NULL, *from = NULL, *to = NULL, *memory = NULL, *coarse_after = NULL,
               *publish = NULL, *function = NULL, *module = NULL;
    bool json = false, no_cuts = false, coarse = false, reads = false;
    int left;
    URD_TRY(cli_options(argc, argv,
                        (struct cli_option[]){{"-t", "--trace", &name, NULL},
                                              {"-j", "--jobs", &jobs, NULL},
                                              {"--from", NULL, &from, NULL},
                                              {"--function", NULL, &function, NULL},
                                              {"--module", NULL, &module, NULL},
                                              {"--memory", NULL, &memory, NULL},
                                              {"--to", NULL, &to, NULL},
                                              {"--segment-ms", NULL, &segment_ms, NULL},
                                              {"--processor", NULL, &processor, NULL},
                                              {"--follow-after", NULL, &follow_after, NULL},
                                              {"--no-cuts", NULL, NULL, &no_cuts},
                                              {"--coarse", NULL, NULL, &coarse},
                                              {"--coarse-after", NULL, &coarse_after, NULL},
                                              {"--publish-ms", NULL, &publish, NULL},
                                              {"--reads", NULL, NULL, &reads},
                                              {"--json", NULL, NULL, &json},
                                              {0}},
                        usage, &left));
    if (left > 0 && !name)
        name = argv[1];
    if (jobs && (atoi(jobs) < 1 || atoi(jobs) > 64))
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "-j wants a number from 1 to 64"), "%s",
                            usage);
    if (processor && strcmp(processor, "plain") != 0 && strcmp(processor, "v3") != 0)
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "--processor wants plain or v3"), "%s",
                            usage);
    URD_AUTO_FREE char *directory = NULL;
    URD_TRY(urd_trace_find(name, &directory));
    URD_CLEANUP(close_trace) struct urd_trace *trace = NULL;
    URD_TRY(urd_trace_open(directory, &trace));
    bool terminal = isatty(2);
    struct urd_index_options o = {.workers = jobs ? (unsigned)atoi(jobs) : 0,
                                  .no_cuts = no_cuts,
                                  .coarse = coarse,
                                  .coarse_after_ms =
                                      coarse_after ? (unsigned)atoi(coarse_after) : 0,
                                  .publish_ms = publish ? (unsigned)atoi(publish) : 0,
                                  .reads = reads,
                                  .processor = processor,
                                  .follow_after = follow_after ? (unsigned)atoi(follow_after) : 0,
                                  .segment_ms = segment_ms ? (unsigned)atoi(segment_ms) : 0,
                                  .progress = terminal ? show_progress : NULL};
    struct urd_index_part part = {0};
    URD_TRY(read_scope(trace, from, to, &part));
    o.parts = &part;
    o.n_parts = from || to;
    if (memory && !read_size(memory, &o.memory_bytes))
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "--memory wants a size like 800M or 4G"),
                            "%s", usage);
    struct urd_index_summary s;
    urd_err *err = function || module ? build_where(trace, directory, &o, function, module, &s)
                                      : urd_index_build(trace, &o, &s);
    show_done(terminal);
    URD_TRY(err);
    if (json)
        printf("{\"indexed\": true, \"was_there\": %s, \"instructions\": %llu, \"writes\": %llu, "
               "\"reads\": %llu, "
               "\"segments\": %llu, \"counted\": %llu, \"memory\": %llu, \"stepped\": %llu, "
               "\"bytes\": %llu, "
               "\"wall_s\": %.3f, "
               "\"cpu_s\": %.3f}\n",
               s.was_there ? "true" : "false", (unsigned long long)s.steps,
               (unsigned long long)s.writes, (unsigned long long)s.reads,
               (unsigned long long)s.segments, (unsigned long long)s.counted,
               (unsigned long long)s.memory, (unsigned long long)s.stepped,
               (unsigned long long)s.bytes, s.wall_s, s.cpu_s);
    else if (s.was_there)
        fprintf(stderr, "urd: %s is indexed already\n", directory);
    else if (s.steps)
        fprintf(stderr,
                "urd: indexed %s: %.4g instructions, %.4g writes in %llu segments, %.1f MB, %.2f s "
                "(%.2f s CPU), %llu instructions stepped\n",
                directory, (double)s.steps, (double)s.writes, (unsigned long long)s.segments,
                (double)s.bytes / 1e6, s.wall_s, s.cpu_s, (unsigned long long)s.stepped);
    if (s.reads && !json)
        fprintf(stderr,
                "urd: added %.4g reads, of all of the run; the index has %.1f MB, %.2f s (%.2f s "
                "CPU)\n",
                (double)s.reads, (double)s.bytes / 1e6, s.wall_s, s.cpu_s);
    if (s.unknown_reads)
        fprintf(stderr,
                "urd: warning: %llu stepped instructions read where it cannot be told: not in the "
                "index\n",
                (unsigned long long)s.unknown_reads);
    if (s.counted && !json)
        fprintf(stderr, "urd: %llu of the segments are outside of the scope: only counted\n",
                (unsigned long long)s.counted);
    if (s.unlogged)
        fprintf(stderr,
                "urd: warning: %llu stepped instructions wrote where it cannot be told: not in the "
                "index\n",
                (unsigned long long)s.unlogged);
    *ret_status = 0;
    return NULL;
}
