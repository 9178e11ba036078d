/*
 * Memory reads: what an instruction reads, and its slots in the log record (URD_PROBE_READS).
 *
 * A read is a memory operand that the instruction reads, at its full size: what a mask leaves out counts, as it is no less looked at. Not
 * reads are addresses only (lea), hints (prefetch, cache line flushes) and the fetch of code.
 *
 * The address goes into the slot before the instruction runs, which may change the registers that it is made of:
 *          lea r10, [rax+8];  mov [r11+0x18], r10;  add [rax+8], ecx
 * Of a repeated string instruction the slot has rsi (or rdi) before and after it.
 */
#include "translate/internal.h"

/* Memory is named, and not read. */
static bool only_names(const struct insn *in)
{
    switch (in->z.meta.category) {
    case ZYDIS_CATEGORY_NOP:
    case ZYDIS_CATEGORY_WIDENOP:
    case ZYDIS_CATEGORY_PREFETCH:
    case ZYDIS_CATEGORY_PREFETCHWT1:
    case ZYDIS_CATEGORY_CLDEMOTE:
    case ZYDIS_CATEGORY_CLFLUSHOPT:
    case ZYDIS_CATEGORY_CLWB:
        return true;
    default:
        return in->z.mnemonic == ZYDIS_MNEMONIC_CLFLUSH || in->z.mnemonic == ZYDIS_MNEMONIC_LEA;
    }
}

static bool is_read(const ZydisDecodedOperand *op)
{
    return op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.type != ZYDIS_MEMOP_TYPE_AGEN &&
           (op->actions & ZYDIS_OPERAND_ACTION_MASK_READ);
}

static bool is_repeated(const struct insn *in)
{
    return in->z.attributes &
           (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
}

static bool is_bit_string(const struct insn *in)
{
    return (in->z.mnemonic == ZYDIS_MNEMONIC_BT || in->write == WRITE_BIT) &&
           in->ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
}

static bool pops(const struct insn *in)
{
    return in->z.mnemonic == ZYDIS_MNEMONIC_POP || in->z.mnemonic == ZYDIS_MNEMONIC_LEAVE;
}

/** XRSTOR counts as a read of all that the processor may have saved. */
static unsigned read_bytes(const struct insn *in, const ZydisDecodedOperand *op)
{
    switch (in->z.mnemonic) {
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XRSTOR64:
        return urd_translate_features()->xsave_bytes;
    default:
        return op->size / 8;
    }
}

/** What is read at no simple address is left to the tool. */
static bool is_simple(const struct insn *in, const ZydisDecodedOperand *op)
{
    bool fs = op->mem.segment == ZYDIS_REGISTER_FS;
    int64_t disp = op->mem.disp.value;
    return op->mem.type == ZYDIS_MEMOP_TYPE_MEM && read_bytes(in, op) &&
           !(fs && (!urd_translate_features()->fsgsbase || in->z.address_width != 64 ||
                    disp != (int32_t)disp)) &&
           !(is_repeated(in) && in->z.address_width != 64);
}

bool urd_insn_reads_are_simple(const struct insn *in)
{
    if (only_names(in) || pops(in) || in->kind == INSN_RET)
        return true;
    if (in->z.mnemonic == ZYDIS_MNEMONIC_XLAT || is_bit_string(in))
        return !in->mem && in->z.mnemonic != ZYDIS_MNEMONIC_XLAT;
    for (unsigned i = 0; i < in->z.operand_count; i++)
        if (is_read(&in->ops[i]) && !is_simple(in, &in->ops[i]))
            return false;
    return true;
}

unsigned urd_insn_read_slots(const struct insn *in, struct urd_slot ret[URD_READ_SLOTS])
{
    unsigned n = 0;
    if (only_names(in))
        return 0;
    if (pops(in) || in->kind == INSN_RET) {
        uint16_t size = in->z.mnemonic == ZYDIS_MNEMONIC_POP ? in->z.operand_width / 8 : 8;
        ret[0] = (struct urd_slot){.kind = URD_SLOT_READ, .size = size, .by_sp = true};
        return 1;
    }
    for (unsigned i = 0; i < in->z.operand_count && n < URD_READ_SLOTS; i++)
        if (is_read(&in->ops[i]))
            ret[n++] =
                (struct urd_slot){.kind = is_repeated(in) ? URD_SLOT_READ_REP : URD_SLOT_READ,
                                  .size = (uint16_t)read_bytes(in, &in->ops[i])};
    return n;
}

static void put(struct gen *g, int reg)
{
    emit_store(&g->hot, reg, EMIT_AT(g->reg_log, g->log_at));
    g->log_at += 8;
}

void urd_gen_reads_before(struct gen *g, const struct insn *in)
{
    if (only_names(in))
        return;
    if (pops(in)) {
        put(g, in->z.mnemonic == ZYDIS_MNEMONIC_POP ? RSP : RBP);
        return;
    }
    for (unsigned i = 0, n = 0; i < in->z.operand_count && n < URD_READ_SLOTS; i++) {
        const ZydisDecodedOperand *op = &in->ops[i];
        if (!is_read(op))
            continue;
        n++;
        if (is_repeated(in)) {
            put(g, urd_insn_register(op->mem.base));
            g->log_at += 8;
        } else {
            urd_gen_address(g, in, op, g->reg_temp);
            put(g, g->reg_temp);
        }
    }
}

void urd_gen_reads_after(struct gen *g, const struct insn *in)
{
    struct urd_slot slots[URD_READ_SLOTS];
    unsigned n = is_repeated(in) ? urd_insn_read_slots(in, slots) : 0;
    g->log_at -= 16 * n;
    for (unsigned i = 0; i < in->z.operand_count && n; i++) {
        if (!is_read(&in->ops[i]))
            continue;
        g->log_at += 8;
        put(g, urd_insn_register(in->ops[i].mem.base));
        n--;
    }
}
