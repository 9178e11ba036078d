/* C++: methods, references, templates, exceptions, containers. */
//$ build -O0
//$ build -O0 -static
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

namespace bank {
class Account {
public:
    explicit Account(long start) : balance(start) {}
    void pay(long amount)
    {
        if (amount > balance)
            throw std::runtime_error("too much");
        balance -= amount; //! pays
    }
    long balance;
};
} // namespace bank

template <typename T> T larger(T a, T b)
{
    return a < b ? b : a;
}

bank::Account account(100);
long *where = &account.balance;

int main()
{
    account.pay(30);
    account.pay(20);
    try {
        account.pay(500);
    } catch (const std::exception &e) {
        std::puts(e.what()); //! caught
    }
    //? blame account.balance => line pays; old 70; new 50
    //? blame '*where' => line pays; new 50
    //? calls bank::Account::pay => args.amount[] 30 | 20 | 500
    //? print bank::Account::pay '{amount} of {balance}' => text[] 30 of 100 | 20 of 70 | 500 of 50
    //? stack --at caught#1 => row 1 function main
    std::vector<int> numbers;
    for (int i = 0; i < 10; i++)
        numbers.push_back(larger(i, 5)); //! pushes
    //? lines {pushes} => rows 10
    std::printf("%zu %ld\n", numbers.size(), account.balance);
    return 0;
}
