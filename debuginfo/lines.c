/* Line tables: DWARF 5, 6.2; DWARF 2 to 4 the same section. */
#include "debuginfo/private.h"

struct content {
    uint16_t kind, form;
};

/** A form as line table headers use it: only what 6.2.4.1 allows. */
static void read_content(struct urd_unit *u, unsigned offset_size, struct urd_cursor *c,
                         unsigned form, uint64_t *number, const char **text, const uint8_t **md5)
{
    switch (form) {
    case DW_FORM_string: {
        const uint8_t *end = memchr(c->at, 0, urd_cursor_left(c));
        *text = end ? (const char *)c->at : NULL;
        c->ok = end;
        c->at = end ? end + 1 : c->end;
        break;
    }
    case DW_FORM_line_strp:
        *text =
            urd_debuginfo_span_text(u->dwarf->line_str, urd_debuginfo_read_sized(c, offset_size));
        break;
    case DW_FORM_strp:
        *text = urd_debuginfo_span_text(u->dwarf->str, urd_debuginfo_read_sized(c, offset_size));
        break;
    case DW_FORM_udata:
        *number = urd_cursor_varint(c);
        break;
    case DW_FORM_data1:
        *number = urd_cursor_u8(c);
        break;
    case DW_FORM_data2:
        *number = urd_debuginfo_read_sized(c, 2);
        break;
    case DW_FORM_data4:
        *number = urd_cursor_u32(c);
        break;
    case DW_FORM_data8:
        *number = urd_cursor_u64(c);
        break;
    case DW_FORM_data16:
        *md5 = urd_cursor_bytes(c, 16);
        break;
    case DW_FORM_block:
        urd_cursor_bytes(c, urd_cursor_varint(c));
        break;
    default:
        c->ok = false;
    }
}

/** directory/name with "." and "a/.." taken out, in the arena. */
static const char *join(struct urd_module *m, const char *a, const char *b, const char *c)
{
    size_t n = 0, la = a ? strlen(a) : 0, lb = b ? strlen(b) : 0, lc = strlen(c);
    char *p = urd_arena_alloc(&m->arena, la + lb + lc + 3), *w = p;
    if (*c != '/') {
        if (b && *b != '/' && a)
            n += la, memcpy(p, a, la), p[n++] = '/';
        if (b)
            memcpy(p + n, b, lb), n += lb, p[n++] = '/';
    }
    memcpy(p + n, c, lc + 1);
    char *start = p;
    for (char *r = p; *r;) { /* component by component, in place */
        if (*r == '/') {
            if (w == start || w[-1] != '/')
                *w++ = '/';
            r++;
            continue;
        }
        size_t k = strcspn(r, "/");
        if (k == 1 && r[0] == '.' && (r[1] || w != start)) {
            r += r[1] ? 2 : 1;
            continue;
        }
        if (k == 2 && r[0] == '.' && r[1] == '.' && w > start + 1) {
            char *back = w - 1;
            while (back > start && back[-1] != '/')
                back--;
            if (!(w - 1 - back == 2 && back[0] == '.' && back[1] == '.')) {
                w = back;
                r += r[2] ? 3 : 2;
                continue;
            }
        }
        memmove(w, r, k);
        w += k;
        r += k;
    }
    *w = 0;
    return p;
}

static void add_file(struct urd_module *m, struct urd_unit *u, struct urd_line_table *t,
                     const char *dir, const char *name, const uint8_t *md5, size_t *cap)
{
    struct urd_source s = {.name = name ? name : "", .comp_dir = u->comp_dir, .md5 = md5};
    s.path = join(m, u->comp_dir, dir, s.name);
    URD_PUSH(t->files, t->n_files, *cap) = s;
}

static void files_v5(struct urd_module *m, struct urd_unit *u, unsigned offset_size,
                     struct urd_cursor *c, struct urd_line_table *t)
{
    const char **dirs = NULL;
    size_t n_dirs = 0, cap_dirs = 0, cap = 0;
    for (int pass = 0; pass < 2 && c->ok; pass++) {
        struct content formats[256];
        unsigned n_formats = urd_cursor_u8(c);
        for (unsigned i = 0; i < n_formats; i++) {
            formats[i].kind = (uint16_t)urd_cursor_varint(c);
            formats[i].form = (uint16_t)urd_cursor_varint(c);
        }
        uint64_t count = urd_cursor_varint(c);
        if (!n_formats)
            count = 0;
        for (uint64_t k = 0; k < count && c->ok && urd_cursor_left(c); k++) {
            const char *name = NULL;
            const uint8_t *md5 = NULL;
            uint64_t dir = 0;
            for (unsigned i = 0; i < n_formats && c->ok; i++) {
                uint64_t number = 0;
                const char *text = NULL;
                const uint8_t *sum = NULL;
                read_content(u, offset_size, c, formats[i].form, &number, &text, &sum);
                if (formats[i].kind == DW_LNCT_path)
                    name = text;
                else if (formats[i].kind == DW_LNCT_directory_index)
                    dir = number;
                else if (formats[i].kind == DW_LNCT_MD5)
                    md5 = sum;
            }
            if (!c->ok)
                break;
            if (pass == 0)
                URD_PUSH(dirs, n_dirs, cap_dirs) = name;
            else
                add_file(m, u, t, dir < n_dirs ? dirs[dir] : NULL, name, md5, &cap);
        }
    }
    free(dirs);
}

