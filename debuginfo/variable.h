/**
 * Variables in scope, globals, arguments and return values.
 *
 * PURPOSE  Find variables by place or by name, and read them in a frame.
 * NOT      Expressions (query/expr.h).
 * OWNS     Variables belong to their module. Lists are freed with free().
 */
#ifndef URD_DEBUGINFO_VARIABLE_H
#define URD_DEBUGINFO_VARIABLE_H
#include "debuginfo/value.h"

enum urd_variable_kind {
    URD_VARIABLE_PARAMETER,
    URD_VARIABLE_LOCAL,
    URD_VARIABLE_GLOBAL, /* or static, at file scope or within a function */
};

struct urd_variable {
    const char *name;      /* bare */
    const char *qualified; /* ns::name for globals of C++, else the same */
    const struct urd_type *type;
    enum urd_variable_kind kind;
    bool external;
    bool artificial; /* this, __range */
    bool is_result;  /* of Go's, which are described like parameters */
    bool has_location;
    unsigned depth;   /* 0 the function itself, 1 a block in it or an inlined function, ... */
    unsigned nesting; /* in how many inlined copies it lies, 0: in none */
    const char *file; /* declared in */
    unsigned line;
    struct urd_module *module;
    uint64_t die, origin; /* origin: of a copy's variable, the function's own entry; else die */
    /* for reading; private to debuginfo */
    void *location;
};

/** Innermost first: those of the blocks and inlined functions around address, then parameters and
 *  locals of the function itself. Not file-scope ones. A name may occur more than once: the first
 *  is the visible one. Free with free(). */
void urd_debuginfo_variables_at(struct urd_module *m, uint64_t address,
                                const struct urd_variable ***ret, size_t *ret_count);
/** In how many inlined copies the frame's function lies at address, a module address: whose variables have that `nesting`. */
unsigned urd_debuginfo_nesting(const struct urd_frame *frame, struct urd_module *m,
                               uint64_t address);
/** The results of a function that has them as variables; 0 of any other, whatever it returns. *ret: the first. */
size_t urd_debuginfo_results_of(struct urd_module *m, const struct urd_function *function,
                                const struct urd_variable **ret);
/** Parameters of a function in order (urd_function.die). Free with free(). */
void urd_debuginfo_parameters_of(struct urd_module *m, const struct urd_function *function,
                                 const struct urd_variable ***ret, size_t *ret_count);
/** All file-scope and namespace-scope variables with a location, and statics of functions. */
const struct urd_variable *const *urd_debuginfo_globals(struct urd_module *m, size_t *ret_count);
/**
 * A global by name ("x", "ns::x"). near_address: one of the unit that holds this module address is
 * preferred, then external ones (0: no preference). file: only units whose name ends so (NULL:
 * any). function: statics of that function only (NULL: not within functions).
 */
const struct urd_variable *urd_debuginfo_global_named(struct urd_module *m, const char *name,
                                                      uint64_t near_address, const char *file,
                                                      const char *function);
const char *urd_debuginfo_nearest_variable(struct urd_module *m, uint64_t address,
                                           const char *name);

/** An enumerator by name ("RED", "Colour::RED"): its type and value. */
bool urd_debuginfo_constant_named(struct urd_module *m, const char *name,
                                  const struct urd_type **type, int64_t *ret);
/** The address of an offset within a module's thread-local storage; false when not known. */
bool urd_debuginfo_tls_address(struct urd_module *m, uint64_t bias, const struct urd_frame *frame,
                               uint64_t offset, uint64_t *ret);
/** The type of a function itself (urd_function.die), or NULL. */
const struct urd_type *urd_debuginfo_function_type(struct urd_module *m,
                                                   const struct urd_function *function);

/** The value in a frame; bias is the module's. ret is lazy when it lies wholly in memory. */
void urd_debuginfo_variable_read(const struct urd_variable *variable, const struct urd_frame *frame,
                                 uint64_t bias, struct urd_value *ret);

/** What a function returns (urd_function.die), NULL for void or unknown. */
const struct urd_type *urd_debuginfo_return_type(struct urd_module *m,
                                                 const struct urd_function *function);
/** The return value in a frame right at the return of a function (after ret, or at it): registers
 *  by the psABI's classes, or the memory that rax points to. */
void urd_debuginfo_return_value(const struct urd_type *type, const struct urd_frame *frame,
                                struct urd_value *ret);

#endif
