//! A layered layout: every vertex in a column right of what it needs, columns ordered so that few edges cross.

use super::graph::Graph;

/// A place on an edge's way or a vertex.
#[derive(Clone, Debug)]
struct Cell {
    column: usize,
    /// Height that it asks for.
    height: f64,
    left: Vec<usize>,
    right: Vec<usize>,
    y: f64,
    /// Whether an edge only passes here.
    passes: bool,
}

/// Where everything stands.
pub(super) struct Layout {
    /// Centre of each vertex.
    pub centres: Vec<(f64, f64)>,
    /// For each edge, the points between its ends: the left and right border of every column that it passes.
    pub ways: Vec<Vec<(f64, f64)>>,
    pub width: f64,
    pub height: f64,
}

/// Space between columns, and between vertices of a column.
const COLUMN_GAP: f64 = 48.0;
const GAP: f64 = 18.0;
const MARGIN: f64 = 24.0;
/// Sweeps of ordering and of placing; small graphs settle in a few.
const SWEEPS: usize = 24;

/// Lays out `graph` whose vertices have these widths and heights.
pub(super) fn layout(graph: &Graph, sizes: &[(f64, f64)]) -> Layout {
    let column = columns(graph);
    let mut cells: Vec<Cell> = (column.iter().zip(sizes))
        .map(|(&column, &(_, height))| Cell { column, height, left: vec![], right: vec![], y: 0.0, passes: false })
        .collect();
    // An edge over several columns gets a place in each, so that vertices make way for it.
    let mut chains: Vec<Vec<usize>> = Vec::new();
    for edge in &graph.edges {
        let mut chain = vec![edge.from];
        for c in column[edge.from] + 1..column[edge.to] {
            cells.push(Cell { column: c, height: 8.0, left: vec![], right: vec![], y: 0.0, passes: true });
            chain.push(cells.len() - 1);
        }
        chain.push(edge.to);
        for pair in chain.windows(2) {
            cells[pair[0]].right.push(pair[1]);
            cells[pair[1]].left.push(pair[0]);
        }
        chains.push(chain);
    }
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); column.iter().max().map_or(0, |c| c + 1)];
    for (i, cell) in cells.iter().enumerate() {
        order[cell.column].push(i);
    }
    uncross(&cells, &mut order);
    place(&mut cells, &order);

    let mut x = vec![MARGIN; order.len()];
    let mut widths = vec![0.0f64; order.len()];
    for (v, &c) in column.iter().enumerate() {
        widths[c] = widths[c].max(sizes[v].0);
    }
    for c in 1..x.len() {
        x[c] = x[c - 1] + widths[c - 1] + COLUMN_GAP;
    }
    let top = cells.iter().map(|c| c.y - c.height / 2.0).fold(f64::INFINITY, f64::min) - MARGIN;
    let bottom = cells.iter().map(|c| c.y + c.height / 2.0).fold(0.0, f64::max) + MARGIN;
    let centre = |i: usize| (x[cells[i].column] + widths[cells[i].column] / 2.0, cells[i].y - top);
    let borders = |&i: &usize| {
        let c = cells[i].column;
        [(x[c], cells[i].y - top), (x[c] + widths[c], cells[i].y - top)]
    };
    Layout {
        centres: (0..column.len()).map(centre).collect(),
        ways: chains.iter().map(|chain| chain[1..chain.len() - 1].iter().flat_map(borders).collect()).collect(),
        width: x.last().copied().unwrap_or(MARGIN) + widths.last().copied().unwrap_or(0.0) + MARGIN,
        height: bottom - top,
    }
}

/// A column for each vertex: one right of its last operand; what has no operand stands just left of its first user, results
/// at the right end.
fn columns(graph: &Graph) -> Vec<usize> {
    let n = graph.vertices.len();
    let mut column = vec![0usize; n];
    // As many rounds as the longest way can have.
    for _ in 0..n {
        for edge in &graph.edges {
            column[edge.to] = column[edge.to].max(column[edge.from] + 1);
        }
    }
    for v in 0..n {
        if graph.edges.iter().all(|e| e.to != v) {
            let users = graph.edges.iter().filter(|e| e.from == v).map(|e| column[e.to]);
            column[v] = users.min().map_or(0, |c| c.saturating_sub(1));
        }
    }
    let last = column.iter().copied().max().unwrap_or(0);
    for v in 0..n {
        let is_result = graph.edges.iter().all(|e| e.from != v);
        if is_result && graph.vertices[v].shape == super::graph::Shape::Result {
            column[v] = last;
        }
    }
    column
}

