# SPDX-License-Identifier: Apache-2.0
"""Prepares what bench_trees times: models of three shapes trained by XGBoost and LightGBM, their compiled forms from
lleaves and tl2cgen, and the paths of the peers' libraries. Needs numpy, xgboost and lightgbm from PyPI; lleaves, tl2cgen
with treelite, onnxmltools and onnxruntime where they are there. Usage: trees_prepare.py DIRECTORY"""
import glob
import os
import subprocess
import sys

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


def optional(what, action):
    try:
        action()
        print(f"{what}: ready", flush=True)
    except Exception as error:  # a peer that is missing or fails is left out of the comparison, with its reason
        print(f"{what}: left out ({type(error).__name__}: {str(error)[:100]})", flush=True)


def compile_lleaves(directory, shape):
    import lleaves
    model = lleaves.Model(model_file=f"{directory}/{shape}.lgb.txt")
    cache = f"{directory}/{shape}.lleaves.o"
    model.compile(cache=cache, raw_score=True)
    subprocess.run(["gcc", "-shared", "-o", f"{directory}/{shape}.lleaves.so", cache, "-lm"], check=True)


def compile_tl2cgen(directory, shape):
    import tl2cgen
    import treelite
    model = treelite.frontend.load_xgboost_model(f"{directory}/{shape}.json", format_choice="use_suffix")
    tl2cgen.export_lib(model, toolchain="gcc", libpath=f"{directory}/{shape}.tl2cgen.so", params={"parallel_comp": 8},
                       nthread=1)


def convert_onnx(directory, shape):
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType
    model = xgboost.XGBClassifier()
    model.load_model(f"{directory}/{shape}.json")
    graph = onnxmltools.convert_xgboost(model, initial_types=[("x", FloatTensorType([None, FEATURES]))])
    onnxmltools.utils.save_model(graph, f"{directory}/{shape}.onnx")


def main():
    directory = sys.argv[1]
    shapes = sys.argv[2:] or list(SHAPES)
    os.makedirs(directory, exist_ok=True)
    with open(f"{directory}/libraries", "w", encoding="utf-8") as file:
        for module, pattern in ((xgboost, "libxgboost.so"), (lightgbm, "lib_lightgbm.so")):
            found = glob.glob(os.path.join(os.path.dirname(module.__file__), "**", pattern), recursive=True)
            file.write(f"{module.__name__} {module.__version__} {found[0]}\n")
    for shape in shapes:
        train(directory, shape)
        print(f"{shape}: trained", flush=True)
        if shape != "B":  # its compilers run for many minutes
            optional(f"{shape} lleaves", lambda shape=shape: compile_lleaves(directory, shape))
            optional(f"{shape} tl2cgen", lambda shape=shape: compile_tl2cgen(directory, shape))
        optional(f"{shape} onnx", lambda shape=shape: convert_onnx(directory, shape))
    data(16384, 99)[0].tofile(f"{directory}/rows.f32")  # last: where it is, all is ready


main()
