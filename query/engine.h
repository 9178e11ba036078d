/**
 * The engine's insides, shared by the files of questions (q_*.c).
 *
 * PURPOSE  The open trace, its index, names of addresses, and live replays at moments.
 * NOT      Seen by the command line or the server: they ask through ask.h.
 */
#ifndef URD_QUERY_ENGINE_H
#define URD_QUERY_ENGINE_H
#include "base/map.h"
#include "debuginfo/cfi.h"
#include "debuginfo/image.h"
#include "debuginfo/value_text.h"
#include "debuginfo/variable.h"
#include "query/ask.h"
#include "query/expr.h"
#include "query/index.h"
#include "replay/run_translated.h"

struct image_entry {
    uint32_t space;
    uint64_t from, to; /* events: valid for from <= event < to */
    struct urd_image *image;
};

/** A replay that stands still at a moment. */
struct live {
    struct urd_session *session;
    struct urd_moment at;
    uint64_t cost_ns; /* of a parked copy: what the way to it took from the one before */
    uint64_t memory;  /* its processes' bytes, of what it shares with its neighbours its part */
    uint32_t processes;
};

/* Parked copies. Of more than a few, no more than these processes and bytes in all. */
#define PARKED           384
#define PARKED_FEW       10
#define PARKED_PROCESSES 512
#define PARKED_MEMORY    (1ull << 30)

struct urd_engine {
    char *directory;
    struct urd_trace *trace;
    struct urd_index *index;     /* NULL: not indexed */
    struct urd_module **modules; /* by stored file */
    bool *module_failed;
    struct {
        int32_t tid, pid_tid, pid; /* 0: none yet */
        char name[256];
    } last_task; /* whose name, and whose process, was asked for last: rows come in runs of one task */
    struct image_entry images[16];
    unsigned n_images;
    struct live live;           /* where the last question looked */
    struct live parked[PARKED]; /* places to start from, by moment */
    unsigned n_parked;
    struct urd_map demangled;      /* address of a symbol's name -> its demangled copy, or itself */
    struct urd_kept_code *kept;    /* translations for counting steps, or NULL */
    sqlite3 *tables;               /* a connection with the virtual tables; made when needed */
    const struct sql_use *sql_use; /* sql.c: of the statement that is being prepared */
    int64_t sql_weight;            /* sql.c: for how many rows the current one stands */
    char *allocations;             /* allocations.h: path of the file; NULL: not asked for yet */
    bool allocations_own;          /* it is only for this engine */
    bool have_allocations;         /* sql.c: they are among the tables */
    struct engine_thread *thread;
};

/** The answer under way: rows go out through it. */
struct answer {
    struct urd_engine *engine;
    const json_t *question;
    urd_row_fn row;
    void *data;
    json_t *summary;
    uint64_t rows, limit; /* limit 0: none */
    bool truncated;
    /** It relies on the index: where that lacks what is needed, the answer is partial. */
    bool indexed;
    struct urd_index_need needs;          /* everything, unless the question says what */
    struct urd_coarse_range *needed_code; /* owned: needs.code */
    struct urd_index_gap *needed_gaps;    /* owned: needs.also */
    uint32_t cap_needed_gaps;
};

/** Give a row (taken over). *ret_full (may be NULL) becomes true when the limit is reached. */
urd_err *answer_row(struct answer *a, json_t *row, bool *ret_full) URD_MUST_USE;
const char *question_text(const struct answer *a,
                          const char *field); /* NULL when missing or empty */
int64_t question_number(const struct answer *a, const char *field, int64_t otherwise);
bool question_flag(const struct answer *a, const char *field);
urd_err *question_need(const struct answer *a, const char *field, const char **ret) URD_MUST_USE;
/** "at", or the default moment. */
urd_err *question_moment(struct answer *a, struct urd_moment *ret) URD_MUST_USE;
urd_err *need_index(struct urd_engine *e) URD_MUST_USE;
/** An index of all of the run. what: that needs it, for the message. */
urd_err *need_whole_index(struct urd_engine *e, const char *what) URD_MUST_USE;

json_t *json_moment(struct urd_moment m);
json_t *json_gap(const struct urd_index_gap *g); /* from, to: moments; from_clock, to_clock */
json_t *json_hex(uint64_t v);
json_t *json_text(const char *text, size_t size); /* bytes that are no UTF-8 are shown as \xNN */
json_t *json_bytes(const uint8_t *bytes, size_t size); /* hex digits in memory order */

