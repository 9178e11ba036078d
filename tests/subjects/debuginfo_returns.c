/* What functions return, by class of the psABI; each value is known to expr_test.c. */
#include <stdbool.h>
struct small {
    int a, b;
};
struct mixed {
    long n;
    double d;
};
struct floats {
    float a, b, c;
};
struct large {
    long values[5];
};
static volatile __thread int before[3] = {1, 2, 3};
__thread long own = 99;
int global = 7;
unsigned char bytes[12] = "hello world";

__attribute__((noipa)) char return_char(void) { return 'q'; }
__attribute__((noipa)) bool return_bool(void) { return true; }
__attribute__((noipa)) int return_int(void) { return -5; }
__attribute__((noipa)) double return_double(void) { return 2.5; }
__attribute__((noipa)) float return_float(void) { return 0.1f; }
__attribute__((noipa)) long double return_long_double(void) { return 1.25L; }
__attribute__((noipa)) const char *return_text(void) { return "text"; }
__attribute__((noipa)) struct small return_small(void) { return (struct small){1, 2}; }
__attribute__((noipa)) struct mixed return_mixed(void) { return (struct mixed){3, 4.5}; }
__attribute__((noipa)) struct floats return_floats(void) { return (struct floats){1, 2, 3}; }
__attribute__((noipa)) struct large return_large(void) { return (struct large){{1, 2, 3, 4, 5}}; }
__attribute__((noipa)) __int128 return_int128(void) { return (__int128)1 << 70; }

__attribute__((noipa)) int inner(int n)
{
    int doubled = n * 2;
    return doubled + global; /* here */
}

__attribute__((noipa)) int outer(int n)
{
    int local = n + 100;
    int r = inner(local);
    return r + local + before[1];
}

int main(void)
{
    return_char();
    return_bool();
    return_int();
    return_double();
    return_float();
    return_long_double();
    return_text();
    return_small();
    return_mixed();
    return_floats();
    return_large();
    return_int128();
    return outer(5) == 0;
}
