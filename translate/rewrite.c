/*
 * An instruction is  prefixes  REX/VEX/EVEX  opcode  ModRM [SIB] [disp]  imm.
 * To replace its memory operand: ModRM becomes mod=10 rm=base (SIB 0x24 when base is rsp or r12),
 * then a disp32, which EVEX does not scale (only disp8 is), and the two bits that extend base and
 * index are set to what the new base needs: REX.B/X, or inverted in VEX, XOP and EVEX. A legacy
 * instruction without REX gets one when base is r8..r15, right before the opcode. The 2-byte VEX
 * prefix has no B and becomes the 3-byte one.
 *
 * Example: c5 fc 11 41 20  vmovups [rcx+0x20], ymm0   with base r11, disp 0x118:
 *          c4 c1 7c 11 83 18 01 00 00  vmovups [r11+0x118], ymm0
 */
#include "translate/rewrite.h"

static bool dropped(uint8_t prefix)
{
    switch (prefix) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65:
    case 0x67:
        return true;
    default:
        return false;
    }
}

/* Everything between the legacy prefixes and ModRM. */
static unsigned head(const struct insn *in, unsigned at, unsigned base_high, uint8_t *out)
{
    unsigned n = 0, modrm = in->z.raw.modrm.offset;
    switch (in->z.encoding) {
    case ZYDIS_INSTRUCTION_ENCODING_VEX:
        if (in->bytes[at] == 0xc5) {
            uint8_t old = in->bytes[at + 1];
            out[n++] = 0xc4;
            out[n++] = (uint8_t)((old & 0x80) | 0x40 | (base_high ? 0 : 0x20) | 1);
            out[n++] = old & 0x7f;
            at += 2;
            break;
        }
        /* fallthrough */
    case ZYDIS_INSTRUCTION_ENCODING_XOP:
    case ZYDIS_INSTRUCTION_ENCODING_EVEX:
        out[n++] = in->bytes[at];
        out[n++] = (uint8_t)((in->bytes[at + 1] & ~0x20) | 0x40 | (base_high ? 0 : 0x20));
        at += 2;
        break;
    default:
        if (at < modrm && (in->bytes[at] & 0xf0) == 0x40 &&
            (in->z.attributes & ZYDIS_ATTRIB_HAS_REX)) {
            out[n++] = (uint8_t)((in->bytes[at] & ~3) | base_high);
            at++;
        } else if (base_high) {
            out[n++] = 0x41;
        }
    }
    while (at < modrm)
        out[n++] = in->bytes[at++];
    return n;
}

unsigned urd_rewrite_memory(const struct insn *in, int base, int32_t disp, bool keep_prefixes,
                            uint8_t *ret)
{
    unsigned n = 0, at = 0;
    /* prefix_count includes a REX; a REX that is not last is void and goes. */
    while (at < in->length) {
        uint8_t b = in->bytes[at];
        bool legacy = dropped(b) || b == 0x66 || b == 0xf2 || b == 0xf3 || b == 0xf0;
        bool void_rex = (b & 0xf0) == 0x40 && in->z.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
                        at + 1u < in->z.raw.prefix_count;
        if (at >= in->z.raw.prefix_count || (!legacy && !void_rex))
            break;
        if (legacy && (keep_prefixes || !dropped(b)))
            ret[n++] = b;
        at++;
    }
    n += head(in, at, (unsigned)base >> 3, ret + n);
    ret[n++] = (uint8_t)(0x80 | in->z.raw.modrm.reg << 3 | (base & 7));
    if ((base & 7) == 4)
        ret[n++] = 0x24;
    memcpy(ret + n, &disp, 4);
    n += 4;
    at = in->z.raw.modrm.offset + 1u;
    if (in->z.raw.sib.offset)
        at = in->z.raw.sib.offset + 1u;
    if (in->z.raw.disp.size)
        at = in->z.raw.disp.offset + in->z.raw.disp.size / 8u;
    while (at < in->length)
        ret[n++] = in->bytes[at++];
    return n;
}
