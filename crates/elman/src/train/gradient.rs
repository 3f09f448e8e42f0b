//! The gradient of one parameter.

use super::CHUNK;
use crate::flex;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

/// The gradient of one parameter, in `f32`.
#[derive(Clone, Debug)]
pub struct Gradient(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// On Flex: its own memory.
    Flex(FlexTensor),
    /// Every number.
    Dense(Vec<f32>),
    /// Some rows of a matrix; all others are zero.
    Rows { rows: Vec<u32>, values: Vec<f32>, len: usize },
}

impl From<Vec<f32>> for Gradient {
    /// Of every number, row-major.
    fn from(values: Vec<f32>) -> Gradient {
        Gradient(Kind::Dense(values))
    }
}

impl Gradient {
    pub(crate) fn on_flex(tensor: FlexTensor) -> Gradient {
        Gradient(Kind::Flex(tensor))
    }

    /// Of a matrix of `len` numbers where these rows alone, one after the other in `values`, are not zero.
    ///
    /// # Panics
    /// If the rows are not of one width that divides `len`, or one is beyond it, or one stands there twice.
    pub fn of_rows(rows: Vec<u32>, values: Vec<f32>, len: usize) -> Gradient {
        let width = values.len() / rows.len().max(1);
        assert!(width * rows.len() == values.len() && len.is_multiple_of(width.max(1)), "rows of one width");
        let mut seen = vec![false; len / width.max(1)];
        assert!(rows.iter().all(|&row| !std::mem::replace(&mut seen[row as usize], true)), "every row once");
        Gradient(Kind::Rows { rows, values, len })
    }

    /// The rows that are not zero and their numbers, and how many numbers there are in all, where it is known by rows.
    pub(super) fn rows(&self) -> Option<(&[u32], &[f32], usize)> {
        match &self.0 {
            Kind::Rows { rows, values, len } => Some((rows, values, *len)),
            _ => None,
        }
    }

    /// The numbers in their order, but for rows that are zero.
    pub(crate) fn nonzero(&self) -> &[f32] {
        match &self.0 {
            Kind::Flex(tensor) => flex::slice(tensor),
            Kind::Dense(values) | Kind::Rows { values, .. } => values,
        }
    }

    /// Every number, to be changed: a copy from then on, where the tensor was another's too.
    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        if !matches!(self.0, Kind::Dense(_)) {
            self.0 = Kind::Dense(self.to_vec());
        }
        match &mut self.0 {
            Kind::Dense(values) => values,
            _ => unreachable!("made so above"),
        }
    }

    /// Every number.
    pub fn to_vec(&self) -> Vec<f32> {
        match &self.0 {
            Kind::Rows { rows, values, len } => {
                let mut all = vec![0.0; *len];
                let width = (values.len() / rows.len().max(1)).max(1);
                for (&row, values) in rows.iter().zip(values.chunks(width)) {
                    all[row as usize * width..][..width].copy_from_slice(values);
                }
                all
            }
            _ => self.nonzero().to_vec(),
        }
    }

    /// `all` += this.
    pub(crate) fn add_to(&self, all: &mut [f32]) {
        match &self.0 {
            Kind::Rows { rows, values, len } => {
                assert_eq!(all.len(), *len, "a gradient of another size");
                let width = (values.len() / rows.len().max(1)).max(1);
                for (&row, values) in rows.iter().zip(values.chunks(width)) {
                    all[row as usize * width..][..width].iter_mut().zip(values).for_each(|(sum, g)| *sum += g);
                }
            }
            _ => all.iter_mut().zip(self.nonzero()).for_each(|(sum, g)| *sum += g),
        }
    }

    /// This *= `factor`.
    pub(crate) fn scale(&mut self, factor: f32) {
        match &mut self.0 {
            Kind::Rows { values, .. } => values.iter_mut().for_each(|g| *g *= factor),
            _ => self.values_mut().par_chunks_mut(CHUNK).for_each(|chunk| chunk.iter_mut().for_each(|g| *g *= factor)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Gradient {
        Gradient::of_rows(vec![3, 0], vec![1.0, 2.0, 3.0, 4.0], 8)
    }

    #[test]
    fn rows_stand_where_they_belong() {
        let want = [3.0, 4.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0];
        assert_eq!(some().to_vec(), want);
        assert_eq!(some().values_mut(), want);
        let mut sum = [1.0; 8];
        some().add_to(&mut sum);
        assert_eq!(sum, want.map(|g| g + 1.0));
        let mut twice = some();
        twice.scale(2.0);
        assert_eq!(twice.to_vec(), want.map(|g| 2.0 * g));
        assert_eq!(Gradient::from(want.to_vec()).to_vec(), want);
        assert_eq!(Gradient::of_rows(Vec::new(), Vec::new(), 2).to_vec(), [0.0; 2]);
    }

    #[test]
    #[should_panic(expected = "every row once")]
    fn a_row_that_stands_there_twice_is_refused() {
        Gradient::of_rows(vec![1, 1], vec![1.0; 4], 8);
    }

    #[test]
    #[should_panic(expected = "rows of one width")]
    fn rows_of_another_width_are_refused() {
        Gradient::of_rows(vec![1, 0], vec![1.0; 5], 8);
    }
}
