# %% [markdown]
# # Transforms
#
# **Question.** Whitening and all-but-the-top make vectors more isotropic before anything is
# trained. What does that do to the clusters that are there, and to the trade-off of *Isotropy,
# Clusters, and Classifiers*, where training a classifier raises the silhouette and lowers IsoScore?
# And why does cluster-wise removal give isotropic vectors and no clusters at all?

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown
from IPython.utils.capture import capture_output
from sklearn.datasets import load_digits

import jaxiso
from jaxiso.__main__ import main as command

# %matplotlib inline
plt.rcParams["figure.dpi"] = 80
if Path.cwd().name == "notebooks":
    os.chdir("..")  # runs are named from the root of the repository

X, digit = load_digits(return_X_y=True)
X = X / np.linalg.norm(X, axis=1, keepdims=True)
parity = digit % 2

# %% [markdown]
# ## Before training
#
# The vectors are scikit-learn's images of digits, of length one, and the labels what `jaxiso embed`
# takes by default: is the digit even or odd. (`jaxiso score FILE --transform none abtt:3 whiten`
# shows the same for a file.)

# %%
names = ("isoscore", "mean_cosine", "silhouette", "calinski_harabasz")
lines = ["| | dimensions | " + " | ".join(name.replace("_", " ") for name in names) + " |"]
lines.append(f"| --- {'| ---: ' * 5}|")
remarks = []
for text in (
    "none",
    "center",
    "unit",
    "standardize",
    "rogue:3",
    "abtt:3",
    "whiten",
    "cluster:10,3",
):
    y, fitted = jaxiso.transforms.parse(text).fit_apply(X)
    found = jaxiso.measure(y, parity, measures=names)
    shown = " | ".join(f"{found[name].value:.3f}" for name in names)
    lines.append(f"| {text} | {y.shape[1]} | {shown} |")
    remarks += fitted.remarks
Markdown("\n".join([*lines, "", *(f"- {remark}" for remark in remarks)]))

# %% [markdown]
# Centring and lengths change nothing that IsoScore sees. Whitening makes it 1 by construction, in
# the directions that vary at all; three pixels that are always blank are left out, where dividing
# by their standard deviation of zero would have made rounding errors as large as everything else.
# All directions then count alike, those that tell the labels apart no more than those of noise, and
# the silhouette falls. All-but-the-top takes away the directions of largest variance, and with them
# what they said about the labels.
#
# ## Why cluster-wise removal leaves no clusters
#
# It takes away the mean of each cluster of k-means, then its first directions. After the first step
# every cluster has its centroid at the origin: they lie on top of each other, whatever set them
# apart before. That is what makes the vectors isotropic, since the differences between clusters
# were the directions of largest variance; and it is why no label that goes with the clusters can be
# told by a centroid any more.

# %%
pipeline = jaxiso.transforms.parse("cluster:10,3")
y, fitted = pipeline.fit_apply(X)
centroids = fitted.params[0].centroids
cluster = np.argmin(((X[:, None] - centroids[None]) ** 2).sum(axis=2), axis=1)
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3), layout="constrained")
lines = []
for ax, (name, z) in zip(axes, {"before": X, "after": y}.items(), strict=True):
    far = max(np.linalg.norm(z[cluster == k].mean(axis=0) - z.mean(axis=0)) for k in range(10))
    silhouette = float(jaxiso.silhouette_score(z, cluster))
    lines.append(f"{name}: farthest centroid {far:.3f} from the mean, silhouette {silhouette:.3f}")
    plane = jaxiso.transforms.parse("whiten:2").fit_apply(z)[0]
    ax.scatter(*plane.T, c=cluster, cmap="tab10", s=3, rasterized=True)
    ax.set(title=name, xticks=[], yticks=[])
plt.show()

# %%
Markdown("Of the clusters of k-means themselves: " + "; ".join(lines) + ".")

# %% [markdown]
# ## During training
#
# `jaxiso embed` on raw, whitened and all-but-the-top vectors. Adam's steps are absolute, so that
# vectors have to have the same length to be compared: `unit` comes last.

# %%
TRANSFORMS = ("unit", "whiten,unit", "abtt:3,unit")


def train(text):
    """A short run of the command in a folder of its own, and what it wrote."""
    with tempfile.TemporaryDirectory() as folder, capture_output():
        out = f"{folder}/run"
        small = ["--seeds", "1", "--updates", "60", "--every", "2", "--quiet"]
        command(["embed", "--transform", text, *small, "--out", out])
        run = jaxiso.load_run(out)
        return run.metrics, run.result


_, ax = plt.subplots(figsize=(5.4, 3.6), layout="constrained")
lines = []
for text in TRANSFORMS:
    metrics, result = train(text)
    ax.plot(metrics["isoscore"], metrics["silhouette"], ".-", label=text)
    first, last = metrics.iloc[0], metrics.iloc[-1]
    lines.append(
        f"- {text}: IsoScore {first['isoscore']:.3f} → {last['isoscore']:.3f}, silhouette "
        f"{first['silhouette']:.3f} → {last['silhouette']:.3f}, accuracy {last['accuracy']:.3f}, "
        f"r = {result['pearson_r']:.3f}"
    )
ax.set(xlabel="IsoScore", ylabel="Silhouette", xscale="log")
ax.legend()
plt.show()

# %%
Markdown("\n".join(lines))

# %% [markdown]
# The same on sentences, from runs with the paper's numbers of updates in `runs/reference/`.

# %%
rows = ["| task | vectors | IsoScore | silhouette | r |", "| --- | --- | ---: | ---: | ---: |"]
for task, seeds in {"wnli": "", "rte": "-2seeds"}.items():
    for text, name in {"none": "", "whiten,unit": "-whiten", "abtt:3,unit": "-abtt3"}.items():
        found = Path("runs/reference").glob(f"{task}-minilm{name}{seeds * bool(name)}/config.json")
        for path in found:
            result = jaxiso.load_run(path.parent).result
            moved = (
                f"{result['start'][key]['mean']:.3f} → {result['final'][key]['mean']:.3f}"
                for key in ("isoscore", "silhouette")
            )
            rows.append(f"| {task} | {text} | {' | '.join(moved)} | {result['pearson_r']:.3f} |")
Markdown("\n".join(rows))

# %% [markdown]
# So the trade-off of paper A holds for transformed vectors as well, and whitening is no protection:
# the classifier pulls the vectors along its own few directions, which in the end hold nearly all
# variance, wherever the vectors began. Only the way there is another. Whitened vectors have all of
# IsoScore to lose and lose most of it in the first updates, when the silhouette has hardly moved;
# points that bend away from a line like this make Pearson's r smaller, while the ranks agree as
# before. All-but-the-top begins and ends near the raw vectors, with somewhat less of a silhouette.
