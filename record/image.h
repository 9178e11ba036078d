/**
 * The code of a mapped ELF file: where functions begin, what their instructions are.
 *
 * PURPOSE  Say whether bytes of a file are an instruction, by decoding from the start of the function that has them.
 * NOT      Symbols or debug information (debuginfo/): stripped files have to do. Unwind information, or Go's table, tells.
 */
#ifndef URD_RECORD_IMAGE_H
#define URD_RECORD_IMAGE_H
#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image {
    const uint8_t *data;
    size_t size;
    const Elf64_Phdr *headers;
    unsigned n_headers;
};

/** Map a file for looking at it; false when it is no ELF file of this machine. */
bool image_open(int fd, struct image *ret);
void image_close(struct image *f);
/** Where the function begins that holds the byte at `offset`; both are offsets in the file. False: there is no unwind information. */
bool image_function(const struct image *f, uint64_t offset, uint64_t *ret);
/** ... and where the next one begins; both are in one segment. False: that is not known. */
bool image_neighbours(const struct image *f, uint64_t offset, uint64_t *ret_start,
                      uint64_t *ret_next);
#endif
