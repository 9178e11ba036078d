/* Every way of writing memory that the compiler or the hand finds: a subject of the single-step oracle. */
#include <cpuid.h>
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t cells[64] __attribute__((aligned(64)));
static uint8_t bytes[8192] __attribute__((aligned(64)));
static uint8_t other[8192] __attribute__((aligned(64)));

static void exchanges(void)
{
    uint64_t value = 5, expected;
    uint32_t narrow = 7;
    for (int i = 0; i < 8; i++) {
        __asm__ volatile("xchg %0, %1" : "+r"(value), "+m"(cells[i]));
        __asm__ volatile("lock xadd %0, %1" : "+r"(value), "+m"(cells[i + 1]));
        expected = i & 1 ? cells[i] : cells[i] + 1; /* succeeds, fails */
        __asm__ volatile("lock cmpxchg %2, %1" : "+a"(expected), "+m"(cells[i]) : "r"(value + 3) : "cc");
        __asm__ volatile("cmpxchg %k2, %1" : "+a"(narrow), "+m"(*(uint32_t *)&cells[i]) : "r"(narrow) : "cc");
        __asm__ volatile("cmpxchg %b2, %1" : "+a"(narrow), "+m"(*(uint8_t *)&cells[i]) : "q"(narrow) : "cc");
        uint64_t low = i & 2 ? cells[10] : 1, high = cells[11];
        __asm__ volatile("lock cmpxchg16b %2" : "+a"(low), "+d"(high), "+m"(*(__int128 *)&cells[10])
                         : "b"(low + 1), "c"(high + 2) : "cc");
        uint32_t l = (uint32_t)cells[12], h = i & 1 ? 99 : (uint32_t)(cells[12] >> 32);
        __asm__ volatile("cmpxchg8b %2" : "+a"(l), "+d"(h), "+m"(cells[12]) : "b"(i), "c"(i) : "cc");
    }
}

static void bits_and_flags(void)
{
    for (int64_t bit = -700; bit < 700; bit += 37) {
        uint8_t set;
        __asm__ volatile("btsq %1, %0" : "+m"(cells[32]) : "r"(bit) : "cc", "memory");
        __asm__ volatile("lock btrl %k1, %0" : "+m"(cells[32]) : "r"(bit) : "cc", "memory");
        __asm__ volatile("btcw %w1, %0" : "+m"(cells[32]) : "r"(bit) : "cc", "memory");
        __asm__ volatile("btsq $63, %0" : "+m"(cells[31]) : : "cc");
        __asm__ volatile("setc %0" : "=m"(set) : : "memory");
        bytes[bit & 1023] = set;
    }
    __asm__ volatile("incb %0; negw %1; notl %2; shlq $3, %3; rolq %%cl, %3; sarb %0; adcq $1, %3; sbbl $5, %2"
                     : "+m"(bytes[1]), "+m"(*(uint16_t *)(bytes + 2)), "+m"(*(uint32_t *)(bytes + 4)), "+m"(cells[3])
                     : "c"(5) : "cc");
    __asm__ volatile("shldq $7, %1, %0; shrdl %%cl, %k1, %0" : "+m"(cells[5]) : "r"(0x1234567890abcdefull), "c"(9) : "cc");
    __asm__ volatile("shlq %%cl, %0" : "+m"(cells[6]) : "c"(0) : "cc"); /* by nothing: written all the same */
    __asm__ volatile("movnti %1, %0" : "=m"(cells[7]) : "r"(77ull));
    __asm__ volatile("movbe %1, %0" : "=m"(cells[8]) : "r"(0x0102030405060708ull));
}

static void stack_operations(void)
{
    uint64_t a = 1, b = 2;
    __asm__ volatile("subq $256, %%rsp\n"
                     "pushq %0\n popq %1\n"
                     "pushq %1\n popq (%%rsp)\n"
                     "pushq 8(%%rsp)\n popq 16(%%rsp)\n"
                     "pushw $7\n popw %%cx\n"
                     "pushq $-3\n addq $8, %%rsp\n"
                     "pushfq\n popfq\n"
                     "pushw %%ax\n popw 4(%%rsp)\n"
                     "enter $48, $0\n leave\n"
                     "addq $256, %%rsp"
                     : "+m"(a), "+m"(b) : : "rcx", "memory", "cc");
    __asm__ volatile("subq $256, %%rsp\n leaq 1f(%%rip), %%rax\n call *%%rax\n jmp 2f\n"
                     "1: pushq %%rax\n leaq 3f(%%rip), %%rax\n xchgq %%rax, (%%rsp)\n ret\n3: ret $0\n2: addq $256, %%rsp"
                     : : : "rax", "memory", "cc");
}

