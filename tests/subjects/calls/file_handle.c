/* Handles of files; what is written when there is no room. */
#include "call.h"
int main(void)
{
    int f = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600), id[3] = {-1, -1, -1};
    write(f, "by handle", 9);
    union { struct file_handle h; char b[8 + 128]; } u;
    memset(&u, 'u', sizeof u);
    u.h.handle_bytes = 0;
    if (name_to_handle_at(AT_FDCWD, "data", &u.h, id, 0) != -1 || errno != EOVERFLOW)
        SKIP("file handles in this file system");
    unsigned needed = u.h.handle_bytes;
    IS(needed > 0 && needed <= 128);
    IS(sum(u.b + 8, 128) != 0);
    SAY(name_to_handle_at(AT_FDCWD, "data", &u.h, id, 0));
    IS(u.h.handle_bytes == needed);
    IS(id[0] >= 0 && id[2] == -1);
    int at = open(".", O_RDONLY);
    int g = open_by_handle_at(at, &u.h, O_RDONLY);
    char b[16] = "";
    if (g >= 0)
        read(g, b, sizeof b);
    printf("%s\n", g >= 0 ? b : strerrorname_np(errno));
    SAY(name_to_handle_at(AT_FDCWD, "none", &u.h, id, 0));
    unlink("data");
}
