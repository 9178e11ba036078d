/**
 * The DWARF reader: units, entries (DIEs), attributes, ranges.
 *
 * PURPOSE  Walk .debug_info in place, with every read bounded.
 * NOT      Meaning: names and scopes are unit_index.h, types type.c, lines lines.c.
 * OWNS     Units and abbreviations live in the arena of their module.
 * CONTEXT  Private to debuginfo/. Written by hand rather than on libdwarf: Debian 12's 20210528 has
 *          known memory errors on damaged input, no split dwz (.gnu_debugaltlink), and allocates
 *          for each attribute read.
 * FORMAT   DWARF 5, chapter 7; DWARF 4 the same; GNU extensions of both.
 *
 * A DIE is named by a handle: its offset in .debug_info, with bit 63 for the supplementary (dwz)
 * file and bit 62 for .debug_types; bits 40 to 61 number the split unit's file (.dwo, from 1) when it is in one. 0 is no DIE.
 */
#ifndef URD_DEBUGINFO_DWARF_H
#define URD_DEBUGINFO_DWARF_H
#include "base/map.h"
#include "debuginfo/arena.h"
#include "debuginfo/elf.h"
#include <dwarf.h> /* libdwarf's: the numbers only */

#define URD_DIE_ALT         (1ull << 63)
#define URD_DIE_TYPES       (1ull << 62)
#define URD_DIE_SPLIT_SHIFT 40
#define URD_DIE_OFFSET      ((1ull << URD_DIE_SPLIT_SHIFT) - 1)

struct urd_range {
    uint64_t low, high; /* module addresses, high exclusive */
};

struct urd_abbrev {
    uint16_t tag;
    bool children;
    uint32_t first, n; /* in attrs */
};

struct urd_abbrev_attr {
    uint16_t name, form;
    int64_t constant; /* DW_FORM_implicit_const */
};

struct urd_abbrevs {
    struct urd_abbrev *dense; /* by code, while codes count up from 1 */
    uint64_t n_dense, cap_dense;
    struct urd_map sparse; /* code -> index in dense, for the others */
    struct urd_abbrev_attr *attrs;
    size_t n_attrs, cap_attrs;
    bool have_types;          /* some DIE has DW_AT_type */
    struct urd_abbrevs *next; /* all of them, for freeing */
};

struct urd_dwarf;
struct urd_unit_index;
struct urd_line_table;

struct urd_unit {
    struct urd_dwarf *dwarf;
    uint64_t tag_bits;    /* of the handles of its DIEs */
    const uint8_t *base;  /* start of its section */
    uint64_t offset, end; /* in the section */
    uint64_t root;        /* offset of its first DIE */
    uint64_t abbrev_offset;
    uint64_t type_signature, type_offset, split_id;
    uint16_t version;
    uint8_t address_size, offset_size, kind;
    bool opened, damaged;
    struct urd_abbrevs *abbrevs;
    /* from its root DIE, once opened */
    uint16_t tag;
    const char *name, *comp_dir;
    uint64_t low_pc, stmt_list;
    bool has_stmt_list, has_low_pc;
    uint64_t str_offsets_base, addr_base, rnglists_base, loclists_base;
    unsigned language;
    /* split DWARF: what stands in the program's file, and what in the .dwo file that it names */
    const char *split_name;
    bool split_searched;
    uint64_t ranges_base;   /* before DWARF 5: of the ranges in the .dwo file */
    struct urd_unit *split; /* the other one, NULL: not found */
    struct urd_unit
        *skeleton; /* of a unit in a .dwo file, which has no addresses and lines of its own */
    struct urd_unit_index *index;
    bool indexing;
};

struct urd_dwarf {
    struct urd_elf *elf; /* of the sections */
    uint64_t tag_bits;
    bool scanned;
    struct urd_span info, types, abbrev, str, line, line_str, str_offsets, addr, ranges, rnglists,
        loc, loclists;
    struct urd_unit *units;
    size_t n_units, cap_units;
    struct urd_map signatures; /* type signature -> DIE handle */
    struct urd_map abbrevs;    /* offset -> struct urd_abbrevs * */
    struct urd_abbrevs *all_abbrevs;
    struct urd_dwarf *alt;            /* supplementary file, or NULL */
    struct urd_dwarf **splits, *main; /* .dwo files; of one of these, whose it is */
    size_t n_splits, cap_splits;
    const char *module_path; /* beside which .dwo files may lie */
    struct urd_arena *arena;
};

