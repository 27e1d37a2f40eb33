# %% [markdown]
# # Do the papers contradict each other?
#
# **Question.** Paper A (*Isotropy, Clusters, and Classifiers*) says that isotropy excludes
# clusters; it measures IsoScore and silhouette. Paper B (*On the Effect of Isotropy on VAE
# Representations of Text*) says that a more isotropic posterior makes classes easier to tell apart;
# it measures the isotropy score of Mu and Viswanath, the accuracy of probes, and looks at maps.
# Here all of these are taken of the same vectors: posterior means of test sentences under
# LSTM-VAEs, from `python -m jaxiso.vae evaluate`, in `runs/` and in `runs/reference/`.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from IPython.utils.capture import capture_output

import jaxiso
from jaxiso.__main__ import main as command

# %matplotlib inline
plt.rcParams["figure.dpi"] = 80
if Path.cwd().name == "notebooks":
    os.chdir("..")  # runs are named from the root of the repository

# Models with codes of labelled sentences that differ in posterior and C only, the most that there
# are of one corpus. Runs that differ in their seed only are one model.
# Runs of earlier versions have no digests of their texts: of the vocabulary, and counts, only.
OWN = ("posterior", "C", "seed", "seeds", "train_sha256", "dev_sha256", "test_sha256")
sets = {}
for run in jaxiso.load_runs("runs", "runs/reference"):
    if run.config["experiment"] == "vae":
        same = repr({name: value for name, value in run.config.items() if name not in OWN})
        posterior, targets = run.config["posterior"], run.config["C"]
        for C in targets if isinstance(targets, list) else [targets]:
            found, codes = run.evaluation(C), run.latents(C)
            if found and codes and "labels" in codes:
                row = posterior, None if posterior == "none" else C
                sets.setdefault(same, {}).setdefault(row, []).append((run, found, codes))
order = ("none", "diagonal", "isotropic")
models = max(sets.values(), key=len)
models = {
    row: models[row] for row in sorted(models, key=lambda row: (row[1] or 0, order.index(row[0])))
}
latents = {row: found[0][2] for row, found in models.items()}  # of the first seed
tested = {run.config.get("test_sha256") for found in models.values() for run, *_ in found} - {None}
assert len(tested) < 2, "the models were evaluated on different sentences"
pairs = [C for posterior, C in models if posterior == "isotropic" and ("diagonal", C) in models]


def name_of(row):
    """Such as isotropic, C = 5."""
    posterior, target = row
    return posterior if target is None else f"{posterior}, C = {target:g}"


def mean(row, measure):
    """Over all seeds; NaN where it was not measured."""
    found = [of["measures"].get(measure, {"values": []})["values"] for _, of, _ in models[row]]
    values = [value for of_run in found for value in of_run if value is not None]
    return np.mean(values) if values else np.nan


lines = []
for row, found in models.items():
    run, evaluation, codes = found[0]
    seeds = sum(run.config["seeds"] for run, _, _ in found)
    n, d = codes["means"].shape
    early = "" if run.result else " (the training was not finished then)"
    lines.append(
        f"- {run.config['corpus']}, {name_of(row)}: {seeds} seed{'s' * (seeds > 1)}, "
        f"{evaluation['updates']:,} updates{early}, {n:,} sentences, {d} dimensions"
    )
Markdown("\n".join(lines))

# %% [markdown]
# ## Both papers' measures of the same vectors
#
# Of all test sentences, as `evaluation.json` has them; means over seeds. All that follows is of the
# sentences whose codes `evaluate` keeps, at most 2,000, so that numbers differ from these a little.

# %%
measures = {
    "isoscore_means": "IsoScore",
    "silhouette_means": "silhouette",
    "isotropy_score_means": "Mu & Viswanath",
    "accuracy": "accuracy of probes, %",
}
pd.DataFrame(
    {name: {name_of(row): mean(row, m) for row in models} for m, name in measures.items()}
).round(4)

# %%
lines = []
for C in pairs:
    changes = {
        name: mean(("isotropic", C), m) - mean(("diagonal", C), m) for m, name in measures.items()
    }
    said = [
        f"{'raises' if c > 0 else 'lowers'} {name} by {abs(c):.3g}"
        for name, c in changes.items()
        if np.isfinite(c)
    ]
    lines.append(f"- C = {C:g}: the isotropic posterior {', '.join(said)}")
Markdown("\n".join(lines))

# %% [markdown]
# Is a difference in silhouette more than chance? The sentences are the same for both posteriors, so
# their silhouettes are compared in pairs. (This leaves out how much a model trained with another
# seed would differ.)

# %%
lines = []
for C in pairs:
    some = [latents[posterior, C] for posterior in ("diagonal", "isotropic")]
    if not np.array_equal(some[0]["labels"], some[1]["labels"]):
        continue  # other sentences
    diagonal, isotropic = (
        np.asarray(jaxiso.silhouette_samples(z["means"], z["labels"])) for z in some
    )
    gain = isotropic - diagonal
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    lines.append(
        f"- C = {C:g}: {gain.mean():+.4f} ± {error:.4f} (standard error of "
        f"{len(gain):,} sentences), from {diagonal.mean():.4f} to {isotropic.mean():.4f}"
    )
