/*
 * The single-step oracle of the index.
 *
 *   urd_test_index_oracle TRACE INDEX...
 *
 * Replays TRACE natively, one instruction at a time, works out from the manual what each one writes, and
 * compares with what each INDEX says: every step's address, every write's clock, address, size and value, none missing,
 * none extra; where the index has reads, which bytes each step read; the kernel's writes; events' clocks; calls that returned.
 */
#include "tests/oracle_run.h"
#include <stdio.h>

/* ---- runs ---- */

void run_deinit(struct run *r)
{
    free(r->pcs);
    free(r->intervals);
    free(r->writes);
    free(r->reads);
    free(r->calls);
    free(r->event_clocks);
    urd_buf_deinit(&r->values);
    urd_map_deinit(&r->code);
    *r = (struct run){0};
}

void run_add_write(struct run *r, struct run_write w, const void *value)
{
    const uint8_t *bytes = value;
    for (uint64_t left = w.size; left;) {
        uint64_t n = 4096 - (w.address & 4095) < left ? 4096 - (w.address & 4095) : left;
        w.size = (uint32_t)n;
        w.value = r->values.size;
        w.order = (uint32_t)r->n_writes;
        urd_buf_put(&r->values, bytes, n);
        URD_PUSH(r->writes, r->n_writes, r->cap_writes) = w;
        bytes += n;
        w.address += n;
        left -= n;
    }
}

void run_add_interval(struct run *r, int32_t tid, uint32_t space)
{
    struct run_interval *last = r->n_intervals ? &r->intervals[r->n_intervals - 1] : NULL;
    if (last && last->first == r->n_steps)
        r->n_intervals--; /* nothing ran in it */
    else if (last && last->tid == tid && last->space == space)
        return;
    last = r->n_intervals ? &r->intervals[r->n_intervals - 1] : NULL;
    if (last && last->tid == tid && last->space == space)
        return;
    URD_PUSH(r->intervals, r->n_intervals, r->cap_intervals) = (struct run_interval){r->n_steps, tid, space};
}

/* ---- comparing ---- */

static int problems;
static const struct run *now;

static const char *instruction_at(uint64_t clock)
{
    static char text[200], code[100];
    ZydisFormatter f;
    struct oracle_insn in;
    if (clock >= now->n_steps)
        return "at the end";
    uint64_t pc = now->pcs[clock], *bytes = urd_map_get(&now->code, pc);
    code[0] = 0;
    if (bytes) {
        oracle_decode(now->values.data + *bytes, 15, &in);
        ZydisFormatterInit(&f, ZYDIS_FORMATTER_STYLE_ATT);
        if (in.known)
            ZydisFormatterFormatInstruction(&f, &in.z, in.operands, in.z.operand_count_visible, code, sizeof code, pc, NULL);
    }
    snprintf(text, sizeof text, "clock %llu, %#llx: %s", (unsigned long long)clock, (unsigned long long)pc, code);
    return text;
}

#define PROBLEM(...)                                                                               \
    do {                                                                                           \
        if (++problems <= 20) {                                                                    \
            printf("  " __VA_ARGS__);                                                              \
            printf("\n");                                                                          \
        }                                                                                          \
    } while (0)

static void hex(const uint8_t *p, uint32_t size, char ret[70])
{
    uint32_t n = size < 32 ? size : 32;
    for (uint32_t i = 0; i < n; i++)
        snprintf(ret + i * 2, 3, "%02x", p[i]);
    ret[n * 2] = 0;
}

static void print_write(const char *who, const struct run *r, const struct run_write *w)
{
    char value[70];
    hex(r->values.data + w->value, w->size, value);
    PROBLEM("%s event %llu: only %s has a write of %u bytes at %#llx in space %u: %s", instruction_at(w->clock),
            (unsigned long long)w->event, who, w->size, (unsigned long long)w->address, w->space, value);
}

static int by_place(const void *a, const void *b)
{
    const struct run_write *x = a, *y = b;
#define BY(field)                                                                                  \
    if (x->field != y->field)                                                                      \
        return x->field < y->field ? -1 : 1
    BY(clock);
    BY(event);
    BY(space);
    BY(address);
    BY(order);
#undef BY
    return 0;
}

static bool same_write(const struct run *a, const struct run_write *x, const struct run *b, const struct run_write *y)
{
    return x->clock == y->clock && x->event == y->event && x->space == y->space && x->address == y->address &&
           x->size == y->size && memcmp(a->values.data + x->value, b->values.data + y->value, x->size) == 0;
}

