# %% [markdown]
# # One posterior variance, or one for each dimension
#
# **Question.** *On the Effect of Isotropy on VAE Representations of Text* (Zhang, Buntine, Shareghi
# 2022; "paper B") gives the posterior of an LSTM-VAE the same variance in all latent dimensions
# (`isotropic`) instead of one for each (`diagonal`), and finds that all dimensions become active
# and the representations better. Do they? Here are all its tables and figures, from models trained
# with `python -m jaxiso.vae` and evaluated with `python -m jaxiso.vae evaluate`, in `runs/` and in
# `runs/reference/`. `none` is an autoencoder.

# %%
import io
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown, display
from PIL import Image

import jaxiso
from jaxiso.cli.console import several
from jaxiso.embed.trajectory import by_step
from jaxiso.report.figures import figures_of_b
from jaxiso.report.not_run import cost_text, list_not_run
from jaxiso.report.rows import best, comparable, entries_of_b
from jaxiso.report.runs import DEFAULT_FOLDERS, find_runs
from jaxiso.report.table import markdown_table, plain
from jaxiso.vae.mapper import component_counts
from jaxiso.vae.tables import TABLES, rows_of

# %matplotlib inline
plt.rcParams["figure.dpi"] = 80
if Path.cwd().name == "notebooks":
    os.chdir("..")  # runs are named from the root of the repository

found = find_runs(DEFAULT_FOLDERS)
evaluated, _ = entries_of_b(found.vae)  # runs that differ by their seeds only are one model
models = comparable(evaluated)  # for each corpus, those that differ in posterior and C


def tables(name):
    """Those of `jaxiso.vae.tables` whose title begins with a name; the paper's rows below ours."""
    lines = []
    for shown in TABLES:
        if shown.title.startswith(name):
            shown_rows = rows_of(shown, [m.detail for m in models], always=True)
            rows = [[cell.strip() for cell in row] for row in shown_rows]
            names = [column.heading for column in shown.columns]
            lines += [f"**{shown.title}**", "", *markdown_table(["", *names], rows), ""]
    return Markdown("\n".join(lines))


def compare(measure):
    """Of each corpus and C that has both posteriors: (where, diagonal, isotropic), of the means."""
    means = {m.row: float(np.mean(m.values[measure])) for m in models if measure in m.values}
    return [
        (f"{corpus}, C = {target:g}", means[corpus, "diagonal", target], isotropic)
        for (corpus, posterior, target), isotropic in means.items()
        if posterior == "isotropic" and (corpus, "diagonal", target) in means
    ]


def said(measure, what, digits=2, unit=""):
    """A line for each C: which posterior has more of it."""
    lines = []
    for where, diagonal, isotropic in compare(measure):
        sign = ">" if isotropic > diagonal else "<" if isotropic < diagonal else "="
        lines.append(
            f"- {what}, {where}: isotropic {isotropic:.{digits}f}{unit} {sign} diagonal "
            f"{diagonal:.{digits}f}{unit}"
        )
    return "\n".join(lines)


# %% [markdown]
# ## The models, and how they are unlike the paper's
#
# Where the models shown are smaller than the paper's, their numbers are not to be held against the
# paper's; which posterior is the better one may be.

# %%
Markdown(
    "\n".join(
        f"- {m.label}, {several(m.seeds, 'seed')}, {m.detail.updates:,} updates. Unlike the "
        f"paper's: {'; '.join(m.differences) or 'nothing'}"
        for m in models
    )
)

# %% [markdown]
# ## Training: the KL is held at C

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
panels = {"dev_kl": "KL (nats)", "dev_rec": "Rec. (nats)", "dev_active_units": "Active units"}
for model in models:
    steps, values = by_step(jaxiso.load_run(model.runs[0].directory).metrics.to_dict("list"))
    for ax, name in zip(axes, panels, strict=True):
        if name in values and np.isfinite(values[name]).all():
            ax.plot(steps, values[name].mean(axis=1), label=model.label)
for ax, label in zip(axes, panels.values(), strict=True):
    ax.set(xlabel="Updates", ylabel=label)
axes[1].legend(fontsize="small")
plt.show()

# %%
off = [abs(np.mean(m.values["kl"]) - m.row[2]) for m in models if m.row[2]]
Markdown(
    f"Development sentences. On test sentences the KL ends {max(off):.2f} nats from C at most."
)

# %% [markdown]
# ## Table 4 and Figure 1: reconstruction

# %%
display(tables("Reconstruction"), tables("Likelihood"))

# %%
figures = {drawn.name: drawn for drawn in figures_of_b(evaluated)}
display(figures["paper_b_figure1"].figure)

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
tables("Classification")

# %%
display(figures["paper_b_figure2"].figure)

