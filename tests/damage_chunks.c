/*
 * Damage that checksums do not see: change bytes inside of a trace's chunks and make the checksums right again.
 *
 *   urd_test_damage_chunks TRACE.URD OUT SEED          one to four changes in the content of random chunks
 *   urd_test_damage_chunks --boundaries TRACE.URD      where chunks end, one offset a line
 */
#include "base/buf.h"
#include "trace/format.h"
#include <stdio.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zstd.h>

static uint8_t *read_all(const char *path, size_t *ret_size)
{
    struct urd_buf b = {0};
    uint8_t part[65536];
    FILE *f = fopen(path, "re");
    for (size_t n; f && (n = fread(part, 1, sizeof part, f)) > 0;)
        urd_buf_put(&b, part, n);
    if (f)
        fclose(f);
    *ret_size = b.size;
    return b.data;
}

static uint64_t state;

static uint64_t rnd(uint64_t below)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (state >> 33) % (below ? below : 1);
}

static void change(uint8_t *raw, size_t size)
{
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    size_t at = rnd(size);
    switch (rnd(4)) {
    case 0: raw[at] ^= (uint8_t)(1 << rnd(8)); break;
    case 1: raw[at] = values[rnd(sizeof values)]; break;
    case 2: /* a varint that is as long as can be */
        for (unsigned i = 0; i < 9 && at + i < size; i++)
            raw[at + i] = 0xff;
        break;
    default: { /* a piece from elsewhere */
        size_t from = rnd(size), n = rnd(32);
        if (from + n <= size && at + n <= size)
            memmove(raw + at, raw + from, n);
    }
    }
}

static void put_chunk(FILE *out, struct urd_chunk_header h, const uint8_t *stored)
{
    XXH3_state_t *x = XXH3_createState();
    XXH3_64bits_reset(x);
    XXH3_64bits_update(x, &h, offsetof(struct urd_chunk_header, checksum));
    XXH3_64bits_update(x, stored, h.stored_bytes);
    h.checksum = XXH3_64bits_digest(x);
    XXH3_freeState(x);
    fwrite(&h, sizeof h, 1, out);
    fwrite(stored, 1, h.stored_bytes, out);
}

static void damage_chunk(FILE *out, struct urd_chunk_header h, const uint8_t *stored)
{
    uint8_t *raw = urd_xrealloc(NULL, h.raw_bytes + 1);
    size_t n = ZSTD_decompress(raw, h.raw_bytes, stored, h.stored_bytes);
    urd_check(n == h.raw_bytes, "the trace was damaged before");
    if (rnd(8) == 0)
        h.n_records += (uint32_t)rnd(3) - 1;
    else if (rnd(12) == 0)
        h.raw_bytes = (uint32_t)rnd(h.raw_bytes + 1);
    else
        for (uint64_t times = 1 + rnd(4); times; times--)
            change(raw, n);
    size_t bound = ZSTD_compressBound(n);
    uint8_t *packed = urd_xrealloc(NULL, bound);
    h.stored_bytes = (uint32_t)ZSTD_compress(packed, bound, raw, n, 1);
    put_chunk(out, h, packed);
    free(packed);
    free(raw);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    bool only_boundaries = strcmp(argv[1], "--boundaries") == 0;
    size_t size;
    uint8_t *data = read_all(argv[only_boundaries ? 2 : 1], &size);
    FILE *out = only_boundaries ? NULL : fopen(argv[2], "we");
    state = !only_boundaries && argc > 3 ? strtoull(argv[3], NULL, 0) * 7919 + 1 : 1;
    struct urd_chunk_header h;
    unsigned n_chunks = 0, k = 0;
    for (size_t at = 0; at + sizeof h <= size; at += sizeof h + h.stored_bytes, n_chunks++) {
        memcpy(&h, data + at, sizeof h);
        if (only_boundaries)
            printf("%zu\n", at);
    }
    uint64_t target = rnd(n_chunks);
    for (size_t at = 0; out && at + sizeof h <= size; at += sizeof h + h.stored_bytes, k++) {
        memcpy(&h, data + at, sizeof h);
        if (k == target)
            damage_chunk(out, h, data + at + sizeof h);
        else
            put_chunk(out, h, data + at + sizeof h);
    }
    if (out)
        fclose(out);
    free(data);
    return 0;
}
