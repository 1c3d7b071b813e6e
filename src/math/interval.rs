/// A 95 % interval, both ends included, in the unit of what it bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end, never below the lower.
    pub high: f64,
}

impl Interval {
    /// The confidence of every interval in this room.
    pub const CONFIDENCE: f64 = 0.95;

    /// Does the value lie inside?
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Does the whole interval lie above the value?
    #[must_use]
    pub fn is_above(&self, value: f64) -> bool {
        self.low > value
    }

    /// Does the whole interval lie below the value?
    #[must_use]
    pub fn is_below(&self, value: f64) -> bool {
        self.high < value
    }

    /// Distance between the ends.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.high - self.low
    }
}

#[cfg(test)]
mod tests {
    use super::Interval;

    #[test]
    fn an_end_belongs_to_the_interval() {
        let interval = Interval { low: 1.0, high: 2.0 };
        assert!(interval.contains(1.0) && interval.contains(2.0) && !interval.contains(2.1));
        assert!(!interval.is_above(1.0) && interval.is_above(0.9));
        assert!(!interval.is_below(2.0) && interval.is_below(2.1));
        assert!((interval.width() - 1.0).abs() < f64::EPSILON);
    }
}
