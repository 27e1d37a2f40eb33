# %% [markdown]
# # The argument, along a real trajectory
#
# **Question.** Section 2 of *Isotropy, Clusters, and Classifiers* ("paper A") argues that clusters
# (O_S, Eq. 1), isotropy (O_I, Eq. 2) and linear classification (O_C, Eq. 3) are objectives in
# conflict, and Appendix B adds the triplet loss (O_T, Eq. 5). Which of them rise and which fall
# while real vectors are trained, and what of the argument holds with numbers put in? The vectors
# are scikit-learn's digits (1,797 × 64, ten labels), trained as in the paper.

# %%
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import pandas as pd
from IPython.display import Markdown
from sklearn.datasets import load_digits

from jaxiso import isoscore, objectives, participation_ratio, silhouette_score

# %matplotlib inline
plt.rcParams["figure.dpi"] = 80
if Path.cwd().name == "notebooks":
    os.chdir("..")  # as the other notebooks

# %%
images, labels = load_digits(return_X_y=True)
vectors = images / np.linalg.norm(images, axis=1, keepdims=True)
n, d, k = *vectors.shape, 10


@jax.jit
def measure(x, class_vectors):
    """All objectives of the digits' vectors, and what they stand for."""
    return {
        "silhouette": silhouette_score(x, labels, num_labels=k),
        "O_S (Eq. 1)": objectives.silhouette_objective(x, labels, num_labels=k),
        "O_C (Eq. 3)": objectives.classification_objective(x, labels, class_vectors, num_labels=k),
        "O_T (App. B)": objectives.triplet_objective(x, labels, num_labels=k),
        "bound (Eq. 5)": objectives.triplet_bound(x, labels, num_labels=k),
        "IsoScore": isoscore(x),
        "cosine (Eq. 2)": objectives.isotropy_objective(x, exact=True),
        "sum (Eq. 2)": objectives.isotropy_objective(x),
        "angle": objectives.isotropy_angle(x),
        "defect": objectives.isotropy_defect(x),
        "participation ratio": participation_ratio(x),
    }


# %%
optimizer = optax.adam(1e-3)


def loss(params):
    """The sum of the cross-entropies, as `python -m jaxiso.embed` has it."""
    scores = params["vectors"] @ params["classes"].T + params["bias"]
    return optax.softmax_cross_entropy_with_integer_labels(scores, labels).sum()


@jax.jit
def update(params, state):
    changes, state = optimizer.update(jax.grad(loss)(params), state)
    return optax.apply_updates(params, changes), state


class_vectors, bias = jax.random.split(jax.random.key(0))
limit = d**-0.5  # of the uniform numbers that PyTorch's linear layers start from
params = {
    "vectors": jnp.asarray(vectors, np.float32),
    "classes": jax.random.uniform(class_vectors, (k, d), minval=-limit, maxval=limit),
    "bias": jax.random.uniform(bias, (k,), minval=-limit, maxval=limit),
}
state = optimizer.init(params)
updates, trajectory, points = [0, 20, 60, 120, 200, 300], [], []
for done in range(updates[-1] + 1):
    if done in updates:
        head = np.asarray(params["classes"])
        points.append(np.asarray(params["vectors"]))
        trajectory.append(measure(points[-1], head))
    params, state = update(params, state)
seen = {name: np.array([float(found[name]) for found in trajectory]) for name in trajectory[0]}

# %% [markdown]
# ## Which rises, which falls

# %%
names = ["silhouette", "O_S (Eq. 1)", "O_C (Eq. 3)", "O_T (App. B)"]
names += ["IsoScore", "cosine (Eq. 2)", "sum (Eq. 2)", "bound (Eq. 5)"]
figure, axes = plt.subplots(2, 4, figsize=(12, 4.6), layout="constrained", sharex=True)
for ax, name in zip(axes.flat, names, strict=True):
    ax.plot(updates, seen[name], "C0" if seen[name][-1] > seen[name][0] else "C3")
    ax.set_title(name)
    ax.grid(alpha=0.3)
figure.supxlabel("Updates")
plt.show()

# %%
claims = dict.fromkeys(names[:4], "rises") | dict.fromkeys(names[4:7], "falls")
rows = []
for name in names:
    start, end = seen[name][[0, -1]] + 0.0  # so that -0 is 0
    rows.append([name, f"{start:.4g}", f"{end:.4g}", "rises" if end > start else "falls"])
    rows[-1].append(claims.get(name, "-"))
