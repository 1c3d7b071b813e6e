"""Reference figures for the statistics in src/math, from SciPy and NumPy, as statistics.json.

    python -m pip install -r requirements.txt
    python statistics.py

Made with scipy 1.17.1, numpy 2.4.6, and mpmath 1.3.0 for divergences of logits and as a check on
the tails of Student's t. Every entry holds its inputs beside its outputs, in full float64.
Logarithms are natural. A figure that is infinite or undefined is null.
"""

import json
import math
import sys
from pathlib import Path

# This file shares its name with a module of the standard library; keep Python from importing it.
sys.path = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent]

import mpmath
import numpy as np
from scipy import special, stats

HERE = Path(__file__).resolve().parent
mpmath.mp.dps = 50
RNG = np.random.default_rng(20240613)
Json = dict[str, object]


def student_t() -> list[Json]:
    cases = [(t, df) for df in (1, 2, 3, 7, 7.5, 30, 1000) for t in (-3.2, -0.5, 0.0, 1e-6, 0.25, 1.0, 2.5, 8.0)]
    cases += [(40.0, 2), (40.0, 7), (300.0, 7), (-40.0, 7), (12.0, 1000), (1.96, 1e6)]
    for t, df in cases:
        tail = mpmath.betainc(df / 2, 0.5, 0, mpmath.mpf(df) / (df + mpmath.mpf(t) ** 2), regularized=True)
        assert math.isclose(tail, 2 * stats.t.sf(abs(t), df), rel_tol=1e-10), (t, df)
    return [{"t": t, "df": df, "cdf": stats.t.cdf(t, df), "sf": stats.t.sf(t, df),
             "two_sided": 2 * stats.t.sf(abs(t), df)} for t, df in cases]


def student_t_quantile() -> list[Json]:
    cases = [(p, df) for df in (1, 2, 7, 29, 500) for p in (0.025, 0.3, 0.5, 0.95, 0.975, 0.9995)]
    return [{"p": p, "df": df, "t": stats.t.ppf(p, df)} for p, df in cases]


def prediction_p() -> list[Json]:
    """Where a new draw lies among n nulls: z = (raw - mean) / sd, sd with n - 1; one-sided, greater."""
    out = []
    for n, raw in ((3, 0.9), (3, 5.0), (5, 0.1), (8, 0.02), (8, 0.6), (8, 4.0), (20, 0.3)):
        nulls = RNG.normal(0.1, 0.2, n).round(6)
        mean, sd = nulls.mean(), nulls.std(ddof=1)
        z = (raw - mean) / sd
        t = z / math.sqrt(1 + 1 / n)
        out.append({"nulls": nulls, "raw": raw, "mean": mean, "sd": sd, "z": z, "t": t, "df": n - 1,
                    "p_greater": stats.t.sf(t, n - 1), "p_two_sided": 2 * stats.t.sf(abs(t), n - 1)})
    return out


def binomial_interval(method: str) -> list[Json]:
    """95 % intervals. Method: "exact" is Clopper-Pearson, "wilson" is without continuity correction."""
    cases = [(0, 1), (1, 1), (0, 10), (10, 10), (1, 10), (5, 10), (9, 10), (0, 400), (400, 400), (37, 50), (3, 1000)]
    intervals = [(k, n, stats.binomtest(k, n).proportion_ci(0.95, method=method)) for k, n in cases]
    return [{"k": k, "n": n, "low": ci.low, "high": ci.high} for k, n, ci in intervals]


def mcnemar_exact() -> list[Json]:
    """b and c: items that only one of the two got right. Two-sided; 1 where there are none."""
    cases = [(0, 0), (1, 0), (0, 5), (3, 3), (2, 9), (9, 2), (10, 30), (1, 40), (120, 150)]
    return [{"b": b, "c": c, "p": stats.binomtest(min(b, c), b + c, 0.5).pvalue if b + c else 1.0} for b, c in cases]


def benjamini_hochberg() -> list[Json]:
    cases = [[0.01], [0.04, 0.01, 0.03], [0.02, 0.02, 0.02], [0.0, 1.0, 0.5, 0.049], [0.9, 0.8, 0.7],
             [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216], list(RNG.uniform(0, 0.2, 13))]
    return [{"p": p, "adjusted": stats.false_discovery_control(p, method="bh")} for p in cases]


