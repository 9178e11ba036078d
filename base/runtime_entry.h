/**
 * How a patched call site enters code that makes its system call unseen.
 *
 * PURPOSE  What the recorder's runtime region and a replay's have in common: where they lie, what stands at patched sites, the caller's
 *          registers in memory, and the way in and out.
 * NOT      What is done there: record/runtime/runtime.c makes the call, replay/playback.h plays it back.
 * CONTEXT  Runs inside the subject, without libc and on a stack of its own.
 *
 * A trampoline, whose bytes are in the trace (struct urd_patch), stores rcx at URD_RUNTIME_RCX, loads rcx with the address of the
 * call's `syscall` and jumps to an address that the first 8 bytes of its pages hold: the entry.
 */
#ifndef URD_BASE_RUNTIME_ENTRY_H
#define URD_BASE_RUNTIME_ENTRY_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/user.h>

#define URD_RUNTIME_CODE       0x5e1000000000ull /* within URD_OWN_START .. URD_OWN_END: no checksum has it */
#define URD_RUNTIME_CODE_BYTES 0x2000ull
#define URD_RUNTIME_DATA       (URD_RUNTIME_CODE + URD_RUNTIME_CODE_BYTES)
#define URD_RUNTIME_RCX        (URD_RUNTIME_DATA + 24)

/** The caller's registers, as the entry pushes them. */
struct urd_runtime_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, flags;
};

/** What the data begins with. */
struct urd_runtime_state {
    uint64_t rsp;       /* the caller's */
    uint64_t stack_end; /* address of what is behind this structure */
    uint64_t target;    /* where the caller goes on */
    uint64_t rcx;       /* the caller's; in its register the trampoline brings the call's site */
    uint64_t stack[492];
    struct urd_runtime_frame frame; /* the end of the stack */
};

/** Registers as the caller has them before its own `syscall`, as if it had come there without the region. */
static inline void urd_runtime_restore(const struct urd_runtime_state *s, struct user_regs_struct *ret)
{
    const struct urd_runtime_frame *f = &s->frame;
    ret->r15 = f->r15, ret->r14 = f->r14, ret->r13 = f->r13, ret->r12 = f->r12;
    ret->rbp = f->rbp, ret->rbx = f->rbx, ret->r11 = f->r11, ret->r10 = f->r10;
    ret->r9 = f->r9, ret->r8 = f->r8, ret->rax = f->rax, ret->rcx = s->rcx;
    ret->rdx = f->rdx, ret->rsi = f->rsi, ret->rdi = f->rdi;
    ret->eflags = f->flags;
    ret->rsp = s->rsp;
    ret->rip = f->rcx;
    ret->orig_rax = (unsigned long long)-1; /* nothing is to be restarted */
}

/** What stands at a patched site. */
enum urd_site { URD_SITE_OTHER, URD_SITE_CALL, URD_SITE_RDTSC, URD_SITE_RDTSCP, URD_SITE_CPUID };

/** By the bytes there, up to three of them. */
static inline enum urd_site urd_site_kind(const uint8_t *code)
{
    if (code[0] != 0x0f)
        return URD_SITE_OTHER;
    return code[1] == 0x05                      ? URD_SITE_CALL
           : code[1] == 0x31                    ? URD_SITE_RDTSC
           : code[1] == 0xa2                    ? URD_SITE_CPUID
           : code[1] == 0x01 && code[2] == 0xf9 ? URD_SITE_RDTSCP
                                                : URD_SITE_OTHER;
}

static inline unsigned urd_site_bytes(enum urd_site kind)
{
    return kind == URD_SITE_RDTSCP ? 3 : 2;
}

/** What CPUID answers, as the trace's header has it: of leaf eax, subleaf ecx; ~0: of all. */
struct urd_runtime_cpuid {
    uint32_t leaf, subleaf, eax, ebx, ecx, edx;
};

enum { URD_RUNTIME_CPUIDS = 128 };

/** The caller, whose rcx is given, stands before a CPUID: f is what it leaves. False: the table does not have it, f is unchanged. */
__attribute__((always_inline)) static inline bool
urd_runtime_answer_cpuid(const struct urd_runtime_cpuid *table, uint64_t n, uint64_t rcx,
                         struct urd_runtime_frame *f)
{
    for (uint64_t i = 0; i < n; i++) {
        const struct urd_runtime_cpuid *c = &table[i];
        if (c->leaf != (uint32_t)f->rax || (c->subleaf != (uint32_t)rcx && c->subleaf != ~0u))
            continue;
        f->rax = c->eax;
        f->rbx = c->ebx;
        f->rcx = c->ecx;
        f->rdx = c->edx;
        return true;
    }
    return false;
}

/** For the tool: may code of a region use RDFSBASE on this machine? */
static inline bool urd_runtime_has_fsgsbase(void)
{
    enum { HWCAP2_FSGSBASE_BIT = 2 }; /* linux/Documentation/arch/x86/elf_hwcaps.rst */
    return getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT;
}

/** memcpy, for code of a region. */
__attribute__((always_inline)) static inline void urd_runtime_copy(void *to, const void *from,
                                                                   uint64_t n)
{
    for (; n >= 8 && n <= 256; n -= 8) { /* rep takes its time to begin */
        __builtin_memcpy(to, from, 8);
        to = (uint8_t *)to + 8;
        from = (const uint8_t *)from + 8;
    }
    if (n)
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

_Static_assert(sizeof(struct urd_runtime_state) == 0x1000, "the addresses that assembly has");

/**
 * The way in: the caller's registers are in the frame, rdi points to it. Operands of the state: its rsp and stack_end. A call of a
 * function may follow that gives the address where the caller goes on, and may change the frame.
 */
#define URD_RUNTIME_ENTER(at_rsp, at_stack_end)                                                    \
    "    mov %rsp, " at_rsp "\n"                                                                   \
    "    mov " at_stack_end ", %rsp\n"                                                             \
    "    pushfq\n"                                                                                 \
    "    push %rdi\n push %rsi\n push %rdx\n push %rcx\n push %rax\n"                              \
    "    push %r8\n push %r9\n push %r10\n push %r11\n"                                            \
    "    push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"                  \
    "    cld\n"                                                                                    \
    "    mov %rsp, %rdi\n"

/** The way out: rax is in the state's target, all registers are the frame's; a jump to the target follows. */
#define URD_RUNTIME_LEAVE(at_rsp, at_target)                                                       \
    "    mov %rax, " at_target "\n"                                                                \
    "    pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"                        \
    "    pop %r11\n pop %r10\n pop %r9\n pop %r8\n"                                                \
    "    pop %rax\n pop %rcx\n pop %rdx\n pop %rsi\n pop %rdi\n"                                   \
    "    popfq\n"                                                                                  \
    "    mov " at_rsp ", %rsp\n"

#endif
