/**
 * The HTTP server: the browser UI and every question as a JSON endpoint.
 *
 * PURPOSE  `urd serve`: answer on 127.0.0.1 until SIGINT or SIGTERM.
 * NOT      Answering anything itself: query/ask.h does. Nothing is ever served to another machine.
 * OWNS     Everything between the call and its return; options are borrowed for the call.
 * FORMAT   docs/API.md.
 */
#ifndef URD_SERVER_SERVER_H
#define URD_SERVER_SERVER_H
#include "base/err.h"

struct urd_server_options {
    int port;                    /* 0: pick a free one */
    const char *trace_directory; /* given to urd_query_open */
    const char *ui_directory;    /* ui-static; its files are read once, at the start */
    /** How many engines may be open at once, each on a thread of its own: with 2, long questions
     * (print, calls, sql) do not hold up moves. 0 is 1. The second is opened when it is first
     * needed. */
    int engines;
    /** Called once when requests are accepted; url is like "http://127.0.0.1:8080/". May be NULL.
     */
    void (*listening)(void *data, const char *url);
    void *data;
};

/** Serve until SIGINT or SIGTERM, then return NULL. A second signal ends the process. */
urd_err *urd_server_run(const struct urd_server_options *options) URD_MUST_USE;
#endif
