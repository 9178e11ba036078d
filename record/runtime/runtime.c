/* The code of the runtime region. It is linked into the recorder, copied into each process, and refers to nothing outside
 * of its section but the data behind it.
 *
 * A patched call site jumps to its trampoline (record/patch.c), which loads rcx with the site's address, a register that the
 * call would overwrite anyway, and comes here. The caller's stack is not touched: its red zone is in use, and a replay has
 * nothing there. Registers go into `frame`, and the call is decided on:
 *
 *   traced    registers are put back, and the caller goes on at the site's own system call instruction, which is still there
 *   untraced  the call is made here, a record with the kernel's outputs is appended to the ring, and the caller goes on
 *             behind the site with what the call would have left in its registers
 *
 * INVARIANT  The call itself is the last system call that is made here, or one that has done nothing when it is not. Up to it, whoever is stopped here can be sent to the
 * traced call instead, with the registers of `frame`; the recorder does that when a signal or a switch comes (fast.c).
 * INVARIANT  A record is in the ring, complete, before `head.used` moves, and that moves only when the call was made.
 */
#include "record/runtime/runtime.h"
#include <asm/prctl.h>
#include <asm/termbits.h>
#include <asm/unistd.h>
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#define INSIDE __attribute__((section("urd_runtime")))

__asm__(
    ".pushsection urd_runtime, \"ax\", @progbits\n"
    ".globl runtime_begin, runtime_syscall, runtime_leave\n"
    ".hidden runtime_begin, runtime_syscall, runtime_leave\n"
    "runtime_begin:\n"
    URD_RUNTIME_ENTER("runtime_begin+0x2000(%rip)", "runtime_begin+0x2008(%rip)")
    "    call runtime_decide\n"
    URD_RUNTIME_LEAVE("runtime_begin+0x2000(%rip)", "runtime_begin+0x2010(%rip)")
    "runtime_leave:\n"
    "    jmp *runtime_begin+0x2010(%rip)\n"
    /* number, six arguments as a function has them: the kernel wants the number in rax, the fourth in r10 */
    "runtime_make:\n"
    "    mov %edi, %eax\n"
    "    mov %rsi, %rdi\n mov %rdx, %rsi\n mov %rcx, %rdx\n mov %r8, %r10\n mov %r9, %r8\n"
    "    mov 8(%rsp), %r9\n"
    "runtime_syscall:\n"
    "    syscall\n"
    "    ret\n"
    ".popsection\n");

int64_t runtime_make(int number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                     uint64_t f);
uint64_t runtime_decide(struct urd_runtime_frame *f);

static inline struct runtime_data *data(void)
{
    return (struct runtime_data *)RUNTIME_DATA;
}

static inline uint64_t argument(const struct urd_runtime_frame *f, unsigned n)
{
    return n == 1   ? f->rdi
           : n == 2 ? f->rsi
           : n == 3 ? f->rdx
           : n == 4 ? f->r10
           : n == 5 ? f->r8
                    : f->r9;
}

static inline uint64_t fd_class(uint64_t fd)
{
    return (uint32_t)fd < RUNTIME_FDS ? data()->fds[(uint32_t)fd] : 0;
}

static inline void set_fd_class(uint64_t fd, uint8_t class)
{
    if ((uint32_t)fd < RUNTIME_FDS)
        data()->fds[(uint32_t)fd] = class;
}

INSIDE static int64_t identity(int number, unsigned which)
{
    struct runtime_data *d = data();
    if (!(d->head.known >> which & 1)) {
        d->identities[which] = (uint64_t)runtime_make(number, 0, 0, 0, 0, 0, 0);
        d->head.known |= 1ull << which;
    }
    return (int64_t)d->identities[which];
}

/** The caller's memory, which need not be there: it must not fault here. */
INSIDE static bool peek(void *to, uint64_t from, uint64_t size)
{
    struct iovec here = {to, size}, there = {(void *)from, size};
    return runtime_make(__NR_process_vm_readv,
                        (uint64_t)identity(__NR_getpid, RUNTIME_PROCESS), (uint64_t)&here, 1,
                        (uint64_t)&there, 1, 0) == (int64_t)size;
}

