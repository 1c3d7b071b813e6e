#![no_main]

use libfuzzer_sys::fuzz_target;
use sway::model::untrusted;
use sway_fuzz::file;

fuzz_target!(|bytes: &[u8]| {
    let _ = untrusted::optimizer(&file("optimizer.pt", bytes));
});
