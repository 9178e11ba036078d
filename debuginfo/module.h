/**
 * One ELF file with its symbols and debug information.
 *
 * PURPOSE  Open a file that a subject mapped (usually the copy kept in the trace) and answer about
 *          it: symbols, functions, lines, files. Everything is found when first asked for; opening
 *          reads the ELF header, the section table and nothing else.
 * NOT      Where it is mapped (image.h); values (value.h, location.h); types (type.h).
 * OWNS     A module owns every string, type and symbol it hands out; they live until it is closed.
 *          Lists that a caller must free say so.
 * CONTEXT  One thread at a time per module; different modules in different threads are fine.
 *          All addresses here are module addresses: as linked, before the load bias is added.
 * FORMAT   ELF gABI; DWARF 4 and 5. Hostile or truncated input gives fewer answers, never a crash.
 */
#ifndef URD_DEBUGINFO_MODULE_H
#define URD_DEBUGINFO_MODULE_H
#include "base/err.h"

struct urd_module;

/**
 * path is the file to read, original_path where the subject mapped it from (NULL: the same). A
 * separate debug file is looked for by build-id under /usr/lib/debug and by .gnu_debuglink beside
 * the original. Fails when the file cannot be read or is no x86-64 ELF file.
 */
URD_MUST_USE urd_err *urd_debuginfo_module_open(const char *path, const char *original_path,
                                                struct urd_module **ret);
void urd_debuginfo_module_close(struct urd_module *m);

const char *urd_debuginfo_module_path(const struct urd_module *m);     /* the original path */
const char *urd_debuginfo_module_name(const struct urd_module *m);     /* its last component */
const char *urd_debuginfo_module_build_id(const struct urd_module *m); /* hex, "" when none */
bool urd_debuginfo_module_has_lines(struct urd_module *m);             /* any DWARF unit at all */
bool urd_debuginfo_module_is_executable(const struct urd_module *m);   /* ET_EXEC or a PIE */
/** The link-time address of file offset within the PT_LOAD that contains it. */
bool urd_debuginfo_module_offset_to_address(const struct urd_module *m, uint64_t offset,
                                            uint64_t *ret);
/** Lowest and one past the highest address of all PT_LOADs. */
void urd_debuginfo_module_extent(const struct urd_module *m, uint64_t *low, uint64_t *high);
uint64_t urd_debuginfo_module_entry(const struct urd_module *m);
/** Bytes as in the file (zero beyond them, as .bss); false outside of PT_LOADs. Relocations and
 *  writes are not in them: only right for read-only data. */
bool urd_debuginfo_module_read(const struct urd_module *m, uint64_t address, void *buf,
                               size_t size);

/* ---- symbols (ELF; work without DWARF) ---- */

enum urd_symbol_kind {
    URD_SYMBOL_FUNCTION,
    URD_SYMBOL_OBJECT,
    URD_SYMBOL_TLS,   /* address is an offset within the TLS block */
    URD_SYMBOL_PLT,   /* name is "foo@plt" */
    URD_SYMBOL_FRAME, /* no name known, start and size from .eh_frame; name is "module+0x1234" */
};

struct urd_symbol {
    const char *name;    /* demangled when C++ or Rust, without @VERSION */
    const char *linkage; /* as in the symbol table */
    uint64_t address;
    uint64_t size; /* bytes; 0 in the file is extended to the next symbol */
    enum urd_symbol_kind kind;
    bool global;
    bool
        indirect; /* STT_GNU_IFUNC: the function at address chooses the one that is called by this name */
};

/** The symbol whose extent holds address (code or data), or NULL. Exactly its entry when
 *  ret->address == address. */
const struct urd_symbol *urd_debuginfo_symbol_at(struct urd_module *m, uint64_t address);
/**
 * The name by which others know the function that begins at address, where its own is for the implementation only: `malloc`, not
 * `__libc_malloc`. NULL: there is no global symbol without an underscore in front.
 */
const char *urd_debuginfo_public_name(struct urd_module *m, uint64_t address);
/** By name or linkage name; globals before locals; NULL when there is none. */
const struct urd_symbol *urd_debuginfo_symbol_named(struct urd_module *m, const char *name);
/** All, sorted by address (TLS symbols last). */
const struct urd_symbol *urd_debuginfo_symbols(struct urd_module *m, size_t *ret_count);

/* ---- lines ---- */

struct urd_line {
    const char *file; /* full path as the compiler wrote it, joined with its directory */
    unsigned
        line; /* of code that the compiler attributes to none, that of what stands before it in the function; 0: none does */
    unsigned column; /* 0: unknown */
    bool is_stmt;
    uint64_t start, end; /* the row's address range */
};

