"""The PyTorch side of benches/gpu: 30-512-512-1 with residual and dropout, all rows on the device.

  gpu_peer.py N_ROWS BATCH eager|compiled cuda|cpu

The last word it prints is rows/s, after one epoch of warm-up.
"""
import sys
import time

import torch

n_rows, batch, form, device = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
EPOCHS = 6


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.residual, self.out = (torch.nn.Linear(*shape) for shape in ((30, 512), (512, 512), (512, 1)))
        self.dropout = torch.nn.Dropout(0.1)

    def forward(self, x):
        h = self.dropout(torch.relu(self.inner(x)))
        return self.out(h + self.dropout(torch.relu(self.residual(h))))[:, 0]


def main():
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("highest")  # as Cupola: full float32 products
    x = torch.randn(n_rows, 30, device=device)
    y = (x[:, 0] * x[:, 1] + 0.5 * x[:, 4] > 0).float()
    net = Net().to(device)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4, fused=device == "cuda")
    loss_of = torch.nn.functional.binary_cross_entropy_with_logits

    def step(rows, labels):
        optimiser.zero_grad(set_to_none=True)
        loss_of(net(rows), labels).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()

    if form == "compiled":
        net.compile()
    n_steps = n_rows // batch
    for epoch in range(EPOCHS + 1):
        if epoch == 1:
            finished(device)
            start = time.perf_counter()
        order = torch.randperm(n_rows, device=device)
        for i in range(n_steps):
            r = order[i * batch:(i + 1) * batch]
            step(x[r], y[r])
    finished(device)
    print(f"rows_per_second {EPOCHS * n_steps * batch / (time.perf_counter() - start):.0f}")


def finished(device):
    if device == "cuda":
        torch.cuda.synchronize()


main()
