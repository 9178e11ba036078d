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

enum {
    MAX_PATHS = 64,
    MAX_PATH_INSNS = 48, /* what a test is followed by is often an error's message, and no loop */
    MAX_INSNS_AHEAD = 192,
    MAX_CALLERS = 4,
    MAX_CALLER_INSNS = 768, /* of a loop that checks what its calls return; -O0 takes ten a check */
    CODE_BYTES = 1024,      /* read at once */
    CALLERS_WORDS = 128,    /* of the stack, in which their return addresses are looked for */
    CALLER_SAVED = 0x0fc7,  /* System V ABI AMD64, 3.2.1 */
};

struct ranges {
    struct range {
        uint64_t start, end;
    } * items;
    size_t n, capacity;
    struct range kernels; /* vvar and vdso, which a replay has not; all one piece */
};

struct walk {
    struct urd_cut *cut;
    int mem;
    struct ranges ranges; /* of writable memory */
    struct path {
        uint64_t pc;
        uint16_t unknown; /* registers, by their hardware number, whose values here are not known */
        uint64_t values[16]; /* of the others */
    } paths[MAX_PATHS];
    unsigned n_paths;
    unsigned insns; /* that may still be looked at */
    uint64_t code_at;
    size_t code_size;
    uint8_t code[CODE_BYTES];
};

