# Run inside gdb: every change of $EXPRESSION, in order, as "\1LINE OLD NEW"; the line is that of the writing instruction.
import gdb, os

for setting in ["pagination off", "confirm off", "width 0", "debuginfod enabled off", "disable-randomization on"]:
    gdb.execute("set " + setting, to_string=True)
expression = os.environ["EXPRESSION"]
gdb.execute("break *_start", to_string=True)
gdb.execute("run >/dev/null", to_string=True)
last = [gdb.parse_and_eval(expression).format_string(symbols=False)]


class Watch(gdb.Breakpoint):
    def stop(self):
        now = gdb.parse_and_eval(expression).format_string(symbols=False)
        place = gdb.find_pc_line(gdb.selected_frame().pc() - 1)  # a watchpoint stops behind the instruction
        print("\1%s:%d %s => %s" % (os.path.basename(place.symtab.filename) if place.symtab else "?",
                                    place.line, last[0], now))
        last[0] = now
        return False


address = gdb.parse_and_eval("&(%s)" % expression)
watch = Watch("*(%s)%s" % (address.type, hex(int(address))), gdb.BP_WATCHPOINT, gdb.WP_WRITE)
gdb.execute("continue")
