use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::{Degenerate, seed};

/// Points in groups, each nearest to the mean of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// (points): the cluster of each, from 0 on. Every cluster has a point.
    pub labels: Vec<usize>,
    /// Sum of the squared distances of all points from the means of their clusters.
    pub inertia: f64,
}

/// Beginnings that are tried; the one that ends with the least inertia counts.
const RESTARTS: usize = 10;

/// Steps of one try. Far more than are taken: each must lessen the inertia.
const MOST_STEPS: usize = 300;

/// k-means with Euclidean distance (Lloyd 1982) from `k-means++` beginnings (Arthur and Vassilvitskii 2007), the best of ten.
///
/// points: (n, dimensions). The clusters and their numbers do not depend on the order of the points, and the same seed always gives
/// the same: the points are sorted first.
///
/// # Errors
/// No cluster asked for, or fewer different points than clusters; points of different dimensions; a value that is not finite, by the
/// number of its point.
pub fn k_means(seed: u64, points: &[Vec<f64>], clusters: usize) -> Result<Clusters, Degenerate> {
    best_of(RESTARTS, seed, points, clusters)
}

fn best_of(restarts: usize, seed: u64, points: &[Vec<f64>], clusters: usize) -> Result<Clusters, Degenerate> {
    let dimensions = points.first().map_or(0, Vec::len);
    for (index, point) in points.iter().enumerate() {
        if point.len() != dimensions {
            return Err(Degenerate::Unpaired { left: dimensions, right: point.len() });
        }
        if point.iter().any(|value| !value.is_finite()) {
            return Err(Degenerate::NotFinite { index });
        }
    }
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| points[a].iter().map(Total).cmp(points[b].iter().map(Total)));
    let sorted: Vec<&[f64]> = order.iter().map(|&index| points[index].as_slice()).collect();
    let different = sorted.chunk_by(|a, b| a == b).count();
    if clusters == 0 || different < clusters {
        return Err(Degenerate::TooFew { needed: clusters.max(1), found: different });
    }
    let mut rng = seed::generator(seed);
    let mut best: Option<Clusters> = None;
    for _ in 0..restarts.max(1) {
        let found = settle(&sorted, beginning(&sorted, clusters, &mut rng));
        if best.as_ref().is_none_or(|best| found.inertia < best.inertia) {
            best = Some(found);
        }
    }
    let Clusters { labels: of_sorted, inertia } = best.ok_or(Degenerate::Overflow)?;
    if !inertia.is_finite() {
        return Err(Degenerate::Overflow);
    }
    // Numbered as they come in the sorted points.
    let mut numbers = vec![usize::MAX; clusters];
    let mut labels = vec![0; points.len()];
    let mut next = 0;
    for (&index, &label) in order.iter().zip(&of_sorted) {
        if numbers[label] == usize::MAX {
            numbers[label] = next;
            next += 1;
        }
        labels[index] = numbers[label];
    }
    Ok(Clusters { labels, inertia })
}

/// A value in the total order of numbers.
struct Total<'a>(&'a f64);

impl PartialEq for Total<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Total<'_> {}

impl PartialOrd for Total<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Total<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // The two zeros are one place.
        (self.0 + 0.0).total_cmp(&(other.0 + 0.0))
    }
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Centres to begin with: points, each drawn with a chance in proportion to its squared distance from those before it.
fn beginning(points: &[&[f64]], clusters: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let first = points[seed::below(rng, points.len() as u32)];
    let mut centres = vec![first.to_vec()];
    let mut nearest: Vec<f64> = points.iter().map(|point| squared_distance(point, first)).collect();
    while centres.len() < clusters {
        let total: f64 = nearest.iter().sum();
        // 53 bits: a share in [0, 1).
        let mut left = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64 * total;
        let drawn = nearest.iter().position(|&distance| {
            left -= distance;
            left < 0.0
        });
        // Rounding may leave the draw beyond the last point.
        let farthest = || (0..points.len()).max_by(|&a, &b| nearest[a].total_cmp(&nearest[b])).unwrap_or(0);
        let next = points[drawn.unwrap_or_else(farthest)];
        for (nearest, point) in nearest.iter_mut().zip(points) {
            *nearest = nearest.min(squared_distance(point, next));
        }
        centres.push(next.to_vec());
    }
    centres
}

