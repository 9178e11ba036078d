/**
 * Frames and values.
 *
 * PURPOSE  What is known of a stopped task (struct urd_frame), and what a variable or expression is
 *          worth in it (struct urd_value), with the places in memory that hold it.
 * NOT      Text (value_text.h); finding variables (variable.h).
 * OWNS     A value owns `heap`; urd_debuginfo_value_deinit frees it. A zeroed value is valid.
 *          A frame borrows everything.
 */
#ifndef URD_DEBUGINFO_VALUE_H
#define URD_DEBUGINFO_VALUE_H
#include "debuginfo/image.h"
#include "debuginfo/type.h"

/** DWARF register numbers of x86-64 (psABI, figure 3.36). xmm0-15 are 17-32. */
enum urd_dwarf_register {
    URD_DW_RAX,
    URD_DW_RDX,
    URD_DW_RCX,
    URD_DW_RBX,
    URD_DW_RSI,
    URD_DW_RDI,
    URD_DW_RBP,
    URD_DW_RSP,
    URD_DW_R8,
    URD_DW_R9,
    URD_DW_R10,
    URD_DW_R11,
    URD_DW_R12,
    URD_DW_R13,
    URD_DW_R14,
    URD_DW_R15,
    URD_DW_RIP,
    URD_DW_XMM0 = 17,
    URD_DW_ST0 = 33,
    URD_DW_EFLAGS = 49,
    URD_DW_FS_BASE = 58,
    URD_DW_GS_BASE = 59,
};

struct urd_value;

/** A stopped task as one of its frames sees it. Zero means: nothing known. */
struct urd_frame {
    const struct urd_image *image;
    uint64_t pc;
    bool is_caller;    /* an outer frame: pc is a return address, lookups use pc - 1 */
    bool no_registers; /* only globals can be named, and the registers of the task by $NAME */
    /** It is the frame of what pc was inlined into, so many times; 0: of the innermost function. */
    unsigned level;
    void *data; /* given to the callbacks */
    /** false: that memory is not mapped. */
    bool (*read_memory)(void *data, uint64_t address, void *buf, size_t size);
    /** rax..rip, eflags, fs_base, gs_base; false: not known in this frame. */
    bool (*read_register)(void *data, unsigned dwarf_register, uint64_t *ret);
    /** Low size bytes (at most 64) of vector register 0-31 or, from 33, st0-st7 (10 bytes). May be
     *  NULL. Bytes that are not recorded: return false. */
    bool (*read_vector)(void *data, unsigned dwarf_register, void *buf, size_t size);
    uint64_t fs_base;               /* for thread-local variables; 0 unknown */
    const struct urd_value *retval; /* $retval, NULL when there is none */
};

enum urd_value_status {
    URD_VALUE_OK,
    URD_VALUE_OPTIMISED_OUT,
    URD_VALUE_NOT_RECORDED, /* a register or vector that this frame does not know */
    URD_VALUE_UNREADABLE,   /* memory that is not mapped; `address` tells where */
    URD_VALUE_NOT_THERE,    /* a member of another variant, an element behind the last one; reason tells what there is */
    URD_VALUE_TOO_LARGE,
};

enum urd_piece_kind {
    URD_PIECE_MEMORY,
    URD_PIECE_REGISTER,
    URD_PIECE_COMPUTED, /* a constant or computed: lives nowhere */
    URD_PIECE_OPTIMISED_OUT,
};

/** Where a part of a value lives. */
struct urd_piece {
    enum urd_piece_kind kind;
    unsigned reg;     /* DWARF register */
    uint64_t address; /* run-time, of MEMORY */
    uint64_t offset;  /* of the part within the value, bytes */
    uint64_t size;    /* bytes */
};

#define URD_VALUE_PIECES 16
#define URD_VALUE_SMALL  32
#define URD_VALUE_MAX    (16u << 20) /* a larger value is TOO_LARGE; its pieces are still right */

struct urd_value {
    enum urd_value_status status;
    char reason[96];             /* when status is not OK: for people */
    const struct urd_type *type; /* NULL: void */
    uint64_t size;               /* bytes of the value */
    bool lvalue;                 /* it has a place: see pieces */
    bool lazy;                   /* bytes not read yet: urd_debuginfo_value_fetch */
    uint64_t address;            /* of an lvalue wholly in memory; where reading failed otherwise */
    unsigned bit_offset, bit_size; /* bit-field within the place; bytes already hold the value */
    /* A pointer to a variable that the compiler keeps in no memory (DW_OP_implicit_pointer): status
     * is OPTIMISED_OUT, but it can be followed with urd_debuginfo_value_follow. */
    uint64_t points_to; /* DIE of that variable, 0: an ordinary value */
    int64_t points_offset;
    struct urd_module *points_module;
    int n_pieces;
    struct urd_piece pieces[URD_VALUE_PIECES]; /* one, except for values split over places */
    uint8_t small[URD_VALUE_SMALL];
    uint8_t *heap; /* when size > URD_VALUE_SMALL; may be NULL when status is not OK */
};

static inline const uint8_t *urd_debuginfo_value_bytes(const struct urd_value *v)
{
    return v->heap ? v->heap : v->small;
}
void urd_debuginfo_value_deinit(struct urd_value *v);
void urd_debuginfo_value_copy(const struct urd_value *v, struct urd_value *ret);
/** Whether it lies wholly in memory (one or more pieces, all MEMORY). */
bool urd_debuginfo_value_in_memory(const struct urd_value *v);

/** An lvalue of type at a run-time address; reads nothing yet. */
void urd_debuginfo_value_at(const struct urd_type *type, uint64_t address, struct urd_value *ret);
/** Read the bytes of a lazy value. Sets status. */
void urd_debuginfo_value_fetch(const struct urd_frame *frame, struct urd_value *v);
void urd_debuginfo_value_fail(struct urd_value *v, enum urd_value_status status, const char *format,
                              ...) __attribute__((format(printf, 3, 4)));
/** A computed integer of a type. */
void urd_debuginfo_value_integer(const struct urd_type *type, uint64_t n, struct urd_value *ret);
/** Part of a struct: a member, or an element at a byte offset. Works on lazy values. */
void urd_debuginfo_value_part(const struct urd_frame *frame, const struct urd_value *v,
                              const struct urd_type *type, uint64_t offset, unsigned bit_offset,
                              unsigned bit_size, struct urd_value *ret);
/** Is the member there, or that of another variant? True when that cannot be told: reading the member says so. */
bool urd_debuginfo_value_has(const struct urd_frame *frame, const struct urd_value *v,
                             const struct urd_member *member);
/**
 * A member of a struct, a base class too: where a virtual one lies is read from the object, which must be in memory. URD_VALUE_NOT_THERE: it
 * is that of another variant.
 */
void urd_debuginfo_value_member(const struct urd_frame *frame, const struct urd_value *v,
                                const struct urd_member *member, struct urd_value *ret);
/** What a synthetic pointer (points_to) points to, as target type. */
void urd_debuginfo_value_follow(const struct urd_frame *frame, const struct urd_value *pointer,
                                const struct urd_type *target, struct urd_value *ret);
/** Integer (sign-extended when signed), pointer, bool, enum or float as 64 bits; false otherwise
 *  or when status is not OK. Fetched values only. */
bool urd_debuginfo_value_to_u64(const struct urd_value *v, uint64_t *ret);
bool urd_debuginfo_value_to_double(const struct urd_value *v, long double *ret);

#endif
