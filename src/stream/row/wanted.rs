//! What of a row is needed.

/// What of a row is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    Row,
    /// These top-level fields. CSV and Parquet give just these, in this order, and Parquet reads no others; JSON lines give the whole row.
    Fields(Vec<String>),
    /// One string: the row's value is that string itself, and a row in which it is missing or something else is bad. Much the fastest.
    ///
    /// Of JSON lines, only this field is looked at closely: the rest must be JSON, but may hold what a value can't (half of a surrogate
    /// pair, a number beyond all floats).
    Field(String),
}

impl Wanted {
    /// The columns that are needed; none where all are.
    pub(super) fn columns(&self) -> Option<&[String]> {
        match self {
            Self::Row => None,
            Self::Fields(names) => Some(names),
            Self::Field(name) => Some(std::slice::from_ref(name)),
        }
    }
}