static void strings(void)
{
    for (unsigned n = 0; n < 70; n += 1 + n / 5) {
        void *to = bytes + n, *from = other + 3;
        uint64_t count = n;
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        count = n / 2;
        __asm__ volatile("rep stosw" : "+D"(to), "+c"(count) : "a"(n * 257) : "memory");
        count = n;
        __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        to = bytes + 4090 - n; /* over a page's end */
        count = n;
        __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(0x1111111111111111ull * n) : "memory");
        to = bytes + 5000, from = other + 5000;
        count = n;
        __asm__ volatile("std; rep movsq; cld" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        to = bytes + 300, from = bytes + 301; /* overlapping */
        count = n;
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        __asm__ volatile("movsb; movsw; movsl; movsq; stosb; stosw; stosl; stosq"
                         : "+D"(to), "+S"(from) : "a"(n) : "memory");
        count = n + 1;
        to = bytes;
        __asm__ volatile("repne scasb" : "+D"(to), "+c"(count) : "a"(n) : "memory", "cc");
        count = n + 1;
        to = bytes, from = other;
        __asm__ volatile("repe cmpsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory", "cc");
    }
    uint64_t many = 6000;
    void *to = bytes + 17;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(many) : "a"(0x42) : "memory");
}

static void library(void)
{
    for (size_t n = 0; n < 3000; n += 1 + n / 3) {
        memset(bytes + n % 13, (int)n, n);
        memcpy(bytes + n % 7, other, n);
        memmove(bytes + 1, bytes, n);
        memmove(bytes, bytes + 5, n);
    }
    char text[200];
    snprintf(text, sizeof text, "%d %s %.12g %p", 42, "answer", 3.14159, (void *)0x1234);
    strncpy((char *)bytes, text, 64);
    void *heap[40];
    for (int i = 0; i < 40; i++) {
        heap[i] = calloc(1, (size_t)(i * 37 + 1));
        if (i % 3 == 0)
            heap[i] = realloc(heap[i], (size_t)i * 100 + 7);
    }
    for (int i = 0; i < 40; i++)
        free(heap[i]);
}

static void floating_point(void)
{
    static struct { double d; float f; long double l; int16_t w; int32_t i; int64_t q; uint8_t bcd[10]; uint16_t cw, sw; uint32_t mxcsr; } x;
    static uint8_t env[512] __attribute__((aligned(64)));
    double value = 2.75;
    __asm__ volatile("fldl %8; fstl %0; fsts %1; fists %3; fistl %4; fld %%st(0); fstpt %2; fld %%st(0); fistpll %5;"
                     "fld %%st(0); fisttpl %4; fld %%st(0); fbstp %6; fstpl %0; fnstcw %7"
                     : "=m"(x.d), "=m"(x.f), "=m"(x.l), "=m"(x.w), "=m"(x.i), "=m"(x.q), "=m"(x.bcd), "=m"(x.cw)
                     : "m"(value));
    __asm__ volatile("fnstsw %0; stmxcsr %1; fnstenv %2; fldenv %2" : "=m"(x.sw), "=m"(x.mxcsr), "=m"(env));
    __asm__ volatile("fnsave %0; frstor %0" : "+m"(env));
    __asm__ volatile("fxsave64 %0" : "=m"(env));
}

static void sse(void)
{
    __m128i v = _mm_set_epi64x(0x8080ff0012345678, 0x80007f0055aa00ff), w = _mm_set1_epi8(3);
    _mm_store_si128((__m128i *)bytes, v);
    _mm_storeu_si128((__m128i *)(bytes + 4096 - 5), v);
    _mm_storel_epi64((__m128i *)(bytes + 40), v);
    _mm_storeh_pd((double *)(bytes + 48), (__m128d)v);
    _mm_storel_pd((double *)(bytes + 56), (__m128d)v);
    _mm_stream_si128((__m128i *)(bytes + 64), w);
    _mm_maskmoveu_si128(w, v, (char *)bytes + 81);
    _mm_store_ss((float *)(bytes + 100), (__m128)v);
    _mm_store_sd((double *)(bytes + 104), (__m128d)v);
    __asm__ volatile("movd %1, %0" : "=m"(*(int *)(bytes + 112)) : "x"(v));
    __asm__ volatile("movmskpd %1, %%eax; movntpd %1, %0" : "=m"(*(__m128d *)(bytes + 128)) : "x"(v) : "eax");
    __asm__ volatile("movq2dq %%mm0, %%xmm1; movq %%mm0, %0; maskmovq %%mm1, %%mm0; movntq %%mm0, %0; emms"
                     : "=m"(cells[20]) : "D"(bytes + 200) : "xmm1", "memory");
}

__attribute__((target("sse4.1"))) static void sse4(void)
{
    __m128i v = _mm_set_epi32(1, -2, 3, -4);
    bytes[300] = (uint8_t)_mm_extract_epi8(v, 3);
    __asm__ volatile("pextrb $5, %2, %0; pextrq $1, %2, %1" : "=m"(bytes[301]), "=m"(cells[21]) : "x"(v));
    __asm__ volatile("pextrw $2, %1, %0" : "=m"(*(uint16_t *)(bytes + 304)) : "x"(v));
    __asm__ volatile("extractps $1, %1, %0" : "=m"(*(int *)(bytes + 308)) : "x"(v));
}