/// Moves points to the nearest centre and centres to the mean of their points, until nothing moves.
fn settle(points: &[&[f64]], mut centres: Vec<Vec<f64>>) -> Clusters {
    let mut labels = vec![0; points.len()];
    for _ in 0..MOST_STEPS {
        let mut moved: Vec<usize> = points.iter().map(|point| nearest(point, &centres)).collect();
        refill(points, &centres, &mut moved);
        centres = means(points, &moved, centres.len());
        if std::mem::replace(&mut labels, moved.clone()) == moved {
            break;
        }
    }
    let inertia = points.iter().zip(&labels).map(|(point, &label)| squared_distance(point, &centres[label])).sum();
    Clusters { labels, inertia }
}

/// The nearest centre; the first where several are as near.
fn nearest(point: &[f64], centres: &[Vec<f64>]) -> usize {
    let mut best = (0, f64::INFINITY);
    for (index, centre) in centres.iter().enumerate() {
        let distance = squared_distance(point, centre);
        if distance < best.1 {
            best = (index, distance);
        }
    }
    best.0
}

/// Gives a cluster without points the one that lies farthest from its centre, of those that are not alone in theirs.
fn refill(points: &[&[f64]], centres: &[Vec<f64>], labels: &mut [usize]) {
    let mut sizes = vec![0; centres.len()];
    for &label in labels.iter() {
        sizes[label] += 1;
    }
    for empty in 0..centres.len() {
        if sizes[empty] > 0 {
            continue;
        }
        let distance = |index: usize| squared_distance(points[index], &centres[labels[index]]);
        let movable = (0..points.len()).filter(|&index| sizes[labels[index]] > 1);
        if let Some(farthest) = movable.max_by(|&a, &b| distance(a).total_cmp(&distance(b))) {
            sizes[labels[farthest]] -= 1;
            sizes[empty] += 1;
            labels[farthest] = empty;
        }
    }
}

