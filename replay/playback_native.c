/* The code of a native replay's runtime region. It is linked into the tool, copied into replayed processes, and refers to nothing
 * outside of its section but the data behind it.
 *
 * Patched call sites lead here, as they did in the recording. A call that the ring does not have is made by the caller's own
 * `syscall`, where it stops, and the tool says what is wrong.
 */
#include "replay/playback.h"

#define INSIDE __attribute__((section("urd_playback_native")))

__asm__(".pushsection urd_playback_native, \"ax\", @progbits\n"
        ".globl playback_native_begin, playback_native_leave\n"
        ".hidden playback_native_begin, playback_native_leave\n"
        "playback_native_begin:\n"
        URD_RUNTIME_ENTER("playback_native_begin+0x2000(%rip)", "playback_native_begin+0x2008(%rip)")
        "    call playback_native\n"
        URD_RUNTIME_LEAVE("playback_native_begin+0x2000(%rip)", "playback_native_begin+0x2010(%rip)")
        "playback_native_leave:\n"
        "    jmp *playback_native_begin+0x2010(%rip)\n"
        ".popsection\n");

uint64_t playback_native(struct urd_runtime_frame *f);

/** The address where the caller goes on: at its own call, with what it had, or behind it. */
INSIDE uint64_t playback_native(struct urd_runtime_frame *f)
{
    struct playback *p = (struct playback *)URD_RUNTIME_DATA;
    uint64_t site = f->rcx;
    enum urd_site kind = urd_site_kind((const uint8_t *)site);
    if (kind == URD_SITE_CPUID
            ? urd_runtime_answer_cpuid(p->cpuid, p->n_cpuid, p->state.rcx, f)
            : playback_take(p, site, f))
        return site + urd_site_bytes(kind);
    f->rcx = p->state.rcx;
    return site;
}

__asm__(".pushsection urd_playback_native, \"ax\", @progbits\n"
        ".globl playback_native_end\n.hidden playback_native_end\n"
        "playback_native_end:\n"
        ".popsection\n");
