//! Sizes for people, in the units of model files.

/// `812 MB`, `16.1 GB`; of 10⁶ and 10⁹ bytes.
pub fn size(bytes: u64) -> String {
    let x = bytes as f64;
    match bytes {
        0 => "0 MB".to_owned(),
        1..1_000_000 => "under 1 MB".to_owned(),
        1_000_000..999_500_000 => format!("{:.0} MB", x / 1e6),
        _ => format!("{:.1} GB", x / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_in_units_of_ten() {
        assert_eq!(size(16_060_522_496), "16.1 GB");
        assert_eq!(size(999_600_000), "1.0 GB");
        assert_eq!(size(1_500_000), "2 MB");
        assert_eq!(size(20), "under 1 MB");
        assert_eq!(size(0), "0 MB");
    }
}