static urd_err *find_ranges(pid_t tid, enum urd_memory what, struct ranges *ret)
{
    FILE *maps = urd_tracee_open_maps(tid);
    if (!maps)
        URD_FAIL_ERRNO("cannot read the mappings of process %d", tid);
    struct urd_map_line m;
    while (urd_tracee_next_map(maps, &m))
        if ((m.prot & 3) == 3 && (!m.shared || urd_checksum_counts_shared(what, m.name)) &&
            strncmp(m.name, "[v", 2) != 0 && !(m.start >= URD_OWN_START && m.start < URD_OWN_END))
            URD_PUSH(ret->items, ret->n, ret->capacity) = (struct range){m.start, m.end};
        else if (strncmp(m.name, "[vvar", 5) == 0 || strcmp(m.name, "[vdso]") == 0)
            ret->kernels = (struct range){ret->kernels.end ? ret->kernels.start : m.start, m.end};
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

/** The hardware number of the general register that it is a part of; -1: of none. */
static int number_of(ZydisRegister reg)
{
    ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
    return whole >= ZYDIS_REGISTER_RAX && whole <= ZYDIS_REGISTER_R15
               ? (int)(whole - ZYDIS_REGISTER_RAX)
               : -1;
}

/** The value of a register where the path is now; 0 of none. */
static bool value_of(const struct path *p, ZydisRegister reg, uint64_t *ret)
{
    int number = number_of(reg);
    bool known = number >= 0 && !(p->unknown >> number & 1);
    *ret = known ? p->values[number] : 0;
    return known || reg == ZYDIS_REGISTER_NONE;
}

/** The operand's address, when it follows from what is known. */
static bool address_of(const struct walk *w, const struct path *p,
                       const ZydisDecodedInstruction *in, const ZydisDecodedOperand *o,
                       uint64_t *ret)
{
    uint64_t base = p->pc + in->length, index;
    if ((o->mem.base != ZYDIS_REGISTER_RIP && !value_of(p, o->mem.base, &base)) ||
        !value_of(p, o->mem.index, &index))
        return false;
    uint64_t segment = o->mem.segment == ZYDIS_REGISTER_FS   ? w->cut->regs.fs_base
                       : o->mem.segment == ZYDIS_REGISTER_GS ? w->cut->regs.gs_base
                                                             : 0;
    *ret = segment + base + index * o->mem.scale + (uint64_t)o->mem.disp.value;
    return true;
}

/** What a mov or lea puts into a 64-bit register, as memory is now: pointers on the way to what is written. */
static bool moved_value(const struct walk *w, const struct path *p,
                        const ZydisDecodedInstruction *in, const ZydisDecodedOperand *operands,
                        uint64_t *ret)
{
    const ZydisDecodedOperand *from = &operands[1];
    if (in->operand_width != 64 || operands[0].type != ZYDIS_OPERAND_TYPE_REGISTER ||
        number_of(operands[0].reg.value) < 0)
        return false;
    if (in->mnemonic == ZYDIS_MNEMONIC_LEA)
        return address_of(w, p, in, from, ret);
    if (in->mnemonic != ZYDIS_MNEMONIC_MOV)
        return false;
    uint64_t address;
    if (from->type == ZYDIS_OPERAND_TYPE_MEMORY)
        return address_of(w, p, in, from, &address) &&
               urd_tracee_read(w->mem, address, ret, 8) == 8;
    return from->type == ZYDIS_OPERAND_TYPE_REGISTER && value_of(p, from->reg.value, ret);
}

/** The words that it writes. What is not right here costs time in a replay, as a word may not tell states apart; it is no error. */
static void look_at(struct walk *w, struct path *p, const ZydisDecodedInstruction *in,
                    const ZydisDecodedOperand *operands)
{
    uint64_t moved, address;
    bool moves = moved_value(w, p, in, operands, &moved);
    uint16_t unknown = in->meta.category == ZYDIS_CATEGORY_CALL ? CALLER_SAVED : 0;
    for (unsigned i = 0; i < in->operand_count; i++) {
        const ZydisDecodedOperand *o = &operands[i];
        if (!(o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
            continue;
        if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && address_of(w, p, in, o, &address))
            add_word(w, address);
        else if (o->type == ZYDIS_OPERAND_TYPE_REGISTER && number_of(o->reg.value) >= 0 &&
                 in->meta.category != ZYDIS_CATEGORY_CALL)
            unknown |= (uint16_t)(1u << number_of(o->reg.value));
    }
    p->unknown |= unknown;
    if (moves) {
        p->values[number_of(operands[0].reg.value)] = moved;
        p->unknown &= (uint16_t) ~(1u << number_of(operands[0].reg.value));
    }
}

static bool begins_path(const struct walk *w, uint64_t pc)
{
    for (unsigned i = 0; i < w->n_paths; i++)
        if (w->paths[i].pc == pc)
            return true;
    return false;
}

static void fork_path(struct walk *w, struct path p, uint64_t pc)
{
    p.pc = pc;
    if (w->n_paths < MAX_PATHS && !begins_path(w, pc))
        w->paths[w->n_paths++] = p;
}

/** The code at pc: all that an instruction may have, or less where no more can be read. */
static size_t code_at(struct walk *w, uint64_t pc, const uint8_t **ret)
{
    if (pc < w->code_at || pc + ZYDIS_MAX_INSTRUCTION_LENGTH > w->code_at + w->code_size) {
        w->code_at = pc;
        w->code_size = urd_tracee_read(w->mem, pc, w->code, sizeof w->code);
    }
    *ret = w->code + (pc - w->code_at);
    return w->code_size - (pc - w->code_at);
}

static void walk_path(struct walk *w, const ZydisDecoder *decoder, struct path p)
{
    for (unsigned i = 0; i < MAX_PATH_INSNS && w->insns; i++, w->insns--) {
        const uint8_t *code;
        if (i && begins_path(w, p.pc))
            return;
        size_t n = code_at(w, p.pc, &code);
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

/** From one place on. */
static void walk_from(struct walk *w, const ZydisDecoder *decoder, struct path start,
                      unsigned insns)
{
    w->n_paths = 0;
    w->insns = insns;
    fork_path(w, start, start.pc);
    for (unsigned i = 0; i < w->n_paths; i++)
        walk_path(w, decoder, w->paths[i]);
}

/** Does a call end here? */
static bool is_return_address(int mem, uint64_t pc)
{
    uint8_t code[7]; /* SDM vol. 2, CALL: E8 and a displacement, or FF /2 with up to 5 bytes more */
    if (pc < sizeof code ||
        urd_tracee_read(mem, pc - sizeof code, code, sizeof code) != sizeof code)
        return false;
    if (code[2] == 0xe8)
        return true;
    for (unsigned at = 0; at < 6; at++)
        if (code[at] == 0xff && (code[at + 1] >> 3 & 7) == 2)
            return true;
    return false;
}

/**
 * What the functions write that this one returns to: a loop that does little but call may count there. Registers that a function
 * keeps are taken to be as they are now.
 */
static void walk_callers(struct walk *w, const ZydisDecoder *decoder, const struct path *now)
{
    uint64_t stack[CALLERS_WORDS];
    unsigned found = 0;
    size_t n = urd_tracee_read(w->mem, w->cut->regs.rsp & ~7ull, stack, sizeof stack) / 8;
    for (size_t i = 0; i < n && found < MAX_CALLERS; i++) {
        if (!is_return_address(w->mem, stack[i]))
            continue;
        struct path p = *now;
        p.pc = stack[i];
        p.unknown = CALLER_SAVED | 1u << 4;
        walk_from(w, decoder, p, MAX_CALLER_INSNS);
        found++;
    }
}

/** The first words of the object at p; where p points to none, nothing. */
static void add_object(struct walk *w, uint64_t p, unsigned words)
{
    for (unsigned i = 0; i < words; i++)
        add_word(w, (p & ~7ull) + 8 * i);
}

/** As far as a replay can read it: not into the kernel's pages. The dynamic linker often lies right behind them. */
static void read_near(int mem, struct range kernels, uint64_t at, void *bytes, size_t size)
{
    if (at < kernels.end && at + size > kernels.start)
        size = at < kernels.start ? kernels.start - at : 0;
    urd_tracee_read(mem, at, bytes, size);
}

/* ---- the callers' frames: the part of the stack that the sum over memory leaves out ----
 *
 * A loop in a caller may count in its own frame and nowhere else. What is left out here is what XSAVE has left: the processor writes
 * some of it or not (trace/checksum.h). The dynamic linker uses XSAVEC, which always writes XCOMP_BV, and nothing else looks like that.
 */

enum {
    STACK_BELOW = 4096, /* where an image may begin that ends above the stack pointer */
    STACK_WORDS = 64,   /* that are compared in place */
    XCOMP_BV = 520,     /* where it is in an image (SDM vol. 1, 13.4.2) */
    XSAVE_BYTES = 4096, /* more than an image without AMX has */
    LIVE = STACK_BELOW / 8,
    STACK_END = (STACK_BELOW + URD_STACK_ABOVE) / 8,
};

/** The words around a stack pointer, which is LIVE. 0: left out, or not there. */
struct stack {
    uint64_t words[STACK_END];
};

/** Bit 63, SSE, and other components. */
static bool is_xcomp_bv(uint64_t word)
{
    return word >> 63 && word & 2 && !(word << 1 >> 21);
}

static void read_stack(int mem, struct range kernels, uint64_t sp, struct stack *ret)
{
    *ret = (struct stack){0};
    sp &= ~7ull;
    read_near(mem, kernels, sp - STACK_BELOW, ret->words, STACK_BELOW);
    read_near(mem, kernels, sp, ret->words + LIVE, URD_STACK_ABOVE);
    for (size_t i = 0, end = 0; i < STACK_END; i++) {
        if (is_xcomp_bv(ret->words[i])) {
            size_t begin = i < XCOMP_BV / 8 ? 0 : i - XCOMP_BV / 8;
            memset(&ret->words[begin], 0, (i - begin) * sizeof *ret->words);
            end = begin + XSAVE_BYTES / 8;
        }
        if (i < end)
            ret->words[i] = 0;
    }
}

static uint64_t hash_stack(const struct stack *s)
{
    return XXH3_64bits(s->words + LIVE, URD_STACK_ABOVE);
}

/** Of the frames, and what they hash to. */
static void add_stack(struct walk *w)
{
    struct stack stack;
    uint64_t sp = w->cut->regs.rsp;
    read_stack(w->mem, w->ranges.kernels, sp, &stack);
    w->cut->has_stack = true;
    w->cut->stack = hash_stack(&stack);
    for (unsigned i = 0; i < STACK_WORDS; i++)
        if (stack.words[LIVE + i])
            add_word(w, (sp & ~7ull) + 8 * i);
}

static urd_err *find_words(struct urd_cut *c, pid_t tid, int mem, enum urd_memory what,
                           struct range *ret_kernels)
{
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    struct walk w = {.cut = c, .mem = mem};
    urd_err *err = find_ranges(tid, what, &w.ranges);
    struct user_regs_struct regs = c->regs;
    struct path start = {0};
    for (unsigned i = 0; i < 16; i++)
        start.values[i] = *urd_reg_slot(&regs, i);
    start.pc = c->regs.rip;
    walk_from(&w, &decoder, start, MAX_INSNS_AHEAD);
    walk_callers(&w, &decoder, &start);
    add_object(&w, c->regs.rsp, 6);
    add_object(&w, c->regs.rsp - 32, 4);
    for (unsigned i = 0; i < 16; i++)
        add_object(&w, *urd_reg_slot(&regs, i), 4);
    uint32_t level = c->n_words;
    add_stack(&w);
    for (uint32_t i = 0; i < level; i++) /* what these point to in turn */
        add_object(&w, c->words[i].value, 4);
    *ret_kernels = w.ranges.kernels;
    free(w.ranges.items);
    return err;
}

/* ---- near: the top of the stack and what the registers point to ---- */

enum { NEAR_STACK = 512 };

static uint64_t hash_near(int mem, struct range kernels, const struct user_regs_struct *regs)
{
    uint8_t bytes[128 + NEAR_STACK + 16 * 128] = {0};
    struct user_regs_struct copy = *regs;
    read_near(mem, kernels, regs->rsp - 128, bytes, 128);
    read_near(mem, kernels, regs->rsp, bytes + 128, NEAR_STACK);
    for (unsigned i = 0; i < 16; i++)
        if (i != 4)
            read_near(mem, kernels, *urd_reg_slot(&copy, i) - 64,
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

urd_err *urd_cut_take(pid_t tid, int mem, enum urd_memory what, const struct user_regs_struct *regs,
                      const struct urd_stacks *stacks, struct urd_cut *ret)
{
    struct urd_cut c = {.regs = *regs, .shared = what != URD_MEMORY_PRIVATE};
    uint64_t bytes;
    struct range kernels;
    URD_TRY(find_words(&c, tid, mem, what, &kernels));
    c.near = hash_near(mem, kernels, regs);
    URD_TRY(hash_vectors(tid, &c.vectors));
    URD_TRY(urd_checksum_memory(tid, mem, what, stacks, &c.memory, &bytes));
    *ret = c;
    return NULL;
}

/** Behind the stack pointer first: that can be read whenever the task runs, and is compared before the registers. */
static void add_stack_top(struct urd_cut *c, int mem)
{
    static const int offsets[] = {0, 8, 16, 24, 32, 40, -8, -16, -24, -32};
    for (unsigned i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        uint64_t address = c->regs.rsp + (uint64_t)(int64_t)offsets[i], value;
        if (urd_tracee_read(mem, address, &value, 8) == 8)
            c->words[c->n_words++] = (struct urd_cut_word){address, value};
    }
}

urd_err *urd_cut_take_counted(pid_t tid, int mem, const struct user_regs_struct *regs,
                              uint64_t branches, struct urd_cut *ret)
{
    struct urd_cut c = {.regs = *regs, .counted = true, .branches = branches};
    add_stack_top(&c, mem);
    URD_TRY(hash_vectors(tid, &c.vectors));
    *ret = c;
    return NULL;
}

urd_err *urd_cut_matches_nearly(const struct urd_cut *c, pid_t tid, int mem,
                                const struct user_regs_struct *regs, bool *ret)
{
    uint64_t vectors;
    *ret = false;
    if (((regs->eflags ^ c->regs.eflags) & 0xcd5) || regs->fs_base != c->regs.fs_base ||
        (!c->counted && hash_near(mem, (struct range){0}, regs) != c->near))
        return NULL;
    URD_TRY(hash_vectors(tid, &vectors));
    *ret = vectors == c->vectors;
    if (*ret && c->has_stack) {
        struct stack stack;
        read_stack(mem, (struct range){0}, regs->rsp, &stack);
        *ret = hash_stack(&stack) == c->stack;
    }
    return NULL;
}

urd_err *urd_cut_matches_memory(const struct urd_cut *c, pid_t tid, int mem,
                                const struct urd_stacks *stacks, bool *ret)
{
    uint64_t sum = 0, bytes;
    if (!c->counted)
        URD_TRY(urd_checksum_memory(tid, mem, c->shared ? URD_MEMORY_REPLAYED : URD_MEMORY_PRIVATE,
                                    stacks, &sum, &bytes));
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
