//! Which paths of the gradient survive truncation: the deck's double sum over losses j and steps k as a picture.

use elman::train::Truncation;

/// The number of paths from a loss back to a step, surviving and all.
pub fn count(truncation: Truncation, steps: usize) -> (usize, usize) {
    let all = (0..steps).flat_map(|j| (0..=j).map(move |k| (j, k)));
    (all.filter(|&(j, k)| truncation.survives(steps, j, k)).count(), steps * (steps + 1) / 2)
}

/// A line that says what is shown.
fn title(truncation: Truncation, steps: usize) -> String {
    let ((some, all), k1, k2) = (count(truncation, steps), truncation.every(), truncation.back());
    format!("k1 = {k1}, k2 = {k2}, T = {steps}: {some} of {all} paths from a loss back to a step survive")
}

/// A line for each loss, a column for each step: `#` survives, `.` is cut.
///
/// ```
/// use elman::train::Truncation;
/// let shown = elman_tasks::paths::text(Truncation::new(2, 3).unwrap(), 4);
/// assert_eq!(shown, "k1 = 2, k2 = 3, T = 4: 8 of 10 paths from a loss back to a step survive
/// L_0  #
/// L_1  # #
/// L_2  . # #
/// L_3  . # # #
///    k 0 1 2 3
/// ");
/// ```
pub fn text(truncation: Truncation, steps: usize) -> String {
    let wide = steps.saturating_sub(1).to_string().len();
    let mut out = title(truncation, steps) + "\n";
    for j in 0..steps {
        let cells = (0..=j).map(|k| format!(" {:>wide$}", if truncation.survives(steps, j, k) { "#" } else { "." }));
        out += &format!("L_{j:<wide$} {}\n", cells.collect::<String>());
    }
    let numbers: String = (0..steps).map(|k| format!(" {k:>wide$}")).collect();
    out + &format!("{:>1$}{numbers}\n", "k", wide + 3)
}

/// The same as an SVG: losses downwards, steps to the right; a filled square is a path that survives, an empty one is cut.
pub fn svg(truncation: Truncation, steps: usize) -> String {
    const CELL: usize = 22;
    const LEFT: usize = 56;
    const TOP: usize = 40;
    let title = title(truncation, steps);
    // The title is the widest line for few steps: some 7 points a letter.
    let width = (LEFT + steps * CELL + 20).max(7 * title.len() + 20);
    let height = TOP + steps * CELL + 44;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<title>{title}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n<text x=\"12\" y=\"22\">{title}</text>\n"
    );
    for j in 0..steps {
        let y = TOP + j * CELL;
        out += &format!("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">loss {j}</text>\n", LEFT - 6, y + 15);
        for k in 0..=j {
            let fill = if truncation.survives(steps, j, k) { "#0072b2" } else { "#ffffff" };
            let (x, y, side) = (LEFT + k * CELL + 2, y + 2, CELL - 4);
            out += &format!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" fill=\"{fill}\" stroke=\"#9a9a9a\"/>\n"
            );
        }
    }
    for k in 0..steps {
        let (x, y) = (LEFT + k * CELL + CELL / 2, TOP + steps * CELL + 16);
        out += &format!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{k}</text>\n");
    }
    out + &format!("<text x=\"{LEFT}\" y=\"{}\">step k</text>\n</svg>\n", height - 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_a_square_for_each_path() {
        for (k1, k2, steps) in [(1, 1, 1), (1, 3, 7), (4, 4, 10), (3, 8, 12)] {
            let truncation = Truncation::new(k1, k2).unwrap();
            let (some, all) = count(truncation, steps);
            let svg = svg(truncation, steps);
            assert_eq!(svg.matches("fill=\"#0072b2\"").count(), some);
            assert_eq!(svg.matches("stroke=").count(), all);
            assert_eq!(text(truncation, steps).matches('#').count(), some);
        }
        // The first deck's sum over the last p steps: p + 1 for each loss but the first ones.
        assert_eq!(count(Truncation::last_steps(2), 10).0, 1 + 2 + 8 * 3);
        // k2 = T is all paths, whether k1 divides T or not.
        for k1 in 1..=11 {
            assert_eq!(count(Truncation::new(k1, 11).unwrap(), 11), (66, 66));
        }
    }
}
