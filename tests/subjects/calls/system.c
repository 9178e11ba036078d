/* What the system says about itself. */
#include "call.h"
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <sys/random.h>
#include <linux/membarrier.h>
int main(void)
{
    struct sysinfo si;
    memset(&si, 0, sizeof si);
    SAY(sysinfo(&si));
    IS(si.uptime > 0 && si.totalram > 0 && si.procs > 0);
    struct tms t;
    IS(times(&t) != -1);
    struct rusage u;
    memset(&u, 0xff, sizeof u);
    SAY(getrusage(RUSAGE_SELF, &u));
    IS(u.ru_maxrss > 0);
    SAY(getrusage(RUSAGE_CHILDREN, &u));
    SAY(getrusage(77, &u));
    struct utsname n;
    SAY(uname(&n));
    printf("%s %s\n", n.sysname, n.machine);
    unsigned cpu = 999, node = 999;
    SAY(syscall(SYS_getcpu, &cpu, &node, NULL));
    IS(cpu < 999 && node < 999);
    cpu_set_t set;
    IS(syscall(SYS_sched_getaffinity, 0, sizeof set, &set) > 0);
    struct sched_param p = {-1};
    SAY(sched_getparam(0, &p));
    printf("%d\n", p.sched_priority);
    SAY(sched_getscheduler(0));
    SAY(sched_get_priority_max(SCHED_FIFO));
    struct timespec ts;
    SAY(sched_rr_get_interval(0, &ts));
    struct { unsigned size, policy; uint64_t flags; int nice; unsigned priority; uint64_t rest[6]; } attr;
    SAY(syscall(SYS_sched_getattr, 0, &attr, 48, 0));
    printf("%u %u\n", attr.size, attr.policy);
    unsigned char r[64] = {0};
    SAY(getrandom(r, 64, 0));
    IS(sum(r, 64) != sum((unsigned char[64]){0}, 64));
    SAY(getrandom(r, 64, 0x1000));
    IS(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) >= 0);
    SAY(sched_yield());
    SAY(sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0}));
    SAY(sched_getscheduler(0));
    SAY(sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){3}));
    SAY(sched_setscheduler(-1, SCHED_FIFO, &(struct sched_param){1}));
    SAY(sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){100}));
    SAY(sched_setparam(0, &(struct sched_param){-1}));
    cpu_set_t none;
    CPU_ZERO(&none);
    SAY(sched_setaffinity(0, sizeof none, &none));
    SAY(sched_setaffinity(-1, sizeof set, &set));
    SAY(sched_setaffinity(0, sizeof set, &set));
    int mode = 77;
    unsigned long mask[16];
    memset(mask, 0xff, sizeof mask);
    long policy = syscall(SYS_get_mempolicy, &mode, mask, 1024, NULL, 0);
    printf("%d %lx\n", policy == 0 ? mode : 0, policy == 0 ? mask[0] : 0);
    SAY(ioctl(0, 0x1234));
    int quota[20];
    SAY(syscall(SYS_ioprio_get, 1, 0) >= 0);
    SAY(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 5));
    SAY(syscall(SYS_ioprio_get, 1, 0));
}
