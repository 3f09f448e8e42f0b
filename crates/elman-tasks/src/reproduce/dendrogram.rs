//! Hierarchical clustering, and its tree as a picture.

/// A cluster: one thing, or two clusters at their distance.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// The thing of this index.
    Leaf(usize),
    /// Two clusters.
    Join(f64, Box<Tree>, Box<Tree>),
}

impl Tree {
    /// Average linkage (Sokal & Michener 1958): the two clusters with the least mean Euclidean distance between their things are joined, until
    /// one is left.
    ///
    /// # Panics
    /// If there is nothing.
    pub fn new(vectors: &[Vec<f64>]) -> Tree {
        assert!(!vectors.is_empty(), "nothing to cluster");
        let distance = |a: usize, b: usize| -> f64 {
            vectors[a].iter().zip(&vectors[b]).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
        };
        let mut clusters: Vec<Tree> = (0..vectors.len()).map(Tree::Leaf).collect();
        while clusters.len() > 1 {
            let mut nearest = (f64::INFINITY, 0, 1);
            for a in 0..clusters.len() {
                for b in a + 1..clusters.len() {
                    let (left, right) = (clusters[a].leaves(), clusters[b].leaves());
                    let sum: f64 = left.iter().flat_map(|&i| right.iter().map(move |&j| distance(i, j))).sum();
                    let mean = sum / (left.len() * right.len()) as f64;
                    if mean < nearest.0 {
                        nearest = (mean, a, b);
                    }
                }
            }
            let (height, a, b) = nearest;
            let right = clusters.swap_remove(b);
            let left = std::mem::replace(&mut clusters[a], Tree::Leaf(0));
            clusters[a] = Tree::Join(height, Box::new(left), Box::new(right));
        }
        clusters.remove(0)
    }

    /// Its things, from top to bottom.
    pub fn leaves(&self) -> Vec<usize> {
        match self {
            Tree::Leaf(i) => vec![*i],
            Tree::Join(_, a, b) => [a.leaves(), b.leaves()].concat(),
        }
    }

    /// The distance of its two halves; 0 for one thing.
    fn height(&self) -> f64 {
        match self {
            Tree::Leaf(_) => 0.0,
            Tree::Join(height, ..) => *height,
        }
    }

    /// As SVG: the root at the left, the name of each thing at the right in its colour.
    pub fn svg(&self, title: &str, label: impl Fn(usize) -> (String, &'static str)) -> String {
        let leaves = self.leaves();
        let height = 60 + 18 * leaves.len();
        let mut body = String::new();
        let top = self.height();
        let x = |h: f64| 20.0 + 460.0 * (1.0 - if top > 0.0 { h / top } else { 0.0 });
        let mut row = 0;
        self.lines(&x, &mut row, &mut body);
        for (row, &leaf) in leaves.iter().enumerate() {
            let (name, colour) = label(leaf);
            let y = 54 + 18 * row;
            body += &format!("<text x=\"488\" y=\"{y}\" fill=\"{colour}\">{name}</text>\n");
        }
        format!(
            "<svg width=\"640\" height=\"{height}\" viewBox=\"0 0 640 {height}\" xmlns=\"http://www.w3.org/2000/svg\" \
             font-family=\"sans-serif\" font-size=\"14\">\n<rect width=\"640\" height=\"{height}\" fill=\"#FFFFFF\"/>\n\
             <text x=\"20\" y=\"26\" font-size=\"18\">{title}</text>\n{body}</svg>\n"
        )
    }

    /// Draws its lines; gives the y of its middle.
    fn lines(&self, x: &impl Fn(f64) -> f64, row: &mut usize, out: &mut String) -> f64 {
        match self {
            Tree::Leaf(_) => {
                *row += 1;
                (31 + 18 * *row) as f64
            }
            Tree::Join(height, a, b) => {
                let (ya, yb) = (a.lines(x, row, out), b.lines(x, row, out));
                let (here, xa, xb) = (x(*height), x(a.height()), x(b.height()));
                *out += &format!(
                    "<path d=\"M{xa:.1} {ya:.1}H{here:.1}V{yb:.1}H{xb:.1}\" fill=\"none\" stroke=\"#333333\"/>\n"
                );
                (ya + yb) / 2.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_are_joined_first() {
        let points: Vec<Vec<f64>> = [0.0, 10.0, 1.0, 13.0].map(|x| vec![x, 0.0]).to_vec();
        let tree = Tree::new(&points);
        let Tree::Join(height, a, b) = &tree else { panic!("{tree:?}") };
        // The mean of 10, 13, 9 and 12.
        assert_eq!(*height, 11.0);
        assert_eq!(
            (a.as_ref(), b.leaves()),
            (&Tree::Join(1.0, Tree::Leaf(0).into(), Tree::Leaf(2).into()), vec![1, 3])
        );
        let svg = tree.svg("a tree", |i| (format!("thing {i}"), "#000000"));
        assert_eq!((svg.matches("<path").count(), svg.matches(">thing ").count()), (3, 4));
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"));
    }
}
