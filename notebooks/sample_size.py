# %% [markdown]
# # How many vectors does IsoScore need?
#
# **Question.** IsoScore of a sample reads low, about n / (n + d) for vectors that are isotropic.
# The corrected score (`jaxiso.isoscore(X, corrected=True)`) estimates that of the distribution
# they are drawn from, and `jaxiso.measure` gives it a standard error, by the jackknife over 20
# blocks of vectors. From how many vectors on can both be trusted, of which spectra, and what if
# lengths have heavy tails?

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown
from scipy.stats import t as student

import jaxiso

# %matplotlib inline
plt.rcParams["figure.dpi"] = 80

d, draws, checked = 20, 200, 32  # draws of which means are taken, and errors too
ratios = (0.5, 1, 2, 5, 10, 20)
spectra = {
    "isotropic": np.ones(d),
    "geometric, 1 … 0.01": np.geomspace(1, 0.01, d),
    "one large direction": np.r_[10, np.ones(d - 1)],
    "power law": 1 / np.arange(1, d + 1),
}
tails = {"normal": None, "Student t, 5 df": 5, "Student t, 3 df": 3}

# %% [markdown]
# Vectors are normal with each of four spectra of variances, or from the multivariate Student t: the
# same, each divided by a random length. With three degrees of freedom fourth moments do not exist.


# %%
def sample(rng, n, variances, freedom):
    x = rng.normal(size=(draws, n, d)) * np.sqrt(variances)
    if freedom is not None:
        x /= np.sqrt(rng.chisquare(freedom, size=(draws, n, 1)) / freedom)
    return x


def true_score(variances):
    return (variances.sum() ** 2 / (variances**2).sum() - 1) / (d - 1)


@jax.jit
@jax.vmap
def scores(x):
    return jaxiso.isoscore(x), jaxiso.isoscore(x, corrected=True)


def errors(clouds):
    """The corrected score of some draws, and its standard error; NaN where there is none."""
    found = [jaxiso.measure(x, measures=["isoscore_corrected"]) for x in clouds]
    values = [one["isoscore_corrected"] for one in found]
    return np.array([[v.value, np.nan if v.se is None else v.se] for v in values], float).T


seen = {}
rng = np.random.default_rng(0)
for tail, freedom in tails.items():
    for spectrum, variances in spectra.items():
        for ratio in ratios:
            n = int(ratio * d)
            x = sample(rng, n, variances, freedom)
            plain, corrected = np.asarray(scores(x.astype(np.float32)))
            value, se = errors(x[:checked])
            within = student.ppf(0.975, min(n, 20) - 1) * se
            seen[tail, spectrum, ratio] = {
                "plain": plain.mean(),
                "corrected": corrected.mean(),
                "spread": corrected.std(),
                "error": np.nanmedian(se),
                "covered": np.mean(abs(value - true_score(variances)) <= within),
            }

# %% [markdown]
# ## Bias
#
# Means over draws against the true score (dotted). Bars are the spread of the corrected score from
# draw to draw: what one sample's score may be off by.

# %%
figure, axes = plt.subplots(
    len(tails), len(spectra), figsize=(11, 6.6), sharex=True, sharey="col", layout="constrained"
)
for row, tail in zip(axes, tails, strict=True):
    for ax, (spectrum, variances) in zip(row, spectra.items(), strict=True):
        found = [seen[tail, spectrum, ratio] for ratio in ratios]
        of = {name: [one[name] for one in found] for name in found[0]}
        ax.axhline(true_score(variances), color="0.4", ls=":")
        ax.plot(ratios, of["plain"], "C0.-", label="plain")
        ax.errorbar(ratios, of["corrected"], of["spread"], fmt="C3.-", capsize=2, label="corrected")
        ax.set(xscale="log", ylim=(0, None), title=spectrum if tail == "normal" else "")
        ax.set_xticks(ratios, map(str, ratios))
        ax.minorticks_off()
    row[0].set_ylabel(f"IsoScore\n{tail}")
axes[0, 0].legend()
figure.supxlabel("Vectors per dimension, n / d")
plt.show()

# %% [markdown]
# ## Errors
#
# In each cell: the median standard error over the spread that is seen, and how many 95 % intervals
# (value ± t · error, with t = 2.09 for 20 blocks) hold the true score.

# %%
lines = ["| | | " + " | ".join(f"n / d = {ratio}" for ratio in ratios) + " |"]
lines.append("| --- | --- |" + " ---: |" * len(ratios))
for tail in tails:
    for spectrum in spectra:
        found = [seen[tail, spectrum, ratio] for ratio in ratios]
        cells = (f"{one['error'] / one['spread']:.1f}, {one['covered']:.0%}" for one in found)
        lines.append(f"| {tail} | {spectrum} | {' | '.join(cells)} |")
Markdown("\n".join(lines))

# %%
worst = {name: [] for name in ("plain", "corrected")}
for (_, spectrum, ratio), one in seen.items():
    for name, off in worst.items():
        if ratio >= 2:
            off.append(abs(one[name] / true_score(spectra[spectrum]) - 1))
covered = [one["covered"] for one in seen.values()]
Markdown(
    f"From two vectors per dimension on the mean of the corrected score is off by "
    f"{np.mean(worst['corrected']):.0%} on average over all cells and "
    f"{max(worst['corrected']):.0%} in the worst; of the plain one by "
    f"{np.mean(worst['plain']):.0%} and {max(worst['plain']):.0%}. Of all intervals "
    f"{np.mean(covered):.0%} hold the true score, and {min(covered):.0%} in the worst cell."
)

# %% [markdown]
# What to trust. The plain score says more about the number of vectors than about the model wherever
# there are fewer than about ten for each dimension, and more still where some vectors are far
# longer than others: isotropic vectors whose lengths have three degrees of freedom score 0.7 at
# twenty per dimension. The corrected score is near the truth from two per dimension on; its
# estimates of tr(Σ)² and ‖Σ‖² are unbiased whatever the tails. What is left is that a quotient of
# two unbiased estimates is not unbiased: with one vector per dimension or fewer it reads high, by
# up to a half where a single direction holds much of the variance, and its spread is then of the
# same size. Do not quote it there without its error.
#
# The standard errors are of the size of the spread, from 0.7 to 1.5 times, from half a vector per
# dimension on, and the intervals hold the truth about as often as they say: over all cells one in
# twenty does not. They are too wide for isotropic normal vectors, whose score is at its largest
# possible value, where it hardly varies. They are too narrow, by up to a third, where lengths have
# three degrees of freedom: there a sample without its few longest vectors, such as most are, does
# not show how much the next one may differ. Rows are taken for independent throughout; vectors of
# tokens of one text, or of near copies of a text, are not.
