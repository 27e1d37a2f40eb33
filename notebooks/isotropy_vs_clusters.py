# %% [markdown]
# # Isotropy against clusters
#
# **Question.** Vectors are trained under a linear classifier until their labels form clusters. Does
# isotropy pay for it? *Isotropy, Clusters, and Classifiers* (Mickus, Grönroos, Attieh 2024; "paper
# A") says yes: it takes pretrained vectors as parameters and measures silhouette and IsoScore after
# every update. Here are its Table 1, the correlations of its Section 3.2 and its Figures 2 and 3,
# from the runs of `python -m jaxiso.embed` in `runs/` and in `runs/reference/`.

# %%
import contextlib
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown
from IPython.utils.capture import capture_output
from sklearn.datasets import load_digits

import jaxiso
from jaxiso import isoscore, silhouette_score
from jaxiso.__main__ import main as command
from jaxiso.data import TASKS
from jaxiso.embed.trajectory import by_step
from jaxiso.papers import EMBED, embed_targets
from jaxiso.report.figures import figure_relationships, figure_trajectories
from jaxiso.report.rows import best, entries_of_a
from jaxiso.report.runs import DEFAULT_FOLDERS, find_runs
from jaxiso.report.table import as_markdown, markdown_table, tables_of_a

# %matplotlib inline
plt.rcParams["figure.dpi"] = 80
if Path.cwd().name == "notebooks":
    os.chdir("..")  # runs are named from the root of the repository

entries = entries_of_a(find_runs(DEFAULT_FOLDERS).embed)
chosen = best(entries)  # one run for each task and encoder, set up as in the paper
targets = embed_targets()
setups = {row: run for row, run in chosen.items() if not targets[row].glue}
tables = tables_of_a(chosen)

# %% [markdown]
# ## Table 1: items and parameters
#
# Every distinct sentence or word is one trainable vector, however many items it occurs in. The
# words of `pos` and `supersense` stand in for the paper's, which cannot be redistributed.

# %%
Markdown("\n".join(as_markdown(tables["A, Table 1"])))

# %% [markdown]
# ## Figure 2: both scores across training

# %%
figure_trajectories(setups)

# %%
lines = []
for (task, _), run in setups.items():
    start, final = run.detail["start"], run.detail["final"]
    _, values = by_step(run.metrics)
    falls = (np.diff(values["isoscore"].mean(axis=1)) < 0).mean()
    lines.append(
        f"- {task}: silhouette {start['silhouette']['mean']:.3f} → "
        f"{final['silhouette']['mean']:.3f}, IsoScore {start['isoscore']['mean']:.3f} → "
        f"{final['isoscore']['mean']:.4f}; IsoScore falls in {falls:.0%} of the updates"
    )
Markdown("\n".join(lines))

# %% [markdown]
# Clusters form and isotropy goes, as in the paper. (The lower panels show the logarithm of
# IsoScore, rescaled to 0 … 1 within each run.) Where it does not fall throughout is looked into
# below.
#
# ## Figure 3: one score against the other

# %%
figure_relationships(setups)

# %%
Markdown("\n".join(as_markdown(tables["A, Section 3.2"])))

# %%
apart = {"sentence": [0.0], "word": [0.0]}
for row, run in setups.items():
    off = run.detail["pearson_r"] - targets[row].pearson_r
    apart[TASKS[row[0]].kind].append(abs(off))
Markdown(
    f"Pearson's r is at most {max(apart['sentence']):.3f} from the paper's with sentence vectors, "
    f"and up to {max(apart['word']):.3f} with word vectors."
)

# %% [markdown]
# ## Why the words differ: Adam's steps are absolute
#
# A step of Adam is about as long as the learning rate, whatever the length of the vector that it
# changes. The word vectors at hand have length one; raw word2vec vectors are about three times as
# long. `--scale 3` makes them so.

# %%
words = [run for run in entries if run.row[0] in ("pos", "supersense")]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
lines = []
for ax, task in zip(axes, ("pos", "supersense"), strict=True):
    for run in (run for run in words if run.row[0] == task):
        _, values = by_step(run.metrics)
        scale, r = run.config["scale"], run.detail["pearson_r"]
        means = (values[name].mean(axis=1) for name in ("isoscore", "silhouette"))
        ax.plot(*means, label=f"vectors × {scale:g}: r = {r:.3f}")
        lines.append(f"- {task}, vectors × {scale:g}: r = {r:.3f}")
    ax.set(xlabel="IsoScore", ylabel="Silhouette", title=task)
    ax.legend(fontsize="small")
