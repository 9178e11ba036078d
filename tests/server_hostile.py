#!/usr/bin/env python3
"""Hostile requests against the HTTP server, by raw sockets.   tests/server_hostile.py build/asan/server/server_mock

Every request gets its status or a closed connection; after each the server still answers, and at the end it stops with 0 (an
address sanitizer build reports leaks there).
"""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

here = os.path.dirname(os.path.abspath(__file__))
failures = 0


def check(ok, what):
    global failures
    if not ok:
        failures += 1
        print("FAILED:", what, flush=True)


class Server:
    def __init__(self, binary, trace="mock:isqrt", ui=os.path.join(here, "..", "ui-static"), port=0):
        self.process = subprocess.Popen([binary, "--port", str(port), "--ui", ui, trace], stdout=subprocess.PIPE)
        line = self.process.stdout.readline().decode()
        self.port = int(line.rsplit(":", 1)[1].strip("/\n"))

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


def connect(s):
    c = socket.create_connection(("127.0.0.1", s.port))
    c.settimeout(25)
    return c


def read_all(c):
    data = b""
    try:
        while True:
            part = c.recv(65536)
            if not part:
                break
            data += part
    except (ConnectionError, socket.timeout):
        pass
    return data


def raw(s, request):
    """Status (0: closed without one) and everything received."""
    c = connect(s)
    try:
        c.sendall(request)
    except ConnectionError:
        pass
    data = read_all(c)
    c.close()
    if not data.startswith(b"HTTP/1."):
        return 0, data
    return int(data.split(b" ", 2)[1]), data


def get(s, target, headers="", method="GET", host=None):
    host = host if host is not None else f"127.0.0.1:{s.port}"
    lines = f"{method} {target} HTTP/1.1\r\n" + (f"Host: {host}\r\n" if host else "") + headers + "Connection: close\r\n\r\n"
    return raw(s, lines.encode("latin-1"))


def post(s, body, headers=None, length=None):
    headers = headers if headers is not None else "Content-Type: application/json\r\n"
    return raw(s, (f"POST /api/v1/ask HTTP/1.1\r\nHost: localhost:{s.port}\r\nConnection: close\r\n{headers}"
                   f"Content-Length: {len(body) if length is None else length}\r\n\r\n").encode() + body)


def alive(s, after):
    status, data = get(s, "/api/v1/info")
    check(status == 200 and b'"summary"' in data, f"the server answers after {after}")


def hosts(s):
    for host in ["evil.example", f"evil.example:{s.port}", "127.0.0.1", "127.0.0.1:1", f"127.0.0.1.evil.example:{s.port}",
                 f"[::1]:{s.port}", f"0.0.0.0:{s.port}", "", f"localhost:{s.port}@evil"]:
        for target in ["/", "/main.js", "/api/v1/info"]:
            status, data = get(s, target, host=host)
            check(status in (400, 403), f"Host '{host}' {target}: {status}")
            check(b"isqrt" not in data, f"Host '{host}' learns nothing")
    for host in [f"127.0.0.1:{s.port}", f"localhost:{s.port}"]:
        check(get(s, "/", host=host)[0] == 200, f"Host {host}")
    status, _ = raw(s, f"GET / HTTP/1.1\r\nHost: localhost:{s.port}\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode())
    check(status in (400, 403), f"two Hosts: {status}")
    status, _ = raw(s, b"GET / HTTP/1.0\r\n\r\n")
    check(status in (400, 403), f"no Host: {status}")


def origins(s):
    for header in ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site",
                   f"Origin: https://127.0.0.1:{s.port}"]:
        status, data = get(s, "/api/v1/info", header + "\r\n")
        check(status == 403 and b"isqrt" not in data, f"{header}: {status}")
        status, _ = post(s, b'{"q":"info"}', header + "\r\nContent-Type: application/json\r\n")
        check(status == 403, f"POST {header}: {status}")
    check(get(s, "/api/v1/info", f"Origin: http://127.0.0.1:{s.port}\r\nSec-Fetch-Site: same-origin\r\n")[0] == 200, "own origin")
    check(post(s, b'{"q":"info"}', "Content-Type: text/plain\r\n")[0] == 415, "a form of another site")
    status, data = get(s, "/")
    for wanted in [b"X-Content-Type-Options: nosniff", b"default-src 'none'", b"require-trusted-types-for 'script'", b"frame-ancestors 'none'"]:
        check(wanted in data, f"the page has {wanted}")
    check(b"Access-Control" not in data, "no page of another origin is let in")


