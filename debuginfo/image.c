#include "debuginfo/image.h"
#include "base/buf.h"
#include <stdio.h>

struct mapping {
    uint64_t start, end, bias;
    struct urd_module *module;
};

struct urd_image {
    struct mapping *maps; /* sorted by start, never overlapping */
    size_t n_maps, cap_maps;
    struct urd_place *modules; /* in order of first mapping */
    size_t n_modules, cap_modules;
    uint64_t generation;
};

static uint64_t next_generation(void)
{
    static uint64_t last;
    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

struct urd_image *urd_debuginfo_image_create(void)
{
    struct urd_image *i = urd_xcalloc(1, sizeof *i);
    i->generation = next_generation();
    return i;
}

void urd_debuginfo_image_destroy(struct urd_image *image)
{
    if (!image)
        return;
    free(image->maps);
    free(image->modules);
    free(image);
}

static void insert(struct urd_image *image, size_t at, struct mapping m)
{
    URD_PUSH(image->maps, image->n_maps, image->cap_maps) = m;
    memmove(image->maps + at + 1, image->maps + at, (image->n_maps - 1 - at) * sizeof m);
    image->maps[at] = m;
}

/** Cut [start, end) out of the mappings. */
static void cut(struct urd_image *image, uint64_t start, uint64_t end)
{
    for (size_t i = 0; i < image->n_maps;) {
        struct mapping *p = &image->maps[i];
        if (p->end <= start || p->start >= end) {
            i++;
        } else if (p->start >= start && p->end <= end) {
            memmove(p, p + 1, (--image->n_maps - i) * sizeof *p);
        } else if (p->start < start && p->end > end) {
            struct mapping tail = *p;
            tail.start = end;
            p->end = start;
            insert(image, i + 1, tail);
            return;
        } else if (p->start < start) {
            p->end = start;
            i++;
        } else {
            p->start = end;
            i++;
        }
    }
}

static void list_modules(struct urd_image *image)
{
    size_t kept = 0;
    for (size_t i = 0; i < image->n_modules; i++)
        for (size_t k = 0; k < image->n_maps; k++)
            if (image->maps[k].module == image->modules[i].module &&
                image->maps[k].bias == image->modules[i].bias) {
                image->modules[kept++] = image->modules[i];
                break;
            }
    image->n_modules = kept;
    image->generation = next_generation();
}

void urd_debuginfo_image_add(struct urd_image *image, struct urd_module *module, uint64_t start,
                             uint64_t size, uint64_t file_offset, uint64_t *ret_bias)
{
    uint64_t address = file_offset, end = start + size;
    urd_debuginfo_module_offset_to_address(module, file_offset, &address);
    struct mapping m = {start, end < start ? UINT64_MAX : end, start - address, module};
    cut(image, m.start, m.end);
    size_t at = 0;
    while (at < image->n_maps && image->maps[at].start < start)
        at++;
    insert(image, at, m);
    list_modules(image);
    bool known = false;
    for (size_t i = 0; i < image->n_modules; i++)
        known |= image->modules[i].module == module && image->modules[i].bias == m.bias;
    if (!known)
        URD_PUSH(image->modules, image->n_modules, image->cap_modules) =
            (struct urd_place){module, m.bias, 0};
    if (ret_bias)
        *ret_bias = m.bias;
}

void urd_debuginfo_image_remove(struct urd_image *image, uint64_t start, uint64_t size)
{
    cut(image, start, start + size < start ? UINT64_MAX : start + size);
    list_modules(image);
}

void urd_debuginfo_image_clear(struct urd_image *image)
{
    image->n_maps = 0;
    list_modules(image);
}

uint64_t urd_debuginfo_image_generation(const struct urd_image *image)
{
    return image->generation;
}

bool urd_debuginfo_image_find(const struct urd_image *image, uint64_t address,
                              struct urd_place *ret)
{
    size_t lo = 0, hi = image->n_maps;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (image->maps[mid].end <= address)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < image->n_maps && image->maps[lo].start <= address) {
        const struct mapping *m = &image->maps[lo];
        *ret = (struct urd_place){m->module, m->bias, address - m->bias};
        return true;
    }
    for (size_t i = 0; i < image->n_modules; i++) {
        uint64_t low, high;
        urd_debuginfo_module_extent(image->modules[i].module, &low, &high);
        uint64_t a = address - image->modules[i].bias;
        if (a >= low && a < high) {
            *ret = image->modules[i];
            ret->address = a;
            return true;
        }
    }
    return false;
}

size_t urd_debuginfo_image_count(const struct urd_image *image)
{
    return image->n_modules;
}

struct urd_place urd_debuginfo_image_module(const struct urd_image *image, size_t i)
{
    return image->modules[i];
}

const char *urd_debuginfo_image_name_address(const struct urd_image *image, uint64_t address,
                                             char *buf, size_t size)
{
    struct urd_place p;
    if (!image || !urd_debuginfo_image_find(image, address, &p)) {
        snprintf(buf, size, "0x%lx", address);
        return buf;
    }
    const struct urd_symbol *s = urd_debuginfo_symbol_at(p.module, p.address);
    if (!s)
        snprintf(buf, size, "%s+0x%lx", urd_debuginfo_module_name(p.module), p.address);
    else if (s->kind == URD_SYMBOL_FRAME || s->address == p.address)
        snprintf(buf, size, "%s", s->name);
    else
        snprintf(buf, size, "%s+0x%lx", s->name, p.address - s->address);
    if (s && s->kind == URD_SYMBOL_FRAME && s->address != p.address)
        snprintf(buf, size, "%s+0x%lx", urd_debuginfo_module_name(p.module), p.address);
    return buf;
}
