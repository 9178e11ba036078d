#include "debuginfo/elf.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

const char *urd_debuginfo_span_text(struct urd_span s, uint64_t offset)
{
    if (offset >= s.size || !memchr(s.data + offset, 0, s.size - offset))
        return NULL;
    return (const char *)s.data + offset;
}

static struct urd_span file_span(const struct urd_elf *e, uint64_t offset, uint64_t size)
{
    if (offset > e->size || size > e->size - offset)
        return (struct urd_span){0};
    return (struct urd_span){e->data + offset, size};
}

static void read_build_id(struct urd_elf *e, struct urd_span notes)
{
    struct urd_cursor c = urd_cursor(notes.data, notes.size);
    while (urd_cursor_left(&c) >= 12) {
        uint32_t name_size = urd_cursor_u32(&c), size = urd_cursor_u32(&c);
        uint32_t type = urd_cursor_u32(&c);
        const uint8_t *name = urd_cursor_bytes(&c, ((uint64_t)name_size + 3) & ~3ull);
        size_t left = urd_cursor_left(&c), padded = ((uint64_t)size + 3) & ~3ull;
        const uint8_t *id = urd_cursor_bytes(&c, padded < left ? padded : left);
        if (!c.ok || size > left)
            return;
        if (type == NT_GNU_BUILD_ID && name_size == 4 && name && !memcmp(name, "GNU", 4)) {
            for (size_t i = 0; i < size && i < 64; i++)
                snprintf(e->build_id + 2 * i, 3, "%02x", id[i]);
            return;
        }
    }
}

static void read_tables(struct urd_elf *e)
{
    struct urd_span ph = file_span(e, e->h.e_phoff, (uint64_t)e->h.e_phnum * sizeof(Elf64_Phdr));
    if (e->h.e_phentsize == sizeof(Elf64_Phdr) && ph.size) {
        e->n_segments = e->h.e_phnum;
        e->segments = urd_xcalloc(e->n_segments, sizeof *e->segments);
        memcpy(e->segments, ph.data, ph.size);
    }
    uint64_t n = e->h.e_shnum;
    struct urd_span first = file_span(e, e->h.e_shoff, sizeof(Elf64_Shdr));
    if (e->h.e_shoff && e->h.e_shentsize == sizeof(Elf64_Shdr) && first.size) {
        Elf64_Shdr zero;
        memcpy(&zero, first.data, sizeof zero);
        if (!n)
            n = zero.sh_size; /* more than 0xff00 sections */
        uint64_t names = e->h.e_shstrndx == SHN_XINDEX ? zero.sh_link : e->h.e_shstrndx;
        if (n > (e->size - e->h.e_shoff) / sizeof(Elf64_Shdr))
            n = (e->size - e->h.e_shoff) / sizeof(Elf64_Shdr);
        e->n_sections = n;
        e->sections = urd_xcalloc(n, sizeof *e->sections);
        struct urd_span text = {0};
        for (size_t i = 0; i < n; i++)
            memcpy(&e->sections[i].h, first.data + i * sizeof(Elf64_Shdr), sizeof(Elf64_Shdr));
        if (names < n)
            text = file_span(e, e->sections[names].h.sh_offset, e->sections[names].h.sh_size);
        for (size_t i = 0; i < n; i++) {
            const char *name = urd_debuginfo_span_text(text, e->sections[i].h.sh_name);
            e->sections[i].name = name ? name : "";
        }
    }
    for (size_t i = 0; i < e->n_sections && !e->build_id[0]; i++)
        if (e->sections[i].h.sh_type == SHT_NOTE)
            read_build_id(e, file_span(e, e->sections[i].h.sh_offset, e->sections[i].h.sh_size));
    for (size_t i = 0; i < e->n_segments && !e->build_id[0]; i++)
        if (e->segments[i].p_type == PT_NOTE)
            read_build_id(e, file_span(e, e->segments[i].p_offset, e->segments[i].p_filesz));
}

