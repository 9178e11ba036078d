/**
 * Which modules are mapped where in one process at one time.
 *
 * PURPOSE  Run-time address <-> (module, module address).
 * NOT      Knowing when mappings change: whoever replays tells.
 * OWNS     Borrows modules; they must outlive the image.
 * CONTEXT  One thread at a time.
 */
#ifndef URD_DEBUGINFO_IMAGE_H
#define URD_DEBUGINFO_IMAGE_H
#include "debuginfo/module.h"

struct urd_image;

struct urd_image *urd_debuginfo_image_create(void);
void urd_debuginfo_image_destroy(struct urd_image *image);

/**
 * module's bytes from file_offset are mapped at start, size bytes. Only executable mappings are
 * needed; data of the same module is found through the bias they give. Later mappings cover earlier
 * ones. *ret_bias (may be NULL) is what to add to a module address.
 */
void urd_debuginfo_image_add(struct urd_image *image, struct urd_module *module, uint64_t start,
                             uint64_t size, uint64_t file_offset, uint64_t *ret_bias);
/** Something was unmapped. */
void urd_debuginfo_image_remove(struct urd_image *image, uint64_t start, uint64_t size);
void urd_debuginfo_image_clear(struct urd_image *image);
/** Changes whenever the image does, never the same for two images: what caches compare. */
uint64_t urd_debuginfo_image_generation(const struct urd_image *image);

/** A module in an image; address is within the module. */
struct urd_place {
    struct urd_module *module;
    uint64_t bias;    /* run-time address = module address + bias */
    uint64_t address; /* module address */
};

/** The module whose mapping or extent holds a run-time address. */
bool urd_debuginfo_image_find(const struct urd_image *image, uint64_t address,
                              struct urd_place *ret);
/** Its modules in order of their first mapping, each once (a module mapped at two biases: twice);
 * place.address is 0. */
size_t urd_debuginfo_image_count(const struct urd_image *image);
struct urd_place urd_debuginfo_image_module(const struct urd_image *image, size_t i);

/** "name", "name+0x12", "module+0x1234" or "0x7f..."; written into buf, which is returned. */
const char *urd_debuginfo_image_name_address(const struct urd_image *image, uint64_t address,
                                             char *buf, size_t size);

#endif
