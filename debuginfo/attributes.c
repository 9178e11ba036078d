/* Attribute forms: DWARF 5, 7.5.5 and 7.5.6. */
#include "debuginfo/dwarf.h"

static bool unit_string(const struct urd_unit *u, uint64_t index, const char **ret)
{
    struct urd_span s = u->dwarf->str_offsets;
    uint64_t at = u->str_offsets_base + index * u->offset_size;
    if (index > s.size || at > s.size || s.size - at < u->offset_size)
        return false;
    uint64_t offset = 0;
    memcpy(&offset, s.data + at, u->offset_size);
    *ret = urd_debuginfo_span_text(u->dwarf->str, offset);
    return *ret;
}

bool urd_debuginfo_unit_address(const struct urd_unit *u, uint64_t index, uint64_t *ret)
{
    if (u->skeleton)
        u = u->skeleton;
    struct urd_span s = u->dwarf->addr;
    uint64_t at = u->addr_base + index * u->address_size;
    if (index > s.size || at > s.size || s.size - at < u->address_size)
        return false;
    *ret = 0;
    memcpy(ret, s.data + at, u->address_size);
    return true;
}

static uint64_t reference(const struct urd_unit *u, uint64_t relative)
{
    return (u->offset + relative) | u->tag_bits;
}

static int64_t extend(uint64_t v, unsigned bytes)
{
    unsigned shift = 64 - bytes * 8;
    return (int64_t)(v << shift) >> shift;
}

static void set_constant(struct urd_attr *a, struct urd_cursor *c, unsigned bytes)
{
    a->class = URD_ATTR_CONSTANT;
    a->u = urd_debuginfo_read_sized(c, bytes);
    a->s = extend(a->u, bytes);
}

static void set_block(struct urd_attr *a, struct urd_cursor *c, uint64_t size)
{
    const uint8_t *p = urd_cursor_bytes(c, size);
    a->class = URD_ATTR_BLOCK;
    if (p)
        a->block = (struct urd_span){p, size};
}

static void set_string(struct urd_attr *a, struct urd_span s, uint64_t offset)
{
    a->string = urd_debuginfo_span_text(s, offset);
    a->class = a->string ? URD_ATTR_STRING : URD_ATTR_NONE;
}

/** Whether data4/data8 of an attribute was a section offset before DWARF 4. */
static bool offset_by_name(const struct urd_unit *u, unsigned name)
{
    return u->version < 4 &&
           (name == DW_AT_location || name == DW_AT_ranges || name == DW_AT_stmt_list ||
            name == DW_AT_frame_base || name == DW_AT_data_member_location);
}

static void read_form(const struct urd_unit *u, int64_t constant, struct urd_cursor *c,
                      struct urd_attr *a)
{
    struct urd_dwarf *d = u->dwarf;
    unsigned o = u->offset_size;
    switch (a->form) {
    case DW_FORM_addr:
        a->class = URD_ATTR_ADDRESS;
        a->u = urd_debuginfo_read_sized(c, u->address_size);
        break;
    case DW_FORM_addrx:
    case DW_FORM_GNU_addr_index:
        a->u = urd_cursor_varint(c);
        goto addrx;
    case DW_FORM_addrx1:
    case DW_FORM_addrx2:
    case DW_FORM_addrx3:
    case DW_FORM_addrx4:
        a->u = urd_debuginfo_read_sized(c, a->form - DW_FORM_addrx1 + 1u);
    addrx:
        a->class = urd_debuginfo_unit_address(u, a->u, &a->u) ? URD_ATTR_ADDRESS : URD_ATTR_NONE;
        break;
    case DW_FORM_data1:
        set_constant(a, c, 1);
        break;
    case DW_FORM_data2:
        set_constant(a, c, 2);
        break;
    case DW_FORM_data4:
    case DW_FORM_data8:
        set_constant(a, c, a->form == DW_FORM_data4 ? 4 : 8);
        if (offset_by_name(u, a->name))
            a->class = URD_ATTR_OFFSET;
        break;
    case DW_FORM_data16:
        set_block(a, c, 16);
        break;
    case DW_FORM_udata:
        a->class = URD_ATTR_CONSTANT;
        a->s = (int64_t)(a->u = urd_cursor_varint(c));
        break;
    case DW_FORM_sdata:
        a->class = URD_ATTR_CONSTANT;
        a->u = (uint64_t)(a->s = urd_debuginfo_read_sleb(c));
        break;
    case DW_FORM_implicit_const:
        a->class = URD_ATTR_CONSTANT;
        a->u = (uint64_t)(a->s = constant);
        break;
    case DW_FORM_string: {
        const uint8_t *end = memchr(c->at, 0, urd_cursor_left(c));
        if (!end) {
            c->ok = false;
            break;
        }
        a->class = URD_ATTR_STRING;
        a->string = (const char *)c->at;
        c->at = end + 1;
        break;
    }
    case DW_FORM_strp:
        set_string(a, d->str, urd_debuginfo_read_sized(c, o));
        break;
    case DW_FORM_line_strp:
        set_string(a, d->line_str, urd_debuginfo_read_sized(c, o));
        break;
    case DW_FORM_strp_sup:
    case DW_FORM_GNU_strp_alt: {
        uint64_t at = urd_debuginfo_read_sized(c, o);
        if (d->alt) {
            urd_debuginfo_dwarf_scan(d->alt);
            set_string(a, d->alt->str, at);
        }
        break;
    }
    case DW_FORM_strx:
    case DW_FORM_GNU_str_index:
        a->u = urd_cursor_varint(c);
        goto strx;
    case DW_FORM_strx1:
    case DW_FORM_strx2:
    case DW_FORM_strx3:
    case DW_FORM_strx4:
        a->u = urd_debuginfo_read_sized(c, a->form - DW_FORM_strx1 + 1u);
    strx:
        a->class = unit_string(u, a->u, &a->string) ? URD_ATTR_STRING : URD_ATTR_NONE;
        break;
    case DW_FORM_block1:
        set_block(a, c, urd_cursor_u8(c));
        break;
    case DW_FORM_block2:
        set_block(a, c, urd_debuginfo_read_sized(c, 2));
        break;
    case DW_FORM_block4:
        set_block(a, c, urd_cursor_u32(c));
        break;
    case DW_FORM_block:
    case DW_FORM_exprloc:
        set_block(a, c, urd_cursor_varint(c));
        break;
    case DW_FORM_flag:
        a->class = URD_ATTR_FLAG;
        a->u = urd_cursor_u8(c);
        break;
    case DW_FORM_flag_present:
        a->class = URD_ATTR_FLAG;
        a->u = 1;
        break;
    case DW_FORM_ref1:
    case DW_FORM_ref2:
    case DW_FORM_ref4:
    case DW_FORM_ref8:
        a->class = URD_ATTR_REFERENCE;
        a->u = reference(u, urd_debuginfo_read_sized(c, 1u << (a->form - DW_FORM_ref1)));
        break;
    case DW_FORM_ref_udata:
        a->class = URD_ATTR_REFERENCE;
        a->u = reference(u, urd_cursor_varint(c));
        break;
    case DW_FORM_ref_addr:
        a->class = URD_ATTR_REFERENCE;
        a->u = urd_debuginfo_read_sized(c, u->version == 2 ? u->address_size : o) |
               (u->tag_bits & ~URD_DIE_TYPES);
        break;
    case DW_FORM_ref_sup4:
    case DW_FORM_ref_sup8:
        a->class = URD_ATTR_REFERENCE;
        a->u = urd_debuginfo_read_sized(c, a->form == DW_FORM_ref_sup4 ? 4 : 8) | URD_DIE_ALT;
        break;
    case DW_FORM_GNU_ref_alt:
        a->class = URD_ATTR_REFERENCE;
        a->u = urd_debuginfo_read_sized(c, o) | URD_DIE_ALT;
        break;
    case DW_FORM_ref_sig8: {
        uint64_t *slot = urd_map_get(&d->signatures, urd_cursor_u64(c));
        a->class = slot ? URD_ATTR_REFERENCE : URD_ATTR_NONE;
        a->u = slot ? *slot : 0;
        break;
    }
    case DW_FORM_sec_offset:
        a->class = URD_ATTR_OFFSET;
        a->u = urd_debuginfo_read_sized(c, o);
        break;
    case DW_FORM_loclistx:
    case DW_FORM_rnglistx:
        a->class = URD_ATTR_LIST_INDEX;
        a->u = urd_cursor_varint(c);
        break;
    default:
        c->ok = false; /* its size is not known: the unit ends here */
    }
}

