//! Recorded inputs and outputs of a system: checked, in physical units, scaled, cut into windows, and scores of predictions.
//!
//! T steps, B windows a batch, M input channels, P output channels; everything is row-major with time first.

use super::error::LARGEST;
use crate::parameters::{Named, ParameterError};
use crate::random::Random;
use crate::train::BatchSource;
use burn::tensor::{DType, Device, Tensor, TensorData};

/// What can be wrong with a series, or with a model's use of one.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum SeriesError {
    /// The numbers do not fill whole rows.
    #[error("the {what} has {values} numbers, which are not whole rows of {width}")]
    Ragged {
        /// "input" or "output".
        what: &'static str,
        /// How many numbers there are.
        values: usize,
        /// Channels.
        width: usize,
    },
    /// A width, length or batch size is zero or too large.
    #[error("the {what} is {value}, which is not in 1..={LARGEST}")]
    Size {
        /// What it is the size of.
        what: &'static str,
        /// The size.
        value: usize,
    },
    /// Input and output were not recorded at the same steps.
    #[error("the input has {input} steps and the output {output}: record both at the same times")]
    Steps {
        /// Steps of the input.
        input: usize,
        /// Steps of the output.
        output: usize,
    },
    /// A number is NaN or infinite.
    #[error("the {what} is {value} at step {step}, channel {channel} (both counted from 0): fill or cut it out")]
    NotFinite {
        /// "input" or "output".
        what: &'static str,
        /// The step.
        step: usize,
        /// The channel.
        channel: usize,
        /// "NaN", "inf" or "-inf".
        value: String,
    },
    /// There are too few steps.
    #[error("there are {steps} steps of the {what}, and {needed} are needed: {why}")]
    TooShort {
        /// "series", "output", ...
        what: &'static str,
        /// Steps.
        steps: usize,
        /// The least number.
        needed: usize,
        /// What needs them.
        why: &'static str,
    },
    /// The series has other channels than the model.
    #[error("the series has {found} {what} channels, and the model {expected}")]
    Channels {
        /// "input" or "output".
        what: &'static str,
        /// The series'.
        found: usize,
        /// The model's.
        expected: usize,
    },
    /// A free run left the numbers.
    #[error(
        "the free run diverges: the output is not finite at step {step}; train the model in its free run, or with more data"
    )]
    Diverged {
        /// The step.
        step: usize,
    },
}

/// Fails on the first number that is NaN or infinite.
pub(crate) fn check_finite(what: &'static str, values: &[f64], width: usize) -> Result<(), SeriesError> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(k) => {
            let value = values[k].to_string();
            Err(SeriesError::NotFinite { what, step: k / width, channel: k % width, value })
        }
    }
}

/// The number of whole rows, all of them finite.
pub(crate) fn rows(what: &'static str, values: &[f64], width: usize) -> Result<usize, SeriesError> {
    if !values.len().is_multiple_of(width) {
        return Err(SeriesError::Ragged { what, values: values.len(), width });
    }
    check_finite(what, values, width)?;
    Ok(values.len() / width)
}

/// An input u (T, M) and an output y (T, P) of a system, recorded at the same times, in physical units.
///
/// ```
/// use elman::network::Series;
/// let series = Series::new(vec![1.0, 2.0, 3.0], 1, vec![0.5, 0.6, f64::NAN], 1);
/// let line = series.unwrap_err().to_string();
/// assert_eq!(line, "the output is NaN at step 2, channel 0 (both counted from 0): fill or cut it out");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    u: Vec<f64>,
    inputs: usize,
    y: Vec<f64>,
    outputs: usize,
}

impl Series {
    /// From rows of `inputs` and of `outputs` numbers.
    ///
    /// # Errors
    /// If there are no channels, rows are not whole, the two have not the same number of steps, or a number is not finite.
    pub fn new(u: Vec<f64>, inputs: usize, y: Vec<f64>, outputs: usize) -> Result<Series, SeriesError> {
        for (what, value) in [("number of input channels", inputs), ("number of output channels", outputs)] {
            check_size(what, value)?;
        }
        let (input, output) = (rows("input", &u, inputs)?, rows("output", &y, outputs)?);
        if input != output {
            return Err(SeriesError::Steps { input, output });
        }
        Ok(Series { u, inputs, y, outputs })
    }

