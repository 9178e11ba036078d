#include "debuginfo/entry_value.h"
#include "debuginfo/cfi.h"

/** The call site in a function (its handle) that returns to address, or false. */
static bool find_call_site(struct urd_unit *u, uint64_t function, uint64_t address,
                           struct urd_die *ret)
{
    struct urd_die die;
    if (!urd_debuginfo_die_at(u->dwarf, function, &die))
        return false;
    uint64_t at = die.offset;
    for (unsigned depth = 0; at < u->end;) {
        if (!urd_debuginfo_die_read(u, at, &die)) {
            if (u->base[at] || !depth || !--depth)
                return false;
            at++;
            continue;
        }
        struct urd_attr_reader r;
        struct urd_attr a;
        unsigned tag = die.abbrev->tag;
        bool hit = false;
        urd_debuginfo_attrs_init(&die, &r);
        while (urd_debuginfo_attrs_next(&r, &a))
            hit |= (a.name == DW_AT_call_return_pc || a.name == DW_AT_low_pc) &&
                   a.class == URD_ATTR_ADDRESS && a.u == address;
        if (hit && (tag == DW_TAG_call_site || tag == DW_TAG_GNU_call_site)) {
            *ret = die;
            return true;
        }
        if (!r.at.ok)
            return false;
        at = (uint64_t)(r.at.at - u->base);
        depth += die.abbrev->children;
        if (!depth)
            return false;
    }
    return false;
}

/** Whether a call site calls the function that we are in. gdb's rule: a caller that was left by a
 *  tail call must not be believed. */
static bool calls(struct urd_module *m, const struct urd_die *site, struct urd_location_context *x,
                  const struct urd_frame *caller, uint64_t bias, uint64_t entry)
{
    struct urd_attr a;
    if (urd_debuginfo_die_attr(site, DW_AT_call_origin, &a) ||
        urd_debuginfo_die_attr(site, DW_AT_abstract_origin, &a)) {
        if (a.class != URD_ATTR_REFERENCE)
            return false;
        struct urd_die target, function;
        if (m == x->m && urd_debuginfo_die_at(x->unit->dwarf, x->function, &function)) {
            struct urd_attr origin;
            if (a.u == x->function ||
                (urd_debuginfo_die_attr(&function, DW_AT_abstract_origin, &origin) &&
                 origin.u == a.u) ||
                (urd_debuginfo_die_attr(&function, DW_AT_specification, &origin) &&
                 origin.u == a.u))
                return true;
        }
        if (!urd_debuginfo_die_at(&m->dwarf, a.u, &target) ||
            (!urd_debuginfo_die_attr_inherited(&target, DW_AT_linkage_name, &a) &&
             !urd_debuginfo_die_attr_inherited(&target, DW_AT_name, &a)))
            return false;
        const struct urd_symbol *s = urd_debuginfo_symbol_named(x->m, a.string ? a.string : "");
        return s && s->address == entry;
    }
    struct urd_span e;
    uint64_t v;
    struct urd_unit *u = site->unit;
    struct urd_location_context y = {m, u, caller, bias, 0, NULL, false};
    if (!urd_debuginfo_die_attr(site, DW_AT_call_target, &a) &&
        !urd_debuginfo_die_attr(site, DW_AT_GNU_call_site_target, &a))
        return false;
    e = a.block;
    return a.class == URD_ATTR_BLOCK && urd_debuginfo_location_number(&y, e, &v) &&
           v == entry + x->bias;
}

/** What a call site says: of a register, which is an expression of one byte, or of a parameter (its handle) that is not passed. */
struct wanted {
    uint8_t reg;
    uint64_t parameter;
};

static bool is_wanted(const struct urd_die *die, const struct wanted *w)
{
    struct urd_attr a;
    if (w->parameter)
        return (urd_debuginfo_die_attr(die, DW_AT_call_parameter, &a) ||
                urd_debuginfo_die_attr(die, DW_AT_abstract_origin, &a)) &&
               a.class == URD_ATTR_REFERENCE && a.u == w->parameter;
    return urd_debuginfo_die_attr(die, DW_AT_location, &a) && a.block.size == 1 &&
           a.block.data[0] == w->reg;
}

