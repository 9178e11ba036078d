/* Values of every kind. A line with "stop:" is stopped at; what follows is asked there of urd and
 * of gdb, separated by semicolons. "quiet:" expressions are asked of urd only for no crash. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

enum colour { RED, GREEN = 5, BLUE };
enum flags { F_A = 1, F_B = 2, F_C = 4 };
struct point {
    int x, y;
};
struct bits {
    unsigned a : 3;
    int b : 5;
    unsigned long long c : 40;
    bool d : 1;
    unsigned : 0;
    short e : 9;
};
union number {
    int i;
    float f;
    unsigned char bytes[4];
};
struct node {
    struct node *next, *prev;
    const char *name;
    char text[16];
    struct point at;
    union {
        int anonymous_int;
        float anonymous_float;
    };
    struct {
        short s1, s2;
    };
    union number number;
    enum colour colour;
    int (*function)(int);
    double values[3];
};
struct opaque;
typedef struct node node_t;
typedef int matrix_t[2][3];

int global_int = 42;
static long static_long = -7;
const char *global_text = "hello \"world\"\n";
struct node global_node;
__thread int thread_int = 11;
static __thread struct point thread_point = {3, 4};
matrix_t matrix = {{1, 2, 3}, {4, 5, 6}};
enum colour global_colour = BLUE;
enum flags global_flags = F_A | F_C;
volatile int sink;
int zeroes[30];
unsigned char raw[8] = {1, 2, 3, 250, 251, 252, 253, 254};
char long_text[64] = "abc";
struct opaque *opaque;

static int twice(int n)
{
    static int calls = 100;
    calls++;
    sink = n; // stop: n; n * 2; calls; twice::calls
    return 2 * n;
}

static int vla(int n)
{
    int values[n];
    for (int i = 0; i < n; i++)
        values[i] = i * i;
    sink = values[n - 1]; // stop: n; values; values[1]; sizeof(values)
    return values[n - 1];
}

static void floats(float f, double d, long double l)
{
    _Complex double c = d;
    sink = (int)(f + (float)d + (float)l + (float)__real__ c); // stop: f; d; l; f * 2; d / 3; f < d; -l
}

static void integers(char c, signed char sc, unsigned char uc, short s, unsigned short us,
                     long long ll, unsigned long long ull, __int128 big)
{
    bool yes = c != 0, no = c == 0;
    wchar_t w = L'x';
    sink = c + sc + uc + s + us + (int)ll + (int)ull + (int)big + yes + no + (int)w; // stop: c; sc; uc; s; us; ll; ull; big; yes; no; w; c + 1; ull >> 3; -ll; ~s; (char)ll; (unsigned char)sc; ll % 7; ull / 3; us << 4; c == 'a'; (c == 'a') ? 3 : 4; big * 2; !yes; yes && no; yes || no; sc * uc; s - us; (short)ull; 7 / 2; 7.0 / 2; 1 << 4; 0x10 + 010; 10 > 9; 'A' + 1; sizeof(long); sizeof(int *); sizeof c; (long)c; (unsigned)s
}

static int recursive(int depth)
{
    int local = depth * 10;
    if (depth == 0) {
        sink = local; // stop: depth; local
        return 0;
    }
    return recursive(depth - 1) + local;
}

static int blocks(int a)
{
    int x = a + 1;
    {
        int x = a + 2;
        {
            long x = a + 3;
            sink = (int)x; // stop: x; a
        }
        sink = x; // stop: x
    }
    sink = x; // stop: x
    return x;
}

static int many(int a, int b, int c, int d, int e, int f, int g, struct point p, struct node *n)
{
    sink = a + b + c + d + e + f + g + p.x + n->at.y; // stop: a; b; c; d; e; f; g; p; p.x; n->at; *n; n->text; n->name; n->next->text; n->next->next == n; n->anonymous_int; n->s2; n->number; n->number.bytes; n->colour; n->values; n->values[1]; n->values[1]@2; *n->values@3; &n->at.y; n->function; n->at.x + n->at.y; (*n).text[1]; n->text[0] == 'f'; *n->name; &n->values[1]; &*n; n->next->name
    return a;
}

int main(int argc, char **argv)
{
    struct bits bits = {5, -3, 123456789012ull, true, -100};
    struct point points[4] = {{1, 2}, {3, 4}, {5, 6}, {7, 8}}, *second = &points[1];
    node_t first = {.name = "one", .text = "first", .at = {1, 2}, .colour = GREEN};
    node_t other = {.next = &first, .name = "two", .text = "second", .function = twice};
    int *ints = zeroes;
    void *nowhere = NULL;
    char *bad = (char *)16;
    first.next = &other;
    first.function = twice;
    first.values[1] = 2.5;
    first.number.f = 1.5f;
    first.anonymous_int = 0x40490fdb;
    first.s2 = -2;
    global_node = first;
    zeroes[3] = 9;
    sink = bits.a + second->x; // stop: argc; bits; bits.a; bits.b; bits.c; bits.e; points; points[2]; second->y; second[1]; *second; second - points; second + 1; first; first.next->name; global_int; static_long; global_text; global_node.text; thread_int; thread_point; matrix; matrix[1]; matrix[1][2]; *matrix; global_colour; global_flags; zeroes; raw; long_text; ints; *ints@4; nowhere; bad; &global_int; &points[1]; main; &main; *main; sizeof(struct node); sizeof points; (enum colour)5; (struct point *)&points[2]; *(struct point *)&points[2]; global_colour == BLUE; BLUE; &matrix[1]; argv[0] == 0; global_int + static_long; -global_int; raw[3]; raw[3] << 2; &raw[2]; *(unsigned int *)raw; *(short *)&raw[1]; sizeof(matrix_t); (long)second - (long)points; long_text[0]; *&global_int; points[1].x + points[2].y * 3; 'debuginfo_types.c'::static_long; opaque; $rip; $rsp == $sp; $eax == (int)$rax; first.values
    vla(5);
    twice(21);
    floats(1.5f, 0.1, 2.25L);
    integers('a', -5, 200, -300, 60000, -1234567890123ll, 18446744073709551610ull, (__int128)1 << 100);
    recursive(3);
    blocks(10);
    many(1, 2, 3, 4, 5, 6, 7, points[3], &first);
    printf("%d\n", sink);
    return 0;
}