    /// T.
    pub fn steps(&self) -> usize {
        self.u.len() / self.inputs
    }

    /// M.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// P.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The input, (T, M).
    pub fn u(&self) -> &[f64] {
        &self.u
    }

    /// The output, (T, P).
    pub fn y(&self) -> &[f64] {
        &self.y
    }

    /// Whether a model of M inputs and P outputs can be used with it.
    pub(crate) fn check_channels(&self, [inputs, outputs]: [usize; 2]) -> Result<(), SeriesError> {
        for (what, found, expected) in [("input", self.inputs, inputs), ("output", self.outputs, outputs)] {
            if found != expected {
                return Err(SeriesError::Channels { what, found, expected });
            }
        }
        Ok(())
    }
}

fn check_size(what: &'static str, value: usize) -> Result<(), SeriesError> {
    if (1..=LARGEST).contains(&value) { Ok(()) } else { Err(SeriesError::Size { what, value }) }
}

/// Mean and standard deviation of each channel: z = (x - mean) / deviation.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    /// In the channel's unit.
    pub mean: Vec<f64>,
    /// In the channel's unit; 1 for a channel that never changes.
    pub deviation: Vec<f64>,
}

impl Scaling {
    /// Of values that are used as they are: mean 0, deviation 1.
    pub fn none(width: usize) -> Scaling {
        Scaling { mean: vec![0.0; width], deviation: vec![1.0; width] }
    }

    /// Of the rows' own mean and standard deviation (of the rows as they are: divided by their number).
    ///
    /// ```
    /// use elman::network::Scaling;
    /// let scaling = Scaling::of(&[1.0, 7.0, 3.0, 7.0], 2);
    /// assert_eq!((&scaling.mean[..], &scaling.deviation[..]), (&[2.0, 7.0][..], &[1.0, 1.0][..]));
    /// assert_eq!(scaling.normalise(&[1.0, 8.0]), [-1.0, 1.0]);
    /// assert_eq!(scaling.restore(&[-1.0, 1.0]), [1.0, 8.0]);
    /// ```
    ///
    /// # Panics
    /// If the width is 0.
    pub fn of(values: &[f64], width: usize) -> Scaling {
        assert!(width > 0, "rows of no channel");
        let n = (values.len() / width).max(1) as f64;
        let mean_of = |f: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
            (0..width).map(|c| values.iter().skip(c).step_by(width).map(|&v| f(c, v)).sum::<f64>() / n).collect()
        };
        let mean = mean_of(&|_, v| v);
        let variance = mean_of(&|c, v| (v - mean[c]).powi(2));
        // What the mean's own rounding leaves is no change.
        let deviation =
            variance.iter().zip(&mean).map(|(v, m)| if v.sqrt() <= 1e-12 * m.abs() { 1.0 } else { v.sqrt() });
        Scaling { deviation: deviation.collect(), mean }
    }

    fn each(&self, values: &[f64], f: impl Fn(f64, f64, f64) -> f64) -> Vec<f64> {
        let channels = self.mean.iter().zip(&self.deviation).cycle();
        values.iter().zip(channels).map(|(&v, (&mean, &deviation))| f(v, mean, deviation)).collect()
    }

    /// From the channels' units.
    pub fn normalise(&self, values: &[f64]) -> Vec<f64> {
        self.each(values, |v, mean, deviation| (v - mean) / deviation)
    }

    /// Back into the channels' units.
    pub fn restore(&self, values: &[f64]) -> Vec<f64> {
        self.each(values, |v, mean, deviation| v * deviation + mean)
    }
}

/// The scalings of a model's input and output: it takes and gives physical units, its network numbers around 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Units {
    /// Of the input.
    pub u: Scaling,
    /// Of the output.
    pub y: Scaling,
}

