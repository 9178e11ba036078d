/**
 * The ways that the subject usually goes.
 *
 * PURPOSE  From samples of the log, what urd_translate_follow is to be told: where a block that runs often had better go on, so that
 *          one record of the log says what several said.
 * NOT      Translating; what is in the index, but for how it is split into traces.
 * OWNS     What was counted, of one segment. One thread.
 *
 * A *place* is an address at which blocks begin: one that runs to its end, and those that are left before. Of each block is
 * counted how often it ran, and which places came next. The path from a place that came often enough is then what most of the times that it
 * came in the newest sample had in common, block by block, and behind that, or where there were too few, the block there that ran most, the
 * place that followed it most, the block there, and so on, while each step is a likely one and there is room. The first is what loops in
 * interpreters need: one handler goes to another each time, but the same way each time around.
 * Not asked for twice: the translator's blocks say whether they follow something (urd_block.followed).
 */
#ifndef URD_INDEXER_PATHS_H
#define URD_INDEXER_PATHS_H
#include "base/map.h"
#include "indexer/flow.h"
#include "replay/run_translated.h"

struct urd_paths {
    struct urd_paths_node {
        uint32_t place; /* index + 1 in places; 0: it was not in a sample yet */
        uint32_t count;
        uint32_t to[3], n[3]; /* places that came next, how often */
    } * nodes;                /* by dense id */
    uint32_t n_nodes;
    struct urd_paths_place {
        uint32_t count;
        uint32_t best; /* dense id of the block that ran most */
        uint32_t
            newest; /* index + 1 in the trail of the first time that it came, while that is looked at */
        bool followed; /* nothing more to be done */
    } * places;
    uint32_t n_places, cap_places;
    struct urd_map place_of; /* address and code space -> index + 1 */
    uint32_t *often;         /* places that have come often enough in this sample */
    uint32_t n_often, cap_often;
    uint32_t *trail; /* the sample: dense ids in the order in which they ran */
    uint32_t *again; /* for each: index + 1 of the next one at the same place, or 0 */
    uint32_t enough; /* executions after which a place's path is chosen */
    uint32_t weight; /* executions that each of this sample stands for */
    uint64_t bytes;  /* of the log so far */
};

void urd_paths_init(struct urd_paths *p, unsigned enough);
void urd_paths_deinit(struct urd_paths *p);
/** For each piece of the log: room for the dense ids of its blocks, or NULL when it is no sample. */
uint32_t *urd_paths_begin(struct urd_paths *p, size_t bytes);
/** That room has n of them now. */
void urd_paths_learn(struct urd_paths *p, uint32_t n, const struct urd_code *code,
                     const struct urd_flow_encoder *f, const struct urd_flow_dictionary *d);
#endif
