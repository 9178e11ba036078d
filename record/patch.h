/**
 * Call sites that go to the runtime region instead of stopping.
 *
 * PURPOSE  Replace an instruction before a `syscall` by a jump to a trampoline, where that is provably safe.
 * NOT      What happens in the region: record/runtime/runtime.c. When a site is worth it: record/fast.c.
 *
 * The essay is on top of patch.c.
 */
#ifndef URD_RECORD_PATCH_H
#define URD_RECORD_PATCH_H
#include "record/recorder.h"

enum { PATCH_INSNS = 6, PATCH_MAX_INSN = 15 };

/** Where a file's call site can be patched: known once for all processes. */
struct patch_plan {
    uint64_t
        site; /* offset in the file of the system call instruction, or of an RDTSC, which is dealt with like one */
    uint64_t
        start; /* ... of the instruction that is replaced; 0: none can be, or it is not known yet */
    uint64_t
        hop; /* ... of padding that the jump goes over; 0: the instruction has room for all of it */
    uint8_t hop_code[URD_PATCH_BYTES];
    uint32_t traced; /* calls from there that were traced, in all processes */
    bool known;
    uint8_t site_bytes;
    uint8_t code[PATCH_INSNS * PATCH_MAX_INSN + 3]; /* from start to the end of the call */
};

/** A function's instructions from its start on, as far as a site was looked for. Offsets in the file. */
struct patch_decoded {
    uint64_t start, end;
    uint8_t *lengths;
    unsigned n, cap;
};

/** What is known of a stored file. */
struct patch_file {
    struct patch_decoded *decoded;
    unsigned n_decoded, cap_decoded;
    struct patch_plan *plans;
    unsigned n, cap;
    bool searched; /* for CPUID: plans has those that can be patched */
};

/** A patched site. */
struct patch {
    uint64_t site, start, hop;
    uint8_t original[2][URD_PATCH_BYTES]; /* what its pieces replace */
    uint64_t trampoline;
    uint32_t size; /* of the trampoline */
    uint32_t n_insns;
    struct patch_insn {
        uint64_t original; /* address */
        uint32_t offset;   /* in the trampoline */
    } insns[PATCH_INSNS];
    uint32_t
        load; /* offset in the trampoline where the site's address is loaded: the instructions before are the program's */
};

/** Code of a file as a process has mapped it. */
struct patch_code {
    uint64_t start, size, offset;
    uint32_t file;
    /** Exec or the dynamic linker has mapped it, or calls came from it; others may only read it, as valgrind and qemu do. */
    bool runs;
};

/** Pages of trampolines near some mapped files. */
struct patch_pages {
    uint64_t start, used;
};

/**
 * A call from this site was traced; t stands at its exit with registers *now. The site is patched when it is used more than once
 * and that is possible.
 */
urd_err *patch_traced(struct recorder *r, struct task *t, const struct user_regs_struct *now,
                      uint64_t site) URD_MUST_USE;
/** Code of a file was mapped: patch the sites that are known from elsewhere, if it is sure to run. */
urd_err *patch_mapped(struct recorder *r, struct task *t, const struct user_regs_struct *now,
                      const struct patch_code *code) URD_MUST_USE;
/** Patch what has become known of the code of t's memory since the last time. */
urd_err *patch_new(struct recorder *r, struct task *t,
                   const struct user_regs_struct *now) URD_MUST_USE;
/** The memory is going to be changed in a way that the program would see patches by: put the original bytes back. */
void patch_undo(struct task *t, uint64_t start, uint64_t size);
/** For as long as somebody looks at the program's code: its own bytes are there, or the patches again. */
void patch_show(struct task *t, bool patches);
/** The memory is gone, or has its file's content again. */
void patch_forget(struct task *t, uint64_t start, uint64_t size);
/** The patch whose trampoline or hop has this address; NULL: none. */
struct patch *patch_at(const struct fast *f, uint64_t address);
void patch_file_deinit(struct patch_file *f);

/** The event that the builder has is about to be appended: it tells what has changed in the memory of its task. */
void patch_tell(struct recorder *r);
/** For a copy of the memory. */
void patch_news_copy(const struct patch_news *from, struct patch_news *to);
void patch_news_deinit(struct patch_news *n);
#endif
