/* Which calls the region's code may make, and what they write: the rows of syscalls.def with the flag f, in a form that it can read. */
#include "base/log.h"
#include "record/fast.h"
#include "record/runtime/runtime.h"
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

static enum runtime_kind kind_of(int number, unsigned *ret_arg)
{
    *ret_arg = 0;
    switch (number) {
    case SYS_read:
    case SYS_pread64:
    case SYS_getdents64:
        return RUNTIME_READS;
    case SYS_write:
    case SYS_pwrite64:
        return RUNTIME_WRITES;
    case SYS_readv:
        return RUNTIME_READS_PIECES;
    case SYS_writev:
        return RUNTIME_WRITES_PIECES;
    case SYS_sendmsg:
        return RUNTIME_SENDS;
    case SYS_recvmsg:
        return RUNTIME_RECEIVES_PIECES;
    case SYS_open:
        *ret_arg = 2;
        return RUNTIME_OPENS;
    case SYS_openat:
        *ret_arg = 3;
        return RUNTIME_OPENS;
    case SYS_close:
        return RUNTIME_CLOSES;
    case SYS_fcntl:
        return RUNTIME_FCNTL;
    case SYS_poll:
        *ret_arg = 3;
        return RUNTIME_WAITS;
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
        *ret_arg = 4;
        return RUNTIME_WAITS;
    case SYS_recvfrom:
        return RUNTIME_RECEIVES;
    case SYS_sendto:
        return RUNTIME_WRITES;
    case SYS_futex:
        return RUNTIME_WAKES;
    case SYS_mmap:
        return RUNTIME_MAPS;
    case SYS_munmap:
        return RUNTIME_UNMAPS;
    case SYS_brk:
    case SYS_set_tid_address:
        return RUNTIME_TOLD;
    case SYS_ioctl:
        return RUNTIME_TERMINAL;
    case SYS_mprotect:
        return RUNTIME_PROTECTS;
    case SYS_madvise:
        return RUNTIME_ADVISES;
    case SYS_arch_prctl:
        return RUNTIME_SETS_BASE;
    case SYS_getppid:
        *ret_arg = RUNTIME_PARENT;
        return RUNTIME_IDENTITY;
    case SYS_getpid:
        *ret_arg = RUNTIME_PROCESS;
        return RUNTIME_IDENTITY;
    case SYS_gettid:
        *ret_arg = RUNTIME_THREAD;
        return RUNTIME_IDENTITY;
    case SYS_getuid:
        *ret_arg = RUNTIME_USER;
        return RUNTIME_IDENTITY;
    case SYS_geteuid:
        *ret_arg = RUNTIME_EFFECTIVE_USER;
        return RUNTIME_IDENTITY;
    case SYS_getgid:
        *ret_arg = RUNTIME_GROUP;
        return RUNTIME_IDENTITY;
    case SYS_getegid:
        *ret_arg = RUNTIME_EFFECTIVE_GROUP;
        return RUNTIME_IDENTITY;
    }
    return RUNTIME_PLAIN;
}

/** `*N` behind a SIZE. */
static uint16_t read_factor(const char **at)
{
    if (**at != '*')
        return 1;
    ++*at;
    return (uint16_t)strtoul(*at, (char **)at, 10);
}

/** One of the outputs that the region's code can copy: N, aM[*N], r[*N]<aM[*N]. */
static bool read_output(const char **at, struct runtime_output *ret)
{
    struct runtime_output o = {.always = **at == '!'};
    *at += o.always;
    o.arg = (uint8_t)(*(*at)++ - '0');
    if (*(*at)++ != ':')
        return false;
    o.result = **at == 'r';
    if (**at == 'r') {
        ++*at;
        o.factor = read_factor(at);
        if (*(*at)++ != '<')
            return false;
    }
    if (**at == 'a') {
        o.of = (uint8_t)((*at)[1] - '0');
        *at += 2;
        uint16_t factor = read_factor(at);
        if (o.result && o.factor != factor)
            return false;
        o.factor = factor;
    } else if (!o.result && **at >= '0' && **at <= '9') {
        o.factor = (uint16_t)strtoul(*at, (char **)at, 10);
    } else {
        return false;
    }
    *ret = o;
    return **at == 0 || **at == ' ';
}

static bool read_call(const struct urd_syscall_entry *s, struct runtime_call *ret)
{
    unsigned flags_arg;
    struct runtime_call c = {.kind = (uint8_t)kind_of(s->number, &flags_arg)};
    c.flags_arg = (uint8_t)flags_arg;
    const char *at = s->outputs;
    if (c.kind == RUNTIME_RECEIVES) /* no address is wanted: the first output is all */
        at = "2:r<a3";
    if (c.kind == RUNTIME_READS_PIECES || c.kind == RUNTIME_RECEIVES_PIECES)
        at = ""; /* runtime.c knows */
    if (c.kind == RUNTIME_TERMINAL)
        at = "3:36"; /* struct termios of the kernel, not libc's */
    while (*at) {
        if (c.n_outputs == RUNTIME_OUTPUTS || !read_output(&at, &c.outputs[c.n_outputs++]))
            return false;
        at += *at == ' ';
    }
    *ret = c;
    return true;
}

void fast_init(struct recorder *r)
{
    struct runtime_data *d = aligned_alloc(_Alignof(struct runtime_data), sizeof *d);
    urd_check(d, "there is memory");
    memset(d, 0, offsetof(struct runtime_data, head)); /* what images begin with */
    unsigned n = RUNTIME_CALL_FIRST;
    d->calls[RUNTIME_CALL_REFUSED] =
        (struct runtime_call){.kind = RUNTIME_ANSWERS, .answer = -ENOSYS};
    d->calls[RUNTIME_CALL_WINDOW] =
        (struct runtime_call){.kind = RUNTIME_TERMINAL,
                              .n_outputs = 1,
                              .outputs = {{.arg = 3, .factor = sizeof(struct winsize)}}};
    for (int i = 0; i < RUNTIME_NUMBERS; i++) {
        const struct urd_syscall_entry *s = urd_record_syscall(i);
        if (s && s->why && s->flags[0] == 'e')
            d->index[i] = RUNTIME_CALL_REFUSED;
        if (!s || s->why || !urd_syscall_has_flag(s, 'f'))
            continue;
        urd_check(n < RUNTIME_CALLS && read_call(s, &d->calls[n]), "INV-F1 the region can do %s",
                  s->name);
        d->index[i] = (uint8_t)n++;
    }
    d->enabled = 1;
    d->state.stack_end = RUNTIME_DATA + sizeof d->state;
    d->fsgsbase = urd_runtime_has_fsgsbase();
    r->fast_data = d;
}

void fast_know_cpuid(struct recorder *r, const struct urd_trace_info *info)
{
    r->fast_data->n_cpuid = urd_trace_info_table(info, r->fast_data->cpuid);
}
