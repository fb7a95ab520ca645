//! NVIDIA GPUs of this machine, asked of the driver itself: Burn's CUDA runtime panics where there
//! is no driver, so nothing of it may be touched before this has answered.

use std::ffi::{CStr, c_char, c_int, c_uint};

use libloading::{Library, Symbol};

/// Names of all GPUs the driver shows, in its order, or why there are none.
pub(super) fn gpus() -> Result<Vec<String>, String> {
    let driver = Driver::open()?;
    let count = driver.count()?;
    if count == 0 {
        return Err("the NVIDIA driver shows no GPU; check CUDA_VISIBLE_DEVICES and `nvidia-smi`".into());
    }
    (0..count).map(|index| driver.name(index)).collect()
}

struct Driver {
    library: Library,
}

const LIBRARIES: &[&str] = if cfg!(windows) {
    &["nvcuda.dll"]
} else {
    &["libcuda.so.1", "libcuda.so", "/usr/lib/wsl/lib/libcuda.so.1"]
};

type Init = unsafe extern "C" fn(c_uint) -> c_int;
type DeviceGetCount = unsafe extern "C" fn(*mut c_int) -> c_int;
type DeviceGet = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
type DeviceGetName = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;

impl Driver {
    fn open() -> Result<Self, String> {
        let library = LIBRARIES
            .iter()
            // SAFETY: the NVIDIA driver's initialisers are what every CUDA program runs.
            .find_map(|name| unsafe { Library::new(*name) }.ok())
            .ok_or("no NVIDIA driver is installed (libcuda.so.1 was not found)")?;
        let driver = Self { library };
        // SAFETY: signature of cuInit in cuda.h; flags must be 0.
        let init: Symbol<'_, Init> = unsafe { driver.symbol("cuInit") }?;
        // SAFETY: as above.
        check("cuInit", unsafe { init(0) })?;
        Ok(driver)
    }

    fn count(&self) -> Result<c_int, String> {
        let mut count = 0;
        // SAFETY: signature of cuDeviceGetCount in cuda.h.
        let get: Symbol<'_, DeviceGetCount> = unsafe { self.symbol("cuDeviceGetCount") }?;
        // SAFETY: writes one int.
        check("cuDeviceGetCount", unsafe { get(&mut count) })?;
        Ok(count)
    }

    fn name(&self, index: c_int) -> Result<String, String> {
        let (mut device, mut name) = (0, [0u8; 256]);
        // SAFETY: signatures of cuDeviceGet and cuDeviceGetName in cuda.h.
        let (get, get_name): (Symbol<'_, DeviceGet>, Symbol<'_, DeviceGetName>) =
            unsafe { (self.symbol("cuDeviceGet")?, self.symbol("cuDeviceGetName")?) };
        // SAFETY: writes one int.
        check("cuDeviceGet", unsafe { get(&mut device, index) })?;
        // SAFETY: writes at most 255 bytes and a zero into `name`.
        check("cuDeviceGetName", unsafe { get_name(name.as_mut_ptr().cast(), 255, device) })?;
        let text = CStr::from_bytes_until_nul(&name).unwrap_or_default();
        Ok(text.to_string_lossy().into_owned())
    }

    /// # Safety
    /// `T` must be the function's signature.
    unsafe fn symbol<T>(&self, name: &str) -> Result<Symbol<'_, T>, String> {
        // SAFETY: the caller's promise.
        unsafe { self.library.get(name.as_bytes()) }
            .map_err(|error| format!("the NVIDIA driver has no {name} ({error}); reinstall it"))
    }
}

fn check(call: &str, code: c_int) -> Result<(), String> {
    match code {
        0 => Ok(()),
        100 => Err("the NVIDIA driver finds no GPU".into()),
        803 => {
            Err("the NVIDIA driver and its kernel module have different versions; reboot or reinstall".into())
        }
        code => Err(format!(
            "{call} of the NVIDIA driver fails with CUDA error {code}; run `nvidia-smi` for the cause"
        )),
    }
}