/// Orders every column by the middle of its neighbours, to and fro, and keeps the best order seen.
fn uncross(cells: &[Cell], order: &mut Vec<Vec<usize>>) {
    let mut best = (crossings(cells, order), order.clone());
    for sweep in 0..SWEEPS {
        let rightward = sweep % 2 == 0;
        let n = order.len();
        for step in 1..n {
            let c = if rightward { step } else { n - 1 - step };
            let beside = if rightward { c - 1 } else { c + 1 };
            let mut position = vec![0.0; cells.len()];
            for (p, &i) in order[beside].iter().enumerate() {
                position[i] = p as f64;
            }
            let mut keyed: Vec<(f64, usize)> = order[c]
                .iter()
                .enumerate()
                .map(|(p, &i)| {
                    let near = if rightward { &cells[i].left } else { &cells[i].right };
                    let mean = near.iter().map(|&j| position[j]).sum::<f64>() / near.len() as f64;
                    (if near.is_empty() { p as f64 } else { mean }, i)
                })
                .collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            order[c] = keyed.into_iter().map(|k| k.1).collect();
        }
        let now = crossings(cells, order);
        if now < best.0 {
            best = (now, order.clone());
        }
    }
    *order = best.1;
}

fn crossings(cells: &[Cell], order: &[Vec<usize>]) -> usize {
    let mut position = vec![0; cells.len()];
    for column in order {
        column.iter().enumerate().for_each(|(p, &i)| position[i] = p);
    }
    let mut count = 0;
    for column in order {
        let edges: Vec<(usize, usize)> = column
            .iter()
            .flat_map(|&i| cells[i].right.iter().map(|&j| (position[i], position[j])).collect::<Vec<_>>())
            .collect();
        for (k, a) in edges.iter().enumerate() {
            count += edges[k + 1..].iter().filter(|b| (a.0 < b.0 && a.1 > b.1) || (a.0 > b.0 && a.1 < b.1)).count();
        }
    }
    count
}

/// Moves every vertex towards the middle of its neighbours, as far as the order of its column allows.
fn place(cells: &mut [Cell], order: &[Vec<usize>]) {
    for column in order {
        let mut y = 0.0;
        for &i in column {
            y += cells[i].height / 2.0;
            cells[i].y = y;
            y += cells[i].height / 2.0 + GAP;
        }
    }
    for sweep in 0..SWEEPS {
        let columns: Vec<&Vec<usize>> =
            if sweep % 2 == 0 { order.iter().collect() } else { order.iter().rev().collect() };
        for column in columns {
            let wish: Vec<f64> = column
                .iter()
                .map(|&i| {
                    let near = cells[i].left.iter().chain(&cells[i].right);
                    // Straight long edges are worth more than vertices in the middle.
                    let weight = |j: usize| match (cells[i].passes, cells[j].passes) {
                        (true, true) => 8.0,
                        (true, false) | (false, true) => 2.0,
                        (false, false) => 1.0,
                    };
                    let (sum, n) = near.fold((0.0, 0.0), |(s, n), &j| (s + weight(j) * cells[j].y, n + weight(j)));
                    if n == 0.0 { cells[i].y } else { sum / n }
                })
                .collect();
            let distance = |a: usize, b: usize| (cells[a].height + cells[b].height) / 2.0 + GAP;
            // The mean of the placement pushed down and that pushed up keeps the column centred on its wishes.
            let (mut down, mut up) = (wish.clone(), wish.clone());
            for k in 1..column.len() {
                down[k] = down[k].max(down[k - 1] + distance(column[k - 1], column[k]));
            }
            for k in (1..column.len()).rev() {
                up[k - 1] = up[k - 1].min(up[k] - distance(column[k - 1], column[k]));
            }
            for (k, &i) in column.iter().enumerate() {
                cells[i].y = (down[k] + up[k]) / 2.0;
            }
        }
    }
}
