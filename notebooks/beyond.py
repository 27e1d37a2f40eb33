# %% [markdown]
# # Beyond the paper
#
# **Question.** *Isotropy, Clusters, and Classifiers* leaves open, in its Limitations and Appendix
# B, what happens with isotropy in the loss, with a deeper classifier, with the triplet loss, by
# other indices of clusters, and on held-out items. `python -m jaxiso.embed` has an option for each.
# Shown are all runs with them in `runs/` and in `runs/reference/`; where there is none, the command
# that makes one.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown, display

from jaxiso.cli.console import several
from jaxiso.embed.figures import figure_frontier
from jaxiso.embed.options import Options
from jaxiso.embed.trajectory import INDICES, NAMES, by_step, of_isotropy
from jaxiso.report.rows import best, entries_of_a, label_of
from jaxiso.report.runs import DEFAULT_FOLDERS, find_runs
from jaxiso.report.table import markdown_table

# %matplotlib inline
plt.rcParams["figure.dpi"] = 80
if Path.cwd().name == "notebooks":
    os.chdir("..")  # runs are named from the root of the repository

entries = entries_of_a(find_runs(DEFAULT_FOLDERS).embed)
chosen = best(entries)  # the paper's experiment, to compare with


def runs_with(option, command):
    """Runs that were given an option; where there are none, says how to make one."""
    runs = [run for run in entries if run.config[option] != getattr(Options, option)]
    if not runs:
        display(Markdown(f"There is no such run. To make one: `{command}`"))
    return runs


def averages(run):
    """Updates, and each quantity as a mean over seeds."""
    steps, values = by_step(run.metrics)
    return steps, {name: value.mean(axis=1) for name, value in values.items()}


def say(run, text):
    """Something that was found, below the name of the run's task."""
    display(Markdown(f"**{label_of(run.row)}**, {several(run.seeds, 'seed')}: {text}"))


def beside_the_paper(run, name):
    """Silhouette against IsoScore, of a run and of the paper's experiment on the same task."""
    _, ax = plt.subplots(figsize=(5.4, 3.6), layout="constrained")
    shown = {name: run} | ({"as in the paper": chosen[run.row]} if run.row in chosen else {})
    for label, one in shown.items():
        _, values = averages(one)
        r = one.detail["pearson_r"]
        ax.plot(values["isoscore"], values["silhouette"], label=f"{label}: r = {r:.3f}")
    ax.set(xlabel="IsoScore", ylabel="Silhouette", title=label_of(run.row))
    ax.legend(fontsize="small")
    plt.show()
    return {label: one.detail["final"] for label, one in shown.items()}


def at_the_end(finals):
    """The ends of several trajectories, as a sentence."""
    return "; ".join(
        f"{label}, it ends at IsoScore {final['isoscore']['mean']:.4f}, silhouette "
        f"{final['silhouette']['mean']:.3f}, accuracy {final['accuracy']['mean']:.3f}"
        for label, final in finals.items()
    )


# %% [markdown]
# ## Isotropy in the loss: what do clusters and accuracy pay for it?
#
# `--isotropy` adds λ·(1 - IsoScore) to the loss, for each λ given.

# %%
command = "python -m jaxiso.embed --task wnli --isotropy 0 0.1 0.3 1 3 10"
of_task = {}
for run in runs_with("isotropy", command):  # once for each weight
    of_task.setdefault((*run.row, run.seeds, run.config["updates"]), []).append(run)
for runs in of_task.values():  # several commands may have made the weights of one frontier
    weighted = [of_isotropy(run.metrics, run.detail["isotropy"]) for run in runs]
    metrics = {
        name: [value for columns in weighted for value in columns[name]]
        for name in set.intersection(*map(set, weighted))
    }
    display(figure_frontier(metrics, label_of(runs[0].row)))
    ends = {run.detail["isotropy"]: run.detail["final"] for run in runs}
    names, weights = ("isoscore", "silhouette", "accuracy"), sorted(ends)
    scores = np.array([[ends[weight][name]["mean"] for name in names] for weight in weights])
    rows = [
        [f"{weight:g}", *(f"{value:.4f}" for value in row)]
        for weight, row in zip(weights, scores, strict=True)
    ]
    header = ["λ", *(NAMES[name] for name in names)]
    display(Markdown("\n".join(markdown_table(header, rows))))
    jump, paid = np.diff(scores[:, 0]).argmax(), scores[-1] - scores[0]
    say(
        runs[0],
        f"from the smallest λ to the largest, IsoScore changes by {paid[0]:+.3f}, the silhouette "
        f"by {paid[1]:+.3f} and the accuracy by {paid[2]:+.3f}. The largest step is that from λ = "
        f"{weights[jump]:g} to {weights[jump + 1]:g}: IsoScore {scores[jump, 0]:.3f} → "
        f"{scores[jump + 1, 0]:.3f}, silhouette {scores[jump, 1]:.3f} → {scores[jump + 1, 1]:.3f}.",
    )

