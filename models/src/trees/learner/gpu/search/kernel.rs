//! A workgroup takes a feature of a node, a unit a bin at a time: the sums of all bins up to its own, and bounds of the
//! gain of cutting there. Two launches: the first finds the greatest lower bound of the node, the second notes the cuts
//! whose upper bound reaches it.
//!
//! With w = 1 / (H + lambda) of a side and any number c, a side's gain G² w is (G - c / w)² w + 2 c (G - c / w) + c² / w,
//! and what is added to the square is the same in total for all cuts. Where c is the node's own best value, the squares
//! are what a cut gains over the node: small differences of large numbers, in which 32 bits would drown, do not come up.
//! All in quantised units, where no number leaves the range of a float.
//!
//! As everywhere, units of a workgroup take the same number of steps.

use cubecl::prelude::*;

/// Units of a workgroup.
pub(super) const UNITS: u32 = 256;
/// Doublings from one unit to all.
const STEPS: u32 = UNITS.ilog2();
/// Words of a question: the node's sums (gradient, hessian; low word first), first bin, c, what the sides' squared
/// terms add up to, lambda, the least hessian of a side that is surely and that is perhaps heavy enough, noise.
pub(super) const QUESTION: u32 = 11;
/// Words of a feature: first bin in a histogram, bins, place in the layout.
pub(super) const FEATURE: u32 = 3;
/// Words of a noted cut: place, bin, missing rows (0 right, 1 left, 2 none there), sums of the left side.
pub(super) const CUT: u32 = 7;

/// Relative error of a product, quotient or sum of a few numbers, with room: each has at most 2^-22.
const RELATIVE: f32 = 1.0 / 524_288.0;
/// The same of a difference, in parts of what is subtracted.
const CANCELLED: f32 = 1.0 / 2_097_152.0;

/// 64 bits, low word first.
#[derive(CubeType, CubeTypeMut, Clone, Copy)]
struct Long {
    low: u32,
    high: u32,
}

/// Sums of a gradient and a hessian.
#[derive(CubeType, CubeTypeMut, Clone, Copy)]
struct Sums {
    gradient: Long,
    hessian: Long,
}

#[derive(CubeType, Clone, Copy)]
struct Bounds {
    low: f32,
    high: f32,
}

/// A node and a feature.
#[derive(CubeType)]
struct Asked {
    node: u32,
    /// First word of the feature.
    feature: u32,
    total: Sums,
    /// Greatest lower bound, once it is known.
    best: f32,
}

/// A cut after a bin.
#[derive(CubeType, Clone, Copy)]
struct Cut {
    bin: u32,
    /// Missing rows: 0 right, 1 left, 2 none there.
    missing: u32,
    left: Sums,
}

/// Nodes that are looked through.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Questions {
    /// [`QUESTION`] words each.
    pub words: Array<u32>,
    /// By node and feature, whether it may be split by.
    pub allowed: Array<u32>,
    /// [`FEATURE`] words each.
    pub features: Array<u32>,
    pub n_features: u32,
    pub cuts_max: u32,
}

/// Features along the first two axes. `state` has two words for each node: the greatest lower bound (its bits), and how many
/// cuts reach it. `cuts` has room for `cuts_max` of each node.
#[cube(launch_unchecked)]
pub(super) fn search(
    questions: &Questions,
    node: u32,
    limbs: &Array<u32>,
    state: &mut Array<Atomic<u32>>,
    cuts: &mut Array<u32>,
    #[comptime] notes: bool,
) {
    let mut shared = SharedMemory::<u32>::new(4 * UNITS as usize);
    let top = SharedMemory::<Atomic<u32>>::new(1usize);
    // Workgroups beyond the last feature go with the first, and find it forbidden.
    let number = CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X;
    let exists = number < questions.n_features;
    let number = select(exists, number, 0u32);
    let feature = number * FEATURE;
    let first_bin = questions.words[(node * QUESTION) as usize + 4] + questions.features[feature as usize];
    let is_allowed = exists && questions.allowed[(node * questions.n_features + number) as usize] == 1;
    let n_bins = select(is_allowed, questions.features[feature as usize + 1], 0u32);
    let missing = load(limbs, 4 * first_bin);
    let none_missing = is_zero(missing);
    let best = f32::reinterpret(state[2 * node as usize].load());
    let asked = Asked { node, feature, total: load(&questions.words, node * QUESTION), best };
    let mut before = Sums { gradient: zero(), hessian: zero() };
    let mut greatest = f32::new(0.0);
    if UNIT_POS == 0 {
        top[0].store(0);
    }
    for tile in 0..n_bins.div_ceil(UNITS) {
        let bin = 1 + tile * UNITS + UNIT_POS;
        let own = load_or_zero(limbs, first_bin, bin, n_bins);
        scan(&mut shared, own);
        let up_to = plus_sums(before, shared_sums(&shared, UNIT_POS));
        before = plus_sums(before, shared_sums(&shared, UNITS - 1));
        sync_cube();
        // A cut after an empty bin is the one before it once more.
        let is_cut = bin < n_bins && (bin == 1 || !is_zero(own));
        if is_cut && bin + u32::cast_from(none_missing) < n_bins {
            let low = weigh(
                questions,
                &asked,
                Cut { bin, missing: select(none_missing, 2u32, 0u32), left: up_to },
                state,
                cuts,
                notes,
            );
            greatest = max(greatest, low);
        }
        if is_cut && bin + 1 < n_bins && !none_missing {
            let left = plus_sums(up_to, missing);
            let low = weigh(questions, &asked, Cut { bin, missing: 1u32, left }, state, cuts, notes);
            greatest = max(greatest, low);
        }
    }
    if comptime!(!notes) {
        sync_cube();
        top[0].fetch_max(u32::reinterpret(greatest));
        sync_cube();
        if UNIT_POS == 0 {
            // Bits of numbers that are not negative have their order.
            state[2 * node as usize].fetch_max(top[0].load());
        }
    }
}

