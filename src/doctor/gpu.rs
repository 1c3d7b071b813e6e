//! Whether a GPU that this build can use answers.

use crate::model::{Device, ModelError};
use crate::record::{Check, Status};

/// A warning where it does not: the CPU computes without it.
pub fn check(device: Device, tried: Result<(), ModelError>) -> Check {
    match tried {
        Ok(()) => {
            Check::ok("gpu", format!("{device} answers; `--device {device}` computes on it")).with("device", device.to_string())
        }
        Err(error) => {
            let hint = "look at the driver (`nvidia-smi` lists NVIDIA's GPUs by their numbers), or compute on the CPU";
            let told = error.to_string();
            let told = told.lines().next().unwrap_or_default();
            Check::ok("gpu", told).with("device", device.to_string()).but(Status::Warn, hint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_that_does_not_answer_is_a_warning_with_its_own_words() {
        assert_eq!(check(Device::Cuda(0), Ok(())).status, Status::Ok);
        let broken = check(Device::Cuda(1), Err(ModelError::Unsupported("no driver\nhint: none".to_owned())));
        assert_eq!((broken.status, broken.figure.as_str()), (Status::Warn, "no driver"));
        assert!(broken.hints[0].contains("nvidia-smi"));
    }
}
