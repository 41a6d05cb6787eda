"""Kernel regression with the Gram matrix: exact on its images, without any regularisation."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

RANK_ROUNDING = 1e-12
"""Eigenvalues below this part of the largest one count as 0."""

WIDTH_SHARES = (0.125, 0.25, 0.5, 1.0, 2.0)
"""Widths of Gaussians that are tried, in the median distance of two images."""

RIDGE_SHARES = (0.0, 1e-6, 1e-4, 1e-2, 1e-1)
"""Amounts added to the diagonal that are tried, in the mean of the diagonal."""

CHOSEN_ON = 1000
"""Training images that width and amount are chosen on, each answered by the others."""


class GramRecipe(NamedTuple):
    """A kernel: linear without a width, else Gaussian; and what is added to its diagonal."""

    width: float | None = None
    ridge: float = 0.0  # in the mean of the diagonal


class GramFit(NamedTuple):
    """What a regression does: shares of wrong answers, and the norm of the solution."""

    train_error: float
    test_error: float
    norm: float


def compare_features(first: Tensor, second: Tensor, width: float | None) -> Tensor:
    """Compute the kernel `(n, m)` of features `(n, D)` and `(m, D)`, in double precision.

    Args:
        first: features.
        second: features.
        width: of a Gaussian, exp(-distance^2 / (2 width^2)); None takes the scalar product.
    """
    one, other = first.double(), second.double()
    if width is None:
        return one @ other.T
    squares = one.square().sum(1)[:, None] + other.square().sum(1) - 2 * one @ other.T
    return (squares.clamp_min(0) / (-2 * width**2)).exp()


def solve_gram(gram: Tensor, targets: Tensor, ridge: float) -> Tensor:
    """Solve ``(K + ridge mean(diag K)) alpha = Y``; the shortest solution if there are several.

    Args:
        gram: `(n, n)` symmetric, no negative eigenvalue.
        targets: `(n, K)`.
        ridge: in the mean of the diagonal.

    Returns:
        `(n, K)`.
    """
    raised = gram + ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    factor, failed = torch.linalg.cholesky_ex(raised)
    if not int(failed) and float(factor.diagonal().min()) ** 2 > RANK_ROUNDING * float(
        raised.diagonal().max()
    ):
        solved: Tensor = torch.cholesky_solve(targets, factor)
        return solved
    return invert_gram(raised) @ targets


def solve_few_features(features: Tensor, targets: Tensor) -> Tensor:
    """Solve ``K alpha = Y`` of the linear kernel by D features, fewer than images; the shortest.

    By the singular values of X, which are the roots of the eigenvalues of K that are not 0: of X =
    U S V^T the pseudoinverse of K is U S^-2 U^T. So small ones are more exact than by X^T X.

    Args:
        features: `(n, D)`.
        targets: `(n, K)`.

    Returns:
        `(n, K)`.
    """
    left, values, _ = torch.linalg.svd(features.double(), full_matrices=False)  # (n, D), (D,)
    kept = values.square() > RANK_ROUNDING * values[0].square()
    inverse = torch.where(kept, values.square().reciprocal(), 0)
    solved: Tensor = left @ (inverse[:, None] * (left.T @ targets))
    return solved


def invert_gram(gram: Tensor) -> Tensor:
    """Invert a symmetric matrix `(n, n)` where its eigenvalues are not 0, up to rounding."""
    found: Tensor = torch.linalg.pinv(gram, rtol=RANK_ROUNDING, hermitian=True)
    return found


def answer_left_out(gram: Tensor, targets: Tensor, ridges: Sequence[float]) -> list[Tensor]:
    """Answer each training image by a regression on all others, in closed form.

    y_i - alpha_i / (K + ridge)^-1_ii: Cook (1977), as for every linear smoother. One decomposition
    serves all ridges.

    Args:
        gram: `(n, n)` of full rank once the ridge is added.
        targets: `(n, K)`.
        ridges: in the mean of the diagonal.

    Returns:
        `(n, K)` with each ridge.
    """
    values, vectors = torch.linalg.eigh(gram)
    turned = vectors.T @ targets
    found = []
    for ridge in ridges:
        raised = values + ridge * gram.diagonal().mean()
        kept = raised.abs() > RANK_ROUNDING * raised.abs().max()
        inverse = torch.where(kept, 1 / raised, 0)
        diagonal = vectors.square() @ inverse
        solved = vectors @ (inverse[:, None] * turned)
        found.append(targets - solved / diagonal.clamp_min(1e-300)[:, None])
    return found


def choose_gram(features: Tensor, labels: Tensor, *, gaussian: bool, ridge: bool) -> GramRecipe:
    """Choose the width of a Gaussian, and an amount for the diagonal, on the training images alone.

    Args:
        features: `(n, D)` in random order; the first 1,000 are looked at.
        labels: `(n,)`.
        gaussian: a width is wanted, else the kernel is linear.
        ridge: an amount is wanted, else it is 0.

    Returns:
        What answers fewest of them wrong, each by the others; the smallest of equals.
    """
    some, own = features[:CHOSEN_ON].double(), labels[:CHOSEN_ON]
    targets = F.one_hot(own).double()
    middle = float(torch.pdist(some).median())
    widths = [share * middle for share in WIDTH_SHARES] if gaussian else [None]
    found = []
    for width in widths:
        gram = compare_features(some, some, width)
        amounts = RIDGE_SHARES[not gaussian :] if ridge else (0.0,)  # linear: low rank
        for amount, left_out in zip(amounts, answer_left_out(gram, targets, amounts), strict=True):
            wrong = int((left_out.argmax(1) != own).sum())
            found.append((wrong, GramRecipe(width, amount)))
    return min(found, key=lambda one: one[0])[1]


def fit_gram(
    features: Tensor,
    labels: Tensor,
    test_features: Tensor,
    test_labels: Tensor,
    recipe: GramRecipe,
) -> GramFit:
    """Fit labels by ``K alpha = Y`` and answer test images; Y has a 1 where the label is, else 0.

    Zhang et al. (2017), section 5. The norm is that of all classes together,
    sqrt(sum of alpha^T K alpha).

    Args:
        features: `(n, D)`.
        labels: `(n,)`.
        test_features: `(m, D)`.
        test_labels: `(m,)`.
        recipe: of the kernel.
    """
    gram = compare_features(features, features, recipe.width)
    targets = F.one_hot(labels).double()
    if recipe == GramRecipe() and features.shape[1] < len(features):
        alpha = solve_few_features(features, targets)
    else:
        alpha = solve_gram(gram, targets, recipe.ridge)
    answers = gram @ alpha
    asked = compare_features(test_features, features, recipe.width) @ alpha
    return GramFit(
        float((answers.argmax(1) != labels).double().mean()),
        float((asked.argmax(1) != test_labels).double().mean()),
        float((alpha * answers).sum().clamp_min(0).sqrt()),
    )
