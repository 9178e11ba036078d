/* Calls that do not stop the program, in every situation that might go wrong. */
#include "../behaviour.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <stddef.h>

enum { MANY = 20000 };

static volatile sig_atomic_t handled, strange, go_on = 1;

static int p[2];

/* Where the program's own code is, and nothing that a recorder has put there. */
static struct range {
    unsigned long start, end;
} code[32];
static int n_code;

static void find_code(void)
{
    char line[600], prot[5];
    unsigned long inode;
    FILE *f = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, f) && n_code < 32)
        if (sscanf(line, "%lx-%lx %4s %*s %*s %lu", &code[n_code].start, &code[n_code].end, prot, &inode) == 4 &&
            prot[2] == 'x' && inode)
            n_code++;
    fclose(f);
}

static void in_own_code(int sig, siginfo_t *si, void *uc)
{
    unsigned long pc = (unsigned long)((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];
    int found = 0;
    for (int i = 0; i < n_code; i++)
        found |= pc >= code[i].start && pc < code[i].end;
    strange += !found;
    handled++;
}

static void ticks(long us, int flags)
{
    handle(SIGALRM, in_own_code, flags);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, us}, {0, us}}, NULL);
}

static int file_with(const char *text)
{
    char name[] = "/tmp/urd-fast-XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0 && unlink(name) == 0);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    return fd;
}

BEHAVIOUR(a_storm_of_signals)
{
    find_code();
    int fd = file_with("0123456789");
    CHECK(pipe(p) == 0);
    ticks(100, SA_RESTART);
    for (int i = 0; i < MANY; i++) {
        char c = 0;
        CHECK(pread(fd, &c, 1, i % 10) == 1 && c == '0' + i % 10);
        CHECK(write(p[1], &i, sizeof i) == sizeof i);
        int got = -1;
        CHECK(read(p[0], &got, sizeof got) == sizeof got && got == i);
        CHECK(getppid() > 0);
    }
    while (handled < 20)
        getppid();
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    printf("%d\n", strange);
}

static void writes_a_byte(int sig, siginfo_t *si, void *uc)
{
    handled++;
    if (handled == 3)
        CHECK(write(p[1], "x", 1) == 1);
}

BEHAVIOUR(a_read_that_goes_on_after_handlers)
{
    CHECK(pipe(p) == 0);
    for (int i = 0; i < 10; i++) { /* the call site is known */
        char c;
        CHECK(write(p[1], "y", 1) == 1 && read(p[0], &c, 1) == 1);
    }
    handle(SIGALRM, writes_a_byte, SA_RESTART);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 2000}, {0, 2000}}, NULL);
    char c = 0;
    CHECK(read(p[0], &c, 1) == 1 && c == 'x' && handled >= 3);
}

