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
from pathlib import Path

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown, display

import jaxiso
from jaxiso.cli.console import several
from jaxiso.cli.machine import keep_compiled_programs
from jaxiso.embed.experiment import make_embed, over_seeds
from jaxiso.embed.inputs import load_embeddings, prepare
from jaxiso.embed.options import Options
from jaxiso.embed.trajectory import correlations
from jaxiso.report.rows import comparable, entries_of_b, label_of
from jaxiso.report.runs import DEFAULT_FOLDERS, find_runs
from jaxiso.report.table import markdown_table
from jaxiso.seeds import seed_keys
from jaxiso.vae.measures import random_sign_score

# %matplotlib inline
plt.rcParams["figure.dpi"] = 80
keep_compiled_programs()
if Path.cwd().name == "notebooks":
    os.chdir("..")  # runs are named from the root of the repository

models = {}  # those with codes of labelled sentences
for model in comparable(entries_of_b(find_runs(DEFAULT_FOLDERS).vae)[0]):
    path = model.runs[0].latents
    if path.exists() and "labels" in (latents := dict(np.load(path, allow_pickle=False))):
        models[model.row] = model, latents
pairs = [
    (row[0], row[2])
    for row in models
    if row[1] == "isotropic" and (row[0], "diagonal", row[2]) in models
]
Markdown(
    "\n".join(
        f"- {model.label}: {several(model.seeds, 'seed')}, {len(latents['means']):,} sentences, "
        f"{latents['means'].shape[1]} dimensions. Unlike the paper's: "
        f"{'; '.join(model.differences) or 'nothing'}"
        for model, latents in models.values()
    )
)

# %% [markdown]
# ## Both papers' measures of the same vectors
#
# Of all test sentences, as `evaluation.json` has them; means over seeds.

# %%
measures = {
    "isoscore_means": ("IsoScore", 3),
    "silhouette_means": ("silhouette", 4),
    "isotropy_score_means": ("Mu & Viswanath", 3),
    "accuracy": ("accuracy of probes, %", 1),
}
rows = []
for model, _ in models.values():
    values = model.values
    cells = [
        f"{np.mean(values[m]):.{n}f}" if m in values else "-" for m, (_, n) in measures.items()
    ]
    rows.append([model.label, *cells])
Markdown("\n".join(markdown_table(["", *(name for name, _ in measures.values())], rows)))

# %%
lines = []
for corpus, target in pairs:
    diagonal, isotropic = (
        models[corpus, posterior, target][0].values for posterior in ("diagonal", "isotropic")
    )
    changes = {
        name: np.mean(isotropic[m]) - np.mean(diagonal[m])
        for m, (name, _) in measures.items()
        if m in diagonal and m in isotropic
    }
    said = [
        f"{'raises' if c > 0 else 'lowers'} {name} by {abs(c):.3g}" for name, c in changes.items()
    ]
    lines.append(f"- {corpus}, C = {target:g}: the isotropic posterior {', '.join(said)}")
Markdown("\n".join(lines))

# %% [markdown]
# Is a difference in silhouette more than chance? The sentences are the same for both posteriors, so
# their silhouettes are compared in pairs. (This leaves out how much a model trained with another
# seed would differ.)

