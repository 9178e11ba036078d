/**
 * Types as the compiler described them.
 *
 * PURPOSE  DWARF type entries as C structs, and C spellings of them.
 * NOT      Values (value.h).
 * OWNS     Types belong to their module (or, made by pointer_to and array_of, to the module of
 *          their target) and live as long as it; the built-in ones live for ever.
 * FORMAT   DWARF 5, chapter 5.
 */
#ifndef URD_DEBUGINFO_TYPE_H
#define URD_DEBUGINFO_TYPE_H
#include "debuginfo/module.h"

enum urd_type_kind {
    URD_TYPE_VOID,
    URD_TYPE_INT, /* is_signed tells */
    URD_TYPE_CHAR,
    URD_TYPE_BOOL,
    URD_TYPE_FLOAT, /* 2, 4, 8, 10 (in 16) or 16 bytes */
    URD_TYPE_COMPLEX,
    URD_TYPE_POINTER,
    URD_TYPE_REFERENCE, /* && too */
    URD_TYPE_MEMBER_POINTER,
    URD_TYPE_ARRAY,
    URD_TYPE_STRUCT, /* class too */
    URD_TYPE_UNION,
    URD_TYPE_ENUM,
    URD_TYPE_TYPEDEF,
    URD_TYPE_QUALIFIED, /* const, volatile, restrict, _Atomic */
    URD_TYPE_FUNCTION,
};

struct urd_type {
    enum urd_type_kind kind;
    const char *name;              /* without struct/union/enum; NULL when it has none */
    uint64_t size;                 /* bytes; of an array with run-time bounds 0 (see dynamic) */
    const struct urd_type *target; /* pointee, element, aliased, returned; NULL means void */
    uint64_t count;                /* elements of an array */
    bool is_signed;
    bool is_class, is_rvalue;   /* class Foo; T && */
    bool is_const, is_volatile; /* of QUALIFIED */
    bool declaration;           /* only declared: size and members are elsewhere, if anywhere */
    bool dynamic;               /* array whose count must be computed in a frame */
    bool unknown_count;         /* array written as T[] */
    bool is_vector;             /* GNU vector */
    bool scoped;                /* enum class */
    bool is_decimal;            /* decimal float */
    struct urd_module *module;  /* NULL: built in */
    uint64_t die;               /* handle, 0: made up */
};

/** Of a member that is there only when another one has a certain value: DWARF 5, 5.7.10; Rust's enums. */
struct urd_variant {
    uint64_t part; /* handle of what the variants are of, 0: the member is always there */
    const struct urd_type *type; /* of the discriminant; NULL: there is but one variant */
    uint64_t offset;             /* of the discriminant in the struct, bytes */
    uint64_t value;
    bool otherwise; /* it is there when no other one is */
    bool unclear;   /* told in a way that is not read */
};

struct urd_member {
    const char *name; /* NULL: anonymous struct or union */
    const struct urd_type *type;
    uint64_t offset; /* bytes from the start of the struct */
    unsigned bit_offset,
        bit_size; /* bit_size 0: no bit-field; bit_offset from `offset`, low first */
    bool is_base; /* a base class */
    bool
        is_virtual_base; /* where it lies is read from the object (urd_debuginfo_value_member); offset is 0 */
    uint64_t die;    /* handle of its DIE */
    bool artificial; /* _vptr */
    struct urd_variant variant;
};

struct urd_enumerator {
    const char *name;
    int64_t value;
};

/** Members of a struct or union, base classes first as declared, those of all variants. A declaration gives those of the
 *  full type elsewhere in the module. */
const struct urd_member *urd_debuginfo_type_members(const struct urd_type *t, size_t *ret_count);
const struct urd_enumerator *urd_debuginfo_type_enumerators(const struct urd_type *t,
                                                            size_t *ret_count);
/** Parameter types of a FUNCTION. */
const struct urd_type *const *urd_debuginfo_type_parameters(const struct urd_type *t,
                                                            size_t *ret_count);

/** Without typedefs and qualifiers, never NULL (a built-in void for NULL). A declared struct is
 *  replaced by its definition when the module has one. */
const struct urd_type *urd_debuginfo_type_strip(const struct urd_type *t);
/** C spelling: "const struct foo *", "int (*)(char, int)", "char [16]". malloc'ed. */
char *urd_debuginfo_type_text(const struct urd_type *t);
/** "ns::C" of a struct, union or enum. */
const char *urd_debuginfo_type_qualified(const struct urd_type *t);
/** By spelling without pointers: "struct foo", "unsigned long", "size_t", "ns::C"; NULL when the
 *  module has none. Base types of C are found by urd_debuginfo_type_builtin without DWARF. */
const struct urd_type *urd_debuginfo_type_named(struct urd_module *m, const char *name);
const struct urd_type *urd_debuginfo_type_builtin(const char *name); /* "unsigned char", "long" */
/** m: where it is kept unless target has a module; NULL: with the calling thread, for ever. */
const struct urd_type *urd_debuginfo_type_pointer_to(struct urd_module *m,
                                                     const struct urd_type *target);
const struct urd_type *urd_debuginfo_type_array_of(struct urd_module *m,
                                                   const struct urd_type *element, uint64_t count);

bool urd_debuginfo_type_is_integer(const struct urd_type *t); /* stripped; int, char, bool, enum */
bool urd_debuginfo_type_is_scalar(const struct urd_type *t);  /* integer, float, pointer */
bool urd_debuginfo_type_is_aggregate(const struct urd_type *t);

#endif