fn means(points: &[&[f64]], labels: &[usize], clusters: usize) -> Vec<Vec<f64>> {
    let mut sums = vec![vec![0.0; points[0].len()]; clusters];
    let mut sizes = vec![0_usize; clusters];
    for (point, &label) in points.iter().zip(labels) {
        sizes[label] += 1;
        sums[label].iter_mut().zip(*point).for_each(|(sum, value)| *sum += value);
    }
    for (sum, size) in sums.iter_mut().zip(sizes) {
        for sum in sum {
            *sum /= size.max(1) as f64;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Case {
        points: Vec<Vec<f64>>,
        clusters: usize,
        labels: Vec<usize>,
        inertia: f64,
    }

    /// Whether two labellings put the same points together.
    fn same_partition(a: &[usize], b: &[usize]) -> bool {
        let together = |labels: &[usize], i: usize, j: usize| labels[i] == labels[j];
        (0..a.len()).all(|i| (0..i).all(|j| together(a, i, j) == together(b, i, j)))
    }

    #[test]
    fn points_that_lie_apart_are_told_apart_as_scikit_learn_does() {
        let goldens: serde_json::Value = serde_json::from_str(include_str!("../../tests/goldens/clusters.json")).unwrap();
        let cases: Vec<Case> = serde_json::from_value(goldens["k_means"].clone()).unwrap();
        assert!(cases.len() > 3);
        for Case { points, clusters, labels, inertia } in cases {
            let found = k_means(1, &points, clusters).unwrap();
            assert!(same_partition(&found.labels, &labels), "{:?} where scikit-learn has {labels:?}", found.labels);
            assert!((found.inertia - inertia).abs() <= 1e-9 * inertia, "{} where it has {inertia}", found.inertia);
        }
    }

    #[test]
    fn as_many_clusters_as_points_have_no_inertia_and_one_has_the_variance() {
        let points: Vec<Vec<f64>> = [0.0, 1.0, 5.0, 5.5].map(|x| vec![x]).to_vec();
        assert_eq!(k_means(3, &points, 4).unwrap(), Clusters { labels: vec![0, 1, 2, 3], inertia: 0.0 });
        let one = k_means(3, &points, 1).unwrap();
        assert_eq!(one.labels, [0; 4]);
        // Mean 2.875.
        assert!((one.inertia - 23.1875).abs() < 1e-12, "{}", one.inertia);
    }

    #[test]
    fn what_can_not_be_divided_is_refused() {
        let same = vec![vec![1.0, 2.0]; 6];
        assert_eq!(k_means(1, &same, 2), Err(Degenerate::TooFew { needed: 2, found: 1 }));
        assert_eq!(k_means(1, &same, 1), Ok(Clusters { labels: vec![0; 6], inertia: 0.0 }));
        assert_eq!(k_means(1, &[], 2), Err(Degenerate::TooFew { needed: 2, found: 0 }));
        assert_eq!(k_means(1, &same, 0), Err(Degenerate::TooFew { needed: 1, found: 1 }));
        assert_eq!(k_means(1, &[vec![0.0], vec![f64::NAN]], 1), Err(Degenerate::NotFinite { index: 1 }));
        assert_eq!(k_means(1, &[vec![0.0], vec![0.0, 1.0]], 1), Err(Degenerate::Unpaired { left: 1, right: 2 }));
        assert_eq!(k_means(1, &[vec![1e200], vec![-1e200]], 1), Err(Degenerate::Overflow));
    }

    /// Points on a coarse grid: many are equal, and many as far from two centres.
    fn points() -> impl Strategy<Value = Vec<Vec<f64>>> {
        (1usize..4).prop_flat_map(|dimensions| {
            prop::collection::vec(prop::collection::vec((-4i32..5).prop_map(f64::from), dimensions), 1..40)
        })
    }

    proptest! {
        #[test]
        fn every_cluster_has_a_point_and_every_point_is_nearest_to_the_mean_of_its_own(points in points(), clusters in 1usize..6, seed: u64) {
            let Ok(found) = k_means(seed, &points, clusters) else { return Ok(()) };
            prop_assert!((0..clusters).all(|cluster| found.labels.contains(&cluster)), "{:?}", found.labels);
            let views: Vec<&[f64]> = points.iter().map(Vec::as_slice).collect();
            let centres = means(&views, &found.labels, clusters);
            let mut inertia = 0.0;
            for (point, &label) in views.iter().zip(&found.labels) {
                let own = squared_distance(point, &centres[label]);
                prop_assert!(centres.iter().all(|centre| own <= squared_distance(point, centre) + 1e-9));
                inertia += own;
            }
            prop_assert!((found.inertia - inertia).abs() <= 1e-9 * (1.0 + inertia));
        }

        #[test]
        fn the_order_of_the_points_does_not_matter_and_a_seed_gives_the_same_again(
            (points, order) in points().prop_flat_map(|points| {
                let order: Vec<usize> = (0..points.len()).collect();
                (Just(points), Just(order).prop_shuffle())
            }),
            clusters in 1usize..6,
            seed: u64,
        ) {
            let shuffled: Vec<Vec<f64>> = order.iter().map(|&index| points[index].clone()).collect();
            let (found, other) = (k_means(seed, &points, clusters), k_means(seed, &shuffled, clusters));
            prop_assert_eq!(&found, &k_means(seed, &points, clusters));
            match (found, other) {
                (Ok(found), Ok(other)) => {
                    prop_assert_eq!(found.inertia.to_bits(), other.inertia.to_bits());
                    prop_assert!(order.iter().zip(&other.labels).all(|(&index, label)| found.labels[index] == *label));
                }
                (found, other) => prop_assert_eq!(found, other),
            }
        }

        #[test]
        fn more_beginnings_never_end_with_more_inertia(points in points(), clusters in 1usize..6, seed: u64) {
            let inertia = |restarts| best_of(restarts, seed, &points, clusters).map(|found| found.inertia);
            if let (Ok(one), Ok(three), Ok(ten)) = (inertia(1), inertia(3), inertia(10)) {
                prop_assert!(three <= one && ten <= three, "{} {} {}", one, three, ten);
            }
        }
    }
}
