#include "trace/cut.h"
#include "base/buf.h"
#include "base/tracee.h"
#include "trace/event.h"
#include <Zydis/Zydis.h>
#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <xxhash.h>

/* ---- words: what the next instructions write, then what they are likely to read ----
 *
 * Translated code reads them in place, so they must lie where the subject may read; and only what it may write tells
 * states apart. No mapping changes between an event and the next, so what is mapped at the cut was mapped before.
 */

enum { MAX_PATHS = 6, MAX_INSNS_AHEAD = 64 };

struct ranges {
    struct range {
        uint64_t start, end;
    } * items;
    size_t n, capacity;
};

struct walk {
    struct urd_cut *cut;
    int mem;
    struct ranges ranges; /* of writable private memory */
    struct path {
        uint64_t pc;
        bool rsp_moved, rbp_moved;
    } paths[MAX_PATHS];
    unsigned n_paths, insns;
};

static urd_err *find_ranges(pid_t tid, struct ranges *ret)
{
    FILE *maps = urd_tracee_open_maps(tid);
    if (!maps)
        URD_FAIL_ERRNO("cannot read the mappings of process %d", tid);
    struct urd_map_line m;
    while (urd_tracee_next_map(maps, &m))
        if ((m.prot & 3) == 3 && !m.shared && strncmp(m.name, "[v", 2) != 0 &&
            !(m.start >= URD_OWN_START && m.start < URD_OWN_END))
            URD_PUSH(ret->items, ret->n, ret->capacity) = (struct range){m.start, m.end};
    fclose(maps);
    return NULL;
}

static bool is_in(const struct ranges *r, uint64_t address)
{
    size_t low = 0, high = r->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (r->items[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->n && r->items[low].start <= address && address + 8 <= r->items[low].end;
}

static void add_word(struct walk *w, uint64_t address)
{
    struct urd_cut *c = w->cut;
    uint64_t value;
    if (c->n_words == URD_CUT_WORDS || !is_in(&w->ranges, address))
        return;
    for (uint32_t i = 0; i < c->n_words; i++)
        if (c->words[i].address == address)
            return;
    if (urd_tracee_read(w->mem, address, &value, 8) == 8)
        c->words[c->n_words++] = (struct urd_cut_word){address, value};
}

/** The operand's address, when it follows from registers that this path has not changed. */
static bool address_of(const struct walk *w, const struct path *p,
                       const ZydisDecodedInstruction *in, const ZydisDecodedOperand *o,
                       uint64_t *ret)
{
    if (o->mem.index != ZYDIS_REGISTER_NONE || o->mem.segment == ZYDIS_REGISTER_FS ||
        o->mem.segment == ZYDIS_REGISTER_GS)
        return false;
    uint64_t base = 0;
    switch (o->mem.base) {
    case ZYDIS_REGISTER_NONE:
        break;
    case ZYDIS_REGISTER_RIP:
        base = p->pc + in->length;
        break;
    case ZYDIS_REGISTER_RSP:
        if (p->rsp_moved)
            return false;
        base = w->cut->regs.rsp;
        break;
    case ZYDIS_REGISTER_RBP:
        if (p->rbp_moved)
            return false;
        base = w->cut->regs.rbp;
        break;
    default:
        return false;
    }
    *ret = base + (uint64_t)o->mem.disp.value;
    return true;
}

static void look_at(struct walk *w, struct path *p, const ZydisDecodedInstruction *in,
                    const ZydisDecodedOperand *operands)
{
    for (unsigned i = 0; i < in->operand_count; i++) {
        const ZydisDecodedOperand *o = &operands[i];
        uint64_t address;
        bool writes = o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
        if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && writes && address_of(w, p, in, o, &address))
            add_word(w, address);
        else if (o->type == ZYDIS_OPERAND_TYPE_REGISTER && writes) {
            p->rsp_moved |=
                o->reg.value == ZYDIS_REGISTER_RSP && in->meta.category != ZYDIS_CATEGORY_CALL;
            p->rbp_moved |= o->reg.value == ZYDIS_REGISTER_RBP;
        }
    }
}

static void fork_path(struct walk *w, struct path p, uint64_t pc)
{
    for (unsigned i = 0; i < w->n_paths; i++)
        if (w->paths[i].pc == pc)
            return;
    p.pc = pc;
    if (w->n_paths < MAX_PATHS)
        w->paths[w->n_paths++] = p;
}

static void walk_path(struct walk *w, const ZydisDecoder *decoder, struct path p)
{
    for (; w->insns < MAX_INSNS_AHEAD; w->insns++) {
        uint8_t code[15];
        size_t n = urd_tracee_read(w->mem, p.pc, code, sizeof code);
        ZydisDecodedInstruction in;
        ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, code, n, &in, operands)))
            return;
        look_at(w, &p, &in, operands);
        uint64_t target = p.pc + in.length;
        bool direct = operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
        if (direct)
            target += operands[0].imm.value.u;
        p.pc += in.length;
        switch (in.meta.category) {
        case ZYDIS_CATEGORY_UNCOND_BR:
            if (!direct)
                return;
            p.pc = target;
            break;
        case ZYDIS_CATEGORY_COND_BR:
            fork_path(w, p, target);
            break;
        case ZYDIS_CATEGORY_RET:
        case ZYDIS_CATEGORY_SYSCALL:
            return;
        default:
            break;
        }
    }
}