/** Would a call on this descriptor return at once? Other processes may change that meanwhile: then the recorder's timer ends it. */
INSIDE static bool is_ready(uint64_t fd, short events)
{
    if (fd_class(fd) & RUNTIME_FD_FILE || data()->alone)
        return true;
    struct pollfd p = {.fd = (int)fd, .events = events};
    return runtime_make(__NR_poll, (uint64_t)&p, 1, 0, 0, 0, 0) == 1;
}

INSIDE static void look_at_file(uint64_t fd)
{
    struct stat st;
    if ((uint32_t)fd >= RUNTIME_FDS || data()->alone ||
        fd_class(fd) & (RUNTIME_FD_FILE | RUNTIME_FD_OTHER) ||
        runtime_make(__NR_fstat, fd, (uint64_t)&st, 0, 0, 0, 0) != 0)
        return;
    bool file = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
    set_fd_class(fd, (uint8_t)(fd_class(fd) | (file ? RUNTIME_FD_FILE : RUNTIME_FD_OTHER)));
}

/** The most that an output may be. */
static inline uint64_t output_bound(const struct urd_runtime_frame *f, const struct runtime_output *o)
{
    if (!argument(f, o->arg))
        return 0;
    uint64_t n = o->of ? argument(f, o->of) : 1;
    return n > RUNTIME_OUTPUT_BYTES ? n : n * o->factor;
}

INSIDE static bool fits(const struct urd_runtime_frame *f, const struct runtime_call *c, uint64_t more)
{
    uint64_t bytes = more;
    if (more > RUNTIME_OUTPUT_BYTES + RUNTIME_PIECES * (sizeof(struct runtime_item) + 8))
        return false;
    for (unsigned i = 0; i < c->n_outputs; i++) {
        uint64_t n = output_bound(f, &c->outputs[i]);
        if (n > RUNTIME_OUTPUT_BYTES)
            return false;
        bytes += n + sizeof(struct runtime_item) + 8;
    }
    return bytes + sizeof(struct runtime_record) + data()->head.used <= RUNTIME_RING_BYTES;
}

/** What is found out about a call before it is made. */
struct found {
    uint64_t output; /* 1, 2: what it writes is the recording's output there */
    uint64_t room;   /* in the ring, for that and for pieces: bytes */
    uint16_t file;   /* that it maps */
    uint16_t n_pieces;
    struct iovec pieces[RUNTIME_PIECES];
};

/** A descriptor that so much is written to: what of that belongs into the ring, or that the call must be traced. */
INSIDE static bool may_write(const struct urd_runtime_frame *f, uint64_t bytes, struct found *ret)
{
    uint64_t class = fd_class(f->rdi);
    ret->output = class & (RUNTIME_FD_STDOUT | RUNTIME_FD_STDERR);
    if (ret->output)
        ret->room += bytes + (ret->n_pieces + 1u) * (sizeof(struct runtime_item) + 8);
    return class & RUNTIME_FD_WRITE &&
           (bytes <= RUNTIME_PIPE_BYTES || class & RUNTIME_FD_FILE || data()->alone) &&
           is_ready(f->rdi, POLLOUT);
}

/** The array of so many pieces; how much they are together. False: too much, or it is not there. */
INSIDE static bool gather(uint64_t array, uint64_t n, struct found *ret, uint64_t *ret_bytes)
{
    *ret_bytes = 0;
    if (n > RUNTIME_PIECES || (n && !peek(ret->pieces, array, n * sizeof *ret->pieces)))
        return false;
    ret->n_pieces = (uint16_t)n;
    for (uint64_t i = 0; i < n; i++) {
        if (ret->pieces[i].iov_len > RUNTIME_OUTPUT_BYTES)
            return false;
        *ret_bytes += ret->pieces[i].iov_len;
    }
    return *ret_bytes <= RUNTIME_OUTPUT_BYTES;
}