/** f: the function that we are in. */
static bool at_call_site(struct urd_location_context *x, const struct urd_function *f,
                         const struct wanted *w, uint64_t *ret)
{
    struct urd_caller *caller = urd_xcalloc(1, sizeof *caller);
    struct urd_place p;
    bool ok = false;
    if (urd_debuginfo_unwind(x->frame, caller) &&
        urd_debuginfo_image_find(x->frame->image, caller->frame.pc - 1, &p)) {
        struct urd_unit *u = urd_debuginfo_unit_at(p.module, p.address);
        const struct urd_function *g = u ? urd_debuginfo_function_at(p.module, p.address) : NULL;
        struct urd_die site, child;
        struct urd_attr a;
        if (g && g->die && find_call_site(u, g->die, p.address + 1, &site) &&
            calls(p.module, &site, x, &caller->frame, p.bias, f->entry))
            for (bool more = urd_debuginfo_die_child(&site, &child); more && !ok;
                 more = urd_debuginfo_die_sibling(&child, &child)) {
                if (!is_wanted(&child, w))
                    continue;
                if (!urd_debuginfo_die_attr(&child, DW_AT_call_value, &a) &&
                    !urd_debuginfo_die_attr(&child, DW_AT_GNU_call_site_value, &a))
                    break;
                struct urd_location_context y = {p.module, u,    &caller->frame, p.bias,
                                                 g->die,   NULL, false};
                ok = a.class == URD_ATTR_BLOCK && urd_debuginfo_location_number(&y, a.block, ret);
                break;
            }
    }
    free(caller);
    return ok;
}

bool urd_debuginfo_entry_value(struct urd_location_context *x, struct urd_span expression,
                               uint64_t *ret)
{
    if (!expression.size || !x->unit || x->frame->no_registers)
        return false;
    unsigned reg = expression.data[0] - DW_OP_reg0;
    uint64_t pc = x->frame->pc - x->frame->is_caller - x->bias;
    const struct urd_function *f = urd_debuginfo_function_at(x->m, pc);
    if (reg > 31 || expression.size != 1 || !f)
        return false;
    if (pc == f->entry && !x->frame->is_caller && x->frame->read_register && reg < 17)
        return x->frame->read_register(x->frame->data, reg, ret);
    return at_call_site(x, f, &(struct wanted){.reg = expression.data[0]}, ret);
}

bool urd_debuginfo_parameter_value(struct urd_location_context *x, uint64_t parameter,
                                   uint64_t *ret)
{
    if (!x->unit || x->frame->no_registers)
        return false;
    const struct urd_function *f =
        urd_debuginfo_function_at(x->m, x->frame->pc - x->frame->is_caller - x->bias);
    return f && at_call_site(x, f, &(struct wanted){.parameter = parameter}, ret);
}

/* ---- thread-local storage ---- */

static bool static_offset(struct urd_module *m, uint64_t *ret)
{
    for (size_t i = 0; i < m->elf.n_segments; i++) {
        const Elf64_Phdr *p = &m->elf.segments[i];
        if (p->p_type != PT_TLS)
            continue;
        uint64_t align = p->p_align ? p->p_align : 1;
        if (align & (align - 1))
            return false;
        uint64_t first = (0 - (p->p_vaddr & (align - 1))) & (align - 1); /* glibc, dl-tls.c */
        *ret = ((p->p_memsz - first + align - 1) & ~(align - 1)) + first;
        return true;
    }
    return false;
}

bool urd_debuginfo_tls_address(struct urd_module *m, uint64_t bias, const struct urd_frame *frame,
                               uint64_t offset, uint64_t *ret)
{
    uint64_t fs = frame->fs_base, v = 0, dtv = 0;
    if (!fs && (frame->no_registers || !frame->read_register ||
                !frame->read_register(frame->data, URD_DW_FS_BASE, &fs)))
        return false;
    if (!fs)
        return false;
    if (urd_debuginfo_module_is_executable(m)) {
        if (!static_offset(m, &v))
            return false;
        *ret = fs - v + offset;
        return true;
    }
    /* A library: what the dynamic linker wrote into its GOT tells. A TPOFF64 slot is an offset
     * from fs; a DTPMOD64 slot is the module's number, an index of the dtv. */
    struct urd_span r = urd_debuginfo_elf_named(&m->elf, ".rela.dyn");
    struct urd_span syms = urd_debuginfo_elf_named(&m->elf, ".dynsym");
    for (size_t i = 0; i + sizeof(Elf64_Rela) <= r.size; i += sizeof(Elf64_Rela)) {
        Elf64_Rela a;
        Elf64_Sym y = {.st_shndx = 1};
        memcpy(&a, r.data + i, sizeof a);
        unsigned type = ELF64_R_TYPE(a.r_info);
        uint64_t sym = ELF64_R_SYM(a.r_info);
        if (type != R_X86_64_TPOFF64 && type != R_X86_64_DTPMOD64)
            continue;
        if (sym && sym < syms.size / sizeof y)
            memcpy(&y, syms.data + sym * sizeof y, sizeof y);
        if (y.st_shndx == SHN_UNDEF || !frame->read_memory(frame->data, bias + a.r_offset, &v, 8) ||
            !v)
            continue;
        if (type == R_X86_64_TPOFF64) {
            *ret = fs + v - ((sym ? y.st_value : 0) + (uint64_t)a.r_addend) + offset;
            return true;
        }
        if (v < 4096 && frame->read_memory(frame->data, fs + 8, &dtv, 8) &&
            frame->read_memory(frame->data, dtv + 16 * v, &v, 8) && v != UINT64_MAX && v) {
            *ret = v + offset;
            return true;
        }
    }
    return false;
}