def sign_flip() -> list[Json]:
    """Exact, all 2^n sign patterns; a pattern counts if its mean is at least (at most) the one seen."""
    cases = [[0.5], [-0.5], [0.3, 0.1], [1, 2, 3, 4, 5], [0, 0, 0, 0], [0, 0.2, 0, 0.4, -0.1],
             [1, 1, 1, -1, 1, 1, -1, 1], list(RNG.normal(0.3, 1, 10).round(6)), list(RNG.normal(0.8, 1, 12).round(6)),
             list(RNG.normal(-0.5, 1, 12).round(6))]

    def p(x: list[float], alternative: str) -> float:
        # SciPy wants two observations; of one, both signs are the whole distribution.
        if len(x) == 1:
            return 0.5 if (x[0] > 0) == (alternative == "greater") else 1.0
        return stats.permutation_test(([*x],), lambda a, axis: a.mean(axis=axis), permutation_type="samples",
                                      vectorized=True, n_resamples=np.inf, alternative=alternative).pvalue

    return [{"x": x, "p_greater": p(x, "greater"), "p_less": p(x, "less")} for x in cases]


def log_softmax(logits: list[float]) -> list[mpmath.mpf]:
    """With 50 digits."""
    total = mpmath.log(mpmath.fsum(mpmath.exp(mpmath.mpf(float(x))) for x in logits))
    return [mpmath.mpf(float(x)) - total for x in logits]


def divergence_of_logits() -> list[Json]:
    """KL and JS of softmaxes, finite even where a float64 probability underflows to 0; rounded once, at the end."""
    pairs = [([0.0, 0.0], [0.0, 0.0]), ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]),
             ([1001.0, 1002.0], [1002.0, 1001.0]), ([40.0, 0.0, -40.0], [-40.0, 0.0, 40.0]),
             ([0.0, -1000.0], [-1000.0, 0.0]), ([0.0, -800.0, 0.0], [0.0, 0.0, -800.0]),
             ([0.0, 1e-3, 0.0], [0.0, 0.0, 1e-3]), ([0.0, 1e-7, 0.0], [0.0, 0.0, 1e-7]),
             (RNG.normal(0, 3, 40).round(6), RNG.normal(0, 3, 40).round(6))]

    def kl(a: list[mpmath.mpf], b: list[mpmath.mpf]) -> mpmath.mpf:
        return mpmath.chop(mpmath.fsum(mpmath.exp(x) * (x - y) for x, y in zip(a, b, strict=True)), tol=1e-40)

    out = []
    for p_logits, q_logits in pairs:
        lp, lq = log_softmax(p_logits), log_softmax(q_logits)
        lm = [mpmath.log((mpmath.exp(x) + mpmath.exp(y)) / 2) for x, y in zip(lp, lq, strict=True)]
        entropy = -mpmath.fsum(mpmath.exp(x) * x for x in lp)
        assert np.allclose([float(x) for x in lp], special.log_softmax(p_logits), rtol=1e-14, atol=1e-15)
        out.append({"p_logits": p_logits, "q_logits": q_logits, "kl_pq": float(kl(lp, lq)), "kl_qp": float(kl(lq, lp)),
                    "js": float((kl(lp, lm) + kl(lq, lm)) / 2), "entropy_p": float(entropy),
                    "log_softmax_p": [float(x) for x in lp]})
    return out


def divergence_of_probabilities() -> list[Json]:
    pairs = [([1.0, 0.0], [1.0, 0.0]), ([1.0, 0.0], [0.0, 1.0]), ([0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]),
             ([0.5, 0.5, 0.0], [0.25, 0.25, 0.5]), ([0.25, 0.25, 0.5], [0.5, 0.5, 0.0]),
             ([0.1, 0.2, 0.7], [0.3, 0.3, 0.4])]
    out = []
    for p, q in pairs:
        m = (np.array(p) + q) / 2
        js = (special.rel_entr(p, m).sum() + special.rel_entr(q, m).sum()) / 2
        out.append({"p": p, "q": q, "kl_pq": special.rel_entr(p, q).sum(), "kl_qp": special.rel_entr(q, p).sum(),
                    "js": js})
    return out


def quantile() -> list[Json]:
    """Linear interpolation between order statistics (NumPy's default)."""
    cases = [[2.5], [1.0, 2.0], [3.0, 1.0, 2.0], [1.0, 1.0, 1.0, 5.0], list(RNG.normal(0, 1, 11).round(6)),
             list(RNG.normal(0, 1, 100).round(6))]
    qs = [0.0, 0.025, 0.25, 0.5, 0.9, 0.975, 1.0]
    return [{"x": x, "q": qs, "quantile": np.quantile(x, qs)} for x in cases]


def linear_regression() -> list[Json]:
    x6, x9 = np.linspace(0, 1.25, 6), np.linspace(0, 2, 9)
    cases = [([0.0, 1.0], [1.0, 3.0]), ([0.0, 1.0, 2.0], [1.0, 1.0, 2.0]), (x6, 3 * x6 - 2),
             (x6, (2 * x6 + RNG.normal(0, 0.1, 6)).round(6)), (x9, (x9**2 - x9).round(6)),
             ([1e6, 1e6 + 1, 1e6 + 2, 1e6 + 3], [5.0, 4.0, 4.5, 3.0])]
    out = []
    for x, y in cases:
        fit = stats.linregress(x, y)
        out.append({"x": x, "y": y, "slope": fit.slope, "intercept": fit.intercept, "r_squared": fit.rvalue**2})
    return out


