/* What translated code runs at a stop address (urd_translate_set_stop_code). Linked and copied as playback_translated.c is, whose
 * state it shares: a process is in one of them at a time.
 *
 * The exit is in the context already. Where it is known what to note there and there is room, a record is written and translated code
 * goes on; otherwise the exit becomes the int3 that the tool knows. A load may fault: the tool then restores the registers from the
 * state, and the process is at the exit as well.
 */
#include "replay/capture.h"
#include "replay/playback.h"

#define INSIDE __attribute__((section("urd_capture")))

#define AT_RSP    "%gs:0x200000"
#define AT_STACK  "%gs:0x200008"
#define AT_TARGET "%gs:0x200010"

_Static_assert(PLAYBACK_CALLS - URD_CONTEXT_BASE == 0x200000, "the addresses above");

__asm__(".pushsection urd_capture, \"ax\", @progbits\n"
        ".globl capture_begin\n.hidden capture_begin\n"
        "capture_begin:\n" URD_RUNTIME_ENTER(
            AT_RSP,
            AT_STACK) "    call capture_hit\n" URD_RUNTIME_LEAVE(AT_RSP,
                                                                 AT_TARGET) "    jmp *" AT_TARGET
                                                                            "\n"
                                                                            "capture_trap:\n"
                                                                            "    int3\n"
                                                                            ".popsection\n");

extern const uint8_t capture_trap[];
uint64_t capture_hit(const struct urd_runtime_frame *f);

__attribute__((always_inline)) static inline uint64_t term(const struct urd_captured *r,
                                                           struct urd_capture_term t)
{
    const uint8_t *at = (const uint8_t *)r + t.at;
    switch (t.bytes) {
    case 8:
        return *(const uint64_t *)at;
    case 4:
        return t.is_signed ? (uint64_t)(int64_t) * (const int32_t *)at : *(const uint32_t *)at;
    case 2:
        return t.is_signed ? (uint64_t)(int64_t) * (const int16_t *)at : *(const uint16_t *)at;
    case 1:
        return t.is_signed ? (uint64_t)(int64_t) * (const int8_t *)at : *at;
    default:
        return 0;
    }
}

/* Code here has no use of vector registers, so they are still the subject's. */
__attribute__((always_inline)) static inline void note_vectors(uint8_t (*v)[16])
{
#define NOTE(n) __asm__ volatile("movups %%xmm" #n ", %0" : "=m"(v[n]))
    NOTE(0);
    NOTE(1);
    NOTE(2);
    NOTE(3);
    NOTE(4);
    NOTE(5);
    NOTE(6);
    NOTE(7);
    NOTE(8);
    NOTE(9);
    NOTE(10);
    NOTE(11);
    NOTE(12);
    NOTE(13);
    NOTE(14);
    NOTE(15);
#undef NOTE
}

INSIDE uint64_t capture_hit(const struct urd_runtime_frame *f)
{
    struct urd_context *ctx = (struct urd_context *)URD_CONTEXT_BASE;
    const struct captures *all = (const struct captures *)CAPTURES_AT;
    const struct urd_capture *c = all->list, *end = all->list + all->n;
    while (c < end && c->pc != ctx->exit_pc)
        c++;
    if (c == end || ctx->log_pos + c->size > ctx->log_end)
        return (uint64_t)capture_trap;
    struct urd_captured *r = (struct urd_captured *)ctx->log_pos;
    r->size = c->size;
    r->pc = ctx->exit_pc;
    r->steps_left = ctx->steps_left;
    urd_runtime_copy(&r->regs, f, sizeof *f);
    r->rsp = ((const struct playback *)PLAYBACK_CALLS)->state.rsp;
    r->fs_base = 0;
    if (all->fsgsbase)
        __asm__ volatile("rdfsbase %0" : "=r"(r->fs_base));
    r->has_vectors = c->vectors;
    if (c->vectors)
        note_vectors(r->vectors);
    uint8_t *at = (uint8_t *)(r + 1);
    for (uint32_t i = 0; i < c->n_loads; i++) {
        const struct urd_capture_load *l = &c->loads[i];
        struct urd_captured_load *to = (struct urd_captured_load *)at;
        to->address = term(r, l->base) + term(r, l->index) * (uint64_t)l->scale + (uint64_t)l->disp;
        to->size = l->size;
        urd_runtime_copy(to + 1, (const void *)to->address, l->size);
        at += sizeof *to + ((l->size + 7) & ~7u);
    }
    ctx->log_pos += c->size;
    return ctx->exit_resume;
}

__asm__(".pushsection urd_capture, \"ax\", @progbits\n"
        ".globl capture_end\n.hidden capture_end\n"
        "capture_end:\n"
        ".popsection\n");
