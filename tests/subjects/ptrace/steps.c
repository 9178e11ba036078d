/* Single steps, breakpoints, registers. */
#include "tracer.h"

extern char code[], loop[], a_call[], after_call[], pushes[], after_rep[];
char from[] = "0123456789", to[16];

/* Known instructions. */
static void steps(void)
{
    __asm__ volatile("int3\n"
                     "code: mov $3, %%ecx\n"
                     "loop: dec %%ecx\n"
                     "jnz loop\n"
                     "mov $39, %%eax\n"
                     "a_call: syscall\n"
                     "after_call: nop\n"
                     "pushes: pushf\n"
                     "pop %%rdx\n"
                     "mov $4, %%ecx\n"
                     "lea from(%%rip), %%rsi\n"
                     "lea to(%%rip), %%rdi\n"
                     "rep movsb\n"
                     "after_rep: rdtsc\n"
                     "xor %%eax, %%eax\n"
                     "cpuid\n"
                     "nop\n"
                     : : : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r11", "memory");
    _exit(to[3]);
}

BEHAVIOUR(one_instruction_after_the_other)
{
    pid_t pid = traced(steps);
    printf("%x", resume(PTRACE_CONT, pid, 0));
    printf(" at %ld\n", (long)regs_of(pid).rip - (long)code);
    for (int i = 0; i < 25; i++) {
        siginfo_t si;
        int stop = resume(PTRACE_SINGLESTEP, pid, 0);
        struct user_regs_struct r = regs_of(pid);
        CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &si) == 0);
        printf("%x at %ld, rcx %lld, code %d\n", stop, (long)r.rip - (long)code, (long)r.rip > (long)a_call ? 0 : r.rcx,
               r.rip == (unsigned long)after_call ? 0 : si.si_code);
    }
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

static volatile int hits;

__attribute__((noinline)) static void function(void)
{
    hits++;
    __asm__ volatile("");
}

static void calls_function(void)
{
    for (int i = 0; i < 3; i++)
        function();
    _exit(hits);
}

/* As a debugger does it: int3 over the first byte; back, the byte, a step, int3 again. */
BEHAVIOUR(breakpoints)
{
    pid_t pid = traced(calls_function);
    unsigned long at = (unsigned long)function;
    long word = ptrace(PTRACE_PEEKTEXT, pid, at, 0), trap = (word & ~0xffl) | 0xcc;
    CHECK(ptrace(PTRACE_POKETEXT, pid, at, trap) == 0);
    for (int i = 0; i < 3; i++) {
        int stop = resume(PTRACE_CONT, pid, 0);
        struct user_regs_struct r = regs_of(pid);
        siginfo_t si;
        CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &si) == 0);
        printf("%x at %ld, code %d, hits %d\n", stop, (long)(r.rip - at), si.si_code,
               (int)ptrace(PTRACE_PEEKDATA, pid, &hits, 0));
        r.rip = at;
        set_regs(pid, &r);
        CHECK(ptrace(PTRACE_POKETEXT, pid, at, word) == 0);
        printf("step %x\n", resume(PTRACE_SINGLESTEP, pid, 0));
        CHECK(ptrace(PTRACE_POKETEXT, pid, at, trap) == 0);
    }
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

/* The tracee runs a function that the tracer has called, as gdb's `print f(3)` does. */
static int doubles(int x)
{
    return x * 2 + hits;
}

static void waits_for_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < 2; i++)
        sigsuspend(&set);
    _exit(7);
}

static void nothing(int signal, siginfo_t *si, void *context)
{
}

/* doubles(21) is called in the tracee, which stands at r. Its registers are those behind the call then. */
static void call_doubles(pid_t pid, struct user_regs_struct r)
{
    long word = ptrace(PTRACE_PEEKTEXT, pid, function, 0);
    CHECK(ptrace(PTRACE_POKETEXT, pid, function, (word & ~0xffl) | 0xcc) == 0);
    r.rsp = ((r.rsp - 512) & ~15ul) - 8;
    CHECK(ptrace(PTRACE_POKEDATA, pid, r.rsp, function) == 0);
    r.rip = (unsigned long)doubles;
    r.rdi = 21;
    r.orig_rax = -1;
    set_regs(pid, &r);
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    printf("result %d\n", (int)regs_of(pid).rax);
    CHECK(ptrace(PTRACE_POKETEXT, pid, function, word) == 0);
}

