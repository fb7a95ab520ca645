use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A device that computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Device {
    /// All cores of this machine.
    #[default]
    Cpu,
    /// NVIDIA GPU by index.
    Cuda(usize),
    /// Vulkan device by index.
    Vulkan(usize),
}

/// A device as a user asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum DeviceChoice {
    /// The fastest that works: CUDA, else Vulkan on a real GPU, else the CPU.
    #[default]
    Auto,
    /// This one or an error.
    Fixed(Device),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Vulkan(index) => write!(f, "vulkan:{index}"),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(device) => device.fmt(f),
        }
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown { text: text.into() };
        let (kind, index) = text.split_once(':').unwrap_or((text, "0"));
        let index = index.parse().map_err(|_| unknown())?;
        match kind {
            "cpu" if !text.contains(':') => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(index)),
            "vulkan" => Ok(Self::Vulkan(index)),
            _ => Err(unknown()),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::Fixed) }
    }
}

macro_rules! through_text {
    ($($kind:ty),*) => {$(
        impl TryFrom<String> for $kind {
            type Error = DeviceError;
            fn try_from(text: String) -> Result<Self, DeviceError> {
                text.parse()
            }
        }
        impl From<$kind> for String {
            fn from(value: $kind) -> Self {
                value.to_string()
            }
        }
    )*};
}
through_text!(Device, DeviceChoice);

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No such name.
    #[error("unknown device {text:?}; use auto, cpu, vulkan, vulkan:N, cuda or cuda:N")]
    Unknown {
        /// Name as given.
        text: String,
    },
    /// It is not there or does not compute.
    #[error("device {device} does not work: {reason}; `cupola doctor` lists those that do")]
    Unavailable {
        /// Device asked for.
        device: Device,
        /// What the probe found.
        reason: String,
    },
}
