#include "record/launch.h"
#include "base/log.h"
#include "record/runtime/runtime.h"
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const long launch_ptrace_options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK |
                                   PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
                                   PTRACE_O_TRACEEXIT | PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL;

/** False: the answer is all zeros. */
static bool add_cpuid(struct urd_trace_info *info, uint32_t leaf, uint32_t subleaf, bool keyed)
{
    struct urd_cpuid c = {.leaf = leaf, .subleaf = keyed ? subleaf : ~0u};
    __cpuid_count(leaf, subleaf, c.eax, c.ebx, c.ecx, c.edx);
    info->cpuid = urd_xrealloc(info->cpuid, (info->n_cpuid + 1) * sizeof c);
    info->cpuid[info->n_cpuid++] = c;
    return c.eax || c.ebx || c.ecx || c.edx;
}

/** Leaves whose answer depends on ECX (SDM vol. 2, CPUID; AMD APM vol. 3, appendix E). */
static unsigned subleaves(uint32_t leaf)
{
    switch (leaf) {
    case 4:
    case 0xb:
    case 0xf:
    case 0x10:
    case 0x12:
    case 0x14:
    case 0x17:
    case 0x18:
    case 0x1b:
    case 0x1d:
    case 0x1e:
    case 0x1f:
    case 0x20:
    case 0x23:
    case 0x24:
    case 0x8000001d:
    case 0x80000020:
    case 0x80000026:
        return 8;
    case 7:
        return 3;
    case 0xd:
        return 20;
    case 2:
        return 0;
    default:
        return 0;
    }
}

/** Subleaves up to the first one of type 0 (SDM vol. 2, CPUID 4; AMD's likewise). */
static bool lists_caches(uint32_t leaf)
{
    return leaf == 4 || leaf == 0x8000001d;
}

/** In a virtual machine each question costs an exit to the host. */
static void describe_cpuid(struct urd_trace_info *info)
{
    for (unsigned base = 0; base < 3; base++) {
        static const uint32_t bases[] = {0, 0x40000000, 0x80000000};
        uint32_t eax, ebx, ecx, edx;
        __cpuid_count(bases[base], 0, eax, ebx, ecx, edx);
        uint32_t max = eax < bases[base] || eax > bases[base] + 0x40 ? bases[base] : eax;
        for (uint32_t leaf = bases[base]; leaf <= max; leaf++) {
            unsigned n = subleaves(leaf);
            for (unsigned i = 0; i < (n ? n : 1); i++)
                if (!add_cpuid(info, leaf, i, n > 0) && (i == 0 || lists_caches(leaf)))
                    break; /* zeros follow, which whoever does not find a subleaf answers, too */
        }
    }
}

static char *cpu_name(void)
{
    uint32_t words[13] = {0};
    for (unsigned i = 0; i < 3; i++)
        __get_cpuid(0x80000002 + i, &words[i * 4], &words[i * 4 + 1], &words[i * 4 + 2],
                    &words[i * 4 + 3]);
    return strdup((char *)words);
}

urd_err *launch_describe(char **argv, int core, struct urd_trace_info *ret)
{
    struct urd_trace_info info = {.core = core, .started_unix = time(NULL)};
    while (argv[info.argc])
        info.argc++;
    info.argv = urd_xcalloc((size_t)info.argc + 1, sizeof *info.argv);
    for (int i = 0; i < info.argc; i++)
        info.argv[i] = strdup(argv[i]);
    char cwd[4096];
    info.cwd = strdup(getcwd(cwd, sizeof cwd) ? cwd : "");
    struct utsname u;
    uname(&u);
    info.host = strdup(u.nodename);
    info.kernel = urd_xprintf("%s %s", u.sysname, u.release);
    info.cpu = cpu_name();
    info.version = strdup("urd 0.1");
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    info.xfeatures = (uint64_t)high << 32 | low;
    describe_cpuid(&info);
    *ret = info;
    return NULL;
}

int launch_pin(cpu_set_t *ret_cpus)
{
    int core = sched_getcpu();
    cpu_set_t set;
    memset(ret_cpus, 0xff, sizeof *ret_cpus);
    sched_setaffinity(0, sizeof *ret_cpus, ret_cpus); /* the kernel leaves out what may not be */
    sched_getaffinity(0, sizeof *ret_cpus, ret_cpus);
    CPU_ZERO(&set);
    CPU_SET(core < 0 ? 0 : core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        urd_log(1, "cannot pin to core %d", core);
    return core < 0 ? 0 : core;
}

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

urd_err *launch_find_program(const char *name, char **ret)
{
    if (strchr(name, '/')) {
        if (!is_program(name))
            return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "cannot run '%s'", name),
                                access(name, F_OK) == 0 ? "it is not an executable file"
                                                        : "there is no such file");
        *ret = strdup(name);
        return NULL;
    }
    const char *path = getenv("PATH");
    for (const char *at = path ? path : "/usr/bin:/bin"; *at;) {
        size_t n = strcspn(at, ":");
        char *full = urd_xprintf("%.*s/%s", (int)n, at, name);
        if (is_program(full)) {
            *ret = full;
            return NULL;
        }
        free(full);
        at += n + (at[n] == ':');
    }
    return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "there is no program '%s'", name),
                        "it is not in $PATH; give its path");
}

/** Traced: all calls but those of one instruction. The vsyscall page (the upper half) makes none that a tracer could follow. */
static void install_filter(void)
{
    const uint64_t behind = runtime_address(runtime_syscall) + 2;
    const unsigned ip = offsetof(struct seccomp_data, instruction_pointer);
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xffffffff, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(behind >> 32), 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)behind, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | LAUNCH_FILTER_DATA),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0 || errno != EACCES)
        return;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0,
          0); /* what a user must promise; under a tracer it is so anyway */
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}

static void run_child(const char *program, char **argv, bool filter, int go)
{
    char byte;
    while (read(go, &byte, 1) < 0 && errno == EINTR)
        ;
    close(go);
    prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
    if (filter)
        install_filter();
    execv(program, argv);
    _exit(127);
}

urd_err *launch_subject(const char *program, char **argv, bool filter, pid_t *ret)
{
    int go[2];
    if (pipe2(go, O_CLOEXEC) != 0)
        URD_FAIL_ERRNO("cannot make a pipe");
    pid_t pid = fork();
    if (pid < 0)
        URD_FAIL_ERRNO("cannot fork");
    if (pid == 0) {
        close(go[1]);
        run_child(program, argv, filter, go[0]);
    }
    close(go[0]);
    if (ptrace(PTRACE_SEIZE, pid, 0, launch_ptrace_options) != 0) {
        int saved = errno;
        kill(pid, SIGKILL);
        close(go[1]);
        return urd_err_hint(urd_err_make(URD_ERR_FAILED, saved, __func__, __FILE__, __LINE__,
                                         "this machine does not let urd trace a process"),
                            "in a container, allow ptrace (--cap-add=SYS_PTRACE); see "
                            "/proc/sys/kernel/yama/ptrace_scope");
    }
    if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) != 0)
        URD_FAIL_ERRNO("cannot stop the subject");
    int status;
    while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
        ;
    if (write(go[1], "g", 1) != 1)
        URD_FAIL_ERRNO("cannot start the subject");
    close(go[1]);
    *ret = pid;
    return NULL;
}
