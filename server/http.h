/**
 * One request: checks, routes, responses.
 *
 * PURPOSE  The callbacks that libmicrohttpd calls, each connection on a thread of its own.
 * NOT      Sockets and signals (server.c), questions (question.h), answers (answer.h).
 * OWNS     The state of a request, from its first line to its completion.
 */
#ifndef URD_SERVER_HTTP_H
#define URD_SERVER_HTTP_H
#include "server/desk.h"
#include "server/files.h"
#include "server/mhd.h"
#include <pthread.h>
#include <time.h>

#define URD_HTTP_MAX_CONNECTIONS 128
#define URD_HTTP_MAX_BODY        (1u << 20)
#define URD_HTTP_HEADER_S        10 /* a request must have arrived within this time */

/** A connection that is not in the middle of an answer, so that those that send nothing can be
 * closed. */
struct urd_http_slot {
    int fd; /* -1: free */
    bool answering;
    time_t since; /* CLOCK_MONOTONIC seconds: connected, or answered */
};

struct urd_http {
    int port;
    struct urd_files files;
    struct urd_desk *desk;
    pthread_mutex_t lock; /* of slots */
    struct urd_http_slot slots[URD_HTTP_MAX_CONNECTIONS];
};

void urd_http_init(struct urd_http *h, int port);
void urd_http_deinit(struct urd_http *h);

/** Shut down connections whose request does not arrive. Called every second. */
void urd_http_close_idle(struct urd_http *h);

/* For MHD_start_daemon; the cls is the struct urd_http. */
void *urd_http_begin(void *cls, const char *uri, struct MHD_Connection *c);
enum MHD_Result urd_http_handle(void *cls, struct MHD_Connection *c, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **state);
void urd_http_completed(void *cls, struct MHD_Connection *c, void **state,
                        enum MHD_RequestTerminationCode why);
void urd_http_connection(void *cls, struct MHD_Connection *c, void **socket_state,
                         enum MHD_ConnectionNotificationCode what);
#endif
