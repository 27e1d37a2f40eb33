"""Vectors → vectors: what is done to embeddings before they are measured or used.

    >>> from jaxiso import transforms
    >>> pipeline = transforms.parse("center,abtt:3")
    >>> fitted = pipeline.fit(X)                # of one corpus
    >>> Y = pipeline.apply(fitted, other)       # applied to another

| written | what it does |
| --- | --- |
| `none` | nothing |
| `center` | x - μ |
| `unit` | x / ‖x‖; a zero stays zero |
| `standardize` | (x - μ) / σ, each dimension by itself; σ of the population, as scikit-learn's |
| `whiten[:k]` | the first k principal components, each of variance 1 (of the sample, n - 1) |
| `abtt[:D]` | all but the top: x - μ without its part along the first D principal directions |
| `rogue[:k]` | without the k dimensions whose mean is largest in absolute value |
| `cluster[:K,D]` | as `abtt`, in each of K clusters of k-means by itself |

Whoever fits learns what was found of the data: `fitted.remarks`. Directions in which the vectors
do not vary have no variance to divide by; rounding errors would be blown up to unit variance there.
They are found, and projected out.

A fit takes concrete arrays and computes in float64 on the host, O(n·d·min(n, d)); rows are taken in
blocks. `apply` takes what `fit` took, and gives an array of the same kind: NumPy's are computed in
float64, JAX's on their device and in their own type, also under `jit`, `vmap` and `grad` (k-means
assigns the nearest centroid, which counts as constant).

References: Mu and Viswanath (2018), "All-but-the-Top"; Timkey and van Schijndel (2021), "All Bark
and No Bite: Rogue Dimensions in Transformer Language Models Obscure Representational Quality";
Rajaee and Pilehvar (2021), "A Cluster-based Approach for Improving Isotropy in Contextual Embedding
Space".
"""

from jaxiso.transforms.pipeline import Fitted, Pipeline, apply, parse

__all__ = ["Fitted", "Pipeline", "apply", "parse"]
