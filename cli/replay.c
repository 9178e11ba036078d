#include "cli/cli.h"
#include "cli/options.h"
#include "base/buf.h"
#include "replay/run_translated.h"
#include "replay/session.h"
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/** What events wrote that were played back at one go is written at one go, too. */
struct outputs {
    int which; /* 1, 2 */
    struct urd_buf bytes;
};

static void write_outputs(struct outputs *o)
{
    for (size_t done = 0; done < o->bytes.size;) {
        ssize_t n = write(o->which, o->bytes.data + done, o->bytes.size - done);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    o->bytes.size = 0;
}

static void close_outputs(struct outputs *o)
{
    write_outputs(o);
    urd_buf_deinit(&o->bytes);
}

static void add_output(void *data, int which, const void *bytes, size_t size)
{
    struct outputs *o = data;
    if (which != o->which || o->bytes.size > 1 << 16)
        write_outputs(o);
    o->which = which;
    urd_buf_put(&o->bytes, bytes, size);
}

static void close_trace(struct urd_trace **t)
{
    urd_trace_close(*t);
}

static void close_session(struct urd_session **s)
{
    urd_session_close(*s);
}

static void close_runner(struct urd_runner **r)
{
    urd_runner_destroy(*r);
}

urd_err *cli_replay(int argc, char **argv, int *ret_status)
{
    const char *usage = "urd replay [-t TRACE] [--to MOMENT] [--no-fast] [--json]";
    const char *name = NULL, *to = NULL;
    bool json = false, quiet = false, translated = false, no_fast = false;
    int left;
    URD_TRY(cli_options(argc, argv,
                        (struct cli_option[]){{"-t", "--trace", &name, NULL},
                                              {"--to", NULL, &to, NULL},
                                              {"--json", NULL, NULL, &json},
                                              {"-q", "--quiet", NULL, &quiet},
                                              {"--translated", NULL, NULL, &translated},
                                              {"--no-fast", NULL, NULL, &no_fast},
                                              {0}},
                        usage, &left));
    if (left > 0 && !name)
        name = argv[1];
    URD_AUTO_FREE char *directory = NULL;
    URD_TRY(urd_trace_find(name, &directory));
    URD_CLEANUP(close_trace) struct urd_trace *trace = NULL;
    URD_TRY(urd_trace_open(directory, &trace));
    struct urd_moment moment = {urd_trace_event_count(trace), 0};
    if (to)
        URD_TRY(urd_moment_parse(to, &moment));
    if (moment.event > urd_trace_event_count(trace))
        URD_WRONG("there is no event %llu; the trace ends with event %llu",
                  (unsigned long long)moment.event,
                  (unsigned long long)urd_trace_event_count(trace));
    URD_CLEANUP(close_outputs) struct outputs outputs = {0};
    URD_CLEANUP(close_session) struct urd_session *s = NULL;
    URD_TRY(urd_session_open(trace, true, &s));
    s->no_fast = no_fast;
    if (!json)
        s->output = add_output;
    s->output_data = &outputs;
    URD_CLEANUP(close_runner) struct urd_runner *runner = NULL;
    if (translated)
        URD_TRY(urd_runner_create(s, URD_PROBE_LOG, NULL, &runner));
    int32_t status = 0;
    while (s->event < moment.event && s->next) {
        if (s->next->kind == URD_EVENT_END)
            status = s->next->status;
        URD_TRY(runner ? urd_runner_next(runner) : urd_session_next(s, moment.event));
        write_outputs(&outputs);
    }
    if (moment.steps) {
        URD_CLEANUP(close_runner) struct urd_runner *counter = NULL;
        URD_TRY(urd_runner_create(s, URD_PROBE_COUNT, NULL, &counter));
        URD_TRY(urd_runner_seek(counter, moment));
    }
    const char *torn = urd_trace_torn(trace);
    bool whole = !torn && !s->next;
    if (json)
        printf("{\"events\": %llu, \"matched\": true, \"whole\": %s, \"checksums\": %llu, "
               "\"status\": %d}\n",
               (unsigned long long)s->event, whole ? "true" : "false",
               (unsigned long long)s->checksums_compared, status);
    else if (!quiet)
        fprintf(stderr,
                "urd: replayed %llu events, all registers equal, %llu memory checksums equal\n",
                (unsigned long long)s->event, (unsigned long long)s->checksums_compared);
    if (torn)
        fprintf(stderr, "urd: %s; up to there it matched\n", torn);
    *ret_status = 0;
    return NULL;
}
