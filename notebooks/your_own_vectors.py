# %% [markdown]
# # Your own vectors
#
# **Question.** How isotropic are the vectors of my texts, how clustered are my labels in them, in
# which layer, what do transforms do to both, and what happens if I train them with isotropy in my
# own loss? All of this with public names only: `help(jaxiso)` lists them.

# %%
from itertools import product

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from IPython.display import Markdown
from sklearn.datasets import load_digits

import jaxiso

# %matplotlib inline
plt.rcParams["figure.dpi"] = 80

subjects = {
    "food": ("The soup", "Her bread", "This cheese", "The old wine", "A ripe pear", "The curry"),
    "weather": ("The storm", "Morning fog", "The frost", "A warm wind", "The rain", "Snow"),
    "music": ("The violin", "Her song", "The choir", "A slow waltz", "The organ", "His drumming"),
    "sport": (
        "The goalkeeper",
        "Our team",
        "The sprinter",
        "A late goal",
        "The match",
        "Her serve",
    ),
}
predicates = (
    "was better than anyone had hoped.",
    "surprised everybody last night.",
    "is what people here talk about.",
    "made the whole evening.",
    "came as a disappointment.",
)
texts, labels = [], []
for topic, some in subjects.items():
    for subject, predicate in product(some, predicates):
        texts.append(f"{subject} {predicate}")
        labels.append(topic)

# %% [markdown]
# ## From texts to vectors
#
# `encode` gives the vectors of one layer, or of all of them: the embeddings first, then what each
# layer puts out. Where the weights are neither on this machine nor to be had, images of digits
# stand in for the texts, and the "layers" are the same vectors again, raised to powers.

# %%
try:
    layers = jaxiso.encode(texts, "minilm", layers="all", quiet=True)
    X, what = jaxiso.encode(texts, "minilm", quiet=True), f"{len(texts)} sentences by minilm"
except Exception:  # no weights here, and no network
    digits = load_digits()
    X, labels = digits.data[:300] / 16.0, digits.target[:300]
    layers, what = [X**power for power in (4, 3, 2, 1)], "300 images of digits"
Markdown(f"{what}: {X.shape[0]} vectors of {X.shape[1]} dimensions.")

# %% [markdown]
# ## What is there to measure
#
# `measure` takes any array, of NumPy, JAX, pandas, polars or torch. Each measure is a value, with
# its standard error where it is an estimate, or nothing and why.


# %%
def table(columns, names):
    """Measures side by side, as Markdown."""
    lines = [f"| | {' | '.join(columns)} |", f"| --- {'| ---: ' * len(columns)}|"]
    for name in names:
        values = [column[name] for column in columns.values()]
        shown = ("–" if v.value is None else f"{v.value:.4g}" for v in values)
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(shown)} |")
    return Markdown("\n".join(lines))


found = jaxiso.measure(X, labels)
table({what: found}, found)

# %% [markdown]
# With about as few vectors as dimensions, or fewer, IsoScore reads low: about n / (n + d) even for
# data that are isotropic. The corrected score estimates that of the distribution they are drawn
# from; it holds still where the plain one climbs with n.

# %%
sizes = np.linspace(20, len(X), 6).astype(int)
shuffled = np.random.default_rng(0).permutation(X)
scores = {
    "plain": [float(jaxiso.isoscore(shuffled[:n])) for n in sizes],
    "corrected": [float(jaxiso.isoscore(shuffled[:n], corrected=True)) for n in sizes],
}
_, ax = plt.subplots(figsize=(4.5, 2.8), layout="constrained")
for name, values in scores.items():
    ax.plot(sizes, values, ".-", label=name)
ax.set(xlabel="Vectors", ylabel="IsoScore", ylim=(0, None))
ax.legend()
plt.show()

# %% [markdown]
# ## Which layer?

# %%
by_layer = {
    "IsoScore, corrected": [float(jaxiso.isoscore(x, corrected=True)) for x in layers],
    "Mean cosine": [float(jaxiso.mean_cosine(x)) for x in layers],
    "Silhouette": [float(jaxiso.silhouette_score(x, labels)) for x in layers],
}
figure, axes = plt.subplots(1, len(by_layer), figsize=(9, 2.6), layout="constrained")
for ax, (name, values) in zip(axes, by_layer.items(), strict=True):
    ax.plot(values, ".-")
    ax.set(xlabel="Layer", title=name)
plt.show()

# %% [markdown]
# `python -m jaxiso layers` draws this for whole corpora and several models, in one pass. What it
# shows depends on texts and labels. Of the sentences above, MiniLM's last layer is the most
# isotropic and the most clustered; of 2,000 DBpedia abstracts (see the README) it is the most
# isotropic and among the least clustered.
#
# ## Transforms
#
# A transform is fitted on some vectors and applied to any. Here it is fitted on every other vector
# and applied to the rest, as one would with a new corpus; whitening is of the first components
# only, as there are not enough vectors to know all of them.

# %%
transformed, remarks = {}, []
for text in ("none", "abtt:3", "whiten:20", "standardize,unit"):
    pipeline = jaxiso.transforms.parse(text)
    fitted = pipeline.fit(X[::2])
    remarks += fitted.remarks
    transformed[text] = jaxiso.measure(pipeline.apply(fitted, X[1::2]), labels[1::2])
table(transformed, ("isoscore", "mean_cosine", "silhouette", "calinski_harabasz"))

# %%
Markdown("What the fits found: " + ("; ".join(dict.fromkeys(remarks)) or "nothing to remark."))

# %% [markdown]
# ## A regulariser in your own loop
#
# Every metric is a function that JAX can differentiate. Here the vectors are trained under a linear
# classifier, as in *Isotropy, Clusters, and Classifiers*, with λ·(1 - IsoScore) added to the loss.

# %%
codes = np.unique(labels, return_inverse=True)[1]
start = {
    "vectors": jnp.asarray(X, jnp.float32),
    "kernel": 0.1 * jax.random.normal(jax.random.key(0), (X.shape[1], codes.max() + 1)),
}
optimizer = optax.adam(1e-2)


def loss(params, weight):
    scores = params["vectors"] @ params["kernel"]
    losses = optax.softmax_cross_entropy_with_integer_labels(scores, codes)
    return losses.mean() + weight * (1 - jaxiso.isoscore(params["vectors"]))


@jax.jit
def update(params, state, weight):
    changes, state = optimizer.update(jax.grad(loss)(params, weight), state, params)
    return optax.apply_updates(params, changes), state


_, ax = plt.subplots(figsize=(4.8, 3.2), layout="constrained")
ends = []
for weight in (0.0, 1.0, 10.0):
    params, state, path = start, optimizer.init(start), []
    for step in range(61):
        if step % 6 == 0:
            x = np.asarray(params["vectors"])
            path.append([float(jaxiso.isoscore(x)), float(jaxiso.silhouette_score(x, codes))])
        params, state = update(params, state, weight)
    ax.plot(*np.transpose(path), ".-", label=f"λ = {weight:g}")
    ends.append(f"λ = {weight:g} ends at IsoScore {path[-1][0]:.3f}, silhouette {path[-1][1]:.3f}")
ax.set(xlabel="IsoScore", ylabel="Silhouette")
ax.legend()
plt.show()

# %%
Markdown("; ".join(ends) + ". All start at the same place.")

# %% [markdown]
# For batches too small for a covariance of their own, `jaxiso.isoscore_star` mixes it with that of
# a larger sample. `python -m jaxiso embed --vectors FILE --isotropy 0 1 10` does all of this with
# several seeds side by side, checkpoints and figures, and `jaxiso.load_run` reads what it wrote.
