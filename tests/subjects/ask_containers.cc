/* Strings and containers of libstdc++, which are shown by what they hold. */
//$ build -O0 -std=c++17
//$ build -O0 -std=c++17 -static -gdwarf-4
#include <cstdio>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

struct named {
    int x;
    std::string name;
};
struct alignas(64) wide {
    char c;
    int v;
};

static int passed;
static char huge[20 << 20];

static void pass(std::string text, const std::vector<named> &list)
{
    passed += (int)(text.size() + list.size());
}

int main()
{
    std::vector<int> *early = nullptr;
    std::string s = "short", l(300, 'x'), e, nul("a\0b", 3);
    std::wstring ws = L"wide";
    std::string_view sv(s.data() + 1, 3);
    std::vector<int> v{1, 2, 3}, none;
    std::vector<std::vector<int>> vv{{1}, {}, {2, 3}};
    std::vector<named> vn{{1, "one"}, {2, "two"}};
    std::vector<double> longer(1000, 0.5);
    std::map<std::string, int> m;
    for (int i = 0; i < 12; i++)
        m[std::to_string(i)] = i * i;
    std::multimap<char, short> mm{{'a', 1}, {'a', 2}};
    std::map<int, wide> mw{{1, {'q', 3}}};
    std::set<long> st{5, 1, 9}, st0;
    std::unordered_map<int, named> um{{1, {7, "seven"}}};
    std::unordered_set<std::string> us{"only"};
    std::list<named> li{{3, "three"}};
    std::deque<int> dq;
    for (int i = 0; i < 300; i++)
        dq.push_back(i);
    for (int i = 0; i < 296; i++)
        dq.pop_front();
    auto sp = std::make_shared<named>(named{9, "nine"});
    std::weak_ptr<named> wp = sp;
    std::unique_ptr<named> empty;
    std::optional<int> oi;
    std::optional<std::string> os = "there";
    const std::string &ref = s;
    early = &v;
    pass(s, vn); //! all
    v.push_back(4);
    v[1] = 20; //! set
    huge[1] = 1;
    std::printf("%d %zu\n", passed, early->size() + m.size() + sv.size()); //! end
    //? print {all} '{s} {e} {nul} {ws} {sv} {ref}' => text "short" "" "a\000b" L"wide" "hor" "short"
    //? print {all} '{l}' => text 'x' <repeats 200 times>...
    //? print {all} '{v} {none} {vv} {*early}' => text {1, 2, 3} {} {{1}, {}, {2, 3}} {1, 2, 3}
    //? print {all} '{vn}' => text {{x = 1, name = "one"}, {x = 2, name = "two"}}
    //? print {all} '{longer}' => text {0.5 <repeats 1000 times>}
    //? print {all} '{m}' => text {["0"] = 0, ["1"] = 1, ["10"] = 100, ["11"] = 121, ["2"] = 4, ["3"] = 9, ["4"] = 16, ["5"] = 25, ["6"] = 36, ["7"] = 49, ["8"] = 64, ["9"] = 81}
    //? print {all} '{mm} {mw}' => text {[97 'a'] = 1, [97 'a'] = 2} {[1] = {c = 113 'q', v = 3}}
    //? print {all} '{st} {st0} {um} {us}' => text {1, 5, 9} {} {[1] = {x = 7, name = "seven"}} {"only"}
    //? print {all} '{li} {dq}' => text {{x = 3, name = "three"}} {296, 297, 298, 299}
    //? print {all} '{sp} {wp} {empty}' => text /0x[0-9a-f]+ \(use count 1, weak count 1\) 0x[0-9a-f]+ \(use count 1, weak count 1\) 0x0/
    //? print {all} '{oi} {os}' => text <none> {"there"}
    //? print {all} '{s[1]:c} {vn[1].name} {vv[2][1]} {v[3]} {v[-1]}' => text h "two" 3 <it has 3 elements> <it has 3 elements>
    //? print {all} '{v:x} {s:s}' => text {0x1, 0x2, 0x3} short
    //? print {all} '{sv:r}' => text /\{_M_len = 3, _M_str = 0x[0-9a-f]+ "hort"\}/
    //? print {all} '{m[1]}' => wrong cannot index
    //? print pass '{text} {list}' => text "short" {{x = 1, name = "one"}, {x = 2, name = "two"}}
    //? eval 'v[7]' --at all#1 => status not_there; reason it has 3 elements
    //? eval huge --at all#1 => status too_large
    //? blame 'v[7]' --at all#1 => wrong is not there at this moment: it has 3 elements
    //? open vn --at all#1 => name[] [0] | [1]; expr[] vn[0] | vn[1]; row 2 value {x = 2, name = "two"}
    //? open early --at all#1 => expr[] (*early)[0] | (*early)[1] | (*early)[2]; value 3
    //? open none --at all#1 => rows 0
    //? open s --at all#1 => row 2 name _M_string_length
    //? calls pass => args.text[] "short"
    //? blame 'v[1]' --at end#1 => line set; old 2; new 20
    return 0;
}
