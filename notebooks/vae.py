# %% [markdown]
# # One posterior variance, or one for each dimension
#
# **Question.** *On the Effect of Isotropy on VAE Representations of Text* (Zhang, Buntine, Shareghi
# 2022; "paper B") gives the posterior of an LSTM-VAE the same variance in all latent dimensions
# (`isotropic`) instead of one for each (`diagonal`), and finds that all dimensions become active
# and the representations better. Do they? Here are its measures, from models trained with
# `python -m jaxiso.vae` and evaluated with `python -m jaxiso.vae evaluate`, in `runs/` and in
# `runs/reference/`. `none` is an autoencoder. `python -m jaxiso.report` sets all its tables and
# figures beside the paper's.

# %%
import io
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from PIL import Image

import jaxiso

# %matplotlib inline
plt.rcParams["figure.dpi"] = 80
pd.options.display.max_colwidth = None
if Path.cwd().name == "notebooks":
    os.chdir("..")  # runs are named from the root of the repository

# Models that differ in posterior and C only: the most that there are of one corpus of the paper.
# Runs that differ in their seed only are one model.
# Runs of earlier versions have no digests of their texts: of the vocabulary, and counts, only.
OWN = ("posterior", "C", "seed", "seeds", "train_sha256", "dev_sha256", "test_sha256")
sets = {}
for run in jaxiso.load_runs("runs", "runs/reference"):
    if run.config["experiment"] == "vae" and run.config["corpus"] in ("dbpedia", "yahoo"):
        same = repr({name: value for name, value in run.config.items() if name not in OWN})
        posterior, targets = run.config["posterior"], run.config["C"]
        for C in targets if isinstance(targets, list) else [targets]:
            if found := run.evaluation(C):
                row = posterior, None if posterior == "none" else C
                sets.setdefault(same, {}).setdefault(row, []).append((run, found))
order = ("none", "diagonal", "isotropic")
models = dict(
    sorted(max(sets.values(), key=len).items(), key=lambda m: (m[0][1] or 0, order.index(m[0][0])))
)
config = next(iter(models.values()))[0][0].config
tested = {run.config.get("test_sha256") for found in models.values() for run, _ in found} - {None}
assert len(tested) < 2, "the models were evaluated on different sentences"
paper = {
    row[1:]: of for row, of in jaxiso.papers.vae_targets().items() if row[0] == config["corpus"]
}


def name_of(row):
    """Such as isotropic, C = 5."""
    posterior, target = row
    return posterior if target is None else f"{posterior}, C = {target:g}"


def values(row, measure):
    """Of a model, one number a seed; empty where it was not measured."""
    found = [of["measures"].get(measure, {"values": []})["values"] for _, of in models[row]]
    return np.array([value for of_run in found for value in of_run if value is not None])


def table(measures, digits=2):
    """Means over seeds; below them the paper's, of the models that it has."""
    ours = {
        name_of(row): {
            name: values(row, m).mean() for m, name in measures.items() if values(row, m).size
        }
        for row in models
    }
    theirs = {
        name_of(row): {name: found[m].mean for m, name in measures.items() if m in found}
        for row, found in paper.items()
    }
    for title, found in (("Here", ours), ("In the paper, of larger models", theirs)):
        shown = pd.DataFrame.from_dict(found, orient="index").dropna(how="all")
        shown = shown[[name for name in measures.values() if name in shown]]
        if shown.size:
            display(Markdown(f"**{title}**"), shown.round(digits))


def said(measure, what, digits=2, unit=""):
    """A line for each C that has both posteriors: which has more of it."""
    lines = []
    for posterior, target in models:
        if posterior == "isotropic" and ("diagonal", target) in models:
            pair = [values((p, target), measure) for p in ("isotropic", "diagonal")]
            if all(found.size for found in pair):
                isotropic, diagonal = (found.mean() for found in pair)
                sign = ">" if isotropic > diagonal else "<" if isotropic < diagonal else "="
                lines.append(
                    f"- {what}, C = {target:g}: isotropic {isotropic:.{digits}f}{unit} {sign} "
                    f"diagonal {diagonal:.{digits}f}{unit}"
                )
    return "\n".join(lines)


# %% [markdown]
# ## The models, and how they differ from the paper's
#
# Where the models shown are smaller than the paper's, their numbers are not to be held against the
# paper's; which posterior is the better one may be.

# %%
settings = jaxiso.papers.vae_settings(config["corpus"])
lines = [
    f"- {name.replace('_', ' ')}: {config[name]}, not {theirs}"
    for name, theirs in settings.items()
    if config.get(name, theirs) != theirs
]
lines += ["", "Models:", ""]
for row, found in models.items():
    seeds = sum(run.config["seeds"] for run, _ in found)
    updates = found[0][1]["updates"]
    early = "" if found[0][0].result else " (the training was not finished then)"
    lines.append(f"- {name_of(row)}: {seeds} seed{'s' * (seeds > 1)}, {updates:,} updates{early}")
