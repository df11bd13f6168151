import sys,time
from tests.chaos.line import ChaosLine
from tests.chaos import cell
from tests.chaos.faults import FAULTS
sel = sys.argv[1:]
with ChaosLine() as line:
    print("up", flush=True)
    for s in sel:
        p,part,f = s.split("/")
        point = next(x for x in cell.ALL_POINTS if x.name==p)
        fault = next(x for x in FAULTS if x.process==part and x.name==f)
        r = cell.run(line, point, fault)
        print(s, r.broken or r.not_applicable or "ok", f"{r.seconds:.1f}", flush=True)
        for c in line.telephones.calls()[-4:]: print("   ", c)
        if r.broken: print(line.last_lines())
