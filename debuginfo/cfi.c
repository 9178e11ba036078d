/*
 * Call frame information: LSB core 10.6 (.eh_frame), DWARF 5 section 6.4.
 * The table of FDEs is built once by walking the section; .eh_frame_hdr is not trusted.
 */
#include "debuginfo/private.h"
#include "debuginfo/cfi.h"

struct cie {
    uint64_t code_align;
    int64_t data_align;
    unsigned return_register;
    uint8_t encoding, lsda_encoding;
    bool signal, augmented;
    struct urd_span instructions;
};

static uint64_t read_encoded(struct urd_cursor *c, uint8_t encoding, uint64_t pc)
{
    uint64_t v = 0;
    if (encoding == 0xff)
        return 0;
    switch (encoding & 0x0f) {
    case DW_EH_PE_absptr:
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
        v = urd_cursor_u64(c);
        break;
    case DW_EH_PE_uleb128:
        v = urd_cursor_varint(c);
        break;
    case DW_EH_PE_udata2:
        v = urd_debuginfo_read_sized(c, 2);
        break;
    case DW_EH_PE_udata4:
        v = urd_cursor_u32(c);
        break;
    case DW_EH_PE_sleb128:
        v = (uint64_t)urd_debuginfo_read_sleb(c);
        break;
    case DW_EH_PE_sdata2:
        v = (uint64_t)(int16_t)urd_debuginfo_read_sized(c, 2);
        break;
    case DW_EH_PE_sdata4:
        v = (uint64_t)(int32_t)urd_cursor_u32(c);
        break;
    default:
        c->ok = false;
    }
    return (encoding & 0x70) == DW_EH_PE_pcrel ? v + pc : v;
}

/** Where the entry at *offset begins and ends; *id its CIE pointer. */
static bool entry_at(struct urd_span s, uint64_t *offset, struct urd_cursor *ret, uint64_t *id,
                     uint64_t *id_at, bool debug_frame)
{
    if (*offset >= s.size)
        return false;
    struct urd_cursor c = urd_cursor(s.data + *offset, s.size - *offset);
    uint64_t length = urd_cursor_u32(&c);
    bool wide = length == 0xffffffff;
    if (wide)
        length = urd_cursor_u64(&c);
    if (!c.ok || length > urd_cursor_left(&c) || (!length && !debug_frame))
        return false;
    c.end = c.at + length;
    *offset = (uint64_t)(c.end - s.data);
    *id_at = (uint64_t)(c.at - s.data);
    *id = wide && debug_frame ? urd_cursor_u64(&c) : urd_cursor_u32(&c);
    if (debug_frame && !wide && *id == 0xffffffff)
        *id = UINT64_MAX;
    *ret = c;
    return c.ok;
}

static bool read_cie(struct urd_module *m, bool debug_frame, uint64_t offset, struct cie *ret)
{
    struct urd_span s = debug_frame ? m->debug_frame : m->eh_frame;
    struct urd_cursor c;
    uint64_t id, id_at;
    if (!entry_at(s, &offset, &c, &id, &id_at, debug_frame) || id != (debug_frame ? UINT64_MAX : 0))
        return false;
    memset(ret, 0, sizeof *ret);
    ret->lsda_encoding = 0xff;
    unsigned version = urd_cursor_u8(&c);
    const uint8_t *end = memchr(c.at, 0, urd_cursor_left(&c));
    if (!end)
        return false;
    const char *augmentation = (const char *)c.at;
    c.at = end + 1;
    if (version >= 4) {
        urd_cursor_u8(&c);
        urd_cursor_u8(&c);
    }
    ret->code_align = urd_cursor_varint(&c);
    ret->data_align = urd_debuginfo_read_sleb(&c);
    ret->return_register = version == 1 ? urd_cursor_u8(&c) : (unsigned)urd_cursor_varint(&c);
    if (*augmentation == 'z') {
        uint64_t size = urd_cursor_varint(&c);
        const uint8_t *p = urd_cursor_bytes(&c, size);
        if (!p)
            return false;
        struct urd_cursor a = urd_cursor(p, size);
        ret->augmented = true;
        for (const char *k = augmentation + 1; *k; k++) {
            if (*k == 'R')
                ret->encoding = urd_cursor_u8(&a);
            else if (*k == 'L')
                ret->lsda_encoding = urd_cursor_u8(&a);
            else if (*k == 'P')
                read_encoded(&a, urd_cursor_u8(&a), 0);
            else if (*k == 'S')
                ret->signal = true;
        }
    }
    ret->instructions = (struct urd_span){c.at, urd_cursor_left(&c)};
    return c.ok;
}

