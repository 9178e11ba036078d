/* The code of a replay's runtime region. It is linked into the tool, copied into replayed processes, and refers to nothing
 * outside of its section but the data behind it.
 *
 * The tool has put the calls to come into the ring. Is the caller at the next one, with the registers that the recording has? Then
 * its outputs are copied to where the kernel wrote them, and it goes on behind its call. In any other case it goes on at its own
 * `syscall`, where it stops, and the tool says what is wrong.
 */
#include "replay/fast_runtime.h"
#include <stdbool.h>
#include <stddef.h>

#define INSIDE __attribute__((section("urd_replay_runtime")))

__asm__(".pushsection urd_replay_runtime, \"ax\", @progbits\n"
        ".globl fast_begin, fast_leave\n"
        ".hidden fast_begin, fast_leave\n"
        URD_RUNTIME_ENTRY("fast_begin", "fast_decide", "fast_leave")
        ".popsection\n");

uint64_t fast_decide(struct urd_runtime_frame *f);

static inline struct fast_data *data(void)
{
    return (struct fast_data *)URD_RUNTIME_DATA;
}

static inline uint64_t fs_base(void)
{
    uint64_t base;
    __asm__("rdfsbase %0" : "=r"(base));
    return base;
}

/** rcx is the site, rax the number; r11 belongs to the call. */
INSIDE static bool is_at(const struct fast_record *r, const struct urd_runtime_frame *f)
{
    const struct urd_runtime_frame *x = &r->regs;
    uint64_t differ = (x->r15 ^ f->r15) | (x->r14 ^ f->r14) | (x->r13 ^ f->r13) |
                      (x->r12 ^ f->r12) | (x->rbp ^ f->rbp) | (x->rbx ^ f->rbx) |
                      (x->r10 ^ f->r10) | (x->r9 ^ f->r9) | (x->r8 ^ f->r8) | (x->rax ^ f->rax) |
                      (x->rcx ^ f->rcx) | (x->rdx ^ f->rdx) | (x->rsi ^ f->rsi) |
                      (x->rdi ^ f->rdi) | ((x->flags ^ f->flags) & data()->flags_checked) |
                      (r->rsp ^ data()->state.rsp);
    return !differ && (!data()->fsgsbase || fs_base() == r->fs_base);
}

INSIDE static void apply(const struct fast_record *r)
{
    const uint8_t *at = (const uint8_t *)(r + 1);
    for (uint32_t i = 0; i < r->n_items; i++) {
        const struct fast_item *item = (const struct fast_item *)at;
        urd_runtime_copy((void *)item->address, item + 1, item->size);
        at += sizeof *item + ((item->size + 7) & ~7ull);
    }
}

/** The address where the caller goes on: at its own call, with what it had, or behind it. */
INSIDE uint64_t fast_decide(struct urd_runtime_frame *f)
{
    struct fast_data *d = data();
    uint64_t site = f->rcx;
    const struct fast_record *r = (const struct fast_record *)(d->ring + d->at);
    if (d->at == d->end || !is_at(r, f)) {
        f->rcx = d->state.rcx;
        return site;
    }
    apply(r);
    f->rax = (uint64_t)r->result;
    f->rcx = site + 2;
    f->r11 = f->flags;
    d->at += r->size;
    d->done++;
    return site + 2;
}

__asm__(".pushsection urd_replay_runtime, \"ax\", @progbits\n"
        ".globl fast_end\n.hidden fast_end\n"
        "fast_end:\n"
        ".popsection\n");
