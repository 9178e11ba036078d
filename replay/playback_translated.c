/* What translated code runs at a system call (urd_translate_set_calls). It is linked into the tool, copied into code caches, and
 * refers to nothing outside of its section but the context and its data, which lie at fixed addresses.
 *
 * The exit is in the context already. A call that the ring has is played back, and translated code goes on behind it; any other
 * becomes the int3 that the tool knows.
 */
#include "replay/playback.h"

#define INSIDE __attribute__((section("urd_playback_calls")))

/* %gs is the context: its distance to PLAYBACK_CALLS */
#define AT_RSP    "%gs:0x200000"
#define AT_STACK  "%gs:0x200008"
#define AT_TARGET "%gs:0x200010"

_Static_assert(PLAYBACK_CALLS - URD_CONTEXT_BASE == 0x200000, "the addresses above");

__asm__(".pushsection urd_playback_calls, \"ax\", @progbits\n"
        ".globl playback_calls_begin\n.hidden playback_calls_begin\n"
        "playback_calls_begin:\n"
        URD_RUNTIME_ENTER(AT_RSP, AT_STACK)
        "    call playback_call\n"
        URD_RUNTIME_LEAVE(AT_RSP, AT_TARGET)
        "    jmp *" AT_TARGET "\n"
        "playback_calls_trap:\n"
        "    int3\n"
        ".popsection\n");

extern const uint8_t playback_calls_trap[];
uint64_t playback_call(struct urd_runtime_frame *f);

INSIDE uint64_t playback_call(struct urd_runtime_frame *f)
{
    struct playback *p = (struct playback *)PLAYBACK_CALLS;
    const struct urd_context *ctx = (const struct urd_context *)URD_CONTEXT_BASE;
    uint64_t done = p->head.done;
    if (!playback_take(p, ctx->exit_pc, f))
        return (uint64_t)playback_calls_trap;
    p->log_at[done] = ctx->log_pos;
    return ctx->exit_resume;
}

__asm__(".pushsection urd_playback_calls, \"ax\", @progbits\n"
        ".globl playback_calls_end\n.hidden playback_calls_end\n"
        "playback_calls_end:\n"
        ".popsection\n");
