/* Range lists and location lists: DWARF 5, 2.17.3, 2.6.2, 7.25, 7.29; DWARF 4, 2.17.3, 2.6.2. */
#include "debuginfo/dwarf.h"

typedef void range_fn(void *data, struct urd_range r);

static void ranges_v4(const struct urd_unit *u, uint64_t offset, range_fn *fn, void *data)
{
    struct urd_span s = u->skeleton ? u->skeleton->dwarf->ranges : u->dwarf->ranges;
    offset += u->skeleton ? u->skeleton->ranges_base : 0;
    if (offset >= s.size)
        return;
    struct urd_cursor c = urd_cursor(s.data + offset, s.size - offset);
    uint64_t base = u->low_pc, largest = u->address_size == 8 ? UINT64_MAX : UINT32_MAX;
    for (;;) {
        uint64_t low = urd_debuginfo_read_sized(&c, u->address_size);
        uint64_t high = urd_debuginfo_read_sized(&c, u->address_size);
        if (!c.ok || (!low && !high))
            return;
        if (low == largest)
            base = high;
        else if (low < high)
            fn(data, (struct urd_range){base + low, base + high});
    }
}

/** Where entry index of a table of offsets leads, or false. */
static bool list_offset(const struct urd_unit *u, struct urd_span s, uint64_t base, uint64_t index,
                        uint64_t *ret)
{
    uint64_t at = base + index * u->offset_size;
    if (index > s.size || at > s.size || s.size - at < u->offset_size)
        return false;
    uint64_t v = 0;
    memcpy(&v, s.data + at, u->offset_size);
    *ret = base + v;
    return true;
}

/** One entry of .debug_rnglists or .debug_loclists, which share their shape but not their codes.
 *  Returns 0 at the end, 1 for a range, 2 for no range, 3 for a default location. */
static int list_entry(const struct urd_unit *u, struct urd_cursor *c, bool loc, uint64_t *base,
                      struct urd_range *r)
{
    uint64_t a = 0, b = 0;
    unsigned code = urd_cursor_u8(c);
    if (loc && code == DW_LLE_default_location)
        return 3;
    if (loc && code > DW_LLE_default_location)
        code--; /* from here on the same as DW_RLE_* */
    bool ok = true;
    switch (code) {
    case DW_RLE_base_addressx:
        return urd_debuginfo_unit_address(u, urd_cursor_varint(c), base), 2;
    case DW_RLE_startx_endx:
        ok = urd_debuginfo_unit_address(u, urd_cursor_varint(c), &a);
        ok = urd_debuginfo_unit_address(u, urd_cursor_varint(c), &b) && ok;
        break;
    case DW_RLE_startx_length:
        ok = urd_debuginfo_unit_address(u, urd_cursor_varint(c), &a);
        b = a + urd_cursor_varint(c);
        break;
    case DW_RLE_offset_pair:
        a = *base + urd_cursor_varint(c);
        b = *base + urd_cursor_varint(c);
        break;
    case DW_RLE_base_address:
        *base = urd_debuginfo_read_sized(c, u->address_size);
        return 2;
    case DW_RLE_start_end:
        a = urd_debuginfo_read_sized(c, u->address_size);
        b = urd_debuginfo_read_sized(c, u->address_size);
        break;
    case DW_RLE_start_length:
        a = urd_debuginfo_read_sized(c, u->address_size);
        b = a + urd_cursor_varint(c);
        break;
    default:
        return 0;
    }
    *r = ok ? (struct urd_range){a, b} : (struct urd_range){0};
    return c->ok ? 1 : 0;
}

static void ranges_v5(const struct urd_unit *u, uint64_t offset, range_fn *fn, void *data)
{
    struct urd_span s = u->dwarf->rnglists;
    if (offset >= s.size)
        return;
    struct urd_cursor c = urd_cursor(s.data + offset, s.size - offset);
    uint64_t base = u->low_pc;
    struct urd_range r;
    for (int kind; (kind = list_entry(u, &c, false, &base, &r)) && c.ok;)
        if (kind == 1 && r.low < r.high)
            fn(data, r);
}

void urd_debuginfo_die_ranges(const struct urd_die *die, range_fn *fn, void *data)
{
    struct urd_attr a, b;
    struct urd_unit *u = die->unit;
    if (urd_debuginfo_die_attr(die, DW_AT_ranges, &a)) {
        uint64_t offset = a.u;
        if (a.class == URD_ATTR_LIST_INDEX &&
            !list_offset(u, u->dwarf->rnglists, u->rnglists_base, a.u, &offset))
            return;
        if (u->version >= 5)
            ranges_v5(u, offset, fn, data);
        else
            ranges_v4(u, offset, fn, data);
        return;
    }
    if (urd_debuginfo_die_attr(die, DW_AT_low_pc, &a) &&
        urd_debuginfo_die_attr(die, DW_AT_high_pc, &b) && a.class == URD_ATTR_ADDRESS) {
        uint64_t high = b.class == URD_ATTR_ADDRESS ? b.u : a.u + b.u;
        if (a.u < high)
            fn(data, (struct urd_range){a.u, high});
    }
}

