#include "debuginfo/dwarf.h"
#include <stdio.h>
#include <unistd.h>

uint64_t urd_debuginfo_read_sized(struct urd_cursor *c, unsigned bytes)
{
    uint64_t v = 0;
    const uint8_t *p = bytes <= 8 ? urd_cursor_bytes(c, bytes) : NULL;
    if (p)
        memcpy(&v, p, bytes);
    else
        c->ok = false;
    return v;
}

int64_t urd_debuginfo_read_sleb(struct urd_cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; c->at < c->end; shift += 7) {
        uint8_t byte = *c->at++;
        if (shift < 64)
            v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            if (shift < 57 && (byte & 0x40))
                v |= -(1ull << (shift + 7));
            return (int64_t)v;
        }
    }
    c->ok = false;
    return 0;
}

/* ---- units ---- */

static bool scan_unit(struct urd_dwarf *d, struct urd_span s, uint64_t bits, uint64_t *offset)
{
    struct urd_cursor c = urd_cursor(s.data + *offset, s.size - *offset);
    struct urd_unit u = {.dwarf = d, .base = s.data, .offset = *offset, .tag_bits = bits};
    u.offset_size = 4;
    uint64_t length = urd_cursor_u32(&c);
    if (length == 0xffffffff) {
        length = urd_cursor_u64(&c);
        u.offset_size = 8;
    }
    if (!c.ok || length > urd_cursor_left(&c))
        return false;
    u.end = (uint64_t)(c.at - s.data) + length;
    *offset = u.end;
    c.end = s.data + u.end;
    u.version = (uint16_t)urd_debuginfo_read_sized(&c, 2);
    u.kind = bits & URD_DIE_TYPES ? DW_UT_type : DW_UT_compile;
    if (u.version >= 5) {
        u.kind = urd_cursor_u8(&c);
        u.address_size = urd_cursor_u8(&c);
        u.abbrev_offset = urd_debuginfo_read_sized(&c, u.offset_size);
        if (u.kind == DW_UT_skeleton || u.kind == DW_UT_split_compile)
            u.split_id = urd_cursor_u64(&c);
    } else {
        u.abbrev_offset = urd_debuginfo_read_sized(&c, u.offset_size);
        u.address_size = urd_cursor_u8(&c);
    }
    if (u.kind == DW_UT_type || u.kind == DW_UT_split_type) {
        u.type_signature = urd_cursor_u64(&c);
        u.type_offset = urd_debuginfo_read_sized(&c, u.offset_size);
    }
    u.root = (uint64_t)(c.at - s.data);
    if (!c.ok || u.version < 2 || u.version > 5 || (u.address_size != 8 && u.address_size != 4))
        return true; /* this unit is no use, the next may be */
    URD_PUSH(d->units, d->n_units, d->cap_units) = u;
    if (u.type_offset)
        *urd_map_put(&d->signatures, u.type_signature) = (u.offset + u.type_offset) | bits;
    return true;
}

static void scan_units(struct urd_dwarf *d)
{
    for (uint64_t at = 0; at < d->info.size;)
        if (!scan_unit(d, d->info, d->tag_bits, &at))
            break;
    for (uint64_t at = 0; at < d->types.size;)
        if (!scan_unit(d, d->types, d->tag_bits | URD_DIE_TYPES, &at))
            break;
}

void urd_debuginfo_dwarf_scan(struct urd_dwarf *d)
{
    if (d->scanned || !d->elf)
        return;
    d->scanned = true;
    d->info = urd_debuginfo_elf_named(d->elf, ".debug_info");
    d->types = urd_debuginfo_elf_named(d->elf, ".debug_types");
    d->abbrev = urd_debuginfo_elf_named(d->elf, ".debug_abbrev");
    d->str = urd_debuginfo_elf_named(d->elf, ".debug_str");
    d->line = urd_debuginfo_elf_named(d->elf, ".debug_line");
    d->line_str = urd_debuginfo_elf_named(d->elf, ".debug_line_str");
    d->str_offsets = urd_debuginfo_elf_named(d->elf, ".debug_str_offsets");
    d->addr = urd_debuginfo_elf_named(d->elf, ".debug_addr");
    d->ranges = urd_debuginfo_elf_named(d->elf, ".debug_ranges");
    d->rnglists = urd_debuginfo_elf_named(d->elf, ".debug_rnglists");
    d->loc = urd_debuginfo_elf_named(d->elf, ".debug_loc");
    d->loclists = urd_debuginfo_elf_named(d->elf, ".debug_loclists");
    scan_units(d);
}

