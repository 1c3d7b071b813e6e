//! Tells the crate how it is built: `sway doctor` reports it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Only a build script hears of the first two.
    for name in ["TARGET", "OPT_LEVEL", "CARGO_CFG_FEATURE"] {
        println!("cargo::rustc-env=SWAY_{name}={}", std::env::var(name).unwrap_or_default());
    }
}