# %% [markdown]
# Clusters are what isotropy costs, as paper A says. Whether linear classification has to pay as
# well, as it goes on to say, is the right panel: points can be on the right side of a plane without
# being a cluster there. (The items of wnli are those trained on, and have more dimensions than
# there are items.)
#
# ## A hidden layer before the classifier
#
# "Whether our reasoning will hold for deep classifiers with non-linearities" is the first of the
# paper's Limitations.

# %%
for run in runs_with("hidden", "python -m jaxiso.embed --task wnli --hidden 128"):
    finals = beside_the_paper(run, f"with {run.config['hidden']} hidden units")
    say(run, f"{at_the_end(finals)}.")

# %% [markdown]
# On wnli the vectors take the same way, and come less far in the same number of updates.
#
# ## The triplet loss
#
# Appendix B concludes that a triplet loss need not make vectors anisotropic. There is no classifier
# here; accuracy is that of the nearest centroid.

# %%
for run in runs_with("loss", "python -m jaxiso.embed --task wnli --loss triplet"):
    finals = beside_the_paper(run, "triplet loss")
    steps, values = averages(run)
    isoscore = values["isoscore"]
    say(
        run,
        f"{at_the_end(finals)}. With the triplet loss IsoScore starts at {isoscore[0]:.3f} and is "
        f"highest, {isoscore.max():.3f}, after update {steps[isoscore.argmax()]}.",
    )

# %% [markdown]
# ## Other indices of clusters
#
# "We conjecture that these other criteria could be accounted for": Calinski-Harabasz and Dunn,
# which are high for clusters, and Davies-Bouldin, which is low for them (`--track`).

# %%
for run in runs_with("track", "python -m jaxiso.embed --task wnli --track"):
    steps, values = averages(run)
    names = ["silhouette", *(name for name in INDICES if name in values)]
    figure, axes = plt.subplots(1, len(names), figsize=(3 * len(names), 2.8), layout="constrained")
    for ax, name in zip(axes, names, strict=True):
        ax.plot(values["isoscore"], values[name])
        ax.set(xlabel="IsoScore", title=NAMES[name])
    plt.show()
    lines = []
    for name, others in run.detail["agreement"].items():
        rho = others["silhouette"]["spearman_rho"] * (-1 if name == "davies_bouldin" else 1)
        agrees = "agrees with" if rho > 0 else "contradicts"
        against = others["isoscore"]["spearman_rho"]
        lines.append(f"{NAMES[name]} {agrees} the silhouette (ρ with IsoScore {against:+.4f})")
    say(run, f"{'; '.join(lines)}.")

# %% [markdown]
# Dunn's index is the smallest distance between two clusters over the largest diameter of one. A
# single pair of points decides each of the two, so that a few items that are never classified can
# turn it against all other indices.
#
# ## Held-out items
#
# "Our discussion … says nothing of the behavior of models trained until convergence on held out
# data." With `--test-fraction` a share of the items is not trained on. Of their vectors those that
# no other item reads stay as they were.

# %%
for run in runs_with("test_fraction", "python -m jaxiso.embed --task rte --test-fraction 0.2"):
    steps, values = averages(run)
    names = ("isoscore", "silhouette", "accuracy")
    figure, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
    for ax, name in zip(axes, names, strict=True):
        ax.plot(steps, values[name], label="trained on")
        ax.plot(steps, values[f"test_{name}"], label="held out")
        ax.set(xlabel="Updates", title=NAMES[name])
    axes[0].legend(fontsize="small")
    plt.show()
    changes = []
    for name in names:
        trained_on, held_out = values[name], values[f"test_{name}"]
        changes.append(
            f"{NAMES[name]} {held_out[0]:.3f} → {held_out[-1]:.3f} (trained on: "
            f"{trained_on[0]:.3f} → {trained_on[-1]:.3f})"
        )
    say(run, f"held out, {', '.join(changes)}; {len(run.config['classes'])} classes.")

# %% [markdown]
# What is learnt are the vectors themselves, and a vector that is not trained learns nothing; the
# classifier alone does not carry over. That held-out IsoScore falls all the same is due to
# sentences that items of both kinds read. So the experiment is one about optimisation, as the paper
# says, and not about generalisation.
