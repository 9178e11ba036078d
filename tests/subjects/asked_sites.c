/* Is there a jump where CPUID's number was loaded? Natively there is none. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

extern const uint8_t site[];

int main(void)
{
    uint32_t a, b, c, d;
    uint8_t code[7];
    __asm__ volatile(".globl site\nsite: mov $7, %%eax\ncpuid\n" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "2"(0));
    memcpy(code, site, sizeof code);
    printf("%s\n", code[5] != 0x0f || code[6] != 0xa2 ? "no CPUID" : code[0] == 0xe9 ? "a jump" : "a number");
    return 0;
}
