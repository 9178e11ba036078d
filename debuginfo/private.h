/**
 * What a module is made of.
 *
 * PURPOSE  The one struct behind urd_module; each part is filled by the file named beside it.
 * NOT      For other folders.
 * OWNS     See urd_debuginfo_module_close.
 * CONTEXT  Private to debuginfo/.
 */
#ifndef URD_DEBUGINFO_PRIVATE_H
#define URD_DEBUGINFO_PRIVATE_H
#include "debuginfo/dwarf.h"
#include "debuginfo/image.h"
#include "debuginfo/variable.h"

#define URD_NONE UINT32_MAX

/* ---- line tables (lines.c) ---- */

struct urd_line_row {
    uint64_t address;
    uint32_t file, line;
    uint16_t column;
    bool is_stmt : 1, end : 1, prologue_end : 1;
};

struct urd_line_sequence {
    uint64_t low, high;
    uint32_t first, last; /* rows; last is its end_sequence row */
};

struct urd_line_table {
    struct urd_source *files; /* by file number */
    size_t n_files;
    struct urd_span program;
    uint8_t min_length, default_is_stmt, line_range, opcode_base;
    uint8_t version, address_size;
    int8_t line_base;
    uint8_t lengths[256];
    bool decoded;
    struct urd_line_row *rows;
    size_t n_rows, cap_rows;
    struct urd_line_sequence *sequences; /* sorted by low */
    size_t n_sequences, cap_sequences;
};

struct urd_line_table *urd_debuginfo_unit_lines(struct urd_module *m, struct urd_unit *u);
void urd_debuginfo_lines_decode(struct urd_module *m, struct urd_line_table *t);
/** The row that holds an address, as gdb picks it, or NULL; *ret_end is where it ends. */
const struct urd_line_row *urd_debuginfo_row_at(const struct urd_line_table *t, uint64_t address,
                                                uint64_t *ret_start, uint64_t *ret_end);
/** Full path by file number of a unit's table, or NULL. */
const char *urd_debuginfo_unit_file(struct urd_module *m, struct urd_unit *u, uint64_t file);

/* ---- one pass over a unit (unit_index.c) ---- */

struct urd_scope {
    uint64_t die, origin;
    uint32_t parent; /* URD_NONE: a function at file level */
    uint32_t end;    /* one past its last descendant */
    uint32_t first_range, n_ranges;
    uint32_t call_line, call_column, call_file;
    uint32_t decl_line, decl_file;
    uint16_t tag; /* subprogram, inlined_subroutine, lexical_block */
    bool external;
    uint64_t entry;
    const char *name, *qualified, *linkage;
};

struct urd_named_die {
    const char *name, *qualified;
    uint64_t die;
    uint64_t aux;   /* of an enumerator: its enum */
    uint32_t scope; /* of a variable or type: URD_NONE at file level */
    uint16_t tag;
    bool declaration;
    const char *function; /* of a static in a function without code of its own */
};

struct urd_unit_index {
    struct urd_scope *scopes;
    size_t n_scopes, cap_scopes;
    struct urd_range *ranges;
    size_t n_ranges, cap_ranges;
    struct urd_named_die *variables; /* parameters, locals, globals, in order */
    size_t n_variables, cap_variables;
    struct urd_named_die *types;
    size_t n_types, cap_types;
    struct urd_named_die *constants; /* enumerators */
    size_t n_constants, cap_constants;
    struct urd_map names; /* handle of a declaration or abstract entry -> qualified name */
    bool has_loclists;
};

/** NULL when damaged, or when called again while it is being built. */
struct urd_unit_index *urd_debuginfo_unit_index(struct urd_module *m, struct urd_unit *u);
void urd_debuginfo_unit_index_free(struct urd_unit_index *x);
const char *urd_debuginfo_qualified_name(struct urd_module *m, uint64_t handle);
/** A unit's type by its handle, or NULL. They are in order of their handles, also while the unit is being read. */
const struct urd_named_die *urd_debuginfo_type_die(const struct urd_unit_index *x, uint64_t die);
/** The unit with code at an address, or NULL. */
struct urd_unit *urd_debuginfo_unit_at(struct urd_module *m, uint64_t address);
/** The innermost scope at an address, URD_NONE: none. */
uint32_t urd_debuginfo_scope_at(const struct urd_unit_index *x, uint64_t address);
bool urd_debuginfo_scope_has(const struct urd_unit_index *x, uint32_t scope, uint64_t address,
                             struct urd_range *ret);

