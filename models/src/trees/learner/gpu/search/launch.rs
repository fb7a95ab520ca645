use cubecl::CubeDim;
use cubecl::client::ComputeClient;
use cubecl::prelude::Runtime;

use super::super::GpuError;
use super::super::buffer::Buffer;
use super::super::histogram::{GpuHistogram, LIMBS, bins};
use super::super::tasks::grid;
use super::kernel::{
    CUT, FEATURE, QUESTION, QuestionsLaunch, UNITS, search as kernel, subtract as subtraction,
};
use crate::trees::learner::gradient::Units;
use crate::trees::learner::histogram::Sums;
use crate::trees::learner::layout::Layout;
use crate::trees::learner::scan::Cut;
use crate::trees::learner::split::{Limits, Regularisation};

/// Cuts of a node that come back one by one. Where more are as good, its whole histogram does.
pub(in super::super) const CUTS_MAX: usize = 32;
/// Penalties beyond leave the range where a float's square is still a number.
const LAMBDA_MAX: f64 = 1e30;
/// What the host's own arithmetic in 64 bits may be off by, in parts of the numbers it subtracts.
const HOST_NOISE: f64 = 1e-12;

/// The features of a matrix that the device looks through, on the device.
pub(in super::super) struct Search {
    features: Buffer,
    /// Places of the features.
    places: Vec<usize>,
    /// Places of the others: their bins come to the host.
    elsewhere: Vec<usize>,
}

/// A node whose best split is wanted.
pub struct Question<'a> {
    pub histogram: &'a GpuHistogram,
    pub total: Sums,
    pub limits: Limits,
    /// Whether it may be split by the feature, by place.
    pub allowed: &'a [bool],
}

/// What can be the best split of a node.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Cuts with their places, by place, then in the order of the host's scan.
    pub cuts: Vec<(usize, Cut)>,
    /// Places that the host has to look through itself, with their bins.
    pub bins: Vec<(usize, Vec<Sums>)>,
}

impl Search {
    /// `is_cut` says, by place, which features are cut between bins and without further conditions.
    pub fn new<R: Runtime>(
        client: &ComputeClient<R>,
        layout: &Layout,
        is_cut: impl Fn(usize) -> bool,
    ) -> Self {
        let (places, elsewhere): (Vec<usize>, Vec<usize>) =
            (0..layout.slots.len()).partition(|place| is_cut(*place));
        let words = |place: &usize| {
            let slot = layout.slots[*place];
            [slot.first_bin as u32, slot.n_bins as u32, *place as u32]
        };
        let words: Vec<u32> = places.iter().flat_map(words).collect();
        debug_assert_eq!(words.len(), places.len() * FEATURE as usize);
        Self { features: Buffer::upload(client, words), places, elsewhere }
    }
}