BEHAVIOUR(a_read_that_a_handler_ends)
{
    CHECK(pipe(p) == 0);
    for (int i = 0; i < 10; i++) {
        char c;
        CHECK(write(p[1], "y", 1) == 1 && read(p[0], &c, 1) == 1);
    }
    find_code();
    for (int i = 0; i < 20; i++) {
        int before = handled;
        handle(SIGALRM, in_own_code, 0); /* once more and again: the first may come before the read */
        setitimer(ITIMER_REAL, &(struct itimerval){{0, 2000}, {0, 100 + i * 100}}, NULL);
        char c;
        CHECK(read(p[0], &c, 1) == -1 && errno == EINTR && handled > before);
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    printf("%d\n", strange);
}

/* The handler runs before the wait, and what it does ends the wait. */
BEHAVIOUR(a_handler_before_a_wait_is_not_late) 
{
    CHECK(pipe(p) == 0);
    handled = 2;
    handle(SIGUSR1, writes_a_byte, SA_RESTART);
    pid_t child = fork();
    if (child == 0) {
        sleep_ms(20);
        kill(getppid(), SIGUSR1);
        _exit(0);
    }
    uint64_t end = now_ns() + 40000000;
    while (now_ns() < end && handled == 2)
        compute(100000);
    char c;
    CHECK(read(p[0], &c, 1) == 1);
    waitpid(child, NULL, 0);
}

BEHAVIOUR(code_that_is_made_at_run_time)
{
    unsigned char *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static const unsigned char made[] = {0xb8, SYS_getppid, 0, 0, 0, 0x0f, 0x05, 0xc3};
    memcpy(m, made, sizeof made);
    pid_t parent = getppid();
    for (int i = 0; i < 100; i++)
        CHECK(((int (*)(void))m)() == parent);
    CHECK(memcmp(m, made, sizeof made) == 0);
    m[1] = SYS_getpid;
    CHECK(((int (*)(void))m)() == getpid());
}

/* Jumps to the call, to what is behind it, and to before it; flags, rcx and r11 as the processor leaves them. */
__attribute__((naked)) static long site(long way, long *rcx, long *r11)
{
    __asm__("push %rsi; push %rdx; xor %esi, %esi; stc\n"
            "cmp $1, %rdi; je 1f; cmp $2, %rdi; je 2f; cmp $3, %rdi; je 3f; cmp $100, %rdi; ja 5f\n"
            "3: mov $110, %eax\n" /* getppid */
            "1: syscall\n"
            "2: pushfq; pop %rdi; pop %rdx; pop %rsi; mov %rcx, (%rsi); mov %r11, (%rdx); ret\n"
            "5: mov $39, %eax; jmp 1b\n");
}

BEHAVIOUR(jumps_around_a_call)
{
    long first[2], later[2];
    pid_t parent = getppid();
    CHECK(site(3, &first[0], &first[1]) == parent);
    for (int i = 0; i < 50; i++) {
        CHECK(site(3, &later[0], &later[1]) == parent && later[0] == first[0] && later[1] == first[1]);
        CHECK(site(500, &later[0], &later[1]) == getpid() && later[0] == first[0]);
    }
    site(2, &later[0], &later[1]); /* no call at all */
}

static void *counts(void *arg)
{
    for (int i = 0; i < MANY; i++)
        CHECK(getppid() > 0);
    return NULL;
}

BEHAVIOUR(two_threads)
{
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&t[i], NULL, counts, NULL) == 0);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
}

static void *waits_at_the_site(void *arg)
{
    char c;
    CHECK(read(p[0], &c, 1) == 1 && c == 'z');
    return NULL;
}

BEHAVIOUR(a_thread_waits_at_a_site_that_is_patched)
{
    pthread_t t;
    int fd = file_with("something");
    CHECK(pipe(p) == 0);
    CHECK(pthread_create(&t, NULL, waits_at_the_site, NULL) == 0);
    sleep_ms(10);
    char c;
    for (int i = 0; i < 1000; i++) {
        lseek(fd, 0, SEEK_SET);
        CHECK(read(fd, &c, 1) == 1 && c == 's');
    }
    CHECK(write(p[1], "z", 1) == 1);
    pthread_join(t, NULL);
}

BEHAVIOUR(forks_and_execs)
{
    for (int i = 0; i < 30; i++) {
        pid_t parent = getpid(), child = fork();
        if (child == 0) {
            for (int k = 0; k < 100; k++)
                CHECK(getppid() == parent);
            if (i % 3 == 0)
                execl("/bin/true", "true", NULL);
            _exit(i);
        }
        for (int k = 0; k < 100; k++)
            CHECK(getpid() == parent);
        int status;
        CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == (i % 3 ? i : 0));
    }
}

BEHAVIOUR(a_full_ring)
{
    static char buffer[100000];
    memset(buffer, 'q', sizeof buffer - 1);
    int fd = file_with(buffer);
    for (int i = 0; i < 300; i++) {
        memset(buffer, 0, sizeof buffer);
        size_t n = (size_t)(1 + i * 331);
        CHECK(pread(fd, buffer, n, 0) == (ssize_t)(n < 99999 ? n : 99999) && buffer[n < 99999 ? n - 1 : 99998] == 'q' && !buffer[99999]);
    }
}

