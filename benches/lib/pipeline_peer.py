"""The pandas + scikit-learn + PyTorch side of benches/pipeline_memory.

  pipeline_peer.py transactions.parquet

Reads, splits by time, normalises, embeds the two ids, trains three epochs of 256-256, and judges on the test part.
The last word it prints is the seconds spent in the training loop.
"""
import sys
import time

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import QuantileTransformer

BATCH, EPOCHS, CATEGORIES_MAX, COUNT_MIN = 1024, 3, 1000, 5


class Net(torch.nn.Module):
    def __init__(self, n_numeric, cardinalities):
        super().__init__()
        widths = [min(32, round(1.6 * k**0.56)) for k in cardinalities]
        self.tables = torch.nn.ModuleList(torch.nn.Embedding(k, w) for k, w in zip(cardinalities, widths))
        self.inner = torch.nn.Linear(n_numeric + sum(widths), 256)
        self.residual = torch.nn.Linear(256, 256)
        self.dropout = torch.nn.Dropout(0.1)
        self.out = torch.nn.Linear(256, 1)

    def forward(self, numbers, codes):
        embedded = [table(codes[:, i]) for i, table in enumerate(self.tables)]
        h = self.dropout(torch.relu(self.inner(torch.cat([numbers, *embedded], 1))))
        h = h + self.dropout(torch.relu(self.residual(h)))
        return self.out(h)[:, 0]


def codes(column, train):
    """Code 1 is unknown or rare, as in Cupola; 0 would be missing."""
    counts = column[train].value_counts()
    kept = counts[counts >= COUNT_MIN].index[:CATEGORIES_MAX]
    position = pd.Index(kept).get_indexer(column)
    return np.where(position < 0, 1, position + 2), len(kept) + 2


def load(path):
    rows = pd.read_parquet(path).sort_values("TX_DATETIME", kind="stable")
    rows = rows.drop_duplicates("TRANSACTION_ID", keep="last")
    validation, test = int(0.7 * len(rows)), int(0.85 * len(rows))
    train = slice(0, validation)
    moment = rows["TX_DATETIME"].dt
    numbers = pd.DataFrame({"amount": rows["TX_AMOUNT"], "hour": moment.hour, "weekday": moment.day_of_week,
                            "night": (moment.hour <= 6).astype(float)})
    scale = QuantileTransformer(output_distribution="normal", subsample=200_000, random_state=0).fit(numbers[train])
    x = torch.from_numpy(scale.transform(numbers).astype(np.float32))
    encoded = [codes(rows[name], train) for name in ("CUSTOMER_ID", "TERMINAL_ID")]
    c = torch.from_numpy(np.stack([code for code, _ in encoded], 1))
    y = torch.from_numpy(rows["TX_FRAUD"].to_numpy(np.float32))
    return x, c, y, [k for _, k in encoded], validation, test


def main():
    torch.manual_seed(0)
    x, c, y, cardinalities, validation, test = load(sys.argv[1])
    net = Net(x.shape[1], cardinalities)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    loss_of = torch.nn.functional.binary_cross_entropy_with_logits

    def infer(rows):
        net.eval()
        with torch.inference_mode():
            spans = range(rows.start, rows.stop, 8192)
            return torch.cat([net(x[i:min(i + 8192, rows.stop)], c[i:min(i + 8192, rows.stop)]) for i in spans])

    start = time.perf_counter()
    for _ in range(EPOCHS):
        net.train()
        order = torch.randperm(validation)
        for i in range(0, validation, BATCH):
            r = order[i:i + BATCH]
            optimiser.zero_grad(set_to_none=True)
            loss_of(net(x[r], c[r]), y[r]).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
        loss = loss_of(infer(slice(validation, test)), y[validation:test])
    loop = time.perf_counter() - start
    score = average_precision_score(y[test:], infer(slice(test, len(y))))
    print(f"validation loss {float(loss):.5f} test pr_auc {score:.4f} loop_seconds {loop:.3f}")


main()
