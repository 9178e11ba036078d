#include "tests/translate_run.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAIL(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), false)

static const size_t FILE_BYTES = URD_CONTEXT_BYTES + URD_LOG_BYTES + URD_LOG_SLACK;

int run_context_fd(struct urd_context **ret_ctx, uint8_t **ret_log)
{
    int fd = memfd_create("context", 0);
    if (fd < 0 || ftruncate(fd, (off_t)FILE_BYTES))
        abort();
    uint8_t *p = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        abort();
    *ret_ctx = (struct urd_context *)(void *)p;
    *ret_log = p + URD_CONTEXT_BYTES;
    (*ret_ctx)->log_pos = URD_LOG_BASE;
    (*ret_ctx)->log_end = URD_LOG_BASE + URD_LOG_BYTES;
    (*ret_ctx)->steps_left = INT64_MAX / 2;
    return fd;
}

void run_map_here(int ctx_fd, int cache_fd)
{
    if (mmap((void *)URD_CONTEXT_BASE, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
             ctx_fd, 0) == MAP_FAILED ||
        mmap((void *)URD_CACHE_BASE, URD_CACHE_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED,
             cache_fd, 0) == MAP_FAILED)
        abort();
}

static void read_child(void *data, uint64_t address, void *buffer, size_t size, size_t *ret_got)
{
    struct run *r = data;
    struct iovec local = {buffer, size}, remote = {(void *)address, size};
    ssize_t n = process_vm_readv(r->pid, &local, 1, &remote, 1, 0);
    *ret_got = n < 0 ? 0 : (size_t)n;
}

void run_reader(struct run *r, pid_t pid)
{
    r->pid = pid;
    r->reader = (struct urd_code_reader){read_child, r};
}

/* One system call in the stopped child, through two bytes at its rip. */
static long inject(pid_t pid, long nr, long a, long b, long c, long d, long e, long f)
{
    struct user_regs_struct old, regs;
    int status;
    ptrace(PTRACE_GETREGS, pid, 0, &old);
    long text = ptrace(PTRACE_PEEKTEXT, pid, old.rip, 0);
    ptrace(PTRACE_POKETEXT, pid, old.rip, (text & ~0xffffL) | 0x050f);
    regs = old;
    regs.rax = (unsigned long)nr;
    regs.rdi = (unsigned long)a;
    regs.rsi = (unsigned long)b;
    regs.rdx = (unsigned long)c;
    regs.r10 = (unsigned long)d;
    regs.r8 = (unsigned long)e;
    regs.r9 = (unsigned long)f;
    ptrace(PTRACE_SETREGS, pid, 0, &regs);
    ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
    waitpid(pid, &status, 0);
    ptrace(PTRACE_GETREGS, pid, 0, &regs);
    ptrace(PTRACE_POKETEXT, pid, old.rip, text);
    ptrace(PTRACE_SETREGS, pid, 0, &old);
    return (long)regs.rax;
}

void run_start(struct run *r, struct urd_translator *t, char *const argv[], int out_fd)
{
    int ctx_fd = run_context_fd(&r->ctx, &r->log), status;
    r->t = t;
    r->reader = (struct urd_code_reader){read_child, r};
    r->pid = fork();
    if (!r->pid) {
        dup2(out_fd, 1);
        dup2(ctx_fd, RUN_CTX_FD);
        dup2(urd_translate_fd(t), RUN_CACHE_FD);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execv(argv[0], argv);
        _exit(127);
    }
    close(ctx_fd);
    waitpid(r->pid, &status, 0);
    ptrace(PTRACE_SETOPTIONS, r->pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACEEXIT);
    inject(r->pid, SYS_mmap, (long)URD_CONTEXT_BASE, (long)FILE_BYTES, PROT_READ | PROT_WRITE,
           MAP_SHARED | MAP_FIXED, RUN_CTX_FD, 0);
    inject(r->pid, SYS_mmap, (long)URD_CACHE_BASE, URD_CACHE_BYTES, PROT_READ | PROT_EXEC,
           MAP_SHARED | MAP_FIXED, RUN_CACHE_FD, 0);
    inject(r->pid, SYS_close, RUN_CTX_FD, 0, 0, 0, 0, 0);
    inject(r->pid, SYS_close, RUN_CACHE_FD, 0, 0, 0, 0, 0);
    struct user_regs_struct regs;
    ptrace(PTRACE_GETREGS, r->pid, 0, &regs);
    regs.gs_base = URD_CONTEXT_BASE;
    ptrace(PTRACE_SETREGS, r->pid, 0, &regs);
}