static bool read_fde(struct urd_module *m, bool debug_frame, uint64_t offset, struct urd_fde *fde,
                     struct cie *cie, struct urd_span *instructions)
{
    struct urd_span s = debug_frame ? m->debug_frame : m->eh_frame;
    struct urd_cursor c;
    uint64_t id, id_at, start = offset;
    if (!entry_at(s, &offset, &c, &id, &id_at, debug_frame) || id == (debug_frame ? UINT64_MAX : 0))
        return false;
    if (!debug_frame && id > id_at)
        return false;
    if (!read_cie(m, debug_frame, debug_frame ? id : id_at - id, cie))
        return false;
    uint64_t pc = m->eh_frame_address + (uint64_t)(c.at - s.data);
    fde->low = read_encoded(&c, cie->encoding, pc);
    fde->high = fde->low + read_encoded(&c, cie->encoding & 0x0f, 0);
    fde->offset = start;
    fde->debug_frame = debug_frame;
    if (cie->augmented)
        urd_cursor_bytes(&c, urd_cursor_varint(&c));
    *instructions = (struct urd_span){c.at, urd_cursor_left(&c)};
    return c.ok;
}

static void walk(struct urd_module *m, bool debug_frame)
{
    struct urd_span s = debug_frame ? m->debug_frame : m->eh_frame;
    for (uint64_t at = 0; at < s.size;) {
        struct urd_cursor c;
        struct cie cie;
        struct urd_fde f;
        struct urd_span code;
        uint64_t start = at, id, id_at;
        if (!entry_at(s, &at, &c, &id, &id_at, debug_frame))
            break;
        if (read_fde(m, debug_frame, start, &f, &cie, &code) && f.low < f.high &&
            urd_debuginfo_module_is_code(m, f.low))
            URD_PUSH(m->fdes, m->n_fdes, m->cap_fdes) = f;
    }
}

static int compare(const void *a, const void *b)
{
    const struct urd_fde *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low;
}

void urd_debuginfo_module_fdes(struct urd_module *m)
{
    if (m->fdes_read)
        return;
    m->fdes_read = true;
    struct urd_section *s = urd_debuginfo_elf_section(&m->elf, ".eh_frame");
    m->eh_frame = urd_debuginfo_elf_bytes(&m->elf, s);
    m->eh_frame_address = s ? s->h.sh_addr : 0;
    walk(m, false);
    if (m->n_fdes)
        qsort(m->fdes, m->n_fdes, sizeof *m->fdes, compare);
}

/* ---- rows ---- */

enum rule { SAME, UNDEFINED, OFFSET, VALUE_OFFSET, REGISTER, EXPRESSION, VALUE_EXPRESSION };

struct row {
    unsigned cfa_register;
    int64_t cfa_offset;
    struct urd_span cfa_expression; /* data is NULL: register and offset */
    struct {
        enum rule rule;
        int64_t n;
        struct urd_span expression;
    } regs[17];
};

static void set_rule(struct row *r, uint64_t reg, enum rule rule, int64_t n)
{
    if (reg < 17) {
        r->regs[reg].rule = rule;
        r->regs[reg].n = n;
    }
}

static struct urd_span read_block(struct urd_cursor *c)
{
    uint64_t size = urd_cursor_varint(c);
    const uint8_t *p = urd_cursor_bytes(c, size);
    return (struct urd_span){p, p ? size : 0};
}

