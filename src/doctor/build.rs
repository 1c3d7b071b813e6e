//! How this sway was built.

use crate::model::Device;
use crate::record::{Check, Status};

/// How this sway was built, as `build.rs` heard of it.
pub struct Build<'a> {
    pub version: &'a str,
    /// `x86_64-unknown-linux-gnu`
    pub target: &'a str,
    /// rustc's: 0 to 3, `s` or `z`.
    pub opt_level: &'a str,
    pub debug_assertions: bool,
    /// Cargo's, as a list with commas.
    pub features: &'a str,
    /// What it can compute on.
    pub devices: Vec<Device>,
}

impl Build<'_> {
    pub fn this() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            target: env!("SWAY_TARGET"),
            opt_level: env!("SWAY_OPT_LEVEL"),
            debug_assertions: cfg!(debug_assertions),
            features: env!("SWAY_CARGO_CFG_FEATURE"),
            devices: Device::built().collect(),
        }
    }

    pub fn check(&self) -> Check {
        let Self { version, target, opt_level, debug_assertions, features, ref devices } = *self;
        let how = match opt_level {
            "0" | "1" => "built without optimisation",
            _ if debug_assertions => "a development build",
            "2" | "3" => "optimised",
            _ => "optimised for size",
        };
        let features: Vec<&str> = features.split(',').filter(|name| !matches!(*name, "" | "default")).collect();
        let with = if features.is_empty() { String::new() } else { format!(", with {}", features.join(", ")) };
        let figure = format!("sway {version} for {target}, {how}{with}; computes on {}", places(devices));
        let check = Check::ok("build", figure)
            .with("version", version)
            .with("target", target)
            .with("opt_level", opt_level)
            .with("debug_assertions", debug_assertions)
            .with("features", features)
            .with("devices", devices.iter().map(Device::to_string).collect::<Vec<_>>());
        if how == "optimised" {
            return check;
        }
        let hint = "it computes many times slower than a release: install it with `cargo install --path .`, or build it with `cargo build --release`";
        check.but(Status::Warn, hint)
    }
}

/// `the CPU and CUDA, without Metal`
fn places(devices: &[Device]) -> &'static str {
    match (devices.contains(&Device::Cuda(0)), devices.contains(&Device::Metal)) {
        (false, false) => "the CPU, with neither CUDA nor Metal",
        (true, false) => "the CPU and with CUDA, not with Metal",
        (false, true) => "the CPU and with Metal, not with CUDA",
        (true, true) => "the CPU, with CUDA and with Metal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(opt_level: &str, debug_assertions: bool) -> Check {
        Build { version: "1.2.3", target: "t", opt_level, debug_assertions, features: "", devices: vec![Device::Cpu] }.check()
    }

    #[test]
    fn only_an_optimised_build_is_well() {
        assert_eq!(build("3", false).status, Status::Ok);
        assert_eq!(build("3", false).figure, "sway 1.2.3 for t, optimised; computes on the CPU, with neither CUDA nor Metal");
        for (level, asserts, told) in [
            ("0", true, "without optimisation"),
            ("0", false, "without optimisation"),
            ("2", true, "a development build"),
            ("z", false, "for size"),
        ] {
            let check = build(level, asserts);
            assert_eq!(check.status, Status::Warn, "{level}");
            assert!(check.figure.contains(told), "{}", check.figure);
            assert!(check.hints[0].contains("cargo install"));
        }
    }

    #[test]
    fn features_are_named_where_there_are_any() {
        let devices = vec![Device::Cpu, Device::Cuda(0)];
        let check = Build { features: "default,cuda", devices, ..Build::this() }.check();
        assert!(check.figure.contains(", with cuda; computes on the CPU and with CUDA"), "{}", check.figure);
        assert_eq!(check.values["devices"], serde_json::json!(["cpu", "cuda:0"]));
        assert_eq!(check.values["features"], serde_json::json!(["cuda"]));
    }
}
