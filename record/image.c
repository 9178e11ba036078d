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

/** Where the function that holds an address begins: .eh_frame_hdr, LSB Core 5.0, 10.6.2; the one form that linkers write. */
static bool function_start(const struct image *f, uint64_t address, uint64_t *ret)
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
        if (n > (p->p_filesz - 12) / 8)
            return false;
        uint32_t low = 0, high = n;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            int32_t start;
            memcpy(&start, table + 12 + middle * 8, 4);
            if (p->p_vaddr + (uint64_t)(int64_t)start <= address)
                low = middle + 1;
            else
                high = middle;
        }
        if (!low)
            return false;
        int32_t start;
        memcpy(&start, table + 12 + (low - 1) * 8, 4);
        *ret = p->p_vaddr + (uint64_t)(int64_t)start;
        return true;
    }
    return false;
}

bool image_function(const struct image *f, uint64_t offset, uint64_t *ret)
{
    uint64_t address, start;
    if (!address_of(f, offset, &address) || !function_start(f, address, &start) ||
        address - start > 1u << 20 || address - start > offset)
        return false;
    *ret = offset - (address - start);
    return true;
}
