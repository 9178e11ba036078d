#!/usr/bin/env python3
"""Print a C program that a seed decides: it terminates, prints a sum, and stores in all kinds of ways. The first line is a comment with
the options to compile it with.

usage: random_program.py SEED
"""
import random
import sys

r = random.Random(int(sys.argv[1]))
INTS = ["int8_t", "uint8_t", "int16_t", "uint16_t", "int32_t", "uint32_t", "int64_t", "uint64_t"]
FLOATS = ["float", "double", "long double"]
VECTORS = [("v16u8", "uint8_t", 16), ("v4i32", "int32_t", 16), ("v2f64", "double", 16), ("v8i32", "int32_t", 32),
           ("v4f64", "double", 32), ("v16i32", "int32_t", 64)]
N = 64  # elements of each array; indexes are masked


def pick(*choices):
    return r.choice(choices)


class Scope:
    """Variables that may be named, by what they are."""

    def __init__(self, outer=None):
        self.ints = list(outer.ints) if outer else []
        self.assigned = list(outer.assigned) if outer else []
        self.depth = outer.depth + 1 if outer else 0


class Program:
    def __init__(self):
        self.n = 0
        self.functions = []  # (name, number of arguments)
        self.arrays = []  # (name, type)
        self.lines = []
        self.handles_signals = r.random() < 0.3
        self.jumps = r.random() < 0.3

    def name(self, prefix):
        self.n += 1
        return f"{prefix}{self.n}"

    # ---- expressions, always of an integer's value ----

    def value(self, s, depth=0):
        k = r.random()
        if depth > 3 or k < 0.25:
            return pick(str(r.randint(-5, 300)), hex(r.getrandbits(pick(8, 16, 31))), *(s.ints or ["1"]))
        if k < 0.4 and self.arrays:
            a, t = r.choice(self.arrays)
            return f"(int64_t){a}[{self.index(s, depth)}]" if t in INTS else f"whole({a}[{self.index(s, depth)}])"
        if k < 0.5:
            return f"(({r.choice(INTS)}){self.value(s, depth + 1)})"
        if k < 0.55:
            return pick("the_struct.a", "the_struct.bits", "the_struct.more", "the_union.whole", "the_union.bytes[3]", "the_pointer->c")
        if k < 0.6 and depth < 2:
            return f"({self.value(s, depth + 1)} ? {self.value(s, depth + 1)} : {self.value(s, depth + 1)})"
        if k < 0.68:
            return f"({self.value(s, depth + 1)} {pick('/', '%')} (({self.value(s, depth + 1)} & 63) + 1))"
        if k < 0.76:
            return f"((uint64_t){self.value(s, depth + 1)} {pick('<<', '>>')} ({self.value(s, depth + 1)} & 31))"
        op = pick("+", "-", "*", "&", "|", "^", "<", "==", ">=")
        return f"((uint64_t){self.value(s, depth + 1)} {op} (uint64_t){self.value(s, depth + 1)})"

    def index(self, s, depth=0):
        return f"({self.value(s, depth + 1)}) & {N - 1}"

    # ---- statements ----

    def block(self, s, indent, most):
        inner = Scope(s)
        for _ in range(r.randint(1, most)):
            self.statement(inner, indent)

    def put(self, indent, text):
        self.lines.append("    " * indent + text)

    def statement(self, s, indent):
        k = r.random()
        if k < 0.12:
            v = self.name("x")
            self.put(indent, f"{pick('', 'volatile ', 'register ')}{r.choice(INTS)} {v} = {self.value(s)};")
            s.ints.append(v)
            s.assigned.append(v)
        elif k < 0.22 and s.assigned:
            self.put(indent, f"{r.choice(s.assigned)} {pick('=', '+=', '^=', '-=', '|=', '*=')} {self.value(s)};")
        elif k < 0.42 and self.arrays:
            a, t = r.choice(self.arrays)
            op = pick("=", "+=", "-=", "*=") if t not in INTS else pick("=", "+=", "^=", "&=", "|=", "<<=" if r.random() < 0 else "-=")
            self.put(indent, f"{a}[{self.index(s)}] {op} {self.value(s)};")
        elif k < 0.48:
            self.put(indent, pick(f"the_struct.bits = {self.value(s)};", f"the_struct.more += {self.value(s)};",
                                  f"the_struct.c = {self.value(s)};", f"the_union.bytes[{self.value(s)} & 7] = {self.value(s)};",
                                  f"the_union.wide = whole({self.value(s)});", "the_struct = *the_pointer;",
                                  f"the_pointer = &structs[{self.value(s)} & 7];", f"structs[{self.value(s)} & 7] = the_struct;",
                                  f"*the_pointer = (struct s){{.a = {self.value(s)}, .c = {self.value(s)}}};"))
        elif k < 0.58 and s.depth < 4:
            self.put(indent, f"if ({self.value(s)}) {{")
            self.block(s, indent + 1, 4)
            if r.random() < 0.5:
                self.put(indent, "} else {")
                self.block(s, indent + 1, 4)
            self.put(indent, "}")
        elif k < 0.68 and s.depth < 3:
            v = self.name("i")
            self.put(indent, f"for (int {v} = 0; {v} < {r.randint(2, 40)} && fuel-- > 0; {v}++) {{")
            inner = Scope(s)
            inner.ints.append(v)
            for _ in range(r.randint(1, 4)):
                self.statement(inner, indent + 1)
            self.put(indent, "}")
        elif k < 0.72 and s.depth < 3:
            self.put(indent, f"switch ({self.value(s)} & 7) {{")
            for c in range(r.randint(3, 8)):
                self.put(indent, f"case {c}: {{")
                self.block(s, indent + 1, 2)
                if r.random() < 0.7:
                    self.put(indent + 1, "break;")
                self.put(indent, "}")
            self.put(indent, "}")
        elif k < 0.80 and self.functions:
            f, n = r.choice(self.functions)
            arguments = ", ".join(self.value(s, 2) for _ in range(n))
            self.put(indent, pick(f"sum += {f}({arguments});", f"{f}({arguments});"))
            if n == 2 and r.random() < 0.4:
                self.put(indent, f"table[{self.value(s)} & 3]({arguments});")
        else:
            self.special(s, indent)

    def special(self, s, indent):
        v, (name, element, size) = self.value(s), r.choice(VECTORS)
        count = size // {"uint8_t": 1, "int32_t": 4, "double": 8}[element]
        from_, to = self.value(s), self.value(s)
        atomic = pick("a8", "a16", "a32", "a64")
        self.put(indent, pick(
            f"memset(bytes + ({to} & 63), {v}, {self.value(s)} & 127);",
            f"memcpy(bytes + ({to} & 63), other + ({from_} & 63), {self.value(s)} & 127);",
            f"memmove(bytes + ({to} & 63), bytes + ({from_} & 63), {self.value(s)} & 63);",
            f"__atomic_fetch_add(&{atomic}, {v}, __ATOMIC_SEQ_CST);",
            f"sum += __atomic_exchange_n(&{atomic}, {v}, __ATOMIC_SEQ_CST);",
            f"{{ typeof({atomic}) want = {self.value(s)}; sum += __atomic_compare_exchange_n(&{atomic}, &want, {v}, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); }}",
            f"sum += __atomic_fetch_xor(&{atomic}, {v}, __ATOMIC_SEQ_CST);",
            f"{name}_a[{self.value(s)} & 7] {pick('=', '+=', '-=', '*=')} {name}_a[{self.value(s)} & 7];",
            f"{name}_a[{self.value(s)} & 7][{self.value(s)} & {count - 1}] = {v};",
            f"{{ char *m = malloc(({v} & 255) + 1); m[0] = {self.value(s)}; m = realloc(m, ({v} & 1023) + 1); sum += m[0]; free(m); }}",
            f"{{ char text[100]; sum += snprintf(text, sizeof text, \"%ld %x %g\", (long)({v}), (int)({self.value(s)}), {self.value(s)} / 7.0); bytes[9] = text[0]; }}",
            f"{{ int n = ({v} & 31) + 1; {pick('volatile ', '')}int vla[n]; for (int i = 0; i < n; i++) vla[i] = i * {self.value(s)}; sum += vla[n - 1]; }}",
            f"{{ uint64_t q = {v}; __asm__ volatile(\"push %1; pop %0; xchg %0, %2\" : \"=&r\"(q), \"+r\"(sum), \"+m\"(a64)); sum ^= q; }}",
            f"{{ void *d = bytes + ({to} & 63); uint64_t n = {self.value(s)} & 31; __asm__ volatile(\"rep stosb\" : \"+D\"(d), \"+c\"(n) : \"a\"({v}) : \"memory\"); }}",
            f"{{ void *d = bytes + ({to} & 63), *f = other + ({from_} & 63); uint64_t n = {self.value(s)} & 7; __asm__ volatile(\"rep movsq\" : \"+D\"(d), \"+S\"(f), \"+c\"(n) : : \"memory\"); }}",
            f"{{ void *d = bytes + 200, *f = other + 200; uint64_t n = {self.value(s)} & 15; __asm__ volatile(\"std; rep movsw; cld\" : \"+D\"(d), \"+S\"(f), \"+c\"(n) : : \"memory\"); }}",
            f"__asm__ volatile(\"{pick('bts', 'btr', 'btc')} %1, %0\" : \"+m\"(a64) : \"r\"((uint64_t)({v} & 63)) : \"cc\");",
            f"__asm__ volatile(\"movnti %1, %0\" : \"=m\"(a32) : \"r\"((uint32_t)({v})));",
            f"__asm__ volatile(\"{pick('seto', 'setc', 'setz')} %0\" : \"=m\"(bytes[{to} & 63]));",
            f"__asm__ volatile(\"fildq %1; fistpq %0\" : \"=m\"(a64) : \"m\"(sum));",
            "write(1, &sum, 0);",
            "sum += getppid() != 0;",
            f"{{ struct stat st; sum += stat(\"/\", &st) + S_ISDIR(st.st_mode); }}",
            *(["raise(SIGUSR1);"] if self.handles_signals else []),
            *([f"if (can_jump && {v}) longjmp(there, 1 + ({self.value(s)} & 7));"] if self.jumps else []),
        ))

    def function(self):
        f, n = self.name("f"), r.randint(0, 8)
        if r.random() < 0.4:
            n = 2
        s = Scope()
        s.ints = [f"p{i}" for i in range(n)]
        s.assigned = list(s.ints)
        arguments = ", ".join(f"{r.choice(INTS) if n != 2 else 'int64_t'} p{i}" for i in range(n)) or "void"
        self.lines.append(f"{pick('', '__attribute__((noinline)) ', 'static ')}int64_t {f}({arguments})")
        self.lines.append("{")
        self.put(1, "if (fuel-- <= 0)")
        self.put(2, "return 7;")
        for _ in range(r.randint(2, 7)):
            self.statement(s, 1)
        if r.random() < 0.3 and n:  # itself, with less to burn
            self.put(1, f"if (p0 > 3 && fuel > 100) {{ fuel -= 50; sum += {f}({', '.join(['p0 / 2'] + [f'p{i} + 1' for i in range(1, n)])}); }}")
        self.put(1, f"return {self.value(s)};")
        self.lines += ["}", ""]
        self.functions.append((f, n))

    def text(self):
        for _ in range(r.randint(3, 8)):
            t = r.choice(INTS + FLOATS)
            a = self.name("g")
            self.lines.append(f"static {pick('', 'volatile ')}{t} {a}[{N}];")
            self.arrays.append((a, t))
        for _ in range(r.randint(3, 9)):
            self.function()
        two = [f for f, n in self.functions if n == 2] or ["nothing"]
        table = f"int64_t (*table[4])(int64_t, int64_t) = {{{', '.join(r.choice(two) for _ in range(4))}}};"
        body = "\n".join(self.lines)
        vectors = "\n".join(f"typedef {e} {n} __attribute__((vector_size({b}))); static {n} {n}_a[8];" for n, e, b in VECTORS)
        calls = []
        for f, n in self.functions * r.randint(1, 3):
            calls.append(f"    sum += {f}({', '.join(str(r.randint(-9, 99)) for _ in range(n))});")
        options = [pick("-O0", "-O1", "-O2", "-O3", "-Os"), *(["-static"] if r.random() < 0.5 else [])]
        options += [o for o in ("-march=native", "-march=x86-64-v3", "-funroll-loops", "-minline-all-stringops", "-fomit-frame-pointer",
                                "-fno-omit-frame-pointer", "-fcf-protection=none", "-mprefer-vector-width=512") if r.random() < 0.2]
        return f"""// {' '.join(options)}
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int fuel = {r.randint(300, 3000)};
static volatile int can_jump;
static jmp_buf there;
static uint64_t sum;
static uint8_t a8, bytes[256], other[256];
static uint16_t a16;
static uint32_t a32;
static uint64_t a64;
struct s {{
    int8_t a;
    uint32_t bits : 5, more : 17;
    int64_t c, rest[{r.randint(1, 9)}];
}} the_struct, structs[8], *the_pointer = structs;
union {{
    uint64_t whole;
    uint8_t bytes[8];
    double wide;
}} the_union;
{vectors}

static int64_t whole(long double x)
{{
    return x > -1e15L && x < 1e15L ? (int64_t)x : 5;
}}

static int64_t nothing(int64_t a, int64_t b)
{{
    return a - b;
}}

extern int64_t (*table[4])(int64_t, int64_t);

static void on_signal(int signal)
{{
    a16 += signal;
}}

{body}
{table}

int main(void)
{{
    volatile int again = 0;
    signal(SIGUSR1, on_signal);
    for (int i = 0; i < 256; i++)
        other[i] = i * 7;
    {"if (setjmp(there)) sum += ++again;" if self.jumps else ""}
    can_jump = again < 20;
{chr(10).join(calls)}
    {"if (fork() == 0) { sum++; the_struct.a = 3; _exit(sum & 63); } int status; wait(&status); sum += status;" if r.random() < 0.2 else ""}
    printf("%llx %d\\n", (unsigned long long)sum, nothing(a8, 1) == 0);
    return 0;
}}
"""


print(Program().text())