/** The line row that holds address; false where there is none. */
bool urd_debuginfo_line_at(struct urd_module *m, uint64_t address, struct urd_line *ret);

/** A place to stop for one execution of a line. */
struct urd_line_place {
    uint64_t address;
    const char *file;
    const char *function; /* that it runs in (the out-of-line one), or NULL */
    unsigned line;        /* the line that has code: the one asked for or the next that has */
    bool inlined;         /* within an inlined copy */
};

/**
 * Where to stop so that one execution of FILE:LINE is met once: one address for each function or
 * inlined copy, as gdb does. file may be any suffix of a path that begins at a component. When the
 * line has no code, the next line of that file that has any is taken (ret[i].line tells).
 * count 0: no such file, or nothing at or after that line. Free *ret with free().
 */
void urd_debuginfo_line_places(struct urd_module *m, const char *file, unsigned line,
                               struct urd_line_place **ret, size_t *ret_count);

/** Every address range that the line table attributes to file (full path as in urd_line.file);
 *  sorted by line, then address. Free *ret with free(). */
void urd_debuginfo_file_lines(struct urd_module *m, const char *file, struct urd_line **ret,
                              size_t *ret_count);

struct urd_source {
    const char *path;     /* full: directory joined with name; the identity of a file */
    const char *name;     /* as in the line table */
    const char *comp_dir; /* of the unit that names it */
    const uint8_t *md5;   /* 16 bytes from DWARF 5, or NULL */
};

/** All source files of all units, sorted by path, each once. */
const struct urd_source *urd_debuginfo_sources(struct urd_module *m, size_t *ret_count);

/* ---- functions ---- */

struct urd_function {
    const char *name;        /* bare: "f" */
    const char *qualified;   /* "ns::C::f"; the same as name in C */
    const char *linkage;     /* mangled, or NULL */
    uint64_t entry, end;     /* end: one past the highest of the range that holds entry */
    uint64_t after_prologue; /* where gdb would stop; entry when unknown */
    const char *unit;        /* name of the compile unit, NULL when from the symbol table */
    const char *file;        /* declared in, or NULL */
    unsigned line;           /* declared at, 0 unknown */
    bool inlined;            /* an inlined copy: entry is where its code begins */
    bool external;           /* not static */
    uint64_t die;            /* handle for type.h and variable.h; 0 when there is no DWARF */
    bool
        typed; /* its parameters and what it returns are known: not so of what an assembler describes, or a compiler with -g1 */
};

/** All functions with code: from DWARF, and from the symbol table where DWARF is silent. Sorted by
 *  entry; inlined copies included. Parses every unit: may take a while on a large module. */
const struct urd_function *urd_debuginfo_functions(struct urd_module *m, size_t *ret_count);
/** All whose name, qualified name, or linkage name is name (a suffix of the qualified name that
 * begins at a component will do; "f(int)" picks an overload by its demangled spelling). Free *ret
 * with free(). */
void urd_debuginfo_functions_named(struct urd_module *m, const char *name,
                                   const struct urd_function ***ret, size_t *ret_count);
/** The out-of-line function that holds address, or NULL. */
const struct urd_function *urd_debuginfo_function_at(struct urd_module *m, uint64_t address);

/** One level of inlining at an address. */
struct urd_inlined {
    const char *name;      /* qualified name of the inlined subroutine */
    const char *call_file; /* where it was inlined into its caller */
    unsigned call_line, call_column;
    uint64_t start, end; /* the range of the copy that holds the address */
    uint64_t die;
};

/**
 * Of code compiled with -gsplit-dwarf: the .dwo file that has its functions and variables, when that is not where the program says nor beside
 * the program, or is of another build. NULL: nothing is missing.
 */
const char *urd_debuginfo_missing_split(struct urd_module *m, uint64_t address);
/** Innermost first, at most capacity; returns how many there are. */
size_t urd_debuginfo_inlined_at(struct urd_module *m, uint64_t address, struct urd_inlined *ret,
                                size_t capacity);

/* ---- names, for errors that suggest ---- */

/** The function or file name nearest to name, or NULL when none is near. */
const char *urd_debuginfo_nearest_function(struct urd_module *m, const char *name);
const char *urd_debuginfo_nearest_source(struct urd_module *m, const char *name);
/** Edit distance (with transpositions), given up above limit. */
unsigned urd_debuginfo_edit_distance(const char *a, const char *b, unsigned limit);
/** Demangled copy of a C++ or Rust symbol (malloc'ed), or NULL when it is not one. */
char *urd_debuginfo_demangle(const char *linkage);

#endif
