/* Questions to a tree of processes: each has memory of its own, a vfork child has not. */
//$ build -O0
//$ build -O0 -static
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int value = 1;
int inherited;

static void child(int n)
{
    value = 100 + n; //! in_child
    printf("child %d\n", value);
    exit(n);
}

int main(void)
{
    inherited = 77; //! before_fork
    for (int i = 0; i < 3; i++) {
        fflush(stdout);
        if (fork() == 0)
            child(i);
        int status;
        wait(&status);
    }
    value = 2; //! in_parent
    //? blame value => line in_parent; old 1; new 2
    //? blame value --at in_parent#1 => nothing
    //? blame value --at in_child#3 => nothing
    //? print child '{n} {inherited}' => text[] 0 77 | 1 77 | 2 77
    //? lines {in_child} => rows 3
    //? sql "SELECT count(*) AS n FROM tasks" => n 4
    //? sql "SELECT text FROM outputs WHERE text LIKE 'child%' ORDER BY clock" => rows 3
    printf("parent %d\n", value);
    return 0;
}