/// Lower bound of what a cut gains. Writes it down if it may be the best and there is room; counts it in any case.
#[cube]
fn weigh(
    questions: &Questions,
    asked: &Asked,
    cut: Cut,
    state: &mut Array<Atomic<u32>>,
    cuts: &mut Array<u32>,
    #[comptime] notes: bool,
) -> f32 {
    let bounds = bounds(&questions.words, asked.node * QUESTION, asked.total, cut.left);
    if comptime!(notes) {
        let may_be_best = bounds.high >= asked.best;
        if may_be_best {
            let place = state[2 * asked.node as usize + 1].fetch_add(1u32);
            if place < questions.cuts_max {
                let to = ((asked.node * questions.cuts_max + place) * CUT) as usize;
                cuts[to] = questions.features[asked.feature as usize + 2];
                cuts[to + 1] = cut.bin;
                cuts[to + 2] = cut.missing;
                cuts[to + 3] = cut.left.gradient.low;
                cuts[to + 4] = cut.left.gradient.high;
                cuts[to + 5] = cut.left.hessian.low;
                cuts[to + 6] = cut.left.hessian.high;
            }
        }
    }
    bounds.low
}

/// Takes a part's histogram from the whole's: what is left is the other part's.
#[cube(launch_unchecked)]
pub(super) fn subtract(
    whole: &mut Array<u32>,
    part: &Array<u32>,
    first_whole: u32,
    first_part: u32,
    n_longs: u32,
) {
    let long = (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) * UNITS + UNIT_POS;
    if long < n_longs {
        let to = (first_whole + 2 * long) as usize;
        let from = (first_part + 2 * long) as usize;
        let rest = minus(
            Long { low: whole[to], high: whole[to + 1] },
            Long { low: part[from], high: part[from + 1] },
        );
        whole[to] = rest.low;
        whole[to + 1] = rest.high;
    }
}

/// Bounds of what a cut gains; the upper one is negative where it is forbidden, the lower one where it may be.
#[cube]
fn bounds(words: &Array<u32>, at: u32, total: Sums, left: Sums) -> Bounds {
    let at = at as usize;
    let c = f32::reinterpret(words[at + 5]);
    let both = f32::reinterpret(words[at + 6]);
    let lambda = f32::reinterpret(words[at + 7]);
    let right =
        Sums { gradient: minus(total.gradient, left.gradient), hessian: minus(total.hessian, left.hessian) };
    let is_sound = !is_long_zero(left.hessian) && !is_long_zero(right.hessian);
    // Of the lighter side directly, whose error is the smaller one, and of the other by difference.
    let h_left = float(left.hessian);
    let h_right = float(right.hessian);
    let is_left = h_left < h_right;
    let lighter = min(h_left, h_right);
    let own = select(is_left, float(left.gradient), float(right.gradient));
    let shift = c * (lighter + lambda);
    let of_lighter = own - shift;
    let of_heavier = both - of_lighter;
    let error_lighter = CANCELLED * (own.abs() + shift.abs());
    let error_heavier = error_lighter + CANCELLED * (both.abs() + of_lighter.abs());
    let weight_lighter = 1.0 / (lighter + lambda);
    let weight_heavier = 1.0 / (max(h_left, h_right) + lambda);
    let high_lighter = of_lighter.abs() + error_lighter;
    let high_heavier = of_heavier.abs() + error_heavier;
    let low_lighter = max(of_lighter.abs() - error_lighter, f32::new(0.0));
    let low_heavier = max(of_heavier.abs() - error_heavier, f32::new(0.0));
    let noise = f32::reinterpret(words[at + 10]);
    let high = high_lighter * high_lighter * weight_lighter + high_heavier * high_heavier * weight_heavier;
    let high = high * (1.0 + RELATIVE) + noise;
    let low = low_lighter * low_lighter * weight_lighter + low_heavier * low_heavier * weight_heavier;
    let low = low * (1.0 - RELATIVE) - noise;
    let surely = is_sound && lighter >= f32::reinterpret(words[at + 8]);
    let perhaps = is_sound && lighter >= f32::reinterpret(words[at + 9]);
    Bounds { low: select(surely, low, -1.0), high: select(perhaps, high, -1.0) }
}