struct urd_die {
    struct urd_unit *unit;
    const struct urd_abbrev *abbrev;
    uint64_t offset;     /* in its section */
    const uint8_t *data; /* its attributes */
};

enum urd_attr_class {
    URD_ATTR_NONE,
    URD_ATTR_ADDRESS,
    URD_ATTR_CONSTANT, /* u, and s sign-extended */
    URD_ATTR_STRING,
    URD_ATTR_BLOCK,      /* expression too */
    URD_ATTR_REFERENCE,  /* u is a handle */
    URD_ATTR_OFFSET,     /* into another section */
    URD_ATTR_LIST_INDEX, /* loclistx, rnglistx */
    URD_ATTR_FLAG,
};

struct urd_attr {
    enum urd_attr_class class;
    uint16_t name, form;
    uint64_t u;
    int64_t s;
    struct urd_span block;
    const char *string;
};

/** Find the sections and list the units: cheap, headers only. */
void urd_debuginfo_dwarf_scan(struct urd_dwarf *d);
void urd_debuginfo_dwarf_deinit(struct urd_dwarf *d);
/** Read a unit's abbreviations and root DIE; false when damaged. */
bool urd_debuginfo_unit_open(struct urd_unit *u);
/** All of a unit: that of the .dwo file when it is split and that is found, else itself. */
struct urd_unit *urd_debuginfo_unit_full(struct urd_unit *u);
/** The unit that holds a handle, opened, or NULL. */
struct urd_unit *urd_debuginfo_unit_of(struct urd_dwarf *d, uint64_t handle);

/** The DIE at an offset; false at a null entry or damage. *ret_after_null is set past a null. */
bool urd_debuginfo_die_read(struct urd_unit *u, uint64_t offset, struct urd_die *ret);
bool urd_debuginfo_die_at(struct urd_dwarf *d, uint64_t handle, struct urd_die *ret);
uint64_t urd_debuginfo_die_handle(const struct urd_die *die);
bool urd_debuginfo_die_child(const struct urd_die *die, struct urd_die *ret);
bool urd_debuginfo_die_sibling(const struct urd_die *die, struct urd_die *ret);
bool urd_debuginfo_die_attr(const struct urd_die *die, unsigned name, struct urd_attr *ret);
/** Following DW_AT_abstract_origin and DW_AT_specification. */
bool urd_debuginfo_die_attr_inherited(const struct urd_die *die, unsigned name,
                                      struct urd_attr *ret);
const char *urd_debuginfo_die_name(const struct urd_die *die); /* own DW_AT_name or NULL */
bool urd_debuginfo_die_flag(const struct urd_die *die, unsigned name);

/** Reads attributes one after the other: init, then next until false; `at` is then after the DIE.
 */
struct urd_attr_reader {
    struct urd_unit *unit;
    const struct urd_abbrev *abbrev;
    struct urd_cursor at;
    uint32_t i;
};
void urd_debuginfo_attrs_init(const struct urd_die *die, struct urd_attr_reader *r);
bool urd_debuginfo_attrs_next(struct urd_attr_reader *r, struct urd_attr *ret);

/** An address by its index in .debug_addr. */
bool urd_debuginfo_unit_address(const struct urd_unit *u, uint64_t index, uint64_t *ret);
uint64_t urd_debuginfo_read_sized(struct urd_cursor *c, unsigned bytes);
int64_t urd_debuginfo_read_sleb(struct urd_cursor *c);

/** Code ranges of a DIE, from low_pc and high_pc or ranges. Calls fn for each. */
void urd_debuginfo_die_ranges(const struct urd_die *die, void (*fn)(void *data, struct urd_range r),
                              void *data);
/**
 * The location expression of a DIE's attribute at a module address. Returns false when there is
 * none here (optimised out). Constants are given as class CONSTANT or STRING or BLOCK of
 * const_value.
 */
bool urd_debuginfo_die_location(const struct urd_die *die, unsigned name, uint64_t address,
                                struct urd_span *ret);
/** Whether a location attribute is a list (depends on the pc). */
bool urd_debuginfo_location_is_list(const struct urd_attr *a);

#endif