/// Looks through the histograms of nodes: one wait for the device, a second one if bins have to come down.
pub(in super::super) fn search<R: Runtime>(
    client: &ComputeClient<R>,
    search: &Search,
    layout: &Layout,
    (units, penalties): (Units, &Regularisation),
    questions: &[Question<'_>],
) -> Result<Vec<Found>, GpuError> {
    let asked: Vec<Option<Asked>> = questions.iter().map(|q| Asked::new(q, units, penalties)).collect();
    let (state, cuts) = launch(client, search, questions, &asked);
    let both = Buffer::download_all(client, &[&state, &cuts])?;
    let (state, cuts) = (&both[0], &both[1]);
    let mut found = Vec::with_capacity(questions.len());
    let mut wanted = Vec::new();
    for (i, question) in questions.iter().enumerate() {
        let n_cuts = state[2 * i + 1] as usize;
        let is_known = asked[i].is_some() && n_cuts <= CUTS_MAX;
        let n_cuts = if is_known { n_cuts } else { 0 };
        let words = cuts[i * CUTS_MAX * CUT as usize..].chunks_exact(CUT as usize).take(n_cuts);
        let mut cuts: Vec<(usize, Cut)> = words.map(cut).collect();
        cuts.sort_by_key(|(place, cut)| (*place, cut.missing_left, cut.bin));
        found.push(Found { cuts, bins: Vec::new() });
        let unknown = if is_known { [].iter() } else { search.places.iter() };
        let places = search.elsewhere.iter().chain(unknown).filter(|place| question.allowed[**place]);
        wanted.extend(places.map(|place| (i, *place)));
    }
    let stretch = |(i, place): &(usize, usize)| {
        let slot = layout.slots[*place];
        questions[*i].histogram.slice(slot.first_bin, slot.n_bins)
    };
    let stretches: Vec<Buffer> = wanted.iter().map(stretch).collect();
    if !stretches.is_empty() {
        let all = Buffer::download_all(client, &stretches.iter().collect::<Vec<_>>())?;
        wanted.into_iter().zip(all).for_each(|((i, place), limbs)| found[i].bins.push((place, bins(&limbs))));
    }
    Ok(found)
}

/// Greatest lower bound and number of cuts of each node, and the cuts.
fn launch<R: Runtime>(
    client: &ComputeClient<R>,
    search: &Search,
    questions: &[Question<'_>],
    asked: &[Option<Asked>],
) -> (Buffer, Buffer) {
    let n_features = search.places.len();
    let allowed =
        questions.iter().flat_map(|q| search.places.iter().map(|place| u32::from(q.allowed[*place])));
    let allowed = Buffer::upload(client, allowed.collect());
    let words = asked.iter().flat_map(|asked| asked.map_or([0; QUESTION as usize], |asked| asked.words));
    let words = Buffer::upload(client, words.collect());
    let floors = asked.iter().flat_map(|asked| [asked.map_or(0, |asked| asked.floor.to_bits()), 0]);
    let state = Buffer::upload(client, floors.collect());
    let cuts = Buffer::empty(client, questions.len() * CUTS_MAX * CUT as usize);
    // Without a feature there is not even one to be forbidden.
    let passes: &[bool] = if n_features == 0 { &[] } else { &[false, true] };
    for &notes in passes {
        for (node, question) in questions.iter().enumerate().filter(|(node, _)| asked[*node].is_some()) {
            let arrays = QuestionsLaunch::<R>::new(
                words.arg(),
                allowed.arg(),
                search.features.arg(),
                n_features as u32,
                CUTS_MAX as u32,
            );
            // SAFETY: features lie within the histogram, and all arrays have room for all questions.
            unsafe {
                kernel::launch_unchecked::<R>(
                    client,
                    grid(n_features, 1),
                    CubeDim::new_1d(UNITS),
                    arrays,
                    node as u32,
                    question.histogram.arg(),
                    state.arg(),
                    cuts.arg(),
                    notes,
                );
            }
        }
    }
    (state, cuts)
}

/// Turns the histogram of a whole into that of what a part leaves.
pub(in super::super) fn subtract<R: Runtime>(
    client: &ComputeClient<R>,
    whole: &GpuHistogram,
    part: &GpuHistogram,
) {
    let n_longs = whole.n_bins() * LIMBS / 2;
    let first = |histogram: &GpuHistogram| (histogram.first_bin() * LIMBS) as u32;
    // SAFETY: both have this many bins from their first on.
    unsafe {
        subtraction::launch_unchecked::<R>(
            client,
            grid(n_longs.div_ceil(UNITS as usize), 1),
            CubeDim::new_1d(UNITS),
            whole.arg(),
            part.arg(),
            first(whole),
            first(part),
            n_longs as u32,
        );
    }
}

/// A question in the device's numbers.
#[derive(Clone, Copy)]
struct Asked {
    words: [u32; QUESTION as usize],
    /// Gain that a worthwhile cut has at least, less what may be lost to rounding.
    floor: f32,
}

impl Asked {
    /// `None` where the kernel's formula does not hold.
    fn new(question: &Question<'_>, units: Units, penalties: &Regularisation) -> Option<Self> {
        let lambda = penalties.lambda / units.hessian;
        if question.limits != Limits::NONE || lambda > LAMBDA_MAX {
            return None;
        }
        let (g, h) = (question.total.gradient as f64, question.total.hessian as f64);
        let c = (g / (h + 2.0 * lambda)) as f32;
        let c = if c.is_finite() { c } else { 0.0 };
        let both = g - f64::from(c) * (h + 2.0 * lambda);
        // What the squares leave out.
        let constant = 2.0 * f64::from(c) * both + f64::from(c).powi(2) * (h + 2.0 * lambda);
        let of_node = if h + lambda > 0.0 { g * g / (h + lambda) } else { 0.0 };
        let scale = units.gradient * units.gradient / units.hessian;
        let noise = HOST_NOISE * (constant.abs() + of_node);
        let floor = penalties.gain_min() / scale + of_node - constant - noise;
        let weight = penalties.min_child_weight / units.hessian;
        let bits = |number: f64| (number as f32).to_bits();
        let [g_low, g_high, h_low, h_high] = question.total.words();
        let words = [
            g_low,
            g_high,
            h_low,
            h_high,
            question.histogram.first_bin() as u32,
            c.to_bits(),
            bits(both),
            bits(lambda),
            bits(weight * (1.0 + 1e-6)),
            bits(weight * (1.0 - 1e-6)),
            bits(noise),
        ];
        Some(Self { words, floor: (floor * (1.0 - 1e-5)).max(0.0) as f32 })
    }
}

/// A cut that the kernel noted, and its place.
fn cut(words: &[u32]) -> (usize, Cut) {
    let left = Sums::from_words([words[3], words[4], words[5], words[6]]);
    let cut = Cut { bin: words[1] as u16, missing_left: words[2] == 1, none_missing: words[2] == 2, left };
    (words[0] as usize, cut)
}