impl Units {
    /// Values are used as they are.
    pub fn none(inputs: usize, outputs: usize) -> Units {
        Units { u: Scaling::none(inputs), y: Scaling::none(outputs) }
    }

    /// Mean and standard deviation of a series.
    pub fn of(series: &Series) -> Units {
        Units { u: Scaling::of(&series.u, series.inputs), y: Scaling::of(&series.y, series.outputs) }
    }

    /// For a model file: `units.u.mean`, ... of shape (2, channels). Files hold `f32`, and a mean may be large beside the
    /// deviation; the second row is what the first, rounded, leaves, so that some 48 bits are kept.
    pub(crate) fn named(&self) -> Vec<Named> {
        let parts = [
            ("u.mean", &self.u.mean),
            ("u.deviation", &self.u.deviation),
            ("y.mean", &self.y.mean),
            ("y.deviation", &self.y.deviation),
        ];
        let named = parts.map(|(name, values)| {
            let high: Vec<f32> = values.iter().map(|&v| v as f32).collect();
            let low: Vec<f32> = values.iter().zip(&high).map(|(&v, &h)| (v - f64::from(h)) as f32).collect();
            Named { name: format!("units.{name}"), shape: vec![2, values.len()], values: [high, low].concat() }
        });
        named.into()
    }

    /// Takes what [`named`](Units::named) gave out of the list.
    pub(crate) fn take(&self, from: &mut Vec<Named>) -> Result<Units, ParameterError> {
        let mut one = |name: &str, width: usize| -> Result<Vec<f64>, ParameterError> {
            let name = format!("units.{name}");
            let Some(k) = from.iter().position(|p| p.name == name) else { return Err(ParameterError::Missing(name)) };
            let Named { shape, values, .. } = from.remove(k);
            if shape != [2, width] || values.len() != 2 * width {
                return Err(ParameterError::Shape { name, found: shape, expected: vec![2, width] });
            }
            Ok((0..width).map(|c| f64::from(values[c]) + f64::from(values[width + c])).collect())
        };
        let (inputs, outputs) = (self.u.mean.len(), self.y.mean.len());
        Ok(Units {
            u: Scaling { mean: one("u.mean", inputs)?, deviation: one("u.deviation", inputs)? },
            y: Scaling { mean: one("y.mean", outputs)?, deviation: one("y.deviation", outputs)? },
        })
    }
}

/// Rows as a tensor (steps, batch, width) of a network's device and number type.
pub(crate) fn to_tensor(values: Vec<f64>, batch: usize, width: usize, (device, dtype): &(Device, DType)) -> Tensor<3> {
    let steps = values.len() / (batch * width);
    Tensor::from_data(TensorData::new(values, [steps, batch, width]), (device, *dtype))
}

/// A tensor's numbers, whatever its type.
pub(crate) fn to_f64<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_to_vec::<f64>().expect("converted to f64")
}

/// Windows of series, side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesBatch {
    /// Inputs, (T, B, M), in physical units.
    pub u: Vec<f64>,
    /// Outputs, (T, B, P), in physical units.
    pub y: Vec<f64>,
    /// B.
    pub batch: usize,
    /// M and P.
    pub channels: [usize; 2],
    /// The number of first steps that give lags or a warm state and are not scored.
    pub warm_up: usize,
}

impl SeriesBatch {
    /// T.
    pub fn steps(&self) -> usize {
        self.u.len() / (self.batch * self.channels[0])
    }

    /// How many numbers are predicted.
    pub fn count(&self) -> usize {
        (self.steps() - self.warm_up) * self.batch * self.channels[1]
    }
}

/// Draws windows of T steps at random places of one or several series, B at a time, every place being as likely as any other.
#[derive(Clone, Debug)]
pub struct Windows {
    series: Vec<Series>,
    steps: usize,
    batch: usize,
    warm_up: usize,
    random: Random,
}

