//! What the files of a model look like from outside, before they are read.

use super::Spelling;
use crate::engine::{ModelError, Places, Sources, stamp};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamps {
    base: String,
    adapter: String,
}

impl Stamps {
    pub fn of(places: &Places) -> Result<Self, ModelError> {
        let of = |dir| stamp(dir).map_err(|error| places.name_in(error));
        Ok(Self { base: of(&places.base.dir)?, adapter: places.adapter_dir().map(of).transpose()?.unwrap_or_default() })
    }

    /// The spelling of the base alone.
    pub fn of_base(&self, sources: &Sources) -> Spelling {
        Spelling::new(format!("{} {:?} {}", self.base, sources.precision, sources.device))
    }

    pub fn spelling(&self, sources: &Sources) -> Spelling {
        // A chat template may write the date: the model of yesterday would go on writing yesterday's.
        let today = chrono::Local::now().date_naive();
        Spelling::new(format!("{} {} {:?} {today}", self.of_base(sources), self.adapter, sources.nulls))
    }
}