INSIDE static bool may_read_pieces(const struct urd_runtime_frame *f, struct found *ret)
{
    if (!gather(f->rsi, f->rdx, ret, &ret->room))
        return false;
    ret->room += ret->n_pieces * (sizeof(struct runtime_item) + 8);
    look_at_file(f->rdi);
    return is_ready(f->rdi, POLLIN);
}

INSIDE static bool may_write_pieces(const struct urd_runtime_frame *f, struct found *ret)
{
    uint64_t bytes;
    return gather(f->rsi, f->rdx, ret, &bytes) && may_write(f, bytes, ret);
}

INSIDE static bool may_send(const struct urd_runtime_frame *f, struct found *ret)
{
    struct msghdr m;
    uint64_t bytes;
    return peek(&m, f->rsi, sizeof m) &&
           gather((uint64_t)m.msg_iov, m.msg_iovlen, ret, &bytes) && may_write(f, bytes, ret);
}

/** A message without a sender's name or control data, and not one that is waited for as a whole. */
INSIDE static bool may_receive_pieces(const struct urd_runtime_frame *f, struct found *ret)
{
    struct msghdr m;
    if (f->rdx & MSG_WAITALL || !peek(&m, f->rsi, sizeof m) || m.msg_name || m.msg_controllen ||
        !gather((uint64_t)m.msg_iov, m.msg_iovlen, ret, &ret->room))
        return false;
    ret->room += (ret->n_pieces + 2u) * (sizeof(struct runtime_item) + 8) + sizeof m;
    return f->rdx & MSG_DONTWAIT || is_ready(f->rdi, POLLIN);
}

/** Memory from argument 1 on, argument 2 bytes: may something be there that the recorder has put there? */
static inline bool is_recorders(const struct urd_runtime_frame *f)
{
    uint64_t start = f->rdi, end = f->rdi + f->rsi;
    bool is = end < start || (start < RUNTIME_CODE + RUNTIME_BYTES && end > RUNTIME_CODE);
    for (unsigned i = 0; i < RUNTIME_RANGES; i++)
        is |= start < data()->patched[i].end && end > data()->patched[i].start;
    return is;
}

/** The index + 1 of a file that the recorder need not look at, as it is in the trace already; 0: none. */
INSIDE static uint16_t known_file(uint64_t fd)
{
    struct stat st;
    if (runtime_make(__NR_fstat, fd, (uint64_t)&st, 0, 0, 0, 0) != 0)
        return 0;
    uint64_t modified = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
    uint64_t changed = (uint64_t)st.st_ctim.tv_sec * 1000000000 + (uint64_t)st.st_ctim.tv_nsec;
    for (uint16_t i = 0; i < data()->n_files; i++) {
        const struct runtime_file *k = &data()->files[i];
        if (k->ino == st.st_ino && k->dev == st.st_dev && k->size == (uint64_t)st.st_size &&
            k->modified == modified && k->changed == changed)
            return (uint16_t)(i + 1);
    }
    return 0;
}

INSIDE static bool may_map(const struct urd_runtime_frame *f, struct found *ret)
{
    if ((f->r10 & MAP_TYPE) != MAP_PRIVATE || f->r10 & (MAP_HUGETLB | MAP_GROWSDOWN) ||
        (f->r10 & MAP_FIXED && is_recorders(f)))
        return false;
    if (f->r10 & MAP_ANONYMOUS)
        return true;
    ret->file = f->rdx & PROT_EXEC ? 0 : known_file(f->r8);
    return ret->file;
}