# %%
Markdown(
    "\n".join(
        [
            said("accuracy", "accuracy of the probes", 2, " %"),
            said("accuracy_0.1%", "with 0.1 % of the training data", 2, " %"),
            said("accuracy_deleted", "with 30 % of the words deleted", 2, " %"),
        ]
    )
)

# %% [markdown]
# The paper finds the isotropic posterior better with one exception (C = 5 on DBpedia, about even).
#
# ## Tables 2 and 3: the posterior

# %%
tables("Posterior")

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


# %%
def with_few_colours(figure):
    """As a picture of thousands of points is a large file else."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=75)
    return Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE)


with_few_colours(figures["paper_b_figure3_tsne"].figure)

# %%
with_few_colours(figures["paper_b_figure3_mapper"].figure)

# %%
Markdown(" ".join(figures["paper_b_figure3_mapper"].notes))

# %% [markdown]
# The paper does not say with which settings of Mapper it counts; those used here are in
# `jaxiso.vae.mapper`. Over which of them does it hold? Below, components of diagonal / isotropic on
# dbpedia at C = 15, by the share of the points that is left outside of the region and by a factor
# of the radius in which points are neighbours; first of components that hold 5 % of the points,
# then of all.

# %%
OUTSIDE, RADIUS, LEAST = (0, 0.05, 0.25, 0.5), (0.7, 0.8, 0.9, 1, 1.2), (0.05, 0)
counts = {
    m.row[1]: component_counts(np.load(m.runs[0].latents)["means"], OUTSIDE, RADIUS, LEAST)
    for m in models
    if m.row in {("dbpedia", name, 15) for name in ("diagonal", "isotropic")}
    and m.runs[0].latents.exists()
}
lines = ["Not both posteriors have latents.npz."]
if len(counts) == 2:
    lines = []
    for least, one, other in zip(LEAST, counts["diagonal"], counts["isotropic"], strict=True):
        cells = [
            [f"radius × {factor}", *(f"{a} / {b}" for a, b in zip(*pair, strict=True))]
            for factor, *pair in zip(RADIUS, one, other, strict=True)
        ]
        header = [f"at least {least:.0%}", *(f"{share:.0%} outside" for share in OUTSIDE)]
        lines += [
            *markdown_table(header, cells),
            f"\nMore with isotropic in {(other > one).sum()} of {one.size} settings, fewer in "
            f"{(other < one).sum()}.\n",
        ]
Markdown("\n".join(lines))

# %% [markdown]
# ## Table 1: imputation, and other sentences
#
# Three quarters of the words are hidden; the models write them anew from the code of the rest.

# %%
tables("Imputation")

# %%
writers = [m for m in models if {"imputation", "interpolation"} <= m.detail.texts.keys()]
imputed = [
    [text["original"], m.label, text["imputed"]]
    for texts in zip(*(m.detail.texts["imputation"] for m in writers), strict=True)
    for m, text in zip(writers, texts, strict=True)
]
Markdown("\n".join(markdown_table(["original", "model", "imputed"], imputed)))

# %% [markdown]
# Sentences half way between two others, as decoded from the mean of their codes:

# %%
between = [
    [text["from"], m.label, text["decoded"][len(text["decoded"]) // 2], text["to"]]
    for texts in zip(*(m.detail.texts["interpolation"] for m in writers), strict=True)
    for m, text in zip(writers, texts, strict=True)
]
Markdown("\n".join(markdown_table(["from", "model", "half way", "to"], between)))

# %% [markdown]
# ## From a checkpoint
#
# Where a run has its Orbax checkpoint, the model writes from the prior. Results under
# `runs/reference/` come without one, and what they wrote was kept with them.


# %%
def from_prior(model, sentences=3):
    """What a model's first seed writes from draws of the prior."""
    directory = model.runs[0].directory
    kept = model.detail.texts.get("prior", ["(an autoencoder has no prior)"])[:sentences]
    if model.row[1] == "none":
        return kept
    try:
        run = jaxiso.load_run(directory)
        targets = run.models.get("C", run.models["seed"] * 0 + model.config["C"])
        z = np.random.default_rng(0).standard_normal((sentences, run.config["latent_dim"]))
        return run.decode(z, int((targets == model.config["C"]).argmax()), longest=17)
    except ValueError:  # no checkpoint, or a damaged one
        return kept


Markdown("\n".join(f"- {m.label}: *{text}*" for m in models for text in from_prior(m)))

# %% [markdown]
# ## What has not been run
#
# The paper's own models. Times are estimates from the runs that are named.

# %%
rows = [
    [one["label"], f"`{one['command']}`", plain(cost_text(one["cost"]))]
    for one in list_not_run(best(evaluated), found)
    if one["paper"] == "B" and one["seeds"] == 0
]
Markdown("\n".join(markdown_table(["", "command", "estimated cost"], rows)))