BEHAVIOUR(faults)
{
    int fd = file_with("text that is read into memory that is not there");
    char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(m + 4096, 4096);
    for (int i = 0; i < 20; i++) {
        CHECK(pread(fd, (void *)16, 10, 0) == -1 && errno == EFAULT);
        pread(fd, m + 4096 - 5, 10, 0); /* as far as it goes */
        CHECK(syscall(SYS_newfstatat, 1, (void *)1, m, 0) == -1 && errno == EFAULT);
        CHECK(pread(fd, m, 10, 0) == 10 && m[0] == 't');
        CHECK(pread(fd, m + 4096 - 10, 10, 0) == 10 && m[4095] == ' ');
    }
    printf("%.10s\n", m + 4096 - 10);
}

BEHAVIOUR(output_of_every_size)
{
    static char text[9000];
    for (int i = 0; i < 9000; i++)
        text[i] = (char)('a' + i % 26);
    for (int i = 1; i < 300; i++) {
        size_t n = (size_t)i * 30;
        CHECK(write(1, text, n) == (ssize_t)n);
        text[i] = '\n';
        memset(text + 1000, 'A' + i % 26, 100); /* not what was written */
    }
}

BEHAVIOUR(descriptors_that_are_replaced)
{
    int fd = file_with(""), keep = dup(1);
    for (int i = 0; i < 5; i++)
        CHECK(write(fd, "file\n", 5) == 5);
    CHECK(dup2(1, fd) == fd);
    for (int i = 0; i < 5; i++)
        CHECK(write(fd, "output\n", 7) == 7);
    int other = file_with("");
    CHECK(dup2(other, fd) == fd);
    for (int i = 0; i < 5; i++)
        CHECK(write(fd, "file\n", 5) == 5);
    CHECK(close(fd) == 0 && dup(keep) == fd);
    for (int i = 0; i < 5; i++)
        CHECK(write(fd, "output again\n", 13) == 13);
    if (vfork() == 0) {
        dup2(other, 1);
        for (int i = 0; i < 5; i++)
            write(1, "file\n", 5);
        _exit(0);
    }
    CHECK(write(1, "the end\n", 8) == 8);
    struct stat st;
    CHECK(fstat(other, &st) == 0);
    printf("%ld\n", (long)st.st_size);
}

BEHAVIOUR(a_file_that_becomes_shared_memory)
{
    int fd = file_with("");
    char page[4096] = "before";
    for (int i = 0; i < 5; i++)
        CHECK(pwrite(fd, page, sizeof page, 0) == sizeof page);
    char *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(strcmp(m, "before") == 0);
    for (int i = 0; i < 5; i++) {
        snprintf(page, sizeof page, "after %d", i);
        CHECK(pwrite(fd, page, sizeof page, 0) == sizeof page && strcmp(m, page) == 0);
        puts(m);
    }
}

