/* Every way to read memory: tests/index-oracle compares what each instruction read with what `urd index --reads` says. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint8_t a[4096 + 64] __attribute__((aligned(4096))), b[4096];
static uint64_t words[64];
static __thread uint64_t local = 7;
static uint64_t sum;

static void strings(void)
{
    uint8_t *s = a + 4000, *d = b + 100; /* over a page's end */
    uint64_t n = 150, x = 0;
    __asm__ volatile("rep movsb" : "+S"(s), "+D"(d), "+c"(n)::"memory");
    s = a + 800, d = b + 800, n = 20;
    __asm__ volatile("std; rep movsq; cld" : "+S"(s), "+D"(d), "+c"(n)::"memory");
    s = a, d = b, n = 50;
    __asm__ volatile("repe cmpsb" : "+S"(s), "+D"(d), "+c"(n)::"memory", "cc");
    s = a + 64, d = a + 64, n = 8;
    __asm__ volatile("repe cmpsl" : "+S"(s), "+D"(d), "+c"(n)::"memory", "cc");
    d = b + 3, n = 200;
    __asm__ volatile("repne scasb" : "+D"(d), "+c"(n) : "a"(77) : "memory", "cc");
    d = b + 900, n = 5;
    __asm__ volatile("std; repne scasw; cld" : "+D"(d), "+c"(n) : "a"(12345) : "memory", "cc");
    s = a + 7, n = 3;
    __asm__ volatile("rep lodsq" : "+S"(s), "+c"(n), "+a"(x)::"memory");
    s = a + 7, n = 0; /* nothing */
    __asm__ volatile("rep lodsl" : "+S"(s), "+c"(n), "+a"(x)::"memory");
    __asm__ volatile("lodsb; lodsw; lodsl; lodsq" : "+S"(s), "+a"(x)::"memory");
    d = b + 10;
    __asm__ volatile("movsb; movsw; movsl; movsq; cmpsb; cmpsq; scasl" : "+S"(s), "+D"(d) : "a"(x) : "memory", "cc");
    s = a, d = b, n = 3000;
    __asm__ volatile("rep movsb" : "+S"(s), "+D"(d), "+c"(n)::"memory");
    d = b, n = 100;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(1) : "memory"); /* reads nothing */
    sum += x;
}

static void stack(void)
{
    uint64_t x = 0;
    __asm__ volatile("sub $128, %%rsp; push %1; pop %0; push (%2); pop 8(%2); pushw 3(%2); popw 5(%2); pushfq; popfq;"
                     "push %%rbp; mov %%rsp, %%rbp; leave;"
                     "enter $16, $0; leave; add $128, %%rsp"
                     : "+r"(x) : "r"(sum), "r"(words) : "memory", "cc");
    __asm__ volatile("sub $128, %%rsp; lea 1f(%%rip), %%rax; mov %%rax, (%0); jmp *(%0); 1: lea 2f(%%rip), %%rax; mov %%rax, 8(%0);"
                     "call *8(%0); jmp 3f; 2: ret $0; 3: add $128, %%rsp"
                     :: "r"(words + 8) : "rax", "memory", "cc");
    __asm__ volatile("sub $128, %%rsp; pushq 16(%%rsp); popq 24(%%rsp); add $128, %%rsp" ::: "memory", "cc");
    sum += x;
}

static void changes(void)
{
    uint64_t x = 5, y = 3;
    __asm__ volatile("addq %1, (%2); incl 8(%2); xchg %0, 16(%2); lock xadd %0, 24(%2); notb 33(%2); cmpb $3, 34(%2); testl $1, 36(%2);"
                     "sbbw $1, 40(%2); shlq $3, 48(%2); cmpxchg %1, 56(%2); lock cmpxchg %1, 56(%2)"
                     : "+r"(x) : "r"(y), "r"(words + 16) : "rax", "memory", "cc");
    uint64_t lo = words[30], hi = words[31];
    __asm__ volatile("lock cmpxchg16b (%2)" : "+a"(lo), "+d"(hi) : "r"(words + 30), "b"(1), "c"(2) : "memory", "cc");
    int64_t bit = -77;
    __asm__ volatile("bt %0, (%1); bt %k0, (%1); btw %w0, (%1); bts %0, (%1); btr %k0, (%1); btq $5, 8(%1); lock btc %0, (%1)"
                     :: "r"(bit), "r"(words + 40) : "memory", "cc");
    bit = 200;
    __asm__ volatile("btq %0, (%1); btsw %w0, (%1)" :: "r"(bit), "r"(words + 40) : "memory", "cc");
    uint8_t al = 9;
    __asm__ volatile("xlatb" : "+a"(al) : "b"(a) : "memory");
    __asm__ volatile("movzbl 1(%1), %k0; movswq 2(%1), %0; movslq 4(%1), %0; movbe 8(%1), %0; imul $3, 16(%1), %0; cmovc 24(%1), %0;"
                     "nopl 32(%1); nopw 7(%1,%1); lea 8(%1), %0; prefetcht0 (%1); prefetchw 64(%1); crc32q 40(%1), %0; popcnt 8(%1), %0"
                     : "+r"(x) : "r"(a) : "memory", "cc");
    __asm__ volatile("movabs %1, %%rax; mov %%rax, %0" : "=r"(x) : "i"(words) : "rax", "memory");
    __asm__ volatile("movl (%%ecx), %k0" : "+r"(x) : "c"(words) : "memory"); /* a 32-bit address: linked low */
    sum += x + y + al + local + lo;
    local++;
}