uint64_t run_slot_address(const struct urd_slot *slot, const uint8_t **at, uint64_t *addresses, unsigned i)
{
    if (slot->derived) {
        addresses[i] = addresses[slot->root] + (uint64_t)slot->delta;
    } else {
        memcpy(&addresses[i], *at, 8);
        *at += 8;
    }
    return addresses[i];
}

static bool drain_slot(struct run *r, const struct urd_block *b, unsigned i, uint64_t *addresses, const uint8_t **at)
{
    const struct urd_slot *slot = &b->slots[i];
    uint64_t head[2] = {0, 0};
    memcpy(head, *at, 16);
    uint64_t size = slot->size, mask = UINT64_MAX;
    switch (slot->kind) {
    case URD_SLOT_SP:
        run_slot_address(slot, at, addresses, i);
        return true;
    case URD_SLOT_WRITE:
        head[0] = run_slot_address(slot, at, addresses, i);
        break;
    case URD_SLOT_COND:
        mask = head[1];
        *at += 16;
        break;
    case URD_SLOT_REP:
        size = head[1];
        *at += 16;
        break;
    }
    r->writes_logged++;
    uint8_t *memory = NULL;
    const uint8_t *bytes = *at;
    if (slot->known) {
        bytes = (const uint8_t *)&slot->value;
    } else if (slot->kind == URD_SLOT_REP && size >> 63) {
        size &= INT64_MAX;
        size_t got;
        bytes = memory = malloc(size);
        read_child(r, head[0], memory, size, &got);
    } else {
        *at += (size + 7) & ~7ull;
    }
    if (r->on_write && (mask || slot->kind != URD_SLOT_COND))
        r->on_write(r->data, head[0], mask, bytes, size);
    free(memory);
    return true;
}

/* Now and then what ran is what is to be followed from now on. */
static void follow(struct run *r, const struct urd_block *b)
{
    enum { ENOUGH = sizeof r->path / sizeof *r->path };
    if (!r->n_path && ++r->records % 7)
        return;
    for (unsigned i = 0; i < b->n_pieces && r->n_path < ENOUGH; i++)
        r->path[r->n_path++] = b->pieces[i];
    if (r->n_path < ENOUGH)
        return;
    urd_translate_follow(r->t, r->path, r->records % ENOUGH + 1);
    r->n_path = 0;
}

bool run_drain(struct run *r)
{
    const uint8_t *at = r->log, *end = r->log + (r->ctx->log_pos - URD_LOG_BASE);
    if (r->discard) {
        const char *kb = getenv("LOG_KB"); /* how much of the log to use: cache effects */
        r->ctx->log_pos = URD_LOG_BASE + (kb ? URD_LOG_BYTES - (size_t)atoi(kb) * 1024 : 0);
        return true;
    }
    while (at < end) {
        uint64_t id;
        memcpy(&id, at, 8);
        const struct urd_block *b =
            id <= UINT32_MAX ? urd_translate_block_by_id(r->t, (uint32_t)id) : NULL;
        if (!b || !b->n_insns)
            return FAIL("log: bad block id %#lx at %ld of %ld", (long)id, (long)(at - r->log),
                        (long)(end - r->log));
        at += 8;
        r->steps_logged += b->n_insns;
        r->followed += b->n_pieces > 1;
        if (r->follow)
            follow(r, b);
        uint64_t addresses[URD_BLOCK_INSNS];
        for (unsigned i = 0; i < b->n_slots; i++)
            drain_slot(r, b, i, addresses, &at);
    }
    if (at != end)
        return FAIL("log: records end %ld bytes behind log_pos", (long)(at - end));
    r->ctx->log_pos = URD_LOG_BASE;
    return true;
}

/* Let the instruction at pc run by itself; regs are the child's, updated. */
static bool step_natively(struct run *r, uint64_t pc, struct user_regs_struct *regs)
{
    int status;
    regs->rip = pc;
    regs->orig_rax = (unsigned long)-1;
    ptrace(PTRACE_SETREGS, r->pid, 0, regs);
    ptrace(PTRACE_SINGLESTEP, r->pid, 0, 0);
    waitpid(r->pid, &status, 0);
    if (WIFSTOPPED(status) && status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8)) {
        unsigned long code;
        ptrace(PTRACE_GETEVENTMSG, r->pid, 0, &code);
        r->exit_status = (int)code;
        ptrace(PTRACE_CONT, r->pid, 0, 0);
        waitpid(r->pid, &status, 0);
        r->pid = 0;
        return true;
    }
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
        return FAIL("step at %#lx: status %#x", (long)pc, status);
    ptrace(PTRACE_GETREGS, r->pid, 0, regs);
    return true;
}