BEHAVIOUR(code_that_becomes_writable)
{
    pid_t parent = getppid();
    for (int i = 0; i < 10; i++)
        CHECK(getppid() == parent);
    unsigned char *page = (unsigned char *)((uintptr_t)getppid & ~4095ul), *code = (void *)getppid;
    if (code[0] == 0xff) /* a stub of the linker's: not what is looked for */
        return;
    CHECK(mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
    unsigned sum = 0;
    for (int i = 0; i < 4096; i++)
        sum = sum * 31 + page[i];
    printf("%x\n", sum);
    for (int i = 0; i < 10; i++)
        CHECK(getppid() == parent);
    CHECK(mprotect(page, 8192, PROT_READ | PROT_EXEC) == 0);
    for (int i = 0; i < 10; i++)
        CHECK(getppid() == parent);
}

BEHAVIOUR(a_filter_comes_later)
{
    for (int i = 0; i < 10; i++)
        getppid();
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    for (int i = 0; i < 10; i++)
        CHECK(syscall(SYS_getppid) == -1 && errno == EXDEV && getpid() > 0);
    if (fork() == 0) {
        for (int i = 0; i < 10; i++)
            CHECK(syscall(SYS_getppid) == -1 && errno == EXDEV && getpid() > 0);
        _exit(0);
    }
    int status = 1;
    CHECK(wait(&status) > 0 && status == 0);
}

BEHAVIOUR(processes_that_talk_by_pipes)
{
    int q[2];
    CHECK(pipe(p) == 0 && pipe(q) == 0);
    pid_t child = fork();
    for (int i = 0; i < 2000; i++) {
        int got = -1;
        if (child) {
            CHECK(write(p[1], &i, sizeof i) == sizeof i);
            CHECK(read(q[0], &got, sizeof got) == sizeof got && got == i);
        } else {
            CHECK(read(p[0], &got, sizeof got) == sizeof got && got == i);
            CHECK(write(q[1], &i, sizeof i) == sizeof i);
        }
    }
    if (!child)
        _exit(0);
    int status = 1;
    CHECK(wait(&status) == child && status == 0);
}

BEHAVIOUR(a_pipe_that_is_full)
{
    CHECK(pipe(p) == 0);
    pid_t child = fork();
    static char block[3000];
    if (child == 0) {
        close(p[1]);
        long total = 0, n;
        while ((n = read(p[0], block, sizeof block)) > 0)
            total += n;
        CHECK(total == 500 * (long)sizeof block);
        _exit(0);
    }
    close(p[0]);
    for (int i = 0; i < 500; i++)
        CHECK(write(p[1], block, sizeof block) == sizeof block);
    close(p[1]);
    int status = 1;
    CHECK(wait(&status) == child && status == 0);
}

BEHAVIOUR(readiness)
{
    int s[2], e = epoll_create1(0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 7}, got[4];
    CHECK(epoll_ctl(e, EPOLL_CTL_ADD, s[0], &ev) == 0);
    for (int i = 0; i < 100; i++) {
        memset(got, 0, sizeof got);
        struct pollfd f = {.fd = s[0], .events = POLLIN};
        CHECK(epoll_wait(e, got, 4, 0) == 0 && poll(&f, 1, 0) == 0 && f.revents == 0);
        CHECK(send(s[1], &i, sizeof i, 0) == sizeof i);
        CHECK(epoll_wait(e, got, 4, -1) == 1 && got[0].data.u64 == 7 && poll(&f, 1, 0) == 1 && f.revents == POLLIN);
        int n = -1;
        CHECK(recv(s[0], &n, sizeof n, 0) == sizeof n && n == i);
    }
}

static void ends_it(int sig, siginfo_t *si, void *uc)
{
    dprintf(1, "ended\n");
    _exit(5);
}

BEHAVIOUR(a_loop_of_calls_is_ended_by_a_signal) //$ status 5
{
    handle(SIGALRM, ends_it, 0);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 20000}}, NULL);
    for (;;)
        getppid();
}

BEHAVIOUR(a_loop_of_calls_is_killed) //$ status 137
{
    if (fork() == 0) {
        sleep_ms(20);
        kill(getppid(), SIGKILL);
        _exit(0);
    }
    for (;;)
        getppid();
}

BEHAVIOUR(a_loop_of_calls_is_terminated) //$ status 143
{
    if (fork() == 0) {
        sleep_ms(20);
        kill(getppid(), SIGTERM);
        _exit(0);
    }
    for (;;)
        getppid();
}

static void everything_else_goes(void)
{
    char line[600];
    unsigned long start[200], end[200];
    int n = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    while (n < 200 && fgets(line, sizeof line, f))
        if (sscanf(line, "%lx-%lx", &start[n], &end[n]) == 2 && !strchr(line, '/') && !strchr(line, '['))
            n++; /* no file, no name: nobody's but the recorder's, libc's thread stacks and caches */
    fclose(f);
    for (int i = 0; i < n; i++)
        if (start[i] >> 40 == 0x5e)
            CHECK(munmap((void *)start[i], end[i] - start[i]) == 0);
}

