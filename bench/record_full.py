"""Sourced by gdb (bench/run does it): record the program with `record full` for a while; print how far that came.

Environment: ARGUMENTS (as for a shell), SECONDS_LIMIT. Prints one line: "record-full: INSTRUCTIONS SECONDS WHY": CPU seconds of gdb and the program; limit, exit, or what stopped it.
The part before the program's entry point is left out: gdb cannot record ld.so's XSAVE. AVX is what gdb cannot record either;
bench/run asks libc not to use it.
"""
import os, re, resource, signal, threading, time

import gdb

for setting in "pagination off", "confirm off", "record full insn-number-max 0", "print inferior-events off":
    gdb.execute("set " + setting)


def cpu_seconds():
    """Of gdb and of the program, which it has not waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = time.process_time() + used.ru_utime + used.ru_stime
    try:
        with open(f"/proc/{gdb.selected_inferior().pid}/stat") as f:
            total += sum(map(int, f.read().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        pass  # it has ended and is among those waited for
    return total


gdb.execute(f"starti {os.environ['ARGUMENTS']} >/dev/null", to_string=True)
entry = int(re.search(r"AT_ENTRY.*?(0x[0-9a-f]+)", gdb.execute("info auxv", to_string=True)).group(1), 16)
gdb.execute(f"tbreak *{entry}", to_string=True)
gdb.execute("continue", to_string=True)
gdb.execute("record full")
exited = []
gdb.events.exited.connect(lambda event: exited.append(1))
limit = float(os.environ["SECONDS_LIMIT"])
timer = threading.Timer(limit, lambda: os.kill(os.getpid(), signal.SIGINT))
timer.daemon = True
timer.start()
start, start_cpu = time.monotonic(), cpu_seconds()
try:
    why = gdb.execute("continue", to_string=True)
except (gdb.error, KeyboardInterrupt) as err:
    why = str(err)
seconds = time.monotonic() - start
cpu = cpu_seconds() - start_cpu
timer.cancel()
unknown = re.search(r"(?:does not|doesn't) support (instruction|syscall)(?: number)? (\w+)", why)
count = re.search(r"Log contains (\d+)", gdb.execute("info record", to_string=True))
if unknown:
    why = " ".join(unknown.groups())
elif seconds > limit - 0.5:
    why = "limit"
elif exited or "inferior program stopped" in why:
    why = "exit"
else:
    why = " ".join(why.split())[:80]
print(f"record-full: {count.group(1) if count else 0} {cpu:.3f} {why}", flush=True)
os._exit(0)  # the program dies with gdb