static bool same_moment(const struct run_write *x, const struct run_write *y)
{
    return x->clock == y->clock && x->event == y->event && x->space == y->space;
}

static uint64_t group_end(const struct run *r, uint64_t i)
{
    uint64_t end = i;
    while (end < r->n_writes && same_moment(&r->writes[i], &r->writes[end]))
        end++;
    return end;
}

/** Bytes of a group, later writes over earlier ones: address -> value + 1 (0: not written). */
static int by_order(const void *a, const void *b)
{
    const struct run_write *x = a, *y = b;
    return x->order < y->order ? -1 : x->order > y->order;
}

struct byte {
    uint64_t address;
    uint8_t value;
    uint64_t order;
};

static int by_address(const void *a, const void *b)
{
    const struct byte *x = a, *y = b;
    if (x->address != y->address)
        return x->address < y->address ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static struct byte *group_bytes(const struct run *r, uint64_t from, uint64_t to, uint64_t *ret_n)
{
    uint64_t n = 0, at = 0;
    for (uint64_t i = from; i < to; i++)
        n += r->writes[i].size;
    struct byte *b = urd_xcalloc(n + 1, sizeof *b);
    struct run_write *w = urd_xcalloc(to - from + 1, sizeof *w);
    memcpy(w, r->writes + from, (to - from) * sizeof *w);
    qsort(w, to - from, sizeof *w, by_order);
    for (uint64_t i = 0; i < to - from; i++)
        for (uint32_t k = 0; k < w[i].size; k++, at++)
            b[at] = (struct byte){w[i].address + k, r->values.data[w[i].value + k], at};
    free(w);
    qsort(b, n, sizeof *b, by_address);
    uint64_t kept = 0;
    for (uint64_t i = 0; i < n; i++) {
        if (kept && b[kept - 1].address == b[i].address)
            b[kept - 1] = b[i];
        else
            b[kept++] = b[i];
    }
    *ret_n = kept;
    return b;
}

/** The fields for the last x87 instruction: known to differ under translation (translate/README.md). */
static bool is_x87_pointer(const struct run_write *anchor, uint64_t address)
{
    return anchor->x87_image && address >= anchor->address + 6 && address < anchor->address + 28;
}

/** xsave: what was in use (XSTATE_BV) may differ, then the rest does too (shared/FACTS.md: normalise). */
static bool other_state(const struct run_write *anchor, const struct byte *x, uint64_t na, const struct byte *y,
                        uint64_t nb)
{
    uint64_t i = 0, k = 0, at = anchor->address + 512;
    while (i < na && x[i].address < at)
        i++;
    while (k < nb && y[k].address < at)
        k++;
    return anchor->value > 512 && i < na && k < nb && x[i].value != y[k].value;
}

struct span { /* neighbouring bytes with the same problem make one line */
    const char *what;
    uint64_t first, end;
};

static void end_span(struct span *s, uint64_t clock)
{
    if (s->what)
        PROBLEM("%s: %s [%#llx, +%llu)", instruction_at(clock), s->what, (unsigned long long)s->first,
                (unsigned long long)(s->end - s->first));
    s->what = NULL;
}

static void add_to_span(struct span *s, const char *what, uint64_t address, uint64_t clock)
{
    if (s->what != what || s->end != address) {
        end_span(s, clock);
        *s = (struct span){what, address, address};
    }
    s->end = address + 1;
}

static void compare_bytes(const struct run *a, uint64_t a0, uint64_t a1, const struct run *b, uint64_t b0, uint64_t b1)
{
    static const char lacks[] = "the index lacks", extra[] = "only the index has", differs[] = "the index has other values at";
    const struct run_write *anchor = &a->writes[a0];
    bool area = anchor->rule == ORACLE_AREA;
    for (uint64_t i = a0; area && i < a1; i++)
        if (!a->writes[i].size)
            anchor = &a->writes[i];
    uint64_t na, nb, i = 0, k = 0;
    struct byte *x = group_bytes(a, a0, a1, &na), *y = group_bytes(b, b0, b1, &nb);
    if (area && other_state(anchor, x, na, y, nb))
        na = 0;
    struct span span = {0};
    while (i < na || k < nb) {
        bool only_a = k == nb || (i < na && x[i].address < y[k].address);
        bool only_b = !only_a && (i == na || y[k].address < x[i].address);
        uint64_t at = only_b ? y[k].address : x[i].address;
        const char *what = NULL;
        if (only_b)
            what = area && at >= anchor->address && at < anchor->address + anchor->value ? NULL : extra;
        else if (!is_x87_pointer(anchor, at))
            what = only_a ? lacks : x[i].value != y[k].value ? differs : NULL;
        if (what)
            add_to_span(&span, what, at, anchor->clock);
        i += !only_b;
        k += !only_a;
    }
    end_span(&span, anchor->clock);
    free(x);
    free(y);
}

static void compare_exactly(const struct run *a, uint64_t a0, uint64_t a1, const struct run *b, uint64_t b0, uint64_t b1)
{
    if (a1 - a0 == b1 - b0) {
        bool same = true;
        for (uint64_t i = 0; i < a1 - a0; i++)
            same &= same_write(a, &a->writes[a0 + i], b, &b->writes[b0 + i]);
        if (same)
            return;
    }
    if (a0 < a1 && a->writes[a0].x87_image) {
        compare_bytes(a, a0, a1, b, b0, b1);
        return;
    }
    for (uint64_t i = a0; i < a1; i++)
        print_write("the oracle", a, &a->writes[i]);
    for (uint64_t i = b0; i < b1; i++)
        print_write("the index", b, &b->writes[i]);
}

static int before(const struct run_write *x, const struct run_write *y)
{
    struct run_write a = *x, b = *y;
    a.address = b.address = a.order = b.order = 0;
    return by_place(&a, &b);
}

static void compare_writes(struct run *a, struct run *b)
{
    if (b->n_writes)
        qsort(b->writes, b->n_writes, sizeof *b->writes, by_place);
    uint64_t i = 0, k = 0;
    while (i < a->n_writes || k < b->n_writes) {
        uint64_t a1 = i < a->n_writes ? group_end(a, i) : i, b1 = k < b->n_writes ? group_end(b, k) : k;
        int order = i == a1 ? 1 : k == b1 ? -1 : before(&a->writes[i], &b->writes[k]);
        if (order < 0)
            b1 = k;
        else if (order > 0)
            a1 = i;
        if (i < a1 && a->writes[i].rule != ORACLE_EXACT)
            compare_bytes(a, i, a1, b, k, b1);
        else
            compare_exactly(a, i, a1, b, k, b1);
        i = a1;
        k = b1;
    }
}

/** Bytes that one clock reads, ascending, each once. Returns the place behind its reads. */
static uint64_t read_bytes(const struct run *r, uint64_t from, uint64_t **ret, uint64_t *ret_n, bool *ret_area)
{
    static uint64_t *buffers[2], capacities[2];
    unsigned which = r == now;
    uint64_t n = 0, i = from;
    for (; i < r->n_reads && r->reads[i].clock == r->reads[from].clock; i++) {
        const struct run_write *w = &r->reads[i];
        *ret_area |= w->rule == ORACLE_AREA;
        for (uint32_t k = 0; k < w->size; k++)
            URD_PUSH(buffers[which], n, capacities[which]) = w->address + k;
    }
    uint64_t *b = buffers[which], kept = 0;
    for (uint64_t k = 1; k < n; k++) /* nearly sorted */
        for (uint64_t m = k; m && b[m - 1] > b[m]; m--) {
            uint64_t t = b[m];
            b[m] = b[m - 1];
            b[m - 1] = t;
        }
    for (uint64_t k = 0; k < n; k++)
        if (!kept || b[kept - 1] != b[k])
            b[kept++] = b[k];
    *ret = b;
    *ret_n = kept;
    return i;
}

static void compare_reads(struct run *a, struct run *b)
{
    if (!b->has_reads)
        return;
    if (b->n_reads)
        qsort(b->reads, b->n_reads, sizeof *b->reads, by_place);
    uint64_t i = 0, k = 0;
    while (i < a->n_reads || k < b->n_reads) {
        uint64_t ca = i < a->n_reads ? a->reads[i].clock : UINT64_MAX,
                 cb = k < b->n_reads ? b->reads[k].clock : UINT64_MAX, clock = ca < cb ? ca : cb;
        uint64_t *x = NULL, *y = NULL, na = 0, nb = 0, none = 0;
        bool area = false, same_space = ca != cb || a->reads[i].space == b->reads[k].space;
        if (ca == clock)
            i = read_bytes(a, i, &x, &na, &area);
        if (cb == clock)
            k = read_bytes(b, k, &y, &nb, &area);
        if (!area && (na != nb || !same_space || memcmp(na ? x : &none, nb ? y : &none, na * sizeof *x) != 0))
            PROBLEM("%s: reads %llu bytes from %#llx, the index says %llu from %#llx", instruction_at(clock),
                    (unsigned long long)na, (unsigned long long)(na ? x[0] : 0), (unsigned long long)nb,
                    (unsigned long long)(nb ? y[0] : 0));
    }
}

static void compare_steps(const struct run *a, const struct run *b)
{
    if (a->n_steps != b->n_steps)
        PROBLEM("%llu steps, the index has %llu", (unsigned long long)a->n_steps, (unsigned long long)b->n_steps);
    for (uint64_t i = 0; i < a->n_steps && i < b->n_steps; i++)
        if (a->pcs[i] != b->pcs[i]) {
            PROBLEM("%s; the index says %#llx", instruction_at(i), (unsigned long long)b->pcs[i]);
            break;
        }
    for (uint64_t i = 0; i < a->n_intervals || i < b->n_intervals; i++)
        if (i >= a->n_intervals || i >= b->n_intervals || a->intervals[i].first != b->intervals[i].first ||
            a->intervals[i].tid != b->intervals[i].tid || a->intervals[i].space != b->intervals[i].space) {
            const struct run_interval none = {0}, *x = i < a->n_intervals ? &a->intervals[i] : &none,
                                      *y = i < b->n_intervals ? &b->intervals[i] : &none;
            PROBLEM("run %llu: task %d in space %u from clock %llu; the index says %d, %u, %llu", (unsigned long long)i,
                    x->tid, x->space, (unsigned long long)x->first, y->tid, y->space, (unsigned long long)y->first);
            break;
        }
    if (a->n_events != b->n_events)
        PROBLEM("%llu events, the index has %llu", (unsigned long long)a->n_events, (unsigned long long)b->n_events);
    for (uint64_t i = 0; i < a->n_events && i < b->n_events; i++)
        if (a->event_clocks[i] != b->event_clocks[i]) {
            PROBLEM("event %llu is at clock %llu, the index says %llu", (unsigned long long)i,
                    (unsigned long long)a->event_clocks[i], (unsigned long long)b->event_clocks[i]);
            break;
        }
}

static int by_end(const void *a, const void *b)
{
    const struct run_call *x = a, *y = b;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    if (x->tid != y->tid)
        return x->tid < y->tid ? -1 : 1;
    return x->site < y->site ? -1 : x->site > y->site;
}

/** Every call that returned is in the index; the index has others too (tail calls). */
static void compare_calls(struct run *a, struct run *b)
{
    if (b->n_calls)
        qsort(b->calls, b->n_calls, sizeof *b->calls, by_end);
    for (uint64_t i = 0; i < a->n_calls; i++)
        if (!b->n_calls || !bsearch(&a->calls[i], b->calls, b->n_calls, sizeof *b->calls, by_end))
            PROBLEM("the call at %#llx that ended at clock %llu is not in the index",
                    (unsigned long long)a->calls[i].site, (unsigned long long)a->calls[i].end);
}

static int report(urd_err *err)
{
    char *text = urd_err_text(err, true);
    printf("  %s\n", text);
    free(text);
    urd_err_free(err);
    return 1;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 3) {
        fprintf(stderr, "usage: urd_test_index_oracle TRACE INDEX...\n");
        return 2;
    }
    struct urd_trace *trace;
    struct run stepped = {0};
    urd_err *err = urd_trace_open(argv[1], &trace);
    if (!err)
        err = run_by_stepping(trace, &stepped);
    if (err)
        return report(err);
    now = &stepped;
    if (stepped.n_writes)
        qsort(stepped.writes, stepped.n_writes, sizeof *stepped.writes, by_place);
    printf("%s: %llu steps, %llu writes, %llu events, %llu calls\n", argv[1], (unsigned long long)stepped.n_steps,
           (unsigned long long)stepped.n_writes, (unsigned long long)stepped.n_events - 1,
           (unsigned long long)stepped.n_calls);
    int bad = 0;
    for (int i = 2; i < argc; i++) {
        struct run indexed = {0};
        problems = 0;
        err = run_from_index(argv[i], &indexed);
        if (err) {
            problems += report(err);
        } else {
            compare_steps(&stepped, &indexed);
            compare_writes(&stepped, &indexed);
            compare_reads(&stepped, &indexed);
            compare_calls(&stepped, &indexed);
        }
        printf("%s: %d problems, %llu blocks that follow, %llu reads\n", argv[i], problems,
               (unsigned long long)indexed.n_followed, (unsigned long long)indexed.n_reads);
        bad += problems != 0;
        run_deinit(&indexed);
    }
    run_deinit(&stepped);
    urd_trace_close(trace);
    return bad != 0;
}
