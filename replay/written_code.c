#include "replay/written_code.h"
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define PAGE         4096u
#define PAGE_DOWN(x) ((x) & ~(uint64_t)(PAGE - 1))

/* task_run.pages: PROT_... of the subject, and */
enum {
    GUARDED = 8, /* the process has not got PROT_WRITE there at the moment */
    SHARED = 16, /* other mappings may show the page */
    KNOWN = 32,  /* it is in the runner's shared_code */
};

/* ---- rights ---- */

/** What rights does the subject have in the page? 0 when there is none. With SHARED. */
static uint64_t rights_at(struct task_run *tr, struct urd_process *p, uint64_t page)
{
    struct urd_map_line m;
    if (page >= tr->readonly_start && page < tr->readonly_end)
        return tr->readonly_prot; /* most code: not to be looked up page by page */
    if (!urd_tracee_find_map(p->pid, page, &m))
        return 0;
    if (m.shared && m.inode)
        return m.prot | SHARED;
    if (!(m.prot & PROT_WRITE)) {
        tr->readonly_start = m.start;
        tr->readonly_end = m.end;
        tr->readonly_prot = m.prot;
    }
    return m.prot;
}

static urd_err *protect(struct urd_process *p, uint64_t page, uint64_t prot)
{
    int64_t result;
    return urd_process_call(p, &result, SYS_mprotect, page, PAGE, prot & 7, 0, 0, 0);
}

static urd_err *take_right(struct urd_process *p, uint64_t page, uint64_t rights)
{
    struct task_run *tr = p->user;
    *urd_map_put(&tr->pages, page) = rights | GUARDED;
    return protect(p, page, rights & ~(uint64_t)PROT_WRITE);
}

static urd_err *give_right(struct urd_process *p, uint64_t page)
{
    struct task_run *tr = p->user;
    uint64_t *known = urd_map_get(&tr->pages, page), rights = known ? *known : 0;
    if (!known)
        return NULL;
    urd_map_remove(&tr->pages, page);
    tr->readonly_start = tr->readonly_end = 0; /* it may be one mapping with its neighbours now */
    return rights & GUARDED ? protect(p, page, rights) : NULL;
}

/** The blocks that have a byte there are void, for this process. */
static urd_err *forget(struct urd_runner *r, struct urd_process *p, uint64_t start, uint64_t size)
{
    struct task_run *tr = p->user;
    if (!urd_translate_has(tr->space->id.translator, start, size))
        return NULL;
    if (tr->space->refs > 1)
        return urd_runner_own_space(r, p);
    urd_translate_invalidate(tr->space->id.translator, start, size);
    return NULL;
}

/* ---- memory that several mappings show ---- */

static struct shared_page page_of_line(const struct urd_map_line *m, uint64_t address)
{
    return (struct shared_page){m->dev_major, m->dev_minor, m->inode,
                                m->offset + (address - m->start)};
}

/** Where a line shows the page, 0: it does not. */
static uint64_t shown_at(const struct urd_map_line *m, const struct shared_page *page)
{
    bool shows = m->shared && m->inode == page->inode && m->dev_major == page->dev_major &&
                 m->dev_minor == page->dev_minor && page->offset >= m->offset &&
                 page->offset - m->offset < m->end - m->start;
    return shows ? m->start + (page->offset - m->offset) : 0;
}

struct shown {
    uint64_t address;
    uint8_t prot;
};

/** Everywhere that the process shows the page; how many. Free *ret. */
static unsigned find_shown(struct urd_process *p, const struct shared_page *page,
                           struct shown **ret)
{
    struct urd_map_line m;
    unsigned n = 0, cap = 0;
    *ret = NULL;
    FILE *maps = urd_tracee_open_maps(p->pid);
    while (maps && urd_tracee_next_map(maps, &m)) {
        uint64_t at = shown_at(&m, page);
        if (at)
            URD_PUSH(*ret, n, cap) = (struct shown){at, m.prot};
    }
    if (maps)
        fclose(maps);
    return n;
}

static urd_err *guard_shown(struct urd_process *p, const struct shared_page *page)
{
    URD_AUTO_FREE struct shown *all = NULL;
    unsigned n = find_shown(p, page, &all);
    for (unsigned i = 0; i < n; i++)
        if (all[i].prot & PROT_WRITE)
            URD_TRY(take_right(p, all[i].address, all[i].prot | SHARED));
    return NULL;
}

