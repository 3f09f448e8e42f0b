//! Figures of the report as SVG that takes its colours from the page: curves over a logarithmic height, heat maps, points in a square.
//!
//! Every figure has a title and a text that says what it shows to those who do not see it.

use std::fmt::Write;

/// Text as it stands in XML.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            // XML has no place for control characters.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A picture in the making.
pub struct Picture {
    id: String,
    title: String,
    description: String,
    width: f64,
    height: f64,
    body: String,
}

impl Picture {
    fn new(id: &str, title: &str, description: &str, width: f64, height: f64) -> Picture {
        Picture {
            id: id.into(),
            title: title.into(),
            description: description.into(),
            width,
            height,
            body: String::new(),
        }
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, class: &str, text: &str) {
        let text = escaped(text);
        // Writing to a string does not fail.
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>"
        );
    }

    fn line(&mut self, class: &str, x1: f64, y1: f64, x2: f64, y2: f64) {
        let _ = writeln!(
            self.body,
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }

    /// The whole `<figure>` with its caption.
    fn figure(self) -> String {
        let Picture { id, title, description, width, height, body } = self;
        // What is wider than a page is scrolled, not shrunk.
        let style = if width > WIDTH { format!(" style=\"min-width: {width:.0}px\"") } else { String::new() };
        format!(
            "<figure>\n<svg{style} role=\"img\" aria-labelledby=\"{id}-title {id}-desc\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             xmlns=\"http://www.w3.org/2000/svg\">\n<title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>\n{body}</svg>\n\
             <figcaption>{}</figcaption>\n</figure>\n",
            escaped(&title),
            escaped(&description),
            escaped(&title)
        )
    }
}

/// A curve; a point whose height is not above 0 is left out.
pub struct Curve<'a> {
    /// For the legend.
    pub name: String,
    /// Heights at 1, 2, 3, ... or at the places given.
    pub points: Vec<(f64, f64)>,
    /// The lowest and highest around it, drawn as a band.
    pub band: Option<(&'a [f64], &'a [f64])>,
    /// Drawn with dashes: what is compared with.
    pub dashed: bool,
    /// Which colour.
    pub colour: usize,
}

const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 320.0;
/// Heights this far below the highest are not drawn: they are zero to any optimiser.
const DECADES: f64 = 24.0;