Markdown("\n".join(lines))

# %% [markdown]
# A silhouette of 1 is that of perfect clusters, and 0 means that a sentence is as far from those of
# its own class as from those of another. Paper A's conflict is one of spaces that have clusters;
# these hardly do.
#
# ## How isotropic are they? Active units count axes, not directions
#
# The variances of the posterior means along their principal axes:

# %%
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
rows = []
for row, codes in latents.items():
    x = codes["means"]
    spectrum = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2 / len(x)
    ax.semilogy(np.arange(1, len(spectrum) + 1), spectrum, ".-", label=name_of(row))
    counts = int(jaxiso.active_units(x)), int(jaxiso.active_directions(x))
    ratio, score = float(jaxiso.participation_ratio(x)), float(jaxiso.isoscore(x))
    rows.append([name_of(row), *counts, ratio, score, float(spectrum.sum())])
ax.axhline(0.01, color="0.6", ls="--", label="threshold of active units")
ax.set(xlabel="Principal axis", ylabel="Variance of the posterior means")
ax.legend(fontsize="small")
plt.show()

# %%
header = ["", "active units", "active directions", "participation ratio", "IsoScore", "variance"]
display(pd.DataFrame(rows, columns=header).set_index("").round(3))
lines = []
for C in pairs:
    some = [latents[posterior, C]["means"] for posterior in ("diagonal", "isotropic")]
    units, directions = (
        [int(count(x)) for x in some] for count in (jaxiso.active_units, jaxiso.active_directions)
    )
    lines.append(
        f"- C = {C:g}: with the isotropic posterior {units[1]} active units instead "
        f"of {units[0]}, and {directions[1]} active directions instead of {directions[0]}"
    )
Markdown("\n".join(lines))

# %% [markdown]
# A posterior with one variance, and its KL from the prior, do not change when the latent space is
# rotated. So its directions in use lie askew to the axes, and every axis has a part of them: all
# units count as active, however few directions are. The isotropic posterior is not one of isotropic
# means.
#
# ## Why the score of Mu and Viswanath may say the opposite of IsoScore
#
# The score is min Z(m) / max Z(m) over eigenvectors m, with Z(m) = Σ exp(mᵀv). If the vectors v
# along m are about normal, with mean μ and variance λ, then log Z ≈ log n + μ + λ/2, and without
# the means
#
# score ≈ exp(-(λ_max-λ_min)/2).
#
# It looks at the *difference* of variances, IsoScore at their *ratios*. A vector and its opposite
# are both eigenvectors; jaxiso takes both (+μ and -μ), where the papers leave it to the
# eigensolver; the mean over random signs is given too.


# %%
def predict(x, *, means):
    """The score of Mu and Viswanath if all projections were normal."""
    _, directions = np.linalg.eigh(x.T @ x)
    mean, half = (x @ directions).mean(axis=0) * means, (x @ directions).var(axis=0) / 2
    log_z = np.concatenate([half + mean, half - mean])
    return np.exp(log_z.min() - log_z.max())


rows = []
for row, codes in latents.items():
    x = codes["means"]
    scores = [predict(x, means=False), predict(x, means=True), float(jaxiso.isotropy_score(x))]
    scores.append(mean(row, "isotropy_score_means_random_signs"))
    rows.append([name_of(row), *scores])
header = ["", "exp(-(λ_max - λ_min) / 2)", "with means", "measured, both signs"]
header += ["random signs (all test sentences)"]
pd.DataFrame(rows, columns=header).set_index("").round(3)

# %%
guesses, measured = (np.array([float(row[i]) for row in rows]) for i in (1, 3))
order = np.array_equal(np.argsort(guesses), np.argsort(measured))
Markdown(
    f"The two variances alone foretell the score to {abs(guesses - measured).max():.2f}, and "
    f"{'put' if order else 'do not put'} the models in its order."
)

# %% [markdown]
# So the score falls as the codes get larger: a model may lower it by saying more. The same vectors,
# multiplied by a number:

# %%
factors = np.geomspace(0.1, 4, 15)
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained", sharex=True)
for row, codes in latents.items():
    x = codes["means"]
    for ax, score in zip(axes, (jaxiso.isotropy_score, jaxiso.isoscore), strict=True):
        ax.semilogx(factors, [float(score(x * factor)) for factor in factors], label=name_of(row))
for ax, name in zip(axes, ("Mu and Viswanath's score", "IsoScore"), strict=True):
    ax.set(xlabel="Factor", title=name, ylim=(0, None))
axes[1].legend(fontsize="small")
plt.show()