pd.DataFrame(rows, columns=["", "start", "end", "here it", "paper"]).set_index("")

# %% [markdown]
# Clusters, classification and the triplet objective rise together, and IsoScore falls after the
# first updates, with the cosine of Eq. 2, as the paper has it. But the sum that Eq. 2 puts for the
# cosine rises too.
#
# ## Eq. 2: the cosine is not proportional to the sum
#
# With V the variances along the principal axes, the cosine is sum / (2·n²·√d·‖V‖). The paper drops
# the denominator ("we ignore the cosine denominator", in its Limitations), which depends on the
# points.

# %%
variances = [np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2 / n for x in points]
denominator = 2 * n**2 * np.sqrt(d) * np.array([np.linalg.norm(v) for v in variances])
off = abs(seen["sum (Eq. 2)"] / denominator - seen["cosine (Eq. 2)"]).max()
grown = [values[-1] / values[0] for values in (seen["sum (Eq. 2)"], denominator)]
Markdown(
    f"Divided by it, the sum is the cosine, to {off:.0e}. From start to end the sum grows "
    f"{grown[0]:.1f}-fold and the denominator {grown[1]:.1f}-fold."
)

# %% [markdown]
# The points move apart, and most of all along few axes. A sum of distances does not tell whether a
# cloud is isotropic: that Eq. 1 and Eq. 2 contradict each other about distances within a label is
# not yet a conflict of clusters with isotropy.
#
# ## IsoScore is a function of the participation ratio
#
# IsoScore is defined in seven steps, from principal components to a rescaled distance. They reduce
# to (P-1)/(d-1), with P = tr(C)² / ‖C‖² the participation ratio of the covariance C; and the cosine
# of Eq. 2 is √(P / d).


# %%
def published(x):
    """IsoScore in its seven steps (Rudman et al. 2022)."""
    d = x.shape[1]
    variances = np.linalg.eigvalsh(np.cov(x.T.astype(np.float64)))  # of the principal components
    normed = np.sqrt(d) * variances / np.linalg.norm(variances)
    defect = np.linalg.norm(normed - 1) / np.sqrt(2 * (d - np.sqrt(d)))
    used = (d - defect**2 * (d - np.sqrt(d))) ** 2 / d**2  # share of the dimensions
    return (d * used - 1) / (d - 1)


rng = np.random.default_rng(0)
clouds = {"digits in training": points}
for dim in (8, d):
    spectra = rng.gamma(rng.choice([0.1, 0.5, 5], (20, 1)), size=(20, dim)) ** 0.5 + 1e-3
    clouds[f"random, d = {dim}"] = [rng.standard_normal((n, dim)) * s for s in spectra]
figure, ax = plt.subplots(figsize=(5.4, 3.8), layout="constrained")
worst = 0
for name, some in clouds.items():
    dim, scores = some[0].shape[1], [published(x) for x in some]
    ratios = np.array([float(participation_ratio(x)) for x in some])
    worst = max(worst, abs((ratios - 1) / (dim - 1) - scores).max())
    line = np.geomspace(1, dim, 50)
    ax.plot(line, (line - 1) / (dim - 1), "0.8", zorder=0)
    ax.scatter(ratios, scores, s=12, label=name)
ax.set(xlabel="Participation ratio", ylabel="IsoScore, in seven steps", xscale="log")
ax.legend(fontsize="small")
plt.show()

# %%
ratio = seen["participation ratio"]
off = abs(np.sqrt(ratio / d) - seen["cosine (Eq. 2)"]).max()
Markdown(
    f"All {sum(map(len, clouds.values()))} clouds lie on the lines (P - 1) / (d - 1), to "
    f"{worst:.0e}; and the cosine is √(P / d), to {off:.0e}. The digits use {ratio[0]:.1f} of {d} "
    f"directions at the start and {ratio[-1]:.1f} at the end."
)

# %% [markdown]
# ## Figure 1: the defect is a chord
#
# The variances, rescaled to length √d, lie on a sphere with the all-ones vector. The distance
# between the two is the chord of their angle α.

