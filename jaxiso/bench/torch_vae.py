"""The LSTM-VAE of `jaxiso.models.vae` in plain PyTorch, which the benchmark compares with.

Written with PyTorch's own layers, as its users would, and in the fastest of their usual ways: the
state at a sentence's end is picked from a padded batch, which takes less time than a packed one,
and only real tokens get logits. From the same parameters and noise it gives the same losses.

torch is no dependency of jaxiso: import this module only where it is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jaxiso import papers
from jaxiso.bench.measure import cores
from jaxiso.data.batches import Batch
from jaxiso.models.tokens import BOS
from jaxiso.vae.experiment import VAEConfig


class TorchVAE(nn.Module):
    """Encoder and decoder, as `jaxiso.models.vae.TextVAE`; needs a posterior."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        e, h, z = config.embedding_dim, config.hidden_dim, config.latent_dim
        self.beta = config.beta
        self.embedding = nn.Embedding(config.ids, e)
        self.encoder = nn.LSTM(e, h, batch_first=True)
        self.decoder = nn.LSTM(e + z, h, batch_first=True)
        self.mean = nn.Linear(h, z)
        self.log_variance = nn.Linear(h, 1 if config.posterior == "isotropic" else z)
        self.output = nn.Linear(h, config.ids)
        # PyTorch's LSTM adds a second bias to the first: with both, gates would move twice as fast.
        for name, value in self.named_parameters():
            if name.endswith("bias_hh_l0"):
                nn.init.zeros_(value).requires_grad_(False)

    def forward(self, batch: Batch, target: float, noise: Tensor | None = None) -> Tensor:
        """The loss of a batch: NLL of its tokens and distance of the KL from the target.

        Args:
            batch: sentences; empty rows do not count.
            target: of the KL, in nats.
            noise: standard normal, shape (b, latent); None draws it.

        Returns:
            The mean over sentences, in nats.
        """
        device = self.output.weight.device
        tokens = torch.from_numpy(batch.tokens).to(device).long()
        states, _ = self.encoder(self.embedding(tokens))
        last = torch.from_numpy(batch.lengths - 1).to(device).long()
        final = states[torch.arange(len(last), device=device), last]
        mean, log_variance = self.mean(final), self.log_variance(final)
        noise = torch.randn_like(mean) if noise is None else noise
        z = mean + torch.exp(log_variance / 2) * noise

        previous = F.pad(tokens[:, :-1], (1, 0), value=BOS)
        same = z[:, None].expand(-1, tokens.shape[1], -1)
        states, _ = self.decoder(torch.cat([self.embedding(previous), same], dim=2))
        within = np.arange(tokens.shape[1]) < batch.lengths[:, None]
        real = torch.from_numpy(np.flatnonzero(within & (batch.rows[:, None] > 0))).to(device)
        logits = self.output(states.flatten(0, 1)[real])
        nll = F.cross_entropy(logits, tokens.flatten()[real], reduction="sum")

        kl = (log_variance.exp() + mean**2 - 1 - log_variance).sum(1) / 2
        rows = torch.from_numpy(batch.rows).to(device)
        return (nll + self.beta * (rows * (kl - target).abs()).sum()) / rows.sum()


class TorchTraining:
    """A model in training, as `jaxiso.vae.experiment.make_vae` trains its own, on `torch_device`.

    It has as many threads as the process has cores, and true float32 on a GPU, as jaxiso has. It
    starts from parameters of jaxiso's model, or, without any, from those that PyTorch draws.

    Attributes:
        model: the network.
        updates: those done.
    """

    def __init__(self, config: VAEConfig, params: Any = None) -> None:
        torch.set_num_threads(cores())
        torch.backends.cudnn.allow_tf32 = False
        self.config, self.updates = config, 0
        self.model = TorchVAE(config)
        if params is not None:
            values = {k: torch.tensor(v) for k, v in in_torch_layout(params).items()}
            self.model.load_state_dict(values, strict=False)  # the second biases are not in it
        self.model.to(torch_device())
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self._adam = torch.optim.Adam(trained, config.lr, eps=1e-7)
        assert config.ramp is not None  # it is held at a target
        self._ramp = config.ramp

    def update(self, batch: Batch, noise: Tensor | None = None) -> Tensor:
        """One update; returns the loss before it, still on the device."""
        self.updates += 1
        target = papers.VAE_C * min(1.0, self.updates / self._ramp)
        self._adam.zero_grad()
        loss = self.model(batch, target, noise)
        loss.backward()
        self._adam.step()
        return loss.detach()

    def updates_on(self, batches: Sequence[Batch]) -> float:
        """One update on each batch; returns their mean loss, once all are done."""
        return float(torch.stack([self.update(batch) for batch in batches]).mean())


def in_torch_layout(params: Any) -> dict[str, np.ndarray]:
    """Parameters of `TextVAE`, or their gradients, by PyTorch's names and in its shapes."""
    params = params["params"]
    found = {
        "embedding.weight": params["embedding"],
        "output.weight": params["output_kernel"].T,
        "output.bias": params["output_bias"],
    }
    for name in ("mean", "log_variance"):
        found[f"{name}.weight"] = params[name]["kernel"].T
        found[f"{name}.bias"] = params[name]["bias"]
    for name in ("encoder", "decoder"):  # the gates are in the same order
        found[f"{name}.weight_ih_l0"] = params[name]["kernel"].T
        found[f"{name}.weight_hh_l0"] = params[name]["recurrent_kernel"].T
        found[f"{name}.bias_ih_l0"] = params[name]["bias"]
    return {name: np.array(value) for name, value in found.items()}


def torch_device() -> str:
    """'cuda' where JAX has a GPU and this PyTorch can use it, else 'cpu'."""
    return "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"