# %%
lines = []
for C in pairs:
    some = [latents[posterior, C]["means"] for posterior in ("diagonal", "isotropic")]
    scores = []
    for power in (0, 1):  # as they are, and with all of them of the variance of the first
        sizes = [np.sqrt(some[0].var(axis=0).sum() / x.var(axis=0).sum()) ** power for x in some]
        scores += [
            float(jaxiso.isotropy_score(x * size)) for x, size in zip(some, sizes, strict=True)
        ]
    lines.append(
        f"- C = {C:g}: diagonal {scores[0]:.3f}, isotropic {scores[1]:.3f}; scaled "
        f"to the same total variance: diagonal {scores[2]:.3f}, isotropic {scores[3]:.3f}"
    )
Markdown("\n".join(lines))

# %% [markdown]
# IsoScore does not change with the factor, and the score of Mu and Viswanath goes from 1 to 0.
# Compared as they are, models are compared by size as well as by shape.
#
# ## Clusters: vectors, maps and probes

# %%
rows = []
for row, codes in latents.items():
    silhouettes = [
        float(jaxiso.silhouette_score(codes[z], codes["labels"])) for z in ("means", "tsne")
    ]
    rows.append([name_of(row), *silhouettes, mean(row, "accuracy")])
header = ["", "silhouette of means", "of their t-SNE map", "accuracy of probes, %"]
pd.DataFrame(rows, columns=header).set_index("").round(3)

# %% [markdown]
# A probe with hidden layers finds classes where the silhouette, which asks for one compact cloud a
# class, finds none. Paper B's "discriminative" and paper A's "clustered" are not the same property.
#
# ## Paper A's experiment on paper B's vectors
#
# Now the posterior means are themselves trained under a linear classifier, as paper A does with
# sentence vectors. What should happen? Of K labels that collapse an IsoScore of at most (K-2)/(d-1)
# is left, see `theory`. A cloud that starts above it has to lose isotropy; one that starts below
# may gain some.


# %%
def train(codes):
    """IsoScore and silhouette of the means, each at every 10th update of `jaxiso embed`."""
    with tempfile.TemporaryDirectory() as folder, capture_output():
        np.savez(f"{folder}/codes.npz", X=codes["means"], y=codes["labels"])
        options = ["--seeds", "1", "--updates", "300", "--every", "10", "--quiet"]
        command(["embed", "--vectors", f"{folder}/codes.npz", *options, "--out", f"{folder}/run"])
        metrics = jaxiso.load_run(f"{folder}/run").metrics
    return metrics["isoscore"].to_numpy(), metrics["silhouette"].to_numpy()


trained = {row: train(codes) for row, codes in latents.items()}
limits = {
    (len(np.unique(codes["labels"])) - 2) / (codes["means"].shape[1] - 1)
    for codes in latents.values()
}
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for row, (isoscore, silhouette) in trained.items():
    ax.plot(isoscore, silhouette, ".-", ms=4, label=name_of(row))
for limit in limits:
    ax.axvline(limit, color="0.6", ls="--", label=f"(K - 2) / (d - 1) = {limit:.3f}")
ax.set(xlabel="IsoScore", ylabel="Silhouette", ylim=(None, 1))
ax.legend(fontsize="small")
plt.show()

# %%
Markdown(
    "\n".join(
        f"- {name_of(row)}: IsoScore {i[0]:.3f} → {i[-1]:.3f}, silhouette {s[0]:.3f} → "
        f"{s[-1]:.3f}, r = {np.corrcoef(i, s)[0, 1]:+.3f}"
        for row, (i, s) in trained.items()
    )
)

# %% [markdown]
# ## So, do they contradict each other?


# %%
def times(measure):
    """In how many pairs the isotropic posterior has more of it."""
    return sum(mean(("isotropic", C), measure) > mean(("diagonal", C), measure) for C in pairs)


largest = np.nanmax([mean(row, "silhouette_means") for row in models])
rising = sum(i[-1] > i[0] and s[-1] > s[0] for i, s in trained.values())
Markdown(
    f"Of {len(pairs)} pairs of models the isotropic posterior has the higher\n\n"
    f"- IsoScore in {times('isoscore_means')},\n"
    f"- silhouette in {times('silhouette_means')},\n"
    f"- score of Mu and Viswanath in {times('isotropy_score_means')},\n"
    f"- accuracy of probes in {times('accuracy')}.\n\n"
    f"The largest silhouette of all models is {largest:.3f}. Trained under a linear classifier, "
    f"IsoScore and silhouette rise together in {rising} of {len(trained)} models."
)

# %% [markdown]
# 1. They speak of different things. Paper A's clusters are compact clouds, one a class, and its
#    conflict is one of spaces that have them. What paper B reports is that a probe tells classes
#    apart, in spaces that hardly have any.
# 2. "Isotropic" has three meanings here: one variance for every posterior; equal values of Σ
#    exp(mᵀv), which depend on scale; and equal variances of the points. The first does not bring
#    about the others, and the second may go against the third.
# 3. Where IsoScore and silhouette both go up from one posterior to the other, or both rise in
#    training, paper A's trade is not made. Its correlations of -0.8 to -1 are those of vectors that
#    start more isotropic than collapsed labels can be, as with few labels in hundreds of
#    dimensions. They are no law.
