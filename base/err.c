#include "base/err.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__thread void (*urd_check_context)(void *), *urd_check_context_data;

urd_err *urd_err_make(enum urd_err_kind kind, int sys_errno, const char *function, const char *file,
                      int line, const char *format, ...)
{
    urd_err *err = calloc(1, sizeof *err);
    if (!err)
        abort();
    err->kind = kind;
    err->sys_errno = sys_errno;
    err->offset = -1;
    va_list ap;
    va_start(ap, format);
    char *text = NULL;
    if (vasprintf(&text, format, ap) < 0)
        abort();
    va_end(ap);
    if (sys_errno) {
        if (asprintf(&err->message, "%s: %s", text, strerror(sys_errno)) < 0)
            abort();
        free(text);
    } else {
        err->message = text;
    }
    return urd_err_hop(err, function, file, line);
}

urd_err *urd_err_hop(urd_err *err, const char *function, const char *file, int line)
{
    if (err->n_hops < URD_ERR_HOPS) {
        err->hops[err->n_hops].function = function;
        err->hops[err->n_hops].file = file;
        err->hops[err->n_hops++].line = line;
    }
    return err;
}

urd_err *urd_err_hint(urd_err *err, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    free(err->hint);
    if (vasprintf(&err->hint, format, ap) < 0)
        abort();
    va_end(ap);
    return err;
}

urd_err *urd_err_at(urd_err *err, int64_t offset, const char *suggest)
{
    err->offset = offset;
    if (suggest) {
        free(err->suggest);
        err->suggest = strdup(suggest);
    }
    return err;
}

void urd_err_free(urd_err *err)
{
    if (!err)
        return;
    free(err->message);
    free(err->hint);
    free(err->suggest);
    free(err);
}

char *urd_err_text(const urd_err *err, bool with_trail)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    fprintf(f, "%s", err->message);
    if (err->hint)
        fprintf(f, "\n  %s", err->hint);
    if (with_trail)
        for (int i = 0; i < err->n_hops; i++)
            fprintf(f, "\n    in %s (%s:%d)", err->hops[i].function, err->hops[i].file,
                    err->hops[i].line);
    fclose(f);
    return text;
}

void urd_check_failed(const char *cond, const char *function, const char *file, int line,
                      const char *format, ...)
{
    fprintf(stderr, "urd: internal check failed: ");
    va_list ap;
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, "\n  %s\n  in %s (%s:%d)\n", cond, function, file, line);
    if (urd_check_context)
        urd_check_context(urd_check_context_data);
    fflush(stderr);
    abort();
}

void urd_cleanup_free(void *pp)
{
    free(*(void **)pp);
}

void urd_cleanup_close(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
    }
}