# %%
alpha = seen["angle"]
angles = np.linspace(0, np.arccos(d**-0.5), 100)
figure, ax = plt.subplots(figsize=(5.4, 3.4), layout="constrained")
ax.plot(np.degrees(angles), 2 * np.sqrt(d) * np.sin(angles / 2), label="2·√d·sin(α/2)")
ax.scatter(np.degrees(alpha), seen["defect"], c="C1", s=14, zorder=3, label="digits in training")
ax.axvline(45, color="0.6", ls="--", label="α = π/4")
ax.set(xlabel="Angle α (degrees)", ylabel="Isotropy defect ‖ṽ - 1‖")
ax.legend(fontsize="small")
plt.show()

# %%
half = abs(seen["defect"] ** 2 / (4 * d) - 1 + np.cos(alpha / 2) ** 2).max()
start, end, most = np.degrees([alpha[0], alpha[-1], angles[-1]])
Markdown(
    f"defect²/(4·d) - 1 is -cos²(α/2), to {half:.0e}. α is {start:.0f}° at the start and "
    f"{end:.0f}° at the end, of {most:.0f}° that are possible in {d} dimensions."
)

# %% [markdown]
# So the paper's equation holds, for the cosine of *half* the angle. Its range of α, from 0 to π/4,
# does not, and is not needed: the chord grows with α up to π.
#
# ## Eq. 1: O_S does not always ask for tight clusters
#
# A pair of points with one label counts with a minus, so O_S should fall when a label spreads out.
# But what spreads out also gets farther from all others, on average: O_S = 2·n·B +
# 2·Σ(n-2·n_k)·S_k, with B the scatter of the centroids, S_k that within label k and n_k its points.
# Below, one of three equal labels is blown up around its centroid.

# %%
corners = np.array([[0, 0], [8, 0], [4, 7]])
three = np.repeat(np.arange(3), 60)
noise = rng.standard_normal((180, 2))
noise -= np.array([noise[three == label].mean(axis=0) for label in range(3)])[three]
blown = np.linspace(0.2, 4, 20)
spread = [corners[three] + noise * np.where(three == 0, t, 1)[:, None] for t in blown]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
o_s = [float(objectives.silhouette_objective(x, three)) for x in spread]
silhouettes = [float(silhouette_score(x, three)) for x in spread]
for ax, values, name in zip(axes, (o_s, silhouettes), ("O_S", "Silhouette"), strict=True):
    ax.plot(blown, values)
    ax.set(xlabel="Spread of one of three labels", ylabel=name)

# %%
Markdown(
    f"O_S goes from {o_s[0]:,.0f} to {o_s[-1]:,.0f} while the silhouette goes from "
    f"{silhouettes[0]:.2f} to {silhouettes[-1]:.2f}."
)

# %% [markdown]
# O_S favours tight labels among clouds of equal total scatter, and of labels with half of the
# points or more.
#
# The root makes a difference, too. "Due to the monotonicity of the square root" Eq. 1 is to have
# the optimum of the sum of plain distances; but roots keep the order of terms, not that of sums
# with both signs. Points on a line, the first two of one label:

# %%
pair = {"tight": np.array([[0.0], [0.0], [1.2]]), "wide": np.array([[0.0], [9.0], [10.0]])}
rows = []
for name, x in pair.items():
    plain = 2 * (abs(x[0] - x[2]) + abs(x[1] - x[2]) - abs(x[0] - x[1]))[0]
    squared = float(objectives.silhouette_objective(x, ["a", "a", "b"]))
    rows.append([name, ", ".join(f"{v:g}" for v in x[:, 0]), f"{plain:.2f}", f"{squared:.2f}"])
pd.DataFrame(rows, columns=["", "points", "plain distances", "squared (Eq. 1)"]).set_index("")

# %% [markdown]
# Plain distances prefer the tight pair, squared ones the wide one.
#
# ## Eq. 3: the classifier's objective has no optimum of its own
#
# O_C is linear in the points: all of them times two, and it is twice as large. "Any optimum for O_C
# is an optimum for O_S" so speaks of points that are kept in bounds. With lengths bounded, each
# point's best place is the same for its whole label: then they do collapse, as in Eq. 4 (to which
# places, the class vectors say; whether O_S likes them best is another matter, see above). In
# training, lengths are not bounded; how far does the collapse go?

