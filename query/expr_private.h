/**
 * The syntax tree of an expression, and what its evaluation shares.
 *
 * PURPOSE  Between expr_parse.c, expr_bind.c, expr_eval.c and expr_arith.c.
 * CONTEXT  Private to query/expr*.
 */
#ifndef URD_QUERY_EXPR_PRIVATE_H
#define URD_QUERY_EXPR_PRIVATE_H
#include "base/buf.h"
#include "base/map.h"
#include "debuginfo/variable.h"
#include "query/expr.h"

enum node_kind {
    NODE_NUMBER,
    NODE_FLOAT,
    NODE_STRING,
    NODE_NAME,
    NODE_REGISTER,
    NODE_RETVAL,
    NODE_UNARY,  /* op: - + ! ~ * & */
    NODE_BINARY, /* op: + - * / % & | ^ < > and the enum below */
    NODE_AND,
    NODE_OR,
    NODE_TERNARY,
    NODE_MEMBER, /* text; op '.' or '>' for -> */
    NODE_INDEX,
    NODE_SLICE, /* a @ b */
    NODE_CAST,
    NODE_SIZEOF, /* type, or a */
};

enum { OP_SHL = 256, OP_SHR, OP_LE, OP_GE, OP_EQ, OP_NE };

/** A type as written: a name, then pointers, references and array bounds from the inside out. */
struct type_name {
    char *base;
    int n;
    struct {
        char kind; /* '*', '&', '[' */
        uint64_t count;
    } suffix[8];
    bool function; /* pointer to function: (*)(...) */
    int64_t offset;
    const struct urd_type *type; /* found in `generation` */
    uint64_t generation;
};

enum binding_kind {
    BIND_VARIABLE,
    BIND_SYMBOL, /* ELF: address and size only */
    BIND_FUNCTION,
    BIND_CONSTANT,
    BIND_MEMBER, /* of *this */
    BIND_TYPE,   /* for sizeof */
};

struct binding {
    enum binding_kind kind;
    const struct urd_variable *variable; /* or `this` */
    uint64_t bias, address; /* address: run-time, of SYMBOL and FUNCTION; of a copied VARIABLE */
    const struct urd_type *type;
    int64_t number;
    uint64_t tls_offset;
    struct urd_module *module;
    bool tls;
};

struct node {
    enum node_kind kind;
    int op;
    int64_t offset; /* in the text, of the part to point at */
    struct node *a, *b, *c;
    char *text;            /* name, member, string */
    char *file, *function; /* of 'file.c'::x and f::x; function is set at binding */
    size_t size;           /* of a string */
    uint64_t number;
    long double real;
    const struct urd_type *number_type;
    unsigned reg, reg_size, reg_shift; /* bytes, bits */
    struct type_name *type;
    struct urd_map bindings; /* pc -> struct binding * */
    uint64_t generation;
    struct node *next; /* all nodes, for freeing */
};

struct urd_expr {
    char *text;
    struct node *root, *nodes;
    struct type_name *types[32];
    int n_types;
    bool names_registers;
};

/** Where an evaluation happens. */
struct evaluation {
    const struct urd_frame *frame;
    struct urd_module *module; /* that holds pc, else the first; may be NULL */
    uint64_t bias;
    bool in_module; /* pc is within it */
};

/** $name: a register; false when there is none. */
bool urd_expr_register(const char *name, unsigned *reg, unsigned *size, unsigned *shift);
const char *urd_expr_nearest_register(const char *name);
URD_MUST_USE urd_err *urd_expr_bind(const struct evaluation *x, struct node *n,
                                    const struct binding **ret);
URD_MUST_USE urd_err *urd_expr_type(const struct evaluation *x, struct type_name *t,
                                    const struct urd_type **ret);
/** A type of C itself, as it may be written ("unsigned", "long int"); NULL: it is none. */
const struct urd_type *urd_expr_own_type(const char *name);
/** A member by name, through anonymous structs and base classes; offsets are summed. */
bool urd_expr_member(const struct urd_type *t, const char *name, struct urd_member *ret);
/** Whether there is such a member, in virtual base classes too. */
bool urd_expr_has_member(const struct urd_type *t, const char *name);
const char *urd_expr_nearest_member(const struct urd_type *t, const char *name);

URD_MUST_USE urd_err *urd_expr_binary(const struct evaluation *x, const struct node *n,
                                      struct urd_value *a, struct urd_value *b,
                                      struct urd_value *ret);
URD_MUST_USE urd_err *urd_expr_unary(const struct evaluation *x, const struct node *n,
                                     struct urd_value *a, struct urd_value *ret);
URD_MUST_USE urd_err *urd_expr_cast(const struct evaluation *x, const struct node *n,
                                    const struct urd_type *type, struct urd_value *a,
                                    struct urd_value *ret);
/** Truth of a scalar; false in *ret_known when it has no value. */
URD_MUST_USE urd_err *urd_expr_truth(const struct evaluation *x, const struct node *n,
                                     struct urd_value *v, bool *ret, bool *ret_known);
/** ret takes the status of a value that has none. */
void urd_expr_no_value(const struct urd_value *from, const struct urd_type *type,
                       struct urd_value *ret);

#endif
