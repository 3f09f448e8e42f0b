//! Rows of tensors: cutting them apart, and indices of them.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Cuts the rows into pieces of these sizes, none where a size is 0.
///
/// It cuts halves of halves: the backward of a slice fills an array as large as what it was cut from, so that cutting piece after piece from the
/// whole would take the square of their number.
///
/// # Panics
/// Unless the sizes, of which there is one at least, are of all rows.
pub(crate) fn divide(rows: Tensor<2>, sizes: &[usize]) -> Vec<Option<Tensor<2>>> {
    assert_eq!(sizes.iter().sum::<usize>(), rows.dims()[0], "rows of all pieces");
    let mut pieces = Vec::with_capacity(sizes.len());
    halves(Some(rows), sizes, &mut pieces);
    pieces
}

fn halves(rows: Option<Tensor<2>>, sizes: &[usize], pieces: &mut Vec<Option<Tensor<2>>>) {
    if let [_] = sizes {
        return pieces.push(rows);
    }
    let (left, right) = sizes.split_at(sizes.len() / 2);
    let first: usize = left.iter().sum();
    let (rows_left, rows_right) = match rows {
        None => (None, None),
        Some(rows) => match rows.dims()[0] {
            _ if first == 0 => (None, Some(rows)),
            all if first == all => (Some(rows), None),
            all => (Some(rows.clone().slice_dim(0, 0..first)), Some(rows.slice_dim(0, first..all))),
        },
    };
    halves(rows_left, left, pieces);
    halves(rows_right, right, pieces);
}

/// Indices on a device.
pub(crate) fn integers(values: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flex::to_vec;

    #[test]
    fn pieces_are_the_rows_in_order() {
        let device = Device::flex();
        for sizes in [&[3][..], &[1, 2], &[0, 3], &[3, 0], &[0, 1, 0, 2, 0], &[1, 1, 1]] {
            let rows = Tensor::<2>::from_data([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], &device);
            let pieces = divide(rows.clone(), sizes);
            let found: Vec<usize> = pieces.iter().map(|p| p.as_ref().map_or(0, |p| p.dims()[0])).collect();
            assert_eq!(found, sizes);
            assert_eq!(pieces.into_iter().flatten().flat_map(to_vec).collect::<Vec<_>>(), to_vec(rows));
        }
    }
}