/// Each unit's sums become those of all units up to it.
#[cube]
fn scan(shared: &mut SharedMemory<u32>, own: Sums) {
    let mut sums = own;
    store(shared, sums);
    sync_cube();
    #[unroll]
    for step in 0..STEPS {
        let back = 1u32 << step;
        let other = shared_sums(shared, select(UNIT_POS >= back, UNIT_POS - back, 0u32));
        let has_other = UNIT_POS >= back;
        let gradient = long_or_zero(has_other, other.gradient);
        let hessian = long_or_zero(has_other, other.hessian);
        sums = plus_sums(sums, Sums { gradient, hessian });
        sync_cube();
        store(shared, sums);
        sync_cube();
    }
}

/// Words of a sum are `UNITS` apart: neighbours write side by side.
#[cube]
fn store(shared: &mut SharedMemory<u32>, sums: Sums) {
    shared[UNIT_POS as usize] = sums.gradient.low;
    shared[(UNITS + UNIT_POS) as usize] = sums.gradient.high;
    shared[(2 * UNITS + UNIT_POS) as usize] = sums.hessian.low;
    shared[(3 * UNITS + UNIT_POS) as usize] = sums.hessian.high;
}

#[cube]
fn shared_sums(shared: &SharedMemory<u32>, unit: u32) -> Sums {
    Sums {
        gradient: Long { low: shared[unit as usize], high: shared[(UNITS + unit) as usize] },
        hessian: Long { low: shared[(2 * UNITS + unit) as usize], high: shared[(3 * UNITS + unit) as usize] },
    }
}

#[cube]
fn load(words: &Array<u32>, at: u32) -> Sums {
    let at = at as usize;
    Sums {
        gradient: Long { low: words[at], high: words[at + 1] },
        hessian: Long { low: words[at + 2], high: words[at + 3] },
    }
}

/// Sums of a bin; nothing beyond the last one, where those of another feature are.
#[cube]
fn load_or_zero(words: &Array<u32>, first_bin: u32, bin: u32, n_bins: u32) -> Sums {
    let is_own = bin < n_bins;
    let sums = load(words, 4 * (first_bin + select(is_own, bin, 0u32)));
    Sums { gradient: long_or_zero(is_own, sums.gradient), hessian: long_or_zero(is_own, sums.hessian) }
}

#[cube]
fn long_or_zero(condition: bool, long: Long) -> Long {
    Long { low: select(condition, long.low, 0u32), high: select(condition, long.high, 0u32) }
}

#[cube]
fn zero() -> Long {
    Long { low: 0u32, high: 0u32 }
}

#[cube]
fn is_zero(sums: Sums) -> bool {
    is_long_zero(sums.gradient) && is_long_zero(sums.hessian)
}

#[cube]
fn is_long_zero(long: Long) -> bool {
    long.low | long.high == 0
}

#[cube]
fn plus_sums(a: Sums, b: Sums) -> Sums {
    Sums { gradient: plus(a.gradient, b.gradient), hessian: plus(a.hessian, b.hessian) }
}

#[cube]
fn plus(a: Long, b: Long) -> Long {
    let low = a.low + b.low;
    Long { low, high: a.high + b.high + select(low < a.low, 1u32, 0u32) }
}

#[cube]
fn minus(a: Long, b: Long) -> Long {
    Long { low: a.low - b.low, high: a.high - b.high - select(a.low < b.low, 1u32, 0u32) }
}

/// As a float, off by 2^-22 of itself at most: of its size first, since halves of opposite sign would cancel.
#[cube]
fn float(long: Long) -> f32 {
    let is_negative = long.high >> 31 == 1;
    let opposite = minus(zero(), long);
    let low = select(is_negative, opposite.low, long.low);
    let high = select(is_negative, opposite.high, long.high);
    let size = f32::cast_from(high) * 4_294_967_296.0 + f32::cast_from(low);
    select(is_negative, -size, size)
}
