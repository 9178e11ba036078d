/*
 * The decoder against another one: every instruction form of real binaries must have the same length in
 * Zydis and in capstone, where capstone knows it. Prints what the translator leaves to the tool.
 */
#include "base/buf.h"
#include "tests/translate_forms.h"
#include "translate/internal.h"
#include <capstone/capstone.h>
#include <stdio.h>

int main(void)
{
    static const char *const binaries[] = {"/bin/bash",
                                           "/lib/x86_64-linux-gnu/libc.so.6",
                                           "/usr/bin/python3",
                                           "/bin/busybox",
                                           "/usr/lib/gcc/x86_64-linux-gnu/12/cc1",
                                           "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
                                           "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
                                           "/lib/x86_64-linux-gnu/libm.so.6"};
    struct forms f = {0};
    for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++)
        forms_harvest(&f, binaries[i], 3);
    csh capstone;
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &capstone))
        return 2;
    cs_insn *text = cs_malloc(capstone);
    unsigned long unknown = 0, different = 0, stepped = 0;
    static unsigned by_mnemonic[ZYDIS_MNEMONIC_MAX_VALUE + 1];
    for (size_t i = 0; i < f.n; i++) {
        struct insn in;
        if (!urd_insn_decode(f.list[i].bytes, f.list[i].length, 0x1000, 0, &in))
            continue;
        if (in.kind == INSN_STEP) {
            stepped++;
            by_mnemonic[in.z.mnemonic]++;
        }
        const uint8_t *code = f.list[i].bytes;
        size_t size = 15;
        uint64_t address = 0x1000;
        if (!cs_disasm_iter(capstone, &code, &size, &address, text)) {
            unknown++;
        } else if (text->size != in.length) {
            different++;
            printf("zydis %u %s, capstone %u %s %s:", in.length,
                   ZydisMnemonicGetString(in.z.mnemonic), text->size, text->mnemonic, text->op_str);
            for (unsigned k = 0; k < in.length; k++)
                printf(" %02x", f.list[i].bytes[k]);
            puts("");
        }
    }
    printf("%zu forms, %lu unknown to capstone, %lu of different length; %lu left to the tool:",
           f.n, unknown, different, stepped);
    for (unsigned m = 0; m <= ZYDIS_MNEMONIC_MAX_VALUE; m++)
        if (by_mnemonic[m])
            printf(" %s %u", ZydisMnemonicGetString((ZydisMnemonic)m), by_mnemonic[m]);
    puts("");
    return 0;
}
