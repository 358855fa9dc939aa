# SPDX-License-Identifier: Apache-2.0
"""onnxruntime on the models of bench_trees, one thread, other rows in every call, the least of several rounds. Its Python
call adds a few microseconds, which tell at one row and not at 1024. Usage: trees_onnx.py DIRECTORY [SHAPE...]"""
import os
import sys
import time

import numpy
import onnxruntime


def main():
    directory = sys.argv[1]
    rows = numpy.fromfile(f"{directory}/rows.f32", "f").reshape(-1, 50)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for shape in sys.argv[2:] or ["A", "B", "C"]:
        path = f"{directory}/{shape}.onnx"
        if not os.path.exists(path):
            print(f"{shape} onnxruntime: left out, {path} is not there")
            continue
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        name, output = session.get_inputs()[0].name, [session.get_outputs()[-1].name]
        times = []
        for batch, calls in ((1, 500), (32, 60), (1024, 4)):
            best = 1e9
            for round_ in range(7):
                at = round_ * 2741 * batch % (len(rows) - 2048)
                start = time.perf_counter()
                for _ in range(calls):
                    session.run(output, {name: rows[at:at + batch]})
                    at = (at + batch) % (len(rows) - 2048)
                best = min(best, (time.perf_counter() - start) / calls)
            times.append(best * 1e6)
        print(f"{shape:6} onnxruntime {onnxruntime.__version__:10} {times[0]:9.2f} us {times[1]:9.2f} us {times[2]:9.2f} us",
              flush=True)


main()
