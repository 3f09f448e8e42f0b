//! The capacity of the Hopfield network.

use super::{Experiment, Log, Options, Outcome, Published, Row, check_stop};
use crate::Error;
use crate::plot::{self, Curve};
use elman::network::hopfield::{CapacityCurve, CapacitySettings, Storage};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "hopfield",
    file: "hopfield",
    paper: "Hopfield 1982; Amit, Gutfreund & Sompolinsky 1987",
    summary: "how many random patterns a Hopfield network recalls, stored by Hebb's rule and by the pseudo-inverse",
    doc: "\
N units store P random patterns; recall starts from a pattern with a tenth of its signs turned over and updates unit after unit in random
order. The figure is the load P/N at which the overlap of what is recalled with what was stored falls through 0.967, the value that theory gives at the
critical load of infinitely many units. Hebb's rule, N = 1000, three networks of 25 recalls a load; the pseudo-inverse, N = 400, where recall from noise ends
long before its bound of N patterns.",
    lengths: None,
    mixed: false,
    run,
};

fn run(options: &Options, log: Log) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    let mut curves = Vec::new();
    let hebbian: Vec<f64> = vec![0.05, 0.08, 0.10, 0.11, 0.12, 0.125, 0.13, 0.135, 0.14, 0.145, 0.15, 0.16, 0.18, 0.20];
    let projection: Vec<f64> = vec![0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7];
    let published = Published::from_memory("about 0.138");
    for (name, storage, loads, units, published) in [
        ("Hebb's rule", Storage::Hebbian, hebbian, 1000, published),
        ("pseudo-inverse", Storage::PseudoInverse, projection, 400, None),
    ] {
        let (units, networks, recalls) = if options.quick { (60, 1, 4) } else { (units, 3, 25) };
        let mut points = Vec::new();
        let mut measured = Vec::new();
        for load in loads {
            check_stop(options)?;
            let settings =
                CapacitySettings { units, loads: vec![load], noise: 0.1, networks, recalls, sweeps: 100, storage };
            let curve =
                CapacityCurve::measure(&settings, options.seed).map_err(|error| Error::Failed(error.to_string()))?;
            for point in curve.points {
                log(&format!(
                    "{name}, load {:.3}: overlap {:.3}, retrieved {:.2}",
                    point.load, point.overlap, point.retrieved
                ));
                points.push((point.load, point.overlap));
                measured.push(point);
            }
        }
        outcome.rows.push(Row {
            name: format!("{name}: overlap at a load of 0.1, {units} units"),
            measured: points.iter().find(|p| p.0 >= 0.0999).map_or(f64::NAN, |p| p.1),
            unit: "",
            published: None,
            holds: None,
        });
        curves.push(Curve { name, points, marks: true });
        if let Some(critical) = (CapacityCurve { points: measured }).critical_load() {
            let near = (0.125..=0.155).contains(&critical);
            outcome.rows.push(Row {
                name: format!("{name}: critical load, {units} units"),
                measured: critical,
                unit: "patterns a unit",
                published,
                holds: (!options.quick && published.is_some()).then_some(near),
            });
        }
    }
    let svg =
        plot::draw_over("Recall from a tenth of noise", "patterns a unit", "overlap", &curves, &[("theory", 0.967)])
            .map_err(Error::Failed)?;
    outcome.pictures.push(("capacity.svg", svg));
    Ok(outcome)
}
