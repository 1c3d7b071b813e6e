//! Where a model computes, as users name it.

use std::fmt;
use std::str::FromStr;

use candle_core::utils::{cuda_is_available, metal_is_available};

use crate::model::error::ModelError;

/// Where a model computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Device {
    /// The CPU, with sway's own kernels.
    #[default]
    Cpu,
    /// The NVIDIA GPU with this ordinal.
    Cuda(usize),
    /// Apple's GPU.
    Metal,
    /// The CPU, with the operations that GPUs run: slow, and what tells a fault of theirs from one of a GPU.
    Candle,
}

/// No name of a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no device `{0}`; known are `cpu`, `cuda:0` (or another number), `metal`, and `candle`")]
pub struct UnknownDevice(String);

impl FromStr for Device {
    type Err = UnknownDevice;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownDevice(name.to_owned());
        match name {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            "candle" => Ok(Self::Candle),
            _ => {
                let ordinal = name.strip_prefix("cuda:").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
                ordinal.and_then(|digits| digits.parse().ok()).map(Self::Cuda).ok_or_else(unknown)
            }
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
            Self::Metal => f.write_str("metal"),
            Self::Candle => f.write_str("candle"),
        }
    }
}

impl Device {
    /// Those that this build can compute on.
    pub fn built() -> impl Iterator<Item = Self> {
        [Self::Cpu, Self::Cuda(0), Self::Metal, Self::Candle].into_iter().filter(|device| device.missing().is_none())
    }

    /// What this build lacks for the device, and what to do about it.
    pub fn missing(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Cuda(_) if !cuda_is_available() => Some((
                "this sway was built without CUDA",
                "build it with `cargo install --path . --features cuda` where NVIDIA's CUDA toolkit is installed, or compute on the CPU",
            )),
            Self::Metal if !metal_is_available() => Some((
                "this sway was built without Metal",
                "build it on a Mac with `cargo install --path . --features metal`, or compute on the CPU",
            )),
            _ => None,
        }
    }

    /// Opens the device and computes something small on it.
    ///
    /// # Errors
    /// What keeps it from that.
    pub fn try_out(self) -> Result<(), ModelError> {
        let Some(device) = self.open()? else { return Ok(()) };
        let computed = candle_core::Tensor::ones((2, 2), candle_core::DType::F32, &device)
            .and_then(|ones| ones.matmul(&ones)?.sum_all()?.to_scalar::<f32>());
        match computed {
            Ok(8.0) => Ok(()),
            Ok(other) => Err(ModelError::Unsupported(format!("{self} computes wrongly: a sum of 8 came out as {other}"))),
            Err(error) => Err(ModelError::device(self, &error)),
        }
    }

    /// The device as candle knows it; `None` for the CPU, which computes without it.
    pub(super) fn open(self) -> Result<Option<candle_core::Device>, ModelError> {
        if let Some((what, hint)) = self.missing() {
            return Err(ModelError::Unsupported(format!("{what}\nhint: {hint}")));
        }
        let opened = match self {
            Self::Cpu => return Ok(None),
            Self::Cuda(ordinal) => candle_core::Device::new_cuda(ordinal),
            Self::Metal => candle_core::Device::new_metal(0),
            Self::Candle => Ok(candle_core::Device::Cpu),
        };
        opened.map(Some).map_err(|error| ModelError::device(self, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(11), Device::Metal, Device::Candle] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        for wrong in ["", "gpu", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda:+1", "cuda:99999999999999999999", "cpu:0"] {
            assert_eq!(wrong.parse::<Device>(), Err(UnknownDevice(wrong.to_owned())));
        }
    }

    #[test]
    fn the_cpu_is_always_there() {
        let built: Vec<Device> = Device::built().collect();
        assert!(built.contains(&Device::Cpu) && built.contains(&Device::Candle));
        assert_eq!(built.contains(&Device::Cuda(0)), cfg!(feature = "cuda"));
        assert_eq!(built.contains(&Device::Metal), cfg!(feature = "metal"));
    }

    #[test]
    fn what_is_always_there_computes() {
        assert!(Device::Cpu.try_out().is_ok() && Device::Candle.try_out().is_ok());
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_that_the_build_lacks_is_refused_with_the_way_to_get_it() {
        let told = Device::Cuda(1).open().unwrap_err().to_string();
        assert!(told.contains("built without CUDA\nhint: build it with `cargo install --path . --features cuda`"), "{told}");
    }
}
