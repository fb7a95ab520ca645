use cubecl::CubeDim;
use cubecl::client::ComputeClient;
use cubecl::prelude::Runtime;

use super::super::Order;
use super::super::buffer::Buffer;
use super::super::matrix::{GpuMatrix, WordBits};
use super::super::records::Records;
use super::super::tasks::{Tasks, stretch};
use super::kernel::{CHUNK_ROWS, UNITS, WorkLaunch, partition as kernel};

/// Carries out orders that were checked. Returns, on the device, how many rows went left and how many
/// right by each.
pub(in super::super) fn partition<R: Runtime>(
    client: &ComputeClient<R>,
    matrix: &GpuMatrix,
    records: &Records,
    orders: &[Order],
) -> Buffer {
    let placed = Buffer::upload(client, vec![0; 2 * orders.len()]);
    let plan = Plan::new(matrix, orders);
    let described = Buffer::upload(client, plan.orders);
    let goes_left = Buffer::upload(client, plan.goes_left);
    for (part, numbers) in matrix.parts.iter().zip(&plan.by_part) {
        let rows = numbers.iter().map(|&order| (order, orders[order].rows.len()));
        let tasks = Tasks::new(rows, CHUNK_ROWS as usize);
        if tasks.len() == 0 {
            continue;
        }
        let (cubes, n_tasks) = (tasks.grid(1), tasks.len() as u32);
        let task_words = Buffer::upload(client, tasks.words);
        let work = WorkLaunch::<R>::new(task_words.arg(), described.arg(), goes_left.arg(), n_tasks);
        // SAFETY: orders lie within the records, records name rows below `n_rows`, the matrix has no
        // bins beyond a feature's, and an order has a side for each.
        unsafe {
            kernel::launch_unchecked::<R>(
                client,
                cubes,
                CubeDim::new_1d(UNITS),
                work,
                records.arg(),
                part.data.arg(),
                placed.arg(),
            );
        }
    }
    placed
}

/// Orders as the kernel reads them.
struct Plan {
    orders: Vec<u32>,
    goes_left: Vec<u32>,
    /// Numbers of the orders whose feature is in a part of the matrix.
    by_part: Vec<Vec<usize>>,
}

impl Plan {
    fn new(matrix: &GpuMatrix, orders: &[Order]) -> Self {
        let by_part = vec![Vec::new(); matrix.parts.len()];
        let mut plan = Self { orders: Vec::with_capacity(8 * orders.len()), goes_left: Vec::new(), by_part };
        for (number, order) in orders.iter().enumerate() {
            let Some((part, WordBits { word, shift, mask })) = matrix.find(order.place) else { continue };
            let [first, end, from] = stretch(&order.rows, order.parity, matrix.n_rows);
            let [.., to] = stretch(&order.rows, 1 - order.parity, matrix.n_rows);
            let sides = plan.goes_left.len() as u32;
            plan.orders.extend([first, end, from, to, sides, word, shift, mask]);
            // A byte may hold numbers above the feature's bins; they are not in the matrix of a sound
            // caller, and here they find a side all the same.
            let n_bins = if mask == 0xFF { 256 } else { order.goes_left.len() };
            plan.goes_left.extend(bits(&order.goes_left, n_bins));
            plan.by_part[part].push(number);
        }
        plan
    }
}

fn bits(goes_left: &[bool], n_bins: usize) -> impl Iterator<Item = u32> {
    (0..n_bins).step_by(32).map(|first| {
        let word = goes_left.iter().skip(first).take(32).enumerate();
        word.fold(0, |bits, (k, &left)| bits | u32::from(left) << k)
    })
}