/* ---- call frame information (cfi.c) ---- */

struct urd_fde {
    uint64_t low, high;
    uint64_t offset; /* in its section */
    bool debug_frame;
};

struct urd_unit_range {
    uint64_t low, high;
    uint32_t unit;
};

struct urd_module {
    char *path, *name;
    struct urd_elf elf, debug, alt; /* debug and alt: data is NULL when there is none */
    struct urd_dwarf dwarf, alt_dwarf;
    bool dwarf_opened, debug_searched;
    struct urd_arena arena;

    struct urd_symbol *symbols; /* symbols.c */
    size_t n_symbols, cap_symbols, n_addressed;
    struct urd_map symbol_names; /* hash -> index + 1 of the first; next in symbol_next */
    uint32_t *symbol_next;
    bool symbols_read, symbol_names_read;

    struct urd_unit_range *unit_ranges; /* unit_index.c, sorted */
    size_t n_unit_ranges, cap_unit_ranges;
    bool unit_ranges_read;

    struct urd_map line_tables; /* offset -> struct urd_line_table * */
    struct urd_source *sources; /* sources.c */
    size_t n_sources, cap_sources;
    bool sources_read;

    struct urd_function *functions; /* functions.c */
    size_t n_functions, cap_functions;
    uint64_t *function_max_end;
    bool functions_read;

    struct urd_map types;    /* type.c: handle -> struct urd_type * */
    struct urd_map pointers; /* target -> struct urd_type * */
    int type_depth;
    struct urd_map type_names; /* hash of name -> index + 1 into type_list */
    struct type_entry *type_list;
    size_t n_type_list, cap_type_list;
    bool type_names_read;
    struct urd_map members;    /* handle -> members */
    struct urd_map alignments; /* summary.c: handle -> bytes */

    struct urd_map variables; /* variable.c: handle -> struct urd_variable * */
    const struct urd_variable **globals;
    size_t n_globals, cap_globals;
    struct urd_map global_names; /* hash -> index + 1, chained by global_next */
    uint32_t *global_next;
    bool globals_read;

    struct urd_fde *fdes; /* cfi.c, sorted */
    size_t n_fdes, cap_fdes;
    bool fdes_read, debug_frame_read;
    struct found_row *last_row; /* cfi.c; or NULL */
    struct urd_span eh_frame, debug_frame;
    uint64_t eh_frame_address;
};

/** The file that has the debug sections: this one or its separate debug file. */
struct urd_elf *urd_debuginfo_module_debug_file(struct urd_module *m);
/** Open the DWARF (of this file or of its separate debug file) if not yet done. */
struct urd_dwarf *urd_debuginfo_module_dwarf(struct urd_module *m);
/** Whether an address lies in an executable PT_LOAD. */
bool urd_debuginfo_module_is_code(const struct urd_module *m, uint64_t address);
void urd_debuginfo_module_fdes(struct urd_module *m);
uint64_t urd_debuginfo_hash(const char *text);
/** A text in the module's arena. */
char *urd_debuginfo_module_printf(struct urd_module *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** A type by handle, NULL for void. */
const struct urd_type *urd_debuginfo_type_of(struct urd_module *m, uint64_t handle);
const struct urd_type *urd_debuginfo_die_type(struct urd_module *m, const struct urd_die *die);
/** Whether path ends in suffix at a component boundary. */
bool urd_debuginfo_path_matches(const char *path, const char *suffix);
const struct urd_variable *urd_debuginfo_variable_of(struct urd_module *m, uint64_t handle);

/* ---- location expressions (location.c) ---- */

struct urd_location_context {
    struct urd_module *m;
    struct urd_unit *unit;
    const struct urd_frame *frame;
    uint64_t bias;
    uint64_t function;      /* handle of the function, for DW_OP_fbreg */
    const uint64_t *object; /* pushed first (data_member_location), or NULL */
    bool unknown_bound;     /* set by type_resolve when an array's length is not known here */
};
/** Evaluate an expression into a value whose type and size are set. */
void urd_debuginfo_location_value(struct urd_location_context *x, struct urd_span expression,
                                  struct urd_value *ret);
/** Evaluate an expression to a number on its stack. */
bool urd_debuginfo_location_number(struct urd_location_context *x, struct urd_span expression,
                                   uint64_t *ret);
/** Run-time bounds: the same type with counts filled in; t itself when nothing is dynamic. */
const struct urd_type *urd_debuginfo_type_resolve(struct urd_location_context *x,
                                                  const struct urd_type *t);

#endif