/** The page at this address gives code: no mapping of it in any process may be written unnoticed. */
static urd_err *guard_everywhere(struct urd_runner *r, struct urd_process *p, uint64_t address)
{
    struct urd_map_line m;
    if (!urd_tracee_find_map(p->pid, address, &m))
        return NULL;
    struct shared_page page = page_of_line(&m, address);
    URD_PUSH(r->shared_code, r->n_shared_code, r->cap_shared_code) = page;
    for (uint32_t i = 0; i < r->session->n_tasks; i++) {
        struct urd_process *other = urd_runner_process(r->session, i);
        if (other && other->user)
            URD_TRY(guard_shown(other, &page));
    }
    *urd_map_put(&((struct task_run *)p->user)->pages, address) |= KNOWN;
    return NULL;
}

urd_err *urd_written_guard_known(struct urd_runner *r, struct urd_process *p)
{
    for (unsigned i = 0; i < r->n_shared_code; i++)
        URD_TRY(guard_shown(p, &r->shared_code[i]));
    return NULL;
}

static urd_err *release_shown(struct urd_runner *r, struct urd_process *p,
                              const struct shared_page *page)
{
    URD_AUTO_FREE struct shown *all = NULL;
    unsigned n = find_shown(p, page, &all);
    for (unsigned i = 0; i < n; i++) {
        URD_TRY(give_right(p, all[i].address));
        URD_TRY(forget(r, p, all[i].address, PAGE));
    }
    return NULL;
}

static urd_err *release_everywhere(struct urd_runner *r, const struct shared_page *page)
{
    for (uint32_t i = 0; i < r->session->n_tasks; i++) {
        struct urd_process *p = urd_runner_process(r->session, i);
        if (p && p->user)
            URD_TRY(release_shown(r, p, page));
    }
    return NULL;
}

static urd_err *release_shared(struct urd_runner *r, struct urd_process *p, uint64_t address)
{
    struct urd_map_line m;
    if (!urd_tracee_find_map(p->pid, address, &m))
        return NULL;
    struct shared_page page = page_of_line(&m, address);
    for (unsigned i = 0; i < r->n_shared_code; i++)
        if (memcmp(&r->shared_code[i], &page, sizeof page) == 0)
            r->shared_code[i--] = r->shared_code[--r->n_shared_code];
    return release_everywhere(r, &page);
}

static urd_err *release_all_shared(struct urd_runner *r)
{
    while (r->n_shared_code) {
        struct shared_page page = r->shared_code[--r->n_shared_code];
        URD_TRY(release_everywhere(r, &page));
    }
    return NULL;
}

/** The page changes, or its mapping does: the subject's own right again, and no translation is left. */
static urd_err *release(struct urd_runner *r, struct urd_process *p, uint64_t page, uint64_t rights)
{
    if (rights & SHARED && rights & (GUARDED | KNOWN))
        return release_shared(r, p, page);
    URD_TRY(give_right(p, page));
    return forget(r, p, page, PAGE);
}

/* ---- translating ---- */

void urd_written_read(void *data, uint64_t address, void *buffer, size_t size, size_t *ret_got)
{
    struct urd_process *p = data;
    struct task_run *tr = p->user;
    uint64_t end = address;
    while (end < address + size) {
        uint64_t page = PAGE_DOWN(end), *known = urd_map_get(&tr->pages, page);
        uint64_t rights = known ? *known : rights_at(tr, p, page);
        if (!(rights & PROT_EXEC))
            break;
        if (!known)
            *urd_map_put(&tr->pages, page) = rights;
        URD_PUSH(tr->read, tr->n_read, tr->cap_read) = page;
        end = page + PAGE;
    }
    if (end > address + size)
        end = address + size;
    *ret_got = urd_tracee_read(p->mem, address, buffer, end - address);
}

urd_err *urd_written_guard(struct urd_runner *r, struct urd_process *p, bool *ret_again)
{
    struct task_run *tr = p->user;
    *ret_again = false;
    for (unsigned i = 0; i < tr->n_read && !*ret_again; i++) {
        uint64_t page = tr->read[i], rights = *urd_map_put(&tr->pages, page);
        bool changes =
            rights & SHARED ? !(rights & KNOWN) : (rights & (PROT_WRITE | GUARDED)) == PROT_WRITE;
        if (!changes)
            continue;
        *ret_again = tr->space->refs > 1;
        if (*ret_again)
            URD_TRY(urd_runner_own_space(r, p));
        else if (rights & SHARED)
            URD_TRY(guard_everywhere(r, p, page));
        else
            URD_TRY(take_right(p, page, rights));
    }
    tr->n_read = 0;
    return NULL;
}