BEHAVIOUR(memory_that_is_not_the_programs_is_unmapped)
{
    pid_t parent = getppid();
    for (int i = 0; i < 10; i++)
        CHECK(getppid() == parent);
    everything_else_goes();
    for (int i = 0; i < 10; i++)
        CHECK(getppid() == parent);
    void *m = mmap((void *)0x5e1000000000, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    for (int i = 0; i < 10; i++)
        CHECK(getppid() == parent);
    CHECK(munmap(m, 1 << 20) == 0);
    puts("still here");
}

static void check_who(pid_t parent)
{
    pid_t process = (pid_t)syscall(SYS_getpid), thread = (pid_t)syscall(SYS_gettid);
    char link[32] = "";
    CHECK(readlink("/proc/thread-self", link, sizeof link - 1) > 0);
    CHECK(atoi(link) == process && atoi(strrchr(link, '/') + 1) == thread);
    for (int i = 0; i < 20; i++)
        CHECK(syscall(SYS_getpid) == process && syscall(SYS_gettid) == thread && syscall(SYS_getppid) == parent &&
              syscall(SYS_getuid) == syscall(SYS_geteuid) && syscall(SYS_getgid) == syscall(SYS_getegid));
}

static void *another_thread(void *parent)
{
    check_who((pid_t)(intptr_t)parent);
    return NULL;
}

BEHAVIOUR(who_asks_is_told_who_it_is)
{
    pid_t parent = getppid(), self = getpid(), child;
    pthread_t t;
    for (int i = 0; i < 3; i++) {
        check_who(parent);
        CHECK(pthread_create(&t, NULL, another_thread, (void *)(intptr_t)parent) == 0 && pthread_join(t, NULL) == 0);
        check_who(parent);
        if ((child = fork()) == 0) {
            check_who(self);
            _exit(0);
        }
        CHECK(waitpid(child, NULL, 0) == child);
        if ((child = vfork()) == 0) {
            check_who(self);
            _exit(0);
        }
        CHECK(waitpid(child, NULL, 0) == child);
    }
    if (geteuid() == 0) {
        CHECK(seteuid(1234) == 0 && syscall(SYS_geteuid) == 1234 && seteuid(0) == 0 && syscall(SYS_geteuid) == 0);
        CHECK(setegid(1234) == 0 && syscall(SYS_getegid) == 1234 && setegid(0) == 0 && syscall(SYS_getegid) == 0);
    }
    puts("all of them");
}

BEHAVIOUR(a_parent_dies)
{
    char byte;
    CHECK(pipe(p) == 0);
    pid_t child = fork();
    if (child == 0) {
        pid_t parent = getpid();
        if (fork() == 0) {
            while (getppid() == parent) /* nothing else: the answer changes by itself */
                ;
            CHECK(write(p[1], "a", 1) == 1);
        }
        _exit(0);
    }
    CHECK(waitpid(child, NULL, 0) == child && read(p[0], &byte, 1) == 1);
    puts("seen");
}

static unsigned long sum_of(int fd, size_t size, int prot, int flags, off_t offset, void *at)
{
    unsigned char *m = mmap(at, size, prot, flags, fd, offset);
    unsigned long sum = 0;
    CHECK(m != MAP_FAILED && (!at || m == at));
    for (size_t i = 0; i < size; i++)
        sum = sum * 31 + m[i];
    if (prot & PROT_WRITE)
        memset(m, 'w', size);
    if (!at)
        CHECK(munmap(m, size) == 0);
    return sum;
}

BEHAVIOUR(files_are_mapped_again_and_again)
{
    static char page[4096];
    int fd = file_with("begin"), other = file_with("another");
    void *room = mmap(NULL, 3 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int round = 0; round < 6; round++) {
        memset(page, 'a' + round, sizeof page);
        CHECK(pwrite(fd, page, sizeof page, 4096 * (round % 3)) == sizeof page);
        usleep(40000); /* until its time tells this content from another */
        unsigned long sums[6];
        for (int again = 0; again < 3; again++) {
            sums[0] = sum_of(fd, 4096, PROT_READ, MAP_PRIVATE, 0, NULL);
            sums[1] = sum_of(fd, 4096 * (round < 2 ? round + 1 : 3), PROT_READ | PROT_WRITE, MAP_PRIVATE, 0, NULL);
            sums[2] = sum_of(other, 4096, PROT_READ, MAP_PRIVATE | MAP_POPULATE, 0, NULL);
            sums[3] = round < 2 ? 0 : sum_of(fd, 4096, PROT_READ, MAP_PRIVATE, 8192, NULL);
            sums[4] = sum_of(fd, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, 0, (char *)room + 4096);
            sums[5] = sum_of(fd, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0, NULL);
        }
        for (int i = 0; i < 6; i++)
            printf("%lx ", sums[i]);
        printf("%lx\n", sum_of(fd, 4096, PROT_READ, MAP_PRIVATE, 0, NULL));
    }
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 999, 0) == MAP_FAILED && errno == EBADF);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 1) == MAP_FAILED && errno == EINVAL);
}

