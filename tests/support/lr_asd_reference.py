"""LR-ASD in PyTorch's own layers, as published, for comparison with the graphs that are built here."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

EPSILON = 1e-3


def half(kernel):
    return tuple(size // 2 for size in kernel)


class Block(nn.Module):
    """Four convolutions with normalisation: over space (or coefficients) twice, over time twice."""

    def __init__(self, inputs, outputs, kernels, letter, kind, norm, stride=1):
        super().__init__()
        sizes = [
            (inputs, outputs // 2),
            (outputs // 2, outputs),
            (outputs, outputs),
            (outputs, outputs),
        ]
        self.layers = [f"{letter}_1", f"{letter}_2", "t_1", "t_2"]
        for i, (layer, (a, b), kernel) in enumerate(zip(self.layers, sizes, kernels, strict=True)):
            step = stride if i == 0 else 1
            setattr(self, layer, kind(a, b, kernel, stride=step, padding=half(kernel), bias=False))
            setattr(self, layer.replace("_", "_norm_"), norm(b, eps=EPSILON))

    def forward(self, x):
        for layer in self.layers:
            norm = getattr(self, layer.replace("_", "_norm_"))
            x = torch.relu(norm(getattr(self, layer)(x)))
        return x


class VisualEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        kernels = [(1, 5, 5), (1, 3, 3), (5, 1, 1), (3, 1, 1)]
        for i, (a, b) in enumerate([(1, 32), (32, 64), (64, 128)], 1):
            stride = (1, 2, 2) if i == 1 else 1
            block = Block(a, b, kernels, "s", nn.Conv3d, nn.BatchNorm3d, stride)
            setattr(self, f"block{i}", block)

    def forward(self, x):
        for block in (self.block1, self.block2):
            x = functional.max_pool3d(block(x), (1, 3, 3), (1, 2, 2), (0, 1, 1))
        return self.block3(x).amax((3, 4)).transpose(1, 2)


class AudioEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        kernels = [(5, 1), (3, 1), (1, 5), (1, 3)]
        for i, (a, b) in enumerate([(1, 32), (32, 64), (64, 128)], 1):
            setattr(self, f"block{i}", Block(a, b, kernels, "m", nn.Conv2d, nn.BatchNorm2d))

    def forward(self, x):
        for block in (self.block1, self.block2):
            x = functional.max_pool2d(block(x), (1, 3), (1, 2), (0, 1))
        return self.block3(x).mean(2).transpose(1, 2)


class Gate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.attention = nn.Conv1d(channels, channels, 1, bias=False)
        self.bn = nn.BatchNorm1d(channels, eps=EPSILON)

    def forward(self, a, b):
        x = torch.cat((a, b), 2).transpose(1, 2)
        return (x * torch.sigmoid(self.bn(self.attention(x)))).transpose(1, 2)


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru_forward = nn.GRU(256, 64, batch_first=True)
        self.gru_backward = nn.GRU(256, 64, batch_first=True)
        self.attention = Gate(128)

    def forward(self, x):
        backward = self.gru_backward(x.flip(1))[0].flip(1)
        return self.attention(self.gru_forward(x)[0], backward)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.visualEncoder = VisualEncoder()
        self.audioEncoder = AudioEncoder()
        self.fusion = Gate(256)
        self.detector = Detector()


class Loss(nn.Module):
    def __init__(self):
        super().__init__()
        self.FC = nn.Linear(128, 2)


class Reference(nn.Module):
    """The whole network; its state dictionary has the names of the authors' checkpoints."""

    def __init__(self):
        super().__init__()
        self.model = Model()
        self.lossAV = Loss()
        self.lossV = Loss()

    def forward(self, crops, coefficients):
        seen = self.model.visualEncoder(((crops / 255 - 0.4161) / 0.1688)[:, None])
        heard = self.model.audioEncoder(coefficients[:, None].transpose(2, 3))
        both = self.model.detector(self.model.fusion(heard, seen))
        return seen, heard, self.lossAV.FC(both)[..., 1]


def random_reference(seed):
    """The network at random weights and random statistics of its normalisations."""
    torch.manual_seed(seed)
    network = Reference().eval()
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.2)
        elif name.endswith("running_var"):
            buffer.uniform_(0.05, 0.4)
    return network