Markdown("\n".join(lines))

# %% [markdown]
# ## Training: the KL is held at C

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
panels = {"dev_kl": "KL (nats)", "dev_rec": "Rec. (nats)", "dev_active_units": "Active units"}
for row, found in models.items():
    metrics = found[0][0].metrics
    if "C" in metrics and row[1] is not None:
        metrics = metrics[metrics["C"] == row[1]]
    for ax, name in zip(axes, panels, strict=True):
        if name in metrics and np.isfinite(metrics[name]).all():
            ax.plot(metrics.groupby("step")[name].mean(), label=name_of(row))
for ax, label in zip(axes, panels.values(), strict=True):
    ax.set(xlabel="Updates", ylabel=label)
axes[1].legend(fontsize="small")
plt.show()

# %%
off = [abs(values(row, "kl").mean() - row[1]) for row in models if row[1] is not None]
Markdown(
    f"Development sentences. On test sentences the KL ends {max(off):.2f} nats from C at most."
)

# %% [markdown]
# ## Table 4 and Figure 1: reconstruction

# %%
names = {"rec": "Rec.", "kl": "KL", "active_units": "active units", "bleu2": "BLEU-2"}
names |= {"bleu4": "BLEU-4", "rouge2": "ROUGE-2", "rouge4": "ROUGE-4"}
names |= {"nll": "NLL", "perplexity": "perplexity a token"}
table(names)


# %%
def against_targets(panels):
    """A panel a measure: a line a posterior, against C; a model without C is a level."""
    _, axes = plt.subplots(1, len(panels), figsize=(3.7 * len(panels), 3.2), layout="constrained")
    for ax, (measure, label) in zip(axes, panels.items(), strict=True):
        for colour, posterior in enumerate(order):
            rows = [row for row in models if row[0] == posterior and values(row, measure).size]
            means = [values(row, measure).mean() for row in rows]
            if posterior == "none":
                for mean in means:
                    ax.axhline(mean, color="0.5", ls="--", label=posterior)
            else:
                ax.plot([row[1] for row in rows], means, f"C{colour}.-", label=posterior)
        ax.set(xlabel="C", ylabel=label)
    axes[0].legend(fontsize="small")
    plt.show()


against_targets({"rec": "Rec. (nats)", "active_units": "Active units", "bleu2": "BLEU-2"})

# %%
Markdown(
    "\n".join(
        [
            said("active_units", "active units", 0),
            said("bleu2", "BLEU-2"),
            said("rec", "reconstruction loss", 2, " nats"),
        ]
    )
)

# %% [markdown]
# All units of an isotropic posterior are active, as in the paper. But it could hardly be otherwise:
# it and its KL stay the same when the latent space is rotated, so that nothing aligns the
# directions in use with the axes on which active units are counted. `both_papers` counts directions
# instead.
#
# ## Figure 2 and Section 3.2: classification

# %%
shares = ("10.0", "1.0", "0.1")
accuracies = {"accuracy": "accuracy, %"}
accuracies |= {f"accuracy_{share}%": f"from {share} % of the texts" for share in shares}
accuracies |= {"accuracy_deleted": "30 % of words deleted", "accuracy_linear": "linear probe"}
table(accuracies)

# %%
against_targets(dict(list(accuracies.items())[:4]))

# %%
# Evaluations of earlier versions drew the few texts once, and have no spread over draws.
few = f"accuracy_{shares[-1]}%"
once = [row for row in models if values(row, f"{few}_sd").size < values(row, few).size]
names = "; ".join(map(name_of, once))
drawn_once = f"- parts of the texts: means over ten draws, but one draw in a run of {names}"
drawn_once = drawn_once if once else "- parts of the texts: means over ten draws"
Markdown(
    "\n".join(
        [
            said("accuracy", "accuracy of the probes", 2, " %"),
            said("accuracy_0.1%", "with 0.1 % of the training data", 2, " %"),
            said("accuracy_deleted", "with 30 % of the words deleted", 2, " %"),
            drawn_once,
        ]
    )
)

# %% [markdown]
# The paper finds the isotropic posterior better with one exception (C = 5 on DBpedia, about even).
#
# ## Tables 2 and 3: the posterior

# %%
names = {"mean_sq_norm": "‖μ‖²", "logdet_cov": "log det Cov"}
names |= {"isotropy_score_samples": "isotropy score: samples", "isotropy_score_means": "means"}
table(names, 3)

# %%
Markdown(
    "\n".join(
        [
            said("logdet_cov", "log det of the aggregated posterior's covariance"),
            said("isotropy_score_means", "isotropy score of the means", 3),
            said("isotropy_score_samples", "isotropy score of the samples", 3),
        ]
    )
)