/** The first words of the object at p; where p points to none, nothing. */
static void add_object(struct walk *w, uint64_t p, unsigned words)
{
    for (unsigned i = 0; i < words; i++)
        add_word(w, (p & ~7ull) + 8 * i);
}

static urd_err *find_words(struct urd_cut *c, pid_t tid, int mem)
{
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    struct walk w = {.cut = c, .mem = mem};
    urd_err *err = find_ranges(tid, &w.ranges);
    fork_path(&w, (struct path){0}, c->regs.rip);
    for (unsigned i = 0; i < w.n_paths && !err; i++)
        walk_path(&w, &decoder, w.paths[i]);
    add_object(&w, c->regs.rsp, 6);
    add_object(&w, c->regs.rsp - 32, 4);
    struct user_regs_struct regs = c->regs;
    for (unsigned i = 0; i < 16; i++)
        add_object(&w, *urd_reg_slot(&regs, i), 4);
    uint32_t level = c->n_words;
    for (uint32_t i = 0; i < level; i++) /* what these point to in turn */
        add_object(&w, c->words[i].value, 4);
    free(w.ranges.items);
    return err;
}

/* ---- near: the top of the stack and what the registers point to ---- */

enum { NEAR_STACK = 512 }; /* farther up there may be what XSAVE left, see trace/checksum.h */

/** [vdso] and its data, which a replay does not have; they may lie right below the dynamic linker. */
static urd_err *find_hidden(pid_t tid, struct ranges *ret)
{
    FILE *maps = urd_tracee_open_maps(tid);
    if (!maps)
        URD_FAIL_ERRNO("cannot read the mappings of process %d", tid);
    struct urd_map_line m;
    while (urd_tracee_next_map(maps, &m))
        if (strncmp(m.name, "[v", 2) == 0)
            URD_PUSH(ret->items, ret->n, ret->capacity) = (struct range){m.start, m.end};
    fclose(maps);
    return NULL;
}

/** As much as can be read where nothing is hidden; the rest of data stays what it is. */
static void read_visible(int mem, const struct ranges *hidden, uint64_t address, void *data,
                         size_t size)
{
    for (size_t i = 0; i < hidden->n; i++) {
        const struct range *h = &hidden->items[i];
        if (address >= h->start && address < h->end)
            return;
        if (h->start > address && h->start - address < size)
            size = h->start - address;
    }
    urd_tracee_read(mem, address, data, size);
}

