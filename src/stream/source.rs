//! A source as a suite names it, and what there is of it.

use super::object::Object;
use super::place::{Listing, Uri};
use super::row::{Format, Sample, Wanted};
use super::shape::{Pick, Shape};

/// A source as a suite names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub name: String,
    pub uris: Vec<String>,
    pub shape: Shape,
    /// Rows that are taken at most, after the choice of `sample`.
    pub limit: Option<u64>,
    pub sample: Option<Sample>,
    /// Above 0.
    pub weight: f64,
    /// Rows that may be no items.
    pub max_bad: u64,
    /// Items that may be longer than the model's context.
    pub max_too_long: u64,
}

impl Source {
    /// Refuses what names no place. `is_fenced`: only this machine's files may be read.
    pub fn check(&self, is_fenced: bool) -> Result<(), String> {
        for written in &self.uris {
            let uri = Uri::parse(written).map_err(|error| error.to_string())?;
            if is_fenced && !uri.is_local() {
                return Err("a daemon reads for its clients what lies on its own machine, and nothing else\nhint: run the suite in process, without --server".to_owned());
            }
        }
        Ok(())
    }

    /// What of its rows has to be read.
    pub fn wanted(&self) -> Wanted {
        match &self.shape {
            Shape::Text(Pick::Field(field)) => Wanted::Field(field.clone()),
            shape => shape.fields().map_or(Wanted::Row, |fields| Wanted::Fields(fields.into_iter().collect())),
        }
    }
}

/// The files of a source, as they were when they were listed.
#[derive(Debug)]
pub struct Listed {
    /// Sorted by their names; each with what its rows are.
    pub files: Vec<(Object, Format)>,
    pub bytes: u64,
    /// 64 hex digits.
    pub digest: String,
}

impl Listed {
    /// # Errors
    /// A file of which it can't be told what its rows are.
    pub fn new(listing: Listing) -> Result<Self, String> {
        let (bytes, digest) = (listing.bytes(), listing.digest().to_hex().to_string());
        let told = |object: Object| match Format::told_by(&object.uri) {
            Some(format) => Ok((object, format)),
            None => {
                Err(format!("what the rows of {} are can't be told by its name\nhint: known are {}", object.uri, Format::ENDINGS))
            }
        };
        let files = listing.into_objects().into_iter().map(told).collect::<Result<_, _>>()?;
        Ok(Self { files, bytes, digest })
    }
}