static void sum_up(const char *what, const void *bytes, size_t size, ssize_t result)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < size; i++)
        sum = sum * 31 + ((const unsigned char *)bytes)[i];
    printf("%s %zd %d %lx\n", what, result, result < 0 ? errno : 0, sum);
}

static void pieces_through(const char *what, int in, int out)
{
    static char from[20000], to[20000];
    struct iovec v[40];
    for (size_t i = 0; i < sizeof from; i++)
        from[i] = (char)(i * 7);
    for (int n = 0; n <= 20; n += n < 4 ? 1 : 4) /* more than the region takes, too */
        for (int round = 0; round < 4; round++) {
            memset(to, 0, sizeof to);
            size_t at = 0;
            for (int i = 0; i < n; i++) {
                size_t size = (size_t)(i * 37 % 90) * (round + 1) / 2;
                v[i] = (struct iovec){from + at, size};
                at += size;
            }
            ssize_t result = writev(out, v, n);
            sum_up(what, "", 0, result);
            for (int i = 0; i < n; i++)
                v[i] = (struct iovec){to + i * 211, (size_t)(i * 53 % 70) * (round + 1)};
            if (lseek(in, 0, SEEK_SET) == 0 || result > 0)
                result = readv(in, v, n);
            sum_up(what, to, sizeof to, result);
            while (recv(in, to, sizeof to, MSG_DONTWAIT) > 0)
                ;
        }
}

BEHAVIOUR(reads_and_writes_of_many_pieces)
{
    int s[2], file = file_with("begin");
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    pieces_through("file", file, file);
    pieces_through("socket", s[0], s[1]);
    struct iovec v[3] = {{"one ", 4}, {"two ", 4}, {"three\n", 6}};
    fflush(stdout);
    for (int i = 0; i < 20; i++)
        CHECK(writev(1, v, 3) == 14);
    struct iovec bad[2] = {{"good", 4}, {(void *)16, 100}};
    for (int i = 0; i < 4; i++) {
        sum_up("bad array", "", 0, writev(file, (struct iovec *)16, 2));
        sum_up("bad array", "", 0, readv(file, (struct iovec *)16, 2));
        sum_up("bad piece", "", 0, writev(file, bad + 1, 1));
        CHECK(lseek(file, 0, SEEK_SET) == 0);
        sum_up("bad piece", "", 0, readv(file, bad + 1, 1));
        sum_up("no pieces", "", 0, readv(file, bad, 0));
        sum_up("too many", "", 0, readv(file, bad, 5000));
        sum_up("none there", "", 0, readv(-1, bad, 1));
    }
}

static ssize_t receive(int fd, struct msghdr *m, int flags, const char *what)
{
    static char a[50], b[5000];
    struct iovec v[2] = {{a, sizeof a}, {b, sizeof b}};
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    m->msg_iov = v;
    m->msg_iovlen = 2;
    ssize_t n = recvmsg(fd, m, flags);
    sum_up(what, a, sizeof a, n);
    sum_up(what, b, sizeof b, m->msg_flags * 1000 + (ssize_t)m->msg_controllen);
    return n;
}