def methods(s):
    for method in ["PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "PATCH", "BREW"]:
        status, _ = get(s, "/api/v1/info", method=method)
        check(status in (405, 400, 501), f"{method}: {status}")
    check(raw(s, f"POST /api/v1/info HTTP/1.1\r\nHost: localhost:{s.port}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())[0] == 405, "POST elsewhere")


def paths(s, binary):
    for target in ["/../../../etc/passwd", "/..%2f..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/lib/../../../etc/passwd",
                   "/lib/..%5c..%5cetc/passwd", "/etc/passwd", "/main.js%00.png", "/%00", "/.gitignore", "/lib/", "/lib", "/README.md", "/lib/url.js/",
                   "/%c0%ae%c0%ae/etc/passwd", "/%252e%252e/etc/passwd", "/./main.js", "file:///etc/passwd", "http://evil.example/", "*", "/\x01", "/" + "a" * 20000,
                   "/lib/url.js%20", "/LIB/URL.JS"]:
        status, data = get(s, target)
        check(status in (0, 400, 403, 404, 414, 431), f"{target[:60]}: {status}")
        check(b"root:" not in data, f"{target[:60]} gives a file away")
    with tempfile.TemporaryDirectory() as ui:
        with open(os.path.join(ui, "index.html"), "w") as f:
            f.write("page")
        os.symlink("/etc/passwd", os.path.join(ui, "link.txt"))
        os.symlink("/etc", os.path.join(ui, "etc"))
        os.mkfifo(os.path.join(ui, "fifo.js"))
        other = Server(binary, ui=ui)
        for target in ["/link.txt", "/etc/passwd", "/etc/hosts.txt", "/fifo.js"]:
            check(get(other, target)[0] == 404, f"{target} through a link")
        os.rename(os.path.join(ui, "index.html"), os.path.join(ui, "index.old"))
        os.symlink("/etc/passwd", os.path.join(ui, "index.html"))
        check(b"root:" not in get(other, "/")[1], "a link put there later")
        check(other.stop() == 0, "stops with 0")


def bodies(s):
    for body in [b"", b"{", b"[]", b"null", b'{"q":1}', b'{"q":"info","q":"info"}', b"\xff\xfe", b'{"a":' * 3000, b"[" * 100000, b'{"q":"\xff"}',
                 b'{"q":"info"}x', b'{"q":"in\x00fo"}']:
        status, data = post(s, body)
        check(status == 400, f"body {body[:20]}: {status}")
        if status == 400:
            error = json.loads(data.split(b"\r\n\r\n", 1)[1])["error"]
            check(error["message"] and "what_to_do" in error and "offset" in error and "suggest" in error, f"body {body[:20]} is explained")
    check(post(s, b"x" * (2 << 20))[0] in (413, 0), "a body of 2 MB")
    check(post(s, b"{}", length=1 << 40)[0] in (413, 400, 0), "a length of a terabyte")
    check(post(s, b"{}", length=-5)[0] in (400, 413, 0), "a negative length")
    check(post(s, b"{}", length="99999999999999999999999")[0] in (400, 413, 0), "a huge length")
    chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    status, _ = raw(s, (f"POST /api/v1/ask HTTP/1.1\r\nHost: localhost:{s.port}\r\nContent-Type: application/json\r\nConnection: close\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n").encode() + chunk * 40 + b"0\r\n\r\n")
    check(status in (413, 0), f"2.5 MB in chunks: {status}")
    status, data = post(s, b'{"q":"nope"}')
    check(status == 200 and b'"error"' in data, "an unknown question is answered")
    status, data = get(s, "/api/v1/values?at=1:2&at=3:4")
    check(status == 400, f"a parameter twice: {status}")
    for target in ["/api/v1/blame?limit=abc&expr=n", "/api/v1/blame?expr=%ff", "/api/v1/blame?expr=a%00b", "/api/v1/ask", "/api/v1/ask?q=", "/api/v1/moment?frame=9999999999999999999999"]:
        status, _ = get(s, target)
        check(status in (400, 200), f"{target}: {status}")
    check(get(s, "/api/v1/blme")[0] == 404, "an unknown endpoint")
    check(get(s, "/api/v1/../info")[0] in (400, 404), "dots in an endpoint")
    check(get(s, "/api/v1/moment-all?at=nonsense&with=,,,x&file=../../etc/passwd&have=%27")[0] == 200, "moment-all of nonsense")
    status, data = get(s, "/api/v1/moment-all?at=12:7&with=stack")
    check(status == 200 and data.count(b'"part"') == 1 and b'"summary":{"at":"12:7"' in data, "moment-all gives what is asked")


def headers(s):
    check(get(s, "/", "X: " + "a" * 200000 + "\r\n")[0] in (0, 400, 413, 431), "a header of 200 KB")
    check(get(s, "/", "".join(f"X{i}: y\r\n" for i in range(20000)))[0] in (0, 400, 413, 431), "20 000 headers")
    check(raw(s, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200)[0] in (0, 400, 403), "TLS")
    check(raw(s, b"\r\n" * 1000)[0] in (0, 400, 403, 405), "empty lines") if False else None
    check(raw(s, b"GET\r\n\r\n")[0] in (0, 400, 403, 404, 405), "half a line")
    check(raw(s, b"GET / HTTP/9.9\r\nHost: x\r\n\r\n")[0] in (0, 400, 403, 505), "HTTP/9.9")


def leaves(s):
    """Clients that go away in the middle."""
    for request in [b"GET", b"GET / HTTP/1.1\r\nHost:", f"POST /api/v1/ask HTTP/1.1\r\nHost: localhost:{s.port}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode()]:
        for _ in range(10):
            c = connect(s)
            c.sendall(request)
            c.close()
    alive(s, "half requests")


def streams(binary):
    s = Server(binary, "mock:huge")
    big = f"GET /api/v1/print?location=16&text=aaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: localhost:{s.port}\r\n\r\n".encode()
    for _ in range(8):
        c = connect(s)
        c.sendall(big)
        c.recv(5000)
        c.close()
    started = time.time()
    alive(s, "long answers that were left")
    c = connect(s)
    c.sendall(f"GET /api/v1/print?location=store&text=a HTTP/1.1\r\nHost: localhost:{s.port}\r\nConnection: close\r\n\r\n".encode())
    data = read_all(c)
    check(b'"hits":123000' in data, "the next long answer is whole")
    check(time.time() - started < 20, f"it did not wait for those that were left: {time.time() - started:.1f} s")
    # one that reads nothing does not hold up the quick questions
    slow = connect(s)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(big)
    time.sleep(0.5)
    started = time.time()
    alive(s, "a reader that reads nothing")
    check(time.time() - started < 2, "quick questions go on")
    results = []

    def many():
        results.append(get(s, "/api/v1/moment-all?at=12:7")[0])
    threads = [threading.Thread(target=many) for _ in range(40)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check(results == [200] * 40, f"forty at once: {results}")
    started = time.time()
    check(s.stop() == 0, "stops with 0 in the middle of an answer")
    check(time.time() - started < 8, "stops soon")
    slow.close()


def slow_loris(s):
    """Connections that send a byte now and then are closed, and a full house empties."""
    connections = [connect(s) for _ in range(127)]
    for c in connections:
        c.sendall(b"GET / HT")
    deadline = time.time() + 20
    closed = 0
    while time.time() < deadline and closed < len(connections):
        time.sleep(1)
        for c in connections:
            if c.fileno() < 0:
                continue
            try:
                c.sendall(b"T")
                c.setblocking(False)
                try:
                    gone = c.recv(1) == b""
                except BlockingIOError:
                    gone = False
                c.setblocking(True)
            except OSError:
                gone = True
            if gone:
                c.close()
                closed += 1
    check(closed == len(connections), f"{closed} of {len(connections)} that never finish are closed")
    alive(s, "slow clients")


def refusals(binary):
    s = Server(binary)
    for arguments, wanted in [(["--port", str(s.port)], "in use"), (["nowhere"], "no trace"), (["--ui", "/nonexistent"], "UI is not"), (["--ui", "/tmp/"], "")]:
        p = subprocess.run([binary, "--ui", os.path.join(here, "..", "ui-static"), *arguments], capture_output=True, text=True, timeout=20) if wanted else None
        if p:
            check(p.returncode == 3 and wanted in p.stderr and len(p.stderr.splitlines()) >= 2, f"{arguments}: {p.stderr}")
    check(s.stop() == 0, "stops with 0")


def main():
    binary = sys.argv[1]
    s = Server(binary)
    for name, step in [("hosts", hosts), ("origins", origins), ("methods", methods), ("bodies", bodies), ("headers", headers), ("leaves", leaves)]:
        step(s)
        alive(s, name)
    paths(s, binary)
    alive(s, "paths")
    slow_loris(s)
    other = socket.socket(socket.AF_INET)
    addresses = {i[4][0] for i in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for address in addresses:
        if address.startswith("127."):
            continue
        other.settimeout(2)
        check(other.connect_ex((address, s.port)) != 0, f"nobody listens on {address}")
    other.close()
    check(s.stop() == 0, "stops with 0")
    streams(binary)
    refusals(binary)
    print("server: all hostile requests were refused or answered" if not failures else f"{failures} failed")
    sys.exit(failures != 0)


main()
