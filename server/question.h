/**
 * Questions as they arrive: URL parameters or a JSON body, made into the object that query/ask.h
 * takes.
 *
 * PURPOSE  Types of fields, unknown endpoints, limits.
 * NOT      The meaning of a question: the engine judges that.
 */
#ifndef URD_SERVER_QUESTION_H
#define URD_SERVER_QUESTION_H
#include "base/err.h"
#include "server/desk.h"
#include <jansson.h>

/** Add one URL parameter. Fails when it is given twice, holds NUL or bad UTF-8, or is not of the
 * field's type. */
urd_err *urd_question_parameter(json_t *question, const char *key, size_t key_size,
                                const char *value, size_t size) URD_MUST_USE;
/** A POSTed body. */
urd_err *urd_question_body(const char *bytes, size_t size, json_t **ret) URD_MUST_USE;
/** Is there an endpoint of this name? When not, *suggest is the nearest one or NULL. */
bool urd_question_known(const char *name, const char **suggest);
enum urd_desk_lane urd_question_lane(const json_t *question);
/** What GET /api/v1/ answers. */
json_t *urd_question_list(void);
#endif
