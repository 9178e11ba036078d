// Many hits of many kinds of places for `print`: tests/prints-agree asks about them with and without a stop at each hit.
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#define KEEP __attribute__((noinline, noipa))

struct base { int id; virtual int weight() const { return id; } virtual ~base() {} };
struct derived : base { double share; unsigned bits : 5, more : 11; short tail[3]; int weight() const override { return id * 2; } };
struct list { list *next; const char *name; union { long number; char text[8]; } u; derived *owner; };

static list cells[64];
static derived owners[8];
static int table[256];
static int *rows[16];
static thread_local long per_thread;
long total;
float ratio;

KEEP static int walk(list *l, int depth) // p may be NULL; recursion: locals at other depths
{
    char local[12];
    snprintf(local, sizeof local, "d%d", depth);
    per_thread += depth;
    if (!l || depth > 6)
        return (int)strlen(local);
    return walk(l->next, depth + 1) + (int)l->u.number;
}

KEEP static double scale(double x, float y, int i)
{
    total += table[i & 255];
    ratio = y;
    return x * y + i;
}

KEEP static long pick(int i, unsigned char c, const int *row)
{
    table[c] += row[i & 7];
    return table[c];
}

KEEP static int weigh(const base &b, std::string &s, const std::vector<int> &v)
{
    s += (char)('a' + v.size() % 26);
    if (s.size() > 20)
        s.clear();
    return b.weight() + (int)s.size();
}

KEEP static int name_of(const char *s, bool yes)
{
    return yes ? s[0] : 0;
}

int main()
{
    static const char *names[] = {"zero", "one", "two", "a longer name than the others", "", "five"};
    for (int i = 0; i < 8; i++) {
        owners[i].id = i, owners[i].share = i / 3.0, owners[i].bits = i * 3, owners[i].more = i * 100;
        owners[i].tail[i % 3] = (short)-i;
    }
    for (int i = 0; i < 64; i++) {
        cells[i].next = i % 9 == 8 ? nullptr : &cells[(i * 5 + 1) % 64];
        cells[i].name = i % 11 == 10 ? nullptr : names[i % 6];
        cells[i].u.number = i * 1000003;
        cells[i].owner = i % 7 == 6 ? nullptr : &owners[i % 8];
    }
    for (int i = 0; i < 16; i++)
        rows[i] = &table[i * 8];
    long sum = 0;
    std::string text;
    std::vector<int> numbers;
    for (int i = 0; i < 700; i++) {
        sum += walk(i % 50 == 49 ? nullptr : &cells[i % 64], 0);
        sum += (long)scale(i * 0.5, (float)i / 7, i);
        sum += pick(i, (unsigned char)(i * 7), rows[i % 16]);
        numbers.push_back(i);
        sum += weigh(owners[i % 8], text, numbers);
        sum += name_of(names[i % 6], i % 3 != 0);
        if (i % 100 == 0)
            printf("%d %ld\n", i, sum), fflush(stdout);
    }
    return sum == 0;
}
