/* x87, SSE, AVX, AVX-512; their saved images; odd integer instructions. */
#include "../behaviour.h"

static unsigned char image[8192] __attribute__((aligned(64)));

static void hash(const void *data, size_t n)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ ((const unsigned char *)data)[i]) * 1099511628211u;
    printf("%016lx\n", (unsigned long)h);
}

BEHAVIOUR(x87)
{
    long double x = 0.1L;
    for (int i = 0; i < 1000; i++) {
        __asm__("fldt %0; fsin; fldpi; fmulp; fld1; faddp; fsqrt; fstpt %0" : "+m"(x));
    }
    unsigned short cw, sw;
    __asm__("fninit; fldz; fld1; fcom; fnstsw %0; fnstcw %1; fstp %%st(0); fstp %%st(0)" : "=m"(sw), "=m"(cw));
    printf("%.18Lg %x %x\n", x, sw, cw);
}

BEHAVIOUR(x87_environment) //$ varies
{
    unsigned char env[28], state[108];
    __asm__ volatile("fninit; fldpi; fld1; fnstenv %0; fnsave %1" : "=m"(env), "=m"(state));
    hash(env, 12); /* behind that the address of the last x87 instruction, which translation does not know */
    hash(state + 28, sizeof state - 28);
}

BEHAVIOUR(fxsave) //$ varies
{
    __asm__ volatile("fninit; fldpi; fxsave64 %0; fninit; fxrstor64 %0" : "+m"(image));
    hash(image + 32, 128); /* behind the addresses of instruction and operand */
}

BEHAVIOUR(xsave) //$ varies; cpu avx2
{
    /* all of it in use: of a part that may be in its initial state the image says so in one run, and not in the next */
    __asm__ volatile("fldpi; vpcmpeqd %%ymm0, %%ymm0, %%ymm0; xsave64 %0; xrstor64 %0; fstp %%st(0); vzeroupper"
                     : "+m"(image) : "a"(7), "d"(0) : "xmm0");
    printf("%lx\n", *(long *)(image + 512) & 6);
}

BEHAVIOUR(avx) //$ cpu avx2
{
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int gathered[8];
    for (int i = 0; i < 100; i++)
        __asm__ volatile("vmovups %0, %%ymm1; vaddps %%ymm1, %%ymm1, %%ymm2; vsqrtps %%ymm2, %%ymm2; vpermilps $0x1b, %%ymm2, %%ymm2; vmovups %%ymm2, %0; vzeroupper" : "+m"(x) : : "xmm1", "xmm2");
    static const int table[] = {10, 11, 12, 13, 14, 15, 16, 17}, index[] = {7, 6, 5, 4, 3, 2, 1, 0};
    __asm__ volatile("vmovdqu %1, %%ymm0; vpcmpeqd %%ymm2, %%ymm2, %%ymm2; vpgatherdd %%ymm2, (%2,%%ymm0,4), %%ymm1; vmovdqu %%ymm1, %0; vzeroupper"
                     : "=m"(gathered) : "m"(index), "r"(table) : "xmm0", "xmm1", "xmm2", "memory");
    hash(x, sizeof x);
    hash(gathered, sizeof gathered);
}

BEHAVIOUR(avx512) //$ cpu avx512f
{
    int x[16], y[16] = {0};
    for (int i = 0; i < 16; i++)
        x[i] = i * 3;
    __asm__ volatile("vmovdqu32 %1, %%zmm17; mov $0x5a5a, %%eax; kmovw %%eax, %%k3; vpaddd %%zmm17, %%zmm17, %%zmm18%{%%k3%}%{z%}; vmovdqu32 %%zmm18, %0;"
                     "vpscatterdd %%zmm17, (%2,%%zmm17,1)%{%%k3%}" : "+m"(y) : "m"(x), "r"(image) : "rax", "memory");
    hash(y, sizeof y);
    hash(image, 256);
    __asm__ volatile("vpcompressd %%zmm17, %0%{%%k3%}" : "+m"(y));
    hash(y, sizeof y);
}

BEHAVIOUR(masked_stores) //$ cpu avx2
{
    __asm__ volatile("vpcmpeqd %%ymm0, %%ymm0, %%ymm0; vpslldq $8, %%ymm0, %%ymm1; vpmaskmovd %%ymm0, %%ymm1, %0; maskmovdqu %%xmm1, %%xmm0; vzeroupper" : "=m"(image) : "D"(image + 512) : "xmm0", "xmm1", "memory");
    hash(image, 1024);
}

