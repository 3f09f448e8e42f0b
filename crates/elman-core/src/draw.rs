//! How a parameter with one number a unit is drawn before training.

use crate::cell::CellSpec;

/// A formula in numbers that are drawn, evaluated for each unit by itself.
///
/// ```
/// use elman_core::Draw::{self, Ln, Number, Product, Uniform};
/// // Such that its exponential lies between 1 and 2, each number as likely.
/// let draw: Draw = Ln(&Uniform(1.0, 2.0));
/// assert_eq!(draw.number(&mut || 0.5, &|_| 0.0), 1.5f64.ln());
/// assert_eq!(Product(&Number(-2.0), &Uniform(0.0, 3.0)).number(&mut || 0.5, &|_| 0.0), -3.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Draw {
    /// Any number from the first to the second, each as likely.
    Uniform(f64, f64),
    /// Always this.
    Number(f64),
    /// What was drawn for another parameter of the same unit. That one's formula names none.
    Unit(&'static str),
    /// a + b.
    Sum(&'static Draw, &'static Draw),
    /// a - b.
    Difference(&'static Draw, &'static Draw),
    /// a b.
    Product(&'static Draw, &'static Draw),
    /// e^a.
    Exp(&'static Draw),
    /// The natural logarithm.
    Ln(&'static Draw),
}

impl Draw {
    /// One number, from `uniform` between 0 and 1 for every [`Uniform`](Draw::Uniform) and what was drawn for the units that it names.
    pub fn number(&self, uniform: &mut dyn FnMut() -> f64, unit: &dyn Fn(&str) -> f64) -> f64 {
        let mut of = |a: &Draw| a.number(uniform, unit);
        match *self {
            Draw::Uniform(low, high) => low + (high - low) * uniform(),
            Draw::Number(number) => number,
            Draw::Unit(name) => unit(name),
            Draw::Sum(a, b) => of(a) + of(b),
            Draw::Difference(a, b) => of(a) - of(b),
            Draw::Product(a, b) => of(a) * of(b),
            Draw::Exp(a) => of(a).exp(),
            Draw::Ln(a) => of(a).ln(),
        }
    }

    /// The least and the largest number that it may be, from those of the units that it names. NaN or infinite where it may be.
    fn bounds(&self, unit: &dyn Fn(&str) -> (f64, f64)) -> (f64, f64) {
        let of = |a: &Draw| a.bounds(unit);
        match *self {
            Draw::Uniform(low, high) => (low, high),
            Draw::Number(number) => (number, number),
            Draw::Unit(name) => unit(name),
            Draw::Sum(a, b) => {
                let ((a, b), (c, d)) = (of(a), of(b));
                (a + c, b + d)
            }
            Draw::Difference(a, b) => {
                let ((a, b), (c, d)) = (of(a), of(b));
                (a - d, b - c)
            }
            Draw::Product(a, b) => {
                let ((a, b), (c, d)) = (of(a), of(b));
                let corners = [a * c, a * d, b * c, b * d];
                if corners.iter().any(|corner| corner.is_nan()) {
                    return (f64::NAN, f64::NAN);
                }
                (
                    corners.into_iter().fold(f64::INFINITY, f64::min),
                    corners.into_iter().fold(f64::NEG_INFINITY, f64::max),
                )
            }
            Draw::Exp(a) => {
                let (low, high) = of(a);
                (low.exp(), high.exp())
            }
            Draw::Ln(a) => {
                let (low, high) = of(a);
                (low.ln(), high.ln())
            }
        }
    }

    /// The units that it names.
    pub fn units(&self) -> Vec<&'static str> {
        match *self {
            Draw::Uniform(..) | Draw::Number(_) => Vec::new(),
            Draw::Unit(name) => vec![name],
            Draw::Exp(a) | Draw::Ln(a) => a.units(),
            Draw::Sum(a, b) | Draw::Difference(a, b) | Draw::Product(a, b) => [a.units(), b.units()].concat(),
        }
    }

    /// The least and the largest number that it may be in a cell; `None` if that is not finite, or if it names a unit that is not drawn
    /// from numbers alone.
    pub(crate) fn range(&self, spec: &CellSpec) -> Option<(f64, f64)> {
        let unit = |name: &str| {
            let draw = spec.draw(name).filter(|draw| draw.units().is_empty());
            draw.map_or((f64::NAN, f64::NAN), |draw| draw.bounds(&|_| (f64::NAN, f64::NAN)))
        };
        let (low, high) = self.bounds(&unit);
        (low.is_finite() && high.is_finite()).then_some((low, high))
    }
}

#[cfg(test)]
mod tests {
    use super::Draw::{self, *};
    use crate::cells;

    fn always(number: f64) -> impl FnMut() -> f64 {
        move || number
    }

    #[test]
    fn every_formula_is_its_number() {
        let two = Number(2.0);
        let cases: [(Draw, f64); 7] = [
            (Uniform(-1.0, 3.0), 0.0),
            (Unit("p"), 7.0),
            (Sum(&Number(2.0), &Unit("p")), 9.0),
            (Difference(&Number(2.0), &Uniform(0.0, 4.0)), 1.0),
            (Product(&Number(-0.5), &Unit("p")), -3.5),
            (Exp(&Number(2.0)), 2f64.exp()),
            (Ln(&Number(2.0)), 2f64.ln()),
        ];
        for (draw, want) in cases {
            assert_eq!(
                draw.number(&mut always(0.25), &|name| if name == "p" { 7.0 } else { f64::NAN }),
                want,
                "{draw:?}"
            );
        }
        assert_eq!(two.units(), Vec::<&str>::new());
        assert_eq!(Sum(&Unit("p"), &Ln(&Unit("q"))).units(), ["p", "q"]);
    }

    /// Every number drawn lies between the bounds, and the ends are reached.
    #[test]
    fn bounds_hold() {
        let p = |at: f64| 1.0 + at;
        let cases: [Draw; 5] = [
            Product(&Uniform(-1.0, 3.0), &Number(-2.0)),
            Difference(&Unit("p"), &Number(3.0)),
            Ln(&Unit("p")),
            Product(&Number(0.5), &Exp(&Product(&Number(-1.0), &Unit("p")))),
            Sum(&Uniform(-2.0, 5.0), &Number(1.0)),
        ];
        for draw in cases {
            let (low, high) = draw.bounds(&|_| (1.0, 2.0));
            let drawn: Vec<f64> =
                (0..=10).map(|i| draw.number(&mut always(i as f64 / 10.0), &|_| p(i as f64 / 10.0))).collect();
            let least = drawn.iter().copied().fold(f64::INFINITY, f64::min);
            let most = drawn.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            assert!(
                (least - low).abs() < 1e-12 && (most - high).abs() < 1e-12,
                "{draw:?}: {low} {high} {least} {most}"
            );
        }
    }

    #[test]
    fn what_may_be_infinite_has_no_range() {
        let lru = (cells::find("lru").unwrap().make)();
        let spec = lru.spec();
        assert_eq!(Ln(&Uniform(0.0, 1.0)).range(spec), None);
        assert_eq!(Ln(&Uniform(-2.0, -1.0)).range(spec), None);
        assert_eq!(Product(&Number(0.0), &Ln(&Uniform(0.0, 1.0))).range(spec), None, "0 times minus infinity");
        assert_eq!(Unit("nothing").range(spec), None);
        assert_eq!(Unit("g").range(spec), None, "g names another");
        assert!(Unit("nu").range(spec).is_some());
    }
}
