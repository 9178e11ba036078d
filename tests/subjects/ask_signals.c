/* Handlers: what they wrote, from where; how it ended. */
//$ build -O0
//$ status 134
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

volatile int seen;

static void on_signal(int signal)
{
    seen += signal; //! handles
    //? blame seen => line handles; old 10; new 20; function on_signal
    //? print on_signal '{signal}' => text[] 10 | 10
    //? stack --at handles#1 => row 1 function on_signal
}

int main(void)
{
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    kill(getpid(), SIGUSR1);
    printf("%d\n", seen);
    fflush(stdout);
    abort(); //! aborts
    //? lines {aborts} => rows 1
    //? sql "SELECT text FROM outputs" => rows 1; text /20\n/
    //? stack => row 1 function /.*(raise|abort|pthread_kill).*/
}