static uint64_t hash_near(int mem, const struct ranges *hidden, const struct user_regs_struct *regs)
{
    uint8_t bytes[128 + NEAR_STACK + 16 * 128] = {0};
    struct user_regs_struct copy = *regs;
    read_visible(mem, hidden, regs->rsp - 128, bytes, 128);
    read_visible(mem, hidden, regs->rsp, bytes + 128, NEAR_STACK);
    for (unsigned i = 0; i < 16; i++)
        if (i != 4)
            read_visible(mem, hidden, *urd_reg_slot(&copy, i) - 64,
                         bytes + 128 + NEAR_STACK + i * 128, 128);
    return XXH3_64bits(bytes, sizeof bytes);
}

/* ---- vectors ---- */

/** Where the state components lie in the standard XSAVE layout (SDM vol. 1, 13.4.3). */
static const struct component {
    uint32_t offset, size;
} * components(void)
{
    static struct component all[8];
    static bool known;
    if (!known) {
        for (unsigned i = 2; i < 8; i++) {
            uint32_t ecx, edx;
            __cpuid_count(0xd, i, all[i].size, all[i].offset, ecx, edx);
        }
        known = true;
    }
    return all;
}

/** x87 data registers and xmm lie in the legacy area; ymm, k, zmm in components 2, 5, 6, 7. The rest is control and
 * history (the address of the last x87 instruction), which differs in translated code. */
static urd_err *hash_vectors(pid_t tid, uint64_t *ret)
{
    uint8_t area[16384];
    size_t size = sizeof area;
    URD_TRY(urd_tracee_get_xstate(tid, area, &size));
    const struct component *all = components();
    static const uint8_t wanted[] = {2, 5, 6, 7};
    *ret = XXH3_64bits(area + 32, 128 + 256);
    for (unsigned i = 0; i < sizeof wanted; i++) {
        struct component c = all[wanted[i]];
        if (c.size && c.offset + c.size <= size)
            *ret = XXH3_64bits_withSeed(area + c.offset, c.size, *ret);
    }
    return NULL;
}

urd_err *urd_cut_take(pid_t tid, int mem, const struct user_regs_struct *regs,
                      const struct urd_stacks *stacks, struct urd_cut *ret)
{
    struct urd_cut c = {.regs = *regs};
    struct ranges hidden = {0};
    uint64_t bytes;
    URD_TRY(find_words(&c, tid, mem));
    URD_TRY(find_hidden(tid, &hidden));
    c.near = hash_near(mem, &hidden, regs);
    free(hidden.items);
    URD_TRY(hash_vectors(tid, &c.vectors));
    URD_TRY(urd_checksum_memory(tid, mem, stacks, &c.memory, &bytes));
    *ret = c;
    return NULL;
}

urd_err *urd_cut_matches_nearly(const struct urd_cut *c, pid_t tid, int mem,
                                const struct user_regs_struct *regs, bool *ret)
{
    uint64_t vectors;
    *ret = false;
    if (((regs->eflags ^ c->regs.eflags) & 0xcd5) || regs->fs_base != c->regs.fs_base ||
        hash_near(mem, &(struct ranges){0}, regs) != c->near)
        return NULL;
    URD_TRY(hash_vectors(tid, &vectors));
    *ret = vectors == c->vectors;
    return NULL;
}

urd_err *urd_cut_matches_memory(const struct urd_cut *c, pid_t tid, int mem,
                                const struct urd_stacks *stacks, bool *ret)
{
    uint64_t sum, bytes;
    URD_TRY(urd_checksum_memory(tid, mem, stacks, &sum, &bytes));
    *ret = sum == c->memory;
    return NULL;
}

uint64_t urd_cut_rep_end(int mem, uint64_t pc)
{
    uint8_t code[15];
    size_t n = urd_tracee_read(mem, pc, code, sizeof code);
    ZydisDecoder decoder;
    ZydisDecodedInstruction in;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    bool rep =
        ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code, n, &in)) &&
        in.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
    return rep ? pc + in.length : 0;
}
