/* clone and clone3 with flags that glibc does not use. */
#include "../behaviour.h"
#include <linux/sched.h>
#include <sched.h>

static _Atomic int shared;
static char stack[65536] __attribute__((aligned(16)));

static int child(void *arg)
{
    shared++;
    return (int)(long)arg;
}

static pid_t start(int flags)
{
    pid_t pid = clone(child, stack + sizeof stack, flags, (void *)7);
    CHECK(pid > 0);
    return pid;
}

BEHAVIOUR(copies_memory)
{
    CHECK(WEXITSTATUS(status_of(start(SIGCHLD))) == 7);
    printf("%d\n", shared);
}

BEHAVIOUR(shares_memory_only)
{
    CHECK(WEXITSTATUS(status_of(start(CLONE_VM | SIGCHLD))) == 7);
    printf("%d\n", shared);
}

BEHAVIOUR(shares_memory_files_and_handlers)
{
    CHECK(WEXITSTATUS(status_of(start(CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND | SIGCHLD))) == 7);
    printf("%d\n", shared);
}

BEHAVIOUR(vfork_with_a_stack)
{
    CHECK(WEXITSTATUS(status_of(start(CLONE_VM | CLONE_VFORK | SIGCHLD))) == 7);
    printf("%d\n", shared);
}

BEHAVIOUR(vfork_that_copies_memory)
{
    CHECK(WEXITSTATUS(status_of(start(CLONE_VFORK | SIGCHLD))) == 7);
    printf("%d\n", shared);
}

BEHAVIOUR(no_exit_signal)
{
    int status;
    pid_t pid = start(CLONE_VM);
    CHECK(waitpid(pid, &status, __WCLONE) == pid && WEXITSTATUS(status) == 7);
    printf("%d\n", shared);
}

static _Atomic int child_tid, parent_tid;

BEHAVIOUR(sets_and_clears_ids)
{
    child_tid = 1;
    pid_t pid = clone(child, stack + sizeof stack,
                      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID |
                          CLONE_CHILD_CLEARTID,
                      (void *)0, &parent_tid, NULL, &child_tid);
    CHECK(parent_tid == pid);
    while (child_tid) /* the kernel clears it at the end */
        ;
    printf("%d\n", shared);
}

BEHAVIOUR(clone3_with_a_pidfd)
{
    int fd = -1;
    struct clone_args a = {.flags = CLONE_PIDFD | CLONE_PARENT_SETTID, .pidfd = (uint64_t)&fd, .parent_tid = (uint64_t)&parent_tid, .exit_signal = SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, &a, sizeof a);
    if (pid == 0)
        _exit(8);
    siginfo_t si = {0};
    CHECK(pid > 0 && fd >= 0 && parent_tid == pid);
    CHECK(waitid(P_PIDFD, (id_t)fd, &si, WEXITED) == 0);
    printf("%d %d\n", si.si_status, si.si_pid == pid);
}

BEHAVIOUR(child_settid_in_a_copy)
{
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_CHILD_SETTID | SIGCHLD, 0, NULL, &child_tid, 0);
    if (pid == 0)
        _exit(child_tid == getpid() ? 3 : 4);
    printf("%d %d\n", WEXITSTATUS(status_of(pid)), child_tid);
}

BEHAVIOUR(a_sibling) /* CLONE_PARENT: the child is our parent's */
{
    fflush(stdout);
    pid_t middle = fork();
    if (middle == 0) {
        clone(child, stack + sizeof stack, CLONE_PARENT | SIGCHLD, (void *)9);
        _exit(1);
    }
    int a, b;
    CHECK(wait(&a) > 0 && wait(&b) > 0);
    printf("%d\n", WEXITSTATUS(a) + WEXITSTATUS(b));
}

BEHAVIOUR(wrong_flags)
{
    CHECK(clone(child, stack + sizeof stack, CLONE_THREAD, NULL) == -1 && errno == EINVAL);
    CHECK(syscall(SYS_clone3, NULL, 64) == -1);
    puts("refused");
}
