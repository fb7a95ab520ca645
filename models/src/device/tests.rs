#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

/// The first Vulkan device, or a line that says why the test cannot run.
pub(crate) fn vulkan_or_skip(test: &str) -> Option<Device> {
    match choose(DeviceChoice::Fixed(Device::Vulkan(0))) {
        Ok(device) => Some(device),
        Err(error) => {
            println!("SKIPPED {test}: {error}");
            None
        }
    }
}

#[test]
fn names_survive_the_way_through_text() {
    for device in [Device::Cpu, Device::Cuda(3), Device::Vulkan(0)] {
        assert_eq!(device.to_string().parse::<Device>().unwrap(), device);
    }
    assert_eq!("cuda".parse::<Device>().unwrap(), Device::Cuda(0));
    for wrong in ["gpu", "cpu:1", "cuda:x", ""] {
        assert!(matches!(wrong.parse::<DeviceChoice>(), Err(DeviceError::Unknown { .. })), "{wrong}");
    }
}

#[test]
fn the_cpu_always_works_and_a_probe_never_panics() {
    let reports = probe();
    assert_eq!((reports[0].device, &reports[0].works, reports[0].is_real_gpu), (Device::Cpu, &Ok(()), false));
    for report in &reports {
        println!("{} {} {:?}", report.device, report.name, report.works);
    }
    assert_eq!(choose(DeviceChoice::Fixed(Device::Cpu)).unwrap(), Device::Cpu);
}

#[test]
fn auto_takes_a_device_that_the_probe_found_working_and_no_cpu_behind_a_driver() {
    let device = choose(DeviceChoice::Auto).unwrap();
    let report = probe().into_iter().find(|report| report.device == device).unwrap();
    assert_eq!(report.works, Ok(()));
    assert!(device == Device::Cpu || report.is_real_gpu);
}

#[test]
fn a_device_that_is_not_there_is_an_error_that_names_it() {
    for device in [Device::Cuda(99), Device::Vulkan(99)] {
        match choose(DeviceChoice::Fixed(device)) {
            Err(DeviceError::Unavailable { device: named, reason }) => {
                assert_eq!(named, device);
                assert!(!reason.is_empty());
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_vulkan_driver_on_the_cpu_works_when_named() {
    let Some(device) = vulkan_or_skip("a_vulkan_driver_on_the_cpu_works_when_named") else { return };
    assert_eq!(device, Device::Vulkan(0));
}
