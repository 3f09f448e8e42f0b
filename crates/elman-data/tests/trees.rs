//! Bracketed trees: formats, every refusal, and the whole Stanford Sentiment Treebank.

mod data;

use elman_data::trees::{BracketTree, Fault, TreesError, parse, read};

fn one(text: &str) -> BracketTree {
    let mut trees = parse(text).unwrap();
    assert_eq!(trees.len(), 1);
    trees.remove(0)
}

#[test]
fn children_come_before_their_parents() {
    let tree = one("(3 (2 It) (4 (2 's) (4 good)))");
    let labels: Vec<&str> = tree.nodes().iter().map(|n| n.label.as_str()).collect();
    assert_eq!(labels, ["2", "2", "4", "4", "3"]);
    let children: Vec<&[usize]> = tree.nodes().iter().map(|n| &n.children[..]).collect();
    assert_eq!(children, [&[][..], &[], &[], &[1, 2], &[0, 3]]);
    assert_eq!(tree.nodes()[1].word.as_deref(), Some("'s"));
    assert_eq!(tree.root().word, None);
    assert_eq!(one("(2 word)").nodes().len(), 1);
}

#[test]
fn treebanks_over_several_lines_with_comments_are_read() {
    let text = "# a treebank\n\n( (S \n    (NP-SBJ (NNP Mr.) (NNP Vinken) )\n\n    (VP (VBZ is)\n      (-LRB- -LRB-) (# #)\n\
                (NP (NN chairman) ))\n    (. .) ))\r\n  # between\n(X\n  y)\n";
    let trees = parse(text).unwrap();
    assert_eq!(trees.len(), 2);
    assert_eq!(trees[0].words().collect::<Vec<_>>(), ["Mr.", "Vinken", "is", "(", "#", "chairman", "."]);
    assert_eq!(trees[0].root().label, "");
    assert_eq!(trees[0].nodes()[4].label, "(");
    assert_eq!(
        trees[0].to_string(),
        "( (S (NP-SBJ (NNP Mr.) (NNP Vinken)) (VP (VBZ is) (-LRB- -LRB-) (# #) (NP (NN chairman))) (. .)))"
    );
    assert_eq!(trees[1].to_string(), "(X y)");
    assert_eq!(one(&trees[0].to_string()), trees[0]);
}

#[test]
fn the_first_fault_is_named_with_its_place() {
    let fault = |text: &str| {
        let error = parse(text).unwrap_err();
        (error.line, error.column, error.fault)
    };
    assert_eq!(fault(""), (1, 1, Fault::NoTrees));
    assert_eq!(fault("\n# only this\n"), (1, 1, Fault::NoTrees));
    assert_eq!(fault("(1 a)\n (2 (3 b)\n"), (2, 2, Fault::NotClosed));
    assert_eq!(fault("(1 a))"), (1, 6, Fault::NotOpened));
    assert_eq!(fault("(1 a) rest"), (1, 7, Fault::Outside));
    assert_eq!(fault("é (1 a)"), (1, 1, Fault::Outside));
    assert_eq!(fault("(1 (2 é) ())"), (1, 10, Fault::EmptyNode));
    assert_eq!(fault("(1\n(2))"), (2, 1, Fault::EmptyNode));
    assert_eq!(fault("(1 a b)"), (1, 6, Fault::Surplus));
    assert_eq!(fault("(1 a (2 b))"), (1, 6, Fault::Surplus));
    assert_eq!(fault("(1 (2 b) a)"), (1, 10, Fault::Surplus));
    let message = parse("(1 a) rest").unwrap_err().to_string();
    assert_eq!(
        message,
        "line 1, column 7: there is text outside of a tree; a tree begins with `(`, and a comment is a line that begins with `#`"
    );
}

#[test]
fn files_that_cannot_be_read_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trees.txt");
    let error = read(&path).unwrap_err();
    assert!(matches!(error, TreesError::Unreadable { .. }) && error.to_string().contains("trees.txt: cannot be read"));
    std::fs::write(&path, b"(1 a)\n(1 \xe9)").unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("trees.txt: not UTF-8 at line 2"));
    std::fs::write(&path, "(1 a").unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("trees.txt: line 1, column 1: this bracket is never closed"));
}

#[test]
fn a_tree_as_deep_as_it_is_long_is_read_and_written() {
    let text = format!("{}(1 a){}", "(0 ".repeat(100_000), ")".repeat(100_000));
    let tree = one(&text);
    assert_eq!(tree.nodes().len(), 100_001);
    assert_eq!(tree.to_string(), text);
}

#[test]
fn the_sentiment_treebank_is_read_and_written_back() {
    let Some(data) = data::folder() else { return };
    let mut sizes = Vec::new();
    for name in ["train.txt", "dev.txt"] {
        let path = data.join("sst-trees").join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let trees = read(&path).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        assert_eq!(trees.len(), lines.len());
        for (tree, line) in trees.iter().zip(lines) {
            assert_eq!(tree.to_string(), line.trim());
            // Binary: as many inner nodes as leaves less one.
            assert_eq!(tree.nodes().len(), 2 * tree.words().count() - 1);
            assert_eq!(tree.nodes().len(), line.matches('(').count());
            assert!(tree.nodes().iter().all(|n| ["0", "1", "2", "3", "4"].contains(&n.label.as_str())));
        }
        sizes.push((trees.len(), trees.iter().map(|t| t.nodes().len()).sum::<usize>()));
    }
    assert_eq!(sizes.iter().map(|s| s.0).collect::<Vec<_>>(), [8544, 1101]);
    assert_eq!(sizes.iter().map(|s| s.1).collect::<Vec<_>>(), [318582, 41447]);
}
