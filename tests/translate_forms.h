/**
 * Instruction forms to test: from real binaries, and from random bytes.
 *
 * PURPOSE  A list without repetition: one or two examples of each (mnemonic, encoding, operand kinds).
 */
#ifndef URD_TESTS_TRANSLATE_FORMS_H
#define URD_TESTS_TRANSLATE_FORMS_H
#include <stddef.h>
#include <stdint.h>

struct form {
    uint8_t bytes[15];
    uint8_t length;
};

struct forms {
    struct form *list;
    size_t n, capacity;
    void *seen;
};

/** Sweep the executable segments of an ELF file. Nothing when it cannot be read. */
void forms_harvest(struct forms *f, const char *path, unsigned examples);
/** Decode n random byte strings with plausible beginnings. */
void forms_random(struct forms *f, uint64_t seed, size_t n, unsigned examples);
#endif
