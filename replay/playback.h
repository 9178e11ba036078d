/**
 * Playing calls back inside a replayed process.
 *
 * PURPOSE  The ring of calls to come that the tool writes and code in the process reads; what that code does with one.
 * NOT      Who fills it: fast.c for a native replay, run_translated.c for a translated one.
 * CONTEXT  The inline functions run in replayed processes, without libc and on a stack of their own. Natively code and data are the
 *          region at URD_RUNTIME_CODE, private memory, where the recording had one of its own, and patched call sites lead there
 *          (playback_native.c). Under translation the data is at PLAYBACK_CALLS, in a file that the tool maps, too, and the code at
 *          the end of the code cache (playback_translated.c).
 */
#ifndef URD_REPLAY_PLAYBACK_H
#define URD_REPLAY_PLAYBACK_H
#include "base/runtime_entry.h"
#include "translate/context.h"
#include <stdbool.h>
#include <stddef.h>

enum { PLAYBACK_RING_BYTES = 256 << 10, PLAYBACK_CALLS_MAX = 4096 };

/** A call to come, or an RDTSC; then n_items times struct playback_item and its bytes, each padded to 8. */
struct playback_record {
    uint32_t size; /* with its items, bytes */
    uint32_t n_items;
    uint64_t site; /* enum urd_site */
    struct urd_runtime_frame regs; /* that the caller must have; rcx is the address of its `syscall`; r11 is not looked at */
    uint64_t rsp, fs_base;
    int64_t result;          /* of an RDTSC: edx:eax */
    uint64_t rcx, rcx_after; /* of an RDTSC */
};

/** What the kernel wrote. */
struct playback_item {
    uint64_t address, size;
};

struct playback {
    struct urd_runtime_state state;
    uint64_t flags_checked; /* which flags must be equal */
    uint64_t fsgsbase;      /* the processor's RDFSBASE may be used */
    uint64_t n_cpuid;       /* natively: CPUID is no event */
    struct urd_runtime_cpuid cpuid[URD_RUNTIME_CPUIDS];
    uint64_t log_at[PLAYBACK_CALLS_MAX]; /* under translation: ctx->log_pos when each was played back */
    struct playback_head {
        uint64_t done;    /* calls that were played back */
        uint64_t at, end; /* the next one; where the ring ends: bytes */
    } head;
    uint8_t ring[PLAYBACK_RING_BYTES];
};

#define PLAYBACK_NATIVE_BYTES (URD_RUNTIME_CODE_BYTES + sizeof(struct playback))

/** Of a translated replay: behind the log and its guard. */
#define PLAYBACK_CALLS (URD_CONTEXT_BASE + 0x200000u)

/* As it lies in the tool's own image. native is mapped at URD_RUNTIME_CODE, calls at URD_CALLS_CODE. */
extern const uint8_t playback_native_begin[], playback_native_end[];
extern const uint8_t playback_native_leave[]; /* the last instruction */
extern const uint8_t playback_calls_begin[], playback_calls_end[];

/** Everything but the ring. */
static inline void playback_init(struct playback *p, uint64_t at, uint64_t flags_checked,
                                 bool fsgsbase)
{
    p->state.stack_end = at + sizeof p->state;
    p->flags_checked = flags_checked;
    p->fsgsbase = fsgsbase;
}

__attribute__((always_inline)) static inline bool
playback_is_at(const struct playback *p, const struct playback_record *r, uint64_t site,
               const struct urd_runtime_frame *f)
{
    const struct urd_runtime_frame *x = &r->regs;
    uint64_t fs_base = r->fs_base;
    uint64_t differ = (x->r15 ^ f->r15) | (x->r14 ^ f->r14) | (x->r13 ^ f->r13) |
                      (x->r12 ^ f->r12) | (x->rbp ^ f->rbp) | (x->rbx ^ f->rbx) |
                      (x->r10 ^ f->r10) | (x->r9 ^ f->r9) | (x->r8 ^ f->r8) | (x->rax ^ f->rax) |
                      (x->rdx ^ f->rdx) | (x->rsi ^ f->rsi) | (x->rdi ^ f->rdi) |
                      (x->rcx ^ site) | ((x->flags ^ f->flags) & p->flags_checked) |
                      (r->rsp ^ p->state.rsp);
    if (p->fsgsbase)
        __asm__ volatile("rdfsbase %0" : "=r"(fs_base));
    return !differ && fs_base == r->fs_base;
}

/** Natively only: under translation an RDTSC is the tool's. */
__attribute__((always_inline)) static inline bool
playback_take_tsc(struct playback *p, const struct playback_record *r, struct urd_runtime_frame *f)
{
    if (r->rcx != p->state.rcx || r->regs.r11 != f->r11)
        return false;
    f->rax = (uint32_t)r->result;
    f->rdx = (uint64_t)r->result >> 32;
    f->rcx = r->rcx_after;
    p->head.at += r->size;
    p->head.done++;
    return true;
}

/**
 * The caller, with registers f, is about to make the call at `site`. Is it the next one of the ring? Then what the kernel wrote is
 * written, and f is what the call leaves. Otherwise nothing is changed: the tool has to look.
 */
__attribute__((always_inline)) static inline bool playback_take(struct playback *p, uint64_t site,
                                                                struct urd_runtime_frame *f)
{
    const struct playback_record *r = (const struct playback_record *)(p->ring + p->head.at);
    if (p->head.at == p->head.end || !playback_is_at(p, r, site, f))
        return false;
    if (r->site != URD_SITE_CALL)
        return playback_take_tsc(p, r, f);
    const uint8_t *at = (const uint8_t *)(r + 1);
    for (uint32_t i = 0; i < r->n_items; i++) {
        const struct playback_item *item = (const struct playback_item *)at;
        urd_runtime_copy((void *)item->address, item + 1, item->size);
        at += sizeof *item + ((item->size + 7) & ~7ull);
    }
    f->rax = (uint64_t)r->result;
    f->rcx = site + 2;
    f->r11 = f->flags;
    p->head.at += r->size;
    p->head.done++;
    return true;
}
#endif
