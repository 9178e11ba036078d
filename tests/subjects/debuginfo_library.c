/* A shared library with thread-local and global variables, and with -DMAIN the program that uses it. */
#ifdef MAIN
extern int library_global;
int library_function(int n);
int main(void)
{
    return library_function(library_global);
}
#else
__thread int library_thread = 31;
static __thread long library_static_thread = 32;
int library_global = 33;
int library_function(int n)
{
    library_thread++;
    library_static_thread += n;
    library_global++;
    return library_thread + (int)library_static_thread; /* stop */
}
#endif
