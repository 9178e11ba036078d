/*
 * Indirect branches: from a subject address to a place in the cache, without the tool.
 *
 * The table is at the very start of the cache file, so a process finds it with one rip-relative lea.
 * An entry is {-pc, cache address}; entries of 16 bytes, 4 to a bucket of one cache line, the bucket
 * chosen by the low 16 bits of pc, for a movzx extracts those without touching a flag. With the key
 * negated, `lea rcx, [rcx + pc]` is the comparison and jrcxz the test. Full buckets spill into the
 * next ones; the tail behind the last bucket stops that from wrapping round. Key 0 is an empty
 * entry and ends a probe; key 1 (pc -1) is one that was removed.
 *
 * Each indirect branch looks at the first way of the bucket itself and leaves the rest to one piece
 * of shared code. A miss exits with the subject's registers and exit_pc; nothing is linked.
 *
 * Rejected: an entry point for each block that takes the three registers from their homes, which
 * would save a store and a load here but costs every block 27 bytes.
 */
#include "translate/internal.h"

struct entry {
    uint64_t negative_pc, cache;
};

enum { REMOVED = 1, WAY_BYTES = 16 };

static unsigned ctx_scratch(unsigned i)
{
    return (unsigned)offsetof(struct urd_context, scratch) + 8 * i;
}

static struct entry *bucket(struct urd_translator *t, uint64_t pc)
{
    return (struct entry *)(void *)(t->map + (pc & 0xffff) * 64);
}

void urd_table_put(struct urd_translator *t, uint64_t pc, uint64_t cache)
{
    struct entry *end = (struct entry *)(void *)(t->map + TABLE_BYTES) - 1, *hole = NULL;
    struct entry *first = (struct entry *)(void *)t->map;
    if (!first->negative_pc)
        first->negative_pc = REMOVED; /* pc 0 must not match an empty entry */
    for (struct entry *e = bucket(t, pc); e < end; e++) {
        if (e->negative_pc == -pc) {
            __atomic_store_n(&e->cache, cache, __ATOMIC_RELEASE);
            return;
        }
        if (e->negative_pc == REMOVED && e != first && !hole)
            hole = e;
        if (e->negative_pc)
            continue;
        if (!hole)
            hole = e;
        break;
    }
    if (!hole)
        return; /* the tail is full: such a target misses each time, until the next flush */
    /* Others may be probing: the address before the key that makes it count. */
    __atomic_store_n(&hole->cache, cache, __ATOMIC_RELEASE);
    __atomic_store_n(&hole->negative_pc, -pc, __ATOMIC_RELEASE);
    t->n_table++;
}

void urd_table_remove(struct urd_translator *t, uint64_t pc)
{
    struct entry *end = (struct entry *)(void *)(t->map + TABLE_BYTES) - 1;
    for (struct entry *e = bucket(t, pc); e < end && e->negative_pc; e++)
        if (e->negative_pc == -pc) {
            e->negative_pc = REMOVED;
            return;
        }
}

/* reg = address of the bucket for the pc in reg_pc; rcx is lost. */
static void emit_bucket(struct gen *g, struct emit *e, int reg_pc, int reg)
{
    /* movzx ecx, reg_pc(16) */
    if (reg_pc >= 8)
        emit_u8(e, 0x41);
    emit_u8(e, 0x0f);
    emit_u8(e, 0xb7);
    emit_u8(e, 0xc0 | RCX << 3 | (unsigned)(reg_pc & 7));
    /* lea reg, [rip + table] */
    emit_u8(e, 0x48 | (reg >= 8 ? 4 : 0));
    emit_u8(e, 0x8d);
    emit_u8(e, 5 | (unsigned)(reg & 7) << 3);
    emit_u32(e, 0 - (urd_gen_offset(g, e->at) + 4));
    emit_lea(e, RCX, (struct emit_mem){-1, RCX, 8, 0});
    emit_lea(e, reg, (struct emit_mem){reg, RCX, 8, 0});
}

static void jump_to_target(struct emit *e)
{
    /* jmp gs:[target] */
    emit_op_mem(e, 0x65, 0xff, 4, 4, EMIT_AT(-1, ctx_scratch(SCRATCH_TARGET)));
}

void urd_gen_indirect(struct gen *g, int target)
{
    struct emit *e = &g->hot, *cold = &g->cold;
    int other = g->log ? g->reg_log : g->reg_temp2;
    urd_gen_spill(g, RCX);
    urd_gen_spill(g, other);
    emit_bucket(g, e, target, other);
    emit_load(e, RCX, EMIT_AT(other, 0));
    emit_lea(e, RCX, (struct emit_mem){target, RCX, 1, 0});
    uint8_t *hit = emit_jump8(e, 0xe3);
    emit_u8(e, 0xe9);
    uint32_t here = urd_gen_offset(g, e->at) + 4;
    emit_u32(e, urd_gen_offset(g, cold->at) - here);
    emit_here(e, hit);
    emit_load(e, RCX, EMIT_AT(other, 8));
    emit_ctx_store(e, RCX, ctx_scratch(SCRATCH_TARGET));
    emit_ctx_store(cold, target, ctx_scratch(SCRATCH_TARGET));
    for (int r = 0; r < 16; r++)
        if (g->spilled >> r & 1) {
            emit_ctx_load(cold, r, ctx_scratch((unsigned)r));
            urd_gen_unspill(g, r);
        }
    jump_to_target(e);
    emit_u8(cold, 0xe9);
    emit_u32(cold, g->t->indirect_probe - (urd_gen_offset(g, cold->at) + 4));
}

/* All registers are the subject's, the pc to find is in scratch. */
void urd_gen_indirect_probe(struct gen *g)
{
    struct emit *e = &g->cold;
    static const int regs[3] = {RCX, RDX, RBX};
    for (int i = 0; i < 3; i++)
        emit_ctx_store(e, regs[i], ctx_scratch((unsigned)regs[i]));
    emit_ctx_load(e, RDX, ctx_scratch(SCRATCH_TARGET));
    emit_bucket(g, e, RDX, RBX);
    uint8_t *top = e->at;
    emit_load(e, RCX, EMIT_AT(RBX, 0));
    uint8_t *miss = emit_jump8(e, 0xe3);
    emit_lea(e, RCX, (struct emit_mem){RDX, RCX, 1, 0});
    uint8_t *hit = emit_jump8(e, 0xe3);
    emit_lea(e, RBX, EMIT_AT(RBX, WAY_BYTES));
    emit_u8(e, 0xeb);
    emit_u8(e, (uint8_t)(top - (e->at + 1)));
    emit_here(e, hit);
    emit_load(e, RCX, EMIT_AT(RBX, 8));
    emit_ctx_store(e, RCX, ctx_scratch(SCRATCH_TARGET));
    for (int i = 0; i < 3; i++)
        emit_ctx_load(e, regs[i], ctx_scratch((unsigned)regs[i]));
    jump_to_target(e);
    emit_here(e, miss);
    emit_ctx_store(e, RDX, offsetof(struct urd_context, exit_pc));
    emit_ctx_imm(e, offsetof(struct urd_context, exit_reason), URD_EXIT_MISS);
    emit_ctx_imm(e, offsetof(struct urd_context, exit_link), 0);
    for (int i = 0; i < 3; i++)
        emit_ctx_load(e, regs[i], ctx_scratch((unsigned)regs[i]));
    emit_u8(e, 0xcc);
}