# %%
lines = []
for corpus, target in pairs:
    some = [models[corpus, posterior, target][1] for posterior in ("diagonal", "isotropic")]
    if not np.array_equal(some[0]["labels"], some[1]["labels"]):
        continue  # other sentences
    diagonal, isotropic = (
        np.asarray(jaxiso.silhouette_samples(z["means"], z["labels"])) for z in some
    )
    gain = isotropic - diagonal
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    lines.append(
        f"- {corpus}, C = {target:g}: {gain.mean():+.4f} ± {error:.4f} (standard error of "
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
for model, latents in models.values():
    x = latents["means"]
    spectrum = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2 / len(x)
    ax.semilogy(np.arange(1, len(spectrum) + 1), spectrum, ".-", label=model.label)
    counts = int(jaxiso.active_units(x)), int(jaxiso.active_directions(x))
    ratio, score = float(jaxiso.participation_ratio(x)), float(jaxiso.isoscore(x))
    rows.append([model.label, *map(str, counts), f"{ratio:.1f}", f"{score:.3f}"])
    rows[-1].append(f"{spectrum.sum():.1f}")
ax.axhline(0.01, color="0.6", ls="--", label="threshold of active units")
ax.set(xlabel="Principal axis", ylabel="Variance of the posterior means")
ax.legend(fontsize="small")
plt.show()

# %%
header = ["", "active units", "active directions", "participation ratio", "IsoScore", "variance"]
display(Markdown("\n".join(markdown_table(header, rows))))
lines = []
for corpus, target in pairs:
    some = [
        models[corpus, posterior, target][1]["means"] for posterior in ("diagonal", "isotropic")
    ]
    units, directions = (
        [int(count(x)) for x in some] for count in (jaxiso.active_units, jaxiso.active_directions)
    )
    lines.append(
        f"- {corpus}, C = {target:g}: with the isotropic posterior {units[1]} active units instead "
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
for model, latents in models.values():
    x = latents["means"]
    scores = [predict(x, means=False), predict(x, means=True), float(jaxiso.isotropy_score(x))]
    scores.append(random_sign_score(x, np.random.default_rng(0)))
    rows.append([model.label, *(f"{score:.3f}" for score in scores)])
header = ["", "exp(-(λ_max - λ_min) / 2)", "with means", "measured, both signs", "random signs"]
Markdown("\n".join(markdown_table(header, rows)))

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
for model, latents in models.values():
    x = latents["means"]
    for ax, score in zip(axes, (jaxiso.isotropy_score, jaxiso.isoscore), strict=True):
        ax.semilogx(factors, [float(score(x * factor)) for factor in factors], label=model.label)
for ax, name in zip(axes, ("Mu and Viswanath's score", "IsoScore"), strict=True):
    ax.set(xlabel="Factor", title=name, ylim=(0, None))
axes[1].legend(fontsize="small")
plt.show()

# %%
lines = []
for corpus, target in pairs:
    some = [
        models[corpus, posterior, target][1]["means"] for posterior in ("diagonal", "isotropic")
    ]
    scores = []
    for power in (0, 1):  # as they are, and with all of them of the variance of the first
        sizes = [np.sqrt(some[0].var(axis=0).sum() / x.var(axis=0).sum()) ** power for x in some]
        scores += [
            float(jaxiso.isotropy_score(x * size)) for x, size in zip(some, sizes, strict=True)
        ]
    lines.append(
        f"- {corpus}, C = {target:g}: diagonal {scores[0]:.3f}, isotropic {scores[1]:.3f}; scaled "
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
for model, latents in models.values():
    silhouettes = [
        float(jaxiso.silhouette_score(latents[z], latents["labels"])) for z in ("means", "tsne")
    ]
    accuracy = model.values.get("accuracy")
    rows.append([model.label, *(f"{s:.3f}" for s in silhouettes)])
    rows[-1].append("-" if accuracy is None else f"{np.mean(accuracy):.1f}")
header = ["", "silhouette of means", "of their t-SNE map", "accuracy of probes, %"]
Markdown("\n".join(markdown_table(header, rows)))

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
keys, programs = seed_keys(0, 1), over_seeds(make_embed(Options()))


def train_means(model, updates=300, every=10):
    """IsoScore and silhouette across training, one each a measurement.

    As `python -m jaxiso.embed --vectors …/latents.npz --array means --labels labels --seeds 1
    --updates 300 --every 10` has them.
    """
    path = model.runs[0].latents
    options = Options(vectors=path, array="means", labels="labels", quiet=True)
    data = prepare(options, load_embeddings(options))
    states, found = programs.init(keys, data), []
    for update in range(updates + 1):
        if update % every == 0:
            measured = programs.measure(states, data, jnp.int32(update))
            found.append([float(measured.isoscore[0]), float(measured.silhouette[0])])
        states = programs.step(states, data)
    return np.array(found).T


trained = {row: train_means(model) for row, (model, _) in models.items()}
limits = {
    (len(np.unique(latents["labels"])) - 2) / (latents["means"].shape[1] - 1)
    for _, latents in models.values()
}
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for row, (isoscore, silhouette) in trained.items():
    ax.plot(isoscore, silhouette, ".-", ms=4, label=label_of(row))
for limit in limits:
    ax.axvline(limit, color="0.6", ls="--", label=f"(K - 2) / (d - 1) = {limit:.3f}")
ax.set(xlabel="IsoScore", ylabel="Silhouette", ylim=(None, 1))
ax.legend(fontsize="small")
plt.show()

# %%
Markdown(
    "\n".join(
        f"- {label_of(row)}: IsoScore {i[0]:.3f} → {i[-1]:.3f}, silhouette {s[0]:.3f} → "
        f"{s[-1]:.3f}, r = {correlations(i, s)[0]:+.3f}"
        for row, (i, s) in trained.items()
    )
)

# %% [markdown]
# ## So, do they contradict each other?


# %%
def mean(row, measure):
    """Over seeds; NaN where it was not measured."""
    return np.mean(models[row][0].values.get(measure, [np.nan]))


def times(measure):
    """In how many pairs the isotropic posterior has more of it."""
    more = [
        mean((c, "isotropic", t), measure) > mean((c, "diagonal", t), measure) for c, t in pairs
    ]
    return sum(more)


largest = np.nanmax([mean(row, "silhouette_means") for row in models])
rising = sum(i[-1] > i[0] and s[-1] > s[0] for i, s in trained.values())
Markdown(
    f"Of {several(len(pairs), 'pair')} of models the isotropic posterior has the higher\n\n"
    f"- IsoScore in {times('isoscore_means')},\n"
    f"- silhouette in {times('silhouette_means')},\n"
    f"- score of Mu and Viswanath in {times('isotropy_score_means')},\n"
    f"- accuracy of probes in {times('accuracy')}.\n\n"
    f"The largest silhouette of all models is {largest:.3f}. Trained under a linear classifier, "
    f"IsoScore and silhouette rise together in {rising} of {several(len(trained), 'model')}."
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
