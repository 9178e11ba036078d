#include "cli/options.h"
#include <string.h>

static const struct cli_option *find(const struct cli_option *options, const char *name)
{
    for (const struct cli_option *o = options; o->name; o++)
        if (strcmp(o->name, name) == 0 || (o->alias && strcmp(o->alias, name) == 0))
            return o;
    return NULL;
}

urd_err *cli_options(int argc, char **argv, const struct cli_option *options, const char *usage,
                     int *ret_left)
{
    int left = 0;
    bool ended = false;
    for (int i = 1; i < argc; i++) {
        bool is_option = !ended && argv[i][0] == '-' && argv[i][1] &&
                         (argv[i][1] == '-' || !strchr("0123456789", argv[i][1]));
        const struct cli_option *o = is_option ? find(options, argv[i]) : NULL;
        char shorter[3] = {argv[i][0], argv[i][0] ? argv[i][1] : 0};
        const struct cli_option *attached =
            is_option && !o && argv[i][1] != '-' ? find(options, shorter) : NULL;
        if (is_option && strcmp(argv[i], "--") == 0) {
            ended = true;
        } else if (attached && attached->text) { /* -j2 */
            *attached->text = argv[i] + 2;
        } else if (is_option && !o) {
            return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "unknown option '%s'", argv[i]), "%s",
                                usage);
        } else if (!o) {
            argv[1 + left++] = argv[i];
        } else if (o->flag) {
            *o->flag = true;
        } else if (i + 1 >= argc) {
            return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "'%s' needs an argument", argv[i]),
                                "%s", usage);
        } else {
            *o->text = argv[++i];
        }
    }
    *ret_left = left;
    return NULL;
}