static bool system_call(struct run *r, struct user_regs_struct *regs)
{
    uint64_t pc = r->ctx->exit_pc;
    if (!run_drain(r))
        return false;
    if (r->budget) {
        r->budget_used += r->budget - r->ctx->steps_left;
        r->ctx->steps_left = r->budget;
    }
    if (r->before_syscall)
        r->before_syscall(r);
    if (!step_natively(r, pc, regs))
        return false;
    regs->r11 &= ~0x100ull; /* the trap flag, of which syscall made a copy */
    if (r->pid && r->after_syscall)
        r->after_syscall(r);
    return true;
}

/* After a stop in translated code: what it wants, and the subject's next pc or cache address. */
static bool serve(struct run *r, struct user_regs_struct *regs, uint64_t *ret_pc)
{
    struct urd_context *ctx = r->ctx;
    uint64_t cache, link = ctx->exit_link;
    r->exits[ctx->exit_reason & 15]++;
    if (r->before_resume)
        r->before_resume(r);
    *ret_pc = ctx->exit_pc;
    switch (ctx->exit_reason) {
    case URD_EXIT_MISS: {
        urd_err *err = urd_translate_block(r->t, ctx->exit_pc, &r->reader, &cache);
        if (err || !cache)
            return FAIL("cannot translate %#lx", (long)ctx->exit_pc);
        if (link)
            urd_translate_link(r->t, link, cache);
        return true;
    }
    case URD_EXIT_SYSCALL:
        if (!system_call(r, regs))
            return false;
        *ret_pc = regs->rip;
        return true;
    case URD_EXIT_STEP:
        r->steps_stepped++;
        if (!step_natively(r, ctx->exit_pc, regs))
            return false;
        *ret_pc = regs->rip;
        return true;
    case URD_EXIT_LOG_FULL:
        return run_drain(r);
    case URD_EXIT_BUDGET:
        r->budget_used += r->budget ? r->budget - ctx->steps_left : 0;
        ctx->steps_left = r->budget ? r->budget : 100000000;
        return true;
    case URD_EXIT_CUT:
        r->cut_regs = *regs; /* fallthrough */
    case URD_EXIT_STOP:
        *ret_pc = ctx->exit_resume;
        return true;
    case URD_EXIT_REP:
        if (!run_drain(r))
            return false;
        *ret_pc = ctx->exit_resume;
        return true;
    default:
        return FAIL("exit reason %lu at %#lx", (long)ctx->exit_reason, (long)ctx->exit_pc);
    }
}

bool run_to_end(struct run *r)
{
    struct user_regs_struct regs;
    ptrace(PTRACE_GETREGS, r->pid, 0, &regs);
    uint64_t pc = regs.rip, cache;
    for (;;) {
        if (pc >= URD_CACHE_BASE && pc < URD_CACHE_BASE + URD_CACHE_BYTES) {
            cache = pc;
        } else {
            urd_err *err = urd_translate_block(r->t, pc, &r->reader, &cache);
            if (err || !cache)
                return FAIL("cannot translate %#lx", (long)pc);
        }
        regs.rip = cache;
        regs.orig_rax = (unsigned long)-1;
        ptrace(PTRACE_SETREGS, r->pid, 0, &regs);
        ptrace(PTRACE_CONT, r->pid, 0, 0);
        int status;
        waitpid(r->pid, &status, 0);
        if (!WIFSTOPPED(status))
            return FAIL("child gone, status %#x", status);
        ptrace(PTRACE_GETREGS, r->pid, 0, &regs);
        if (WSTOPSIG(status) == SIGSEGV && urd_translate_log_full(r->t, &regs, r->ctx)) {
            r->faults++;
        } else if (WSTOPSIG(status) != SIGTRAP) {
            const struct urd_block *b = NULL;
            unsigned insn = 0;
            uint64_t rip = regs.rip;
            bool found = urd_translate_locate(r->t, &regs, r->ctx, &b, &insn);
            fprintf(stderr,
                    "rax %llx rcx %llx rdx %llx rbx %llx rsp %llx rsi %llx rdi %llx r10 %llx r11 "
                    "%llx\n",
                    regs.rax, regs.rcx, regs.rdx, regs.rbx, regs.rsp, regs.rsi, regs.rdi, regs.r10,
                    regs.r11);
            return FAIL("signal %d at %#lx, %s pc %#lx block %#lx insn %u", WSTOPSIG(status),
                        (long)rip, found ? "located" : "not located", (long)regs.rip,
                        b ? (long)b->pc : 0, insn);
        }
        if (!serve(r, &regs, &pc))
            return false;
        if (!r->pid)
            return true;
    }
}