BEHAVIOUR(a_function_is_called_in_a_tracee_that_waits)
{
    handle(SIGUSR1, nothing, 0);
    pid_t pid = traced(waits_for_signals);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    sleep_ms(100);
    kill(pid, SIGUSR1);
    printf("%x\n", stop_of(pid));
    struct user_regs_struct saved = regs_of(pid);
    printf("waits: %lld %lld\n", saved.orig_rax, saved.rax);
    CHECK(ptrace(PTRACE_POKEDATA, pid, &hits, 100) == 0);
    call_doubles(pid, saved);
    set_regs(pid, &saved);
    CHECK(ptrace(PTRACE_CONT, pid, 0, SIGUSR1) == 0);
    sleep_ms(100);
    kill(pid, SIGUSR1);
    printf("%x\n", stop_of(pid));
    CHECK(ptrace(PTRACE_CONT, pid, 0, SIGUSR1) == 0);
    printf("status %x\n", status_of(pid));
}

static void sleeps(void)
{
    struct timespec t = {0, 300000000};
    _exit(nanosleep(&t, NULL) == 0 ? 5 : 6);
}

/* The same, and then the sleep goes on. how: the stop in which that is done. */
static void call_while_it_sleeps(int seizes)
{
    pid_t pid = seizes ? child(sleeps) : traced(sleeps);
    if (seizes)
        CHECK(ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
    else
        CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    sleep_ms(100);
    if (seizes)
        CHECK(ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0);
    else
        kill(pid, SIGWINCH);
    printf("%x\n", stop_of(pid));
    struct user_regs_struct saved = regs_of(pid);
    printf("sleeps: %lld\n", saved.rax);
    call_doubles(pid, saved);
    set_regs(pid, &saved);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

BEHAVIOUR(a_function_is_called_in_a_tracee_that_sleeps)
{
    call_while_it_sleeps(0);
}

BEHAVIOUR(a_function_is_called_in_a_tracee_that_was_interrupted)
{
    call_while_it_sleeps(1);
}

static volatile double number = 1.5;

static void doubles_numbers(void)
{
    double x = number;
    __asm__ volatile("int3" : "+x"(x));
    number = x;
    _exit((int)(x * 2));
}

BEHAVIOUR(vector_registers)
{
    pid_t pid = traced(doubles_numbers);
    resume(PTRACE_CONT, pid, 0);
    struct user_fpregs_struct f;
    CHECK(ptrace(PTRACE_GETFPREGS, pid, 0, &f) == 0);
    double *low = NULL, values[2];
    for (int i = 0; i < 16 && !low; i++)
        if (*(double *)&f.xmm_space[i * 4] == 1.5)
            low = (double *)&f.xmm_space[i * 4];
    CHECK(low);
    *low = 10.5;
    CHECK(ptrace(PTRACE_SETFPREGS, pid, 0, &f) == 0);
    static uint8_t area[16384];
    struct iovec io = {area, sizeof area};
    CHECK(ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &io) == 0);
    memcpy(values, area + ((uint8_t *)low - (uint8_t *)&f), 8);
    printf("%.1f, more than the old registers: %d\n", values[0], io.iov_len > 512);
    values[0] = 20.5;
    memcpy(area + ((uint8_t *)low - (uint8_t *)&f), values, 8);
    CHECK(ptrace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &io) == 0);
    io = (struct iovec){area, 16};
    CHECK(ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &io) == 0);
    printf("%zu bytes\n", io.iov_len);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

BEHAVIOUR(single_words_of_the_registers)
{
    pid_t pid = traced(steps);
    resume(PTRACE_CONT, pid, 0);
    struct user_regs_struct r = regs_of(pid);
    for (unsigned i = 0; i < sizeof r / 8; i++)
        CHECK(ptrace(PTRACE_PEEKUSER, pid, i * 8, 0) == ((long *)&r)[i]);
    errno = 0;
    CHECK(ptrace(PTRACE_PEEKUSER, pid, 4, 0) == -1 && errno == EIO);
    CHECK(ptrace(PTRACE_PEEKUSER, pid, 100000, 0) == -1 && errno == EIO);
    CHECK(ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rbx), 0x123456789) == 0);
    printf("%llx\n", regs_of(pid).rbx);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

static volatile long watched[2];

