#![no_main]

use libfuzzer_sys::fuzz_target;
use sway::model::untrusted;
use sway_fuzz::{conversation, file};

fuzz_target!(|bytes: &[u8]| {
    let path = file("tokenizer_config.json", bytes);
    if let Some(dir) = path.parent() {
        let _ = untrusted::chat_template(dir, &conversation());
    }
});
