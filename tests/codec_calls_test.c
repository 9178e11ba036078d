/* An event that is a call is the same bytes whether it is written as an event or as a call: for random ones, of several tasks,
 * with the chunk's end somewhere between. */
#include "trace/codec.h"
#include <errno.h>
#include <stdio.h>

enum { CALLS = 200000, TASKS = 3 };

static uint64_t state = 1;

static uint64_t random_word(void)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    uint64_t x = state >> 20;
    return x % 3 == 0 ? 0 : x % 3 == 1 ? x & 0xfff : x * x;
}

/** Mostly what the last call had. */
static void change(struct urd_runtime_frame *f)
{
    uint64_t *words = (uint64_t *)f;
    for (unsigned i = 0; i < sizeof *f / 8; i++)
        if (random_word() % 5 == 0)
            words[i] = random_word();
    f->rax %= 400;
}

static struct urd_event as_event(const struct urd_trace_call *k,
                                 const struct user_regs_struct *last)
{
    const struct urd_runtime_frame *f = k->regs;
    struct urd_event e = {.kind = URD_EVENT_SYSCALL,
                          .flags = URD_EVENT_RAN | URD_EVENT_FAST,
                          .pid = k->pid,
                          .tid = k->tid,
                          .time_ns = k->time_ns,
                          .syscall = (int32_t)f->rax,
                          .text = "",
                          .n_writes = k->n_writes,
                          .writes = (struct urd_mem_write *)k->writes,
                          .output = k->output,
                          .output_data = k->output_data,
                          .output_size = k->output_size,
                          .before = *last};
    struct user_regs_struct *b = &e.before;
    b->r15 = f->r15, b->r14 = f->r14, b->r13 = f->r13, b->r12 = f->r12, b->rbp = f->rbp;
    b->rbx = f->rbx, b->r10 = f->r10, b->r9 = f->r9, b->r8 = f->r8, b->rdx = f->rdx;
    b->rsi = f->rsi, b->rdi = f->rdi, b->orig_rax = f->rax, b->rsp = k->rsp;
    b->rax = (unsigned long long)-ENOSYS;
    b->r11 = b->eflags = f->flags;
    b->rcx = b->rip = f->rcx + 2;
    if (k->fs_base)
        b->fs_base = *k->fs_base, b->gs_base = *k->gs_base;
    e.after = e.before;
    e.after.rax = (unsigned long long)k->result;
    return e;
}

static void fill(struct urd_trace_call *k, const uint8_t *bytes, const uint64_t bases[2])
{
    bool has_bases = random_word() % 2;
    k->time_ns += random_word() & 0xffff;
    k->rsp = random_word();
    k->fs_base = has_bases ? &bases[0] : NULL;
    k->gs_base = has_bases ? &bases[1] : NULL;
    k->result = random_word() % 4 ? (int64_t)random_word() : -(int64_t)(random_word() % 45);
    k->n_writes = (uint32_t)(random_word() % (URD_TRACE_CALL_WRITES + 1));
    for (uint32_t i = 0; i < k->n_writes; i++)
        k->writes[i] = (struct urd_mem_write){random_word(), random_word() % 300, bytes + i};
    k->output = random_word() % 3;
    k->output_data = bytes + 100;
    k->output_size = random_word() % 300;
}

int main(void)
{
    struct urd_codec a = {0}, b = {0};
    struct urd_buf as_events = {0}, as_calls = {0};
    struct urd_runtime_frame frames[TASKS] = {0};
    struct user_regs_struct last[TASKS] = {0};
    uint8_t bytes[1000];
    uint64_t refused = 0;
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)random_word();
    struct urd_trace_call k = {0};
    for (unsigned i = 0; i < TASKS; i++)
        last[i].cs = 0x33, last[i].ss = 0x2b;
    for (unsigned n = 0; n < CALLS; n++) {
        unsigned task = random_word() % TASKS;
        uint64_t bases[2] = {random_word(), random_word()};
        change(&frames[task]);
        fill(&k, bytes, bases);
        k.pid = 1000, k.tid = 1000 + (int32_t)task, k.regs = &frames[task];
        struct urd_event e = as_event(&k, &last[task]);
        urd_codec_encode(&a, &e, &as_events);
        if (!urd_codec_encode_call(&b, &k, &as_calls)) {
            refused++;
            urd_codec_encode(&b, &e, &as_calls);
        }
        last[task] = e.after;
        if (as_events.size != as_calls.size ||
            memcmp(as_events.data, as_calls.data, as_events.size) != 0) {
            printf("call %u: the bytes differ\n", n);
            return 1;
        }
        if (as_events.size > 100000) {
            as_events.size = as_calls.size = 0;
            urd_codec_reset(&a);
            urd_codec_reset(&b);
        }
    }
    urd_codec_deinit(&a);
    urd_codec_deinit(&b);
    urd_buf_deinit(&as_events);
    urd_buf_deinit(&as_calls);
    printf("%d calls, %llu of them the first of their task in a chunk\n", CALLS,
           (unsigned long long)refused);
    return refused < TASKS;
}
