# %% [markdown]
# # GLUE
#
# **Question.** Does the trade of isotropy for clusters hold on other tasks and encoders? Appendix A
# of *Isotropy, Clusters, and Classifiers* (Mickus, Grönroos, Attieh 2024; "the paper") repeats the
# experiment on eight tasks of GLUE with three sentence encoders, 250 updates each: its Tables 2 and
# 3 and its Figure 4. Shown is every run of `python -m jaxiso.embed` on these tasks in `runs/` and
# `runs/reference/`. `python -m jaxiso.report` has the commands for what has not been run, with
# their costs.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown

import jaxiso

# %matplotlib inline
plt.rcParams["figure.dpi"] = 80
pd.options.display.max_colwidth = None
if Path.cwd().name == "notebooks":
    os.chdir("..")  # runs are named from the root of the repository

paper = {row: of for row, of in jaxiso.papers.embed_targets().items() if of.glue}
runs = jaxiso.load_runs("runs", "runs/reference")


def row_of(run):
    """The row of the paper's tables: task and encoder."""
    return run.config.get("task"), run.config.get("encoder")


glue = [run for run in runs if run.result and row_of(run) in paper]


def is_as_in_paper(run):
    """Whether all its settings are the paper's, but for the number of seeds."""
    settings = jaxiso.papers.EMBED | {"updates": paper[row_of(run)].updates}
    return all(run.config[name] == value for name, value in settings.items() if name != "seeds")


def weight(run):
    """Of several runs of a row that with a sum in the loss is shown, then that of more seeds."""
    return run.config["reduction"] == "sum", run.config["seeds"]


as_in_paper = {}
for run in sorted(filter(is_as_in_paper, glue), key=weight):
    as_in_paper[row_of(run)] = run
as_in_paper = {row: as_in_paper[row] for row in paper if row in as_in_paper}
Markdown(
    f"{len(glue)} runs; {len(as_in_paper)} of the paper's {len(paper)} pairs of task and encoder "
    "have been run as in the paper."
)

# %% [markdown]
# ## Table 2: items and parameters

# %%
sizes = [
    {
        "task, encoder": ", ".join(row),
        "items": run.config["items"],
        "paper": paper[row].items,
        "parameters": run.result["parameters"],
        "paper ": paper[row].parameters,
    }
    for row, run in as_in_paper.items()
]
pd.DataFrame(sizes).set_index("task, encoder")

# %% [markdown]
# ## Figure 4: silhouette and log-normalised IsoScore across training
#
# Means over seeds, and their range.

# %%
tasks = list(dict.fromkeys(task for task, _ in as_in_paper))
encoders = list(dict.fromkeys(encoder for _, encoder in paper))
figure, axes = plt.subplots(
    2, len(tasks), figsize=(2.7 * len(tasks), 4.4), layout="constrained", squeeze=False
)
for (task, encoder), run in as_in_paper.items():
    logs = np.log(run.metrics["isoscore"])
    drawn = {
        "Silhouette": run.metrics["silhouette"],
        "Log-norm. IsoScore": (logs - logs.min()) / (logs.max() - logs.min()),
    }
    for ax, (name, values) in zip(axes[:, tasks.index(task)], drawn.items(), strict=True):
        by_step = values.groupby(run.metrics["step"])
        colour = f"C{encoders.index(encoder)}"
        ax.plot(by_step.mean(), color=colour, label=encoder)
        ax.fill_between(
            by_step.mean().index, by_step.min(), by_step.max(), color=colour, alpha=0.25, lw=0
        )
        ax.set(title=name)
for place, task in enumerate(tasks):
    axes[0, place].set_title(f"{task}\nSilhouette")
    axes[0, place].legend(fontsize="small")
    axes[1, place].set_xlabel("Updates")
plt.show()

# %%
ends = [(run.result["start"], run.result["final"]) for run in as_in_paper.values()]
up = sum(end["silhouette"]["mean"] > start["silhouette"]["mean"] for start, end in ends)
left = [end["isoscore"]["mean"] / start["isoscore"]["mean"] for start, end in ends]
Markdown(
    f"Silhouette rises in {up} and IsoScore falls in {sum(share < 1 for share in left)} of "
    f"{len(ends)} setups; {min(left):.1%} to {max(left):.1%} of the IsoScore at the start are left "
    "at the end."
)

# %% [markdown]
# ## Table 3: correlations across training
#
# The paper's numbers are those of a loss that is summed over items; `why_r_depends_on_n` is about
# what a mean changes.

# %%
correlations = [
    {
        "task, encoder": ", ".join(row),
        "seeds": run.config["seeds"],
        "loss": run.config["reduction"],
        "Pearson r": run.result["pearson_r"],
        "paper": paper[row].pearson_r,
        "difference": run.result["pearson_r"] - paper[row].pearson_r,
        "Spearman ρ": run.result["spearman_rho"],
        "paper ": paper[row].spearman_rho,
    }
    for row, run in as_in_paper.items()
]
correlations = pd.DataFrame(correlations).set_index("task, encoder")
correlations.round(5)

# %%
farthest = correlations["difference"].abs().idxmax()
spread = max(
    np.ptp([target.pearson_r for (of, _), target in paper.items() if of == task]) for task in tasks
)
Markdown(
    f"Pearson's r is at most {correlations['Pearson r'].max():.3f}; the paper says that all of its "
    "are below -0.838. The largest difference from the paper is "
    f"{correlations['difference'][farthest]:+.4f}, in {farthest}; the paper's own encoders differ "
    f"by up to {spread:.4f} in one of these tasks."
)

# %% [markdown]
# ## All runs
#
# With other vectors, other losses, a layer more, or items held out; `beyond` and `transforms` are
# about these.

# %%
every_run = []
for run in sorted(glue, key=row_of):
    for found in run.result.get("frontier", [run.result]):
        weight = f", λ = {found['isotropy']:g}" if "isotropy" in found else ""
        start, final = found["start"], found["final"]
        every_run.append(
            {
                "run": run.directory.name + weight,
                "Pearson r": found["pearson_r"],
                "Spearman ρ": found["spearman_rho"],
                "IsoScore, start": start["isoscore"]["mean"],
                "end": final["isoscore"]["mean"],
                "silhouette, start": start["silhouette"]["mean"],
                "end ": final["silhouette"]["mean"],
                "differences from the paper": "; ".join(run.result["not_as_in_the_paper"]),
            }
        )
pd.DataFrame(every_run).set_index("run").round(4)

# %% [markdown]
# ## Why every update is measured
#
# r weighs all measured points alike, and most of the change happens in the first updates. Measuring
# only every k-th update thins out just these.

# %%
every = [1, 2, 5, 10, 25]
figure, ax = plt.subplots(figsize=(5.4, 3.4), layout="constrained")
moved = []
for row, run in as_in_paper.items():
    means = run.metrics.groupby("step")[["isoscore", "silhouette"]].mean()
    r = np.array([np.corrcoef(means[::k].T)[0, 1] for k in every])
    moved.append(abs(r - r[0])[every.index(5)])
    ax.plot(every, r, ".-", label=", ".join(row))
ax.set(xlabel="Measured after every k-th update", ylabel="Pearson's r")
ax.legend(fontsize="small")
plt.show()

# %%
Markdown(
    f"Measured at every 5th update, r moves by {min(moved):.4f} to {max(moved):.4f}; the largest "
    f"difference from the paper is {correlations['difference'].abs().max():.4f}. So a run with "
    "`--every` above 1 is not compared with the paper."
)
