/* How tracing begins and ends; children and threads of tracees; waits. */
#include "tracer.h"

static unsigned long message_of(pid_t pid)
{
    unsigned long message = 0;
    CHECK(ptrace(PTRACE_GETEVENTMSG, pid, 0, &message) == 0);
    return message;
}

static void forks(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(3);
    _exit(WEXITSTATUS(status_of(pid)) + 1);
}

BEHAVIOUR(fork_is_followed)
{
    pid_t pid = traced(forks);
    options(pid, PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE);
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    pid_t born = (pid_t)message_of(pid);
    printf("%x\n", stop_of(born));
    printf("traced, too: %d\n", regs_of(born).rip == regs_of(pid).rip);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    printf("child %d\n", end_of(born, PTRACE_CONT));
    int stop = stop_of(pid);
    printf("%x\n", stop);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

BEHAVIOUR(fork_is_not_followed)
{
    pid_t pid = traced(forks);
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

static void vforks(void)
{
    pid_t pid = vfork();
    if (pid == 0)
        _exit(4);
    int status;
    waitpid(pid, &status, 0);
    _exit(WEXITSTATUS(status));
}

BEHAVIOUR(vfork_is_followed)
{
    pid_t pid = traced(vforks);
    options(pid, PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE);
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    pid_t born = (pid_t)message_of(pid);
    printf("%x\n", stop_of(born));
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    printf("child %d\n", end_of(born, PTRACE_CONT));
    int stop = stop_of(pid);
    if (stop == SIGCHLD)
        stop = resume(PTRACE_CONT, pid, 0);
    printf("%x, its child: %d\n", stop, message_of(pid) == (unsigned long)born);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    int status = status_of(pid);
    if (WIFSTOPPED(status)) {
        CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
        status = status_of(pid);
    }
    printf("status %x\n", status);
}

static volatile int shared_word;

static void *thread(void *unused)
{
    shared_word = 9;
    return NULL;
}

static void makes_thread(void)
{
    pthread_t t;
    pthread_create(&t, NULL, thread, NULL);
    pthread_join(t, NULL);
    sleep_ms(50); /* a thread that is not waited for yet has the status of its process's end */
    _exit(shared_word);
}

BEHAVIOUR(threads_are_followed)
{
    pid_t pid = traced(makes_thread);
    options(pid, PTRACE_O_TRACECLONE);
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    pid_t born = (pid_t)message_of(pid);
    printf("%x\n", stop_of(born));
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    printf("thread %d\n", end_of(born, PTRACE_CONT));
    printf("status %x\n", status_of(pid));
}

static void execs(void)
{
    execl("/bin/true", "true", NULL);
}

BEHAVIOUR(exec_and_exit)
{
    pid_t pid = traced(execs);
    options(pid, PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT);
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    printf("itself: %d\n", message_of(pid) == (unsigned long)pid);
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    printf("status %lx\n", message_of(pid));
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

BEHAVIOUR(exec_is_a_signal_without_the_option)
{
    pid_t pid = traced(execs);
    siginfo_t si;
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &si) == 0);
    printf("%d, from itself: %d\n", si.si_code, si.si_pid == pid);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

BEHAVIOUR(calls_around_exec)
{
    pid_t pid = traced(execs);
    options(pid, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD);
    for (int i = 0; i < 3; i++) {
        int stop = resume(PTRACE_SYSCALL, pid, 0);
        struct user_regs_struct r = regs_of(pid);
        printf("%x %lld\n", stop, r.orig_rax);
    }
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

static void waits(void)
{
    for (;;)
        pause();
}

BEHAVIOUR(attached_to_a_child_that_waits)
{
    pid_t pid = child(waits);
    sleep_ms(100);
    CHECK(ptrace(PTRACE_ATTACH, pid, 0, 0) == 0);
    printf("%x\n", stop_of(pid));
    struct user_regs_struct r = regs_of(pid);
    printf("%lld %lld\n", r.orig_rax, r.rax);
    CHECK(ptrace(PTRACE_DETACH, pid, 0, 0) == 0);
    sleep_ms(100);
    kill(pid, SIGTERM);
    printf("status %x\n", status_of(pid));
}

static void computes(void)
{
    while (shared_word != 5)
        compute(1000);
    _exit(55);
}

BEHAVIOUR(attached_to_one_that_computes)
{
    pid_t pid = child(computes);
    sleep_ms(100);
    CHECK(ptrace(PTRACE_ATTACH, pid, 0, 0) == 0);
    printf("%x\n", stop_of(pid));
    CHECK(ptrace(PTRACE_POKEDATA, pid, &shared_word, 5) == 0);
    CHECK(ptrace(PTRACE_DETACH, pid, 0, 0) == 0);
    printf("status %x\n", status_of(pid));
}

BEHAVIOUR(seized_and_interrupted)
{
    pid_t pid = child(waits);
    sleep_ms(100);
    CHECK(ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) == 0);
    CHECK(waitpid(pid, NULL, WNOHANG) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK(ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0);
        printf("%x\n", stop_of(pid));
        CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
        sleep_ms(100);
    }
    kill(pid, SIGTERM);
    printf("%x\n", stop_of(pid));
    CHECK(ptrace(PTRACE_CONT, pid, 0, SIGTERM) == 0);
    printf("status %x\n", status_of(pid));
}

BEHAVIOUR(seized_while_it_computes)
{
    pid_t pid = child(computes);
    sleep_ms(100);
    CHECK(ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
    CHECK(ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0);
    printf("%x\n", stop_of(pid));
    CHECK(ptrace(PTRACE_POKEDATA, pid, &shared_word, 5) == 0);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

/* A job control stop goes on being one with PTRACE_LISTEN, until SIGCONT. */
BEHAVIOUR(listens)
{
    pid_t pid = child(waits);
    sleep_ms(100);
    CHECK(ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
    kill(pid, SIGSTOP);
    printf("%x\n", stop_of(pid));
    printf("%x\n", resume(PTRACE_CONT, pid, SIGSTOP));
    CHECK(ptrace(PTRACE_LISTEN, pid, 0, 0) == 0);
    sleep_ms(100);
    CHECK(waitpid(pid, NULL, WNOHANG) == 0);
    kill(pid, SIGCONT);
    printf("%x\n", stop_of(pid));
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    CHECK(ptrace(PTRACE_CONT, pid, 0, SIGCONT) == 0);
    kill(pid, SIGKILL);
    printf("status %x\n", status_of(pid));
}

/* As strace starts a program. */
static void stops_itself(void)
{
    kill(getpid(), SIGSTOP);
    _exit(13);
}

BEHAVIOUR(seized_while_stopped)
{
    pid_t pid = child(stops_itself);
    int status;
    CHECK(waitpid(pid, &status, WSTOPPED) == pid && WIFSTOPPED(status));
    printf("%x\n", status);
    CHECK(ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
    CHECK(ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0);
    printf("%x\n", stop_of(pid));
    kill(pid, SIGCONT);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    for (;;) {
        CHECK(waitpid(pid, &status, 0) == pid);
        if (!WIFSTOPPED(status))
            break;
        CHECK(ptrace(PTRACE_CONT, pid, 0, status >> 16 ? 0 : WSTOPSIG(status)) == 0);
    }
    printf("status %x\n", status);
}

/* The tracee is a grandchild: its tracer has to be told of all, its end included; its parent waits meanwhile. */
BEHAVIOUR(not_its_parent)
{
    int p[2];
    pid_t pid;
    CHECK(pipe(p) == 0);
    pid_t middle = fork();
    if (middle == 0) {
        pid = child(computes);
        CHECK(write(p[1], &pid, sizeof pid) == sizeof pid);
        _exit(status_of(pid) >> 8);
    }
    CHECK(read(p[0], &pid, sizeof pid) == sizeof pid);
    CHECK(ptrace(PTRACE_ATTACH, pid, 0, 0) == 0);
    printf("%x\n", stop_of(pid));
    CHECK(ptrace(PTRACE_POKEDATA, pid, &shared_word, 5) == 0);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
    printf("its parent's status %x\n", status_of(middle));
}

/* The tracer has no children at all. */
BEHAVIOUR(a_sibling)
{
    pid_t pid = child(computes);
    fflush(stdout);
    pid_t tracer = fork();
    if (tracer == 0) {
        CHECK(ptrace(PTRACE_ATTACH, pid, 0, 0) == 0);
        printf("%x\n", stop_of(-1));
        CHECK(waitpid(-1, NULL, WNOHANG) == 0);
        CHECK(ptrace(PTRACE_POKEDATA, pid, &shared_word, 5) == 0);
        printf("end %d\n", end_of(pid, PTRACE_CONT));
        errno = 0;
        CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
        fflush(stdout);
        _exit(0);
    }
    printf("tracer %x\n", status_of(tracer));
    printf("tracee %x\n", status_of(pid));
}

BEHAVIOUR(a_tracer_that_ends)
{
    int p[2];
    char c;
    CHECK(pipe(p) == 0);
    pid_t pid = child(computes);
    fflush(stdout);
    pid_t tracer = fork();
    if (tracer == 0) {
        CHECK(ptrace(PTRACE_ATTACH, pid, 0, 0) == 0);
        stop_of(pid);
        CHECK(ptrace(PTRACE_POKEDATA, pid, &shared_word, 5) == 0);
        CHECK(write(p[1], "x", 1) == 1);
        _exit(0);
    }
    CHECK(read(p[0], &c, 1) == 1);
    printf("tracer %x\n", status_of(tracer));
    printf("tracee %x\n", status_of(pid));
}

BEHAVIOUR(a_tracer_that_ends_and_kills)
{
    pid_t pid = child(computes);
    fflush(stdout);
    pid_t tracer = fork();
    if (tracer == 0) {
        CHECK(ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL) == 0);
        _exit(0);
    }
    printf("tracer %x\n", status_of(tracer));
    printf("tracee %x\n", status_of(pid));
}

BEHAVIOUR(killed_while_stopped)
{
    pid_t pid = traced(waits);
    CHECK(ptrace(PTRACE_KILL, pid, 0, 0) == 0);
    printf("status %x\n", status_of(pid));
    pid = traced(waits);
    kill(pid, SIGKILL);
    printf("status %x\n", status_of(pid));
}

BEHAVIOUR(ways_of_waiting)
{
    pid_t pid = traced(execs);
    siginfo_t si;
    int status;
    CHECK(waitpid(pid, &status, WNOHANG) == 0);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    memset(&si, 0, sizeof si);
    CHECK(waitid(P_PID, pid, &si, WEXITED | WSTOPPED | WNOWAIT) == 0);
    printf("%d %d %d\n", si.si_signo, si.si_code, si.si_status);
    memset(&si, 0, sizeof si);
    CHECK(waitid(P_ALL, 0, &si, WEXITED | WSTOPPED) == 0);
    printf("%d %d %d\n", si.si_pid == pid, si.si_code, si.si_status);
    si.si_pid = 0;
    CHECK(waitid(P_ALL, 0, &si, WEXITED | WSTOPPED | WNOHANG) == 0);
    printf("%d\n", si.si_pid);
    options(pid, PTRACE_O_TRACEEXIT);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    CHECK(waitpid(0, &status, 0) == pid);
    printf("%x\n", status);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    CHECK(waitpid(-getpgrp(), &status, 0) == pid);
    printf("%x\n", status);
}

BEHAVIOUR(what_is_not_allowed)
{
    struct user_regs_struct r;
    errno = 0;
    CHECK(ptrace(PTRACE_ATTACH, getpid(), 0, 0) == -1 && errno == EPERM);
    CHECK(ptrace(PTRACE_ATTACH, 0x3ffffff, 0, 0) == -1 && errno == ESRCH);
    pid_t pid = child(waits);
    CHECK(ptrace(PTRACE_GETREGS, pid, 0, &r) == -1 && errno == ESRCH);
    CHECK(ptrace(PTRACE_SEIZE, pid, 1, 0) == -1 && errno == EIO);
    CHECK(ptrace(PTRACE_SEIZE, pid, 0, 1 << 30) == -1 && (errno == EIO || errno == EINVAL));
    CHECK(ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
    CHECK(ptrace(PTRACE_ATTACH, pid, 0, 0) == -1 && errno == EPERM);
    CHECK(ptrace(PTRACE_GETREGS, pid, 0, &r) == -1 && errno == ESRCH);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == -1 && errno == ESRCH);
    CHECK(ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0);
    stop_of(pid);
    CHECK(ptrace(PTRACE_SETOPTIONS, pid, 0, 1 << 30) == -1 && errno == EINVAL);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 1000) == -1 && errno == EIO);
    printf("%d\n", end_of(pid, PTRACE_KILL));
}

static void *execs_here(void *unused)
{
    execs();
    return NULL;
}

static void thread_execs(void)
{
    pthread_t t;
    pthread_create(&t, NULL, execs_here, NULL);
    pause();
}

/* The thread becomes its process's first one. */
BEHAVIOUR(a_thread_execs)
{
    pid_t pid = traced(thread_execs);
    options(pid, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC);
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    pid_t born = (pid_t)message_of(pid);
    printf("%x\n", stop_of(born));
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    CHECK(ptrace(PTRACE_CONT, born, 0, 0) == 0);
    printf("%x", stop_of(pid));
    printf(" by the thread: %d\n", message_of(pid) == (unsigned long)born);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

/* All threads stop, one after the other. */
static volatile int go;

static void *spins(void *unused)
{
    while (!go)
        compute(1000);
    return NULL;
}

static void spins_twice(void)
{
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, spins, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    sleep_ms(50);
    _exit(12);
}

BEHAVIOUR(all_threads_of_a_process_are_stopped)
{
    pid_t pid = child(spins_twice), tids[3] = {pid};
    sleep_ms(100);
    char path[64];
    snprintf(path, sizeof path, "ls /proc/%d/task", pid);
    FILE *f = popen(path, "r");
    for (int i = 0; i < 3; i++)
        CHECK(fscanf(f, "%d", &tids[i]) == 1);
    pclose(f);
    for (int i = 0; i < 3; i++)
        CHECK(ptrace(PTRACE_SEIZE, tids[i], 0, 0) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(ptrace(PTRACE_INTERRUPT, tids[i], 0, 0) == 0);
    for (int i = 0; i < 3; i++)
        printf("%x\n", stop_of(tids[i]));
    CHECK(ptrace(PTRACE_POKEDATA, pid, &go, 1) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(ptrace(PTRACE_CONT, tids[i], 0, 0) == 0);
    for (int i = 2; i >= 0; i--) {
        int status;
        CHECK(waitpid(tids[i], &status, __WALL) == tids[i]);
        printf("%x\n", status);
    }
}
