//! Whether draws are distributed as they should be: chi-square tests at the 0.999 quantile.

use tollgate_core::math;

/// Picks fall on the cells in proportion to their `shares`.
pub(crate) fn assert_in_proportion(shares: &[u32], mut pick: impl FnMut() -> usize) {
    const DRAWS: usize = 200_000;
    let mut counts = vec![0usize; shares.len()];
    for _ in 0..DRAWS {
        counts[pick()] += 1;
    }
    let total = f64::from(shares.iter().sum::<u32>());
    let mut statistic = 0.0;
    for (count, share) in counts.iter().zip(shares) {
        let expected = as_f64(DRAWS) * f64::from(*share) / total;
        assert!(*share != 0 || *count == 0, "{counts:?}");
        if *share != 0 {
            statistic += (as_f64(*count) - expected) * (as_f64(*count) - expected) / expected;
        }
    }
    let cells = shares.iter().filter(|share| **share != 0).count();
    assert!(
        statistic <= chi_square_999(cells - 1),
        "chi-square {statistic}: {counts:?}"
    );
}

/// Cells are equally likely, going by how often each was drawn.
pub(crate) fn assert_uniform(counts: impl Iterator<Item = usize> + Clone, cells: usize) {
    assert_eq!(counts.clone().count(), cells, "some were never drawn");
    let expected = as_f64(counts.clone().sum()) / as_f64(cells);
    let statistic: f64 = counts
        .map(|count| (as_f64(count) - expected) * (as_f64(count) - expected) / expected)
        .sum();
    let critical = chi_square_999(cells - 1);
    assert!(statistic <= critical, "chi-square {statistic} exceeds {critical}");
}

/// The 0.999 quantile of the chi-square distribution.
pub(crate) fn chi_square_999(freedom: usize) -> f64 {
    const NORMAL_999: f64 = 3.090_232;
    let k = as_f64(freedom);
    if freedom == 0 {
        return 0.0;
    }
    let spread = 2.0 / (9.0 * k);
    k * math::pow(1.0 - spread + NORMAL_999 * math::sqrt(spread), 3.0)
}

/// A small count as a number.
pub(crate) fn as_f64(n: usize) -> f64 {
    f64::from(u32::try_from(n).expect("counts are small"))
}