# %% [markdown]
# In the paper the isotropic posterior has the lower log-determinant and the higher isotropy scores,
# at C = 15. That this score is a matter of scale as much as of shape is shown in `both_papers`.
#
# ## Figure 3: t-SNE and Mapper of the posterior means
#
# Of some test sentences of the first seed, as `evaluate` keeps and draws them; a colour a class.


# %%
def with_few_colours(figure):
    """As a picture of thousands of points is a large file else."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=75)
    return Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE)


targets = [row[1] for row in models if row[0] == "isotropic" and ("diagonal", row[1]) in models]
target = min(targets, key=lambda C: abs(C - 15))  # the paper's is 15
pair = {posterior: models[posterior, target][0][0] for posterior in ("diagonal", "isotropic")}
figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
for ax, (posterior, run) in zip(axes, pair.items(), strict=True):
    codes = run.latents(target)
    ax.scatter(*codes["tsne"].T, c=codes.get("labels"), cmap="tab20", s=3)
    ax.set(title=f"{posterior}, C = {target:g}", xticks=[], yticks=[])
plt.close(figure)
with_few_colours(figure)

# %%
counts = "; ".join(
    f"{posterior} {', '.join(f'{n:g}' for n in values((posterior, target), 'mapper_components'))}"
    for posterior in pair
)
Markdown(
    f"Components of the Mapper graph of the highest-density region, C = {target:g}, by seed: "
    f"{counts}. The paper finds 1 for diagonal and 9 for isotropic (dbpedia, C = 15). "
    "`evaluate` draws the graphs, into `figures/mapper.png` of each run."
)

# %% [markdown]
# The paper does not say with which settings of Mapper it counts; those used here are in
# `jaxiso.vae.mapper`. Over which of them does it hold? Below, components of diagonal / isotropic at
# this C, by the share of the points that is left outside of the region and by a factor of the
# radius in which points are neighbours; first of components that hold 5 % of the points, then of
# all.

# %%
OUTSIDE, RADIUS, LEAST = (0, 0.05, 0.25, 0.5), (0.7, 0.8, 0.9, 1, 1.2), (0.05, 0)
counts = {
    posterior: jaxiso.component_counts(run.latents(target)["means"], OUTSIDE, RADIUS, LEAST)
    for posterior, run in pair.items()
}
for least, one, other in zip(LEAST, counts["diagonal"], counts["isotropic"], strict=True):
    cells = [
        [f"{a} / {b}" for a, b in zip(*both, strict=True)] for both in zip(one, other, strict=True)
    ]
    rows = [f"radius × {factor}" for factor in RADIUS]
    columns = [f"{share:.0%} outside" for share in OUTSIDE]
    display(
        Markdown(f"**Components of at least {least:.0%} of the points**"),
        pd.DataFrame(cells, rows, columns),
        Markdown(
            f"More with isotropic in {(other > one).sum()} of {one.size} settings, fewer in "
            f"{(other < one).sum()}."
        ),
    )

# %% [markdown]
# ## Table 1: imputation, and other sentences
#
# Three quarters of the words are hidden; the models write them anew from the code of the rest.

# %%
names = {"bleu2": "BLEU-2", "bleu4": "BLEU-4", "rouge2": "ROUGE-2", "rouge4": "ROUGE-4"}
table({f"imputation_{measure}": name for measure, name in names.items()})

# %%
texts = {name_of(row): found[0][1]["texts"] for row, found in models.items()}
writers = {name: of for name, of in texts.items() if {"imputation", "interpolation"} <= of.keys()}
imputed = [
    {"original": text["original"], "model": name, "imputed": text["imputed"]}
    for same in zip(*(of["imputation"] for of in writers.values()), strict=True)
    for name, text in zip(writers, same, strict=True)
]
pd.DataFrame(imputed).set_index(["original", "model"])

# %% [markdown]
# Sentences half way between two others, as decoded from the mean of their codes:

# %%
between = [
    {
        "from … to": f"{text['from']} … {text['to']}",
        "model": name,
        "half way": text["decoded"][len(text["decoded"]) // 2],
    }
    for same in zip(*(of["interpolation"] for of in writers.values()), strict=True)
    for name, text in zip(writers, same, strict=True)
]
pd.DataFrame(between).set_index(["from … to", "model"])

# %% [markdown]
# ## From the prior
#
# What `evaluate` kept of it. Where a run has its checkpoint,
# `jaxiso.load_run(directory).decode(codes)` writes more; results under `runs/reference/` come
# without one.

# %%
Markdown(
    "\n".join(
        f"- {name}: *{text}*" for name, of in texts.items() for text in of.get("prior", [])[:3]
    )
)
