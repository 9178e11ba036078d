#include "replay/disassemble.h"
#include "base/late.h"

static struct {
    __typeof__(cs_open) *open;
    __typeof__(cs_close) *close;
    __typeof__(cs_option) *option;
    __typeof__(cs_disasm) *disasm;
    __typeof__(cs_free) *free;
} cs;

static urd_err *load(void)
{
    const struct urd_late functions[] = {{"cs_open", &cs.open},
                                         {"cs_close", &cs.close},
                                         {"cs_option", &cs.option},
                                         {"cs_disasm", &cs.disasm},
                                         {"cs_free", &cs.free}};
    return urd_late_load(URD_CAPSTONE_SONAME, functions, sizeof functions / sizeof *functions);
}

urd_err *urd_disassemble(const uint8_t *code, size_t size, uint64_t address, size_t most,
                         cs_insn **ret, size_t *ret_n)
{
    csh handle;
    URD_TRY(load());
    if (cs.open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK)
        URD_FAIL("cannot begin to disassemble");
    cs.option(handle, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
    cs_insn *insns = NULL;
    size_t n = size ? cs.disasm(handle, code, size, address, most, &insns) : 0;
    cs.close(&handle);
    *ret = n ? insns : NULL;
    *ret_n = n;
    return NULL;
}

void urd_disassembly_free(cs_insn *insns, size_t n)
{
    if (insns)
        cs.free(insns, n);
}
