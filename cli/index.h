/**
 * Indexing on behalf of a question.
 *
 * PURPOSE  `--extend` of the verbs that ask: what an answer lacks is indexed first.
 */
#ifndef URD_CLI_INDEX_H
#define URD_CLI_INDEX_H
#include "base/err.h"
#include <jansson.h>

/** Index what the summary's complete.missing names. last_segment: no more than the last one of those. */
urd_err *cli_index_missing(const char *directory, json_t *summary, bool last_segment) URD_MUST_USE;
#endif
