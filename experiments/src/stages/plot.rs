//! Line charts of the report as inline SVG.

use std::fmt::Write;

/// Colours of lines.
pub const COLOURS: [&str; 2] = ["#2f6fdf", "#d9822b"];

/// One line chart.
pub struct Plot<'a> {
    /// What it shows.
    pub title: &'a str,
    /// Names of the horizontal and the vertical axis.
    pub axes: (&'a str, &'a str),
    /// Its lines; a chart without points is not drawn.
    pub lines: Vec<Line<'a>>,
}

/// A line of a chart.
pub struct Line<'a> {
    /// Shown in the line's colour; may be empty.
    name: &'a str,
    colour: &'a str,
    is_dashed: bool,
    points: Vec<[f64; 2]>,
}

impl<'a> Line<'a> {
    /// The only line of a chart.
    pub fn plain(points: Vec<[f64; 2]>) -> Self {
        Self::named("", COLOURS[0], points)
    }

    /// One of several.
    pub fn named(name: &'a str, colour: &'a str, points: Vec<[f64; 2]>) -> Self {
        Self { name, colour, is_dashed: false, points }
    }

    /// One that others are compared with.
    pub fn guide(points: Vec<[f64; 2]>) -> Self {
        Self { name: "", colour: "#888", is_dashed: true, points }
    }
}

impl Plot<'_> {
    /// Appends the chart to a page.
    pub fn write(&self, page: &mut String) {
        let points = || {
            let all = self.lines.iter().flat_map(|line| &line.points);
            all.filter(|p| p[0].is_finite() && p[1].is_finite())
        };
        if points().count() == 0 {
            return;
        }
        let range = |axis: usize| {
            let (low, high) =
                points().fold((f64::MAX, f64::MIN), |(low, high), p| (low.min(p[axis]), high.max(p[axis])));
            if high > low { (low, high) } else { (low - 0.5, high + 0.5) }
        };
        let ((x0, x1), (y0, y1)) = (range(0), range(1));
        let x = |value: f64| 45.0 + (value - x0) / (x1 - x0) * 240.0;
        let y = |value: f64| 215.0 - (value - y0) / (y1 - y0) * 185.0;
        let _ = write!(
            page,
            "<figure><svg viewBox=\"0 0 300 260\" role=\"img\" aria-label=\"{title}\"><text x=\"150\" y=\"16\" text-anchor=\"middle\">{title}</text>\
             <path d=\"M45 30V215H285\" fill=\"none\" stroke=\"currentColor\"/>\
             <text x=\"45\" y=\"230\">{x0}</text><text x=\"285\" y=\"230\" text-anchor=\"end\">{x1}</text>\
             <text x=\"165\" y=\"246\" text-anchor=\"middle\">{x_label}</text>\
             <text x=\"42\" y=\"215\" text-anchor=\"end\">{y0}</text><text x=\"42\" y=\"36\" text-anchor=\"end\">{y1}</text>\
             <text x=\"12\" y=\"125\" transform=\"rotate(-90 12 125)\" text-anchor=\"middle\">{y_label}</text>",
            title = self.title,
            x_label = self.axes.0,
            y_label = self.axes.1,
            x0 = short(x0),
            x1 = short(x1),
            y0 = short(y0),
            y1 = short(y1),
        );
        for (index, line) in self.lines.iter().enumerate() {
            line.write(page, index, (&x, &y));
        }
        page.push_str("</svg></figure>");
    }
}

impl Line<'_> {
    fn write(&self, page: &mut String, index: usize, (x, y): (&dyn Fn(f64) -> f64, &dyn Fn(f64) -> f64)) {
        let Self { name, colour, .. } = self;
        let finite = self.points.iter().filter(|p| p[1].is_finite());
        let path: Vec<String> = finite.map(|p| format!("{:.1},{:.1}", x(p[0]), y(p[1]))).collect();
        let (width, dash) = if self.is_dashed { (1, " stroke-dasharray=\"4 3\"") } else { (2, "") };
        let _ = write!(
            page,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dash}/>",
            path.join(" ")
        );
        if !name.is_empty() {
            let at = 45 + 14 * index;
            let _ = write!(
                page,
                "<text x=\"280\" y=\"{at}\" text-anchor=\"end\" style=\"fill:{colour}\">{name}</text>"
            );
        }
    }
}

/// A number in about three digits, with a power of ten where it would be long.
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{value:.2e}"),
        size if value.fract() == 0.0 || size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
