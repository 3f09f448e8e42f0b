//! A stage's equations, compiled for each instruction set.

use super::lanes::{Isa, LaneTask, Lanes, dispatch};
use super::{Array, Dual, Element, Expr, Real};
use crate::cell::{Column, Stage};

/// The body of the forward kernel; inlined into a function compiled for one instruction set.
#[inline(always)]
unsafe fn forward_rows<C: Stage<K>, const K: usize, V: Lanes>(
    cell: &C,
    args: &[Column<V::Element>],
    outs: &[Column<V::Element>],
    rows: usize,
) {
    for row in 0..rows {
        let mut input = C::In::<V>::splat(V::constant(0.0));
        for i in 0..C::In::<V>::LEN {
            // SAFETY: the caller gives `LEN` valid columns.
            unsafe {
                let column = args.get_unchecked(i);
                input.as_mut()[i] = V::load(column.ptr.add(row * column.stride));
            }
        }
        let output = cell.eval(input);
        for i in 0..C::Out::<V>::LEN {
            // SAFETY: as above.
            unsafe {
                let column = outs.get_unchecked(i);
                output.as_ref()[i].store(column.ptr.add(row * column.stride));
            }
        }
    }
}

/// The body of the backward kernel: gates (the first `GATES` arguments) and feeds (those after `ACCUMULATED` more) are
/// stored, reads and units between them added to.
#[inline(always)]
unsafe fn backward_rows<C: Stage<K>, const K: usize, const GATES: usize, const ACCUMULATED: usize, V: Lanes>(
    cell: &C,
    args: &[Column<V::Element>],
    d_outs: &[Column<V::Element>],
    d_args: &[Column<V::Element>],
    rows: usize,
) {
    for row in 0..rows {
        let zero = Dual::constant(0.0);
        let mut input = C::In::<Dual<V, C::In<V>>>::splat(zero);
        for i in 0..C::In::<V>::LEN {
            // SAFETY: the caller gives `LEN` valid columns.
            let value = unsafe {
                let column = args.get_unchecked(i);
                V::load(column.ptr.add(row * column.stride))
            };
            input.as_mut()[i] = Dual::argument(value, i);
        }
        let output = cell.eval(input);
        let mut gradient = C::In::<V>::splat(V::constant(0.0));
        let mut live = 0u32;
        for o in 0..C::Out::<V>::LEN {
            // SAFETY: as above.
            let d_out = unsafe {
                let column = d_outs.get_unchecked(o);
                V::load(column.ptr.add(row * column.stride))
            };
            let out = output.as_ref()[o];
            for i in 0..C::In::<V>::LEN {
                if out.live & (1 << i) != 0 {
                    gradient.as_mut()[i] = if live & (1 << i) != 0 {
                        d_out.mul_add(out.partials.as_ref()[i], gradient.as_ref()[i])
                    } else {
                        d_out * out.partials.as_ref()[i]
                    };
                }
            }
            live |= out.live;
        }
        for i in 0..C::In::<V>::LEN {
            // SAFETY: as above.
            unsafe {
                let column = d_args.get_unchecked(i);
                let ptr = column.ptr.add(row * column.stride);
                if i < GATES || i >= GATES + ACCUMULATED {
                    gradient.as_ref()[i].store(ptr);
                } else if live & (1 << i) != 0 {
                    (V::load(ptr) + gradient.as_ref()[i]).store(ptr);
                }
            }
        }
    }
}

struct Forward<'a, C, const K: usize, F> {
    cell: &'a C,
    args: &'a [Column<F>],
    outs: &'a [Column<F>],
    rows: usize,
}

impl<C: Stage<K>, const K: usize, F> LaneTask<F> for Forward<'_, C, K, F> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Element = F>>(self) {
        // SAFETY: the caller's promise.
        unsafe { forward_rows::<C, K, V>(self.cell, self.args, self.outs, self.rows) }
    }
}

struct Backward<'a, C, const K: usize, const GATES: usize, const ACCUMULATED: usize, F> {
    cell: &'a C,
    args: &'a [Column<F>],
    d_outs: &'a [Column<F>],
    d_args: &'a [Column<F>],
    rows: usize,
}

impl<C: Stage<K>, const K: usize, const GATES: usize, const ACCUMULATED: usize, F> LaneTask<F>
    for Backward<'_, C, K, GATES, ACCUMULATED, F>
{
    #[inline(always)]
    unsafe fn run<V: Lanes<Element = F>>(self) {
        // SAFETY: the caller's promise.
        unsafe {
            backward_rows::<C, K, GATES, ACCUMULATED, V>(self.cell, self.args, self.d_outs, self.d_args, self.rows)
        }
    }
}

/// Stage `K` of a cell in `rows` rows.
///
/// # Safety
/// See [`Pointwise::forward`](crate::cell::Pointwise::forward).
pub unsafe fn forward<C: Stage<K>, const K: usize, F: Element>(
    cell: &C,
    isa: Isa,
    args: &[Column<F>],
    outs: &[Column<F>],
    rows: usize,
) {
    assert!(args.len() == C::In::<F>::LEN && outs.len() == C::Out::<F>::LEN);
    // SAFETY: lengths checked; the rest is the caller's promise.
    unsafe { dispatch(isa, Forward::<C, K, F> { cell, args, outs, rows }) }
}

/// Backward of stage `K` in `rows` rows.
///
/// # Safety
/// See [`Pointwise::backward`](crate::cell::Pointwise::backward).
pub unsafe fn backward<C: Stage<K>, const K: usize, const GATES: usize, const ACCUMULATED: usize, F: Element>(
    cell: &C,
    isa: Isa,
    args: &[Column<F>],
    d_outs: &[Column<F>],
    d_args: &[Column<F>],
    rows: usize,
) {
    assert!(args.len() == C::In::<F>::LEN && d_args.len() == args.len() && d_outs.len() == C::Out::<F>::LEN);
    // SAFETY: lengths checked; the rest is the caller's promise.
    unsafe { dispatch(isa, Backward::<C, K, GATES, ACCUMULATED, F> { cell, args, d_outs, d_args, rows }) }
}

/// Evaluates one unit in plain numbers.
pub fn eval<C: Stage<K>, const K: usize, F: Element>(cell: &C, args: &[F], outs: &mut [F]) {
    let mut input = C::In::<F>::splat(F::constant(0.0));
    input.as_mut().copy_from_slice(args);
    outs.copy_from_slice(cell.eval(input).as_ref());
}

/// Value and Jacobian of one unit.
pub fn jacobian<C: Stage<K>, const K: usize, F: Element>(cell: &C, args: &[F], outs: &mut [F], jacobian: &mut [F]) {
    let mut input = C::In::<Dual<F, C::In<F>>>::splat(Dual::constant(0.0));
    for (i, (slot, &value)) in input.as_mut().iter_mut().zip(args).enumerate() {
        *slot = Dual::argument(value, i);
    }
    let output = cell.eval(input);
    for (o, dual) in output.as_ref().iter().enumerate() {
        outs[o] = dual.value;
        for i in 0..args.len() {
            let live = dual.live & (1 << i) != 0;
            jacobian[o * args.len() + i] = if live { dual.partials.as_ref()[i] } else { F::constant(0.0) };
        }
    }
}

/// Records the equations of a stage.
pub fn record<C: Stage<K>, const K: usize>(cell: &C, args: &[Expr]) -> Vec<Expr> {
    let mut input = C::In::<Expr>::splat(args[0]);
    input.as_mut().copy_from_slice(args);
    cell.eval(input).as_ref().to_vec()
}
