"""The pandas + scikit-learn + ONNX Runtime side of benches/predict.

  predict_peer.py NETWORK.onnx TRAIN.parquet ROWS.parquet|ROWS.csv quantile|plain

The last word it prints is the seconds from opening the file to the written scores.
"""
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
from sklearn.preprocessing import QuantileTransformer

BATCH = 8192
network, train, path, form = sys.argv[1:]
path = Path(path)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 2
session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
fit = pd.read_parquet(train).drop(columns="label").to_numpy(np.float32)
scale = QuantileTransformer(output_distribution="normal", random_state=0).fit(fit)

start = time.perf_counter()
rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
x = rows.to_numpy(np.float32)
if form == "quantile":
    x = scale.transform(x).astype(np.float32)
parts = [session.run(None, {name: x[i:i + BATCH]})[0] for i in range(0, len(x), BATCH)]
scores = pd.DataFrame({"score": np.concatenate(parts).reshape(-1)})
out = path.with_name(f"peer_scores{path.suffix}")
scores.to_parquet(out, index=False) if path.suffix == ".parquet" else scores.to_csv(out, index=False)
print(f"rows {len(scores)} seconds {time.perf_counter() - start:.4f}")
