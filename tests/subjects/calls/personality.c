/* Personalities. */
#include "call.h"
#include <sys/personality.h>
#include <sys/utsname.h>
int main(void)
{
    struct utsname u;
    SAY(personality(0xffffffff));
    SAY(personality(UNAME26 | ADDR_NO_RANDOMIZE));
    SAY(personality(0xffffffff));
    uname(&u);
    printf("%.4s\n", u.release);
    SAY(personality(PER_LINUX32));
    uname(&u);
    printf("%s\n", u.machine);
}