/// Curves over `x_name`, the height logarithmic. None where no point is above 0.
pub fn curves(
    id: &'static str,
    title: &str,
    description: &str,
    x_name: &str,
    y_name: &str,
    curves: &[Curve],
    level: Option<(&str, f64)>,
) -> Option<String> {
    let points = || curves.iter().flat_map(|c| &c.points).filter(|p| p.1 > 0.0 && p.1.is_finite());
    let right = points().map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
    let left = points().map(|p| p.0).fold(f64::INFINITY, f64::min);
    // Bands may reach above every curve; what reaches below is cut off at the lowest decade.
    let bands = curves.iter().filter_map(|c| c.band).flat_map(|(_, high)| high).filter(|v| v.is_finite());
    let heights = points().map(|p| p.1).chain(level.map(|l| l.1)).chain(bands.copied());
    let highest = heights.map(f64::log10).fold(f64::NEG_INFINITY, f64::max);
    let lowest = points().map(|p| p.1.log10()).chain(level.map(|l| l.1.log10())).fold(f64::INFINITY, f64::min);
    if !right.is_finite() {
        return None;
    }
    let (top, bottom) = (highest.ceil().max(highest + 0.1), lowest.max(highest - DECADES).floor());
    let legend = 18.0 * curves.len().div_ceil(2) as f64;
    let mut picture = Picture::new(id, title, description, WIDTH, HEIGHT + legend);
    let x = |v: f64| LEFT + (v - left) / (right - left).max(1e-9) * (WIDTH - LEFT - RIGHT);
    let y = |v: f64| TOP + (top - v.log10().max(bottom)) / (top - bottom) * (HEIGHT - TOP - BOTTOM);
    let every = ((top - bottom) / 8.0).ceil().max(1.0) as i32;
    for decade in (bottom as i32..=top.floor() as i32).filter(|d| d % every == 0) {
        let at = y(10f64.powi(decade));
        picture.line("grid", LEFT, at, WIDTH - RIGHT, at);
        let label = if (-3..=3).contains(&decade) { format!("{}", 10f64.powi(decade)) } else { format!("1e{decade}") };
        picture.text(LEFT - 8.0, at + 4.0, "end", "tick", &label);
    }
    let step = round_step((right - left) / 6.0);
    for k in (left / step).ceil() as i64..=(right / step).floor() as i64 {
        let v = k as f64 * step;
        picture.text(x(v), HEIGHT - BOTTOM + 18.0, "middle", "tick", &rounded(v));
    }
    picture.line("axis", LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM);
    picture.text((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 8.0, "middle", "label", x_name);
    let middle = (TOP + HEIGHT - BOTTOM) / 2.0;
    let name = escaped(y_name);
    let _ = writeln!(
        picture.body,
        "<text class=\"label\" text-anchor=\"middle\" transform=\"translate(16 {middle:.0}) rotate(-90)\">{name}</text>"
    );
    if let Some((name, level)) = level {
        picture.line("level", LEFT, y(level), WIDTH - RIGHT, y(level));
        picture.text(WIDTH - RIGHT - 4.0, y(level) - 5.0, "end", "tick", name);
    }
    let drawn = |points: &[(f64, f64)]| -> String {
        let kept = points.iter().filter(|p| p.1 > 0.0 && p.1.is_finite());
        let placed: Vec<(f64, f64)> = kept.map(|p| (x(p.0), y(p.1))).collect();
        thinned(&placed).map(|p| format!("{:.1},{:.1} ", p.0, p.1)).collect()
    };
    for curve in curves {
        let colour = curve.colour % COLOURS;
        if let Some((low, high)) = curve.band {
            let xs = || curve.points.iter().map(|p| p.0);
            let upper: Vec<(f64, f64)> = xs().zip(high.iter().copied()).collect();
            let floor = 10f64.powf(bottom);
            let lower: Vec<(f64, f64)> = xs().zip(low.iter().map(|l| l.max(floor))).rev().collect();
            let band = drawn(&upper) + &drawn(&lower);
            let _ = writeln!(picture.body, "<polygon class=\"b{colour}\" points=\"{}\"/>", band.trim_end());
        }
        let dashed = if curve.dashed { " dashed" } else { "" };
        let line = drawn(&curve.points);
        let _ = writeln!(picture.body, "<polyline class=\"s{colour}{dashed}\" points=\"{}\"/>", line.trim_end());
    }
    for (i, curve) in curves.iter().enumerate() {
        let (column, row) = ((i % 2) as f64, (i / 2) as f64);
        let (at, height) = (LEFT + column * 340.0, HEIGHT + 12.0 + 18.0 * row);
        let class = format!("s{}{}", curve.colour % COLOURS, if curve.dashed { " dashed" } else { "" });
        picture.line(&class, at, height - 4.0, at + 26.0, height - 4.0);
        picture.text(at + 32.0, height, "start", "tick", &curve.name);
    }
    Some(picture.figure())
}

/// Of the points that share a column of the picture the lowest and the highest, in their order: a long curve keeps its outline and every peak.
fn thinned(placed: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    placed.chunk_by(|a, b| a.0.floor() == b.0.floor()).flat_map(|column| {
        let extreme = |better: fn(f64, f64) -> bool| {
            (1..column.len()).fold(0, |best, i| if better(column[i].1, column[best].1) { i } else { best })
        };
        let (low, high) = (extreme(|a, b| a < b), extreme(|a, b| a > b));
        let (first, second) = (low.min(high), low.max(high));
        std::iter::once(column[first]).chain((first != second).then_some(column[second]))
    })
}

/// Colours that the page's style sheet has.
const COLOURS: usize = 6;

/// How a heat map's numbers become colours.
#[derive(Clone, Copy, PartialEq)]
pub enum Scale {
    /// 0 to 1: from the page's ground to full colour.
    Unit,
    /// -largest to largest: one colour for each sign.
    Signed,
}

/// Rows over columns, each column with its character under it, or its word.
pub fn heat_map(
    id: &str,
    title: &str,
    description: &str,
    rows: &[(String, Vec<f64>)],
    symbols: &[String],
    scale: Scale,
) -> String {
    const LABELS: f64 = 190.0;
    const SIDE: f64 = 11.0;
    /// Letters of a word that are shown.
    const LETTERS: usize = 12;
    let columns = symbols.len();
    let longest = symbols.iter().map(|symbol| symbol.chars().count()).max().unwrap_or(0);
    let words = longest > 1;
    // Words stand upright.
    let height = TOP + 15.0 * rows.len() as f64 + if words { 7.0 * longest.min(LETTERS) as f64 + 10.0 } else { 22.0 };
    let mut picture = Picture::new(id, title, description, LABELS + SIDE * columns as f64 + RIGHT, height);
    for (r, (name, values)) in rows.iter().enumerate() {
        let y = TOP + 15.0 * r as f64;
        picture.text(LABELS - 8.0, y + 11.0, "end", "tick", name);
        let largest = values.iter().fold(1e-12f64, |m, v| m.max(v.abs()));
        for (c, value) in values.iter().take(columns).enumerate() {
            let (class, strength) = match scale {
                Scale::Unit => ("h0", value.clamp(0.0, 1.0)),
                Scale::Signed => (if *value < 0.0 { "h1" } else { "h0" }, (value / largest).abs()),
            };
            let x = LABELS + SIDE * c as f64;
            let _ = write!(
                picture.body,
                "<rect class=\"{class}\" x=\"{x:.0}\" y=\"{y:.0}\" width=\"{SIDE}\" height=\"14\" fill-opacity=\"{strength:.2}\"/>"
            );
        }
        picture.body.push('\n');
    }
    for (c, symbol) in symbols.iter().enumerate() {
        let x = LABELS + SIDE * (c as f64 + 0.5);
        let text: String = symbol.chars().take(LETTERS).map(shown).collect();
        match words {
            false => picture.text(x, height - 6.0, "middle", "char", &text),
            true => {
                let (x, y) = (x + 4.0, TOP + 15.0 * rows.len() as f64 + 6.0);
                let _ = writeln!(
                    picture.body,
                    "<text transform=\"translate({x:.1} {y:.1}) rotate(-90)\" text-anchor=\"end\" class=\"char\">{}</text>",
                    escaped(&text)
                );
            }
        }
    }
    picture.figure()
}

/// A character that can be seen.
pub fn shown(character: char) -> char {
    match character {
        ' ' => '·',
        '\n' => '↵',
        '\t' => '→',
        c => c,
    }
}

/// Points in a square from (low, low) to (high, high), a colour for each group, with the circle of radius 1 where `circle`.
pub struct Points<'a> {
    /// For the legend.
    pub name: String,
    /// Where.
    pub at: &'a [(f64, f64)],
}

