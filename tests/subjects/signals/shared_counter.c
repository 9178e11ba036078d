/* Loops whose only progress is in memory that processes share, and a signal that comes from outside in the middle of them. Each prints how
 * often it went round: a replay that takes one round for another prints something else. */
//$ varies
#include "../behaviour.h"
#include <sys/shm.h>

static volatile sig_atomic_t over;

static void on_alarm(int signal)
{
    over = 1;
}

static void count_until_signalled(uint64_t *counter)
{
    signal(SIGALRM, on_alarm);
    ualarm(30000, 0);
    asm volatile("1: incq (%0); cmpl $0, %1; je 1b" : : "r"(counter), "m"(over) : "memory", "cc");
    printf("%llu\n", (unsigned long long)*counter);
}

BEHAVIOUR(without_a_file)
{
    count_until_signalled(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

BEHAVIOUR(in_a_segment)
{
    int id = shmget(IPC_PRIVATE, 4096, 0600);
    uint64_t *counter = shmat(id, NULL, 0);
    shmctl(id, IPC_RMID, NULL);
    count_until_signalled(counter);
}

BEHAVIOUR(in_a_file)
{
    int f = memfd_create("counter", 0);
    ftruncate(f, 4096);
    count_until_signalled(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0));
}

/** Neither registers nor what they point to tell how far it has come. */
BEHAVIOUR(far_from_the_registers)
{
    char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t *counter = (uint64_t *)(memory + 500000);
    signal(SIGALRM, on_alarm);
    ualarm(30000, 0);
    asm volatile("1: incq 500000(%0); cmpl $0, %1; je 1b" : : "r"(memory), "m"(over) : "memory", "cc");
    printf("%llu\n", (unsigned long long)*counter);
}
