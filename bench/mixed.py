"""A program that does many different things, for bench/questions. Its argument: how many turns; 28 are 2.7 * 10^10 instructions."""
import bisect, collections, hashlib, heapq, json, random, re, sqlite3, sys, zlib

rng = random.Random(1)
words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(4000)]


class Account:
    def __init__(self, name):
        self.name, self.balance, self.history = name, 0, []

    def move(self, amount):
        self.balance += amount
        self.history.append((amount, self.balance))
        if len(self.history) > 50:
            self.history = self.history[-10:]


def counting(text):
    return collections.Counter(text.split()).most_common(20)


def accounts(n):
    bank = {w: Account(w) for w in words[:500]}
    for i in range(n):
        bank[words[i * 7 % 500]].move(i % 100 - 40)
    return sum(a.balance for a in bank.values())


def documents(n):
    made = [{"id": i, "name": words[i % 4000], "tags": words[i % 50:i % 50 + 5], "value": i / 7} for i in range(n)]
    return sum(d["value"] for d in json.loads(json.dumps(made)))


def searching(text):
    return len(re.findall(r"\b(a\w+)\s+(\w*e)\b", text)) + len(re.sub(r"[aeiou]+", "-", text))


def queue(n):
    heap = []
    for i in range(n):
        heapq.heappush(heap, (rng.random(), i))
        if len(heap) > 1000:
            heapq.heappop(heap)
    return heap[0]


def database(n):
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b, c TEXT)")
    db.executemany("INSERT INTO t VALUES(?, ?, ?)", ((i, i * 7 % 1000, words[i % 4000]) for i in range(n)))
    db.execute("CREATE INDEX x ON t(b)")
    return db.execute("SELECT c, count(*), sum(a) FROM t WHERE b < 500 GROUP BY c ORDER BY 2 DESC").fetchall()[:3]


def primes(n):
    sieve = bytearray([1]) * n
    for i in range(2, int(n ** .5) + 1):
        if sieve[i]:
            sieve[i * i::i] = bytes(len(range(i * i, n, i)))
    return sum(sieve)


def sorting(n):
    values = sorted((rng.random() for _ in range(n)), key=lambda v: -v)
    return bisect.bisect(values[::-1], 0.5)


for turn in range(int(sys.argv[1])):
    text = " ".join(rng.choices(words, k=30000))
    print(turn, counting(text)[0], accounts(60000), documents(4000), searching(text), queue(20000)[1], database(15000)[0],
          primes(300000), sorting(20000), zlib.crc32(zlib.compress(text.encode())), hashlib.sha256(text.encode()).hexdigest()[:8])
