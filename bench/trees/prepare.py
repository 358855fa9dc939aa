# SPDX-License-Identifier: Apache-2.0
"""Prepares what bench_trees times: models of three shapes trained by XGBoost and LightGBM, their compiled forms from
lleaves and tl2cgen, and the paths of the peers' libraries. Needs numpy, xgboost and lightgbm from PyPI; lleaves, tl2cgen
with treelite, onnxmltools and onnxruntime where they are there. What is missing or takes its compiler too long is named in
DIRECTORY/left-out. Usage: prepare.py DIRECTORY"""
import glob
import importlib.metadata
import multiprocessing
import os
import subprocess
import sys
import sysconfig

import lightgbm
import numpy
import xgboost

SHAPES = {  # name: rows to train on, trees, depth, leaves
    "A": (20000, 100, 6, 64),
    "B": (30000, 500, 8, 256),
    "C": (20000, 1000, 0, 64),
}
FEATURES = 50


def data(rows, seed):
    random = numpy.random.default_rng(seed)
    x = random.normal(size=(rows, FEATURES)).astype("f")
    x[:, 10:20] = random.poisson(3, (rows, 10))
    x[:, 20:30] = random.lognormal(size=(rows, 10))
    y = x[:, 0] * x[:, 1] + numpy.sin(x[:, 2] * 3) + 0.3 * x[:, 12] + numpy.log1p(x[:, 22]) + random.normal(size=rows)
    y += sum(0.2 * x[:, i] * x[:, 49 - i] for i in range(3, 25))
    x[random.random(x.shape) < 0.05] = numpy.nan
    return x, (y > numpy.median(y)).astype("f")


def train(directory, shape):
    rows, trees, depth, leaves = SHAPES[shape]
    x, y = data(rows, 7)
    options = {"objective": "binary:logistic", "tree_method": "hist", "nthread": 1, "eta": 0.1}
    options.update({"max_depth": depth} if depth else {"grow_policy": "lossguide", "max_leaves": leaves, "max_depth": 0})
    options["min_child_weight"] = 0.1
    model = xgboost.train(options, xgboost.DMatrix(x, y), trees)
    model.save_model(f"{directory}/{shape}.json")
    model.save_model(f"{directory}/{shape}.ubj")
    light = {"objective": "binary", "num_leaves": leaves, "max_depth": depth or -1, "verbose": -1, "num_threads": 1,
             "min_data_in_leaf": 2}
    lightgbm.train(light, lightgbm.Dataset(x.astype("d"), y), trees).save_model(f"{directory}/{shape}.lgb.txt")


COMPILE_SECONDS_MAX = 900


def leave_out(directory, what, reason):
    print(f"left out: {what} ({reason})", flush=True)
    with open(f"{directory}/left-out", "a", encoding="utf-8") as file:
        file.write(f"left out: {what} ({reason})\n")


def run_step(directory, step, shape):
    """In a process of its own, so that a compiler that never ends or takes all memory can be stopped."""
    process = multiprocessing.get_context("spawn").Process(target=step, args=(directory, shape))
    process.start()
    process.join(COMPILE_SECONDS_MAX)
    if process.is_alive():
        process.kill()
        process.join()
        leave_out(directory, f"{shape} {step.__name__}", f"not done after {COMPILE_SECONDS_MAX} s")
    elif process.exitcode != 0:
        leave_out(directory, f"{shape} {step.__name__}", f"exit status {process.exitcode}")
    else:
        print(f"{shape} {step.__name__}: ready", flush=True)


def compile_lleaves(directory, shape):
    import lleaves
    model = lleaves.Model(model_file=f"{directory}/{shape}.lgb.txt")
    cache = f"{directory}/{shape}.lleaves.o"
    model.compile(cache=cache, raw_score=True, finline=shape != "B")  # inlined, B takes LLVM all memory
    subprocess.run(["gcc", "-shared", "-o", f"{directory}/{shape}.lleaves.so", cache, "-lm"], check=True)


def compile_tl2cgen(directory, shape):
    import tl2cgen
    import treelite
    model = treelite.frontend.load_xgboost_model(f"{directory}/{shape}.json", format_choice="use_suffix")
    tl2cgen.export_lib(model, toolchain="gcc", libpath=f"{directory}/{shape}.tl2cgen.so",
                       params={"parallel_comp": 64 if shape == "B" else 8}, nthread=1)


def convert_onnx(directory, shape):
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType
    model = xgboost.XGBClassifier()
    model.load_model(f"{directory}/{shape}.json")
    graph = onnxmltools.convert_xgboost(model, initial_types=[("x", FloatTensorType([None, FEATURES]))])
    onnxmltools.utils.save_model(graph, f"{directory}/{shape}.onnx")


def library(directory, name, pattern):
    """A line "name version path" for what can be opened or was compiled with; the newest XGBoost stands beside the venv."""
    version = importlib.metadata.version(name)
    roots = [os.path.join(sysconfig.get_paths()["purelib"], name)]
    newest = f"{directory}/newest/{name}"
    if os.path.exists(newest):
        roots.insert(0, newest)
        version = glob.glob(f"{directory}/newest/{name}-*.dist-info")[0].rsplit("-", 2)[1].removesuffix(".dist")
    if pattern is None:
        return f"{name} {version} -\n"
    found = [path for root in roots for path in sorted(glob.glob(f"{root}/**/{pattern}", recursive=True))]
    return f"{name} {version} {os.path.abspath(found[0])}\n"


def main():
    directory = sys.argv[1]
    with open(f"{directory}/libraries", "w", encoding="utf-8") as file:
        for name, pattern in (("xgboost", "libxgboost.so"), ("lightgbm", "lib_lightgbm.so"),
                              ("onnxruntime", "libonnxruntime.so*"), ("lleaves", None), ("tl2cgen", None)):
            try:
                file.write(library(directory, name, pattern))
            except (importlib.metadata.PackageNotFoundError, IndexError):
                leave_out(directory, name, "not installed")
    for shape in SHAPES:
        train(directory, shape)
        print(f"{shape}: trained", flush=True)
        for step in (convert_onnx, compile_lleaves, compile_tl2cgen):
            run_step(directory, step, shape)
    data(16384, 99)[0].tofile(f"{directory}/rows.f32")  # last: where it is, all is ready


if __name__ == "__main__":
    main()