/** Run instructions until the row for address; initial is what restore goes back to. */
static void run(const struct cie *cie, struct urd_span code, uint64_t location, uint64_t address,
                const struct row *initial, struct row *r)
{
    struct urd_cursor c = urd_cursor(code.data, code.size);
    struct row stack[8];
    int depth = 0;
    while (c.ok && c.at < c.end && location <= address) {
        unsigned op = urd_cursor_u8(&c), low = op & 0x3f;
        uint64_t reg;
        struct row next = *r;
        uint64_t to = location;
        switch (op & 0xc0 ? op & 0xc0 : op) {
        case DW_CFA_advance_loc:
            to += low * cie->code_align;
            break;
        case DW_CFA_advance_loc1:
            to += urd_cursor_u8(&c) * cie->code_align;
            break;
        case DW_CFA_advance_loc2:
            to += urd_debuginfo_read_sized(&c, 2) * cie->code_align;
            break;
        case DW_CFA_advance_loc4:
            to += urd_cursor_u32(&c) * cie->code_align;
            break;
        case DW_CFA_set_loc:
            to = read_encoded(&c, cie->encoding, 0);
            break;
        case DW_CFA_offset:
            set_rule(&next, low, OFFSET,
                     (int64_t)(urd_cursor_varint(&c) * (uint64_t)cie->data_align));
            break;
        case DW_CFA_restore:
            if (low < 17)
                next.regs[low] = initial->regs[low];
            break;
        case DW_CFA_offset_extended:
            reg = urd_cursor_varint(&c);
            set_rule(&next, reg, OFFSET,
                     (int64_t)(urd_cursor_varint(&c) * (uint64_t)cie->data_align));
            break;
        case DW_CFA_offset_extended_sf:
            reg = urd_cursor_varint(&c);
            set_rule(&next, reg, OFFSET,
                     (int64_t)((uint64_t)urd_debuginfo_read_sleb(&c) * (uint64_t)cie->data_align));
            break;
        case DW_CFA_val_offset:
            reg = urd_cursor_varint(&c);
            set_rule(&next, reg, VALUE_OFFSET,
                     (int64_t)(urd_cursor_varint(&c) * (uint64_t)cie->data_align));
            break;
        case DW_CFA_val_offset_sf:
            reg = urd_cursor_varint(&c);
            set_rule(&next, reg, VALUE_OFFSET,
                     (int64_t)((uint64_t)urd_debuginfo_read_sleb(&c) * (uint64_t)cie->data_align));
            break;
        case DW_CFA_restore_extended:
            reg = urd_cursor_varint(&c);
            if (reg < 17)
                next.regs[reg] = initial->regs[reg];
            break;
        case DW_CFA_undefined:
            set_rule(&next, urd_cursor_varint(&c), UNDEFINED, 0);
            break;
        case DW_CFA_same_value:
            set_rule(&next, urd_cursor_varint(&c), SAME, 0);
            break;
        case DW_CFA_register:
            reg = urd_cursor_varint(&c);
            set_rule(&next, reg, REGISTER, (int64_t)urd_cursor_varint(&c));
            break;
        case DW_CFA_remember_state:
            if (depth < 8)
                stack[depth] = *r;
            depth++;
            break;
        case DW_CFA_restore_state:
            if (depth > 0 && --depth < 8)
                next = stack[depth];
            break;
        case DW_CFA_def_cfa:
            next.cfa_register = (unsigned)urd_cursor_varint(&c);
            next.cfa_offset = (int64_t)urd_cursor_varint(&c);
            next.cfa_expression.data = NULL;
            break;
        case DW_CFA_def_cfa_sf:
            next.cfa_register = (unsigned)urd_cursor_varint(&c);
            next.cfa_offset =
                (int64_t)((uint64_t)urd_debuginfo_read_sleb(&c) * (uint64_t)cie->data_align);
            next.cfa_expression.data = NULL;
            break;
        case DW_CFA_def_cfa_register:
            next.cfa_register = (unsigned)urd_cursor_varint(&c);
            next.cfa_expression.data = NULL;
            break;
        case DW_CFA_def_cfa_offset:
            next.cfa_offset = (int64_t)urd_cursor_varint(&c);
            break;
        case DW_CFA_def_cfa_offset_sf:
            next.cfa_offset =
                (int64_t)((uint64_t)urd_debuginfo_read_sleb(&c) * (uint64_t)cie->data_align);
            break;
        case DW_CFA_def_cfa_expression:
            next.cfa_expression = read_block(&c);
            break;
        case DW_CFA_expression:
        case DW_CFA_val_expression: {
            reg = urd_cursor_varint(&c);
            struct urd_span e = read_block(&c);
            set_rule(&next, reg, op == DW_CFA_expression ? EXPRESSION : VALUE_EXPRESSION, 0);
            if (reg < 17)
                next.regs[reg].expression = e;
            break;
        }
        case DW_CFA_nop:
            break;
        case DW_CFA_GNU_args_size:
            urd_cursor_varint(&c);
            break;
        default:
            return;
        }
        if (to > address || !c.ok)
            return;
        location = to;
        *r = next;
    }
}

