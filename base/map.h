/**
 * A hash map from 64-bit keys to 64-bit values, open addressing.
 *
 * PURPOSE  Addresses, ids and hashes to indices or pointers.
 * OWNS     Its slots; never what a value points to.
 */
#ifndef URD_BASE_MAP_H
#define URD_BASE_MAP_H
#include "base/err.h"

struct urd_map {
    struct urd_map_slot {
        uint64_t key, value;
        uint8_t used; /* 0 empty, 1 used, 2 deleted */
    } * slots;
    size_t count, filled,
        capacity; /* capacity is a power of two or 0; filled counts deleted ones */
};

void urd_map_deinit(struct urd_map *m);
/** Where the value of key lies, or NULL. Valid until the next put. */
uint64_t *urd_map_get(const struct urd_map *m, uint64_t key);
/** Where the value of key lies; made with value 0 when it was not there. */
uint64_t *urd_map_put(struct urd_map *m, uint64_t key);
bool urd_map_remove(struct urd_map *m, uint64_t key);
void urd_map_clear(struct urd_map *m);
#endif