void urd_debuginfo_dwarf_deinit(struct urd_dwarf *d)
{
    for (struct urd_abbrevs *a = d->all_abbrevs, *next; a; a = next) {
        next = a->next;
        free(a->dense);
        free(a->attrs);
        urd_map_deinit(&a->sparse);
        free(a);
    }
    free(d->units);
    urd_map_deinit(&d->signatures);
    urd_map_deinit(&d->abbrevs);
    for (size_t i = 0; i < d->n_splits; i++) {
        urd_debuginfo_dwarf_deinit(d->splits[i]);
        urd_debuginfo_elf_close(d->splits[i]->elf);
        free(d->splits[i]->elf);
        free(d->splits[i]);
    }
    free(d->splits);
}

/* ---- abbreviations ---- */

static struct urd_abbrevs *read_abbrevs(struct urd_dwarf *d, uint64_t offset)
{
    uint64_t *slot = urd_map_get(&d->abbrevs, offset);
    if (slot)
        return (struct urd_abbrevs *)(uintptr_t)*slot;
    if (offset >= d->abbrev.size)
        return NULL;
    struct urd_abbrevs *t = urd_xcalloc(1, sizeof *t);
    t->next = d->all_abbrevs;
    d->all_abbrevs = t;
    struct urd_cursor c = urd_cursor(d->abbrev.data + offset, d->abbrev.size - offset);
    for (;;) {
        uint64_t code = urd_cursor_varint(&c);
        if (!code || !c.ok)
            break;
        struct urd_abbrev a = {.tag = (uint16_t)urd_cursor_varint(&c)};
        a.children = urd_cursor_u8(&c);
        a.first = (uint32_t)t->n_attrs;
        for (;;) {
            struct urd_abbrev_attr at = {.name = (uint16_t)urd_cursor_varint(&c)};
            at.form = (uint16_t)urd_cursor_varint(&c);
            if (at.form == DW_FORM_implicit_const)
                at.constant = urd_debuginfo_read_sleb(&c);
            if (!c.ok || (!at.name && !at.form))
                break;
            URD_PUSH(t->attrs, t->n_attrs, t->cap_attrs) = at;
            t->have_types |= at.name == DW_AT_type || at.name == DW_AT_prototyped;
        }
        if (!c.ok)
            break;
        a.n = (uint32_t)t->n_attrs - a.first;
        if (code != t->n_dense + 1)
            *urd_map_put(&t->sparse, code) = t->n_dense;
        URD_PUSH(t->dense, t->n_dense, t->cap_dense) = a;
    }
    *urd_map_put(&d->abbrevs, offset) = (uintptr_t)t;
    return t;
}

static const struct urd_abbrev *find_abbrev(const struct urd_abbrevs *t, uint64_t code)
{
    if (t->sparse.count) {
        uint64_t *slot = urd_map_get(&t->sparse, code);
        if (slot)
            return &t->dense[*slot];
    }
    return code && code <= t->n_dense ? &t->dense[code - 1] : NULL;
}

static bool open_root(struct urd_unit *u)
{
    struct urd_die root;
    struct urd_attr a;
    u->opened = true;
    if (u->damaged || !urd_debuginfo_die_read(u, u->root, &root))
        return false;
    u->tag = root.abbrev->tag;
    u->str_offsets_base = u->offset_size == 8 ? 16 : 8;
    u->addr_base = 8;
    if (u->dwarf->main) { /* its lists begin behind their headers; GNU's have none */
        u->rnglists_base = u->loclists_base = u->offset_size == 8 ? 20 : 12;
        u->str_offsets_base = u->version >= 5 ? u->str_offsets_base : 0;
    }
    /* the bases first: names may need them */
    static const uint16_t bases[] = {DW_AT_str_offsets_base, DW_AT_addr_base, DW_AT_GNU_addr_base,
                                     DW_AT_rnglists_base, DW_AT_loclists_base};
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
        if (urd_debuginfo_die_attr(&root, bases[i], &a))
            *(i == 0   ? &u->str_offsets_base
              : i <= 2 ? &u->addr_base
              : i == 3 ? &u->rnglists_base
                       : &u->loclists_base) = a.u;
    u->name = urd_debuginfo_die_name(&root);
    if (urd_debuginfo_die_attr(&root, DW_AT_comp_dir, &a))
        u->comp_dir = a.string;
    if (urd_debuginfo_die_attr(&root, DW_AT_low_pc, &a) && a.class == URD_ATTR_ADDRESS) {
        u->low_pc = a.u;
        u->has_low_pc = true;
    }
    if (urd_debuginfo_die_attr(&root, DW_AT_stmt_list, &a)) {
        u->stmt_list = a.u;
        u->has_stmt_list = true;
    }
    if (urd_debuginfo_die_attr(&root, DW_AT_language, &a))
        u->language = (unsigned)a.u;
    if (urd_debuginfo_die_attr(&root, DW_AT_GNU_dwo_id, &a))
        u->split_id = a.u;
    if (urd_debuginfo_die_attr(&root, DW_AT_GNU_ranges_base, &a))
        u->ranges_base = a.u;
    if (urd_debuginfo_die_attr(&root, DW_AT_dwo_name, &a) ||
        urd_debuginfo_die_attr(&root, DW_AT_GNU_dwo_name, &a))
        u->split_name = a.string;
    if (u->dwarf->main)
        u->has_stmt_list = false;
    return true;
}