__attribute__((target("avx2,f16c"))) static void avx2(void)
{
    __m256i v = _mm256_set_epi32(1, -2, 3, -4, -5, 6, -7, 8), none = _mm256_setzero_si256();
    _mm256_storeu_si256((__m256i *)(bytes + 4096 - 11), v);
    _mm256_store_si256((__m256i *)bytes, v);
    _mm256_stream_si256((__m256i *)(bytes + 32), v);
    _mm256_maskstore_epi32((int *)(bytes + 67), v, v);
    _mm256_maskstore_epi64((long long *)(bytes + 100), v, v);
    _mm256_maskstore_ps((float *)(bytes + 4096 - 13), v, (__m256)v);
    _mm256_maskstore_pd((double *)(bytes + 160), v, (__m256d)v);
    _mm256_maskstore_epi32((int *)(bytes + 200), none, v); /* nothing */
    _mm_maskstore_epi32((int *)(bytes + 203), _mm256_castsi256_si128(v), _mm256_castsi256_si128(v));
    _mm_maskstore_pd((double *)(bytes + 230), _mm256_castsi256_si128(v), (__m128d)_mm256_castsi256_si128(v));
    _mm_storeu_si128((__m128i *)(bytes + 250), _mm256_extracti128_si256(v, 1));
    __asm__ volatile("vextracti128 $1, %1, %0" : "=m"(*(__m128i *)(bytes + 288)) : "x"(v));
    __asm__ volatile("vcvtps2ph $0, %t1, %0" : "=m"(*(__m128i *)(bytes + 320)) : "x"(v));
    _mm256_zeroupper();
}

__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq"))) static void avx512(void)
{
    __m512i v = _mm512_set_epi32(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t mask = 0x9d2c5680f1e3a5b7ull >> (i * 8);
        uint8_t *to = bytes + 4096 - 30 + i;
        _mm512_mask_storeu_epi8(to, mask, v);
        _mm512_mask_storeu_epi16(to + 64, (__mmask32)mask, v);
        _mm512_mask_storeu_epi32(to + 9, (__mmask16)mask, v);
        _mm512_mask_storeu_epi64(to, (__mmask8)mask, v);
        _mm512_mask_storeu_epi8(to, 0, v); /* nothing */
        _mm256_mask_storeu_epi8(to + 200, (__mmask32)mask, _mm512_castsi512_si256(v));
        _mm_mask_storeu_epi32(to + 300, (__mmask8)mask, _mm512_castsi512_si128(v));
        _mm_mask_store_ss((float *)(to + 320), (__mmask8)mask, (__m128)_mm512_castsi512_si128(v));
        _mm512_mask_compressstoreu_epi32(to + 400, (__mmask16)mask, v);
        _mm512_mask_compressstoreu_pd(to + 500, (__mmask8)mask, (__m512d)v);
        _mm512_mask_cvtepi32_storeu_epi8(to + 600, (__mmask16)mask, v);
        _mm512_mask_cvtusepi64_storeu_epi16(to + 620, (__mmask8)mask, v);
    }
    _mm512_storeu_si512(bytes + 4096 - 33, v);
    _mm512_stream_si512((__m512i *)bytes, v);
    __asm__ volatile("vextracti32x4 $2, %1, %0" : "=m"(*(__m128i *)(bytes + 700)) : "v"(v));
    __asm__ volatile("vmovdqu64 %1, %0" : "=m"(*(__m512i *)(bytes + 801)) : "v"(v));
    __asm__ volatile("kmovq %%rax, %%k1; kmovq %%k1, %0" : "=m"(cells[22]) : "a"(0x123456789ull) : "k1");
    _mm256_zeroupper();
}

static void save_state(void)
{
    static uint8_t area[16384] __attribute__((aligned(64)));
    unsigned a, b, c, d;
    __cpuid(1, a, b, c, d);
    if (!(c & bit_OSXSAVE))
        return;
    __asm__ volatile("xsave64 %0" : "+m"(area) : "a"(7), "d"(0));
    __asm__ volatile("xsavec64 %0" : "+m"(area) : "a"(0xe6), "d"(0));
    __asm__ volatile("xsaveopt %0" : "+m"(area) : "a"(2), "d"(0));
}

static unsigned recursion(unsigned n)
{
    volatile unsigned local = n;
    return n < 2 ? local : recursion(n - 1) + recursion(n - 2);
}

int main(void)
{
    for (size_t i = 0; i < sizeof other; i++)
        other[i] = (uint8_t)(i * 7);
    exchanges();
    bits_and_flags();
    stack_operations();
    strings();
    library();
    floating_point();
    sse();
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.1"))
        sse4();
    if (__builtin_cpu_supports("avx2"))
        avx2();
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        avx512();
    save_state();
    uint64_t sum = recursion(10);
    for (size_t i = 0; i < 64; i++)
        sum = sum * 31 + cells[i];
    for (size_t i = 0; i < sizeof bytes; i++)
        sum = sum * 31 + bytes[i];
    printf("%llx\n", (unsigned long long)sum);
    return 0;
}