static const struct urd_fde *search(const struct urd_module *m, uint64_t address)
{
    size_t lo = 0, hi = m->n_fdes;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (m->fdes[mid].low <= address)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (size_t steps = 0; lo-- > 0 && steps < 4; steps++)
        if (address < m->fdes[lo].high)
            return &m->fdes[lo];
    return NULL;
}

static const struct urd_fde *find_fde(struct urd_module *m, uint64_t address)
{
    urd_debuginfo_module_fdes(m);
    const struct urd_fde *f = search(m, address);
    if (f || m->debug_frame_read)
        return f;
    m->debug_frame_read = true; /* rare, and may have to be decompressed */
    m->debug_frame = urd_debuginfo_elf_named(urd_debuginfo_module_debug_file(m), ".debug_frame");
    walk(m, true);
    if (m->n_fdes)
        qsort(m->fdes, m->n_fdes, sizeof *m->fdes, compare);
    return search(m, address);
}

struct unwinding {
    struct row row;
    struct cie cie;
    struct urd_location_context context;
    uint64_t cfa;
};

/** A module's row that was looked for last: frames are asked about several times. */
struct found_row {
    uint64_t address;
    struct row row;
    struct cie cie;
};

static bool find_cfa(const struct urd_frame *frame, const struct urd_place *p, struct unwinding *w)
{
    w->context = (struct urd_location_context){p->module, NULL, frame, p->bias, 0, NULL, false};
    if (w->row.cfa_expression.data)
        return urd_debuginfo_location_number(&w->context, w->row.cfa_expression, &w->cfa);
    if (!frame->read_register || !frame->read_register(frame->data, w->row.cfa_register, &w->cfa))
        return false;
    w->cfa += (uint64_t)w->row.cfa_offset;
    return true;
}

static bool find_row(const struct urd_frame *frame, struct unwinding *w)
{
    struct urd_place p;
    if (!frame->image || !urd_debuginfo_image_find(frame->image, frame->pc - frame->is_caller, &p))
        return false;
    const struct urd_fde *f = find_fde(p.module, p.address);
    struct urd_fde again;
    struct urd_span code;
    const struct found_row *last = p.module->last_row;
    if (!f)
        return false;
    if (last && last->address == p.address) {
        w->row = last->row;
        w->cie = last->cie;
        return find_cfa(frame, &p, w);
    }
    if (!read_fde(p.module, f->debug_frame, f->offset, &again, &w->cie, &code))
        return false;
    memset(&w->row, 0, sizeof w->row);
    /* psABI: what a callee need not keep is unknown to the caller's frame */
    static const uint8_t lost[] = {0, 1, 2, 4, 5, 8, 9, 10, 11};
    for (size_t i = 0; i < sizeof lost; i++)
        w->row.regs[lost[i]].rule = UNDEFINED;
    struct row zero = w->row;
    run(&w->cie, w->cie.instructions, 0, 0, &zero, &w->row);
    struct row initial = w->row;
    run(&w->cie, code, f->low, p.address, &initial, &w->row);
    if (!p.module->last_row)
        p.module->last_row = urd_xcalloc(1, sizeof *p.module->last_row);
    *p.module->last_row = (struct found_row){p.address, w->row, w->cie};
    return find_cfa(frame, &p, w);
}

bool urd_debuginfo_cfa(const struct urd_frame *frame, uint64_t *ret)
{
    struct unwinding w;
    if (!find_row(frame, &w))
        return false;
    *ret = w.cfa;
    return true;
}