static const char *next_text(struct urd_cursor *c)
{
    const uint8_t *end = memchr(c->at, 0, urd_cursor_left(c));
    const char *text = (const char *)c->at;
    if (!end) {
        c->ok = false;
        return "";
    }
    c->at = end + 1;
    return text;
}

static void files_v4(struct urd_module *m, struct urd_unit *u, struct urd_cursor *c,
                     struct urd_line_table *t)
{
    const char **dirs = NULL;
    size_t n_dirs = 0, cap_dirs = 0, cap = 0;
    URD_PUSH(dirs, n_dirs, cap_dirs) = NULL;
    for (const char *d; c->ok && *(d = next_text(c));)
        URD_PUSH(dirs, n_dirs, cap_dirs) = d;
    add_file(m, u, t, NULL, u->name, NULL, &cap); /* file 0: the unit itself */
    for (const char *name; c->ok && *(name = next_text(c));) {
        uint64_t dir = urd_cursor_varint(c);
        urd_cursor_varint(c);
        urd_cursor_varint(c);
        if (c->ok)
            add_file(m, u, t, dir < n_dirs ? dirs[dir] : NULL, name, NULL, &cap);
    }
    free(dirs);
}

static void read_header(struct urd_module *m, struct urd_unit *u, struct urd_line_table *t)
{
    struct urd_span s = u->dwarf->line;
    struct urd_cursor c = urd_cursor(s.data + u->stmt_list, s.size - u->stmt_list);
    unsigned offset_size = 4;
    uint64_t length = urd_cursor_u32(&c);
    if (length == 0xffffffff) {
        offset_size = 8;
        length = urd_cursor_u64(&c);
    }
    if (!c.ok || length > urd_cursor_left(&c))
        return;
    c.end = c.at + length;
    t->version = (uint8_t)urd_debuginfo_read_sized(&c, 2);
    t->address_size = u->address_size;
    if (t->version < 2 || t->version > 5)
        return;
    if (t->version >= 5) {
        t->address_size = urd_cursor_u8(&c);
        urd_cursor_u8(&c);
    }
    uint64_t header = urd_debuginfo_read_sized(&c, offset_size);
    if (!c.ok || header > urd_cursor_left(&c))
        return;
    const uint8_t *program = c.at + header;
    t->min_length = urd_cursor_u8(&c);
    if (t->version >= 4)
        urd_cursor_u8(&c);
    t->default_is_stmt = urd_cursor_u8(&c);
    t->line_base = (int8_t)urd_cursor_u8(&c);
    t->line_range = urd_cursor_u8(&c);
    t->opcode_base = urd_cursor_u8(&c);
    for (unsigned i = 1; i < t->opcode_base; i++)
        t->lengths[i] = urd_cursor_u8(&c);
    if (!c.ok)
        return;
    t->program = (struct urd_span){program, (size_t)(c.end - program)};
    if (t->version >= 5)
        files_v5(m, u, offset_size, &c, t);
    else
        files_v4(m, u, &c, t);
}

struct urd_line_table *urd_debuginfo_unit_lines(struct urd_module *m, struct urd_unit *u)
{
    if (u->skeleton)
        u = u->skeleton;
    if (!urd_debuginfo_unit_open(u) || !u->has_stmt_list || u->stmt_list >= u->dwarf->line.size)
        return NULL;
    uint64_t *slot = urd_map_put(&m->line_tables, u->stmt_list | u->dwarf->tag_bits);
    if (*slot)
        return (struct urd_line_table *)(uintptr_t)*slot;
    struct urd_line_table *t = urd_xcalloc(1, sizeof *t);
    *slot = (uintptr_t)t;
    read_header(m, u, t);
    return t;
}

const char *urd_debuginfo_unit_file(struct urd_module *m, struct urd_unit *u, uint64_t file)
{
    struct urd_line_table *t = urd_debuginfo_unit_lines(m, u);
    return t && file < t->n_files && (file || t->version >= 5) ? t->files[file].path : NULL;
}

/* ---- the line number program ---- */

struct machine {
    uint64_t address;
    uint32_t file, line;
    uint16_t column;
    bool is_stmt, prologue_end;
};

static void emit(struct urd_line_table *t, struct machine *s, bool end)
{
    struct urd_line_row r = {s->address, s->file, s->line,        s->column,
                             s->is_stmt, end,     s->prologue_end};
    URD_PUSH(t->rows, t->n_rows, t->cap_rows) = r;
    s->prologue_end = false;
}

