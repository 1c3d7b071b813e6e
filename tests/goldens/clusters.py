"""Reference figures for clusters and groups in src/math, from scikit-learn and SciPy, as clusters.json.

    python -m pip install -r requirements.txt
    python clusters.py

Made with scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6. The points of `k_means` lie in groups that do not meet, so that every
beginning worth trying ends in the same clusters. `group_variance`: the shares come from the F of a one-way analysis of
variance, eta² = F (k - 1) / (F (k - 1) + n - k) and epsilon² = (F - 1) (k - 1) / (F (k - 1) + n - k).
"""

import json
import sys
from pathlib import Path

# This folder has a statistics.py; keep Python from importing it for the standard library's.
sys.path = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent]

import numpy as np
from scipy import stats
from sklearn.cluster import KMeans

HERE = Path(__file__).resolve().parent
RNG = np.random.default_rng(20261121)
Json = dict[str, object]


def k_means() -> list[Json]:
    out = []
    for clusters, dimensions, sizes in ((2, 1, (4, 9)), (3, 2, (1, 5, 12)), (5, 3, (4, 4, 4, 4, 4)), (4, 16, (8, 3, 7, 2)),
                                        (5, 8, (12, 6, 9, 7, 6))):
        centres = 20 * np.eye(max(clusters, dimensions))[:clusters, :dimensions] + 60 * np.arange(clusters)[:, None]
        points = np.concatenate([centre + RNG.normal(0, 1, (n, dimensions)) for centre, n in zip(centres, sizes, strict=True)])
        points = RNG.permutation(points).round(4)
        found = KMeans(clusters, n_init=20, tol=0, random_state=0).fit(points)
        out.append({"points": points.tolist(), "clusters": clusters, "labels": found.labels_.tolist(), "inertia": found.inertia_})
    return out


def group_variance() -> list[Json]:
    out = []
    for sizes, spread in (((2, 2), 1), ((4, 4, 4, 4, 4), 0), ((4, 4, 4, 4, 4), 2), ((1, 5, 12), 1), ((12, 6, 9, 7, 6), 0.5)):
        groups = [RNG.normal(spread * RNG.normal(), 1, n).round(6) for n in sizes]
        f, n, k = stats.f_oneway(*groups).statistic, sum(sizes), len(sizes)
        whole = f * (k - 1) + n - k
        out.append({"values": np.concatenate(groups).tolist(), "groups": np.repeat(np.arange(k), sizes).tolist(),
                    "eta_squared": float(f * (k - 1) / whole), "epsilon_squared": float((f - 1) * (k - 1) / whole)})
    return out


if __name__ == "__main__":
    # One line a case, so that a change shows in a diff.
    tables = [f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(case) for case in figure()) + "\n]"
              for name, figure in (("k_means", k_means), ("group_variance", group_variance))]
    (HERE / "clusters.json").write_text("{\n" + ",\n".join(tables) + "\n}\n")
