/**
 * An ELF file in memory.
 *
 * PURPOSE  Sections (decompressed when asked for), segments, build-id; every offset checked.
 * NOT      Symbols (symbols.c), DWARF (dwarf.h).
 * OWNS     The mapping and whatever was decompressed.
 * CONTEXT  Private to debuginfo/.
 * FORMAT   gABI chapters 4 and 5; .zdebug_* is "ZLIB", size as 8 bytes big-endian, a zlib stream.
 */
#ifndef URD_DEBUGINFO_ELF_H
#define URD_DEBUGINFO_ELF_H
#include "base/buf.h"
#include <elf.h>

struct urd_span {
    const uint8_t *data;
    size_t size; /* bytes */
};

struct urd_section {
    const char *name;
    Elf64_Shdr h;
    bool loaded;
    struct urd_span bytes;
    uint8_t *inflated;
};

struct urd_elf {
    char *path;
    uint8_t *data; /* mapped read-only */
    size_t size;
    Elf64_Ehdr h;
    struct urd_section *sections;
    size_t n_sections;
    Elf64_Phdr *segments;
    size_t n_segments;
    char build_id[129]; /* hex */
};

URD_MUST_USE urd_err *urd_debuginfo_elf_open(const char *path, struct urd_elf *ret);
void urd_debuginfo_elf_close(struct urd_elf *e);
struct urd_section *urd_debuginfo_elf_section(struct urd_elf *e, const char *name);
/** Bytes of a section, decompressed; empty when it has none or is damaged. s may be NULL. */
struct urd_span urd_debuginfo_elf_bytes(struct urd_elf *e, struct urd_section *s);
/** By name, or its .zdebug_ spelling. */
struct urd_span urd_debuginfo_elf_named(struct urd_elf *e, const char *name);
/** A NUL-terminated text at an offset of a span, or NULL. */
const char *urd_debuginfo_span_text(struct urd_span s, uint64_t offset);

#endif