/* ---- the caller ---- */

static bool caller_memory(void *data, uint64_t address, void *buf, size_t size)
{
    const struct urd_caller *c = data;
    return c->inner->read_memory(c->inner->data, address, buf, size);
}

static bool caller_register(void *data, unsigned reg, uint64_t *ret)
{
    const struct urd_caller *c = data;
    if (reg >= 17)
        return (reg == URD_DW_FS_BASE || reg == URD_DW_GS_BASE) &&
               c->inner->read_register(c->inner->data, reg, ret);
    if (!(c->known >> reg & 1))
        return false;
    *ret = c->registers[reg];
    return true;
}

static void put(struct urd_caller *c, unsigned reg, uint64_t value)
{
    c->registers[reg] = value;
    c->known |= 1u << reg;
}

static bool unwind_by_rbp(const struct urd_frame *inner, struct urd_caller *c)
{
    uint64_t rbp, rsp, pair[2];
    if (!inner->read_register(inner->data, URD_DW_RBP, &rbp) ||
        !inner->read_register(inner->data, URD_DW_RSP, &rsp) || rbp < rsp || rbp & 7 ||
        rbp - rsp > (8u << 20) || !inner->read_memory(inner->data, rbp, pair, sizeof pair))
        return false;
    c->cfa = rbp + 16;
    put(c, URD_DW_RBP, pair[0]);
    put(c, URD_DW_RSP, c->cfa);
    put(c, URD_DW_RIP, pair[1]);
    return true;
}

static void unwind_register(const struct urd_frame *inner, struct unwinding *w, unsigned i,
                            struct urd_caller *c)
{
    uint64_t v = 0;
    bool ok = false;
    switch (w->row.regs[i].rule) {
    case SAME:
        ok = i != URD_DW_RIP && inner->read_register(inner->data, i, &v);
        break;
    case UNDEFINED:
        break;
    case OFFSET:
        ok = inner->read_memory(inner->data, w->cfa + (uint64_t)w->row.regs[i].n, &v, 8);
        break;
    case VALUE_OFFSET:
        v = w->cfa + (uint64_t)w->row.regs[i].n;
        ok = true;
        break;
    case REGISTER:
        ok = inner->read_register(inner->data, (unsigned)w->row.regs[i].n, &v);
        break;
    case EXPRESSION:
    case VALUE_EXPRESSION:
        w->context.object = &w->cfa;
        ok = urd_debuginfo_location_number(&w->context, w->row.regs[i].expression, &v);
        if (ok && w->row.regs[i].rule == EXPRESSION)
            ok = inner->read_memory(inner->data, v, &v, 8);
        break;
    }
    if (ok)
        put(c, i, v);
}

bool urd_debuginfo_unwind(const struct urd_frame *inner, struct urd_caller *ret)
{
    struct unwinding w;
    memset(ret, 0, sizeof *ret);
    ret->inner = inner;
    if (!inner->read_register || !inner->read_memory)
        return false;
    if (find_row(inner, &w)) {
        ret->cfa = w.cfa;
        put(ret, URD_DW_RSP, w.cfa);
        for (unsigned i = 0; i < 17; i++)
            if (i != URD_DW_RSP || w.row.regs[i].rule != SAME)
                unwind_register(inner, &w, i, ret);
    } else {
        struct urd_place p;
        memset(&w, 0, sizeof w);
        if (inner->image && urd_debuginfo_image_find(inner->image, inner->pc, &p) &&
            find_fde(p.module, p.address))
            return false; /* there is a description, but it needs a register nobody knows */
        if (!unwind_by_rbp(inner, ret))
            return false;
    }
    if (!(ret->known >> URD_DW_RIP & 1) || !ret->registers[URD_DW_RIP])
        return false;
    ret->frame = *inner;
    ret->frame.pc = ret->registers[URD_DW_RIP];
    ret->frame.is_caller = !w.cie.signal;
    ret->frame.data = ret;
    ret->frame.read_memory = caller_memory;
    ret->frame.read_register = caller_register;
    ret->frame.read_vector = NULL;
    ret->frame.retval = NULL;
    return true;
}