paper = {task: targets[task, "word2vec"].pearson_r for task in ("pos", "supersense")}
lines += [f"- {task}, the paper: r = {r:.3f}" for task, r in paper.items()]

# %%
Markdown("\n".join(lines))

# %% [markdown]
# Three times as long, both come nearer to the paper. What else separates `pos` from the paper's
# value, these runs do not tell: its words and vectors are others.
#
# ## How far does IsoScore fall?
#
# What pulls at a vector are the classifier's weights. They have m = inputs·(classes-1) directions
# where an item has one label, and inputs·classes where it has a set of them. If in the end such
# directions hold nearly all variance, in equal parts, IsoScore is (m-1)/(d-1).


# %%
def left_over(config):
    """(m - 1) / (d - 1)."""
    classes = len(config["classes"]) - (not config["multilabel"])
    return (config["inputs"] * classes - 1) / (config["dim"] - 1)


rows = []
for run in [*chosen.values(), *(run for run in words if run.config["scale"] != 1)]:
    scale = "" if run.config["scale"] == 1 else f", vectors × {run.config['scale']:g}"
    steps, values = by_step(run.metrics)
    mean = values["isoscore"].mean(axis=1)
    scores = [left_over(run.config), mean[0], mean.min(), mean[-1]]
    rows.append([run.label + scale, *(f"{score:.4f}" for score in scores)])
    rows[-1].append(f"{steps[mean.argmin()]} of {steps[-1]}")
header = ["", "(m - 1) / (d - 1)", "IsoScore, start", "lowest", "end", "lowest after update"]
Markdown("\n".join(markdown_table(header, rows)))

# %% [markdown]
# So the end is near this number, or still above it where training was short or vectors are long:
# nearly 0 for few classes. With its 26, `supersense` has the most, and it is there that IsoScore
# turns round and ends near (m-1)/(d-1) from below. That fits with some directions that grow first
# and others that catch up, which has not been looked at more closely.
#
# ## What it looks like
#
# A run keeps its trained vectors. Results under `runs/reference/` come without them; so unless
# `runs/` has a run on scikit-learn's ten digits (`jaxiso embed --task digits`), a short one is made
# here.


# %%
def trained_digits():
    """Trained vectors of the first seed, (1797, 64): of a run that is there, or of a short one."""
    settings = ("scale", "transform", "isotropy", "hidden", "loss", "test_fraction")
    for run in entries:
        if run.row[0] == "digits" and all(run.config[s] == EMBED.get(s) for s in settings):
            with contextlib.suppress(ValueError):  # it was kept without its vectors
                return jaxiso.load_run(run.runs[0].directory).vectors[0]
    with tempfile.TemporaryDirectory() as folder, capture_output():
        short = ["--task", "digits", "--seeds", "1", "--updates", "300", "--every", "10"]
        command(["embed", *short, "--quiet", "--out", f"{folder}/run"])
        return jaxiso.load_run(f"{folder}/run").vectors[0]


before, labels = load_digits(return_X_y=True)
before = before / np.linalg.norm(before, axis=1, keepdims=True)
after = trained_digits()

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
for ax, (name, x) in zip(axes, {"before": before, "after": after}.items(), strict=False):
    centred = x - x.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    ax.scatter(*(centred @ directions[:2].T).T, c=labels, cmap="tab10", s=3, rasterized=True)
    ax.set(title=f"{name} training", xticks=[], yticks=[], aspect="equal")
    axes[2].semilogy(np.arange(1, 33), (sizes**2 / (sizes**2).sum())[:32], ".-", label=name)
axes[2].set(xlabel="Principal axis", title="Share of the variance", ylim=(1e-5, 1))
axes[2].legend()
plt.show()

# %%
Markdown(
    f"Silhouette {float(silhouette_score(before, labels)):.3f} → "
    f"{float(silhouette_score(after, labels)):.3f}, IsoScore {float(isoscore(before)):.3f} → "
    f"{float(isoscore(after)):.3f}. Ten labels that collapse to points span nine "
    "axes, and the variance of all others goes: that is where the isotropy goes. `theory` has more "
    "of this."
)