/// Draws groups of points.
#[expect(clippy::too_many_arguments, reason = "a figure is made of this")]
pub fn points(
    id: &'static str,
    title: &str,
    description: &str,
    x_name: &str,
    y_name: &str,
    groups: &[Points],
    range: (f64, f64),
    circle: bool,
) -> String {
    const SIDE: f64 = 340.0;
    let (low, high) = range;
    let mut picture = Picture::new(id, title, description, WIDTH, SIDE + TOP + BOTTOM);
    let scale = |v: f64| (v - low) / (high - low) * SIDE;
    let (x, y) = (|v: f64| LEFT + scale(v), |v: f64| TOP + SIDE - scale(v));
    for k in 0..=4 {
        let v = low + (high - low) * f64::from(k) / 4.0;
        picture.line("grid", x(low), y(v), x(high), y(v));
        picture.line("grid", x(v), y(low), x(v), y(high));
        picture.text(LEFT - 8.0, y(v) + 4.0, "end", "tick", &rounded(v));
        picture.text(x(v), TOP + SIDE + 18.0, "middle", "tick", &rounded(v));
    }
    if circle {
        let radius = scale(low + 1.0);
        let _ = writeln!(
            picture.body,
            "<circle class=\"level\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\" fill=\"none\"/>",
            x(0.0),
            y(0.0)
        );
    }
    picture.text(LEFT + SIDE / 2.0, TOP + SIDE + 38.0, "middle", "label", x_name);
    let middle = TOP + SIDE / 2.0;
    let name = escaped(y_name);
    let _ = writeln!(
        picture.body,
        "<text class=\"label\" text-anchor=\"middle\" transform=\"translate(16 {middle:.0}) rotate(-90)\">{name}</text>"
    );
    for (g, group) in groups.iter().enumerate() {
        let colour = g % COLOURS;
        for p in group.at {
            let _ =
                write!(picture.body, "<circle class=\"p{colour}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>", x(p.0), y(p.1));
        }
        let row = TOP + 14.0 + 20.0 * g as f64;
        let _ = writeln!(
            picture.body,
            "<circle class=\"p{colour}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"/>",
            LEFT + SIDE + 30.0,
            row - 4.0
        );
        picture.text(LEFT + SIDE + 42.0, row, "start", "tick", &group.name);
    }
    picture.figure()
}

