/*
 * The map: urd_server_run opens the trace (desk.c), reads the UI (files.c), listens on 127.0.0.1
 * and waits for a signal. Requests arrive in http.c, each connection on its own thread; guard.c
 * judges them; question.c makes objects of them; answer.c and moment_all.c run on an engine's
 * thread and write through a stream (stream.c) that the connection's thread reads.
 */
#include "server/server.h"
#include "base/buf.h"
#include "server/http.h"
#include "server/stream.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTION_TIMEOUT_S 60 /* of a connection on which nothing moves */

static urd_err *listen_on(int port, int *ret_fd, int *ret_port)
{
    URD_AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        URD_FAIL_ERRNO("making a socket");
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof a;
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 64) != 0) {
        if (errno == EADDRINUSE)
            return urd_err_hint(
                URD_ERROR(URD_ERR_FAILED, "port %d of 127.0.0.1 is in use", port),
                "another urd serve may run: stop it, or choose another port with --port N "
                "(0 picks a free one)");
        if (errno == EACCES)
            return urd_err_hint(URD_ERROR(URD_ERR_FAILED, "port %d is not ours to use", port),
                                "choose one above 1023 with --port N");
        URD_FAIL_ERRNO("listening on 127.0.0.1:%d", port);
    }
    if (getsockname(fd, (struct sockaddr *)&a, &size) != 0)
        URD_FAIL_ERRNO("asking for the port");
    *ret_fd = fd;
    *ret_port = ntohs(a.sin_port);
    fd = -1;
    return NULL;
}

static int stop_fd = -1;

static void on_signal(int number)
{
    int saved = errno;
    uint64_t one = 1;
    if (write(stop_fd, &one, sizeof one) < 0) { /* full: it is known already */
    }
    errno = saved;
}

static void wait_for_signal(struct urd_http *h)
{
    struct pollfd p = {.fd = stop_fd, .events = POLLIN};
    while (poll(&p, 1, 1000) <= 0)
        urd_http_close_idle(h);
}

static struct MHD_Daemon *start(struct urd_http *h, int fd)
{
    return mhd.start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL,
        NULL, urd_http_handle, h, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)URD_HTTP_MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)CONNECTION_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)65536,
        MHD_OPTION_URI_LOG_CALLBACK, urd_http_begin, h, MHD_OPTION_NOTIFY_COMPLETED,
        urd_http_completed, h, MHD_OPTION_NOTIFY_CONNECTION, urd_http_connection, h,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

static urd_err *serve(const struct urd_server_options *o, struct urd_http *h, int fd)
{
    URD_TRY(mhd_load());
    URD_TRY(urd_files_read(o->ui_directory, &h->files));
    URD_TRY(urd_desk_open(o->trace_directory, o->engines, &h->desk));
    struct MHD_Daemon *daemon = start(h, fd);
    if (!daemon)
        URD_FAIL("starting the HTTP server on port %d", h->port);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", h->port);
    if (o->listening)
        o->listening(o->data, url);
    wait_for_signal(h);
    urd_stream_stop_all();
    mhd.stop_daemon(daemon);
    return NULL;
}

urd_err *urd_server_run(const struct urd_server_options *options)
{
    int fd = -1, port = 0;
    URD_TRY(listen_on(options->port, &fd, &port));
    stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_fd < 0) {
        close(fd);
        URD_FAIL_ERRNO("eventfd");
    }
    /* The second signal ends the process at once: an engine may be deep in a question. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    struct sigaction old_int, old_term;
    sigaction(SIGINT, &action, &old_int);
    sigaction(SIGTERM, &action, &old_term);
    struct urd_http h;
    urd_http_init(&h, port);
    urd_err *err = serve(options, &h, fd);
    if (err)
        close(fd); /* MHD_stop_daemon closed it otherwise */
    urd_http_deinit(&h);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
    close(stop_fd);
    stop_fd = -1;
    return err;
}
