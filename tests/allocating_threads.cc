// Blocks of operator new in its kinds, by four threads at a time; for tests/allocations.
#include <cstdio>
#include <map>
#include <new>
#include <string>
#include <thread>
#include <vector>

struct alignas(64) Aligned {
    char bytes[128];
};

static void work(unsigned x)
{
    std::map<std::string, std::vector<int>> m;
    for (int i = 0; i < 4000; i++) {
        x = x * 1103515245 + 12345;
        m[std::to_string(x >> 20)].push_back(i);
        if (x & 64)
            m.erase(m.begin());
        if (i % 500)
            continue;
        delete new Aligned;
        delete[] new Aligned[3];
        delete new (std::nothrow) int;
    }
}

int main()
{
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; i++)
        threads.emplace_back(work, i);
    for (auto &t : threads)
        t.join();
    try {
        std::printf("%p\n", static_cast<void *>(new char[std::size_t(1) << 60]));
    } catch (const std::bad_alloc &) {
        std::puts("no memory");
    }
}
