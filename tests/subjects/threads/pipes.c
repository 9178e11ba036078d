/* Threads that talk through the kernel. */
#include "../behaviour.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static int in[2], out[2];

static void *doubles(void *arg)
{
    long n;
    while (read(in[0], &n, sizeof n) == sizeof n) {
        n *= 2;
        CHECK(write(out[1], &n, sizeof n) == sizeof n);
    }
    return arg;
}

BEHAVIOUR(workers_on_pipes)
{
    pthread_t t[4];
    CHECK(pipe(in) == 0 && pipe(out) == 0);
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, doubles, NULL);
    long sum = 0, n;
    for (long i = 0; i < 200; i++) {
        CHECK(write(in[1], &i, sizeof i) == sizeof i);
        CHECK(read(out[0], &n, sizeof n) == sizeof n);
        sum += n;
    }
    close(in[1]);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    printf("%ld\n", sum);
}

static void *fills(void *arg)
{
    char block[5000];
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 100; i++)
        CHECK(write(in[1], block, sizeof block) == sizeof block);
    close(in[1]);
    return arg;
}

BEHAVIOUR(a_full_pipe)
{
    pthread_t t;
    char block[777];
    long total = 0, n;
    CHECK(pipe(in) == 0);
    pthread_create(&t, NULL, fills, NULL);
    while ((n = read(in[0], block, sizeof block)) > 0)
        total += n;
    pthread_join(t, NULL);
    printf("%ld\n", total);
}

static int event;

static void *posts(void *arg)
{
    uint64_t one = 1;
    for (int i = 0; i < 50; i++)
        CHECK(write(event, &one, 8) == 8);
    return arg;
}

BEHAVIOUR(eventfd_and_epoll)
{
    pthread_t t[3];
    uint64_t total = 0, n;
    int ep = epoll_create1(0);
    event = eventfd(0, EFD_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = event};
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, event, &e) == 0);
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, posts, NULL);
    while (total < 150) {
        CHECK(epoll_wait(ep, &e, 1, 5000) == 1 && e.data.fd == event);
        if (read(event, &n, 8) == 8)
            total += n;
    }
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    printf("%lu\n", (unsigned long)total);
}

static void *waits_on_epoll(void *arg)
{
    struct epoll_event e;
    return (void *)(long)epoll_wait((int)(long)arg, &e, 1, 20);
}

BEHAVIOUR(many_wait_on_one_epoll)
{
    pthread_t t[4];
    int ep = epoll_create1(0);
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, waits_on_epoll, (void *)(long)ep);
    for (int i = 0; i < 4; i++) {
        void *got;
        pthread_join(t[i], &got);
        printf("%ld\n", (long)got);
    }
}

static void *closes(void *arg)
{
    sleep_ms(10);
    shutdown(in[0], SHUT_RDWR);
    return arg;
}

BEHAVIOUR(a_socket_shut_down_under_a_reader)
{
    pthread_t t;
    char c;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, in) == 0);
    pthread_create(&t, NULL, closes, NULL);
    printf("%ld\n", (long)recv(in[0], &c, 1, 0));
    pthread_join(t, NULL);
}

static char *ring;
static _Atomic long head, tail;

static void *produces(void *arg)
{
    for (long i = 0; i < 100000; i++) {
        while (head - tail == 1024)
            sched_yield();
        ring[head % 1024] = (char)i;
        head++;
    }
    return arg;
}

BEHAVIOUR(a_ring_without_locks) //$ ask calls produces
{
    pthread_t t;
    ring = malloc(1024);
    pthread_create(&t, NULL, produces, NULL);
    long sum = 0;
    for (long i = 0; i < 100000; i++) {
        while (tail == head)
            sched_yield();
        sum += ring[tail % 1024];
        tail++;
    }
    pthread_join(t, NULL);
    printf("%ld\n", sum);
}

static void *maps(void *arg)
{
    for (int i = 0; i < 50; i++) {
        char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(p != MAP_FAILED);
        memset(p, i, 65536);
        CHECK(mprotect(p, 4096, PROT_READ) == 0);
        CHECK(madvise(p + 4096, 8192, MADV_DONTNEED) == 0 && p[4096] == 0 && p[12288] == i);
        CHECK(munmap(p, 65536) == 0);
        free(memset(malloc((size_t)i * 1000), i, (size_t)i * 1000));
    }
    return arg;
}

BEHAVIOUR(memory_mapped_by_many)
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, maps, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    puts("mapped");
}
