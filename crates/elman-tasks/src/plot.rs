//! Curves as SVG: over steps, or over anything else.

use plotters::prelude::*;

/// A curve.
pub struct Curve<'a> {
    /// What it shows, for the legend.
    pub name: &'a str,
    /// Points by ascending step.
    pub points: Vec<(f64, f64)>,
    /// Marks at its points, for a curve of few.
    pub marks: bool,
}

/// More points than pixels are drawn on each other.
const MAX_POINTS: usize = 1500;
/// Colours that are told apart in grey and by the colour-blind (Okabe & Ito 2008).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
    RGBColor(200, 190, 40),
];

/// Draws curves over steps into one picture, with a dashed level line for each of `levels`.
///
/// # Errors
/// There is no finite point; or the drawing library's own, as a text.
pub fn draw(title: &str, y_name: &str, curves: &[Curve], levels: &[(&str, f64)]) -> Result<String, String> {
    draw_over(title, "step", y_name, curves, levels)
}

/// Draws curves over `x_name` into one picture, with a dashed level line for each of `levels`.
///
/// # Errors
/// There is no finite point; or the drawing library's own, as a text.
pub fn draw_over(
    title: &str,
    x_name: &str,
    y_name: &str,
    curves: &[Curve],
    levels: &[(&str, f64)],
) -> Result<String, String> {
    let finite = |curve: &Curve| -> Vec<(f64, f64)> {
        curve.points.iter().copied().filter(|p| p.0.is_finite() && p.1.is_finite()).collect()
    };
    let curves: Vec<(&Curve, Vec<(f64, f64)>)> = curves.iter().map(|c| (c, thin(finite(c)))).collect();
    let points = || curves.iter().flat_map(|c| &c.1);
    let right = points().map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
    let top = points().map(|p| p.1).chain(levels.iter().map(|l| l.1)).fold(f64::NEG_INFINITY, f64::max);
    let bottom = points().map(|p| p.1).chain(levels.iter().map(|l| l.1)).fold(f64::INFINITY, f64::min);
    if points().next().is_none() {
        return Err("there is nothing to draw".into());
    }
    // From zero unless the curves would be flat at the top.
    let bottom = if bottom < 0.0 || bottom > 0.8 * top { bottom - 0.1 * (top - bottom).max(1e-6) } else { 0.0 };
    let top = top + 0.05 * (top - bottom).max(1e-6);

    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (800, 480)).into_drawing_area();
        let wrong = |error: DrawingAreaErrorKind<_>| error.to_string();
        area.fill(&WHITE).map_err(wrong)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..right.max(1.0), bottom..top)
            .map_err(wrong)?;
        chart
            .configure_mesh()
            .x_desc(x_name)
            .y_desc(y_name)
            .x_labels(9)
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.3}").trim_end_matches('0').trim_end_matches('.').to_string())
            .light_line_style(TRANSPARENT)
            .bold_line_style(RGBColor(220, 220, 220))
            .draw()
            .map_err(wrong)?;
        for (i, (curve, points)) in curves.iter().enumerate() {
            let colour = COLOURS[i % COLOURS.len()];
            chart
                .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))
                .map_err(wrong)?
                .label(curve.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
            if curve.marks {
                chart.draw_series(points.iter().map(|&p| Circle::new(p, 3, colour.filled()))).map_err(wrong)?;
            }
        }
        for (name, level) in levels {
            let grey = RGBColor(110, 110, 110);
            chart
                .draw_series(DashedLineSeries::new(
                    [(0.0, *level), (right.max(1.0), *level)],
                    6,
                    5,
                    grey.stroke_width(1),
                ))
                .map_err(wrong)?
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], grey.stroke_width(1)));
        }
        chart
            .configure_series_labels()
            .position(free_corner(&curves, right.max(1.0), bottom, top))
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(200, 200, 200))
            .label_font(("sans-serif", 14))
            .draw()
            .map_err(wrong)?;
        area.present().map_err(wrong)?;
    }
    Ok(svg)
}

/// The corner in which a legend covers the fewest points.
fn free_corner(curves: &[(&Curve, Vec<(f64, f64)>)], right: f64, bottom: f64, top: f64) -> SeriesLabelPosition {
    use SeriesLabelPosition::{LowerLeft, LowerRight, UpperLeft, UpperRight};
    let covered = |is_right: bool, is_upper: bool| {
        let inside = |&&(x, y): &&(f64, f64)| {
            let (x, y) = (x / right, (y - bottom) / (top - bottom));
            (if is_right { x > 0.7 } else { x < 0.3 }) && (if is_upper { y > 0.5 } else { y < 0.5 })
        };
        curves.iter().flat_map(|(_, points)| points).filter(inside).count()
    };
    let corners =
        [(UpperRight, true, true), (UpperLeft, false, true), (LowerLeft, false, false), (LowerRight, true, false)];
    // The first of the best ones.
    corners
        .into_iter()
        .min_by_key(|&(_, is_right, is_upper)| covered(is_right, is_upper))
        .map_or(UpperRight, |best| best.0)
}

/// At most [`MAX_POINTS`] points, each the mean of its neighbours.
fn thin(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(MAX_POINTS).max(1);
    let mean = |group: &[(f64, f64)]| {
        let n = group.len() as f64;
        (group.iter().map(|p| p.0).sum::<f64>() / n, group.iter().map(|p| p.1).sum::<f64>() / n)
    };
    points.chunks(size).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_and_level_is_in_the_picture() {
        let points: Vec<(f64, f64)> = (0..10_000).map(|i| (i as f64, 1.0 / (1.0 + i as f64))).collect();
        let curves = [
            Curve { name: "training", points: points.clone(), marks: false },
            Curve { name: "held-out", points: vec![(1.0, 2.0), (2.0, f64::NAN), (9000.0, 0.5)], marks: true },
        ];
        let svg = draw("a loss", "nats", &curves, &[("unigram", 3.0)]).unwrap();
        for word in ["<svg", "training", "held-out", "unigram", "a loss", "nats", "</svg>"] {
            assert!(svg.contains(word), "{word}");
        }
        assert!(!svg.contains("NaN"));
        // Two finite points of the second curve carry marks; the long curve was thinned.
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.len() < 100_000, "{}", svg.len());
        assert!(draw("t", "y", &[Curve { name: "n", points: vec![], marks: false }], &[]).is_err());
        assert_eq!(thin(points).len(), 10_000usize.div_ceil(7));
    }
}
