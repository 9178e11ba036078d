/* Questions about memory that processes share: the writer is another process, which has it at another address. */
//$ build -O0
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

static int *inherited, *file, *segment, *named, *late, *mapped_twice;
static int reads;

static int *map(int fd, int prot)
{
    int *p = mmap(NULL, 8192, prot, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? exit(9), NULL : p;
}

static void child(int fd, int id, int shm)
{
    mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int *w = map(fd, PROT_READ | PROT_WRITE), *s = shmat(id, NULL, 0), *n = map(shm, PROT_READ | PROT_WRITE);
    inherited[1] = 11; //! inherited_1
    w[1] = 22;         //! file_1
    s[1] = 33;         //! segment_1
    n[1] = 44;         //! named_1
    w[1025] = 55;      //! late_1025
    if (pwrite(fd, "abcd", 4, 8) != 4) //! by_call
        exit(8);
    inherited[1] = 12; //! inherited_2
    exit(0);
}

static void child_that_maps_nothing(int fd)
{
    munmap(file, 8192);
    if (pwrite(fd, "efgh", 4, 16) != 4)
        exit(8);
    exit(0);
}

int main(void)
{
    int fd = memfd_create("file", 0), id = shmget(IPC_PRIVATE, 8192, 0600);
    char name[40];
    snprintf(name, sizeof name, "/urd-ask-%d", getpid());
    int shm = shm_open(name, O_RDWR | O_CREAT, 0600);
    shm_unlink(name);
    if (ftruncate(fd, 8192) || ftruncate(shm, 8192))
        return 2;
    inherited = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    inherited[1] = 10; //! inherited_0
    file = map(fd, PROT_READ | PROT_WRITE);
    segment = shmat(id, NULL, 0);
    named = map(shm, PROT_READ);
    file[1] = 20; //! file_0
    if (fork() == 0)
        child(fd, id, shm);
    wait(NULL);
    if (fork() == 0)
        child_that_maps_nothing(fd);
    wait(NULL);
    late = map(fd, PROT_READ);
    mapped_twice = file;
    reads = inherited[1] + file[1] + segment[1] + named[1] + late[1025]; //! read
    mapped_twice[1] = 23; //! file_2
    shmctl(id, IPC_RMID, NULL);
    printf("%d\n", reads); //! end
    //? blame inherited[1] --at end#1 => line inherited_2; old 11; new 12
    //? blame inherited[1] --all --at end#1 => rows 3; new[] 12 | 11 | 10
    //? blame file[1] --at read#1 => line file_1; old 20; new 22
    //? blame file[1] --all --at end#1 => new[] 23 | 22 | 20
    //? blame late[1] --at end#1 => line file_2; new 23
    //? blame late[1] --at read#1 => line file_1; new 22
    //? blame late[1025] --at end#1 => line late_1025; old 0; new 55
    //? blame segment[1] --at end#1 => line segment_1; old 0; new 33
    //? blame named[1] --at end#1 => line named_1; old 0; new 44
    //? blame file[2] --at end#1 => syscall pwrite64; new 1684234849
    //? blame late[2] --all --at end#1 => rows 1; syscall pwrite64
    //? blame file[3] --at end#1 => nothing
    //? blame file[4] --all --at end#1 => rows 1; syscall pwrite64; new 1751606885
    //? eval inherited[1] --at read#1 => answer 12
    //? eval late[1025]+file[1] --at read#1 => answer 77
    //? eval named[1] --at file_0#1 => answer 0
    //? blame w[1] --at by_call#1 => line file_1; old 20; new 22
    //? blame w[1] --all --order asc --at by_call#1 => new[] 20 | 22
    return 0;
}