static bool location_v4(const struct urd_unit *u, uint64_t offset, uint64_t address,
                        struct urd_span *ret)
{
    struct urd_span s = u->dwarf->loc;
    if (offset >= s.size)
        return false;
    struct urd_cursor c = urd_cursor(s.data + offset, s.size - offset);
    uint64_t base = u->low_pc, largest = u->address_size == 8 ? UINT64_MAX : UINT32_MAX;
    for (;;) {
        uint64_t low = urd_debuginfo_read_sized(&c, u->address_size);
        uint64_t high = urd_debuginfo_read_sized(&c, u->address_size);
        if (!c.ok || (!low && !high))
            return false;
        if (low == largest) {
            base = high;
            continue;
        }
        size_t size = urd_debuginfo_read_sized(&c, 2);
        const uint8_t *p = urd_cursor_bytes(&c, size);
        if (p && address >= base + low && address < base + high) {
            *ret = (struct urd_span){p, size};
            return true;
        }
    }
}

/** GNU's split units before DWARF 5: addresses are indices. */
static bool location_split(const struct urd_unit *u, uint64_t offset, uint64_t address,
                           struct urd_span *ret)
{
    struct urd_span s = u->dwarf->loc;
    if (offset >= s.size)
        return false;
    struct urd_cursor c = urd_cursor(s.data + offset, s.size - offset);
    uint64_t base = u->low_pc;
    for (;;) {
        uint64_t low = 0, high = 0;
        unsigned kind = urd_cursor_u8(&c);
        bool ok = true;
        enum { END = 0, BASE = 1, START_END = 2, START_LENGTH = 3, OFFSETS = 4 };
        if (kind == BASE) {
            ok = urd_debuginfo_unit_address(u, urd_cursor_varint(&c), &base);
        } else if (kind == START_END) {
            ok = urd_debuginfo_unit_address(u, urd_cursor_varint(&c), &low);
            ok = urd_debuginfo_unit_address(u, urd_cursor_varint(&c), &high) && ok;
        } else if (kind == START_LENGTH) {
            ok = urd_debuginfo_unit_address(u, urd_cursor_varint(&c), &low);
            high = low + urd_cursor_u32(&c);
        } else if (kind == OFFSETS) {
            low = base + urd_cursor_u32(&c);
            high = base + urd_cursor_u32(&c);
        } else {
            return false;
        }
        if (!c.ok)
            return false;
        if (kind == BASE)
            continue;
        size_t size = urd_debuginfo_read_sized(&c, 2);
        const uint8_t *p = urd_cursor_bytes(&c, size);
        if (p && ok && address >= low && address < high) {
            *ret = (struct urd_span){p, size};
            return true;
        }
    }
}

static bool location_v5(const struct urd_unit *u, uint64_t offset, uint64_t address,
                        struct urd_span *ret)
{
    struct urd_span s = u->dwarf->loclists;
    if (offset >= s.size)
        return false;
    struct urd_cursor c = urd_cursor(s.data + offset, s.size - offset);
    uint64_t base = u->low_pc;
    struct urd_span fallback = {0};
    struct urd_range r;
    for (;;) {
        /* GNU "views" pairs may stand before a list; DW_AT_location points past them */
        int kind = list_entry(u, &c, true, &base, &r);
        if (!kind || !c.ok)
            break;
        if (kind == 2)
            continue;
        size_t size = urd_cursor_varint(&c);
        const uint8_t *p = urd_cursor_bytes(&c, size);
        if (!p)
            break;
        if (kind == 3)
            fallback = (struct urd_span){p, size};
        else if (address >= r.low && address < r.high) {
            *ret = (struct urd_span){p, size};
            return true;
        }
    }
    *ret = fallback;
    return fallback.data;
}

bool urd_debuginfo_location_is_list(const struct urd_attr *a)
{
    return a->class == URD_ATTR_OFFSET || a->class == URD_ATTR_LIST_INDEX;
}

bool urd_debuginfo_die_location(const struct urd_die *die, unsigned name, uint64_t address,
                                struct urd_span *ret)
{
    struct urd_attr a;
    struct urd_unit *u = die->unit;
    if (!urd_debuginfo_die_attr(die, name, &a))
        return false;
    if (a.class == URD_ATTR_BLOCK) {
        *ret = a.block;
        return true;
    }
    if (!urd_debuginfo_location_is_list(&a))
        return false;
    uint64_t offset = a.u;
    if (a.class == URD_ATTR_LIST_INDEX &&
        !list_offset(u, u->dwarf->loclists, u->loclists_base, a.u, &offset))
        return false;
    return u->version >= 5 ? location_v5(u, offset, address, ret)
           : u->skeleton   ? location_split(u, offset, address, ret)
                           : location_v4(u, offset, address, ret);
}