# %%
shares = []
for x in points:
    centroids = np.array([x[labels == label].mean(axis=0) for label in range(k)])
    shares.append(((x - centroids[labels]) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum())
terms = objectives.classification_terms(points[-1], labels, head)
Markdown(
    f"The scatter within labels is {shares[0]:.0%} of all scatter at the start and "
    f"{shares[-1]:.0%} at the end. There the three sums in Eq. 3's second line are "
    f"{terms.points:,.0f} (lengths of points), {terms.classes:,.0f} (lengths of class vectors) and "
    f"{terms.distances:,.0f} (distances), {sum(terms):,.0f} in all."
)

# %% [markdown]
# ## Appendix B: the triplet objective and its bound

# %%
below = (seen["O_T (App. B)"] <= seen["bound (Eq. 5)"]).mean()
larger = 2 * seen["bound (Eq. 5)"][-1] / seen["O_S (Eq. 1)"][-1]  # as many times
blown_up = measure(points[-1] * larger, head)
plain = 2 * (1.2 + 1.2 - 0)
small = float(objectives.triplet_bound(pair["tight"], ["a", "a", "b"]))
Markdown(
    f"- O_T is at most the bound of Eq. 5 in {below:.0%} of the measurements. At the end it is "
    f"{abs(seen['O_T (App. B)'][-1]):.0f}: no stranger is nearer than a fellow.\n"
    f"- The digits at the end, times {larger:.0f}: O_S = {blown_up['O_S (Eq. 1)']:.2g}, the bound "
    f"{blown_up['bound (Eq. 5)']:.2g}.\n"
    f"- The tight pair above: sum of plain distances {plain:.1f}, the bound {small:.1f}."
)

# %% [markdown]
# That Eq. 5 bounds Eq. 1 too, as the paper adds, is not so: squares outgrow it, and the sum of
# plain distances weighs pairs of one label less.
#
# ## Where the conflict ends: as many labels as directions
#
# "Point clouds cannot both contain well-defined clusters and be isotropic", the paper sums up. But
# K labels that have collapsed to points span up to K-1 directions, and these alike where all are
# equally far from each other. So P may be K-1, and IsoScore (K-2)/(d-1), where the silhouette is 1:
# which is little for few labels, and need not be for many.

# %%
dim, several = 8, [2, 5, 9]
scores = []
for many in several:
    # A regular simplex in as many dimensions as it takes, with 90 points at its corners.
    corners = np.eye(many) - 1 / many
    corners = corners @ np.linalg.svd(corners)[2].T[:, : many - 1]
    which = np.arange(90) % many
    x = np.pad(corners[which], ((0, 0), (0, dim - many + 1)))
    silhouette = silhouette_score(x, which, num_labels=dim + 1)  # labels may be without points
    scores.append((float(isoscore(x)), float(silhouette)))
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
axes[0].plot([2, dim + 1], [0, 1], "0.7", label="(K - 2) / (d - 1)")
axes[0].plot(several, [score for score, _ in scores], "o", label="IsoScore")
axes[0].plot(several, [score for _, score in scores], "s", mfc="none", label="silhouette")
axes[0].set(xlabel="Number of labels K, in 8 dimensions", title="Labels collapsed to points")
axes[1].plot(updates, seen["IsoScore"], label="IsoScore of the digits")
axes[1].axhline((k - 2) / (d - 1), color="0.7", label=f"(K - 2) / (d - 1) for K = {k}")
axes[1].set(xlabel="Updates", ylim=(0, None))
for ax in axes:
    ax.legend(fontsize="small")

# %%
Markdown(
    f"- {several[-1]} labels in {dim} dimensions: IsoScore {scores[-1][0]:.3f}, silhouette "
    f"{scores[-1][1]:.3f}; 2 labels: IsoScore {scores[0][0]:.3f}, silhouette {scores[0][1]:.3f}.\n"
    f"- The digits' IsoScore falls to {seen['IsoScore'].min():.3f}; (K - 2) / (d - 1) is "
    f"{(k - 2) / (d - 1):.3f}."
)

# %% [markdown]
# With one label more than there are dimensions both scores are perfect at once. The claim is one
# about few labels: two that collapse leave a single direction, as in the paper's binary tasks. The
# digits' ten labels leave nearly as much as ten points that are equally far from each other, and
# there IsoScore stays. Where it starts below, training can raise both: `both_papers` has such
# vectors.