def roc() -> list[Json]:
    """AUC by Mann-Whitney, its DeLong interval by the definition (placements pair by pair), and the true positive rate at a
    false positive rate: the largest over all thresholds "score > t" whose false positives are no more."""
    rng = np.random.default_rng(20261121)
    cases = [([1.0, 2.0, 3.0, 5.0], [0.0, 2.0, 4.0]), ([0.5, 0.5, 1.0], [0.5, 0.0, 0.5, 0.25]),
             (rng.normal(0.8, 1, 12).round(3), rng.normal(0, 1, 15).round(3)),
             (rng.normal(0.3, 1, 60).round(1), rng.normal(0, 1, 150).round(1)),
             (rng.normal(2.0, 0.5, 40).round(2), rng.normal(0, 1, 250).round(2))]
    out = []
    for p, n in cases:
        p, n = np.array(p), np.array(n)
        order = (p[:, None] > n[None, :]) + 0.5 * (p[:, None] == n[None, :])
        auc = order.mean()
        assert math.isclose(auc, stats.mannwhitneyu(p, n).statistic / (len(p) * len(n)), rel_tol=1e-12)
        error = math.sqrt(order.mean(axis=1).var(ddof=1) / len(p) + order.mean(axis=0).var(ddof=1) / len(n))
        reach = stats.norm.ppf(0.975) * error
        rates = [[share, max(float((p > t).mean()) for t in [*n, *p, -np.inf, np.inf] if (n > t).mean() <= share + 1e-12)]
                 for share in (0.01, 0.1, 0.25, 0.5) if share * len(n) >= 1]
        out.append({"positives": p, "negatives": n, "auc": auc, "low": max(auc - reach, 0.0),
                    "high": min(auc + reach, 1.0), "rates": rates})
    return out


def clustered_share() -> list[Json]:
    """Korn and Graubard's interval of a share whose items come in clusters, by its definition: the clustered variance as a sum over
    all pairs of items of one cluster, the number of items that it is worth, and the quantiles of the beta distribution at that."""
    rng = np.random.default_rng(20261122)
    cases = [([1, 0, 1, 1, 0, 0, 1, 0], list(range(8))), ([1, 1, 0, 0, 1, 1, 0, 1, 0, 0], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]),
             ([1, 1, 1, 0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1, 2, 3, 4])]
    for groups, size, own in ((12, 5, 0.2), (30, 3, 1.0), (8, 20, 4.0)):
        keys = np.repeat(np.arange(groups), size)
        chance = rng.beta(own, own, groups)
        cases.append(((rng.random(groups * size) < chance[keys]).astype(int), keys))
    out = []
    for hits, keys in cases:
        hits, keys = np.array(hits), np.array(keys)
        n, groups, share = len(hits), len(set(keys.tolist())), hits.mean()
        together = keys[:, None] == keys[None, :]
        variance = groups / (groups - 1) * (np.outer(hits - share, hits - share) * together).sum() / n**2
        worth = share * (1 - share) / variance * (stats.t.ppf(0.975, n - 1) / stats.t.ppf(0.975, groups - 1)) ** 2
        worth = min(max(worth, 1.0), n)
        count = share * worth
        out.append({"hits": hits.tolist(), "clusters": keys.tolist(), "variance": variance, "effective": worth,
                    "low": stats.beta.ppf(0.025, count, worth - count + 1),
                    "high": stats.beta.ppf(0.975, count + 1, worth - count)})
    return out


def plain(value: object) -> object:
    """What JSON can hold."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value


FIGURES = {
    "student_t": student_t, "student_t_quantile": student_t_quantile, "prediction_p": prediction_p,
    "clopper_pearson": lambda: binomial_interval("exact"), "wilson": lambda: binomial_interval("wilson"),
    "mcnemar_exact": mcnemar_exact, "benjamini_hochberg": benjamini_hochberg, "sign_flip": sign_flip,
    "divergence_of_logits": divergence_of_logits, "divergence_of_probabilities": divergence_of_probabilities,
    "quantile": quantile, "linear_regression": linear_regression, "roc": roc, "clustered_share": clustered_share,
}

if __name__ == "__main__":
    # One line a case, so that a change shows in a diff.
    tables = [f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(plain(case), allow_nan=False) for case in figure())
              + "\n]" for name, figure in FIGURES.items()]
    (HERE / "statistics.json").write_text("{\n" + ",\n".join(tables) + "\n}\n")
