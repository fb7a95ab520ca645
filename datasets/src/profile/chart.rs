//! Charts as inline SVG. Colours and fonts come from the style sheet of the page.

use std::fmt::Write;

use super::{CategoryCount, Histogram};
use crate::schema::ColumnType;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 120.0;

/// Where bars of values begin; their names are left of it.
const BAR_X: f64 = 142.0;
/// Longest such bar.
const BAR_MAX: f64 = 170.0;
/// Between a bar and its texts.
const GAP: f64 = 6.0;

/// Bars of a histogram, equally wide on paper, with the ends of the range below.
pub(super) fn histogram(histogram: &Histogram, kind: ColumnType) -> String {
    let n = histogram.counts.len().max(1) as f64;
    let high = histogram.counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let total = histogram.counts.iter().sum::<u64>().max(1) as f64;
    let step = WIDTH / n;
    let mut svg = open(HEIGHT + 18.0, "histogram");
    for (i, count) in histogram.counts.iter().enumerate() {
        let height = (*count as f64 / high * HEIGHT).max(if *count > 0 { 1.0 } else { 0.0 });
        let (x, y) = (step * i as f64, HEIGHT - height);
        let range = format!("{} to {}", value(histogram.edges[i], kind), value(histogram.edges[i + 1], kind));
        let _ = write!(
            svg,
            r#"<rect class="bar" x="{:.1}" y="{y:.1}" width="{:.1}" height="{height:.1}"><title>{}: {} ({:.1} %)</title></rect>"#,
            x + 0.5,
            (step - 1.0).max(0.5),
            escape(&range),
            whole(*count),
            100.0 * *count as f64 / total,
        );
    }
    let _ = write!(svg, r#"<line class="axis" x1="0" y1="{HEIGHT}" x2="{WIDTH}" y2="{HEIGHT}"/>"#);
    let Some(last) = histogram.edges.len().checked_sub(1) else { return svg + "</svg>" };
    let middle = last.div_ceil(2);
    let ticks = [(0, "start"), (middle, "middle"), (last, "end")];
    // The middle of a single bar is its end.
    for (edge, anchor) in ticks.into_iter().filter(|(edge, anchor)| *anchor != "middle" || *edge < last) {
        let x = step * edge as f64;
        let text = escape(&value(histogram.edges[edge], kind));
        let _ = write!(
            svg,
            r#"<text class="tick" x="{x:.1}" y="{:.1}" text-anchor="{anchor}">{text}</text>"#,
            HEIGHT + 14.0
        );
    }
    svg + "</svg>"
}

/// A bar per value with its count, the rest last, and the label's mean where there is one.
pub(super) fn categories(top: &[CategoryCount], other: u64, shown: usize) -> String {
    let mut bars: Vec<(&str, u64, Option<f64>)> =
        top.iter().take(shown).map(|c| (c.value.as_str(), c.count, c.label_mean)).collect();
    let rest = other + top.iter().skip(shown).map(|c| c.count).sum::<u64>();
    if rest > 0 {
        bars.push(("all other values", rest, None));
    }
    let high = bars.iter().map(|b| b.1).max().unwrap_or(1).max(1) as f64;
    let total = bars.iter().map(|b| b.1).sum::<u64>().max(1) as f64;
    let label = |count: u64, mean: Option<f64>| {
        let mean = mean.map(|m| format!(" · label {}", number(m))).unwrap_or_default();
        format!("{} ({:.1} %){mean}", whole(count), 100.0 * count as f64 / total)
    };
    // The longest bar leaves room for every label beside its own bar.
    let room = |(_, count, mean): &(&str, u64, Option<f64>)| {
        (WIDTH - BAR_X - GAP - width(&label(*count, *mean))) / (*count as f64 / high)
    };
    let longest = bars.iter().map(room).fold(BAR_MAX, f64::min).max(1.0);
    let row = 20.0;
    let mut svg = open(row * bars.len() as f64, "most frequent values");
    for (i, (name, count, mean)) in bars.iter().enumerate() {
        let y = row * i as f64;
        let width = (*count as f64 / high * longest).max(1.0);
        let text = label(*count, *mean);
        let _ = write!(svg, r#"<g><title>{}: {text}</title>"#, escape(name));
        let _ = write!(
            svg,
            r#"<text class="name" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            BAR_X - GAP,
            y + 14.0,
            escape(&short(name))
        );
        let class = if mean.is_none() && *name == "all other values" { "bar rest" } else { "bar" };
        let _ = write!(
            svg,
            r#"<rect class="{class}" x="{BAR_X}" y="{:.1}" width="{width:.1}" height="14" rx="2"/>"#,
            y + 3.0
        );
        let _ = write!(
            svg,
            r#"<text class="tick" x="{:.1}" y="{:.1}">{text}</text></g>"#,
            BAR_X + width + GAP,
            y + 14.0
        );
    }
    svg + "</svg>"
}

/// A thin bar that shows a share.
pub(super) fn share(share: f64) -> String {
    format!(
        r#"<svg class="share" viewBox="0 0 60 8" role="img" aria-label="{:.1} %"><rect class="back" width="60" height="8" rx="2"/><rect class="bar" width="{:.1}" height="8" rx="2"/></svg>"#,
        100.0 * share,
        60.0 * share.clamp(0.0, 1.0),
    )
}

fn open(height: f64, label: &str) -> String {
    // Room on the right for texts beside long bars.
    format!(
        r#"<svg class="chart" viewBox="0 0 {:.0} {height:.0}" role="img" aria-label="{label}">"#,
        WIDTH + 2.0
    )
}

/// A value of a column as text: instants as dates, numbers with four digits.
pub(super) fn value(x: f64, kind: ColumnType) -> String {
    match kind {
        ColumnType::Timestamp => chrono::DateTime::from_timestamp(x as i64, 0)
            .map(|t| t.format("%Y-%m-%d %H:%M").to_string())
            .unwrap_or_else(|| number(x)),
        _ => number(x),
    }
}

/// A number with four significant digits, in scientific form when it is very large or small.
pub(super) fn number(x: f64) -> String {
    let size = x.abs();
    if x == 0.0 {
        return "0".into();
    }
    if !(1e-4..1e9).contains(&size) {
        return format!("{x:.3e}");
    }
    if x.fract() == 0.0 {
        return if x < 0.0 { format!("-{}", whole(size as u64)) } else { whole(size as u64) };
    }
    let digits = (3 - size.log10().floor() as i32).clamp(0, 8) as usize;
    let text = format!("{x:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// A count with a thin space between thousands.
pub(super) fn whole(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// What fits left of the bars.
fn short(text: &str) -> String {
    let room = BAR_X - 2.0 * GAP;
    if width(text) <= room {
        return text.into();
    }
    let mut used = width("…");
    let fits = |c: &char| {
        used += char_width(*c);
        used <= room
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// Width of a text at the style's 11 pixels, on the safe side for DejaVu Sans, the widest of the usual system fonts.
fn width(text: &str) -> f64 {
    text.chars().map(char_width).sum()
}

fn char_width(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | ' ' | '\u{202f}' | '(' | ')' => 4.5,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 11.0,
        '\u{1100}'.. => 11.0,
        c if c.is_uppercase() => 8.7,
        _ => 7.0,
    }
}

/// Text for HTML and SVG. Control characters, which XML does not have, become spaces.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
