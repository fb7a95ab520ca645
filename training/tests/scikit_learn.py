"""Prints scikit-learn's metrics of the cases in the JSON file named first, in their order."""
import json
import sys

import numpy as np
from sklearn import metrics as m


def binary(y, p, w):
    best = max(((m.f1_score(y, p >= t, sample_weight=w), t) for t in np.unique(p)), key=lambda b: (b[0], b[1]))
    return {
        "roc_auc": m.roc_auc_score(y, p, sample_weight=w),
        "pr_auc": m.average_precision_score(y, p, sample_weight=w),
        "log_loss": m.log_loss(y, p, sample_weight=w),
        "brier": m.brier_score_loss(y, p, sample_weight=w),
        "f1": best[0],
    }


def multiclass(y, p, w):
    top = p.argmax(1)
    # Only the logarithm wants sums of exactly 1; scaling the rows would part scores that are equal.
    scaled = p / p.sum(1, keepdims=True)
    return {
        "log_loss": m.log_loss(y, scaled, sample_weight=w, labels=range(p.shape[1])),
        "accuracy": m.accuracy_score(y, top, sample_weight=w),
        "macro_f1": m.f1_score(y, top, sample_weight=w, average="macro"),
        "roc_auc_ovr": m.roc_auc_score(y, p, sample_weight=w, multi_class="ovr"),
    }


def regression(y, p, w):
    return {
        "rmse": m.root_mean_squared_error(y, p, sample_weight=w),
        "mae": m.mean_absolute_error(y, p, sample_weight=w),
        "r2": m.r2_score(y, p, sample_weight=w),
    }


def poisson(y, p, w):
    return {
        "mean_poisson_deviance": m.mean_poisson_deviance(y, p, sample_weight=w),
        "rmse": m.root_mean_squared_error(y, p, sample_weight=w),
    }


def ranking(y, p, groups):
    """NDCG with gains of 2^relevance - 1, over the lists that have a relevant row."""
    lists = [groups == g for g in np.unique(groups)]
    lists = [of for of in lists if y[of].any()]
    ndcg = lambda k: np.mean([m.ndcg_score([2.0 ** y[of] - 1], [p[of]], k=k) for of in lists])
    return {"ndcg_at_10": ndcg(10), "ndcg": ndcg(None)}


kinds = {"binary": binary, "multiclass": multiclass, "regression": regression, "poisson": poisson}
out = []
for case in json.load(open(sys.argv[1])):
    y, p = np.array(case["labels"]), np.array(case["scores"], dtype=np.float64)
    if case["kind"] == "ranking":
        out.append({k: float(v) for k, v in ranking(y, p, np.array(case["groups"])).items()})
        continue
    w = None if case["weights"] is None else np.array(case["weights"])
    if case["kind"] in ("binary", "multiclass"):
        y = y.astype(int)
    if case["kind"] == "multiclass":
        p = p.reshape(len(y), -1)
    out.append({k: float(v) for k, v in kinds[case["kind"]](y, p, w).items()})
print(json.dumps(out))
