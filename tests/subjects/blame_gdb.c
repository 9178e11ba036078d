/* Deterministic, with globals that many lines write: blame and gdb's hardware watchpoints must tell the same story. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct node {
    int16_t key;
    uint32_t count;
    struct node *next;
};

int total;
uint64_t hash = 5381;
struct node nodes[16];
struct node *first;
double average;
unsigned char buffer[32];
int16_t small;

static void mix(uint64_t v)
{
    hash = (hash << 5) + hash + v;
    if (v & 1)
        hash ^= v << 17;
    else
        hash += 0x9e3779b97f4a7c15ull;
}

static void sort(void)
{
    for (int i = 0; i < 16; i++)
        for (int k = 0; k + 1 < 16 - i; k++)
            if (nodes[k].key > nodes[k + 1].key) {
                struct node t = nodes[k];
                nodes[k] = nodes[k + 1];
                nodes[k + 1] = t;
                total++;
            }
}

static void link_all(void)
{
    for (int i = 0; i < 16; i++) {
        nodes[i].next = first;
        first = &nodes[i];
        nodes[i].count += (unsigned)i;
    }
}

static int walk(const struct node *n)
{
    if (!n)
        return 0;
    average = (average * 3 + n->key) / 4;
    return 1 + walk(n->next);
}

int main(void)
{
    for (int i = 0; i < 16; i++) {
        nodes[i].key = (int16_t)(i * 7919 % 101);
        mix((uint64_t)nodes[i].key);
        buffer[i % 8 + 3] += (unsigned char)i;
        __asm__ volatile("lock addw %1, %0" : "+m"(small) : "r"((int16_t)i) : "cc");
    }
    sort();
    link_all();
    total += walk(first) * 1000;
    memset(buffer, 0x20, sizeof buffer);
    memcpy(buffer + 2, "some text in it", 15);
    for (int i = 0; i < 40; i++) {
        mix((uint64_t)i);
        if (i % 3 == 0)
            total -= i;
        small = (int16_t)(small * 3);
    }
    printf("%d %lx %f %d %s\n", total, hash, average, small, buffer);
    return 0;
}
