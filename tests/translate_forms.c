#include "tests/translate_forms.h"
#include "base/buf.h"
#include "base/map.h"
#include <Zydis/Zydis.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t key_of(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *ops)
{
    uint64_t h = 0xcbf29ce484222325u;
#define MIX(x) (h = (h ^ (uint64_t)(x)) * 0x100000001b3u, h ^= h >> 29)
    MIX(z->mnemonic);
    MIX(z->encoding);
    MIX(z->opcode);
    MIX(z->operand_width);
    MIX(z->address_width);
    MIX(z->attributes &
        (ZYDIS_ATTRIB_HAS_LOCK | ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPNE |
         ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_SEGMENT_FS | ZYDIS_ATTRIB_HAS_REX));
    MIX(z->avx.mask.reg != ZYDIS_REGISTER_NONE && z->avx.mask.reg != ZYDIS_REGISTER_K0);
    MIX(z->avx.broadcast.mode);
    for (unsigned i = 0; i < z->operand_count; i++) {
        MIX(ops[i].type);
        MIX(ops[i].size);
        if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
            MIX(ops[i].mem.base == ZYDIS_REGISTER_RIP    ? 1
                : ops[i].mem.base == ZYDIS_REGISTER_RSP  ? 2
                : ops[i].mem.base == ZYDIS_REGISTER_NONE ? 3
                                                         : 4);
            MIX(ops[i].mem.index != ZYDIS_REGISTER_NONE);
            MIX(ops[i].mem.segment == ZYDIS_REGISTER_FS);
        } else if (ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER) {
            MIX(ops[i].reg.value >= ZYDIS_REGISTER_AH && ops[i].reg.value <= ZYDIS_REGISTER_BH);
            MIX(ops[i].reg.value == ZYDIS_REGISTER_RSP);
        }
    }
    return h;
}

static void consider(struct forms *f, const uint8_t *bytes, const ZydisDecodedInstruction *z,
                     const ZydisDecodedOperand *ops, unsigned examples)
{
    if (!f->seen)
        f->seen = urd_xcalloc(1, sizeof(struct urd_map));
    uint64_t *count = urd_map_put(f->seen, key_of(z, ops));
    if ((*count)++ >= examples)
        return;
    struct form form = {.length = z->length};
    memcpy(form.bytes, bytes, z->length);
    URD_PUSH(f->list, f->n, f->capacity) = form;
}

static void sweep(struct forms *f, const uint8_t *p, size_t n, unsigned examples)
{
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisDecodedInstruction z;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    for (size_t at = 0; at < n;) {
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, p + at, n - at, &z, ops))) {
            at++;
            continue;
        }
        consider(f, p + at, &z, ops, examples);
        at += z.length;
    }
}

void forms_harvest(struct forms *f, const char *path, unsigned examples)
{
    int fd = open(path, O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) || st.st_size < 64) {
        if (fd >= 0)
            close(fd);
        return;
    }
    const uint8_t *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    const Elf64_Ehdr *header = (const void *)p;
    if (!memcmp(p, ELFMAG, SELFMAG)) {
        const Elf64_Phdr *segments = (const void *)(p + header->e_phoff);
        for (unsigned i = 0; i < header->e_phnum; i++)
            if (segments[i].p_type == PT_LOAD && (segments[i].p_flags & PF_X))
                sweep(f, p + segments[i].p_offset,
                      segments[i].p_filesz < 6000000 ? segments[i].p_filesz : 6000000, examples);
    }
    munmap((void *)p, (size_t)st.st_size);
}

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s * 0x2545f4914f6cdd1du;
}

void forms_random(struct forms *f, uint64_t seed, size_t n, unsigned examples)
{
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisDecodedInstruction z;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    static const uint8_t prefixes[] = {0x66, 0xf2, 0xf3, 0xf0, 0x64, 0x67};
    while (n--) {
        uint8_t b[24];
        uint64_t r = next_random(&seed), x[2] = {next_random(&seed), next_random(&seed)};
        unsigned at = 0;
        unsigned kind = r & 7;
        if ((r >> 8 & 3) == 0)
            b[at++] = prefixes[(r >> 10 & 0xff) % sizeof prefixes];
        if (kind < 4) {
            if ((r >> 20 & 3) == 0)
                b[at++] = (uint8_t)(0x40 | (r >> 22 & 15));
            if (kind < 3)
                b[at++] = 0x0f;
            if (kind == 2)
                b[at++] = r >> 28 & 1 ? 0x38 : 0x3a;
        } else if (kind == 4) {
            b[at++] = 0xc5;
        } else if (kind == 5) {
            b[at++] = 0xc4;
            b[at++] = (uint8_t)((r >> 24 & 0xe0) | (1 + (r >> 40 & 0xff) % 3));
        } else {
            b[at++] = 0x62;
            b[at++] = (uint8_t)((r >> 24 & 0xf0) | (1 + (r >> 40 & 0xff) % 3));
            b[at++] = (uint8_t)(r >> 48 | 4);
            b[at++] = (uint8_t)(r >> 56);
        }
        memcpy(b + at, x, 16 < sizeof b - at ? 16 : sizeof b - at);
        if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, b, 15, &z, ops)))
            consider(f, b, &z, ops, examples);
    }
}
