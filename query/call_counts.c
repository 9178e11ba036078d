#include "query/call_counts.h"
#include "base/buf.h"
#include "record/record.h"
#include <sys/mman.h>
#include <xxhash.h>

enum { SITES_TOLD = 8 };

static void note_code(struct call_counts *c, const struct urd_event *e)
{
    for (uint32_t i = 0; i < e->n_map_ops; i++) {
        const struct urd_map_op *op = &e->map_ops[i];
        if (op->kind == URD_MAP_MAP && op->file && op->prot & PROT_EXEC)
            URD_PUSH(c->code, c->n_code, c->cap_code) =
                (struct call_code){op->start, op->size, op->offset, op->file};
    }
}

/** The file's code that was mapped there last; addresses of different processes are rarely the same. */
static const struct call_code *code_at(struct call_counts *c, uint64_t pc)
{
    if (c->last < c->n_code && pc - c->code[c->last].start < c->code[c->last].size)
        return &c->code[c->last];
    for (unsigned i = c->n_code; i-- > 0;)
        if (pc - c->code[i].start < c->code[i].size)
            return &c->code[c->last = i];
    return NULL;
}

static void add_site(struct call_counts *c, const struct urd_event *e)
{
    const struct call_code *code = code_at(c, e->before.rip);
    struct call_site site = {.offset = e->before.rip - 2, .number = e->syscall};
    if (code) {
        site.file = code->file;
        site.offset += code->offset - code->start;
    }
    uint64_t key[] = {site.file, site.offset, (uint64_t)site.number};
    uint64_t *known = urd_map_put(&c->by_key, XXH3_64bits(key, sizeof key));
    if (!*known) {
        URD_PUSH(c->sites, c->n_sites, c->cap_sites) = site;
        *known = c->n_sites;
    }
    c->sites[*known - 1].count++;
}

void call_counts_add(struct call_counts *c, const struct urd_event *e)
{
    note_code(c, e);
    if (e->kind == URD_EVENT_INSN && !e->signal) {
        c->insns++;
        c->insns_stopped += !(e->flags & URD_EVENT_FAST);
    }
    if (e->syscall < 0 || e->syscall >= 600 || e->kind == URD_EVENT_SYSCALL_EXIT)
        return;
    c->all[e->syscall]++;
    if (e->flags & URD_EVENT_FAST)
        return;
    c->stopped[e->syscall]++;
    if (e->kind != URD_EVENT_EXEC)
        add_site(c, e);
}

static json_t *by_name(const uint64_t counts[600])
{
    json_t *names = json_object();
    for (int k = 0; k < 600; k++)
        if (counts[k] && urd_record_syscall_name(k))
            json_object_set_new(names, urd_record_syscall_name(k),
                                json_integer((json_int_t)counts[k]));
    return names;
}

static int by_count(const void *a, const void *b)
{
    const struct call_site *x = a, *y = b;
    return x->count < y->count ? 1 : x->count > y->count ? -1 : 0;
}

static json_t *site_json(const struct call_site *s, const struct urd_trace *trace)
{
    const char *file = s->file ? urd_trace_file(trace, s->file - 1)->path : NULL;
    const char *name = urd_record_syscall_name(s->number);
    return json_pack("{s:s?, s:I, s:s?, s:I}", "file", file, "offset", (json_int_t)s->offset,
                     "syscall", name, "count", (json_int_t)s->count);
}

void call_counts_tell(struct call_counts *c, const struct urd_trace *trace, json_t *summary)
{
    uint64_t fast = 0;
    for (int k = 0; k < 600; k++)
        fast += c->all[k] - c->stopped[k];
    json_object_set_new(summary, "syscalls", by_name(c->all));
    json_object_set_new(summary, "fast", json_integer((json_int_t)fast));
    json_object_set_new(summary, "stopped", by_name(c->stopped));
    json_object_set_new(summary, "instructions_answered", json_integer((json_int_t)c->insns));
    json_object_set_new(summary, "instructions_stopped",
                        json_integer((json_int_t)c->insns_stopped));
    if (c->n_sites)
        qsort(c->sites, c->n_sites, sizeof *c->sites, by_count);
    json_t *sites = json_array();
    for (unsigned i = 0; i < c->n_sites && i < SITES_TOLD; i++)
        json_array_append_new(sites, site_json(&c->sites[i], trace));
    json_object_set_new(summary, "sites", sites);
}

void call_counts_deinit(struct call_counts *c)
{
    free(c->code);
    free(c->sites);
    urd_map_deinit(&c->by_key);
}
