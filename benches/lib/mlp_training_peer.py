"""The PyTorch side of benches/mlp_training: 512-512-1 with residual and dropout on the CPU.

  mlp_training_peer.py ROWS.parquet EPOCHS plain|fused

The last word it prints is rows/s of the training loop in the median epoch.
"""
import statistics
import sys
import time

import pandas as pd
import torch

BATCH, WIDTH, DROPOUT = 1024, 512, 0.1


class Net(torch.nn.Module):
    def __init__(self, n_inputs):
        super().__init__()
        shapes = ((n_inputs, WIDTH), (WIDTH, WIDTH), (WIDTH, 1))
        self.inner, self.residual, self.out = (torch.nn.Linear(*shape) for shape in shapes)
        self.dropout = torch.nn.Dropout(DROPOUT)

    def forward(self, x):
        h = self.dropout(torch.relu(self.inner(x)))
        return self.out(h + self.dropout(torch.relu(self.residual(h))))[:, 0]


def main():
    torch.manual_seed(0)
    rows = pd.read_parquet(sys.argv[1])
    y = torch.from_numpy(rows.pop("label").to_numpy("float32"))
    x = torch.from_numpy(rows.to_numpy("float32"))
    n_train = len(y) - len(y) // 10
    net = Net(x.shape[1])
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4, fused=sys.argv[3] == "fused")
    loss_of = torch.nn.functional.binary_cross_entropy_with_logits
    rates = []
    for _ in range(int(sys.argv[2])):
        start = time.perf_counter()
        order = torch.randperm(n_train)
        total = 0.0
        for i in range(0, n_train, BATCH):
            r = order[i:i + BATCH]
            optimiser.zero_grad(set_to_none=True)
            loss = loss_of(net(x[r]), y[r])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            total += loss.item()
        rates.append(n_train / (time.perf_counter() - start))
    print(f"threads {torch.get_num_threads()} loss {total / (n_train / BATCH):.5f} rows_per_second {statistics.median(rates):.0f}")


main()
