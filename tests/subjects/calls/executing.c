/* Ways to start programs. */
#include "call.h"
static char *arg[] = {"echo", "from", "exec", NULL}, *env[] = {"A=b", NULL};
static void by_descriptor(void) { fexecve(open("/bin/echo", O_RDONLY | O_CLOEXEC), arg, env); }
static void by_path(void) { syscall(SYS_execveat, open("/bin", O_PATH), "echo", arg, env, 0); }
static void from_memory(void)
{
    int f = memfd_create("program", 0), e = open("/bin/echo", O_RDONLY);
    char b[4096];
    for (ssize_t n; (n = read(e, b, sizeof b)) > 0;)
        write(f, b, n);
    syscall(SYS_execveat, f, "", arg, env, AT_EMPTY_PATH);
}
static void script(void) { execl("./script", "script", "argument", NULL); }
static void missing(void)
{
    SAY(execv("/bin/none", arg));
    SAY(execv("/etc/passwd", arg));
    SAY(execv("/", arg));
}
int main(void)
{
    int f = open("script", O_WRONLY | O_CREAT | O_TRUNC, 0700);
    dprintf(f, "#!/bin/sh -e\necho script $1 $#\n");
    close(f);
    printf("%d\n", in_child(by_descriptor));
    printf("%d\n", in_child(by_path));
    printf("%d\n", in_child(from_memory));
    printf("%d\n", in_child(script));
    printf("%d\n", in_child(missing));
    unlink("script");
    fflush(stdout);
    printf("%d\n", system("exit 3"));
    fflush(stdout);
    pid_t v = vfork();
    if (v == 0) {
        execve("/bin/echo", arg, env);
        _exit(1);
    }
    int status;
    IS(waitpid(v, &status, 0) == v);
}