INSIDE static bool may_make(const struct urd_runtime_frame *f, const struct runtime_call *c,
                            struct found *ret)
{
    ret->output = ret->room = ret->file = ret->n_pieces = 0;
    switch (c->kind) {
    case RUNTIME_WAITS: /* a mask that holds for the wait only is the recorder's matter */
        return f->rax != __NR_epoll_pwait || !f->r8;
    case RUNTIME_PLAIN:
    case RUNTIME_ANSWERS:
    case RUNTIME_IDENTITY:
    case RUNTIME_TOLD:
        return true;
    case RUNTIME_READS:
        look_at_file(f->rdi);
        return is_ready(f->rdi, POLLIN);
    case RUNTIME_RECEIVES:
        return !f->r8 && (f->r10 & MSG_DONTWAIT || is_ready(f->rdi, POLLIN));
    case RUNTIME_WRITES:
        return may_write(f, f->rdx, ret);
    case RUNTIME_READS_PIECES:
        return may_read_pieces(f, ret);
    case RUNTIME_WRITES_PIECES:
        return may_write_pieces(f, ret);
    case RUNTIME_SENDS:
        return may_send(f, ret);
    case RUNTIME_RECEIVES_PIECES:
        return may_receive_pieces(f, ret);
    case RUNTIME_OPENS:
        return !(argument(f, c->flags_arg) & O_TRUNC);
    case RUNTIME_CLOSES:
        set_fd_class(f->rdi, 0);
        return true;
    case RUNTIME_FCNTL:
        switch ((uint32_t)f->rsi) {
        case F_DUPFD: /* a new descriptor, of which nothing is known, as of all that are not open */
        case F_DUPFD_CLOEXEC:
        case F_GETFD:
        case F_SETFD:
        case F_GETFL:
        case F_SETFL:
            return true;
        }
        return false;
    case RUNTIME_TERMINAL:
        return (uint32_t)f->rsi == TCGETS || (uint32_t)f->rsi == TIOCGWINSZ;
    case RUNTIME_SETS_BASE: /* records have the base that it was */
        return data()->fsgsbase && f->rdi == ARCH_SET_FS;
    case RUNTIME_MAPS:
        return may_map(f, ret);
    case RUNTIME_UNMAPS:
        return !is_recorders(f);
    case RUNTIME_PROTECTS:
        return !(f->rdx & (PROT_GROWSDOWN | PROT_GROWSUP)) &&
               (!is_recorders(f) || f->rdx == PROT_READ);
    case RUNTIME_ADVISES:
        return f->rdx == MADV_DONTNEED || f->rdx == MADV_WILLNEED || f->rdx == MADV_HUGEPAGE ||
               f->rdx == MADV_NOHUGEPAGE;
    case RUNTIME_WAKES:
        return ((uint32_t)f->rsi & FUTEX_CMD_MASK) == FUTEX_WAKE;
    }
    return false;
}

static inline uint8_t *add_item(struct runtime_record *r, uint8_t *at, uint64_t address,
                                uint64_t size, uint64_t output)
{
    struct runtime_item *item = (struct runtime_item *)at;
    *item = (struct runtime_item){address, (uint32_t)size, (uint32_t)output};
    urd_runtime_copy(item + 1, (const void *)address, size);
    r->n_items++;
    return at + sizeof *item + ((size + 7) & ~7ull);
}

/** A read of `made` bytes: O_DIRECT reads whole blocks, with zeros behind the end of the file, in the page of the last byte. */
INSIDE static uint64_t with_block_rest(const struct urd_runtime_frame *f, uint64_t address,
                                       uint64_t made, uint64_t size)
{
    if (address % 512 || !(made % 512))
        return made;
    int64_t flags = runtime_make(__NR_fcntl, f->rdi, F_GETFL, 0, 0, 0, 0);
    uint64_t page_end = ((address + made + 4095) & ~4095ull) - address;
    return flags < 0 || !(flags & O_DIRECT) ? made : page_end < size ? page_end : size;
}

INSIDE static uint8_t *add_outputs(struct runtime_record *r, uint8_t *at,
                                   const struct runtime_call *c)
{
    bool failed = r->result < 0 && r->result >= -4095;
    for (unsigned i = 0; i < c->n_outputs; i++) {
        const struct runtime_output *o = &c->outputs[i];
        uint64_t size = output_bound(&r->regs, o), made = (uint64_t)r->result * o->factor;
        if (!size || (failed && (!o->always || o->result)))
            continue;
        if (o->result && made < size)
            size = c->kind == RUNTIME_READS
                       ? with_block_rest(&r->regs, argument(&r->regs, o->arg), made, size)
                       : made;
        if (size)
            at = add_item(r, at, argument(&r->regs, o->arg), size, 0);
    }
    return at;
}

