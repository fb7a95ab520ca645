use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use burn::tensor::{Tensor, TensorData};
use burn::{Dispatch, DispatchDevice};

use super::Device;

/// Longest time a device may take for the trial; compiling the first kernels takes seconds.
const TRIAL_TIME_MAX: Duration = Duration::from_secs(60);

const THREAD_NAME: &str = "device-trial";

/// Lets a device compute something small and compares the result with the right one. Runs on a
/// thread of its own, since a runtime without its libraries panics and a broken driver hangs.
pub(super) fn trial(device: Device) -> Result<(), String> {
    keep_quiet();
    let (sender, receiver) = channel();
    std::thread::Builder::new()
        .name(THREAD_NAME.into())
        .spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| compute(&device.burn())));
            // Nobody listens any more after the time limit.
            let _ = sender.send(result.unwrap_or_else(|panic| Err(panic_text(&*panic))));
        })
        .map_err(|error| format!("no thread to try it on: {error}"))?;
    receiver.recv_timeout(TRIAL_TIME_MAX).unwrap_or_else(|error| match error {
        RecvTimeoutError::Timeout => Err(format!("it did not answer within {} s", TRIAL_TIME_MAX.as_secs())),
        RecvTimeoutError::Disconnected => Err("its runtime ended without a word".into()),
    })
}

/// A matrix product and a sum over whole numbers below 2^11, which every device must get exactly.
fn compute(device: &DispatchDevice) -> Result<(), String> {
    const N: usize = 48;
    let number = |i: usize, j: usize| ((i * 7 + j * 3) % 5) as f32 - 2.0;
    let values: Vec<f32> = (0..N * N).map(|at| number(at / N, at % N)).collect();
    let expected: Vec<f32> =
        (0..N).map(|i| (0..N).flat_map(|j| (0..N).map(move |k| number(i, k) * number(k, j))).sum()).collect();
    let matrix = Tensor::<Dispatch, 2>::from_data(TensorData::new(values, [N, N]), device);
    let sums = matrix.clone().matmul(matrix).sum_dim(1);
    let found: Vec<f32> = sums
        .try_into_data()
        .map_err(|error| error.to_string())?
        .into_vec()
        .map_err(|error| format!("its result cannot be read back: {error:?}"))?;
    if found == expected {
        Ok(())
    } else {
        Err("it computes a small matrix product wrongly; update its driver".into())
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("its runtime panicked");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A panic on the trial thread is an answer, not news: it goes into the report only.
fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() != Some(THREAD_NAME) {
                report(info);
            }
        }));
    });
}
