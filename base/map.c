#include "base/map.h"
#include "base/buf.h"

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 29;
    return x;
}

void urd_map_deinit(struct urd_map *m)
{
    free(m->slots);
    *m = (struct urd_map){0};
}

uint64_t *urd_map_get(const struct urd_map *m, uint64_t key)
{
    if (!m->capacity)
        return NULL;
    for (size_t i = mix(key);; i++) {
        struct urd_map_slot *s = &m->slots[i & (m->capacity - 1)];
        if (!s->used)
            return NULL;
        if (s->used == 1 && s->key == key)
            return &s->value;
    }
}

static void rehash(struct urd_map *m)
{
    struct urd_map old = *m;
    m->capacity = 16;
    while (m->capacity < (old.count + 1) * 2)
        m->capacity *= 2;
    m->slots = urd_xcalloc(m->capacity, sizeof *m->slots);
    m->count = m->filled = 0;
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].used == 1)
            *urd_map_put(m, old.slots[i].key) = old.slots[i].value;
    free(old.slots);
}

uint64_t *urd_map_put(struct urd_map *m, uint64_t key)
{
    uint64_t *found = urd_map_get(m, key);
    if (found)
        return found;
    if ((m->filled + 1) * 4 > m->capacity * 3)
        rehash(m);
    for (size_t i = mix(key);; i++) {
        struct urd_map_slot *s = &m->slots[i & (m->capacity - 1)];
        if (s->used != 1) {
            m->filled += s->used == 0;
            m->count++;
            *s = (struct urd_map_slot){key, 0, 1};
            return &s->value;
        }
    }
}

bool urd_map_remove(struct urd_map *m, uint64_t key)
{
    uint64_t *value = urd_map_get(m, key);
    if (!value)
        return false;
    struct urd_map_slot *s =
        (struct urd_map_slot *)((char *)value - offsetof(struct urd_map_slot, value));
    s->used = 2;
    m->count--;
    return true;
}

void urd_map_clear(struct urd_map *m)
{
    if (m->capacity)
        memset(m->slots, 0, m->capacity * sizeof *m->slots);
    m->count = m->filled = 0;
}