/** So many bytes are in the pieces, from the first one on. */
INSIDE static uint8_t *add_pieces(struct runtime_record *r, uint8_t *at, const struct found *found,
                                  uint64_t bytes)
{
    for (unsigned i = 0; i < found->n_pieces && bytes; i++) {
        uint64_t n = found->pieces[i].iov_len < bytes ? found->pieces[i].iov_len : bytes;
        if (n)
            at = add_item(r, at, (uint64_t)found->pieces[i].iov_base, n, found->output);
        bytes -= n;
    }
    return at;
}

/** What recvmsg writes into the header that it was given. */
INSIDE static uint8_t *add_header(struct runtime_record *r, uint8_t *at)
{
    uint64_t m = r->regs.rsi;
    at = add_item(r, at, m + offsetof(struct msghdr, msg_namelen), sizeof(socklen_t), 0);
    return add_item(r, at, m + offsetof(struct msghdr, msg_controllen), sizeof(size_t) + sizeof(int),
                    0);
}

static inline uint64_t segment_base(bool gs)
{
    uint64_t base = 0;
    if (data()->fsgsbase && gs)
        __asm__ volatile("rdgsbase %0" : "=r"(base));
    else if (data()->fsgsbase)
        __asm__ volatile("rdfsbase %0" : "=r"(base));
    return base;
}

INSIDE static void note(const struct urd_runtime_frame *f, const struct runtime_call *c,
                        const struct found *found, uint64_t fs_base, int64_t result)
{
    struct runtime_data *d = data();
    struct runtime_record *r = (struct runtime_record *)(d->ring + d->head.used);
    r->regs = *f;
    r->rsp = d->state.rsp;
    r->fs_base = fs_base;
    r->gs_base = segment_base(true);
    r->result = result;
    r->n_items = 0;
    r->site = URD_SITE_CALL;
    r->file = found->file;
    uint8_t *at = add_outputs(r, (uint8_t *)(r + 1), c);
    if (c->kind == RUNTIME_RECEIVES_PIECES && result >= 0)
        at = add_header(r, at);
    if (result > 0 && (found->output || c->kind == RUNTIME_READS_PIECES ||
                       c->kind == RUNTIME_RECEIVES_PIECES))
        at = found->n_pieces ? add_pieces(r, at, found, (uint64_t)result)
                             : add_item(r, at, f->rsi, (uint64_t)result, found->output);
    r->size = (uint32_t)(at - (uint8_t *)r);
    __asm__ volatile("" : : : "memory");
    d->head.used += r->size;
}

/** poll writes to its array even when it finds nothing, which the caller must not see before it is over: a copy is asked. */
INSIDE static bool finds_something(const struct urd_runtime_frame *f)
{
    uint8_t *copy = data()->ring + data()->head.used; /* where the outputs will have room */
    return peek(copy, f->rdi, f->rsi * sizeof(struct pollfd)) &&
           runtime_make(__NR_poll, (uint64_t)copy, f->rsi, 0, 0, 0, 0) != 0;
}

/** The call itself. False in *ret_done: it would wait, which nobody but the recorder can. */
INSIDE static int64_t make(const struct urd_runtime_frame *f, const struct runtime_call *c,
                           bool *ret_done)
{
    uint64_t third = f->rdx, fourth = f->r10;
    *ret_done = true;
    if (c->kind == RUNTIME_ANSWERS)
        return c->answer;
    if (c->kind == RUNTIME_IDENTITY)
        return identity((int)f->rax, c->flags_arg);
    data()->head.known &= ~(1ull << RUNTIME_PARENT);
    bool asks = c->kind == RUNTIME_WAITS && !data()->alone && (int)argument(f, c->flags_arg) != 0;
    if (asks && f->rax == __NR_poll && !finds_something(f)) {
        *ret_done = false;
        return 0;
    }
    if (asks && c->flags_arg == 3) /* a timeout: is there anything at once? */
        third = 0;
    else if (asks)
        fourth = 0;
    int64_t result = runtime_make((int)f->rax, f->rdi, f->rsi, third, fourth, f->r8, f->r9);
    *ret_done = !asks || result != 0;
    return result;
}

