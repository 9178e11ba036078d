/*
 * From a place in the cache back to the subject's state.
 *
 * Only the instructions of the subject itself can fault, and the first store of a log record when it
 * reaches the guard behind the log. For any place in a block's code the events say which
 * registers are in their homes, and the offsets which instruction is under way; between an
 * instruction's end and that of its logging, and in the code that leaves a block, the state is
 * neither before nor after anything and locate says so.
 */
#include "translate/internal.h"

static unsigned long long *register_of(struct user_regs_struct *regs, unsigned r)
{
    unsigned long long *of[16] = {&regs->rax, &regs->rcx, &regs->rdx, &regs->rbx,
                                  &regs->rsp, &regs->rbp, &regs->rsi, &regs->rdi,
                                  &regs->r8,  &regs->r9,  &regs->r10, &regs->r11,
                                  &regs->r12, &regs->r13, &regs->r14, &regs->r15};
    return of[r];
}

static const struct block *block_at(const struct urd_translator *t, uint64_t rip, uint32_t *ret)
{
    if (rip < URD_CACHE_BASE + HOT_START || rip >= URD_CACHE_BASE + HOT_END)
        return NULL;
    uint32_t offset = (uint32_t)(rip - URD_CACHE_BASE), low = 0, high = t->n_order;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (t->blocks[t->order[middle]]->hot <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    const struct block *b = low ? t->blocks[t->order[low - 1]] : NULL;
    if (!b || offset >= b->hot_end)
        return NULL;
    *ret = offset;
    return b;
}

/* Registers from their homes, and what is carried into the context. */
static void restore(const struct block *b, uint32_t offset, struct user_regs_struct *regs,
                    struct urd_context *ctx)
{
    uint16_t mask = 0;
    int log = b->carries.log;
    for (uint32_t i = 0; i < b->n_events && b->events[i].offset <= offset; i++) {
        mask = b->events[i].mask;
        log = b->events[i].log;
    }
    if (log >= 0)
        ctx->log_pos = *register_of(regs, (unsigned)log);
    if (b->carries.count >= 0)
        ctx->steps_left = (int64_t)*register_of(regs, (unsigned)b->carries.count);
    for (unsigned r = 0; r < 16; r++)
        if (mask >> r & 1)
            *register_of(regs, r) = ctx->scratch[r];
}

bool urd_translate_locate(const struct urd_translator *t, struct user_regs_struct *regs,
                          struct urd_context *ctx, const struct urd_block **ret_block,
                          unsigned *ret_insn)
{
    uint32_t offset;
    const struct block *b = block_at(t, regs->rip, &offset);
    if (!b)
        return false;
    unsigned n = b->pub.n_insns, insn = 0;
    if (offset >= b->body) {
        if (!n || offset > b->insn_offsets[n])
            return false;
        while (insn + 1 < n && offset >= b->insn_offsets[insn + 1])
            insn++;
        if (offset >= b->done_offsets[insn] && offset > b->insn_offsets[insn])
            return false;
    }
    restore(b, offset, regs, ctx);
    if (b->carries.count >= 0 && offset >= b->counted)
        ctx->steps_left += n - insn;
    regs->rip = urd_block_pc(&b->pub, insn);
    *ret_block = offset >= b->body ? &b->pub : NULL;
    *ret_insn = insn;
    return true;
}

bool urd_translate_log_full(struct urd_translator *t, struct user_regs_struct *regs,
                            struct urd_context *ctx)
{
    uint32_t offset;
    const struct block *b = block_at(t, regs->rip, &offset);
    if (!b || offset >= b->body || !carried_any(b->carries))
        return false;
    restore(b, offset, regs, ctx);
    ctx->exit_reason = URD_EXIT_LOG_FULL;
    ctx->exit_pc = regs->rip = b->pub.pc;
    ctx->exit_link = 0;
    if (b->carries.count >= 0 && offset >= b->counted) {
        ctx->steps_left += b->pub.n_insns;
        ctx->exit_reason = URD_EXIT_BUDGET;
        t->out_of_budget = b->pub.pc;
    }
    return true;
}
