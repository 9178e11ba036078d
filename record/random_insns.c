#include "record/random_insns.h"
#include "base/buf.h"
#include "base/tracee.h"
#include "record/image.h"
#include <Zydis/Zydis.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/random.h>

/** What a file holds: offsets of the byte c7 of each site. Kept by the recorder for each stored file. */
struct random_sites {
    bool known;
    uint64_t *offsets;
    unsigned n, cap;
};

static bool is_random(const ZydisDecodedInstruction *in)
{
    return in->mnemonic == ZYDIS_MNEMONIC_RDRAND || in->mnemonic == ZYDIS_MNEMONIC_RDSEED;
}

/** Does decoding from the function's start arrive at the instruction whose opcode ends at offset? */
static bool is_instruction(const struct image *f, uint64_t offset)
{
    uint64_t start;
    if (!image_function(f, offset, &start))
        return false;
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (uint64_t at = start; at <= offset;) {
        ZydisDecodedInstruction in;
        if (!ZYAN_SUCCESS(
                ZydisDecoderDecodeInstruction(&decoder, NULL, f->data + at, f->size - at, &in)))
            return false;
        if (at + in.length > offset)
            return is_random(&in) && at + in.raw.modrm.offset == offset + 1;
        at += in.length;
    }
    return false;
}

static void find_sites(const struct image *f, struct random_sites *ret)
{
    const uint8_t *at = f->data, *end = f->data + f->size - 2;
    while (at < end && (at = memchr(at, 0xc7, (size_t)(end - at)))) {
        uint64_t offset = (uint64_t)(at - f->data);
        if (offset && at[-1] == 0x0f && at[1] >= 0xf0 && is_instruction(f, offset))
            URD_PUSH(ret->offsets, ret->n, ret->cap) = offset;
        at++;
    }
}

static const struct random_sites *sites_of(struct recorder *r, uint32_t file, int fd)
{
    while (r->n_random_sites < file)
        URD_PUSH(r->random_sites, r->n_random_sites, r->cap_random_sites) =
            (struct random_sites){0};
    struct random_sites *s = &r->random_sites[file - 1];
    if (s->known)
        return s;
    s->known = true;
    struct image image;
    if (image_open(fd, &image)) {
        find_sites(&image, s);
        image_close(&image);
    }
    return s;
}

void random_insns_mapped(struct recorder *r, struct task *t, const struct urd_map_op *op, int fd)
{
    if (!(op->prot & PROT_EXEC) || op->shared || !op->file || fd < 0)
        return;
    const struct random_sites *s = sites_of(r, op->file, fd);
    static const uint8_t ud2 = 0x0b;
    for (unsigned i = 0; i < s->n; i++) {
        uint64_t at = op->start + (s->offsets[i] - op->offset);
        if (s->offsets[i] < op->offset || at >= op->start + op->size ||
            urd_tracee_write(t->mem, at, &ud2, 1) != 1)
            continue;
        event_add_memory(&r->builder, t->mem, at, 1);
    }
}

void random_insns_deinit(struct recorder *r)
{
    for (unsigned i = 0; i < r->n_random_sites; i++)
        free(r->random_sites[i].offsets);
    free(r->random_sites);
}

/** The instruction that stood where now a ud2 is; false when it was none of ours. */
static bool original(struct task *t, uint64_t pc, ZydisDecodedInstruction *in,
                     ZydisDecodedOperand *operands)
{
    uint8_t code[15];
    size_t n = urd_tracee_read(t->mem, pc, code, sizeof code), at = 0;
    while (at < n && (code[at] == 0x66 || (code[at] & 0xf0) == 0x40))
        at++;
    if (at + 3 > n || code[at] != 0x0f || code[at + 1] != 0x0b || code[at + 2] < 0xf0)
        return false;
    code[at + 1] = 0xc7;
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, n, in, operands)) && is_random(in);
}

/** Does a mapping of a file with sites put one at this address? A program's own ud2 may look the same. */
static bool is_site(struct recorder *r, struct task *t, uint64_t pc)
{
    struct urd_map_line m;
    if (!urd_tracee_find_map(t->tid, pc, &m))
        return false;
    for (unsigned f = 0; f < r->n_random_sites; f++)
        for (unsigned i = 0; i < r->random_sites[f].n; i++) {
            uint64_t at = m.start + (r->random_sites[f].offsets[i] - m.offset);
            if (at > pc && at - pc <= 3)
                return true;
        }
    return false;
}

urd_err *random_insns_try(struct recorder *r, struct task *t, const struct user_regs_struct *at,
                          bool *ret_done)
{
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    *ret_done = r->n_random_sites && original(t, at->rip, &in, operands) && is_site(r, t, at->rip);
    if (!*ret_done)
        return NULL;
    struct urd_event *e = recorder_begin_insn(r, t, at);
    uint64_t value = 0;
    if (getrandom(&value, sizeof value, 0) != sizeof value)
        URD_FAIL_ERRNO("cannot get a random number");
    uint64_t *slot = urd_reg_slot(&e->after, (unsigned)ZydisRegisterGetId(operands[0].reg.value));
    if (in.operand_width == 64)
        *slot = value;
    else if (in.operand_width == 32)
        *slot = (uint32_t)value;
    else
        *slot = (*slot & ~0xffffull) | (uint16_t)value;
    e->after.eflags = (e->after.eflags & ~0x8d5ull) | 1; /* CF: there was one; OF SF ZF AF PF: 0 */
    e->after.rip += in.length;
    return recorder_emit_insn(r, t);
}
