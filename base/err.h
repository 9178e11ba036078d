/**
 * Errors with a trail.
 *
 * PURPOSE  One error type for the whole project: what was being done, and each hop on the way up.
 * NOT      Printing or exiting: only the command line does that.
 * OWNS     An error belongs to whoever holds it; urd_err_free() ends it. NULL is success.
 */
#ifndef URD_BASE_ERR_H
#define URD_BASE_ERR_H
#include <stdint.h>
#include <stdbool.h>
#include <stddef.h>

/** What went wrong, as the exit status of the command line tells it. */
enum urd_err_kind {
    URD_ERR_FAILED = 3,   /* urd, the machine or the trace failed */
    URD_ERR_QUESTION = 2, /* the question is wrong: the user can mend it */
    URD_ERR_NOTHING = 1,  /* a right question with no answer */
};

#define URD_ERR_HOPS 12

struct urd_err {
    enum urd_err_kind kind;
    int sys_errno;  /* errno at the place of failure, 0 when there was none */
    char *message;  /* what was being done and what went wrong */
    char *hint;     /* what to do about it, or NULL */
    int64_t offset; /* of the wrong part within the question, -1 when unknown */
    char *suggest;  /* nearest right spelling, or NULL */
    int n_hops;
    struct {
        const char *function, *file;
        int line;
    } hops[URD_ERR_HOPS];
};
typedef struct urd_err urd_err;

#define URD_MUST_USE __attribute__((warn_unused_result))

urd_err *urd_err_make(enum urd_err_kind kind, int sys_errno, const char *function, const char *file,
                      int line, const char *format, ...) __attribute__((format(printf, 6, 7)));
urd_err *urd_err_hop(urd_err *err, const char *function, const char *file, int line);
/** Attach advice; takes a printf format; replaces an earlier hint. Returns err. */
urd_err *urd_err_hint(urd_err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Mark where in the question the error lies. suggest may be NULL. Returns err. */
urd_err *urd_err_at(urd_err *err, int64_t offset, const char *suggest);
void urd_err_free(urd_err *err);
/** Message, hint and trail as one malloc'ed text. */
char *urd_err_text(const urd_err *err, bool with_trail);

/** Fail with a message; errno is kept where URD_FAIL_ERRNO is used. */
#define URD_FAIL(...)                                                                              \
    return urd_err_make(URD_ERR_FAILED, 0, __func__, __FILE__, __LINE__, __VA_ARGS__)
#define URD_FAIL_ERRNO(...)                                                                        \
    return urd_err_make(URD_ERR_FAILED, errno, __func__, __FILE__, __LINE__, __VA_ARGS__)
#define URD_WRONG(...)                                                                             \
    return urd_err_make(URD_ERR_QUESTION, 0, __func__, __FILE__, __LINE__, __VA_ARGS__)
#define URD_NOTHING(...)                                                                           \
    return urd_err_make(URD_ERR_NOTHING, 0, __func__, __FILE__, __LINE__, __VA_ARGS__)
#define URD_ERROR(kind, ...) urd_err_make(kind, 0, __func__, __FILE__, __LINE__, __VA_ARGS__)

#define URD_TRY(call)                                                                              \
    do {                                                                                           \
        urd_err *urd_try_err = (call);                                                             \
        if (urd_try_err)                                                                           \
            return urd_err_hop(urd_try_err, __func__, __FILE__, __LINE__);                         \
    } while (0)

/** An invariant that stays on in release builds. Prints and aborts: a wrong answer is worse. */
#define urd_check(cond, ...)                                                                       \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0))                                                          \
            urd_check_failed(#cond, __func__, __FILE__, __LINE__, __VA_ARGS__);                    \
    } while (0)
void urd_check_failed(const char *cond, const char *function, const char *file, int line,
                      const char *format, ...) __attribute__((noreturn, format(printf, 5, 6)));
/** Called by a failing check to print the moment, registers and last events; may be NULL. */
extern __thread void (*urd_check_context)(void *), *urd_check_context_data;

#define URD_CLEANUP(fn) __attribute__((cleanup(fn)))
void urd_cleanup_free(void *pp);
void urd_cleanup_close(int *fd);
#define URD_AUTO_FREE  URD_CLEANUP(urd_cleanup_free)
#define URD_AUTO_CLOSE URD_CLEANUP(urd_cleanup_close)

#endif