/* names.c */
struct urd_module *engine_module(struct urd_engine *e, uint32_t file_index);
/** The modules mapped executable in a space at an event. Borrowed. */
urd_err *engine_image(struct urd_engine *e, uint32_t space, uint64_t event,
                      struct urd_image **ret) URD_MUST_USE;
/** A mapping of a file's code. */
struct code_mapping {
    uint32_t space;
    struct urd_module *module;
    uint64_t start, size, bias; /* bias: addresses there less those in the module */
};
#define ENGINE_CODE_MAPPINGS                                                                       \
    "SELECT DISTINCT space, start, size, file, file_offset FROM mappings WHERE prot & 4 AND file " \
    "> 0"
/** A row of ENGINE_CODE_MAPPINGS. False: the file is no module that can be read. */
bool engine_code_mapping(struct urd_engine *e, sqlite3_stmt *row, struct code_mapping *ret);
/** The module that holds a pc in a space, whenever that was mapped. */
bool engine_place(struct urd_engine *e, uint32_t space, uint64_t pc, struct urd_place *ret);
/** Strings live as long as the engine; "" when unknown. */
struct place_name {
    const char *function;
    const char *file; /* full path */
    const char *module;
    unsigned line;
    unsigned levels; /* of inlining at the pc: 0 where nothing was inlined */
};
#define NO_PLACE ((struct place_name){"", "", "", 0, 0})
/** is_caller: pc is a return address. The function is the innermost one that was inlined there. */
void engine_name(struct urd_engine *e, uint32_t space, uint64_t event, uint64_t pc, bool is_caller,
                 struct place_name *ret);
/** level: how many of the functions that were inlined there are passed over; the place is then where the last of those was called.
 * NAMED_CALLED: all of them, so that it is the function that was called, or jumped to. */
enum { NAMED_CALLED = 1 << 30 };
void engine_name_level(struct urd_engine *e, uint32_t space, uint64_t event, uint64_t pc,
                       bool is_caller, unsigned level, struct place_name *ret);
/** The same, of the instruction at pc in an image. */
void engine_name_in(struct urd_engine *e, const struct urd_image *image, uint64_t pc,
                    unsigned level, struct place_name *ret);
void json_set_place(json_t *row, const struct place_name *n);
const char *engine_process_name(struct urd_engine *e, int32_t tid);
/** Name and place of the instruction at a clock into a row: pc, function, file, line, tid, pid. */
urd_err *json_set_clock_place(struct urd_engine *e, json_t *row, int64_t clock) URD_MUST_USE;

/** Where a LOCATION is: `file.c:42`, `function`, `function$return`, `0x..`; one entry for each address in each space. */
struct location {
    struct urd_index_pc *pcs;
    uint32_t n;
    bool is_return; /* stop after the function returned: pcs are its entries */
    bool inlined;   /* the function has copies that are inlined and that were not asked for */
    unsigned line;  /* the line found, 0 */
    char *function; /* its name, or NULL */
};
/** for_arguments: addresses behind the prologue rather than the entry. */
urd_err *engine_location(struct urd_engine *e, const char *text, bool for_arguments,
                         struct location *ret) URD_MUST_USE;
void location_deinit(struct location *l);
/** [*ret_start, *ret_end): from an instruction to the end of its function, or that instruction alone. */
void engine_extent(struct urd_engine *e, const struct urd_index_pc *pc, uint64_t *ret_start,
                   uint64_t *ret_end);
/** It relies on how calls of this code ended, where that is in a gap. */
urd_err *question_needs_ends(struct answer *a, const struct location *l) URD_MUST_USE;
/** All that the answer relies on is where this code ran; with calls: and how calls of it ended. */
urd_err *question_needs_code(struct answer *a, const struct location *l, bool calls) URD_MUST_USE;

/* live.c */
/** The state at a moment. Valid until the next call. */
urd_err *engine_seek(struct urd_engine *e, struct urd_moment m,
                     struct urd_session **ret) URD_MUST_USE;
/** A session of one's own at event E (nothing of it is kept); close it. */
urd_err *engine_session_at(struct urd_engine *e, uint64_t event,
                           struct urd_session **ret) URD_MUST_USE;
/**
 * Bring *l natively to the next execution of the instruction at pc behind the place where it is, which the index has at moment m: where it was
 * brought last, or any place before m when l->session is NULL; close that after all. Not in traces whose cuts count
 * branches. With an error l->session may be NULL.
 */
