#include "record/tsc.h"
#include "base/log.h"
#include "base/tracee.h"
#include "record/fast.h"
#include "record/runtime/runtime.h"
#include <time.h>
#include <x86intrin.h>

enum {
    MEASURED_NS = 2000000, /* the readings' distance is known to some 50 ns: an error of 3e-5 */
    TRIES = 8,
};

static uint64_t raw_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/** Both at the same time: of some readings the one between whose ends the least went by. */
static void read_both(uint64_t *ret_ns, uint64_t *ret_tsc, uint32_t *ret_aux)
{
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t before = __rdtscp(ret_aux), ns = raw_ns(), took = __rdtscp(ret_aux) - before;
        if (took >= best)
            continue;
        best = took;
        *ret_ns = ns;
        *ret_tsc = before + took / 2;
    }
}

void tsc_begin(struct recorder *r)
{
    struct runtime_tsc *c = &r->fast_data->tsc;
    read_both(&c->ns, &c->value, &c->aux);
}

void tsc_measure(struct recorder *r)
{
    struct runtime_tsc *c = &r->fast_data->tsc;
    uint64_t ns = c->ns, tsc = c->value;
    if (c->per_ns)
        return;
    while (ns - c->ns < MEASURED_NS)
        read_both(&ns, &tsc, &c->aux);
    c->per_ns = (uint64_t)(((unsigned __int128)(tsc - c->value) << 32) / (ns - c->ns));
    urd_log(1, "the time stamp counter runs at %.1f MHz", (double)c->per_ns / 0x1p32 * 1000);
}

static bool is_prefix(uint8_t byte)
{
    return (byte & 0xf0) == 0x40 || byte == 0x66 || byte == 0x67 || byte == 0xf2 || byte == 0xf3 ||
           byte == 0x2e || byte == 0x36 || byte == 0x3e || byte == 0x26 || byte == 0x64 ||
           byte == 0x65;
}

urd_err *tsc_try(struct recorder *r, struct task *t, const struct user_regs_struct *at,
                 bool *ret_done)
{
    uint8_t bytes[16] = {0}, *code = bytes;
    urd_tracee_read(t->mem, at->rip, bytes, 15);
    while (code < bytes + 12 && is_prefix(*code)) /* they mean nothing */
        code++;
    enum urd_site kind = urd_site_kind(code);
    *ret_done = kind == URD_SITE_RDTSC || kind == URD_SITE_RDTSCP;
    if (!*ret_done)
        return NULL;
    tsc_measure(r);
    struct user_regs_struct after = *at;
    uint64_t value = runtime_tsc(&r->fast_data->tsc, raw_ns());
    after.rax = (uint32_t)value;
    after.rdx = value >> 32;
    if (kind == URD_SITE_RDTSCP)
        after.rcx = r->fast_data->tsc.aux;
    after.rip += (uint64_t)(code - bytes) + urd_site_bytes(kind);
    recorder_begin_insn(r, t, at)->after = after;
    URD_TRY(recorder_emit_insn(r, t));
    return code == bytes && t->mm->fast && !fast_another_runs(r, t)
               ? patch_traced(r, t, &after, at->rip)
               : NULL;
}
