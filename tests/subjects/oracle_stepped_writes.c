/* Instructions that write memory and that the translator leaves to the tool: their writes are writes too. */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static uint8_t bytes[8192] __attribute__((aligned(64)));

__attribute__((target("avx512f,avx512vl"))) static void scatter(void)
{
    __m512i v = _mm512_set_epi32(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    __m512i index = _mm512_set_epi32(90, 3, 7, 7, 100, 40, 41, 42, 43, 5, 6, 500, 501, 900, 901, 20);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t mask = 0x9d2c5680f1e3a5b7ull >> (i * 8);
        _mm512_mask_i32scatter_epi32(bytes, (__mmask16)mask, index, v, 4);
        _mm512_mask_i32scatter_epi64(bytes, (__mmask8)mask, _mm512_castsi512_si256(index), v, 8);
        _mm512_mask_i64scatter_epi32(bytes, (__mmask8)mask, _mm512_srli_epi64(index, 32), _mm512_castsi512_si256(v), 1);
        _mm512_mask_i64scatter_epi64(bytes, (__mmask8)mask, _mm512_srli_epi64(index, 32), v, 2);
        _mm512_i32scatter_ps(bytes, index, (__m512)v, 4);
    }
    _mm256_zeroupper();
}

int main(void)
{
    __asm__ volatile("subq $1024, %%rsp\n enter $64, $1\n leave\n enter $8, $3\n leave\n"
                     "push %%fs\n addq $8, %%rsp\n addq $1024, %%rsp"
                     : : : "memory", "cc");
    void *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0), *to = low;
    uint64_t count = 0x100000009ull; /* 9: only ecx counts */
    if (low != MAP_FAILED) {
        __asm__ volatile("addr32 rep stosb" : "+D"(to), "+c"(count) : "a"(0x5a) : "memory");
        count = 5;
        __asm__ volatile("addr32 rep movsl" : "+D"(to), "+S"(low), "+c"(count) : : "memory");
    }
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
        scatter();
    printf("%d\n", bytes[360]);
    return 0;
}