bool urd_debuginfo_unit_open(struct urd_unit *u)
{
    if (!u->opened) {
        u->abbrevs = read_abbrevs(u->dwarf, u->abbrev_offset);
        u->damaged = !u->abbrevs;
        u->damaged = !open_root(u);
    }
    return !u->damaged;
}

/* ---- split units: DWARF 5, 7.3.2; before that GNU's "Fission" ---- */

/** All sections of a name, one behind the other: units of types have one each. */
static struct urd_span all_named(struct urd_dwarf *s, const char *name)
{
    struct urd_span all = urd_debuginfo_elf_named(s->elf, name);
    size_t n = 0, size = 0;
    for (size_t i = 0; i < s->elf->n_sections; i++)
        if (!strcmp(s->elf->sections[i].name, name)) {
            n++;
            size += urd_debuginfo_elf_bytes(s->elf, &s->elf->sections[i]).size;
        }
    if (n < 2)
        return all;
    uint8_t *to = urd_arena_alloc(s->arena, size);
    all = (struct urd_span){to, size};
    for (size_t i = 0; i < s->elf->n_sections; i++)
        if (!strcmp(s->elf->sections[i].name, name)) {
            struct urd_span part = urd_debuginfo_elf_bytes(s->elf, &s->elf->sections[i]);
            if (part.size)
                memcpy(to, part.data, part.size);
            to += part.size;
        }
    return all;
}

static struct urd_dwarf *open_split(struct urd_dwarf *d, const char *path)
{
    struct urd_elf elf;
    if (access(path, R_OK))
        return NULL;
    urd_err *err = urd_debuginfo_elf_open(path, &elf);
    if (err) {
        urd_err_free(err);
        return NULL;
    }
    struct urd_dwarf *s = urd_xcalloc(1, sizeof *s);
    *s = (struct urd_dwarf){
        .elf = urd_xcalloc(1, sizeof elf), .scanned = true, .main = d, .arena = d->arena};
    *s->elf = elf;
    s->info = all_named(s, ".debug_info.dwo");
    s->types = all_named(s, ".debug_types.dwo");
    s->abbrev = urd_debuginfo_elf_named(s->elf, ".debug_abbrev.dwo");
    s->str = urd_debuginfo_elf_named(s->elf, ".debug_str.dwo");
    s->str_offsets = urd_debuginfo_elf_named(s->elf, ".debug_str_offsets.dwo");
    s->rnglists = urd_debuginfo_elf_named(s->elf, ".debug_rnglists.dwo");
    s->loc = urd_debuginfo_elf_named(s->elf, ".debug_loc.dwo");
    s->loclists = urd_debuginfo_elf_named(s->elf, ".debug_loclists.dwo");
    URD_PUSH(d->splits, d->n_splits, d->cap_splits) = s;
    s->tag_bits = (uint64_t)d->n_splits << URD_DIE_SPLIT_SHIFT;
    scan_units(s);
    return s;
}

/** The unit in a .dwo file that belongs to a skeleton: their numbers agree unless one of them was built again. */
static struct urd_unit *find_split(struct urd_unit *u, const char *path)
{
    struct urd_dwarf *s = open_split(u->dwarf, path);
    for (size_t i = 0; s && i < s->n_units; i++) {
        struct urd_unit *full = &s->units[i];
        if (!urd_debuginfo_unit_open(full) || full->tag != DW_TAG_compile_unit ||
            full->split_id != u->split_id)
            continue;
        full->skeleton = u;
        full->low_pc = u->low_pc;
        full->has_low_pc = u->has_low_pc;
        full->comp_dir = u->comp_dir;
        return full;
    }
    return NULL;
}

