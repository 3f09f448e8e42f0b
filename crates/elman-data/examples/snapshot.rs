//! Makes `corpus/elman.txt`, the embedded corpus: the project's documents and sources (without tests) in a fixed order, each after a line
//! with its path. Run it in the repository:
//!
//! ```text
//! cargo run --release -p elman-data --example snapshot
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// As long as the snapshot is above this its longest file is left out, and named, so that the program stays small.
const LIMIT: usize = 600 << 10;

fn main() -> io::Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.join("../..");
    // Documents first: the held-out part is the end of the corpus, and it should look like most of it, which is source.
    let mut files = Vec::new();
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        if root.join(name).is_file() {
            files.push(PathBuf::from(name));
        }
    }
    collect(&root, Path::new("docs"), "md", &mut files)?;
    // Sources without tests: what people read to understand the project.
    let mut crates = fs::read_dir(root.join("crates"))?.map(|c| Ok(c?.file_name())).collect::<io::Result<Vec<_>>>()?;
    crates.sort();
    for name in crates {
        collect(&root, &Path::new("crates").join(name).join("src"), "rs", &mut files)?;
    }

    let mut sections = Vec::new();
    for file in files {
        let content = fs::read_to_string(root.join(&file))?.replace("\r\n", "\n");
        // Paths are written with the same separator on every system.
        let name = file.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
        sections.push((format!("// ---- {name} ----\n{}\n\n", content.trim()), name));
    }
    while sections.iter().map(|s| s.0.len()).sum::<usize>() > LIMIT {
        let Some(longest) = (0..sections.len()).max_by_key(|&i| sections[i].0.len()) else { break };
        eprintln!("left out, above {LIMIT} bytes: {}", sections.remove(longest).1);
    }
    let corpus: String = sections.into_iter().map(|s| s.0).collect();
    let target = package.join("corpus/elman.txt");
    fs::write(&target, &corpus)?;
    println!("corpus/elman.txt: {} bytes, {} characters", corpus.len(), corpus.chars().count());
    Ok(())
}

/// Adds the files with this ending under `folder`, sorted by path.
fn collect(root: &Path, folder: &Path, ending: &str, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return Ok(()); // A folder that the project does not have yet.
    };
    let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        let path = folder.join(&name);
        if root.join(&path).is_dir() {
            collect(root, &path, ending, files)?;
        } else if path.extension().is_some_and(|e| e == ending) {
            files.push(path);
        }
    }
    Ok(())
}
