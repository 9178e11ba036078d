#include "base/buf.h"
#include "replay/disassemble.h"
#include "replay/session.h"
#include <Zydis/Zydis.h>
#include <signal.h>
#include <sys/ptrace.h>

static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                      "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

static void put_registers(struct urd_buf *b, const struct user_regs_struct *expected,
                          const struct user_regs_struct *actual)
{
    struct user_regs_struct x = *expected, a = *actual;
    for (unsigned i = 0; i < 16; i++) {
        uint64_t want = *urd_reg_slot(&x, i), got = *urd_reg_slot(&a, i);
        if (want != got)
            urd_buf_printf(b, "\n  %-7s recorded %#18llx   replayed %#18llx", names[i],
                           (unsigned long long)want, (unsigned long long)got);
    }
    if (x.rip != a.rip)
        urd_buf_printf(b, "\n  rip     recorded %#18llx   replayed %#18llx", x.rip, a.rip);
    if (x.eflags != a.eflags)
        urd_buf_printf(b, "\n  eflags  recorded %#18llx   replayed %#18llx", x.eflags, a.eflags);
    if (x.fs_base != a.fs_base)
        urd_buf_printf(b, "\n  fs_base recorded %#18llx   replayed %#18llx", x.fs_base, a.fs_base);
}

static void put_code(struct urd_buf *b, struct urd_task *t, uint64_t pc)
{
    uint8_t code[32];
    size_t n = urd_tracee_read(t->process->mem, pc, code, sizeof code);
    cs_insn *insns;
    size_t count;
    urd_err *err = urd_disassemble(code, n, pc, 4, &insns, &count);
    if (err) {
        urd_err_free(err); /* the bytes have to do */
        for (size_t i = 0; i < n; i++)
            urd_buf_printf(b, "%s%02x", i ? " " : "\n  ", code[i]);
        return;
    }
    for (size_t i = 0; i < count; i++)
        urd_buf_printf(b, "\n  %#llx: %s %s", (unsigned long long)insns[i].address,
                       insns[i].mnemonic, insns[i].op_str);
    urd_disassembly_free(insns, count);
}

/** It stands where an instruction was illegal that was not when it was recorded: this processor does not have it. */
static bool put_missing(struct urd_buf *b, struct urd_session *s, struct urd_task *t)
{
    siginfo_t si = {0};
    uint8_t code[15];
    ZydisDecoder decoder;
    ZydisDecodedInstruction in;
    size_t n = urd_tracee_read(t->process->mem, t->regs.rip, code, sizeof code);
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (ptrace(PTRACE_GETSIGINFO, t->process->pid, 0, &si) != 0 || si.si_signo != SIGILL ||
        t->regs.rip == s->next->before.rip ||
        !ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code, n, &in)))
        return false;
    urd_buf_printf(b, "\n  this processor does not have the instruction %s (%s), at %#llx",
                   ZydisMnemonicGetString(in.mnemonic), ZydisISASetGetString(in.meta.isa_set),
                   t->regs.rip);
    urd_buf_printf(b, ", which that of the recording, %s, has", urd_trace_get_info(s->trace)->cpu);
    return true;
}

urd_err *urd_session_diverged(struct urd_session *s, struct urd_task *t, const char *what)
{
    struct urd_buf b = {0};
    const struct urd_event *e = s->next;
    urd_session_settle(s);
    urd_buf_printf(&b, "the replay diverged before event %llu (%s", (unsigned long long)e->number,
                   urd_event_kind_name(e->kind));
    if (e->syscall >= 0)
        urd_buf_printf(&b, ", system call %d", e->syscall);
    urd_buf_printf(&b, ") of task %d: %s", t->tid, what);
    if (e->syscall >= 0 && e->syscall != (int32_t)t->regs.orig_rax)
        urd_buf_printf(&b, "\n  system call recorded %d, replayed %lld", e->syscall,
                       (long long)t->regs.orig_rax);
    bool missing = put_missing(&b, s, t);
    put_registers(&b, &e->before, &t->regs);
    put_code(&b, t, t->regs.rip);
    urd_buf_printf(&b, "\n  last events:");
    for (unsigned i = 0; i < 8 && s->recent[i].number; i++)
        urd_buf_printf(&b, " %llu:%s/%d(task %d)", (unsigned long long)s->recent[i].number,
                       urd_event_kind_name(s->recent[i].kind), s->recent[i].syscall,
                       s->recent[i].tid);
    urd_err *err =
        urd_err_hint(URD_ERROR(URD_ERR_FAILED, "%.*s", (int)b.size, b.data),
                     missing ? "up to event %llu it is the recording; the rest needs a processor "
                               "with that instruction"
                             : "nothing after event %llu can be trusted; please report this with "
                               "the trace",
                     (unsigned long long)s->event);
    urd_buf_deinit(&b);
    return err;
}
