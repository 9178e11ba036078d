#include "record/compare.h"
#include "base/tracee.h"

#define PAGE 4096u

void compare_begin(struct task *t)
{
    t->scratch.n_copies = 0;
}

void compare_keep(struct task *t, uint64_t address, size_t size)
{
    struct call_scratch *s = &t->scratch;
    if (s->n_copies == s->cap_copies) {
        s->copies = urd_xrealloc(s->copies, (s->cap_copies + 1) * sizeof *s->copies);
        s->copies[s->cap_copies++] = (struct before_copy){0};
    }
    struct before_copy *c = &s->copies[s->n_copies];
    if (c->room < size) {
        c->data = urd_xrealloc(c->data, size);
        c->room = size;
    }
    c->address = address;
    c->size = urd_tracee_read(t->mem, address, c->data, size);
    s->n_copies += c->size > 0;
}

static void add_changed(struct event_builder *b, int mem, uint64_t address, const uint8_t *was,
                        size_t size)
{
    uint8_t now[PAGE];
    size_t n = urd_tracee_read(mem, address, now, size), first = 0;
    while (first < n && now[first] == was[first])
        first++;
    while (n > first && now[n - 1] == was[n - 1])
        n--;
    event_add_memory(b, mem, address + first, n - first);
}

void compare_add(struct event_builder *b, struct task *t)
{
    for (unsigned i = 0; i < t->scratch.n_copies; i++) {
        const struct before_copy *c = &t->scratch.copies[i];
        for (size_t at = 0; at < c->size;) {
            size_t n = PAGE - (c->address + at) % PAGE;
            if (n > c->size - at)
                n = c->size - at;
            add_changed(b, t->mem, c->address + at, c->data + at, n);
            at += n;
        }
    }
    t->scratch.n_copies = 0;
}
