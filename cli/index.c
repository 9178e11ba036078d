#include "cli/cli.h"
#include "cli/options.h"
#include "indexer/index.h"
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
                           struct urd_index_options *o)
{
    uint64_t last = urd_trace_event_count(trace);
    o->to = (struct urd_moment){UINT64_MAX, 0};
    if (from && strcmp(from, "start") != 0)
        URD_TRY(urd_moment_parse(from, &o->from));
    if (to && strcmp(to, "end") != 0)
        URD_TRY(urd_moment_parse(to, &o->to));
    if (o->from.event > last || (to && o->to.event != UINT64_MAX && o->to.event > last))
        URD_WRONG("the trace ends with event %llu", (unsigned long long)last);
    if (urd_moment_compare(o->from, o->to) >= 0)
        URD_WRONG("--from has to be before --to");
    return NULL;
}

urd_err *cli_index(int argc, char **argv, int *ret_status)
{
    const char *usage =
        "urd index [-t TRACE] [-j N] [--from MOMENT] [--to MOMENT] [--memory SIZE] [--reads] "
        "[--json]";
    const char *name = NULL, *jobs = NULL, *segment_ms = NULL, *processor = NULL,
               *follow_after = NULL, *from = NULL, *to = NULL, *memory = NULL;
    bool json = false, no_cuts = false, reads = false;
    int left;
    URD_TRY(cli_options(argc, argv,
                        (struct cli_option[]){{"-t", "--trace", &name, NULL},
                                              {"-j", "--jobs", &jobs, NULL},
                                              {"--from", NULL, &from, NULL},
                                              {"--memory", NULL, &memory, NULL},
                                              {"--to", NULL, &to, NULL},
                                              {"--segment-ms", NULL, &segment_ms, NULL},
                                              {"--processor", NULL, &processor, NULL},
                                              {"--follow-after", NULL, &follow_after, NULL},
                                              {"--no-cuts", NULL, NULL, &no_cuts},
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
                                  .reads = reads,
                                  .processor = processor,
                                  .follow_after = follow_after ? (unsigned)atoi(follow_after) : 0,
                                  .segment_ms = segment_ms ? (unsigned)atoi(segment_ms) : 0,
                                  .progress = terminal ? show_progress : NULL};
    URD_TRY(read_scope(trace, from, to, &o));
    if (memory && !read_size(memory, &o.memory_bytes))
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "--memory wants a size like 800M or 4G"),
                            "%s", usage);
    struct urd_index_summary s;
    urd_err *err = urd_index_build(trace, &o, &s);
    if (terminal)
        fprintf(stderr, "\r\033[K");
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
