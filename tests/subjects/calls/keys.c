/* Keys and keyrings. */
#include "call.h"
#include <linux/keyctl.h>
int main(void)
{
    long key = syscall(SYS_add_key, "user", "urd:test", "the payload", 11, KEY_SPEC_PROCESS_KEYRING);
    if (key < 0)
        SKIP("keys: %s", strerrorname_np(errno));
    char b[64];
    memset(b, '.', sizeof b);
    SAY(syscall(SYS_keyctl, KEYCTL_READ, key, b, 64));
    printf("%.20s\n", b);
    SAY(syscall(SYS_keyctl, KEYCTL_READ, key, b + 32, 4));
    printf("%.8s\n", b + 32);
    memset(b, '.', sizeof b);
    IS(syscall(SYS_keyctl, KEYCTL_DESCRIBE, key, b, 64) > 10);
    printf("%.5s\n", b);
    IS(syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_PROCESS_KEYRING, "user", "urd:test", 0) == key);
    IS(syscall(SYS_request_key, "user", "urd:test", NULL, 0) == key);
    memset(b, '.', sizeof b);
    SAY(syscall(SYS_keyctl, KEYCTL_CAPABILITIES, b, 2) > 0);
    IS(b[2] == '.');
    SAY(syscall(SYS_keyctl, KEYCTL_REVOKE, key));
    SAY(syscall(SYS_keyctl, KEYCTL_READ, key, b, 64));
}
