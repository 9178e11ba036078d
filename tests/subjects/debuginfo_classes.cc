// C++: classes, references, namespaces, inheritance, templates.
#include <cstdio>
#include <string>

volatile int sink;

namespace geometry {
struct Shape {
    int id;
    explicit Shape(int i) : id(i) {}
    virtual ~Shape() {}
    virtual int area() const { return 0; }
};
class Rectangle : public Shape {
    int w, h;
    static int count;

public:
    enum class Kind { Square, Oblong };
    Kind kind;
    Rectangle(int i, int a, int b) : Shape(i), w(a), h(b), kind(a == b ? Kind::Square : Kind::Oblong)
    {
        count++;
    }
    int area() const override
    {
        sink = w * h; // stop: w; h; this->w; id; kind; *this; w * h
        return w * h;
    }
    int grow(int by)
    {
        w += by;
        sink = by; // stop: w; by; count
        return w;
    }
};
int Rectangle::count = 0;
int counter = 3;
namespace inner {
double factor = 1.5;
}
} // namespace geometry

static int overloaded(int a)
{
    sink = a; // stop: a
    return a;
}

static int overloaded(double a)
{
    sink = (int)a; // stop: a
    return (int)a;
}

template <typename T> T largest(T a, T b)
{
    sink = a > b; // stop: a; b; a > b
    return a > b ? a : b;
}

static int by_reference(int &n, const geometry::Rectangle &r, int &&temporary)
{
    n++;
    sink = n + temporary; // stop: n; temporary; n + 1; r.kind; geometry::counter; geometry::inner::factor; &n
    return n;
}

struct Left {
    int l = 1;
};
struct Right {
    int r = 2;
};
struct Both : Left, Right {
    int b = 3;
    struct Inner;
};
struct Both::Inner {
    enum class Depth { Flat, Deep };
    Depth depth = Depth::Deep;
};

struct Top {
    int top = 1;
    virtual int kind() { return top; }
};
struct West : virtual Top {
    int west = 2;
};
struct East : virtual Top {
    int east = 3;
};
struct Bottom : West, East {
    int bottom = 4;
    int all()
    {
        return top + west + east + bottom; // stop: top; west + bottom; *this; this->top; &top
    }
};

int main()
{
    Bottom diamond;
    West *west = &diamond;
    geometry::Rectangle r(7, 3, 4);
    Both both;
    Both::Inner nested;
    int n = 5;
    bool flag = true;
    wchar_t wide = L'w';
    char16_t c16 = u'c';
    int Both::*member = &Both::b;
    sink = r.area() + both.b + (int)nested.depth + flag + wide + c16 + both.*member; // stop: both; both.r; nested.depth; *(Both::Inner *)&nested; (Both::Inner::Depth)0; flag; both.l + both.r; (Right *)&both; geometry::counter; n
    sink = diamond.all() + west->top; // stop: diamond; diamond.top; west->top; *west; ((Top *)&diamond)->top; (Top *)west == &diamond.top; static_cast<Top *>(west)->top; *reinterpret_cast<long *>(west) == *(long *)&diamond; const_cast<Bottom *>(&diamond)->east; static_cast<long>(2.75) + 1
    r.grow(2);
    overloaded(4);
    overloaded(2.5);
    largest(3, 4);
    largest(2.5, 1.5);
    by_reference(n, r, 9);
    std::puts("done");
    return 0;
}