urd_err *urd_debuginfo_elf_open(const char *path, struct urd_elf *ret)
{
    URD_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st))
        URD_FAIL_ERRNO("cannot open %s", path);
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(Elf64_Ehdr))
        URD_FAIL("%s is not an ELF file", path);
    struct urd_elf e = {.size = (size_t)st.st_size};
    e.data = mmap(NULL, e.size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (e.data == MAP_FAILED)
        URD_FAIL_ERRNO("cannot map %s", path);
    memcpy(&e.h, e.data, sizeof e.h);
    if (memcmp(e.h.e_ident, ELFMAG, SELFMAG) || e.h.e_ident[EI_CLASS] != ELFCLASS64 ||
        e.h.e_ident[EI_DATA] != ELFDATA2LSB || e.h.e_machine != EM_X86_64) {
        munmap(e.data, e.size);
        URD_FAIL("%s is not an x86-64 ELF file", path);
    }
    e.path = urd_xprintf("%s", path);
    read_tables(&e);
    *ret = e;
    return NULL;
}

void urd_debuginfo_elf_close(struct urd_elf *e)
{
    for (size_t i = 0; i < e->n_sections; i++)
        free(e->sections[i].inflated);
    free(e->sections);
    free(e->segments);
    if (e->data)
        munmap(e->data, e->size);
    free(e->path);
    *e = (struct urd_elf){0};
}

struct urd_section *urd_debuginfo_elf_section(struct urd_elf *e, const char *name)
{
    for (size_t i = 0; i < e->n_sections; i++)
        if (!strcmp(e->sections[i].name, name))
            return &e->sections[i];
    return NULL;
}

static void inflate_section(struct urd_section *s, struct urd_span in, uint64_t size, bool zstd)
{
    /* zlib cannot do better than 1032:1; a size beyond that is a lie */
    if (size / 1100 > in.size || !size)
        return;
    uint8_t *out = calloc(1, size);
    if (!out)
        return;
    uLongf got = size;
    bool ok;
    if (zstd) {
        size_t n = ZSTD_decompress(out, size, in.data, in.size);
        ok = !ZSTD_isError(n);
        got = n;
    } else {
        ok = uncompress(out, &got, in.data, in.size) == Z_OK;
    }
    if (!ok) {
        free(out);
        return;
    }
    s->inflated = out;
    s->bytes = (struct urd_span){out, got};
}

struct urd_span urd_debuginfo_elf_bytes(struct urd_elf *e, struct urd_section *s)
{
    if (!s || s->h.sh_type == SHT_NOBITS)
        return (struct urd_span){0};
    if (s->loaded)
        return s->bytes;
    s->loaded = true;
    struct urd_span raw = file_span(e, s->h.sh_offset, s->h.sh_size);
    if ((s->h.sh_flags & SHF_COMPRESSED) && raw.size >= sizeof(Elf64_Chdr)) {
        Elf64_Chdr h;
        memcpy(&h, raw.data, sizeof h);
        raw.data += sizeof h;
        raw.size -= sizeof h;
        if (h.ch_type == ELFCOMPRESS_ZLIB || h.ch_type == 2)
            inflate_section(s, raw, h.ch_size, h.ch_type == 2);
    } else if (!strncmp(s->name, ".zdebug_", 8) && raw.size > 12 && !memcmp(raw.data, "ZLIB", 4)) {
        uint64_t size;
        memcpy(&size, raw.data + 4, 8);
        raw.data += 12;
        raw.size -= 12;
        inflate_section(s, raw, __builtin_bswap64(size), false);
    } else {
        s->bytes = raw;
    }
    return s->bytes;
}

struct urd_span urd_debuginfo_elf_named(struct urd_elf *e, const char *name)
{
    struct urd_section *s = urd_debuginfo_elf_section(e, name);
    char z[64];
    if (!s && !strncmp(name, ".debug_", 7)) {
        snprintf(z, sizeof z, ".z%s", name + 1);
        s = urd_debuginfo_elf_section(e, z);
    }
    return urd_debuginfo_elf_bytes(e, s);
}
