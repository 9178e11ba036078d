/* What urd refuses is refused in a way that programs know. Only what differs from a native run is not printed. */
#include "call.h"
int main(void)
{
    static const int numbers[] = {SYS_io_setup, 425, SYS_userfaultfd, SYS_pkey_alloc, SYS_bpf, SYS_perf_event_open, SYS_fanotify_init, 447, 453};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        printf("%d: no crash, %s\n", numbers[i], syscall(numbers[i], -1, -1, -1, -1, -1, -1) < 0 ? "an error" : "worked");
    SAY(syscall(999));
    SAY(syscall(600));
    SAY(syscall(-5));
    SAY(syscall(SYS_tuxcall));
}
