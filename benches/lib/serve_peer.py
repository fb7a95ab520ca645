"""The FastAPI + ONNX Runtime side of the serving benchmarks: the network Cupola exported, one record per request.

  NETWORK=model.onnx uvicorn serve_peer:app --workers 2 --loop uvloop --http httptools --no-access-log

It feeds the numbers to the network as they are. Cupola also normalises them, with the plan fitted in training.
"""
import os

import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import create_model

NAMES = [f"f{i}" for i in range(30)]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["NETWORK"], options, providers=["CPUExecutionProvider"])
INPUT = session.get_inputs()[0].name
OUTPUT = session.get_outputs()[0].name
Record = create_model("Record", **{name: (float, ...) for name in NAMES})
app = FastAPI()


@app.post("/predict")
async def predict(record: Record):
    values = record.__dict__
    x = np.array([[values[name] for name in NAMES]], dtype=np.float32)
    return {"score": float(session.run([OUTPUT], {INPUT: x})[0].reshape(-1)[0])}