urd_err *urd_written_fault(struct urd_runner *r, struct urd_process *p, uint64_t address,
                           bool *ret_mine)
{
    struct task_run *tr = p->user;
    uint64_t page = PAGE_DOWN(address), *known = urd_map_get(&tr->pages, page);
    *ret_mine = known && *known & GUARDED;
    if (!*ret_mine)
        return NULL;
    r->stats.smc++;
    return release(r, p, page, *known);
}

urd_err *urd_written_set_guards(struct urd_process *p, bool on)
{
    struct task_run *tr = p->user;
    for (size_t i = 0; i < tr->pages.capacity; i++) {
        const struct urd_map_slot *slot = &tr->pages.slots[i];
        if (slot->used == 1 && slot->value & GUARDED)
            URD_TRY(protect(p, slot->key, slot->value & ~(on ? (uint64_t)PROT_WRITE : 0u)));
    }
    return NULL;
}

/* ---- events ---- */

/** The mapping changes: pages that were guarded get their own rights back before, as a move or a discard keeps them. */
static urd_err *forget_mapping(struct urd_runner *r, struct urd_process *p, uint64_t start,
                               uint64_t size)
{
    struct task_run *tr = p->user;
    URD_TRY(forget(r, p, start, size));
    for (size_t i = 0; i < tr->pages.capacity; i++) {
        const struct urd_map_slot *slot = &tr->pages.slots[i];
        if (slot->used == 1 && slot->key >= PAGE_DOWN(start) && slot->key < start + size)
            URD_TRY(release(r, p, slot->key, slot->value));
    }
    return NULL;
}

urd_err *urd_written_before_event(struct urd_runner *r)
{
    const struct urd_event *e = r->session->next;
    struct urd_task *t = urd_session_task(r->session, e->tid);
    struct task_run *tr = t ? t->process->user : NULL;
    if (!tr || e->kind == URD_EVENT_EXEC || !e->n_map_ops)
        return NULL;
    tr->readonly_start = tr->readonly_end = 0;
    for (uint32_t i = 0; i < e->n_map_ops; i++) {
        const struct urd_map_op *op = &e->map_ops[i];
        if (op->kind == URD_MAP_RESIZE) {
            URD_TRY(release_all_shared(r));
            continue;
        }
        if (tr->space->refs > 1 && op->prot & PROT_EXEC)
            URD_TRY(urd_runner_own_space(r, t->process));
        URD_TRY(forget_mapping(r, t->process, op->start, op->size));
        if (op->kind == URD_MAP_MOVE)
            URD_TRY(forget_mapping(r, t->process, op->offset, op->old_size));
    }
    return NULL;
}

urd_err *urd_written_by_event(struct urd_runner *r, struct urd_process *p, uint64_t address,
                              uint64_t size)
{
    struct task_run *tr = p->user;
    for (uint64_t page = PAGE_DOWN(address); r->n_shared_code && page < address + size;
         page += PAGE) {
        const uint64_t *known = urd_map_get(&tr->pages, page);
        if (known && *known & SHARED)
            URD_TRY(release(r, p, page, *known));
    }
    return forget(r, p, address, size);
}

urd_err *urd_written_park(struct urd_runner *r)
{
    struct urd_session *s = r->session;
    URD_TRY(release_all_shared(r));
    for (uint32_t i = 0; i < s->n_tasks; i++) {
        struct urd_process *p = urd_runner_process(s, i);
        struct task_run *tr = p ? p->user : NULL;
        if (!tr)
            continue;
        URD_TRY(urd_written_set_guards(p, false));
        for (size_t k = 0; k < tr->pages.capacity; k++)
            if (tr->pages.slots[k].used == 1 && tr->pages.slots[k].value & GUARDED)
                urd_translate_invalidate(tr->space->id.translator, tr->pages.slots[k].key, PAGE);
        urd_map_clear(&tr->pages);
        tr->readonly_start = tr->readonly_end = 0;
    }
    return NULL;
}