impl Windows {
    /// Windows of `steps` steps, `batch` at a time, the first `warm_up` steps of each not scored.
    ///
    /// # Errors
    /// If a number is 0, `warm_up` leaves nothing to be scored, there is no series or one that is shorter than a window, or they have
    /// not the same channels.
    pub fn new(
        series: Vec<Series>,
        steps: usize,
        batch: usize,
        warm_up: usize,
        seed: u64,
    ) -> Result<Windows, SeriesError> {
        check_size("number of series", series.len())?;
        check_size("number of steps of a window", steps)?;
        check_size("batch size", batch)?;
        if steps <= warm_up {
            let why = "the first ones are not scored";
            return Err(SeriesError::TooShort { what: "window", steps, needed: warm_up + 1, why });
        }
        for one in &series {
            one.check_channels([series[0].inputs, series[0].outputs])?;
            if one.steps() < steps {
                let why = "a window must fit into every series";
                return Err(SeriesError::TooShort { what: "series", steps: one.steps(), needed: steps, why });
            }
        }
        Ok(Windows { series, steps, batch, warm_up, random: Random::new(seed, "windows") })
    }

    /// The series and first step of the window at one of all places.
    fn place(&self, mut k: usize) -> (&Series, usize) {
        for one in &self.series {
            let places = one.steps() - self.steps + 1;
            if k < places {
                return (one, k);
            }
            k -= places;
        }
        unreachable!("fewer places than were counted")
    }
}

impl BatchSource<SeriesBatch> for Windows {
    fn next_batch(&mut self) -> Result<SeriesBatch, String> {
        let channels = [self.series[0].inputs, self.series[0].outputs];
        let places: usize = self.series.iter().map(|one| one.steps() - self.steps + 1).sum();
        let drawn: Vec<usize> =
            (0..self.batch).map(|_| ((u64::from(self.random.word()) * places as u64) >> 32) as usize).collect();
        let windows: Vec<(&Series, usize)> = drawn.into_iter().map(|k| self.place(k)).collect();
        let gather = |width: usize, values: fn(&Series) -> &[f64]| -> Vec<f64> {
            (0..self.steps)
                .flat_map(|t| windows.iter().map(move |&(one, first)| &values(one)[(first + t) * width..][..width]))
                .flatten()
                .copied()
                .collect()
        };
        let (u, y) = (gather(channels[0], Series::u), gather(channels[1], Series::y));
        Ok(SeriesBatch { u, y, batch: self.batch, channels, warm_up: self.warm_up })
    }

    fn cursor(&self) -> String {
        self.random.position().to_string()
    }

    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        let position = cursor.parse().map_err(|_| format!("`{cursor}` is not a position of the windows"))?;
        self.random.seek(position);
        Ok(())
    }
}

/// How good a prediction of one channel is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Root mean square error, in the channel's unit.
    pub rmse: f64,
    /// 100 (1 - ‖y - ŷ‖ / ‖y - mean y‖) per cent: 100 is perfect, 0 is the mean, below 0 is worse than the mean. Of a channel that never changes it
    /// is NaN where the prediction is perfect and -∞ where it is not.
    pub fit: f64,
}

/// The score of each channel of predictions of `y`, both (N, `outputs`).
///
/// ```
/// use elman::network::scores;
/// let score = scores(&[1.0, 3.0], &[1.5, 3.5], 1)[0];
/// assert_eq!((score.rmse, score.fit), (0.5, 50.0));
/// ```
///
/// # Panics
/// If the two are not of one length, or there are no channels.
pub fn scores(y: &[f64], predicted: &[f64], outputs: usize) -> Vec<Score> {
    assert_eq!(y.len(), predicted.len(), "outputs and predictions");
    let mean = Scaling::of(y, outputs).mean;
    let n = (y.len() / outputs) as f64;
    let score = |c: usize| {
        let pairs = y.iter().zip(predicted).skip(c).step_by(outputs);
        let error: f64 = pairs.clone().map(|(y, p)| (y - p).powi(2)).sum();
        let spread: f64 = pairs.map(|(y, _)| (y - mean[c]).powi(2)).sum();
        Score { rmse: (error / n).sqrt(), fit: 100.0 * (1.0 - (error / spread).sqrt()) }
    };
    (0..outputs).map(score).collect()
}

#[cfg(test)]
#[path = "series_test.rs"]
mod tests;