BEHAVIOUR(compare_and_exchange_16_bytes)
{
    static struct {
        uint64_t low, high;
    } x __attribute__((aligned(16))) = {1, 2};
    unsigned char swapped;
    uint64_t a = 1, d = 2;
    __asm__ volatile("lock cmpxchg16b %1; setz %0" : "=q"(swapped), "+m"(x), "+a"(a), "+d"(d) : "b"(7ul), "c"(8ul));
    printf("%d %lu %lu ", swapped, (unsigned long)x.low, (unsigned long)x.high);
    __asm__ volatile("lock cmpxchg16b %1; setz %0" : "=q"(swapped), "+m"(x), "+a"(a), "+d"(d) : "b"(9ul), "c"(9ul));
    printf("%d %lu %lu\n", swapped, (unsigned long)a, (unsigned long)d);
}

BEHAVIOUR(misaligned_atomics)
{
    unsigned char bytes[256] = {0};
    for (int i = 0; i < 130; i++)
        __asm__ volatile("lock addq $3, %0; lock btsl $5, %0; xchg %1, %0" : "+m"(*(uint32_t *)(bytes + i)), "+r"((uint32_t){0x01020304}) : : "cc");
    hash(bytes, sizeof bytes);
}

BEHAVIOUR(repetitions)
{
    static char a[20000], b[20000];
    for (int i = 0; i < 20000; i++)
        a[i] = (char)(i * 7);
    void *d = b, *s = a;
    size_t n = 19999;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
    d = b, n = 19999;
    __asm__ volatile("repne scasb" : "+D"(d), "+c"(n) : "a"(77) : "cc");
    printf("%ld ", (long)((char *)d - b));
    d = b, s = a, n = 20000, b[12345] ^= 1;
    __asm__ volatile("repe cmpsb" : "+D"(d), "+S"(s), "+c"(n) : : "cc");
    printf("%ld ", (long)((char *)d - b));
    d = b + 100, s = b + 99, n = 50;
    __asm__ volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(n) : : "memory", "cc");
    d = b, n = 0;
    __asm__ volatile("rep stosq" : "+D"(d), "+c"(n) : "a"(1) : "memory");
    hash(b, sizeof b);
}

BEHAVIOUR(segment_bases) //$ cpu fsgsbase
{
    static uint64_t block[2] = {11, 22};
    uint64_t fs, gs, got;
    __asm__ volatile("rdfsbase %0; rdgsbase %1" : "=r"(fs), "=r"(gs));
    printf("%d %lu ", fs == (uint64_t)pthread_self(), (unsigned long)gs);
    __asm__ volatile("wrfsbase %1; mov %%fs:8, %0; wrfsbase %2" : "=&r"(got) : "r"(block), "r"(fs));
    printf("%lu ", (unsigned long)got);
    __asm__ volatile("wrgsbase %1; mov %%gs:8, %0; wrgsbase %2" : "=&r"(got) : "r"(block), "r"(gs));
    printf("%lu ", (unsigned long)got);
    __asm__ volatile("wrgsbase %0" : : "r"(block));
    syscall(SYS_getppid);
    __asm__ volatile("rdgsbase %0" : "=r"(gs));
    printf("%d\n", gs == (uint64_t)block);
}

BEHAVIOUR(segment_base_by_call)
{
    static uint64_t block[2] = {11, 22};
    uint64_t got;
    CHECK(syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, block) == 0);
    __asm__ volatile("mov %%gs:8, %0" : "=r"(got));
    printf("%lu\n", (unsigned long)got);
}

BEHAVIOUR(flags_and_stack)
{
    uint64_t f;
    __asm__ volatile("std; pushfq; popq %0; cld" : "=r"(f));
    printf("%d ", (int)(f >> 10 & 1));
    __asm__ volatile("pushfq; orq $0x240cd5, (%%rsp); popfq; pushfq; popq %0; cld; pushfq; andq $~0x240000, (%%rsp); popfq" : "=r"(f) : : "cc");
    printf("%lx ", (unsigned long)(f & 0x240cd5));
    __asm__ volatile("enter $64, $3; leave; mov %%rsp, %0; pushq %%rsp; popq %%rcx; sub %%rcx, %0; lahf; sahf" : "=r"(f) : : "rcx", "rax", "cc");
    printf("%lx\n", (unsigned long)f);
}
