#include "record/syscalls.h"
#include "base/tracee.h"
#include "record/syscall_numbers.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define MAX_NUMBER   600
#define MAX_OUTPUT   (1ull << 31)

static const struct urd_syscall_entry table[] = {
#define URD_CALL(name, flags, outputs) {SYS_##name, #name, flags, outputs, NULL},
#define URD_REFUSED(name, answer, why) {SYS_##name, #name, answer, "", why},
#include "record/syscalls.def"
#undef URD_CALL
#undef URD_REFUSED
};

static const struct urd_syscall_entry *by_number[MAX_NUMBER];

__attribute__((constructor)) static void sort_table(void)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        by_number[table[i].number] = &table[i];
}

const struct urd_syscall_entry *urd_record_syscall(int number)
{
    return number >= 0 && number < MAX_NUMBER ? by_number[number] : NULL;
}

uint64_t urd_syscall_arg(const struct user_regs_struct *r, unsigned n)
{
    switch (n) {
    case 1:
        return r->rdi;
    case 2:
        return r->rsi;
    case 3:
        return r->rdx;
    case 4:
        return r->r10;
    case 5:
        return r->r8;
    default:
        return r->r9;
    }
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t add_iovec(struct event_builder *b, int mem, uint64_t array, uint64_t count,
                          uint64_t left)
{
    uint64_t total = left;
    for (uint64_t i = 0; i < count && i < IOV_MAX && left; i++) {
        struct iovec iov;
        if (urd_tracee_read(mem, array + i * sizeof iov, &iov, sizeof iov) != sizeof iov)
            break;
        uint64_t n = min_u64(iov.iov_len, left);
        event_add_memory(b, mem, (uint64_t)(uintptr_t)iov.iov_base, n);
        left -= n;
    }
    return total - left;
}

/** What recvmsg writes: the lengths and flags of the header, and what the header points to. */
static void add_msghdr(struct event_builder *b, int mem, uint64_t address, uint64_t bytes)
{
    struct msghdr m;
    if (urd_tracee_read(mem, address, &m, sizeof m) != sizeof m)
        return;
    event_add_memory(b, mem, address + offsetof(struct msghdr, msg_namelen), sizeof m.msg_namelen);
    event_add_memory(b, mem, address + offsetof(struct msghdr, msg_controllen),
                     sizeof m.msg_controllen + sizeof m.msg_flags);
    event_add_memory(b, mem, (uint64_t)(uintptr_t)m.msg_name, min_u64(m.msg_namelen, 128));
    event_add_memory(b, mem, (uint64_t)(uintptr_t)m.msg_control,
                     min_u64(m.msg_controllen, 1 << 20));
    add_iovec(b, mem, (uint64_t)(uintptr_t)m.msg_iov, m.msg_iovlen, bytes);
}

static void add_mmsghdrs(struct event_builder *b, int mem, uint64_t address, int64_t count)
{
    for (int64_t i = 0; i < count && i < IOV_MAX; i++) {
        struct mmsghdr m;
        uint64_t where = address + (uint64_t)i * sizeof m;
        if (urd_tracee_read(mem, where, &m, sizeof m) != sizeof m)
            break;
        event_add_memory(b, mem, where + offsetof(struct mmsghdr, msg_len), sizeof m.msg_len);
        add_msghdr(b, mem, where, m.msg_len);
    }
}

static bool is_direct(pid_t tid, int fd)
{
    char path[64];
    unsigned flags = 0;
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", tid, fd);
    FILE *f = fopen(path, "re");
    bool known = f && fscanf(f, "pos: %*u flags: %o", &flags) == 1;
    if (f)
        fclose(f);
    return known && flags & O_DIRECT;
}

/** O_DIRECT reads whole blocks: behind the end of the file there are zeros. They are in the page of the last byte. */
static void add_block_rest(struct event_builder *b, int mem, const struct user_regs_struct *before,
                           uint64_t size)
{
    uint64_t end = before->rsi + size, page_end = (end + 4095) & ~4095ull;
    if (before->rsi % 512 || !(end % 512) || size >= before->rdx ||
        !is_direct(b->event.tid, (int)before->rdi))
        return;
    event_add_memory(b, mem, end, min_u64(page_end - end, before->rdx - size));
}

/** What a SIZE may refer to. */
struct call_values {
    int mem;
    const struct user_regs_struct *before;
    int64_t result;
    const uint32_t *lengths_before;
};

static uint64_t base_of(const char **at, const struct call_values *v)
{
    char kind = *(*at)++;
    unsigned n = (unsigned)(**at - '0');
    switch (kind) {
    case 'r':
        return v->result > 0 ? (uint64_t)v->result : 0;
    case 'a':
        ++*at;
        return urd_syscall_arg(v->before, n);
    case '*': {
        ++*at;
        uint32_t now = 0;
        urd_tracee_read(v->mem, urd_syscall_arg(v->before, n), &now, 4);
        return min_u64(now, v->lengths_before[n - 1]);
    }
    default:
        --*at;
        return strtoull(*at, (char **)at, 10);
    }
}

static uint64_t size_of(const char **at, const struct call_values *v)
{
    uint64_t size = base_of(at, v);
    for (;;) {
        char op = **at;
        if (op != '/' && op != '*' && op != '+' && op != '<')
            return size;
        ++*at;
        if (op == '<')
            return min_u64(size, size_of(at, v));
        uint64_t n = strtoull(*at, (char **)at, 10);
        if (op == '/')
            size = size / n + (size % n != 0);
        else if (op == '*')
            size *= n;
        else
            size += n;
    }
}

void urd_record_outputs(const struct urd_syscall_entry *s, struct event_builder *b, int mem,
                        const struct user_regs_struct *before, int64_t result,
                        const uint32_t lengths_before[6])
{
    bool failed = result < 0 && result >= -4095;
    if (result == -EFAULT) { /* some of it may be there; how much is not told */
        failed = false;
        result = FAULT_OUTPUT;
    }
    const struct call_values values = {mem, before, result, lengths_before};
    for (const char *at = s->outputs; *at;) {
        bool always = *at == '!';
        at += always;
        uint64_t address = urd_syscall_arg(before, (unsigned)(*at++ - '0'));
        unsigned count_arg = 0;
        if (*at == ',') {
            count_arg = (unsigned)(at[1] - '0');
            at += 2;
        }
        at++; /* ':' */
        if (!address || (failed && !always)) {
            at += strcspn(at, " ");
        } else if (*at == 'h') {
            add_msghdr(b, mem, address, (uint64_t)result);
            at++;
        } else if (*at == 'H') {
            add_mmsghdrs(b, mem, address, result);
            at++;
        } else if (count_arg) {
            add_iovec(b, mem, address, urd_syscall_arg(before, count_arg), (uint64_t)result);
            at++;
        } else {
            uint64_t size = min_u64(size_of(&at, &values), MAX_OUTPUT);
            event_add_memory(b, mem, address, size);
            if ((s->number == SYS_read || s->number == SYS_pread64) && result > 0)
                add_block_rest(b, mem, before, size);
        }
        at += *at == ' ';
    }
}
