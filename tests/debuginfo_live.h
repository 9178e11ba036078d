/**
 * A small process under ptrace, as the frames that tests look at.
 *
 * PURPOSE  Start a subject without address randomisation, stop it at lines, read it.
 * NOT      The recorder.
 * OWNS     live_stop ends the process and closes the modules.
 */
#ifndef URD_TESTS_DEBUGINFO_LIVE_H
#define URD_TESTS_DEBUGINFO_LIVE_H
#include "debuginfo/value.h"
#include <sys/types.h>
#include <sys/user.h>

struct live {
    pid_t pid;
    int memory; /* /proc/pid/mem */
    struct user_regs_struct regs;
    struct user_fpregs_struct fpregs;
    struct urd_image *image;
    struct urd_module *modules[32];
    uint64_t bias[32];
    int n_modules;
    struct {
        uint64_t address;
        uint8_t byte;
        int tag;
        bool set;
    } breaks[512];
    int n_breaks;
    struct urd_frame frame;
};

/** Runs to the entry point, when all libraries are mapped if to_main (by a stop at its main). */
bool live_start(struct live *l, const char *path);
void live_break(struct live *l, uint64_t address, int tag);
void live_unbreak(struct live *l, int tag);
/** Runs to the next breakpoint: its tag, or -1 when the process ended. */
int live_continue(struct live *l);
void live_stop(struct live *l);

#endif
