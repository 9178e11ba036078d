/**
 * The runtime region: code and data that every recorded process carries, so that a call need not stop it.
 *
 * PURPOSE  The layout of the region, as the code in it and the recorder see it; the records of the ring.
 * NOT      Deciding which call may go this way (record/fast.c fills the table), nor reaching it (record/patch.c).
 * CONTEXT  runtime.c runs inside the subject, without libc and on a stack of its own.
 *
 * The region is private memory at one address in each process, so that the recorder's seccomp filter knows the one
 * system call instruction that is not traced. A fork copies it, with an empty ring: it was drained at the fork's entry.
 */
#ifndef URD_RECORD_RUNTIME_H
#define URD_RECORD_RUNTIME_H
#include "base/runtime_entry.h"

#define RUNTIME_CODE       URD_RUNTIME_CODE
#define RUNTIME_CODE_BYTES URD_RUNTIME_CODE_BYTES
#define RUNTIME_DATA       URD_RUNTIME_DATA

enum {
    RUNTIME_NUMBERS = 480, /* system calls below */
    RUNTIME_CALLS = 128,   /* described ones */
    RUNTIME_OUTPUTS = 3,   /* of one call, at most */
    RUNTIME_RANGES = 8,    /* of patched code */
    RUNTIME_PIECES = 16,   /* of an array of them, at most */
    RUNTIME_FILES = 64,    /* that may be mapped without a stop */
    RUNTIME_FDS = 1024,    /* file descriptors with a class of their own */
    RUNTIME_RING_BYTES = 512 << 10,
    RUNTIME_OUTPUT_BYTES = 136 << 10, /* a call that may write more is traced */
    RUNTIME_PIPE_BYTES = 4096, /* a pipe that poll calls writable takes so much (man 7 pipe) */
};

/** What must be looked at before the call is made. */
enum runtime_kind {
    RUNTIME_TRACED,       /* the recorder must see it */
    RUNTIME_PLAIN,        /* nothing */
    RUNTIME_READS,        /* argument 1 is read from */
    RUNTIME_WRITES,       /* argument 1 is written to: argument 3 bytes from argument 2 */
    RUNTIME_READS_PIECES, /* readv: of argument 3 pieces in the array at argument 2 */
    RUNTIME_WRITES_PIECES,
    RUNTIME_SENDS,           /* sendmsg */
    RUNTIME_RECEIVES_PIECES, /* recvmsg */
    RUNTIME_OPENS,           /* O_TRUNC in argument `flags_arg` is the recorder's */
    RUNTIME_CLOSES,
    RUNTIME_FCNTL,
    RUNTIME_WAITS,    /* argument `flags_arg` is a timeout: it is made with 0 first */
    RUNTIME_RECEIVES, /* recvfrom, no address wanted */
    RUNTIME_WAKES,    /* futex */
    RUNTIME_TERMINAL, /* ioctl: isatty, and how large the window is */
    RUNTIME_ANSWERS,  /* it is refused: the result is `answer` */
    RUNTIME_IDENTITY, /* bit `flags_arg` of `known`: the result is what it was, or it is made */
    RUNTIME_MAPS,     /* memory comes: anonymous, or of a known file and no code */
    RUNTIME_UNMAPS,
    RUNTIME_PROTECTS,
    RUNTIME_TOLD, /* nothing, but the recorder must hear of it */
    RUNTIME_ADVISES,
    RUNTIME_SETS_BASE, /* arch_prctl, of fs */
};

/** Of `calls`. The first is none. */
enum {
    RUNTIME_CALL_REFUSED = 1, /* all that get ENOSYS */
    RUNTIME_CALL_WINDOW,      /* an ioctl that fills struct winsize */
    RUNTIME_CALL_FIRST,       /* of the table */
};

/** What is known of a file descriptor; all bits are gone when it is closed or replaced. */
enum runtime_fd {
    RUNTIME_FD_STDOUT = 1, /* writes to it are output of the recording ... */
    RUNTIME_FD_STDERR = 2,
    RUNTIME_FD_WRITE = 4, /* the recorder has looked: writes need nothing but what these bits say */
    RUNTIME_FD_FILE = 8,  /* a regular file or directory: never blocks */
    RUNTIME_FD_OTHER = 16, /* something else */
};

