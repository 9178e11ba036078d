#include "record/syscalls.h"
#include "base/tracee.h"
#include <limits.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define MAX_NUMBER 600
#define MAX_OUTPUT (1ull << 31)

static const struct urd_syscall_entry table[] = {
#define URD_CALL(name, flags, outputs) {SYS_##name, #name, flags, outputs},
#include "record/syscalls.def"
#undef URD_CALL
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

static void add_msghdr(struct event_builder *b, int mem, uint64_t address, uint64_t bytes)
{
    struct msghdr m;
    if (urd_tracee_read(mem, address, &m, sizeof m) != sizeof m)
        return;
    event_add_memory(b, mem, address, sizeof m);
    event_add_memory(b, mem, (uint64_t)(uintptr_t)m.msg_name, min_u64(m.msg_namelen, 128));
    event_add_memory(b, mem, (uint64_t)(uintptr_t)m.msg_control, min_u64(m.msg_controllen, 65536));
    add_iovec(b, mem, (uint64_t)(uintptr_t)m.msg_iov, m.msg_iovlen, bytes);
}

static uint64_t size_of(const char *text, int mem, const struct user_regs_struct *before,
                        int64_t result, const uint32_t lengths_before[6])
{
    const char *times = strchr(text, '*');
    uint64_t factor = times && times != text ? strtoull(times + 1, NULL, 10) : 1;
    switch (*text) {
    case 'r':
        return result > 0 ? (uint64_t)result * factor : 0;
    case 'a':
        return urd_syscall_arg(before, (unsigned)(text[1] - '0')) * factor;
    case '*': {
        unsigned n = (unsigned)(text[1] - '0');
        uint32_t now = 0;
        urd_tracee_read(mem, urd_syscall_arg(before, n), &now, 4);
        return min_u64(now, lengths_before[n - 1]);
    }
    case 'z':
        return 4096;
    default:
        return strtoull(text, NULL, 10);
    }
}

void urd_record_outputs(const struct urd_syscall_entry *s, struct event_builder *b, int mem,
                        const struct user_regs_struct *before, int64_t result,
                        const uint32_t lengths_before[6])
{
    bool failed = result < 0 && result >= -4095;
    for (const char *at = s->outputs; *at;) {
        bool always = *at == '!';
        at += always;
        unsigned arg = (unsigned)(*at - '0'), count_arg = 0;
        at++;
        if (*at == ',') {
            count_arg = (unsigned)(at[1] - '0');
            at += 2;
        }
        at++; /* ':' */
        uint64_t address = urd_syscall_arg(before, arg);
        if (address && (!failed || always)) {
            if (*at == 'h') {
                add_msghdr(b, mem, address, (uint64_t)result);
            } else if (*at == 'H') {
                for (int64_t i = 0; i < result; i++) {
                    struct mmsghdr m;
                    uint64_t where = address + (uint64_t)i * sizeof m;
                    if (urd_tracee_read(mem, where, &m, sizeof m) != sizeof m)
                        break;
                    event_add_memory(b, mem, where, sizeof m);
                    add_msghdr(b, mem, where, m.msg_len);
                }
            } else if (count_arg) {
                add_iovec(b, mem, address, urd_syscall_arg(before, count_arg), (uint64_t)result);
            } else {
                event_add_memory(
                    b, mem, address,
                    min_u64(size_of(at, mem, before, result, lengths_before), MAX_OUTPUT));
            }
        }
        while (*at && *at != ' ')
            at++;
        while (*at == ' ')
            at++;
    }
}