BEHAVIOUR(messages)
{
    int s[2];
    char text[300], room[CMSG_SPACE(sizeof(int))];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    for (int i = 0; i < 12; i++) {
        memset(text, 'a' + i, sizeof text);
        struct iovec v[3] = {{text, (size_t)i * 20}, {text, 7}, {text, 1}};
        struct msghdr m = {.msg_iov = v, .msg_iovlen = 3}, in = {0};
        CHECK(sendmsg(s[1], &m, 0) == i * 20 + 8);
        CHECK(receive(s[0], &in, MSG_PEEK, "peek") == i * 20 + 8);
        CHECK(receive(s[0], &in, 0, "all") == i * 20 + 8);
        CHECK(receive(s[0], &in, MSG_DONTWAIT, "none") == -1 && errno == EAGAIN);
        CHECK(sendmsg(s[1], &m, 0) == i * 20 + 8);
        in.msg_control = room; /* not of the region's */
        in.msg_controllen = sizeof room;
        CHECK(receive(s[0], &in, 0, "with room") == i * 20 + 8 && in.msg_controllen == 0);
        union {
            struct cmsghdr h;
            char bytes[CMSG_SPACE(sizeof(int))];
        } rights = {.h = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
        memcpy(CMSG_DATA(&rights.h), &s[1], sizeof(int));
        m.msg_control = &rights;
        m.msg_controllen = sizeof rights;
        CHECK(sendmsg(s[1], &m, 0) == i * 20 + 8);
        in.msg_controllen = i % 2 ? sizeof room : 0;
        CHECK(receive(s[0], &in, 0, "rights") == i * 20 + 8 && in.msg_flags == (i % 2 ? 0 : MSG_CTRUNC));
        if (i % 2) {
            int fd;
            memcpy(&fd, CMSG_DATA((struct cmsghdr *)room), sizeof fd);
            CHECK(close(fd) == 0);
        }
        sum_up("bad header", "", 0, recvmsg(s[0], (struct msghdr *)16, MSG_DONTWAIT));
        sum_up("bad header", "", 0, sendmsg(s[0], (struct msghdr *)16, MSG_DONTWAIT));
    }
}

/* No instruction has room for a jump, but what follows the function has; and a jump back to the instruction before the call. */
__asm__(".pushsection .text\n"
        ".balign 64\n"
        "short_read:\n"
        ".cfi_startproc\n"
        "    mov %rdx, %r8\n"
        "    mov $3, %r9b\n"
        "1:  xor %eax, %eax\n"
        "    syscall\n"
        "    dec %r9b\n"
        "    jnz 1b\n"
        "    ret\n"
        ".cfi_endproc\n"
        "short_read_end:\n"
        ".balign 64, 0xcc\n"
        "after_short_read:\n"
        ".cfi_startproc\n"
        "    ret\n"
        ".cfi_endproc\n"
        ".popsection\n");
long short_read(int fd, void *to, size_t n);
extern char short_read_end[], after_short_read[];

static void not_in_padding(int sig, siginfo_t *si, void *uc)
{
    char *pc = (char *)((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];
    strange += pc >= short_read_end && pc < after_short_read;
    in_own_code(sig, si, uc);
}

BEHAVIOUR(a_short_instruction_before_a_call)
{
    char text[8] = "";
    int fd = file_with("a text of something");
    find_code();
    handle(SIGALRM, not_in_padding, SA_RESTART);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 100}, {0, 100}}, NULL);
    for (int i = 0; i < MANY; i++) {
        lseek(fd, 0, SEEK_SET);
        CHECK(short_read(fd, text, 4) == 4 && memcmp(text, "f so", 4) == 0);
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    CHECK(!strange);
    puts("read");
}

BEHAVIOUR(padding_that_is_looked_at)
{
    static unsigned char before[64];
    char text[8];
    size_t n = (size_t)(after_short_read - short_read_end);
    uintptr_t page = (uintptr_t)short_read_end & -4096ul;
    int fd = file_with("a text of something");
    memcpy(before, short_read_end, n);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 20; i++) {
            lseek(fd, 0, SEEK_SET);
            CHECK(short_read(fd, text, 4) == 4);
        }
        CHECK(mprotect((void *)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) == 0); /* then it is the program's own */
        CHECK(memcmp(before, short_read_end, n) == 0);
        CHECK(mprotect((void *)page, 4096, PROT_READ | PROT_EXEC) == 0);
    }
    puts("as it was");
}