/** Who the caller is: that does not change unless it stops. Its parent may die, so the number of that is known up to the next call. */
enum runtime_identity {
    RUNTIME_PARENT,
    RUNTIME_PROCESS,
    RUNTIME_THREAD,
    RUNTIME_USER,
    RUNTIME_EFFECTIVE_USER,
    RUNTIME_GROUP,
    RUNTIME_EFFECTIVE_GROUP,
    RUNTIME_IDENTITIES
};

struct runtime_output {
    uint8_t arg;    /* 1 .. 6: points to it */
    uint8_t of;     /* argument that bounds the size, times factor; 0: the size is factor */
    uint8_t result; /* the size is result * factor, bounded */
    uint8_t always; /* also when the call failed */
    uint16_t factor;
};

struct runtime_call {
    uint8_t kind; /* enum runtime_kind */
    uint8_t flags_arg;
    uint8_t n_outputs;
    int8_t answer;
    struct runtime_output outputs[RUNTIME_OUTPUTS];
};

/** One call in the ring; then n_items times struct runtime_item and its bytes, each padded to 8. */
struct runtime_record {
    uint32_t size; /* with its items, bytes */
    uint16_t n_items;
    uint16_t file; /* that was mapped: index in `files` + 1 */
    struct urd_runtime_frame
        regs; /* at the call; rcx is the address of the system call instruction */
    uint64_t rsp, fs_base, gs_base;
    uint64_t site;  /* enum urd_site: a call, or what else the caller has there */
    uint64_t rcx;   /* the caller's, if it is no call */
    int64_t result; /* of an RDTSC: edx:eax */
};

struct runtime_item {
    uint64_t address;
    uint32_t size;
    uint32_t
        output; /* 0: the kernel wrote it; 1, 2: the call wrote it to the recording's stdout, stderr */
};

/** A file that the trace has, as it is now: struct stat, times in ns. */
struct runtime_file {
    uint64_t dev, ino, size, modified, changed;
};

/** The time stamp counter as the subject sees it: a line through the raw monotonic clock. */
struct runtime_tsc {
    uint64_t ns, value; /* at the same time */
    uint64_t per_ns;    /* 32.32 bits; 0: not known yet */
    uint32_t aux;       /* of RDTSCP */
};

static inline uint64_t runtime_tsc(const struct runtime_tsc *c, uint64_t ns)
{
    return c->value + (uint64_t)((unsigned __int128)(ns - c->ns) * c->per_ns >> 32);
}

struct runtime_data {
    struct urd_runtime_state state;
    uint32_t enabled;  /* 0: every call is traced. The recorder's */
    uint32_t alone;    /* no other task is in the recording: a call may block. The recorder's */
    uint32_t fsgsbase; /* the processor's RDFSBASE may be used */
    uint32_t n_files;  /* the recorder's */
    struct runtime_range {
        uint64_t start, end;
    } patched
        [RUNTIME_RANGES]; /* no patched site or trampoline is outside; 0, 0: none. The recorder's */
    struct runtime_tsc tsc;
    uint64_t n_cpuid;
    struct urd_runtime_cpuid cpuid[URD_RUNTIME_CPUIDS];
    struct runtime_file files[RUNTIME_FILES];
    uint8_t fds[RUNTIME_FDS];       /* enum runtime_fd */
    uint8_t index[RUNTIME_NUMBERS]; /* of a call in `calls`; 0: traced */
    struct runtime_call calls[RUNTIME_CALLS];
    uint64_t identities[RUNTIME_IDENTITIES];
    struct runtime_head {
        uint64_t used;                     /* bytes of the ring; read with them */
        uint64_t known;                    /* which identities are */
    } head __attribute__((aligned(4096))); /* all zero when a task that stopped goes on */
    uint8_t ring[RUNTIME_RING_BYTES];
};

#define RUNTIME_BYTES (RUNTIME_CODE_BYTES + sizeof(struct runtime_data))

/* Places in the code, as it lies in the recorder's own image; runtime_begin is mapped at RUNTIME_CODE. */
extern const uint8_t runtime_begin[], runtime_end[]; /* it begins with the entry */
extern const uint8_t runtime_syscall[];              /* the instruction that is not traced */
extern const uint8_t runtime_leave
    []; /* the last instruction: a jump to data.target, all registers are the caller's */

/** The address that a place of the recorder's image has in the subject. */
static inline uint64_t runtime_address(const uint8_t *place)
{
    return RUNTIME_CODE + (uint64_t)(place - runtime_begin);
}
#endif