/// The next of 1, 2, 5, 10, 20, ...
fn round_step(least: f64) -> f64 {
    let steps = (0..).flat_map(|decade| [1.0, 2.0, 5.0].map(|s| s * 10f64.powi(decade)));
    steps.take(60).find(|&step| step >= least).unwrap_or(1.0)
}

fn rounded(v: f64) -> String {
    let text = format!("{v:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the points of a polyline or polygon stand.
    fn placed(markup: &str) -> Vec<(f64, f64)> {
        let points = markup.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let pair = |p: &str| p.split_once(',').map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).unwrap();
        points.split(' ').map(pair).collect()
    }

    /// A million points take no more than the picture has columns for, and nothing that sticks out is lost.
    #[test]
    fn a_long_curve_keeps_its_outline() {
        const N: usize = 1_000_000;
        let wave = |i: usize| 1.0 + 0.5 * (i as f64 * 0.37).sin();
        let mut points: Vec<(f64, f64)> = (1..=N).map(|i| (i as f64, wave(i))).collect();
        // One point up, one down: alone in a thousand and a half of its column.
        (points[654_321].1, points[123_456].1) = (1e3, 1e-3);
        let (low, high) = (
            points.iter().map(|p| 0.5 * p.1).collect::<Vec<_>>(),
            points.iter().map(|p| 2.0 * p.1).collect::<Vec<_>>(),
        );
        let curve = Curve { name: "long".into(), points, band: Some((&low, &high)), dashed: false, colour: 0 };
        let drawn = curves("fig-long", "title", "description", "x", "y", &[curve], None).unwrap();
        let line = placed(drawn.split("<polyline").nth(1).unwrap());
        let columns = (WIDTH - LEFT - RIGHT) as usize + 1;
        assert!((columns..=2 * columns).contains(&line.len()), "{} points", line.len());
        let band = placed(drawn.split("<polygon").nth(1).unwrap());
        assert!((2 * columns..=4 * columns).contains(&band.len()), "{} points", band.len());
        // Curve and band together, at some 12 bytes a point.
        assert!(drawn.len() < 120_000, "{} bytes", drawn.len());
        // The band's peak is 2e3, the curve's dip 1e-3: the picture goes from 10^4 down to 10^-3.
        let y = |v: f64| TOP + (4.0 - v.log10()) / 7.0 * (HEIGHT - TOP - BOTTOM);
        let column_of = |i: f64| LEFT + (i - 1.0) / (N as f64 - 1.0) * (WIDTH - LEFT - RIGHT);
        for (i, v) in [(654_322.0, 1e3), (123_457.0, 1e-3)] {
            let near = |p: &&(f64, f64)| (p.0 - column_of(i)).abs() <= 0.1 && (p.1 - y(v)).abs() <= 0.1;
            assert_eq!(line.iter().filter(near).count(), 1, "the peak {v}");
        }
        // In every column the wave goes from 0.5 to 1.5.
        for column in line.chunk_by(|a, b| a.0.floor() == b.0.floor()).filter(|c| c.len() > 1) {
            let (top, bottom) = column.iter().fold((f64::INFINITY, 0.0f64), |(t, b), p| (t.min(p.1), b.max(p.1)));
            assert!(top <= y(1.5) + 0.11 && bottom >= y(0.5) - 0.11, "{column:?}");
        }
    }

    /// A curve of few points is drawn point by point.
    #[test]
    fn a_short_curve_keeps_every_point() {
        let points: Vec<(f64, f64)> = (0..64).map(|i| (f64::from(i), 1.0 / f64::from(1 + i))).collect();
        let curve = Curve { name: "short".into(), points, band: None, dashed: true, colour: 1 };
        let drawn = curves("fig-short", "title", "description", "x", "y", &[curve], None).unwrap();
        assert_eq!(placed(drawn.split("<polyline").nth(1).unwrap()).len(), 64);
    }
}
