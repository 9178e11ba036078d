/* Sets of CPUs are told as they were set. Real-time priorities: told as they were set, inherited, and honoured by who wakes and who runs. Without the right to set them
 * all of it is refused, natively too. */
#include "../behaviour.h"
#include <semaphore.h>

static void tell(const char *who)
{
    struct sched_param p = {-1};
    struct timespec quantum = {-1, -1};
    struct {
        unsigned size, policy;
        uint64_t flags;
        int nice;
        unsigned priority;
        uint64_t rest[6];
    } attr = {0};
    int policy = sched_getscheduler(0);
    sched_getparam(0, &p);
    sched_rr_get_interval(0, &quantum);
    syscall(SYS_sched_getattr, 0, &attr, 48, 0);
    printf("%s: policy %x priority %d, as attributes %u %u %x %lu, %s\n", who, policy, p.sched_priority, attr.policy,
           attr.priority, (unsigned)attr.flags, attr.rest[0], quantum.tv_sec || quantum.tv_nsec ? "has a quantum" : "has none");
    fflush(stdout);
}

static int become(int policy, int priority)
{
    return sched_setscheduler(0, policy, &(struct sched_param){priority}) ? errno : 0;
}

BEHAVIOUR(are_told_as_they_were_set)
{
    tell("at first");
    printf("%d\n", become(SCHED_RR, 20));
    tell("SCHED_RR");
    printf("%d\n", sched_setparam(0, &(struct sched_param){30}));
    tell("another priority");
    printf("%d %d\n", become(SCHED_FIFO, 0), become(SCHED_FIFO, 100));
    printf("%d\n", become(SCHED_FIFO, 1));
    tell("SCHED_FIFO");
    printf("%d\n", become(SCHED_BATCH, 0));
    tell("SCHED_BATCH");
    printf("%d\n", sched_setparam(0, &(struct sched_param){30}));
}

BEHAVIOUR(are_told_of_others)
{
    int p[2];
    CHECK(pipe(p) == 0);
    pid_t child = fork();
    char c;
    if (child == 0)
        _exit(read(p[0], &c, 1) == 1 ? sched_getscheduler(0) : 99);
    printf("%d\n", sched_setscheduler(child, SCHED_RR, &(struct sched_param){7}));
    printf("%d %d\n", sched_getscheduler(child), sched_getscheduler(0));
    CHECK(write(p[1], "", 1) == 1);
    printf("%d\n", WEXITSTATUS(status_of(child)));
}

BEHAVIOUR(are_inherited_but_for_those_that_are_reset)
{
    printf("%d\n", become(SCHED_RR, 20));
    fflush(stdout);
    if (fork() == 0) {
        tell("child");
        execl("/proc/self/exe", arguments[0], "are_told_as_they_were_set", NULL);
    }
    CHECK(wait(NULL) > 0);
    printf("%d\n", become(SCHED_RR | 0x40000000, 20)); /* SCHED_RESET_ON_FORK */
    tell("parent");
    if (fork() == 0) {
        tell("child");
        _exit(0);
    }
    CHECK(wait(NULL) > 0);
}

/* On how many and which CPUs it may run. */
static void cpus(const char *who)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int got = sched_getaffinity(0, sizeof set, &set);
    printf("%s: %d %d", who, got, CPU_COUNT(&set));
    for (int i = 0; i < 4; i++)
        printf(" %d", CPU_ISSET(i, &set));
    puts("");
    fflush(stdout);
}

static void *asks_for_cpus(void *set)
{
    cpus("thread, as inherited");
    sched_setaffinity(0, sizeof(cpu_set_t), set);
    cpus("thread");
    return NULL;
}

BEHAVIOUR(sets_of_cpus_are_told_as_they_were_set)
{
    cpu_set_t one, all;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    memset(&all, 0xff, sizeof all);
    printf("%d\n", sched_setaffinity(0, sizeof one, &one));
    cpus("one");
    pthread_t t;
    pthread_create(&t, NULL, asks_for_cpus, &all);
    pthread_join(t, NULL);
    cpus("one still");
    printf("%d\n", sched_setaffinity(getpid(), sizeof all, &all));
    if (fork() == 0) {
        cpus("child");
        _exit(0);
    }
    CHECK(wait(NULL) > 0);
    CPU_ZERO(&one);
    CPU_SET(1000, &one);
    printf("%d\n", sched_setaffinity(0, sizeof one, &one) ? errno : 0);
}

static sem_t semaphore;
static int order[8], n_order;

static void *waits(void *priority)
{
    become(SCHED_FIFO, (int)(long)priority);
    while (sem_wait(&semaphore) != 0)
        ;
    order[__atomic_fetch_add(&n_order, 1, __ATOMIC_SEQ_CST)] = sched_getscheduler(0) ? (int)(long)priority : 0;
    return NULL;
}

BEHAVIOUR(say_who_is_woken_first)
{
    static const long priorities[] = {10, 30, 20};
    pthread_t t[3];
    for (int i = 0; i < 3; i++) {
        pthread_create(&t[i], NULL, waits, (void *)priorities[i]);
        sleep_ms(20);
    }
    for (int i = 0; i < 3; i++) {
        sem_post(&semaphore);
        sleep_ms(5);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    printf("%d %d %d\n", order[0], order[1], order[2]);
}

static volatile int done;

static void *sets_it(void *arg)
{
    compute(1000000);
    done = 1;
    return NULL;
}

/* Its own core natively; recorded there is one. */
BEHAVIOUR(starve_nobody)
{
    pthread_t t;
    pthread_create(&t, NULL, sets_it, NULL);
    int error = become(SCHED_FIFO, 50);
    while (!done)
        ;
    pthread_join(t, NULL);
    printf("%d\n", error);
}