static void end_sequence(struct urd_module *m, struct urd_line_table *t, uint32_t *first)
{
    uint32_t last = (uint32_t)t->n_rows - 1;
    struct urd_line_sequence q = {t->rows[*first].address, t->rows[last].address, *first, last};
    bool sorted = true;
    for (uint32_t i = *first; i < last; i++)
        sorted &= t->rows[i].address <= t->rows[i + 1].address;
    if (sorted && q.low < q.high && urd_debuginfo_module_is_code(m, q.low))
        URD_PUSH(t->sequences, t->n_sequences, t->cap_sequences) = q;
    else
        t->n_rows = *first; /* a function that the linker dropped */
    *first = (uint32_t)t->n_rows;
}

static void extended(struct urd_cursor *c, struct machine *s, bool *end)
{
    uint64_t size = urd_cursor_varint(c);
    const uint8_t *p = urd_cursor_bytes(c, size);
    if (!p || !size)
        return;
    struct urd_cursor e = urd_cursor(p + 1, size - 1);
    if (*p == DW_LNE_end_sequence)
        *end = true;
    else if (*p == DW_LNE_set_address && size >= 9)
        s->address = urd_cursor_u64(&e);
}

static int compare_sequences(const void *a, const void *b)
{
    const struct urd_line_sequence *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low;
}

void urd_debuginfo_lines_decode(struct urd_module *m, struct urd_line_table *t)
{
    if (t->decoded)
        return;
    t->decoded = true;
    struct urd_cursor c = urd_cursor(t->program.data, t->program.size);
    struct machine fresh = {.file = 1, .line = 1, .is_stmt = t->default_is_stmt}, s = fresh;
    uint32_t first = 0;
    while (c.ok && c.at < c.end) {
        unsigned op = urd_cursor_u8(&c);
        bool end = false;
        if (op >= t->opcode_base) {
            unsigned k = op - t->opcode_base, range = t->line_range ? t->line_range : 1;
            s.address += (uint64_t)(k / range) * t->min_length;
            s.line += (uint32_t)(t->line_base + (int)(k % range));
            emit(t, &s, false);
            continue;
        }
        switch (op) {
        case 0:
            extended(&c, &s, &end);
            if (end) {
                emit(t, &s, true);
                end_sequence(m, t, &first);
                s = fresh;
            }
            break;
        case DW_LNS_copy:
            emit(t, &s, false);
            break;
        case DW_LNS_advance_pc:
            s.address += urd_cursor_varint(&c) * t->min_length;
            break;
        case DW_LNS_advance_line:
            s.line += (uint32_t)urd_debuginfo_read_sleb(&c);
            break;
        case DW_LNS_set_file:
            s.file = (uint32_t)urd_cursor_varint(&c);
            break;
        case DW_LNS_set_column:
            s.column = (uint16_t)urd_cursor_varint(&c);
            break;
        case DW_LNS_negate_stmt:
            s.is_stmt = !s.is_stmt;
            break;
        case DW_LNS_const_add_pc:
            s.address +=
                (uint64_t)((255u - t->opcode_base) / (t->line_range ? t->line_range : 1u)) *
                t->min_length;
            break;
        case DW_LNS_fixed_advance_pc:
            s.address += urd_debuginfo_read_sized(&c, 2);
            break;
        case DW_LNS_set_prologue_end:
            s.prologue_end = true;
            break;
        case DW_LNS_set_basic_block:
        case DW_LNS_set_epilogue_begin:
            break;
        default: /* set_isa and unknown ones: skip their operands */
            for (unsigned i = 0; i < t->lengths[op] && c.ok; i++)
                urd_cursor_varint(&c);
        }
    }
    t->n_rows = first; /* rows after the last end_sequence have no end */
    if (t->n_sequences)
        qsort(t->sequences, t->n_sequences, sizeof *t->sequences, compare_sequences);
}

const struct urd_line_row *urd_debuginfo_row_at(const struct urd_line_table *t, uint64_t address,
                                                uint64_t *ret_start, uint64_t *ret_end)
{
    size_t lo = 0, hi = t->n_sequences;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (t->sequences[mid].low <= address)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (!lo || address >= t->sequences[lo - 1].high)
        return NULL;
    uint32_t a = t->sequences[lo - 1].first, b = t->sequences[lo - 1].last;
    while (b - a > 1) { /* last row with row.address <= address */
        uint32_t mid = (a + b) / 2;
        if (t->rows[mid].address <= address)
            a = mid;
        else
            b = mid;
    }
    uint32_t best = a; /* gdb: a statement at the same address is preferred */
    while (best > t->sequences[lo - 1].first && !t->rows[best].is_stmt &&
           t->rows[best - 1].address == t->rows[a].address)
        best--;
    if (!t->rows[best].is_stmt)
        best = a;
    *ret_start = t->rows[best].address;
    *ret_end = t->rows[b].address;
    return &t->rows[best];
}