/** Make the call and note it. False: it has to be traced. */
INSIDE static bool try_call(struct urd_runtime_frame *f)
{
    struct runtime_data *d = data();
    struct found found;
    uint64_t index = f->rax < RUNTIME_NUMBERS ? d->index[f->rax] : 0;
    const struct runtime_call *c = &d->calls[index];
    if (c->kind == RUNTIME_TERMINAL && (uint32_t)f->rsi == TIOCGWINSZ)
        c = &d->calls[RUNTIME_CALL_WINDOW];
    if (!index || !d->enabled || !may_make(f, c, &found) || !fits(f, c, found.room))
        return false;
    bool done;
    uint64_t fs_base = segment_base(false);
    int64_t result = make(f, c, &done);
    /* after a fault: how much was written? Over a hole: what was dropped? The recorder looks when it is done once more */
    if (!done || (result == -EFAULT && (c->n_outputs || found.n_pieces)) ||
        (result == -ENOMEM && c->kind == RUNTIME_ADVISES))
        return false;
    note(f, c, &found, fs_base, result);
    f->rax = (uint64_t)result;
    return true;
}

/** RDTSC, which faults here, too: the kernel's clock tells. It has the same outcome as when it is trapped. */
INSIDE static bool try_tsc(struct urd_runtime_frame *f, enum urd_site kind)
{
    struct runtime_data *d = data();
    struct runtime_record *r = (struct runtime_record *)(d->ring + d->head.used);
    struct timespec now;
    uint64_t fs_base = segment_base(false);
    if (!d->enabled || sizeof *r + d->head.used > RUNTIME_RING_BYTES ||
        runtime_make(__NR_clock_gettime, CLOCK_MONOTONIC_RAW, (uint64_t)&now, 0, 0, 0, 0) != 0)
        return false;
    uint64_t value =
        runtime_tsc(&d->tsc, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
    *r = (struct runtime_record){.size = sizeof *r,
                                 .site = kind,
                                 .regs = *f,
                                 .rsp = d->state.rsp,
                                 .fs_base = fs_base,
                                 .gs_base = segment_base(true),
                                 .rcx = d->state.rcx,
                                 .result = (int64_t)value};
    f->rax = (uint32_t)value;
    f->rdx = value >> 32;
    f->rcx = kind == URD_SITE_RDTSCP ? d->tsc.aux : d->state.rcx;
    __asm__ volatile("" : : : "memory");
    d->head.used += sizeof *r;
    return true;
}

/** The address where the caller goes on: at its own call, with what it had, or behind it. */
INSIDE uint64_t runtime_decide(struct urd_runtime_frame *f)
{
    uint64_t site = f->rcx;
    enum urd_site kind = urd_site_kind((const uint8_t *)site);
    if (kind == URD_SITE_CPUID &&
        urd_runtime_answer_cpuid(data()->cpuid, data()->n_cpuid, data()->state.rcx, f))
        return site + urd_site_bytes(kind);
    if ((kind == URD_SITE_RDTSC || kind == URD_SITE_RDTSCP) && try_tsc(f, kind))
        return site + urd_site_bytes(kind);
    if (kind != URD_SITE_CALL) {
        f->rcx = data()->state.rcx;
        return site;
    }
    if (!try_call(f)) {
        f->rcx = data()->state.rcx;
        return site;
    }
    f->rcx = site + 2;
    f->r11 = f->flags;
    return site + 2;
}

__asm__(".pushsection urd_runtime, \"ax\", @progbits\n"
        ".globl runtime_end\n.hidden runtime_end\n"
        "runtime_end:\n"
        ".popsection\n");
