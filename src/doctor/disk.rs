//! Room for downloads.

use super::size::size;
use crate::model::hub::Network;
use crate::record::{Check, Status};

/// Not even a small model's files fit.
const FULL: u64 = 100_000_000;

/// A model of a billion parameters in float32, which comes in one file and may be needed beside an older one.
const SCARCE: u64 = 5_000_000_000;

/// Room for downloads where the cache is.
pub struct Disk {
    /// Bytes; `None` where the system does not tell.
    pub free: Option<u64>,
    pub network: Network,
}

impl Disk {
    pub fn check(&self) -> Check {
        let Some(free) = self.free else {
            return Check::ok("disk", "this system does not tell what is free at the cache");
        };
        let check = Check::ok("disk", format!("{} free at the cache", size(free))).with("free_bytes", free);
        let status = match free {
            _ if self.network == Network::Offline => return check,
            ..FULL => Status::Bad,
            FULL..SCARCE => Status::Warn,
            SCARCE.. => return check,
        };
        check.but(
            status,
            "a model takes 2 to 4 GB for each billion parameters: delete models that are not needed (`hf cache ls`, `hf cache rm`), or set HF_HUB_CACHE to a folder on a larger disk",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_bad_where_files_are_to_be_fetched() {
        let check = |free, network| Disk { free, network }.check();
        let online = |free| check(Some(free), Network::Online);
        assert_eq!(online(50_000_000_000).status, Status::Ok);
        assert_eq!(online(2_000_000_000).status, Status::Warn);
        assert_eq!(online(0).status, Status::Bad);
        assert_eq!(online(0).figure, "0 MB free at the cache");
        assert!(online(0).hints[0].contains("hf cache rm"));
        assert_eq!(check(Some(0), Network::Offline).status, Status::Ok);
        assert_eq!(check(None, Network::Online).status, Status::Ok);
    }
}
