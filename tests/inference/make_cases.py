#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the cases of tests/inference/data/more with the trainers that are installed beside the interpreter that runs it.

    python make_cases.py xgboost|lightgbm|catboost|onnx DIR

A case is a model, the rows, and what its own library says of them: NAME.in.{f32,f64}, NAME.margin.*, NAME.pred.*, and a line of
DIR/cases.txt: model, columns, and the relative distance that predictions may have ("bits": none; margins never may, except CatBoost's and
ONNX's, which follow the same number). Names carry the library's version, since formats changed: the committed ones are of XGBoost
1.0.2, 1.7.6, 2.1.4, 3.3.0 and 3.4.1 (numpy below 1.24 for 1.0.2), LightGBM 4.7.0, CatBoost 1.2.10, scikit-learn 1.9.1 with skl2onnx 1.20.0,
onnxmltools 1.16.0 and onnxruntime 1.32.0 on one thread. XGBoost reads its file back before it predicts; predictions of 1.0.2's file
are those of 1.7.6 (1.0 to 1.2 add the base score last).
"""
import os
import sys

import numpy as np

for name in ("bool", "int", "float", "object"):
    if np.__version__.startswith("1.") and not hasattr(np, name):
        setattr(np, name, {"bool": bool, "int": int, "float": float, "object": object}[name])

ROWS, COLUMNS = 48, 6
rng = np.random.default_rng(20)
out = sys.argv[2]


def training(n=400):
    x = rng.normal(size=(n, COLUMNS))
    x[:, 1] = rng.poisson(1.5, n)
    x[:, 4] = rng.integers(0, 40, n)
    x[:, 5] = rng.integers(0, 4, n)
    y = 1.5 * x[:, 0] + np.sin(2 * x[:, 2]) + (x[:, 4] % 7 > 3) - (x[:, 5] == 2) + (x[:, 1] == 0)
    x[rng.random(x.shape) < 0.08] = np.nan
    return x, y + 0.3 * rng.normal(size=n)


def rows(thresholds, dtype, missing=True, infinite=True):
    """Random, at thresholds and one step beside them, special values, missing."""
    r = rng.normal(size=(ROWS, COLUMNS)).astype(dtype) * dtype(1.5)
    r[:, 4], r[:, 5] = rng.integers(0, 40, ROWS), rng.integers(0, 4, ROWS)
    special = [0.0, -0.0, 1e-40, 1e-35, -1e-35, 3e38] + ([np.inf, -np.inf] if infinite else [])
    for i in range(8, ROWS):
        for f in range(COLUMNS):
            of = [t for g, t in thresholds if g == f and t == t]
            if i < 32 and of and rng.random() < 0.7:
                t = dtype(of[rng.integers(len(of))])
                r[i, f] = [t, np.nextafter(t, dtype(np.inf)), np.nextafter(t, dtype(-np.inf))][rng.integers(3)]
            elif f < 4 and i >= 32 and rng.random() < 0.4:
                r[i, f] = special[rng.integers(len(special))]
    if missing:
        r[rng.random(r.shape) < 0.1] = np.nan
    return r


def store(stem, extension, data, table, margin, prediction, distance):
    kind = {4: "f32", 8: "f64"}[table.dtype.itemsize]
    with open(os.path.join(out, stem + extension), "wb") as file:
        file.write(data)
    table.tofile(os.path.join(out, f"{stem}.in.{kind}"))
    for what, values in (("margin", margin), ("pred", prediction)):
        if values is not None:
            values = np.ascontiguousarray(values.reshape(len(table), -1))
            values.tofile(os.path.join(out, f"{stem}.{what}.{'f32' if values.dtype == np.float32 else 'f64'}"))
    with open(os.path.join(out, "cases.txt"), "a") as file:
        file.write(f"{stem}{extension} {table.shape[1]} {distance}\n")


def xgboost_cases():
    import json

    import xgboost as xgb

    version = tuple(int(v) for v in xgb.__version__.split(".")[:2])
    x, y = training()
    x, y = x.astype(np.float32), y.astype(np.float32)
    yes, grade, positive = (y > 0).astype(int), np.digitize(y, [-1, 0, 1.2]), np.exp(np.clip(y, -3, 3))
    two = np.stack([y, 1 - y], 1)
    plain = {
        "poisson": ({"objective": "count:poisson"}, np.floor(positive)), "gamma": ({"objective": "reg:gamma"}, positive),
        "tweedie": ({"objective": "reg:tweedie"}, positive), "cox": ({"objective": "survival:cox"}, positive),
        "hinge": ({"objective": "binary:hinge"}, yes), "logitraw": ({"objective": "binary:logitraw", "base_score": 0.3}, yes),
        "softmax_dart": ({"objective": "multi:softmax", "num_class": 4, "booster": "dart", "rate_drop": 0.4}, grade),
        "softprob_rf": ({"objective": "multi:softprob", "num_class": 4, "num_parallel_tree": 2, "subsample": 0.6}, grade),
        "logistic": ({"objective": "binary:logistic", "base_score": 0.3}, yes), "pruned": ({"gamma": 2.0, "tree_method": "exact"}, y),
    }
    wanted = {"1.0": ["logistic", "softmax_dart"], "1.7": ["poisson", "cox", "pruned"], "2.1": [], "3.3": ["softmax_dart"],
              "3.4": list(plain)}[".".join(map(str, version))]
    cases = [(n, *plain[n], {}) for n in wanted]
    if version >= (1, 7):
        kinds = {"feature_types": ["q"] * 4 + ["c", "c"], "enable_categorical": True}
        cases.append(("onehot", {"objective": "binary:logistic", "tree_method": "hist", "max_cat_to_onehot": 64}, yes, kinds))
        cases.append(("set_multi", {"objective": "multi:softprob", "num_class": 4, "tree_method": "hist", "max_cat_to_onehot": 1}, grade, kinds))
    if version >= (2, 1):
        vector = {"tree_method": "hist", "multi_strategy": "multi_output_tree"}
        cases.append(("vector", dict(vector, objective="reg:squarederror"), two, {}))
        cases.append(("vector_softprob", dict(vector, objective="multi:softprob", num_class=4), grade, {}))
        cases.append(("quantiles", {"objective": "reg:quantileerror", "quantile_alpha": [0.2, 0.8]}, y, {}))
    if version >= (3, 3):
        cases.append(("expectiles", {"objective": "reg:expectileerror", "expectile_alpha": [0.1, 0.5, 0.9]}, y, {}))
    for name, parameters, label, matrix in cases:
        data = xgb.DMatrix(x, label=label, **matrix)
        booster = xgb.train({"max_depth": 3, "eta": 0.5, "verbosity": 0, **parameters}, data, 3)
        stem = f"xgb_{name}_{version[0]}{version[1]}"
        path = os.path.join(out, stem + ".json")
        booster.save_model(path)
        with open(path, "rb") as file:
            text = file.read()
        trees = json.loads(text)["learner"]["gradient_booster"]
        trees = trees.get("gbtree", trees)["model"]["trees"]
        thresholds = [(f, t) for tree in trees for f, t, l in zip(tree["split_indices"], tree["split_conditions"], tree["left_children"]) if l != -1]
        table = rows(thresholds, np.float32, infinite=False)
        again = xgb.Booster(model_file=path)
        frame = xgb.DMatrix(table, **matrix)
        margin, prediction = again.predict(frame, output_margin=True), again.predict(frame)
        store(stem, ".json", text, table, np.float32(margin), np.float32(prediction), "1ulp")
        if version >= (3, 3) or (version >= (1, 7) and "vector" not in name):
            contributions = again.predict(frame, pred_contribs=True)
            np.float32(contributions).tofile(os.path.join(out, stem + ".contribs.f32"))


def lightgbm_cases():
    import lightgbm as lgb

    x, y = training()
    yes, grade, positive = (y > 0).astype(int), np.digitize(y, [-1, 0, 1.2]), np.exp(np.clip(y, -3, 3))
    share = 1 / (1 + np.exp(-y))
    for name, parameters, label in (
            ("quantile_sqrt", {"objective": "quantile", "reg_sqrt": True}, y), ("huber_sqrt", {"objective": "huber", "reg_sqrt": True}, y),
            ("mape", {"objective": "mape"}, y), ("gamma", {"objective": "gamma"}, positive), ("tweedie", {"objective": "tweedie"}, positive),
            ("poisson_rf", {"objective": "poisson", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, np.floor(positive)),
            ("cross_entropy", {"objective": "cross_entropy"}, share), ("xentlambda", {"objective": "cross_entropy_lambda"}, share),
            ("lambdarank", {"objective": "lambdarank"}, grade), ("ova_sigmoid", {"objective": "multiclassova", "num_class": 4, "sigmoid": 0.7}, grade),
            ("binary_nobfa", {"objective": "binary", "boost_from_average": False, "sigmoid": 3.14159}, yes),
            ("multi_dart", {"objective": "multiclass", "num_class": 4, "boosting": "dart"}, grade),
            ("linear_multi", {"objective": "multiclass", "num_class": 4, "linear_tree": True}, grade),
            ("no_missing", {"objective": "regression", "use_missing": False}, y),
            ("zero_cat", {"objective": "binary", "zero_as_missing": True, "min_data_per_group": 5, "cat_smooth": 1}, yes)):
        parameters = {"verbosity": -1, "num_leaves": 6, "min_data_in_leaf": 10, "learning_rate": 0.4, "num_threads": 1, **parameters}
        data = lgb.Dataset(x, label=label, group=[40] * 10 if name == "lambdarank" else None, params=parameters,
                           categorical_feature=[4, 5] if "cat" in name else "auto")
        text = lgb.train(parameters, data, 3).model_to_string()
        again = lgb.Booster(model_str=text)
        thresholds = []
        for block in text.split("Tree=")[1:]:
            lines = dict(line.split("=", 1) for line in block.split("\n") if "=" in line)
            thresholds += zip(map(int, lines.get("split_feature", "").split()), map(float, lines.get("threshold", "").split()))
        table = rows(thresholds, np.float64)
        store("lgb_" + name, ".txt", text.encode(), table, again.predict(table, raw_score=True), again.predict(table), "1ulp")


def catboost_cases():
    import json

    import catboost as cb

    x, y = training()
    x = x.astype(np.float32)
    yes, grade, share = (y > 0).astype(int), np.digitize(y, [-1, 0, 1.2]), 1 / (1 + np.exp(-y))
    for name, loss, label, kind, extra in (
            ("ova_max", "MultiClassOneVsAll", grade, "Probability", {"nan_mode": "Max"}), ("cross", "CrossEntropy", share, "Probability", {}),
            ("focal", "Focal:focal_alpha=0.5;focal_gamma=2", yes, "Probability", {}), ("poisson", "Poisson", np.floor(np.exp(y)), "Exponent", {}),
            ("many", "MultiCrossEntropy", np.stack([share, 1 - share], 1), "Probability", {}),
            ("lossguide_max", "MultiClass", grade, "Probability", {"grow_policy": "Lossguide", "nan_mode": "Max"}),
            ("rmse_depthwise", "RMSE", y, None, {"grow_policy": "Depthwise"})):
        model = cb.CatBoost({"loss_function": loss, "iterations": 3, "depth": 3, "learning_rate": 0.5, "verbose": False, "thread_count": 1,
                             "allow_writing_files": False, "border_count": 32, **extra})
        model.fit(cb.Pool(x, label))
        path = os.path.join(out, "scratch.json")
        model.save_model(path, format="json")
        with open(path, "rb") as file:
            text = file.read()
        os.remove(path)
        parts = json.loads(text)
        parts["model_info"] = {"params": {"loss_function": {"type": loss.split(":")[0]}}}
        text = json.dumps(parts, separators=(",", ":")).encode()
        thresholds = [(f["flat_feature_index"], b) for f in parts["features_info"]["float_features"] for b in f.get("borders") or []]
        table = rows(thresholds, np.float32)
        raw = np.asarray(model.predict(table, prediction_type="RawFormulaVal"), np.float64)
        prediction = raw if kind is None else np.asarray(model.predict(table, prediction_type=kind), np.float64)
        store("cb_" + name, ".json", text, table, raw, prediction, "1e-14")


def onnx_cases():
    import lightgbm as lgb
    import onnxmltools
    import onnxruntime as ort
    from onnx import helper
    from onnxmltools.convert.common.data_types import FloatTensorType as ToolsType
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, RandomForestRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    x, y = training()
    x = np.nan_to_num(x).astype(np.float32)
    yes, grade = (y > 0).astype(int), np.digitize(y, [-1, 0, 1.2])

    def boosted(kind=GradientBoostingRegressor):
        return kind(n_estimators=3, max_depth=3)

    columns = ColumnTransformer([("a", StandardScaler(), [2, 0]), ("b", SimpleImputer(), [5, 4])], remainder="passthrough")
    models = [("minmax_clip", make_pipeline(MinMaxScaler(clip=True), boosted()), y, False), ("columns", make_pipeline(columns, boosted()), y, True),
              ("standard_imputer", make_pipeline(StandardScaler(), SimpleImputer(), boosted(GradientBoostingClassifier)), yes, True),
              ("columns_multi", make_pipeline(columns, boosted(GradientBoostingClassifier)), grade, True),
              ("forest_targets", RandomForestRegressor(3, max_depth=3), np.stack([y, -y], 1), False)]
    made = []
    for name, model, label, missing in models:
        model.fit(x, label)
        made.append((name, convert_sklearn(model, initial_types=[("X", FloatTensorType([None, COLUMNS]))], options={"zipmap": False} if label.dtype.kind == "i" else None,
                                           target_opset={"": 17, "ai.onnx.ml": 3}), missing))
    for name, parameters, label in (("lgb_poisson", {"objective": "poisson"}, np.floor(np.exp(y))),
                                    ("lgb_rf", {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, y)):
        model = lgb.LGBMRegressor(n_estimators=3, num_leaves=6, verbosity=-1, n_jobs=1, **parameters).fit(x, label)
        made.append((name, onnxmltools.convert_lightgbm(model, initial_types=[("X", ToolsType([None, COLUMNS]))], target_opset=15), False))
    forest = next(m for n, m, _ in made if n == "forest_targets")
    for aggregate in ("MIN", "MAX"):
        changed = type(forest).FromString(forest.SerializeToString())
        node = changed.graph.node[0]
        for attribute in list(node.attribute):
            if attribute.name == "aggregate_function":
                node.attribute.remove(attribute)
        node.attribute.append(helper.make_attribute("aggregate_function", aggregate))
        made.append(("targets_" + aggregate.lower(), changed, True))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    for name, model, missing in made:
        data = model.SerializeToString()
        session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        table = rows([], np.float32, missing=missing, infinite=missing)
        results = session.run(None, {"X": table})
        prediction = next(r for r in results if r.dtype == np.float32)
        store("onnx_" + name, ".onnx", data, table, None, prediction, "4e-7")


if __name__ == "__main__":
    {"xgboost": xgboost_cases, "lightgbm": lightgbm_cases, "catboost": catboost_cases, "onnx": onnx_cases}[sys.argv[1]]()
