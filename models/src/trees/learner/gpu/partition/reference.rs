use super::super::Order;
use super::super::histogram::reference::bin;
use crate::trees::learner::gradient::Record;
use crate::trees::learner::layout::Layout;

/// Left and right records of an order.
pub(crate) fn partition(
    layout: &Layout,
    bins: &[u8],
    records: &[Record],
    order: &Order,
) -> (Vec<Record>, Vec<Record>) {
    let records = records[order.rows.clone()].iter();
    records.partition(|record| order.goes_left[bin(layout, bins, record.row, order.place)])
}
