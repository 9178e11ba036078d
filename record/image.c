#include "record/image.h"
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static bool read_headers(const uint8_t *data, size_t size, struct image *ret)
{
    const Elf64_Ehdr *h = (const Elf64_Ehdr *)data;
    if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_phoff > size ||
        h->e_phentsize != sizeof(Elf64_Phdr) ||
        h->e_phnum > (size - h->e_phoff) / sizeof(Elf64_Phdr))
        return false;
    *ret = (struct image){data, size, (const Elf64_Phdr *)(data + h->e_phoff), h->e_phnum};
    return true;
}

bool image_open(int fd, struct image *ret)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size < (off_t)sizeof(Elf64_Ehdr))
        return false;
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return false;
    if (read_headers(data, (size_t)st.st_size, ret))
        return true;
    munmap(data, (size_t)st.st_size);
    return false;
}

void image_close(struct image *f)
{
    munmap((void *)f->data, f->size);
}

static bool address_of(const struct image *f, uint64_t offset, uint64_t *ret)
{
    for (unsigned i = 0; i < f->n_headers; i++) {
        const Elf64_Phdr *p = &f->headers[i];
        if (p->p_type != PT_LOAD || offset < p->p_offset || offset >= p->p_offset + p->p_filesz)
            continue;
        *ret = p->p_vaddr + (offset - p->p_offset);
        return true;
    }
    return false;
}

/** Where functions begin: n + 1 entries of 8 bytes or n, each with a distance to base in its first four; sorted. */
struct functions {
    const uint8_t *entries;
    uint32_t n;
    uint64_t base;
};

static uint64_t start_of(const struct functions *t, uint32_t i)
{
    int32_t distance;
    memcpy(&distance, t->entries + (size_t)i * 8, 4);
    return t->base + (uint64_t)(int64_t)distance;
}

/** Unwind information: .eh_frame_hdr, LSB Core 5.0, 10.6.2; the one form that linkers write. */
static bool find_unwind_table(const struct image *f, struct functions *ret)
{
    for (unsigned i = 0; i < f->n_headers; i++) {
        const Elf64_Phdr *p = &f->headers[i];
        if (p->p_type != PT_GNU_EH_FRAME || p->p_offset > f->size || p->p_filesz < 12 ||
            p->p_filesz > f->size - p->p_offset)
            continue;
        const uint8_t *table = f->data + p->p_offset;
        if (table[0] != 1 || table[1] != 0x1b || table[2] != 0x03 || table[3] != 0x3b)
            return false;
        uint32_t n;
        memcpy(&n, table + 8, 4);
        *ret = (struct functions){table + 12, n, p->p_vaddr};
        return n <= (p->p_filesz - 12) / 8;
    }
    return false;
}

static bool is_code(const struct image *f, uint64_t address)
{
    for (unsigned i = 0; i < f->n_headers; i++) {
        const Elf64_Phdr *p = &f->headers[i];
        if (p->p_type == PT_LOAD && p->p_flags & PF_X && address - p->p_vaddr < p->p_filesz)
            return true;
    }
    return false;
}

static bool find_section(const struct image *f, const char *name, Elf64_Shdr *ret)
{
    const Elf64_Ehdr *h = (const Elf64_Ehdr *)f->data;
    Elf64_Shdr names;
    if (h->e_shentsize != sizeof names || h->e_shoff > f->size || h->e_shstrndx >= h->e_shnum ||
        h->e_shnum > (f->size - h->e_shoff) / sizeof names)
        return false;
    memcpy(&names, f->data + h->e_shoff + h->e_shstrndx * sizeof names, sizeof names);
    for (unsigned i = 0; i < h->e_shnum; i++) {
        memcpy(ret, f->data + h->e_shoff + i * sizeof *ret, sizeof *ret);
        uint64_t at = names.sh_offset + ret->sh_name;
        if (at < f->size && f->size - at > strlen(name) &&
            strcmp((const char *)f->data + at, name) == 0)
            return ret->sh_type == SHT_PROGBITS && ret->sh_offset <= f->size &&
                   ret->sh_size <= f->size - ret->sh_offset;
    }
    return false;
}

/** Go's table of functions, of Go 1.18 and of 1.20 (src/debug/gosym/pclntab.go): the header's words, then 32-bit distances. */
static bool find_go_table(const struct image *f, struct functions *ret)
{
    Elf64_Shdr s;
    struct {
        uint32_t magic;
        uint8_t zero[2], quantum, pointer_bytes;
        uint64_t n_functions, n_files, text, names, units, files, values, functions;
    } h;
    if (!find_section(f, ".gopclntab", &s) || s.sh_size < sizeof h)
        return false;
    memcpy(&h, f->data + s.sh_offset, sizeof h);
    if ((h.magic != 0xfffffff0 && h.magic != 0xfffffff1) || h.quantum != 1 ||
        h.pointer_bytes != 8 || !is_code(f, h.text) || h.functions > s.sh_size ||
        h.n_functions > (s.sh_size - h.functions) / 8)
        return false;
    *ret = (struct functions){f->data + s.sh_offset + h.functions, (uint32_t)h.n_functions, h.text};
    return true;
}

/** The last one that begins at the address or before, and the one behind it; ~0: there is none. */
static bool search(const struct functions *t, uint64_t address, uint64_t *ret_start,
                   uint64_t *ret_next)
{
    uint32_t low = 0, high = t->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (start_of(t, middle) <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return false;
    *ret_start = start_of(t, low - 1);
    *ret_next = low < t->n ? start_of(t, low) : ~0ull;
    return true;
}

/** A program of Go that has C in it has both tables, each of its own functions: the nearest one is meant. */
static bool find_function(const struct image *f, uint64_t address, uint64_t *ret_start,
                          uint64_t *ret_next)
{
    struct functions table;
    uint64_t start, next;
    bool found = find_unwind_table(f, &table) && search(&table, address, ret_start, ret_next);
    if (!find_go_table(f, &table) || !search(&table, address, &start, &next))
        return found;
    *ret_next = found && *ret_next < next ? *ret_next : next;
    *ret_start = found && *ret_start > start ? *ret_start : start;
    return true;
}

bool image_neighbours(const struct image *f, uint64_t offset, uint64_t *ret_start,
                      uint64_t *ret_next)
{
    uint64_t address, start, next, last;
    if (!address_of(f, offset, &address) || !find_function(f, address, &start, &next) ||
        address - start > 1u << 20 || address - start > offset || next <= address ||
        next - address > 1u << 20 || !address_of(f, offset + (next - address) - 1, &last) ||
        last != next - 1)
        return false;
    *ret_start = offset - (address - start);
    *ret_next = offset + (next - address);
    return *ret_next <= f->size;
}

bool image_function(const struct image *f, uint64_t offset, uint64_t *ret)
{
    uint64_t address, start, next;
    if (!address_of(f, offset, &address) || !find_function(f, address, &start, &next) ||
        address - start > 1u << 20 || address - start > offset)
        return false;
    *ret = offset - (address - start);
    return true;
}