void urd_debuginfo_attrs_init(const struct urd_die *die, struct urd_attr_reader *r)
{
    *r = (struct urd_attr_reader){die->unit, die->abbrev, .i = 0};
    r->at.at = die->data;
    r->at.end = die->unit->base + die->unit->end;
    r->at.ok = true;
}

bool urd_debuginfo_attrs_next(struct urd_attr_reader *r, struct urd_attr *ret)
{
    if (r->i >= r->abbrev->n || !r->at.ok)
        return false;
    const struct urd_abbrev_attr *t = &r->unit->abbrevs->attrs[r->abbrev->first + r->i++];
    memset(ret, 0, sizeof *ret);
    ret->name = t->name;
    ret->form = t->form;
    if (ret->form == DW_FORM_indirect) {
        ret->form = (uint16_t)urd_cursor_varint(&r->at);
        if (ret->form == DW_FORM_indirect || ret->form == DW_FORM_implicit_const)
            r->at.ok = false;
    }
    read_form(r->unit, t->constant, &r->at, ret);
    return r->at.ok;
}

bool urd_debuginfo_die_attr(const struct urd_die *die, unsigned name, struct urd_attr *ret)
{
    const struct urd_abbrev_attr *t = die->unit->abbrevs->attrs + die->abbrev->first;
    uint32_t i = 0;
    while (i < die->abbrev->n && t[i].name != name)
        i++;
    if (i == die->abbrev->n)
        return false;
    struct urd_attr_reader r;
    struct urd_attr a;
    urd_debuginfo_attrs_init(die, &r);
    while (urd_debuginfo_attrs_next(&r, &a))
        if (a.name == name) {
            *ret = a;
            return a.class != URD_ATTR_NONE;
        }
    return false;
}

bool urd_debuginfo_die_attr_inherited(const struct urd_die *die, unsigned name,
                                      struct urd_attr *ret)
{
    struct urd_die at = *die;
    for (int i = 0; i < 8; i++) {
        struct urd_attr origin;
        if (urd_debuginfo_die_attr(&at, name, ret))
            return true;
        if (!urd_debuginfo_die_attr(&at, DW_AT_abstract_origin, &origin) &&
            !urd_debuginfo_die_attr(&at, DW_AT_specification, &origin))
            return false;
        if (origin.class != URD_ATTR_REFERENCE ||
            !urd_debuginfo_die_at(at.unit->dwarf, origin.u, &at))
            return false;
    }
    return false;
}

const char *urd_debuginfo_die_name(const struct urd_die *die)
{
    struct urd_attr a;
    return urd_debuginfo_die_attr(die, DW_AT_name, &a) ? a.string : NULL;
}

bool urd_debuginfo_die_flag(const struct urd_die *die, unsigned name)
{
    struct urd_attr a;
    return urd_debuginfo_die_attr(die, name, &a) && a.u;
}
