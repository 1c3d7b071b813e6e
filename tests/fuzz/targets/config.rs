#![no_main]

use libfuzzer_sys::fuzz_target;
use sway::model::untrusted;
use sway_fuzz::file;

fuzz_target!(|bytes: &[u8]| {
    let path = file("config.json", bytes);
    let _ = untrusted::config(&path);
    let _ = untrusted::end_tokens(&path);
});