static void vectors(void)
{
    long double big = 1.5L;
    short control = 0x37f;
    char image[512] __attribute__((aligned(64)));
    __asm__ volatile("movups 1(%0), %%xmm1; movaps 16(%0), %%xmm2; addps 32(%0), %%xmm1; movss 3(%0), %%xmm3; cvtsi2sdq 8(%0), %%xmm4;"
                     "movq 9(%0), %%mm0; paddb 16(%0), %%mm0; emms; movhps 5(%0), %%xmm1; pinsrw $2, 7(%0), %%xmm1; ucomisd 8(%0), %%xmm2;"
                     "ldmxcsr %1; pcmpistri $0, 48(%0), %%xmm1; mpsadbw $0, 64(%0), %%xmm2"
                     :: "r"(a), "m"((int){0x1f80}) : "memory", "ecx", "cc");
    __asm__ volatile("fldt %0; fstp %%st(0); fldl 8(%1); fadds 4(%1); fistpl 16(%1); fldcw %2; filds 3(%1); fstp %%st(0)"
                     :: "m"(big), "r"(words), "m"(control) : "memory");
    __asm__ volatile("fxsave (%0); fxrstor (%0)" :: "r"(image) : "memory");
    if (__builtin_cpu_supports("avx2")) {
        int64_t offsets[8] = {0, 8, -16, 24, 4000, 40, 48, 56};
        uint32_t some[8] = {~0u, 0, ~0u, ~0u, 0, 0, ~0u, 0};
        __asm__ volatile("vmovdqu (%0), %%ymm1; vmovdqu (%1), %%ymm2; vpgatherqq %%ymm2, 64(%2,%%ymm1), %%ymm3;"
                         "vmovdqu (%1), %%ymm2; vpgatherdd %%ymm2, 64(%2,%%ymm1,2), %%ymm3; vmovdqu (%1), %%xmm2;"
                         "vgatherqps %%xmm2, 64(%2,%%ymm1), %%xmm3; vmovdqu (%1), %%ymm2; vgatherdpd %%ymm2, 64(%2,%%xmm1,4), %%ymm4;"
                         "vmovdqu (%1), %%ymm2; vmaskmovps (%2), %%ymm2, %%ymm3; vpmaskmovq 32(%2), %%ymm2, %%ymm3;"
                         "vpaddd 5(%2), %%ymm1, %%ymm3; vbroadcastss 3(%2), %%ymm1; vpbroadcastb 9(%2), %%ymm1; vbroadcastf128 1(%2), %%ymm1;"
                         "vzeroupper"
                         :: "r"(offsets), "r"(some), "r"(a + 64) : "memory");
        __asm__ volatile("andn (%1), %0, %0; bextr %0, 8(%1), %0; pext 16(%1), %0, %0; rorx $3, 24(%1), %0; mulx 32(%1), %%rax, %%rcx"
                         : "+r"(sum) : "r"(a), "d"(3ul) : "rax", "rcx", "cc", "memory");
    }
    if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) {
        uint64_t offsets[8] = {0, 8, 16, 24, 32, 40, 48, 56};
        __asm__ volatile("mov $0x2d, %%eax; kmovd %%eax, %%k1; vmovdqu64 (%0), %%zmm1; vpgatherqq 8(%1,%%zmm1), %%zmm2%{%%k1%};"
                         "kmovd %%eax, %%k1; vpgatherdd (%1,%%ymm1,4), %%ymm2%{%%k1%}; kmovd %%eax, %%k1;"
                         "vmovdqu8 3(%1), %%zmm3%{%%k1%}; vpaddd 64(%1)%{1to16%}, %%zmm1, %%zmm4; vpcmpeqb 9(%1), %%ymm1, %%k2%{%%k1%};"
                         "vmovdqu32 128(%1), %%zmm5%{%%k1%}%{z%}; vpexpandd (%1), %%zmm5%{%%k1%}; vpternlogd $1, (%1), %%zmm1, %%zmm2;"
                         "kmovq 8(%1), %%k3; vpmovzxbd 1(%1), %%zmm2; vpmovqb %%zmm1, 512(%1); vpermq 64(%1)%{1to8%}, %%zmm1, %%zmm2; vzeroupper"
                         :: "r"(offsets), "r"(a) : "rax", "memory");
    }
}

int main(void)
{
    for (unsigned i = 0; i < sizeof a; i++)
        a[i] = b[i % sizeof b] = (uint8_t)(i * 7);
    for (int i = 0; i < 3; i++) {
        strings();
        stack();
        changes();
        vectors();
    }
    char copy[200];
    memcpy(copy, a, sizeof copy);
    sum += strlen((char *)a + 1) + (memchr(a, 3, 500) != NULL) + (uint64_t)memcmp(copy, a, 200);
    printf("%llu\n", (unsigned long long)(sum != 1));
    return 0;
}