urd_err *engine_go_to_execution(struct urd_engine *e, struct live *l, struct urd_moment m,
                                uint64_t pc) URD_MUST_USE;
void engine_live_close(struct urd_engine *e);
urd_err *engine_default_moment(struct urd_engine *e, struct urd_moment *ret) URD_MUST_USE;
/** The task that a moment belongs to. */
struct urd_task *live_task(struct urd_session *s);

/* frames.c */
enum { FRAMES_UNWOUND = 256 };

/** A frame to evaluate in: the registers and memory of a stopped task. */
struct frame_state {
    struct urd_frame frame; /* the innermost one */
    struct urd_task *task;
    struct urd_caller *callers[FRAMES_UNWOUND]; /* unwound ones, outwards */
    unsigned n_callers;
    bool no_more_callers;
    const char *program;       /* path of what the process execed, NULL when unknown */
    struct urd_frame numbered; /* what frame_numbered found */
    struct urd_frame global;   /* for names of globals when no frame of the program is there */
    struct user_fpregs_struct vectors;
    bool have_vectors;
};
urd_err *frame_open(struct urd_engine *e, struct urd_session *s, struct urd_task *t, uint64_t event,
                    struct frame_state *ret) URD_MUST_USE;
void frame_close(struct frame_state *f);
/** A register by its DWARF number, as frames give it; false: there is none. */
bool frame_register(const struct user_regs_struct *r, unsigned reg, uint64_t *ret);

/** A frame as `stack` shows it: a function that was called, or one that was inlined there. */
struct stack_frame {
    uint64_t pc;
    /** pc is where it stands (innermost, tail call, interrupted), not a return address. */
    bool exact;
    int64_t entry;  /* clock of the call, -1: not known, or it was inlined */
    unsigned level; /* urd_frame.level; name.levels: it was called */
    struct place_name name;
    struct urd_frame registers; /* none are known of a function that was left by a tail call */
};
/** False: no more. */
typedef bool (*frame_fn)(void *data, const struct stack_frame *frame);
/** Where a call came from: not how it was bound, by the dynamic linker. */
urd_err *engine_caller(struct urd_engine *e, uint32_t space, const struct urd_call *call,
                       struct place_name *ret) URD_MUST_USE;
/** All frames, innermost first: of the call history where there is one, else by unwinding. */
urd_err *frames_walk(struct urd_engine *e, struct frame_state *f, struct urd_moment m, frame_fn fn,
                     void *data) URD_MUST_USE;
/** Are all calls before the moment in the index? */
bool frames_have_history(const struct urd_engine *e, struct urd_moment m);
/** The n-th frame as frames_walk gives them; NULL: there are not so many. */
urd_err *frame_numbered(struct urd_engine *e, struct frame_state *f, struct urd_moment m,
                        unsigned number, const struct urd_frame **ret) URD_MUST_USE;
/** The innermost frame of the program itself; without one, a frame that names its globals. */
const struct urd_frame *frame_default(struct frame_state *f);

/** The address that an expression names at the question's moment: what a pointer points to, where a variable that is none lies, a number
 * itself. *ret_task is valid until the next seek. */
urd_err *question_address(struct answer *a, const char *text, struct urd_moment *ret_at,
                          struct urd_task **ret_task, uint64_t *ret) URD_MUST_USE;

/* questions */
typedef urd_err *(*question_fn)(struct answer *a);
urd_err *q_info(struct answer *a);
urd_err *q_events(struct answer *a);
urd_err *q_syscalls(struct answer *a);
urd_err *q_outputs(struct answer *a);
urd_err *q_tasks(struct answer *a);
urd_err *q_moment(struct answer *a);
urd_err *q_move(struct answer *a);
urd_err *q_stack(struct answer *a);
urd_err *q_values(struct answer *a);
urd_err *q_children(struct answer *a);
urd_err *q_eval(struct answer *a);
urd_err *q_blame(struct answer *a);
urd_err *q_readers(struct answer *a);
urd_err *q_print(struct answer *a);
urd_err *q_calls(struct answer *a);
urd_err *q_lines(struct answer *a);
urd_err *q_source(struct answer *a);
urd_err *q_files(struct answer *a);
urd_err *q_mem(struct answer *a);
urd_err *q_reg(struct answer *a);
urd_err *q_disassemble(struct answer *a);
urd_err *q_timeline(struct answer *a);
urd_err *q_owner(struct answer *a);
urd_err *q_sql(struct answer *a);
urd_err *q_search(struct answer *a);
urd_err *q_where(struct answer *a);
#endif