static void writes_late(void)
{
    for (volatile int i = 0; i < 1000; i++)
        watched[0]++;
    watched[1] = 5;
    watched[1] = 6;
    _exit((int)watched[1]);
}

#define DEBUG_REGISTER(n) (offsetof(struct user, u_debugreg) + (n) * 8)

BEHAVIOUR(hardware_watchpoints)
{
    pid_t pid = traced(writes_late);
    CHECK(ptrace(PTRACE_POKEUSER, pid, DEBUG_REGISTER(0), &watched[1]) == 0);
    CHECK(ptrace(PTRACE_POKEUSER, pid, DEBUG_REGISTER(7), 1 | 9 << 16) == 0); /* writes of 8 bytes */
    for (int i = 0; i < 2; i++) {
        siginfo_t si;
        int stop = resume(PTRACE_CONT, pid, 0);
        CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &si) == 0);
        printf("%x code %d, value %ld, count %ld, hit %lx\n", stop, si.si_code, ptrace(PTRACE_PEEKDATA, pid, &watched[1], 0),
               ptrace(PTRACE_PEEKDATA, pid, &watched[0], 0), ptrace(PTRACE_PEEKUSER, pid, DEBUG_REGISTER(6), 0) & 15);
    }
    CHECK(ptrace(PTRACE_POKEUSER, pid, DEBUG_REGISTER(7), 0) == 0);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

BEHAVIOUR(memory_that_is_not_there)
{
    pid_t pid = traced(steps);
    errno = 0;
    CHECK(ptrace(PTRACE_PEEKDATA, pid, 16, 0) == -1 && errno == EIO);
    CHECK(ptrace(PTRACE_POKEDATA, pid, 16, 0) == -1 && errno == EIO);
    CHECK(ptrace(PTRACE_GETREGS, pid, 0, 16) == -1 && errno == EFAULT);
    kill(pid, SIGKILL);
    printf("status %x\n", status_of(pid));
}

BEHAVIOUR(memory_through_proc)
{
    pid_t pid = traced(calls_function);
    char path[64], bytes[8] = {0};
    int seven = 7, nine = 9;
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    CHECK(pwrite(fd, &seven, 4, (off_t)(long)&hits) == 4);
    CHECK(pread(fd, bytes, 4, (off_t)(long)&hits) == 4);
    printf("%d\n", bytes[0]);
    for (int i = 0; i < 3; i++) /* the third would not stop */
        CHECK(pwrite(fd, &nine, 4, (off_t)(long)&hits) == 4);
    CHECK(lseek(fd, (off_t)(long)&hits, SEEK_SET) >= 0);
    CHECK(write(fd, &(int){20}, 4) == 4);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
    static volatile int mine;
    int self = open("/proc/self/mem", O_RDWR);
    for (int i = 0; i < 3; i++)
        CHECK(pwrite(self, &seven, 4, (off_t)(long)&mine) == 4);
    printf("%d\n", mine);
}

/* At each instruction, or at taken branches only: that is the processor's. All see the branch back, and the place behind the loop. */
BEHAVIOUR(steps_of_blocks)
{
    pid_t pid = traced(steps);
    resume(PTRACE_CONT, pid, 0);
    int back = 0, last = 0;
    for (int i = 0; i < 25; i++) {
        CHECK(resume(PTRACE_SINGLEBLOCK, pid, 0) == SIGTRAP);
        struct user_regs_struct r = regs_of(pid);
        back += r.rip == (unsigned long)loop && r.rcx < 3;
        last |= r.rip >= (unsigned long)after_call;
        if (last)
            break;
    }
    printf("%d times back\n", back);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

/* Stops at the call's entry, which is not made; the instruction behind it is the next step. */
BEHAVIOUR(steps_with_emulated_calls)
{
    pid_t pid = traced(steps);
    resume(PTRACE_CONT, pid, 0);
    options(pid, PTRACE_O_TRACESYSGOOD);
    for (int i = 0; i < 13; i++) {
        int stop = resume(PTRACE_SYSEMU_SINGLESTEP, pid, 0);
        struct user_regs_struct r = regs_of(pid);
        printf("%x at %ld\n", stop, (long)r.rip - (long)code);
        if (stop == SYSCALL_STOP) {
            printf("call %lld\n", r.orig_rax);
            r.rax = 77;
            set_regs(pid, &r);
        }
    }
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}