struct urd_unit *urd_debuginfo_unit_full(struct urd_unit *u)
{
    if (!urd_debuginfo_unit_open(u) || u->skeleton || !u->split_name)
        return u;
    if (!u->split_searched) {
        u->split_searched = true;
        char path[4600];
        const char *module = u->dwarf->module_path, *name = u->split_name,
                   *last = strrchr(name, '/'), *slash = module ? strrchr(module, '/') : NULL;
        const char *dirs[] = {*name == '/' ? "" : u->comp_dir, module};
        for (int i = 0; i < 2 && !u->split; i++) {
            if (!dirs[i] || (i && !slash))
                continue;
            snprintf(path, sizeof path, "%.*s%s%.2000s",
                     i ? (int)(slash - module) : (int)strnlen(dirs[i], 2000), dirs[i],
                     *dirs[i] ? "/" : "", i && last ? last + 1 : name);
            u->split = find_split(u, path);
        }
    }
    return u->split ? u->split : u;
}

struct urd_unit *urd_debuginfo_unit_of(struct urd_dwarf *d, uint64_t handle)
{
    uint64_t split = (handle & ~(URD_DIE_ALT | URD_DIE_TYPES)) >> URD_DIE_SPLIT_SHIFT;
    if (d->main)
        d = d->main;
    if ((handle & URD_DIE_ALT) && !(d->tag_bits & URD_DIE_ALT))
        d = d->alt;
    if (d && split)
        d = split <= d->n_splits ? d->splits[split - 1] : NULL;
    if (!d)
        return NULL;
    urd_debuginfo_dwarf_scan(d);
    uint64_t offset = handle & URD_DIE_OFFSET, types = handle & URD_DIE_TYPES;
    size_t lo = 0, hi = d->n_units;
    while (lo < hi) { /* .debug_info's units are before .debug_types', each sorted */
        size_t mid = (lo + hi) / 2;
        struct urd_unit *u = &d->units[mid];
        uint64_t ut = u->tag_bits & URD_DIE_TYPES;
        if (ut != types ? ut < types : u->end <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == d->n_units || d->units[lo].offset > offset ||
        (d->units[lo].tag_bits & URD_DIE_TYPES) != types)
        return NULL;
    return urd_debuginfo_unit_open(&d->units[lo]) ? &d->units[lo] : NULL;
}

/* ---- entries ---- */

bool urd_debuginfo_die_read(struct urd_unit *u, uint64_t offset, struct urd_die *ret)
{
    if (offset < u->root || offset >= u->end || !u->abbrevs)
        return false;
    struct urd_cursor c = urd_cursor(u->base + offset, u->end - offset);
    uint64_t code = urd_cursor_varint(&c);
    const struct urd_abbrev *a = c.ok && code ? find_abbrev(u->abbrevs, code) : NULL;
    if (!a)
        return false;
    *ret = (struct urd_die){u, a, offset, c.at};
    return true;
}

bool urd_debuginfo_die_at(struct urd_dwarf *d, uint64_t handle, struct urd_die *ret)
{
    struct urd_unit *u = handle ? urd_debuginfo_unit_of(d, handle) : NULL;
    return u && urd_debuginfo_die_read(u, handle & URD_DIE_OFFSET, ret);
}

uint64_t urd_debuginfo_die_handle(const struct urd_die *die)
{
    return die->offset | die->unit->tag_bits;
}

static uint64_t end_of(const struct urd_die *die)
{
    struct urd_attr_reader r;
    struct urd_attr a;
    urd_debuginfo_attrs_init(die, &r);
    while (urd_debuginfo_attrs_next(&r, &a))
        ;
    return r.at.ok ? (uint64_t)(r.at.at - die->unit->base) : die->unit->end;
}

bool urd_debuginfo_die_child(const struct urd_die *die, struct urd_die *ret)
{
    return die->abbrev->children && urd_debuginfo_die_read(die->unit, end_of(die), ret);
}

bool urd_debuginfo_die_sibling(const struct urd_die *die, struct urd_die *ret)
{
    struct urd_attr a;
    if (!die->abbrev->children)
        return urd_debuginfo_die_read(die->unit, end_of(die), ret);
    if (urd_debuginfo_die_attr(die, DW_AT_sibling, &a) && a.class == URD_ATTR_REFERENCE) {
        uint64_t at = a.u & URD_DIE_OFFSET;
        return at > die->offset && urd_debuginfo_die_read(die->unit, at, ret);
    }
    uint64_t at = end_of(die);
    for (unsigned depth = 1; at < die->unit->end;) {
        struct urd_die d;
        if (urd_debuginfo_die_read(die->unit, at, &d)) {
            if (d.abbrev->children)
                depth++;
            at = end_of(&d);
        } else {
            if (die->unit->base[at] != 0)
                return false;
            at++;
            if (!--depth)
                return urd_debuginfo_die_read(die->unit, at, ret);
        }
    }
    return false;
}
