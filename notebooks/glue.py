# %% [markdown]
# # GLUE
#
# **Question.** Does the trade of isotropy for clusters hold on other tasks and encoders? Appendix A
# of *Isotropy, Clusters, and Classifiers* repeats the experiment on eight tasks of GLUE with three
# sentence encoders, 250 updates each: its Tables 2 and 3 and its Figure 4. Shown are the runs of
# `python -m jaxiso.embed` in `runs/` and in `runs/reference/`, and the commands for what is not
# there.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown

from jaxiso.embed.trajectory import by_step, correlations
from jaxiso.papers import embed_targets
from jaxiso.report.figures import figure_trajectories
from jaxiso.report.not_run import cost_text, list_not_run
from jaxiso.report.rows import best, entries_of_a
from jaxiso.report.runs import DEFAULT_FOLDERS, find_runs
from jaxiso.report.table import as_markdown, markdown_table, plain, tables_of_a

# %matplotlib inline
plt.rcParams["figure.dpi"] = 80
if Path.cwd().name == "notebooks":
    os.chdir("..")  # runs are named from the root of the repository

found = find_runs(DEFAULT_FOLDERS)
chosen = best(entries_of_a(found.embed))  # a run for each task and encoder, set up as in the paper
targets = embed_targets()
glue = {row: run for row, run in chosen.items() if targets[row].glue}
tables = tables_of_a(chosen)

# %% [markdown]
# ## Table 2: items and parameters

# %%
Markdown("\n".join(as_markdown(tables["A, Table 2"])))

# %% [markdown]
# ## Figure 4: silhouette and log-normalised IsoScore across training

# %%
figure_trajectories(glue)

# %%
ends = [run.detail for run in glue.values()]
up = sum(end["final"]["silhouette"]["mean"] > end["start"]["silhouette"]["mean"] for end in ends)
down = sum(end["final"]["isoscore"]["mean"] < end["start"]["isoscore"]["mean"] for end in ends)
lost = [end["final"]["isoscore"]["mean"] / end["start"]["isoscore"]["mean"] for end in ends]
Markdown(
    f"Silhouette rises in {up} and IsoScore falls in {down} of {len(ends)} setups; of the IsoScore "
    f"at the start, {min(lost):.1%} to {max(lost):.1%} are left at the end."
)

# %% [markdown]
# ## Table 3: correlations across training

# %%
Markdown("\n".join(as_markdown(tables["A, Table 3"])))

# %%
apart = {row: run.detail["pearson_r"] - targets[row].pearson_r for row, run in glue.items()}
farthest = max(apart, key=lambda row: abs(apart[row]))
weakest = max(run.detail["pearson_r"] for run in glue.values())
papers = [
    [target.pearson_r for (of, _), target in targets.items() if of == task] for task, _ in glue
]
Markdown(
    f"Pearson's r is at most {weakest:.3f}; the paper says that all of its are below -0.838. The "
    f"largest difference from the paper is {apart[farthest]:+.4f}, in {', '.join(farthest)}; the "
    f"paper's own encoders differ by up to {max(map(np.ptp, papers)):.4f} in one of these tasks."
)

# %% [markdown]
# ## What has not been run
#
# The times are estimates from the runs that are named, and the data come from the Hugging Face hub.

# %%
rows = [
    [one["label"], f"`{one['command']}`", plain(cost_text(one["cost"]))]
    for one in list_not_run(chosen, found)
    if one["paper"] == "A" and one["seeds"] == 0
]
Markdown("\n".join(markdown_table(["", "command", "estimated cost"], rows)))

# %% [markdown]
# ## Why every update is measured
#
# r weighs all measured points alike, and most of the change happens in the first updates. Measuring
# only every k-th update thins out just these.

# %%
every = np.array([1, 2, 5, 10, 25])
figure, ax = plt.subplots(figsize=(5.4, 3.4), layout="constrained")
moved = {}
for (task, encoder), run in glue.items():
    _, values = by_step(run.metrics)
    scores = [values[name].mean(axis=1) for name in ("isoscore", "silhouette")]
    r = np.array([correlations(*(score[::k] for score in scores))[0] for k in every])
    moved[task, encoder] = abs(r - r[0])
    ax.plot(every, r, ".-", label=f"{task}, {encoder}")
ax.set(xlabel="Measured after every k-th update", ylabel="Pearson's r")
ax.legend(fontsize="small")
plt.show()

# %%
at_fifth = [change[list(every).index(5)] for change in moved.values()]
Markdown(
    f"Measured at every 5th update, r moves by {min(at_fifth):.4f} to {max(at_fifth):.4f}; the "
    f"largest difference from the paper is {max(map(abs, apart.values())):.4f}. So a run with "
    "`--every` above 1 is not compared with the paper."
)
