#include "base/late.h"
#include <dlfcn.h>
#include <string.h>

urd_err *urd_late_load(const char *soname, const struct urd_late *functions, unsigned n)
{
    void *library =
        dlopen(soname, RTLD_NOW | RTLD_LOCAL); /* counts; it is the same one each time */
    if (!library)
        return urd_err_hint(URD_ERROR(URD_ERR_FAILED, "cannot load the library %s", soname), "%s",
                            dlerror());
    for (unsigned i = 0; i < n; i++) {
        void *function = dlsym(library, functions[i].name);
        if (!function)
            URD_FAIL("the library %s has no %s", soname, functions[i].name);
        memcpy(functions[i].at, &function, sizeof function);
    }
    return NULL;
}
